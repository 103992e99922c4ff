"""A wallet: transactions made of one key's coins.

One coin in, its change out: a wallet of many coins can compose thousands of
transactions before the first is in a block. What they spend beyond that is
the fee, and on an embedded chain it comes back through the coinbase. Where the
coins come from is a `CoinSource`'s affair; nothing is sent from here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import NamedTuple

from etdb.errors import InvalidDataError, UnavailableError
from etdb.identity import Address
from etdb.ledger.flo.coins import CoinSource
from etdb.ledger.flo.fanout import (
    ENOUGH_COINS,
    LEAST_CHANGE_SAT,
    find_fan_out,
    share,
)
from etdb.ledger.flo.fee import (
    LEAST_SAT_PER_KB,
    SAT_PER_KB,
    carrier_bytes,
    fee_of,
    show_flo,
    transaction_bytes,
)
from etdb.ledger.flo.package import FIRST, Offer, Package, Purse, depth_for
from etdb.ledger.flo.params import REGTEST, Params
from etdb.ledger.flo.script import Unlock, pay_to
from etdb.ledger.flo.tx import SIGHASH_ALL, OutPoint, Transaction, TxIn, TxOut
from etdb.record.parts import MAX_MESSAGE_BYTES
from etdb.record.signing import PrivateKey, hash160

_SAFE_DEPTH = 25
"""How long a chain of unconfirmed transactions even old FLO nodes take."""


class Need(StrEnum):
    """What must come before texts can be composed."""

    NOTHING = "nothing"
    FAN_OUT = "fan-out"
    """A transaction that splits coins; then ask again."""
    BLOCK = "block"
    """A block that confirms what is on its way."""
    COINS = "coins"


@dataclass(frozen=True)
class Plan:
    """Whether texts can be composed now, and if not, why."""

    need: Need
    needed_sat: int
    """What they cost."""
    spendable_sat: int
    """What may go into fees now, unconfirmed change included."""
    immature_sat: int
    """What was mined less than 100 blocks ago."""
    fan_out: Transaction | None = None


class _Node(NamedTuple):
    """What is known of one unconfirmed transaction."""

    package: Package
    depth: int


class Wallet:
    """Composes transactions of one key's coins, the shallowest coin first.

    Not thread-safe. `sat_per_kb` is the fee rate, at least 1,000.
    """

    def __init__(
        self,
        key: PrivateKey,
        *,
        network: Params = REGTEST,
        sat_per_kb: int = SAT_PER_KB,
    ) -> None:
        self._key = key
        self.script = pay_to(hash160(key.public_key))
        self.address: Address = key.address(network.address_version)
        self.sat_per_kb = max(sat_per_kb, LEAST_SAT_PER_KB)
        self._source: CoinSource | None = None
        self._pending: dict[bytes, Transaction] = {}
        self._sent: set[bytes] = set()
        self._held: set[OutPoint] = set()
        self._owed: set[OutPoint] = set()
        self._first: set[OutPoint] = set()
        self._forget_offers()

    def _forget_offers(self) -> None:
        self._reserved: set[OutPoint] = set()
        self._nodes: dict[bytes, _Node] = {}
        self._offered: set[bytes] = set()
        self._confirmed: dict[OutPoint, int] = {}
        self._immature_sat = 0
        self._purse = Purse()

    def load(self, coins: CoinSource, height: int) -> None:
        """Take what a block at this height may spend and is not yet promised.

        Pending transactions that are in a block by now, or whose coins are
        spent otherwise, are forgotten; those that a reorganisation took out of
        the chain are pending again.
        """
        self._source = coins
        undone = {item.txid_bytes: item for item in coins.list_undone()}
        waiting = undone | self._pending
        self._sent.update(undone)
        self._held = {item for item in self._held if coins.find(item) is not None}
        self._forget_offers()
        for outpoint, coin in coins.iter_own(self.script):
            if outpoint in self._held:
                continue
            if coin.is_mature(height):
                self._confirmed[outpoint] = coin.output.value_sat
            else:
                self._immature_sat += coin.output.value_sat
        self._pending = {}
        for txid_bytes, transaction in waiting.items():
            if self._is_viable(transaction):
                self._admit(transaction, is_offered=txid_bytes in self._sent)
        self._sent &= self._pending.keys()
        for outpoint, value_sat in self._confirmed.items():
            self._push(Offer(0, -value_sat, outpoint, None))
        for outpoint in self._owed:
            self._confirmed.pop(outpoint, None)

    def note_pending(self, transaction: Transaction) -> bool:
        """A transaction of ours was sent, or is about to be sent (again).

        Its coins are promised and its change is on offer. False, and nothing
        is noted, where it is in a block already or its coins are spent.
        """
        txid_bytes = transaction.txid_bytes
        if txid_bytes not in self._nodes:
            if self._source is not None and not self._is_viable(transaction):
                return False
            self._admit(transaction, is_offered=True)
        elif txid_bytes not in self._offered:
            self._offer(transaction)
        self._sent.add(txid_bytes)
        return True

    def list_pending(self) -> list[Transaction]:
        """What was noted and, as of the last load, is in no block, in order."""
        return [tx for txid, tx in self._pending.items() if txid in self._sent]

    def find_value(self, outpoint: OutPoint) -> int | None:
        """What a coin is worth that no block spends, if it is known here."""
        parent = self._pending.get(outpoint.txid_bytes)
        if parent is not None:
            found = parent.outputs[outpoint.output : outpoint.output + 1]
            return found[0].value_sat if found else None
        coin = None if self._source is None else self._source.find(outpoint)
        return None if coin is None else coin.output.value_sat

    def settle(self, transaction: Transaction) -> None:
        """A block holds it; `load` follows. Not needed with a `CoinBook`."""
        self._pending.pop(transaction.txid_bytes, None)

    def forget(self, transactions: Iterable[Transaction]) -> None:
        """These will never be sent (again), nor what spends their change.

        Their coins are on offer again after the next `load`.
        """
        dropped = {item.txid_bytes for item in transactions}
        for txid_bytes, transaction in self._pending.items():
            if any(item.outpoint.txid_bytes in dropped for item in transaction.inputs):
                dropped.add(txid_bytes)
        for txid_bytes in dropped:
            self._pending.pop(txid_bytes, None)
            self._sent.discard(txid_bytes)

    def hold(self, outpoint: OutPoint) -> None:
        """Somebody's transaction that is in no block yet spends this coin.

        After the next `load` it is not on offer, and what we made of it is
        forgotten.
        """
        self._held.add(outpoint)
        self._purse.remove(outpoint)
        self._confirmed.pop(outpoint, None)

    def owe(self, transactions: Iterable[Transaction]) -> None:
        """Others are made in the place of these, of the same coins.

        So that never both are mined. After the next `load`, what is composed
        spends these coins first, and none that were owed before; without any,
        those of whatever was owed before.
        """
        spent = {item.outpoint for tx in transactions for item in tx.inputs}
        self._owed |= spent
        self._first = spent or {*self._owed}

    def fee_sat(self, data_bytes: int) -> int:
        """What carrying floData of this size costs at the wallet's fee rate."""
        return fee_of(carrier_bytes(data_bytes), self.sat_per_kb)

    def compose(self, data: bytes) -> Transaction:
        """A signed transaction carrying `data`, its change back to the wallet.

        Raises InvalidDataError over 1,040 bytes, UnavailableError when no coin
        is left, or none that nodes would take one more transaction of.
        """
        if len(data) > MAX_MESSAGE_BYTES:
            msg = f"{len(data)} bytes for one transaction; {MAX_MESSAGE_BYTES} go in"
            raise InvalidDataError(msg)
        # What is owed is spent, also where it is too little to pay for this.
        least_sat = self.fee_sat(len(data)) + LEAST_CHANGE_SAT
        small = self._purse.list_first(least_sat) if self._first else []
        size_bytes = transaction_bytes(1 + len(small), 1, len(data))
        fee = fee_of(size_bytes, self.sat_per_kb)
        spent = [self._purse.take(fee + LEAST_CHANGE_SAT, size_bytes), *small]
        change = TxOut(sum(item.value_sat for item in spent) - fee, self.script)
        inputs = tuple(_spend(item.outpoint) for item in spent)
        transaction = self._sign(Transaction(2, inputs, (change,), 0, data))
        self._admit(transaction, is_offered=True)
        return transaction

    def plan(self, sizes_bytes: Sequence[int]) -> Plan:
        """What must come before texts of these sizes can be composed.

        Nothing is changed, promised or sent. With few coins, a fan-out is
        asked for also where one long chain would do: a chain breaks where one
        transaction of it is lost.
        """
        fees_sat = [self.fee_sat(size) for size in sizes_bytes]
        needed_sat = sum(fees_sat)
        self._purse.restore()
        offers = list(self._purse)
        spendable_sat = sum(
            max(0, item.value_sat - LEAST_CHANGE_SAT) for item in offers
        )
        plan = Plan(Need.NOTHING, needed_sat, spendable_sat, self._immature_sat)
        depth = depth_for(self._purse.copy(), sizes_bytes, fees_sat)
        is_spread = len(self._confirmed) >= ENOUGH_COINS
        if depth is not None and (depth <= _SAFE_DEPTH or is_spread):
            return plan
        fan_out = self._find_fan_out()
        if depth is not None:
            if fan_out is None or not self._is_room_after(fan_out, sizes_bytes):
                return plan
            return replace(plan, need=Need.FAN_OUT, fan_out=fan_out)
        if fan_out is not None and needed_sat < sum(o.value_sat for o in offers):
            return replace(plan, need=Need.FAN_OUT, fan_out=fan_out)
        if self._pending and spendable_sat >= needed_sat:
            return replace(plan, need=Need.BLOCK)
        # Each coin may leave a rest that the next text is too long for.
        least_sat = max(needed_sat, spendable_sat + max(fees_sat))
        return replace(plan, need=Need.COINS, needed_sat=least_sat)

    def prepare(self, sizes_bytes: Sequence[int]) -> Transaction | None:
        """A fan-out to be sent, noted and followed by asking again, or None.

        None means that texts of these sizes can be composed now. Raises
        UnavailableError saying what must come first: a block, or coins, how
        many, and where to send them.
        """
        plan = self.plan(sizes_bytes)
        if plan.need is Need.BLOCK:
            msg = f"{len(self._pending)} transactions of the wallet wait for a block"
            raise UnavailableError(msg, hint="wait for a block, then repeat")
        if plan.need is Need.COINS:
            raise self._too_poor(plan)
        return plan.fan_out

    def fan_out(self, spent: Sequence[Transaction], count: int) -> Transaction:
        """One transaction that makes `count` equal coins of these first outputs."""
        total_sat = sum(item.outputs[0].value_sat for item in spent)
        share_sat = share(total_sat, len(spent), count, self.sat_per_kb)
        outpoints = [OutPoint(item.txid_bytes, 0) for item in spent]
        return self._split(outpoints, count, share_sat)

    def _find_fan_out(self) -> Transaction | None:
        """One at a time: its coins are worth waiting for."""
        if any(not item.flo_data for item in self._pending.values()):
            return None
        found = find_fan_out(self._confirmed, self.sat_per_kb)
        if found is None:
            return None
        return self._split(found.outpoints, found.count, found.share_sat)

    def _split(
        self, outpoints: Sequence[OutPoint], count: int, share_sat: int
    ) -> Transaction:
        outputs = (TxOut(share_sat, self.script),) * count
        inputs = tuple(_spend(outpoint) for outpoint in outpoints)
        return self._sign(Transaction(2, inputs, outputs))

    def _is_room_after(self, fan_out: Transaction, sizes_bytes: Sequence[int]) -> bool:
        """Whether the texts fit in the one package that hangs on a fan-out."""
        package = Package(1, fan_out.size_bytes)
        purse = self._purse.copy()
        for item in fan_out.inputs:
            purse.remove(item.outpoint)
        for offer in self._offers_of(fan_out, _Node(package, 1)):
            purse.push(offer)
        fees_sat = [self.fee_sat(size) for size in sizes_bytes]
        return depth_for(purse, sizes_bytes, fees_sat) is not None

    def _is_viable(self, transaction: Transaction) -> bool:
        """Whether each of its coins is there and promised to nothing else."""
        return all(
            item.outpoint not in self._reserved
            and item.outpoint not in self._held
            and self.find_value(item.outpoint) is not None
            for item in transaction.inputs
        )

    def _admit(self, transaction: Transaction, *, is_offered: bool) -> None:
        """Promise its coins; where said, offer what it pays to us."""
        package, depth = None, 0
        for item in transaction.inputs:
            outpoint = item.outpoint
            self._reserved.add(outpoint)
            self._first.discard(outpoint)
            self._owed.discard(outpoint)
            self._purse.remove(outpoint)
            self._confirmed.pop(outpoint, None)
            parent = self._nodes.get(outpoint.txid_bytes)
            if parent is None:
                continue
            depth = max(depth, parent.depth)
            if package is None:
                package = parent.package
            package.join(parent.package)
        node = _Node(package or Package(), depth + 1)
        node.package.add(transaction.size_bytes)
        self._nodes[transaction.txid_bytes] = node
        self._pending[transaction.txid_bytes] = transaction
        if is_offered:
            self._offer(transaction)

    def _offer(self, transaction: Transaction) -> None:
        txid_bytes = transaction.txid_bytes
        self._offered.add(txid_bytes)
        for offer in self._offers_of(transaction, self._nodes[txid_bytes]):
            if offer.outpoint not in self._reserved:
                self._push(offer)

    def _push(self, offer: Offer) -> None:
        if offer.outpoint in self._first:
            self._purse.push(offer._replace(depth=FIRST))
        elif offer.outpoint not in self._owed:
            self._purse.push(offer)

    def _offers_of(self, transaction: Transaction, node: _Node) -> Iterator[Offer]:
        for index, output in enumerate(transaction.outputs):
            if output.script == self.script:
                outpoint = OutPoint(transaction.txid_bytes, index)
                yield Offer(node.depth, -output.value_sat, outpoint, node.package)

    def _sign(self, transaction: Transaction) -> Transaction:
        signed = []
        for index, item in enumerate(transaction.inputs):
            sighash = transaction.sighash(index, self.script, SIGHASH_ALL)
            unlock = Unlock(
                self._key.sign_hash(sighash), SIGHASH_ALL, self._key.public_key
            )
            signed.append(item._replace(script=unlock.encode()))
        return replace(transaction, inputs=tuple(signed))

    def _too_poor(self, plan: Plan) -> UnavailableError:
        missing_sat = plan.needed_sat - plan.spendable_sat + LEAST_CHANGE_SAT
        later = (
            f" ({show_flo(plan.immature_sat)} more in 100 blocks at most)"
            if plan.immature_sat
            else ""
        )
        msg = (
            f"this needs {show_flo(plan.needed_sat)} and the wallet can spend"
            f" {show_flo(plan.spendable_sat)}{later}"
        )
        return UnavailableError(
            msg,
            hint=f"send {show_flo(missing_sat)} or more to {self.address}",
            needed_sat=plan.needed_sat,
            spendable_sat=plan.spendable_sat,
            address=self.address,
        )


def _spend(outpoint: OutPoint) -> TxIn:
    return TxIn(outpoint, b"")
