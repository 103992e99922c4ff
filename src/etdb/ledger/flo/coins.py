"""Coins: which a chain has, which are ours, and who may spend them.

The coins of a whole chain are kept in memory here, as an embedded chain is
checked against all of them; of a FLO network only the wallet's own are kept, in
`coinbook`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from etdb.errors import ConflictError, InvalidDataError
from etdb.ledger.flo.block import COINBASE_MATURITY
from etdb.ledger.flo.script import verify_input
from etdb.ledger.flo.tx import OutPoint, Transaction, TxOut
from etdb.record.parts import MAX_MESSAGE_BYTES

_STANDARD_BYTES = range(65, 100_001)
"""One of 64 bytes could pass as a node of the merkle tree."""


@dataclass(frozen=True, slots=True)
class Coin:
    """One unspent output, and the block that made it."""

    output: TxOut
    height: int
    is_coinbase: bool

    def is_mature(self, height: int) -> bool:
        """Whether a block at this height may spend it."""
        return not self.is_coinbase or height - self.height >= COINBASE_MATURITY


class CoinSource(Protocol):
    """Where a wallet finds its coins: those of blocks, unspent in blocks."""

    def find(self, outpoint: OutPoint) -> Coin | None:
        """The coin, if there is one and no block spends it."""

    def iter_own(self, script: bytes) -> Iterator[tuple[OutPoint, Coin]]:
        """The coins that a script guards and no block spends."""

    def list_undone(self) -> Sequence[Transaction]:
        """Transactions of the wallet that a reorganisation took out of the chain.

        In an order in which they can be sent again; those that no longer can
        are left out.
        """


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

    def verify_spend(
        self, transaction: Transaction, height: int, *, is_signed: bool = False
    ) -> int:
        """The fee, if a block at this height may hold the transaction.

        With `is_signed` its signatures are known to be right. Raises
        ConflictError where a coin is unknown, spent or not mature, and
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
            if not is_signed:
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

    def list_undone(self) -> Sequence[Transaction]:
        """None: a chain of our own is never reorganised."""
        return ()


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
    if len(transaction.flo_data) > MAX_MESSAGE_BYTES:
        msg = f"{what} carries {len(transaction.flo_data)} bytes of floData"
        raise InvalidDataError(msg)
