"""The embedded chain: FLO blocks in one append-only file, mined on demand.

No daemon and no other miner. The file is the chain; what is kept in memory is
read from it, and read on when another process has written. Writers take turns
(the caller's lock); what makes a block valid is in `seal`.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from etdb.errors import (
    ConflictError,
    NotAllowedError,
    NotFoundError,
    UnavailableError,
)
from etdb.identity import Address, BlockHash
from etdb.ledger.base import Block, LedgerInfo, SignedTransaction, Tip
from etdb.ledger.flo.block import (
    COINBASE_MATURITY,
    FloBlock,
    Header,
    subsidy_sat,
)
from etdb.ledger.flo.coins import Coins, verify_standard
from etdb.ledger.flo.content import content_of
from etdb.ledger.flo.fee import fee_sat
from etdb.ledger.flo.file import BlockFile
from etdb.ledger.flo.params import REGTEST
from etdb.ledger.flo.seal import (
    Declaration,
    Draft,
    Inspector,
    declare,
    parse_declaration,
    seal,
)
from etdb.ledger.flo.tx import Transaction, TxOut
from etdb.ledger.flo.wallet import Wallet
from etdb.progress import Progress, Silent
from etdb.record.message import LedgerKind
from etdb.record.signing import PrivateKey

Clock = Callable[[], float]

FIRST_BLOCKS = 110
"""So many that ten coinbases are old enough to be spent in the last of them."""
FIRST_COINS = 64
MAX_FILLED_BYTES = 750_000
_COINBASE_BYTES = 1_000
_MAX_AHEAD_S = 3_600
_MAX_WAIT_S = 30
_WAIT_STEP_S = 0.05


class _Keys(NamedTuple):
    publisher: PrivateKey
    wallet: Wallet


class _Offered(NamedTuple):
    transaction: Transaction
    is_ours: bool
    """Signed by this process, whose signatures need not be looked at."""


class _Accepted(NamedTuple):
    transaction: Transaction
    fee_sat: int


class EmbeddedChain:
    """A `Ledger` of our own, in a folder. Read-only without its two keys.

    `torn_bytes` is what a crash had left at the end of the file when it was
    opened; with the keys, opening cuts it. Reading is thread-safe and sees
    what other processes write; writing is for one process at a time.
    """

    def __init__(self, file: BlockFile, keys: _Keys | None, clock: Clock) -> None:
        self._file = file
        self._keys = keys
        self._clock = clock
        self._mutex = threading.Lock()
        self._coins = Coins()
        self._mined: set[bytes] = set()
        self._composed: dict[SignedTransaction, Transaction] = {}
        self._settled_height = 0

    @classmethod
    def create(
        cls,
        folder: Path,
        *,
        publisher: PrivateKey,
        wallet: PrivateKey,
        address: Address,
        clock: Clock = time.time,
        progress: Progress | None = None,
    ) -> EmbeddedChain:
        """A new chain of 110 blocks with times ending now, and 64 coins (R8).

        Raises ConflictError where one is already, NotAllowedError where the
        address is not the publisher's, UnavailableError where the disk refuses.
        """
        if not publisher.owns(address):
            msg = f"{address} is not an address of the publisher's key"
            raise NotAllowedError(msg)
        folder.mkdir(parents=True, exist_ok=True)
        file = BlockFile(folder)
        if file.tip().height > 0:
            msg = f"{folder} already holds a chain"
            raise ConflictError(msg)
        file.cut()
        keys = _Keys(publisher, Wallet(wallet))
        declaration = declare(address, secrets.token_hex(16))
        _begin(file, keys, declaration, int(clock()), progress or Silent())
        return cls(file, keys, clock)

    @classmethod
    def open(
        cls,
        folder: Path,
        *,
        publisher: PrivateKey | None = None,
        wallet: PrivateKey | None = None,
        clock: Clock = time.time,
    ) -> EmbeddedChain:
        """The chain in a folder; to write it, both keys.

        Raises NotFoundError where there is none, NotAllowedError where the key
        is not its publisher's, DamagedFileError where the file is damaged.
        """
        file = BlockFile(folder)
        if file.tip().height == 0:
            raise NotFoundError("embedded chain in", folder)
        if publisher is None or wallet is None:
            return cls(file, None, clock)
        chain = cls(file, _Keys(publisher, Wallet(wallet)), clock)
        if not publisher.owns(chain.address):
            msg = f"the chain in {folder} belongs to {chain.address}, not to this key"
            raise NotAllowedError(msg)
        file.cut()
        return chain

    @property
    def torn_bytes(self) -> int:
        """What a crash had left at the end of the file when it was opened."""
        return self._file.torn_bytes

    @cached_property
    def info(self) -> LedgerInfo:
        """The chain's id is the hash of its block 1."""
        return LedgerInfo(str(self._file.header(1).hash), LedgerKind.EMBEDDED)

    @cached_property
    def address(self) -> Address:
        """The publisher's, as block 1 declares it."""
        coinbase = self._file.block(1).transactions[0]
        declaration, _ = parse_declaration(coinbase.flo_data)
        return declaration.address

    def tip(self) -> Tip:
        """The last block, whichever process wrote it."""
        self._file.read_on()
        return self._file.tip()

    def block(self, height: int) -> Block:
        """The block at a height. Raises NotFoundError."""
        return content_of(height, self._file.block(height))

    def find_hash(self, height: int) -> BlockHash | None:
        """The hash of the block at a height, if the chain is that long."""
        if not 0 <= height <= self.tip().height:
            return None
        return self._file.header(height).hash

    def iter_blocks(self, first: int, last: int) -> Iterator[Block]:
        """The blocks of these heights, in order; ends early where the chain does."""
        for height, block in self.iter_raw_blocks(first, last):
            yield content_of(height, block)

    def iter_raw_blocks(self, first: int, last: int) -> Iterator[tuple[int, FloBlock]]:
        """The whole blocks of these heights, each with its height."""
        for height in range(first, min(last, self.tip().height) + 1):
            yield height, self._file.block(height)

    def raw_transaction(self, height: int, position: int) -> bytes:
        """A whole transaction of a block. Raises NotFoundError."""
        transactions = self._file.block(height).transactions
        if not 0 <= position < len(transactions):
            msg = f"transaction in block {height} at"
            raise NotFoundError(msg, position)
        return transactions[position].encode()

    def prepare(self, sizes_bytes: Sequence[int]) -> None:
        """Nothing to do: 64 coins, and every block of ours makes another."""

    def fee_sat(self, size_bytes: int) -> int:
        """10,000 satoshis per 1,000 bytes of the whole transaction."""
        return fee_sat(size_bytes)

    def compose(self, data: bytes) -> SignedTransaction:
        """A signed transaction carrying at most 1,040 bytes; nothing is sent.

        Raises InvalidDataError over that, UnavailableError without coins,
        NotAllowedError without keys.
        """
        keys = self._writing_keys()
        with self._mutex:
            self._settle()
            transaction = keys.wallet.compose(data)
        signed = SignedTransaction(
            transaction.txid, transaction.encode(), fee_sat(len(data))
        )
        self._composed[signed] = transaction
        return signed

    def send(self, transactions: Sequence[SignedTransaction]) -> None:
        """Mine what is not in a block yet, in this order, as one commit group.

        On return the blocks are on disk; on error none of them is. Raises
        ConflictError where a coin is spent or unknown, InvalidDataError where a
        transaction is wrong, UnavailableError where the disk refuses or the
        clock is behind the chain, NotAllowedError without keys.
        """
        self._mine([self._offered(item) for item in transactions])
        for item in transactions:
            self._composed.pop(item, None)

    def verify(self) -> None:
        """Every block from the first: links, work, roots, signatures (R8, R9).

        Raises InvalidDataError naming the block.
        """
        inspector = Inspector()
        for height in range(1, self.tip().height + 1):
            inspector.verify_next(self._file.block(height))

    def _offered(self, item: SignedTransaction) -> _Offered:
        composed = self._composed.get(item)
        if composed is not None:
            return _Offered(composed, is_ours=True)
        return _Offered(Transaction.parse(item.raw), is_ours=False)

    def _mine(self, offered: Sequence[_Offered]) -> None:
        keys = self._writing_keys()
        with self._mutex:
            self._settle()
            blocks: list[FloBlock] = []
            parent = self._file.header(self._settled_height)
            for filled in _iter_filled(self._accept(offered)):
                height = self._settled_height + len(blocks) + 1
                fees_sat = sum(item.fee_sat for item in filled)
                draft = Draft(
                    height=height,
                    parent=parent,
                    time=self._time_after(parent),
                    transactions=tuple(item.transaction for item in filled),
                    payout=_payout(height, fees_sat, keys.wallet),
                )
                blocks.append(seal(draft, keys.publisher, None))
                parent = blocks[-1].header
            self._file.append(blocks)
            for block in blocks:
                self._take(block)
            self._offer_coins()

    def _accept(self, offered: Sequence[_Offered]) -> list[_Accepted]:
        """Those that are new, each with its fee; all of them may be mined."""
        coins = Coins(self._coins)
        height = self._settled_height + 1
        accepted: dict[bytes, _Accepted] = {}
        for transaction, is_ours in offered:
            txid_bytes = transaction.txid_bytes
            if txid_bytes in self._mined or txid_bytes in accepted:
                continue
            verify_standard(transaction)
            fee = coins.verify_spend(transaction, height, is_signed=is_ours)
            coins.apply(transaction, height)
            accepted[txid_bytes] = _Accepted(transaction, fee)
        return list(accepted.values())

    def _time_after(self, parent: Header) -> int:
        """A block's time: now, or just after its parent's (R8).

        Waits where that would be over an hour ahead of the clock.
        """
        deadline = time.monotonic() + _MAX_WAIT_S
        earliest = parent.time + 1
        while (now := int(self._clock())) + _MAX_AHEAD_S < earliest:
            ahead_s = earliest - now - _MAX_AHEAD_S
            if ahead_s > _MAX_WAIT_S or time.monotonic() > deadline:
                msg = f"this computer's clock is {earliest - now} s behind the chain"
                raise UnavailableError(
                    msg, hint="set the clock, or wait", retry_after_s=ahead_s
                )
            time.sleep(_WAIT_STEP_S)
        return max(now, earliest)

    def _settle(self) -> None:
        """Bring coins and transaction ids up to the tip."""
        height = self.tip().height
        if self._settled_height == height:
            return
        while self._settled_height < height:
            self._take(self._file.block(self._settled_height + 1))
        self._offer_coins()

    def _take(self, block: FloBlock) -> None:
        height = self._settled_height + 1
        for transaction in block.transactions:
            self._coins.apply(transaction, height)
            self._mined.add(transaction.txid_bytes)
            if self._keys is not None:
                self._keys.wallet.settle(transaction)
        self._settled_height = height

    def _offer_coins(self) -> None:
        if self._keys is not None:
            self._keys.wallet.load(self._coins, self._settled_height + 1)

    def _writing_keys(self) -> _Keys:
        if self._keys is None:
            msg = "the chain was opened to be read: its keys are needed to write it"
            raise NotAllowedError(msg)
        return self._keys


