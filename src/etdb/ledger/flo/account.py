"""A wallet on a FLO network: its coins kept up to date with a daemon's blocks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from etdb.errors import UnavailableError
from etdb.identity import Address
from etdb.ledger.base import SignedTransaction, Tip
from etdb.ledger.flo.block import COIN_SAT
from etdb.ledger.flo.coinbook import CoinBook
from etdb.ledger.flo.fee import LEAST_SAT_PER_KB, MAX_FEE_SAT, SAT_PER_KB
from etdb.ledger.flo.params import Params
from etdb.ledger.flo.scan import BlockReader
from etdb.ledger.flo.tx import OutPoint, Transaction
from etdb.ledger.flo.wallet import Wallet
from etdb.progress import Progress
from etdb.record.signing import PrivateKey


@dataclass(frozen=True)
class WalletStatus:
    """What a wallet has, as far as its coins were looked for."""

    address: Address
    first_height: int
    """Coins made below it are not known."""
    read_height: int | None
    """The last block in which coins were looked for; None before the first."""
    balance_sat: int
    """What the next block may spend of it."""
    immature_sat: int
    """What was mined less than 100 blocks ago."""
    coins: int
    fee_sat_per_kb: int


class Account:
    """A wallet and its coins. Not thread-safe; nothing is asked before it must."""

    def __init__(
        self, key: PrivateKey, network: Params, coins: CoinBook, reader: BlockReader
    ) -> None:
        self.wallet = Wallet(key, network=network)
        self.coins = coins
        self._reader = reader
        self._loaded: Tip | None = None
        self._is_rate_known = False

    def settle(self, progress: Progress | None = None) -> None:
        """Look for coins up to the tip. Raises UnavailableError."""
        self._find_rate()
        self.coins.sync(self._reader, progress)
        if self._loaded is None or self.coins.tip() != self._loaded:
            self.load()

    def load(self) -> None:
        """Offer the coins that were found, without what was forgotten or held."""
        tip = self.coins.tip()
        self.wallet.load(self.coins, 1 if tip is None else tip.height + 1)
        self._loaded = tip

    def compose(self, data: bytes) -> SignedTransaction:
        """A signed transaction carrying `data`. Raises as `Wallet.compose`."""
        if self._loaded is None:
            self.settle()
        try:
            transaction = self.wallet.compose(data)
        except UnavailableError:
            # A block may have come, and coins with it.
            self.settle()
            transaction = self.wallet.compose(data)
        fee_sat = self.wallet.fee_sat(len(data))
        return SignedTransaction(transaction.txid, transaction.encode(), fee_sat)

    def fee_sat(self, size_bytes: int) -> int:
        """What carrying a text of this size costs."""
        self._find_rate()
        return self.wallet.fee_sat(size_bytes)

    def is_in_block(self, transaction: Transaction) -> bool:
        """Whether a block that was read holds a transaction of the wallet."""
        return self.coins.find_height(transaction.txid) is not None

    def is_spent_otherwise(self, transaction: Transaction) -> bool:
        """Whether a block that was read spends one of its coins otherwise."""
        spends = (self.coins.find_spend(item.outpoint) for item in transaction.inputs)
        return any(spend and spend.txid != transaction.txid for spend in spends)

    def pays_too_little(self, transaction: Transaction) -> bool:
        """Whether the daemon does not relay it for its fee, and would for more.

        By the rate that was learned last; False for what others must pay for,
        and where a fee as high would be taken for a mistake.
        """
        paid_sat = -sum(item.value_sat for item in transaction.outputs)
        for item in transaction.inputs:
            value_sat = self.wallet.find_value(item.outpoint)
            if value_sat is None:
                return False
            paid_sat += value_sat
        asked_sat = transaction.size_bytes * self.wallet.sat_per_kb // 1000
        return paid_sat < asked_sat <= MAX_FEE_SAT

    def give_up(
        self,
        transactions: Sequence[Transaction],
        held: Sequence[OutPoint],
        cheap: Sequence[Transaction],
    ) -> None:
        """These are not sent again: others hold, or have spent, their coins.

        Of the `cheap` ones among them the coins are spent by what takes their
        place.
        """
        for outpoint in held:
            self.wallet.hold(outpoint)
        self.wallet.forget(transactions)
        self.wallet.owe(cheap)
        self.load()

    def status(self) -> WalletStatus:
        """What it has, as of the last time that coins were looked for."""
        self._find_rate()
        balance, tip = self.coins.balance(), self.coins.tip()
        return WalletStatus(
            address=self.wallet.address,
            first_height=self.coins.first_height,
            read_height=None if tip is None else tip.height,
            balance_sat=balance.mature_sat,
            immature_sat=balance.immature_sat,
            coins=balance.coins,
            fee_sat_per_kb=self.wallet.sat_per_kb,
        )

    def learn_rate(self) -> None:
        """Ask the daemon for what it relays now. Raises UnavailableError."""
        asked = ("getnetworkinfo", "relayfee"), ("getmempoolinfo", "mempoolminfee")
        answers = self._reader.rpc.batch([(method,) for method, _ in asked])
        relay, mempool = (
            _rate_of(answer, key)
            for answer, (_, key) in zip(answers, asked, strict=True)
        )
        # A full mempool asks for more than its daemon relays for.
        rate = max(SAT_PER_KB if relay is None else relay, mempool or 0)
        self.wallet.sat_per_kb = max(rate, LEAST_SAT_PER_KB)
        self._is_rate_known = True

    def _find_rate(self) -> None:
        """The least that the daemon relays for, or what every daemon does.

        It stays for as long as it will do, so that what is paid is what was shown.
        """
        if not self._is_rate_known:
            self.learn_rate()


def _rate_of(answer: object, key: str) -> int | None:
    """Satoshis per kB, where a daemon's answer says FLO per kB."""
    said = answer.get(key) if isinstance(answer, dict) else None
    if isinstance(said, int | float) and 0 <= said < COIN_SAT:
        return round(said * COIN_SAT)
    return None
