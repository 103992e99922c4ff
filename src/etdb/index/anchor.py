"""What a publisher asks before it writes: what of its statements already stands.

Reads only. A statement counts by its content signature alone (class A): the
same digest without one may be anybody's copy, and proves nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from sqlalchemy import func, select

from etdb.identity import Address, Digest
from etdb.index.db import Index, find_tip
from etdb.index.rows import load_body
from etdb.index.schema import messages, records, versions
from etdb.index.statement import best_first

Statement = tuple[str, Digest]
"""Action and digest (PROTOCOL R2)."""

_BATCH = 500


def count_confirmations(
    index: Index, ledger_id: str, statements: Iterable[Statement]
) -> dict[Statement, int]:
    """How many blocks of a ledger hold or follow each statement's first anchor.

    1 is the last block; what is not anchored there is absent. An anchor on
    another ledger does not count: it may be somebody's copy.
    """
    found: dict[Statement, int] = {}
    with index.read() as connection:
        tip = find_tip(connection, ledger_id)
        for batch in _batches(list(statements)):
            rows = connection.execute(
                select(
                    messages.c.action,
                    messages.c.digest,
                    func.min(messages.c.height).label("height"),
                )
                .where(
                    messages.c.digest.in_([digest for _, digest in batch]),
                    messages.c["class"] == "A",
                    messages.c.ledger == ledger_id,
                )
                .group_by(messages.c.action, messages.c.digest)
            )
            heights = {(row.action, Digest(row.digest)): row.height for row in rows}
            for statement in batch:
                if tip is not None and statement in heights:
                    found[statement] = tip.height - heights[statement] + 1
    return found


def is_anchored(index: Index, ledger_id: str, action: str, digest: Digest) -> bool:
    """Whether a ledger holds a content-signed statement, as far as it is read."""
    statement = (action, digest)
    return statement in count_confirmations(index, ledger_id, [statement])


def list_earlier_bodies(index: Index, record_id: str) -> list[dict[str, Any]]:
    """What the versions of a record before the current one say, the newest first."""
    said = (
        select(messages.c.action, messages.c.digest, messages.c.text)
        .join(versions, versions.c.digest == messages.c.digest)
        .join(records, records.c.id == versions.c.record_id)
        .where(
            records.c.id == record_id,
            messages.c.root == record_id,
            messages.c.action.in_(("publish", "edit")),
            versions.c.digest != records.c.current,
        )
        .order_by(versions.c.number.desc(), *best_first())
    )
    with index.read() as connection:
        rows = connection.execute(said).all()
    first = {row.digest: row for row in reversed(rows)}
    return [load_body(row.action, row.text) for row in rows if row is first[row.digest]]


def list_sids(index: Index, address: Address) -> frozenset[str]:
    """The lab's own ids under which an address has listed records of class A, B."""
    chosen = select(records.c.sid).where(
        records.c.publisher == address,
        records.c["class"].in_(("A", "B")),
        records.c.is_listed.is_(True),
        records.c.sid.is_not(None),
    )
    with index.read() as connection:
        return frozenset(connection.scalars(chosen))


def _batches(statements: Sequence[Statement]) -> Iterator[Sequence[Statement]]:
    for start in range(0, len(statements), _BATCH):
        yield statements[start : start + _BATCH]
