"""Hands transactions to a daemon, and looks whether it has them.

One daemon says at once why it refuses a transaction; the other answers before
it has decided, and never says. So what counts is what its mempool and its
blocks hold in the end. All of it may be repeated.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from etdb.errors import ConflictError, UnavailableError
from etdb.identity import Txid
from etdb.ledger.flo.account import Account
from etdb.ledger.flo.block import show_hash
from etdb.ledger.flo.rpc import Refusal, Rpc
from etdb.ledger.flo.tx import OutPoint, Transaction

_MOST_IN_BATCH = 500
_BATCH_BYTES = 2_000_000
_FIRST_PAUSE_S = 0.02
_LONGEST_PAUSE_S = 0.5
_IN_BLOCK = -27
"""The refusal of what a block holds already: as good as taken."""
_SPENT_WORDS = ("missing inputs", "txn-mempool-conflict", "inputs-missingorspent")
_HINTS = {
    "64": "wait for a block, then repeat",
    "66": "wait for a block; or the daemon asks for a higher fee than it says",
}
"""By the number that refusals of transactions begin with."""

Group = dict[Txid, Transaction]


@dataclass(frozen=True)
class Pace:
    """How patiently a mempool is looked at."""

    wait_s: float = 15.0
    """The longest time in which nothing new appears in it."""
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    now: Callable[[], float] = time.time
    """The time of day: how old a daemon's last block is."""