def _begin(
    file: BlockFile, keys: _Keys, named: Declaration, now: int, progress: Progress
) -> None:
    blocks: list[FloBlock] = []
    parent = file.header(0)
    progress.begin("mining the first blocks", FIRST_BLOCKS, "blocks")
    for height in range(1, FIRST_BLOCKS + 1):
        is_last = height == FIRST_BLOCKS
        draft = Draft(
            height=height,
            parent=parent,
            time=max(now - FIRST_BLOCKS + height, parent.time + 1),
            transactions=_first_coins(blocks, keys.wallet) if is_last else (),
            payout=_payout(height, 0, keys.wallet),
        )
        blocks.append(seal(draft, keys.publisher, named if height == 1 else None))
        parent = blocks[-1].header
        progress.advance(1)
    file.append(blocks)
    progress.end()


def _first_coins(blocks: Sequence[FloBlock], wallet: Wallet) -> tuple[Transaction, ...]:
    """The fan-out: every coinbase that the last of the first blocks may spend."""
    mature = blocks[: FIRST_BLOCKS - COINBASE_MATURITY]
    coinbases = [block.transactions[0] for block in mature]
    return (wallet.fan_out(coinbases, FIRST_COINS),)


def _payout(height: int, fees_sat: int, wallet: Wallet) -> TxOut:
    made_sat = subsidy_sat(height, REGTEST.halving_blocks)
    return TxOut(made_sat + fees_sat, wallet.script)


def _iter_filled(accepted: Sequence[_Accepted]) -> Iterator[list[_Accepted]]:
    """The transactions in order, a block's worth at a time."""
    filled: list[_Accepted] = []
    size_bytes = _COINBASE_BYTES
    for item in accepted:
        if size_bytes + item.transaction.size_bytes > MAX_FILLED_BYTES:
            yield filled
            filled, size_bytes = [], _COINBASE_BYTES
        filled.append(item)
        size_bytes += item.transaction.size_bytes
    if filled:
        yield filled
