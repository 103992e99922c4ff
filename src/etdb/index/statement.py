"""Statements as the rules see them, from the rows of messages that hold them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from sqlalchemy import ColumnElement, FromClause, select
from sqlalchemy.engine import Connection
from sqlalchemy.engine import Row as Fetched

from etdb.errors import NotFoundError
from etdb.identity import Digest
from etdb.index.rows import load_body
from etdb.index.schema import messages, records
from etdb.record.rules import RecordClass, Revision, Statement

LIGHT = (
    messages.c.action,
    messages.c.digest,
    messages.c["class"],
    messages.c.address,
    messages.c.timestamp,
    messages.c.root,
    messages.c.number,
    messages.c.previous,
)
"""What of a statement decides, without what it says."""

_ANCHOR_ORDER = ("class", "time", "ledger", "height", "position", "txid")


def best_first(anchors: FromClause = messages) -> tuple[ColumnElement[Any], ...]:
    """The order of a statement's anchors; the names of classes sort best first."""
    return tuple(anchors.c[name] for name in _ANCHOR_ORDER)


def statement_of(row: Any, body: dict[str, Any], text: str) -> Statement:
    """The statement of a row of messages that holds the columns of LIGHT."""
    revision = None
    if row.number is not None:
        revision = Revision(Digest(row.root), row.number, Digest(row.previous))
    return Statement(
        action=row.action,
        digest=Digest(row.digest),
        record_class=RecordClass(row._mapping["class"]),
        address=row.address,
        timestamp=row.timestamp,
        body=body,
        revision=revision,
        target=row.root if row.action == "deactivate" else None,
        text=text,
    )


def get_root(connection: Connection, record_id: str) -> tuple[Statement, Fetched[Any]]:
    """A record's root as it was judged, and the message that gives its place.

    Raises NotFoundError.
    """
    found = connection.execute(
        select(messages, records.c["class"].label("judged"))
        .join(records, records.c.anchor == messages.c.row)
        .where(records.c.id == record_id)
    ).one_or_none()
    if found is None:
        raise NotFoundError("record", record_id)
    root = statement_of(found, load_body("publish", found.text), found.text)
    return replace(root, record_class=RecordClass(found.judged)), found