class Delivery:
    """Delivers to one daemon, from one wallet. Not thread-safe."""

    def __init__(self, rpc: Rpc, account: Account, pace: Pace) -> None:
        self._rpc = rpc
        self._account = account
        self._pace = pace

    def deliver(self, transactions: Sequence[Transaction]) -> None:
        """On return all of them are in the mempool or in a block.

        Those of the wallet that are on their way are sent again where they
        were dropped. Raises ConflictError where they must be made anew: a coin is
        spent otherwise, or they pay less than the daemon relays by now. Raises
        UnavailableError with the daemon's reason, if it gave one.
        """
        self._account.settle()
        asked = {tx.txid: tx for tx in transactions}
        wallet = self._account.wallet
        # What is on its way may be what the others spend.
        group = {tx.txid: tx for tx in wallet.list_pending()} | asked
        mempool = self._mempool()
        waiting = {
            txid: tx
            for txid, tx in group.items()
            if txid not in mempool and not self._account.is_in_block(tx)
        }
        for tx in group.values():
            wallet.note_pending(tx)
        refusals = self._send(waiting)
        missing = self._look(waiting, refusals)
        if missing:
            self._judge(missing, refusals, asked)

    def _mempool(self) -> set[Txid]:
        listed = self._rpc.call("getrawmempool")
        if not isinstance(listed, list):
            msg = f"the FLO daemon at {self._rpc.address} does not list its mempool"
            raise UnavailableError(msg)
        return {Txid(txid) for txid in listed if isinstance(txid, str)}

    def _send(self, group: Group) -> dict[Txid, Refusal]:
        """Hand them over in order; what was refused, and why."""
        refusals = {}
        for batch in _batches(group.values()):
            calls = [("sendrawtransaction", tx.encode().hex()) for tx in batch]
            answers = self._rpc.batch(calls)
            for tx, answer in zip(batch, answers, strict=True):
                if isinstance(answer, Refusal) and answer.code != _IN_BLOCK:
                    refusals[tx.txid] = answer
        return refusals

    def _look(self, group: Group, refusals: Mapping[Txid, Refusal]) -> Group:
        """Wait for as long as one may still come; those that did not."""
        missing, pause_s = dict(group), _FIRST_PAUSE_S
        deadline_s = self._pace.clock() + self._pace.wait_s
        while True:
            left = self._without_present(missing)
            if len(left) < len(missing):
                deadline_s = self._pace.clock() + self._pace.wait_s
            missing = left
            is_over = self._pace.clock() >= deadline_s
            if is_over or not self._is_any_open(missing, refusals):
                return missing
            self._pace.sleep(pause_s)
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)

    def _without_present(self, group: Group) -> Group:
        mempool = self._mempool() if group else set()
        left = {txid: tx for txid, tx in group.items() if txid not in mempool}
        if left:
            # A block may have come in between.
            self._account.settle()
            left = {
                txid: tx
                for txid, tx in left.items()
                if not self._account.is_in_block(tx)
            }
        return left

    def _is_any_open(self, missing: Group, refusals: Mapping[Txid, Refusal]) -> bool:
        """Whether one of these may still appear in the mempool."""
        hopeless = {*refusals}
        for txid, tx in missing.items():
            is_lost = self._account.is_spent_otherwise(tx)
            if is_lost or hopeless & _parents(tx):
                hopeless.add(txid)
        return not missing.keys() <= hopeless

    def _judge(
        self, missing: Group, refusals: Mapping[Txid, Refusal], asked: Group
    ) -> None:
        """Give up what never can be sent; raise where it is of what was asked."""
        self._account.learn_rate()
        lost, held, cheap = self._find_lost(missing, refusals)
        if lost:
            self._account.give_up([*lost.values()], held, cheap)
        for found, fail in ((lost, self._conflict), (missing, self._unavailable)):
            txids = [txid for txid in found if txid in asked]
            if txids:
                raise fail(
                    txids, [refusals[txid] for txid in txids if txid in refusals]
                )

    def _find_lost(
        self, missing: Group, refusals: Mapping[Txid, Refusal]
    ) -> tuple[Group, list[OutPoint], list[Transaction]]:
        """What must be made anew, coins to hold, and what pays too little.

        The first spend a coin that is spent otherwise, or gone, or pay less than
        the daemon relays by now. A coin is held where another transaction seems
        to spend it that is in no block yet. What spends one of `missing` fares
        as that one does.
        """
        mempool = self._mempool()
        lost: Group = {}
        held: list[OutPoint] = []
        cheap: list[Transaction] = []
        for txid, tx in missing.items():
            parents = _parents(tx)
            if parents & lost.keys() or self._account.is_spent_otherwise(tx):
                lost[txid] = tx
            elif parents & missing.keys():
                continue
            elif not all(self._is_there(item.outpoint, mempool) for item in tx.inputs):
                lost[txid] = tx
            elif txid in refusals and _is_about_coins(refusals[txid]):
                lost[txid] = tx
                held += [item.outpoint for item in tx.inputs]
            elif self._account.pays_too_little(tx):
                lost[txid] = tx
                cheap.append(tx)
        # A fan-out that nothing hangs on has said nothing that could be repeated.
        carrying = set().union(*map(_parents, missing.values()))
        return lost, held, [tx for tx in cheap if tx.flo_data or tx.txid in carrying]

    def _is_there(self, outpoint: OutPoint, mempool: set[Txid]) -> bool:
        if self._account.coins.find(outpoint) is not None:
            return True
        return show_hash(outpoint.txid_bytes) in mempool

    def _conflict(
        self, txids: Sequence[Txid], refusals: Sequence[Refusal]
    ) -> ConflictError:
        said = f"; the daemon says: {refusals[0]}" if refusals else ""
        why = "coins are spent otherwise, or the fee is too low by now"
        msg = f"{_named(txids)} cannot be sent: {why}{said}"
        return ConflictError(msg, hint="make new transactions", txids=list(txids))

    def _unavailable(
        self, txids: Sequence[Txid], refusals: Sequence[Refusal]
    ) -> UnavailableError:
        if not refusals:
            msg = (
                f"the FLO daemon at {self._rpc.address} does not keep {_named(txids)}"
                " and does not say why"
            )
            hint = "look at the daemon's own log: is the fee too low for it?"
            return UnavailableError(msg, hint=hint, txids=list(txids))
        first = refusals[0]
        msg = f"the FLO daemon at {self._rpc.address} refuses {_named(txids)}: {first}"
        return UnavailableError(
            msg,
            hint=_HINTS.get(
                first.message.partition(":")[0], "wait a while, then repeat"
            ),
            txids=list(txids),
            rpc_code=first.code,
            rpc_message=first.message,
        )


def _parents(transaction: Transaction) -> set[Txid]:
    return {Txid(show_hash(item.outpoint.txid_bytes)) for item in transaction.inputs}


def _is_about_coins(refusal: Refusal) -> bool:
    said = refusal.message.lower()
    return any(words in said for words in _SPENT_WORDS)


def _named(txids: Sequence[Txid]) -> str:
    others = f" and {len(txids) - 1} more" if len(txids) > 1 else ""
    return f"transaction {txids[0]}{others}"


def _batches(transactions: Iterable[Transaction]) -> Iterator[list[Transaction]]:
    batch: list[Transaction] = []
    size_bytes = 0
    for transaction in transactions:
        if batch and (
            len(batch) == _MOST_IN_BATCH
            or size_bytes + transaction.size_bytes > _BATCH_BYTES
        ):
            yield batch
            batch, size_bytes = [], 0
        batch.append(transaction)
        size_bytes += transaction.size_bytes
    if batch:
        yield batch
