"""Coins: which a chain has, which are ours, and transactions made of them.

One coin in, its change out: a wallet of many coins can compose thousands of
transactions before the first is in a block. What they spend beyond that is
the fee, and on an embedded chain it comes back through the coinbase.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from etdb.errors import ConflictError, InvalidDataError, UnavailableError
from etdb.ledger.flo.block import COINBASE_MATURITY
from etdb.ledger.flo.script import Unlock, pay_to, verify_input
from etdb.ledger.flo.tx import SIGHASH_ALL, OutPoint, Transaction, TxIn, TxOut
from etdb.ledger.flo.wire import encode_compact
from etdb.record.signing import PrivateKey, hash160

MAX_DATA_BYTES = 1040
"""What FLO nodes relay of floData in one transaction."""
FEE_SAT_PER_KB = 10_000
MAX_UNCONFIRMED_DEPTH = 1250
"""How long a chain of unconfirmed transactions FLO nodes take."""
_STANDARD_BYTES = range(65, 100_001)
"""One of 64 bytes could pass as a node of the merkle tree."""
_LEAST_CHANGE_SAT = 100_000
_FRAME_BYTES = 10
_INPUT_BYTES = 148
_OUTPUT_BYTES = 34


@dataclass(frozen=True, slots=True)
class Coin:
    """One unspent output, and the block that made it."""

    output: TxOut
    height: int
    is_coinbase: bool

    def is_mature(self, height: int) -> bool:
        """Whether a block at this height may spend it."""
        return not self.is_coinbase or height - self.height >= COINBASE_MATURITY


class Coins:
    """The unspent outputs of a chain, or what is left with a group on top."""

    def __init__(self, below: Coins | None = None) -> None:
        self._below = below
        self._made: dict[OutPoint, Coin] = {}
        self._spent: set[OutPoint] = set()

    def find(self, outpoint: OutPoint) -> Coin | None:
        """The coin, if there is one and it is not spent."""
        coin = self._made.get(outpoint)
        if coin is None and self._below is not None and outpoint not in self._spent:
            return self._below.find(outpoint)
        return coin

    def apply(self, transaction: Transaction, height: int) -> None:
        """Spend its inputs and add its outputs; nothing is checked."""
        is_coinbase = transaction.is_coinbase
        for item in () if is_coinbase else transaction.inputs:
            if self._made.pop(item.outpoint, None) is None:
                self._spent.add(item.outpoint)
        for index, output in enumerate(transaction.outputs):
            outpoint = OutPoint(transaction.txid_bytes, index)
            self._made[outpoint] = Coin(output, height, is_coinbase)

    def verify_spend(self, transaction: Transaction, height: int) -> int:
        """The fee, if a block at this height may hold the transaction.

        Raises ConflictError where a coin is unknown, spent or not mature, and
        InvalidDataError where the transaction itself is wrong.
        """
        outpoints = {item.outpoint for item in transaction.inputs}
        if not outpoints or len(outpoints) < len(transaction.inputs):
            msg = f"transaction {transaction.txid} spends nothing, or a coin twice"
            raise InvalidDataError(msg)
        paid_sat = 0
        for index, item in enumerate(transaction.inputs):
            coin = self.find(item.outpoint)
            if coin is None or not coin.is_mature(height):
                msg = f"input {index} of {transaction.txid} cannot be spent (any more)"
                raise ConflictError(msg)
            verify_input(transaction, index, coin.output.script)
            paid_sat += coin.output.value_sat
        fee_sat = paid_sat - sum(output.value_sat for output in transaction.outputs)
        if fee_sat < 0:
            msg = f"transaction {transaction.txid} pays out more than it spends"
            raise InvalidDataError(msg)
        return fee_sat

    def iter_own(self, script: bytes) -> Iterator[tuple[OutPoint, Coin]]:
        """The coins of the chain itself that a script guards."""
        for outpoint, coin in self._made.items():
            if coin.output.script == script:
                yield outpoint, coin


def verify_standard(transaction: Transaction) -> None:
    """What FLO nodes relay and an embedded chain may hold.

    Raises InvalidDataError.
    """
    what = f"transaction {transaction.txid}"
    if transaction.witness:
        msg = f"{what} has a witness"
        raise InvalidDataError(msg)
    if transaction.size_bytes not in _STANDARD_BYTES:
        msg = f"{what} has {transaction.size_bytes} bytes"
        raise InvalidDataError(msg)
    if len(transaction.flo_data) > MAX_DATA_BYTES:
        msg = f"{what} carries {len(transaction.flo_data)} bytes of floData"
        raise InvalidDataError(msg)


def fee_sat(size_bytes: int) -> int:
    """The fee of one coin in, one out, with floData of this size."""
    data_bytes = len(encode_compact(size_bytes)) + size_bytes
    return _fee_of(_FRAME_BYTES + _INPUT_BYTES + _OUTPUT_BYTES + data_bytes)


def _fee_of(total_bytes: int) -> int:
    return -(-total_bytes * FEE_SAT_PER_KB // 1000)


class Wallet:
    """Composes transactions of one key's coins, the shallowest coin first."""

    def __init__(self, key: PrivateKey) -> None:
        self._key = key
        self.script = pay_to(hash160(key.public_key))
        self._reserved: set[OutPoint] = set()
        self._queue: list[tuple[int, int, OutPoint]] = []

    def load(self, coins: Coins, height: int) -> None:
        """Take what a block at this height may spend and is not yet promised."""
        self._queue = [
            (0, -coin.output.value_sat, outpoint)
            for outpoint, coin in coins.iter_own(self.script)
            if coin.is_mature(height) and outpoint not in self._reserved
        ]
        heapq.heapify(self._queue)

    def settle(self, transaction: Transaction) -> None:
        """A block holds it: what it spends need not be remembered."""
        self._reserved.difference_update(item.outpoint for item in transaction.inputs)

    def compose(self, data: bytes) -> Transaction:
        """A signed transaction carrying `data`, its change back to the wallet.

        Raises InvalidDataError over 1,040 bytes, UnavailableError when no coin
        is left, or none that is less than 1,250 transactions deep.
        """
        if len(data) > MAX_DATA_BYTES:
            msg = f"{len(data)} bytes for one transaction; {MAX_DATA_BYTES} go in"
            raise InvalidDataError(msg)
        fee = fee_sat(len(data))
        depth, value_sat, outpoint = self._take_coin(fee + _LEAST_CHANGE_SAT)
        change = TxOut(value_sat - fee, self.script)
        transaction = self._sign(
            Transaction(2, (_spend(outpoint),), (change,), 0, data)
        )
        self._reserved.add(outpoint)
        made = OutPoint(transaction.txid_bytes, 0)
        heapq.heappush(self._queue, (depth + 1, -change.value_sat, made))
        return transaction

    def fan_out(self, spent: Sequence[Transaction], count: int) -> Transaction:
        """One transaction that makes `count` equal coins of these first outputs."""
        size_bytes = (
            _FRAME_BYTES + len(spent) * _INPUT_BYTES + count * _OUTPUT_BYTES + 1
        )
        total_sat = sum(item.outputs[0].value_sat for item in spent)
        share_sat = (total_sat - _fee_of(size_bytes)) // count
        inputs = tuple(_spend(OutPoint(item.txid_bytes, 0)) for item in spent)
        outputs = (TxOut(share_sat, self.script),) * count
        return self._sign(Transaction(2, inputs, outputs))

    def _take_coin(self, least_sat: int) -> tuple[int, int, OutPoint]:
        while self._queue and self._queue[0][0] < MAX_UNCONFIRMED_DEPTH:
            depth, negative_sat, outpoint = heapq.heappop(self._queue)
            if -negative_sat >= least_sat:
                return depth, -negative_sat, outpoint
        if self._queue:
            msg = f"every coin is {MAX_UNCONFIRMED_DEPTH} unconfirmed transactions deep"
            raise UnavailableError(msg, hint="send what is composed first")
        msg = "the wallet has no coin that would pay for the transaction"
        raise UnavailableError(msg)

    def _sign(self, transaction: Transaction) -> Transaction:
        signed = []
        for index, item in enumerate(transaction.inputs):
            sighash = transaction.sighash(index, self.script, SIGHASH_ALL)
            unlock = Unlock(
                self._key.sign_hash(sighash), SIGHASH_ALL, self._key.public_key
            )
            signed.append(item._replace(script=unlock.encode()))
        return replace(transaction, inputs=tuple(signed))


def _spend(outpoint: OutPoint) -> TxIn:
    return TxIn(outpoint, b"")
