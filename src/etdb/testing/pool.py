"""A ledger in memory that others write too: coins, a pool, blocks now and then.

What is sent waits in the pool until somebody mines. Each transaction spends one
coin and makes its change; a coin is spent once, by whichever transaction is
there first. Nothing is signed, so anybody can change the form of a transaction
in the pool, as malleation does.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from etdb.errors import ConflictError, UnavailableError
from etdb.ledger.base import Block, Carried, SignedTransaction
from etdb.record.message import Coverage
from etdb.testing.ledger import Effect, MemoryLedger

_COIN_BYTES = 32
_FORM_BYTES = 1
_HEAD_BYTES = _COIN_BYTES + _FORM_BYTES


class PoolLedger(MemoryLedger):
    """A raw transaction is the coin it spends, a byte of form, and its data."""

    def __init__(self, coins: int = 8, *, needs_fan_out: bool = False) -> None:
        super().__init__()
        self._funded = 0
        self._coins: list[bytes] = []
        self._spent: set[bytes] = set()
        self._reserved: set[bytes] = set()
        self._change: list[bytes] = []
        self._awaited = 0
        self._needs_fan_out = needs_fan_out
        self.pool: list[SignedTransaction] = []
        self.fund(coins)

    def fund(self, coins: int) -> None:
        """Give the wallet this many more coins."""
        for _ in range(coins):
            self._funded += 1
            self._coins.append(hashlib.sha256(f"{self._funded}".encode()).digest())

    def restart(self) -> None:
        """Forget what was composed and not sent, as a new process does."""
        self._reserved.clear()
        self._change.clear()

    def prepare(self, sizes_bytes: Sequence[int]) -> None:
        """Split coins, if this ledger needs that; it takes a block."""
        super().prepare(sizes_bytes)
        if self._needs_fan_out:
            self._awaited = len(sizes_bytes)
        if self._awaited:
            msg = "the wallet's coins were split: a block must come first"
            raise UnavailableError(msg)
        if self._find_coin() is None:
            msg = "the wallet has no coins"
            raise UnavailableError(msg, hint="send some to its address")

    def compose(self, data: bytes) -> SignedTransaction:
        """Spend the first coin that is not promised; its change comes last."""
        coin = self._find_coin()
        if coin is None:
            msg = "the wallet has no coin that would pay for the transaction"
            raise UnavailableError(msg)
        self._reserved.add(coin)
        transaction = self._transaction(coin, 0, data)
        self._change.append(bytes.fromhex(transaction.txid))
        return transaction

    def send(self, transactions: Sequence[SignedTransaction]) -> None:
        """Take them one by one; the effect `send` is asked for each.

        Raises ConflictError at the first whose coin is spent or unknown; the
        wallet then forgets what it composed and could not send.
        """
        for transaction in transactions:
            is_applied, error = self.effect("send")
            if is_applied:
                self._take(transaction)
            if error is not None:
                raise error

    def deliver(self) -> Block:
        """Mine what is in the pool."""
        if self._awaited:
            self.fund(self._awaited)
            self._awaited, self._needs_fan_out = 0, False
        taken, self.pool = self.pool, []
        return self._extend(
            [
                Carried(tx.txid, position, tx.raw[_HEAD_BYTES:], Coverage.COVERED)
                for position, tx in enumerate(taken, 1)
            ]
        )

    def drop(self) -> None:
        """Forget the pool, as a restarted daemon does."""
        for transaction in self.pool:
            self._spent.discard(transaction.raw[:_COIN_BYTES])
            self._coins.remove(bytes.fromhex(transaction.txid))
        self.pool = []

    def reorganise(
        self, depth: int, branch: Sequence[Sequence[str | bytes]] = ()
    ) -> tuple[Carried, ...]:
        """As any; what fell out is not in the pool, and its coins are free."""
        dropped = super().reorganise(depth, branch)
        for carried in dropped:
            self._spent.discard(self._raws[carried.txid][:_COIN_BYTES])
            self._coins.remove(bytes.fromhex(carried.txid))
        return dropped

    def malleate(self, number: int) -> SignedTransaction:
        """Put another form of one of the pool in its place; who spent it goes."""
        head, data = self._cut(number)
        other = self._transaction(head[:_COIN_BYTES], head[_COIN_BYTES] + 1, data)
        self._replace(number, other)
        self._coins.append(bytes.fromhex(other.txid))
        return other

    def snatch(self, number: int) -> None:
        """Spend the coin of one of the pool otherwise; who spent it goes."""
        head, _ = self._cut(number)
        self._replace(number, self._transaction(head[:_COIN_BYTES], 1, b"another's"))

    def _cut(self, number: int) -> tuple[bytes, bytes]:
        raw = self.pool[number].raw
        return raw[:_HEAD_BYTES], raw[_HEAD_BYTES:]

    def _find_coin(self) -> bytes | None:
        taken = self._spent | self._reserved
        ours = (*self._coins, *self._change)
        return next((coin for coin in ours if coin not in taken), None)

    def _take(self, transaction: SignedTransaction) -> None:
        if transaction in self.pool or self.find_height(transaction.txid) is not None:
            return
        coin = transaction.raw[:_COIN_BYTES]
        if coin in self._spent or coin not in self._coins:
            self.restart()
            msg = f"the coin of {transaction.txid} is spent otherwise or unknown"
            raise ConflictError(msg)
        self._spent.add(coin)
        self._coins.append(bytes.fromhex(transaction.txid))
        self.pool.append(transaction)

    def _replace(self, number: int, other: SignedTransaction) -> None:
        gone, self.pool[number] = self.pool[number], other
        self._orphan(bytes.fromhex(gone.txid))

    def _orphan(self, coin: bytes) -> None:
        """What spent a coin that is not there any more cannot be mined either."""
        self._coins.remove(coin)
        self._spent.discard(coin)
        for child in [tx for tx in self.pool if tx.raw[:_COIN_BYTES] == coin]:
            self.pool.remove(child)
            self._orphan(bytes.fromhex(child.txid))

    def _transaction(self, coin: bytes, form: int, data: bytes) -> SignedTransaction:
        raw = coin + bytes([form]) + data
        transaction = SignedTransaction(self._txid(raw), raw, self.fee_sat(len(data)))
        self._raws[transaction.txid] = raw
        return transaction


def fail_nth(
    effect: str, number: int, error: BaseException, *, is_applied: bool
) -> Effect:
    """An effect that fails once, at its n-th time, before or after it is done."""
    left = number

    def ask(name: str) -> tuple[bool, BaseException | None]:
        nonlocal left
        if name == effect:
            left -= 1
            if left == 0:
                return is_applied, error
        return True, None

    return ask
