"""Records as documents of the old daemons: the artifact, and where it stands.

A record that was edited stands once, as it is now: `artifact` is the current
one, `meta.txid` the edit's transaction, `meta.originalTxid` the record's. Only
what may be listed is given: nothing withdrawn, nothing unattested (R3).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Select, func, select
from sqlalchemy.engine import Connection

from etdb.index.condition import condition_of
from etdb.index.oip.field import RECORD_SORTS
from etdb.index.oip.page import (
    Hits,
    Key,
    Window,
    columns_of,
    directed,
    follows,
    order_by,
    tell,
)
from etdb.index.schema import blocks, messages, publishers, records, versions
from etdb.index.search import And, Expression, Is
from etdb.index.statement import best_first
from etdb.record.canonical import parse_message_text
from etdb.record.edits import replacement_of
from etdb.record.oip042 import read_envelope

Document = dict[str, Any]

EVERYTHING = And(())

_root = messages.alias("root")
_version = messages.alias("version")
_block = blocks.alias("block")

_NEWEST = (
    Key(records.c.shown_time, is_descending=True, is_time=True),
    Key(records.c.shown_txid),
)
_DOCUMENTS = (
    select(
        records.c.id,
        records.c.publisher,
        publishers.c.name.label("publisher_name"),
        _root.c.txid.label("original_txid"),
        _version.c.txid,
        _version.c.height,
        _version.c.time,
        _version.c.text,
        _block.c.hash.label("block_hash"),
    )
    .join(_version, _version.c.row == records.c.shown)
    .join(_root, _root.c.row == records.c.anchor)
    .join(
        _block,
        (_block.c.ledger == _version.c.ledger) & (_block.c.height == _version.c.height),
    )
    .outerjoin(publishers, publishers.c.address == records.c.publisher)
)


def list_records(
    connection: Connection,
    wanted: Expression,
    window: Window,
    *where: ColumnElement[bool],
) -> Hits:
    """Listed records that match, as documents. Raises InvalidDataError."""
    matching = (records.c.is_listed.is_(True), condition_of(wanted), *where)
    keys = order_by(window, RECORD_SORTS, _NEWEST)
    chosen = (
        select(records.c.id, *columns_of(keys))
        .where(*matching, *follows(keys, window))
        .order_by(*directed(keys))
        .limit(window.limit)
    )
    if window.after is None:
        chosen = chosen.offset(window.offset)
    rows = connection.execute(chosen).all()
    counted = select(func.count()).select_from(records).where(*matching)
    return Hits(
        results=read_documents(connection, [row.id for row in rows]),
        total=connection.scalars(counted).one(),
        next=tell(keys, rows[-1]) if rows else None,
    )


def read_documents(connection: Connection, ids: Sequence[str]) -> list[Document]:
    """The documents of records that are there, in this order."""
    chosen = _DOCUMENTS.where(records.c.id.in_(ids))
    rows = connection.execute(chosen).all()
    found = {row.id: _document(row) for row in rows}
    _add_previous(connection, found)
    return [found[record_id] for record_id in ids if record_id in found]


def find_version(connection: Connection, original: str, txid: str) -> Document | None:
    """A record as one of its versions has it; both are whole txids."""
    record_id = find_id(connection, original)
    if record_id is None:
        return None
    said = (
        select(messages, blocks.c.hash.label("block_hash"))
        .join(versions, versions.c.digest == messages.c.digest)
        .join(
            blocks,
            (blocks.c.ledger == messages.c.ledger)
            & (blocks.c.height == messages.c.height),
        )
        .where(
            messages.c.txid == txid,
            messages.c.root == record_id,
            messages.c.action.in_(("publish", "edit")),
            versions.c.record_id == record_id,
        )
        .limit(1)
    )
    row = connection.execute(said).one_or_none()
    found = read_documents(connection, [record_id])
    if row is None or not found:
        return None
    document = found[0]
    document["artifact"], signature = read_artifact(row.text)
    document["meta"] |= {
        **_place(row),
        "latest": row.txid == document["meta"]["txid"],
        "signature": signature,
    }
    return document


def find_id(connection: Connection, txid: str) -> str | None:
    """The listed record that a whole txid published."""
    return connection.scalar(
        select(records.c.id)
        .join(messages, messages.c.root == records.c.id)
        .where(
            messages.c.txid == txid,
            messages.c.action == "publish",
            records.c.is_listed.is_(True),
        )
        .limit(1)
    )


def find_earliest(connection: Connection, digits: str) -> Document | None:
    """The record that a txid or the beginning of one means.

    Of several the earliest: nobody can take a short id from a record by
    grinding another txid that begins with it.
    """
    chosen = (
        select(records.c.id)
        .join(_root, _root.c.row == records.c.anchor)
        .where(
            records.c.is_listed.is_(True),
            condition_of(Is("txid", digits)),
        )
        .order_by(_root.c.time, _root.c.txid)
        .limit(1)
    )
    found = read_documents(connection, connection.scalars(chosen).all())
    return found[0] if found else None


def newest_ids(*where: ColumnElement[bool]) -> Select[tuple[str]]:
    """Listed records, those signed last first."""
    return (
        select(records.c.id)
        .where(records.c.is_listed.is_(True), *where)
        .order_by(records.c.timestamp.desc(), records.c.id)
    )


def read_artifact(text: str) -> tuple[Document, str]:
    """What a message makes a record, and its signature, which has two places."""
    envelope = read_envelope(parse_message_text(text))
    artifact = replacement_of(envelope.body) or envelope.body
    signature = artifact.get("signature", envelope.signature_beside)
    return artifact, signature if isinstance(signature, str) else ""


def _document(row: Any) -> Document:
    artifact, signature = read_artifact(row.text)
    return {
        "artifact": artifact,
        "meta": {
            **_place(row),
            "originalTxid": row.original_txid,
            "type": "oip042",
            "latest": True,
            "deactivated": False,
            "blacklist": {"blacklisted": False, "filter": ""},
            "previousEdits": [],
            "signature": signature,
            "publisher": row.publisher,
            "publisher_name": row.publisher_name or "",
        },
    }


def _place(row: Any) -> Document:
    return {
        "block_hash": row.block_hash,
        "block": row.height,
        "time": row.time,
        "txid": row.txid,
    }


def _add_previous(connection: Connection, found: dict[str, Document]) -> None:
    """The transactions of the edits before the current one, the first first."""
    edited = {
        record_id: document["meta"]
        for record_id, document in found.items()
        if document["meta"]["txid"] != document["meta"]["originalTxid"]
    }
    for record_id, txid in _iter_edits(connection, list(edited)):
        meta = edited[record_id]
        if txid != meta["txid"]:
            meta["previousEdits"].append(txid)


def _iter_edits(
    connection: Connection, ids: Sequence[str]
) -> Iterator[tuple[str, str]]:
    """Record and transaction of each accepted edit, at its best anchor."""
    if not ids:
        return
    rows = connection.execute(
        select(messages.c.root, messages.c.digest, messages.c.txid)
        .join(
            versions,
            (versions.c.record_id == messages.c.root)
            & (versions.c.digest == messages.c.digest),
        )
        .where(messages.c.root.in_(ids), messages.c.action == "edit")
        .order_by(messages.c.root, versions.c.number, *best_first())
    )
    seen: set[tuple[str, str]] = set()
    for row in rows:
        if (row.root, row.digest) not in seen:
            seen.add((row.root, row.digest))
            yield row.root, row.txid
