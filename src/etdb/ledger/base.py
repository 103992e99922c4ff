"""The promise every ledger keeps.

A ledger is an ordered list of blocks, each carrying texts. Who may say what is
not its affair; it says who said it when.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from etdb.identity import BlockHash, Txid
from etdb.record.message import Coverage, LedgerKind


@dataclass(frozen=True)
class LedgerInfo:
    """Which ledger, and how much of it is read.

    The id of a FLO network is the hash of its genesis block, that of an
    embedded chain the hash of its block 1.
    """

    id: str
    kind: LedgerKind
    first_height: int = 0
    """Where reading begins: an index holds nothing below."""
    max_reorg_blocks: int | None = field(default=None, compare=False)
    """The deepest reorganisation that its nodes follow; None is any."""


@dataclass(frozen=True)
class Tip:
    """The last block of a ledger, or the last that an index holds."""

    height: int
    hash: BlockHash


@dataclass(frozen=True)
class Carried:
    """What one transaction carries for us (its floData), as bytes."""

    txid: Txid
    position: int
    data: bytes
    coverage: Coverage


@dataclass(frozen=True)
class Block:
    """One block: its place in the chain and what it carries, in order.

    Transactions without floData are left out; `position` counts them.
    """

    height: int
    hash: BlockHash
    previous: BlockHash
    time: int
    carried: tuple[Carried, ...]


@dataclass(frozen=True)
class SignedTransaction:
    """A transaction ready to be sent, any number of times, by anybody."""

    txid: Txid
    raw: bytes
    fee_sat: int


class LedgerReader(Protocol):
    """An ordered, permanent list of texts, to be read."""

    @property
    def info(self) -> LedgerInfo:
        """Which ledger this is; never changes."""

    def tip(self) -> Tip:
        """The last block now, whoever wrote it. Raises UnavailableError."""

    def block(self, height: int) -> Block:
        """The block at a height. Raises NotFoundError, UnavailableError."""

    def find_hash(self, height: int) -> BlockHash | None:
        """The hash of the block at a height now; None where there is none.

        Costs little, whatever the block holds. Raises UnavailableError.
        """

    def iter_blocks(self, first: int, last: int) -> Iterator[Block]:
        """The blocks of these heights, in order; ends early where the chain does.

        Reads ahead where that is faster. A chain that is reorganised meanwhile
        shows in `previous`. Raises UnavailableError.
        """

    def raw_transaction(self, height: int, position: int) -> bytes:
        """A whole transaction as the ledger holds it.

        Raises NotFoundError, UnavailableError.
        """


class Ledger(LedgerReader, Protocol):
    """A ledger that can also be written."""

    def prepare(self, sizes_bytes: Sequence[int]) -> None:
        """Make sure that texts of these sizes can be composed now.

        May send a transaction that splits the wallet's coins. Raises
        UnavailableError saying what is missing: coins, and where to send them,
        or a block that must come first.
        """

    def fee_sat(self, size_bytes: int) -> int:
        """What carrying a text of this size in one transaction would cost."""

    def compose(self, data: bytes) -> SignedTransaction:
        """A signed transaction carrying `data`; nothing is sent.

        Each call spends other coins than those composed before and not yet
        sent. Raises UnavailableError without enough coins.
        """

    def send(self, transactions: Sequence[SignedTransaction]) -> None:
        """Hand transactions to the ledger, as one group where it can.

        On return they are accepted; on an embedded chain they are in a block
        that is on disk. Repeating is harmless. Raises UnavailableError, and
        ConflictError where it must be composed anew: a coin was spent otherwise,
        or the fee is too low by now.
        """
