"""One block into the index, and out of it again.

Everything that a block says becomes rows, verdicts included, in one
transaction with the block itself: the index never claims a block that it does
not hold. Going back is one DELETE; see `etdb.index.schema`.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import delete
from sqlalchemy.engine import Connection

from etdb.errors import ConflictError
from etdb.index.db import Index, find_tip, get_ledger_kind
from etdb.index.derive import Judged, derive
from etdb.index.partset import PartSets
from etdb.index.rows import Row, message_row, rejected_row
from etdb.index.schema import blocks, messages, rejected
from etdb.ledger.base import Block, Carried
from etdb.record.message import Kind, LedgerKind, Place, kind_of
from etdb.record.rules import Rejection, Statement, judge


def apply_block(index: Index, ledger_id: str, block: Block) -> None:
    """Add the block after the tip. Raises ConflictError if it is not that."""
    apply_blocks(index, ledger_id, (block,))


def apply_blocks(index: Index, ledger_id: str, added: Sequence[Block]) -> None:
    """Add blocks in one transaction: rows, verdicts and tip, or nothing.

    Raises ConflictError where a block is not the one after the tip. Whatever
    the blocks carry raises nothing.
    """
    with index.write() as connection:
        kind = get_ledger_kind(connection, ledger_id)
        reader = _BlockReader(connection, ledger_id, kind)
        for block in added:
            _verify_next(connection, ledger_id, block)
            reader.read(block)
        derive(connection, reader.judged)


def rollback(index: Index, ledger_id: str, to_height: int) -> None:
    """Forget every block above a height, and all that follows from them."""
    with index.write() as connection:
        connection.execute(
            delete(blocks).where(
                blocks.c.ledger == ledger_id, blocks.c.height > to_height
            )
        )
        derive(connection, {})


def _verify_next(connection: Connection, ledger_id: str, block: Block) -> None:
    tip = find_tip(connection, ledger_id)
    expected = 0 if tip is None else tip.height + 1
    if block.height != expected:
        msg = f"block {block.height} does not follow the tip; {expected} does"
        raise ConflictError(msg, height=block.height, expected=expected)
    if tip is not None and block.previous != tip.hash:
        msg = f"block {block.height} follows {block.previous}, not the tip {tip.hash}"
        raise ConflictError(msg, height=block.height, tip=tip.hash)


class _BlockReader:
    """Turns the blocks of one ledger into rows, in order."""

    def __init__(
        self, connection: Connection, ledger_id: str, kind: LedgerKind
    ) -> None:
        self._connection = connection
        self._ledger_id = ledger_id
        self._kind = kind
        self._sets = PartSets(connection, ledger_id)
        self._accepted: list[Row] = []
        self._rejected: list[Row] = []
        self.judged: Judged = {}

    def read(self, block: Block) -> None:
        """Add the rows of the next block."""
        self._connection.execute(
            blocks.insert().values(
                ledger=self._ledger_id,
                height=block.height,
                hash=block.hash,
                time=block.time,
            )
        )
        for carried in block.carried:
            self._read_message(block, carried)
        self._read_completed(block)
        self._flush()

    def _read_message(self, block: Block, carried: Carried) -> None:
        place = Place(
            self._ledger_id, block.height, carried.position, carried.txid, block.time
        )
        text = carried.data.decode("utf-8", "surrogateescape")
        if kind_of(text) is Kind.PART:
            self._note(self._sets.add(text, place), place)
        else:
            self._note(judge(text, place=place, ledger_kind=self._kind), place)

    def _read_completed(self, block: Block) -> None:
        for completed in self._sets.complete(block.height):
            place = Place(
                self._ledger_id,
                block.height,
                completed.position,
                completed.first_txid,
                block.time,
            )
            if isinstance(completed.text, Rejection):
                self._note(completed.text, place)
                continue
            outcome = judge(
                completed.text,
                place=place,
                ledger_kind=self._kind,
                parts=completed.parts,
            )
            self._note(outcome, place)

    def _note(self, outcome: Statement | Rejection | None, place: Place) -> None:
        if isinstance(outcome, Rejection):
            self._rejected.append(rejected_row(outcome, place))
        elif outcome is not None:
            self._accepted.append(message_row(outcome, place))
            self.judged[place] = outcome

    def _flush(self) -> None:
        if self._accepted:
            self._connection.execute(messages.insert(), self._accepted)
        if self._rejected:
            self._connection.execute(rejected.insert(), self._rejected)
        self._accepted, self._rejected = [], []
