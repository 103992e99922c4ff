"""Edits as documents of the old daemon, ours and the historical ones.

`meta.completed` says that an edit is part of its record's history. Historical
edits never are (PROTOCOL R4): they are `meta.invalid`.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from sqlalchemy import exists, func, or_, select
from sqlalchemy.engine import Connection
from sqlalchemy.engine import Row as Fetched

from etdb.index.oip.page import (
    Hits,
    Key,
    Sortable,
    Window,
    columns_of,
    directed,
    follows,
    order_by,
    tell,
)
from etdb.index.oip.text import Columns, row_condition
from etdb.index.schema import blocks, messages, records, versions
from etdb.index.search import Expression
from etdb.record.canonical import parse_message_text
from etdb.record.oip042 import read_envelope
from etdb.record.rules import RecordClass

_anchor = messages.alias("anchor")
_about = messages.alias("about")
_ORIGINAL = (
    select(_anchor.c.txid)
    .join(records, records.c.anchor == _anchor.c.row)
    .where(records.c.id == messages.c.root, records.c.is_listed.is_(True))
    .correlate(messages)
    .scalar_subquery()
)
_NAMED = (
    select(_about.c.txid)
    .join(records, records.c.id == _about.c.root)
    .where(
        _about.c.txid == messages.c.names,
        _about.c.action == "publish",
        records.c.is_listed.is_(True),
    )
    .limit(1)
    .correlate(messages)
    .scalar_subquery()
)
_ORIGINAL_TXID = func.coalesce(_ORIGINAL, _NAMED)
_IS_ACCEPTED = exists().where(
    versions.c.record_id == messages.c.root, versions.c.digest == messages.c.digest
)
_COLUMNS: Columns = {
    "text": messages.c.text,
    "txid": messages.c.txid,
    "height": messages.c.height,
    "time": messages.c.time,
    "timestamp": messages.c.timestamp,
    "names": _ORIGINAL_TXID,
}
_NEWEST = (
    Key(messages.c.time, is_descending=True, is_time=True),
    Key(messages.c.txid),
)
_SORTS: Mapping[str, Sortable] = MappingProxyType(
    {
        "edit.timestamp": Sortable(messages.c.timestamp, is_known=True),
        "meta.txid": Sortable(messages.c.txid, is_known=True),
        "meta.block": Sortable(messages.c.height, is_known=True),
        "meta.time": Sortable(messages.c.time, is_time=True, is_known=True),
    }
)
_JOINED = messages.join(
    blocks,
    (blocks.c.ledger == messages.c.ledger) & (blocks.c.height == messages.c.height),
)


def list_edits(connection: Connection, wanted: Expression, window: Window) -> Hits:
    """Edits of listed records, newest first. Raises InvalidDataError."""
    matching = (
        messages.c.action == "edit",
        or_(messages.c.root.is_not(None), messages.c.names.is_not(None)),
        _ORIGINAL_TXID.is_not(None),
        row_condition(wanted, _COLUMNS),
    )
    keys = order_by(window, _SORTS, _NEWEST)
    chosen = (
        select(
            messages,
            blocks.c.hash,
            _ORIGINAL_TXID.label("original_txid"),
            _IS_ACCEPTED.label("is_accepted"),
            *columns_of(keys),
        )
        .select_from(_JOINED)
        .where(*matching, *follows(keys, window))
        .order_by(*directed(keys))
        .limit(window.limit)
    )
    if window.after is None:
        chosen = chosen.offset(window.offset)
    rows = connection.execute(chosen).all()
    counted = select(func.count()).select_from(messages).where(*matching)
    return Hits(
        results=[_document(row) for row in rows],
        total=connection.scalars(counted).one(),
        next=tell(keys, rows[-1]) if rows else None,
    )


def _document(row: Fetched[Any]) -> dict[str, Any]:
    envelope = read_envelope(parse_message_text(row.text))
    said = envelope.body
    return {
        "edit": {
            "txid": row.original_txid,
            "timestamp": said.get("timestamp"),
            "patch": said.get("patch"),
        },
        "meta": {
            "block": row.height,
            "block_hash": row.hash,
            "time": row.time,
            "txid": row.txid,
            "originalTxid": row.original_txid,
            "type": "oip042",
            "completed": bool(row.is_accepted),
            "invalid": row._mapping["class"] == RecordClass.SHOWN.value,
            "signature": envelope.signature_beside or said.get("signature", ""),
        },
    }
