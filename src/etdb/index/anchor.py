"""What a publisher asks before it writes: what of its statements already stands.

Reads only. A statement counts by its content signature alone (class A): the
same digest without one may be anybody's copy, and proves nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from sqlalchemy import func, select

from etdb.errors import NotFoundError
from etdb.identity import Address, Digest
from etdb.index.db import Index, find_tip
from etdb.index.derive import best_first
from etdb.index.rows import load_body
from etdb.index.schema import messages, records, versions

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


def get_root_body(index: Index, record_id: str) -> dict[str, Any]:
    """What a record said when it was first published: it alone names heirs (R5).

    Raises NotFoundError.
    """
    with index.read() as connection:
        text = connection.scalar(
            select(messages.c.text)
            .where(messages.c.digest == record_id, messages.c.action == "publish")
            .order_by(*best_first())
            .limit(1)
        )
    if text is None:
        raise NotFoundError("record", record_id)
    return load_body("publish", text)


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


def find_register(index: Index, address: Address) -> dict[str, Any] | None:
    """What an address says of itself now under a content signature (R6)."""
    with index.read() as connection:
        text = connection.scalar(
            select(messages.c.text)
            .where(
                messages.c.address == address,
                messages.c.action == "register",
                messages.c["class"] == "A",
            )
            .order_by(messages.c.timestamp.desc(), messages.c.digest, *best_first())
            .limit(1)
        )
    return None if text is None else load_body("register", text)


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
