"""One block into the index, and out of it again.

Everything that a block says becomes rows, verdicts included, in one
transaction with the block itself: the index never claims a block that it does
not hold. Going back is one DELETE; see `etdb.index.schema`.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import delete, exists
from sqlalchemy.engine import Connection

from etdb.errors import ConflictError
from etdb.index.db import Index, find_tip, get_ledger
from etdb.index.derive import Judged, derive
from etdb.index.partset import PartSets
from etdb.index.reading import ReadBlock
from etdb.index.rows import Row, message_row, rejected_row
from etdb.index.schema import blocks, messages, parts, rejected
from etdb.ledger.base import Block, LedgerInfo, Tip
from etdb.record.message import Coverage, LedgerKind, Place
from etdb.record.parts import Part
from etdb.record.rules import Rejection, Statement, judge

KEPT_BLOCKS = 2_000
"""So many of a ledger's last blocks are kept even where they carry nothing.

More than any network lets a reorganisation undo.
"""


def apply_blocks(index: Index, ledger_id: str, read: Sequence[ReadBlock]) -> None:
    """Add blocks in one transaction: rows, verdicts and tip, or nothing.

    Raises ConflictError where a block is not the one after the tip. Whatever
    the blocks carry raises nothing.
    """
    if not read:
        return
    added = [each.block for each in read]
    with index.write() as connection:
        info = get_ledger(connection, ledger_id)
        tip = find_tip(connection, ledger_id)
        _verify_chain(info, tip, added)
        connection.execute(blocks.insert(), [_block_row(info, each) for each in added])
        rows = _BlockRows(connection, info)
        for each in read:
            rows.take(each)
        rows.finish()
        _forget_empty(connection, ledger_id, tip, added[-1].height)
        derive(connection, rows.judged)


def rollback(index: Index, ledger_id: str, to_height: int) -> None:
    """Forget every block above a height, and all that follows from them.

    Where the block at that height was empty and long ago, the tip is then the
    last before it that is kept.
    """
    with index.write() as connection:
        sets = PartSets(connection, ledger_id)
        passed = sets.list_passed(to_height)
        connection.execute(
            delete(blocks).where(
                blocks.c.ledger == ledger_id, blocks.c.height > to_height
            )
        )
        sets.rewind(passed)
        derive(connection, {})


def _block_row(info: LedgerInfo, block: Block) -> Row:
    return {
        "ledger": info.id,
        "height": block.height,
        "hash": block.hash,
        "time": block.time,
    }


def _verify_chain(info: LedgerInfo, tip: Tip | None, added: Sequence[Block]) -> None:
    for block in added:
        expected = info.first_height if tip is None else tip.height + 1
        if block.height != expected:
            msg = f"block {block.height} does not follow the tip; {expected} does"
            raise ConflictError(msg, height=block.height, expected=expected)
        if tip is not None and block.previous != tip.hash:
            msg = (
                f"block {block.height} follows {block.previous}, not the tip {tip.hash}"
            )
            raise ConflictError(msg, height=block.height, tip=tip.hash)
        tip = Tip(block.height, block.hash)


def _forget_empty(
    connection: Connection, ledger_id: str, before: Tip | None, height: int
) -> None:
    """Drop the blocks that carry nothing and are no longer among the last."""
    end = height - KEPT_BLOCKS
    old = (blocks.c.ledger == ledger_id) & (blocks.c.height <= end)
    if before is not None:
        old &= blocks.c.height > before.height - KEPT_BLOCKS
    carries = [
        exists().where(
            facts.c.ledger == blocks.c.ledger, facts.c.height == blocks.c.height
        )
        for facts in (messages, parts, rejected)
    ]
    connection.execute(delete(blocks).where(old, *(~each for each in carries)))


class _BlockRows:
    """Turns the blocks of one ledger into rows, in order."""

    def __init__(self, connection: Connection, info: LedgerInfo) -> None:
        self._connection = connection
        self._kind: LedgerKind = info.kind
        self._sets = PartSets(connection, info.id)
        self._accepted: list[Row] = []
        self._rejected: list[Row] = []
        self.judged: Judged = {}

    def take(self, read: ReadBlock) -> None:
        """Take what the next block says."""
        for said in read.said:
            if isinstance(said.outcome, Part):
                self._sets.add(said.outcome, said.place, said.coverage)
            else:
                self._note(said.outcome, said.place, said.coverage)

    def finish(self) -> None:
        """Add the rows of all that was taken."""
        self._read_completed()
        if self._accepted:
            self._connection.execute(messages.insert(), self._accepted)
        if self._rejected:
            self._connection.execute(rejected.insert(), self._rejected)

    def _read_completed(self) -> None:
        for completed in self._sets.complete():
            outcome: Statement | Rejection | None
            if isinstance(completed.text, Rejection):
                outcome = completed.text
            else:
                outcome = judge(
                    completed.text,
                    place=completed.place,
                    ledger_kind=self._kind,
                    parts=completed.parts,
                )
            self._note(outcome, completed.place, completed.coverage)

    def _note(
        self,
        outcome: Statement | Rejection | None,
        place: Place,
        coverage: Coverage,
    ) -> None:
        if isinstance(outcome, Rejection):
            self._rejected.append(rejected_row(outcome, place))
        elif outcome is not None:
            self._accepted.append(message_row(outcome, place, coverage))
            self.judged[place] = outcome
