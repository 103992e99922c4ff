"""The fields of the old daemons' documents, as the index keeps them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

from sqlalchemy import ColumnElement, select

from etdb.index.fields import ALL_FIELDS, FieldKind
from etdb.index.oip.page import Sortable
from etdb.index.oip.query_string import Target
from etdb.index.schema import messages, records
from etdb.record.model import FIELDS

_KINDS = {field.name: field.kind for field in ALL_FIELDS}
_NUMBERS = frozenset({FieldKind.NUMBER, FieldKind.DATE})


def _said() -> Iterator[tuple[str, Target]]:
    """Every field of a record that has a column, by its path on the wire."""
    for spec in FIELDS:
        kind = _KINDS.get(spec.name)
        if spec.name in records.c and kind in {*_NUMBERS, FieldKind.TEXT}:
            yield "artifact." + ".".join(spec.path), Target(spec.name, kind)


RECORD_FIELDS: Mapping[str, Target] = MappingProxyType(
    {
        **dict(_said()),
        "artifact.details.NBCItaxID": Target("taxonomy_id", FieldKind.NUMBER),
        "artifact.floAddress": Target("address", FieldKind.ADDRESS),
        "artifact.type": Target("type", FieldKind.CLASS),
        "artifact.subtype": Target("subtype", FieldKind.CLASS),
        "artifact.info.nsfw": Target("nsfw", FieldKind.ADDRESS),
        "artifact.storage.location": Target("cid", FieldKind.CID),
        "artifact.storage.files.fname": Target("file", FieldKind.TEXT),
        "artifact.storage.files.dname": Target("file", FieldKind.TEXT),
        "artifact.storage.files.fNotes": Target("file", FieldKind.TEXT),
        "artifact.storage.files.software": Target("software", FieldKind.TEXT),
        "artifact.storage.files.subtype": Target("role", FieldKind.TEXT),
        "artifact.storage.network": Target("", None, "ipfs"),
        "meta.txid": Target("txid", FieldKind.HEX),
        "meta.originalTxid": Target("txid", FieldKind.HEX),
        "meta.block": Target("height", FieldKind.NUMBER),
        "meta.time": Target("time", FieldKind.DATE),
        "meta.type": Target("", None, "oip042"),
        "meta.latest": Target("", None, "true"),
        "meta.deactivated": Target("", None, "false"),
        "meta.blacklist.blacklisted": Target("", None, "false"),
    }
)
"""What may be asked of records, by the path in oipd's documents."""

EDIT_FIELDS: Mapping[str, Target] = MappingProxyType(
    {
        "edit.txid": Target("names", FieldKind.HEX),
        "edit.timestamp": Target("timestamp", FieldKind.DATE),
        "meta.txid": Target("txid", FieldKind.HEX),
        "meta.block": Target("height", FieldKind.NUMBER),
        "meta.time": Target("time", FieldKind.DATE),
        "meta.type": Target("", None, "oip042"),
    }
)
"""What may be asked of edits."""

TEXT_FIELDS: Mapping[str, Target] = MappingProxyType(
    {
        "tx.floData": Target("text", FieldKind.TEXT),
        "tx.txid": Target("txid", FieldKind.HEX),
        "tx.blockhash": Target("hash", FieldKind.HEX),
        "tx.time": Target("time", FieldKind.DATE),
        "block": Target("height", FieldKind.NUMBER),
        "is_coinbase": Target("is_coinbase", FieldKind.ADDRESS),
    }
)
"""What may be asked of transactions."""


def _sortable() -> Iterator[tuple[str, Sortable]]:
    for path, target in RECORD_FIELDS.items():
        if target.name in records.c:
            is_text = target.kind not in _NUMBERS
            yield path, Sortable(records.c[target.name], is_text)
    yield "artifact.floAddress", Sortable(records.c.publisher, is_known=True)
    time, txid = records.c.shown_time, records.c.shown_txid
    yield "meta.time", Sortable(time, is_time=True, is_known=True)
    yield "meta.txid", Sortable(txid, is_known=True)
    yield "meta.block", Sortable(_said_at(records.c.shown, "height"), is_known=True)
    original = _said_at(records.c.anchor, "txid")
    yield "meta.originalTxid", Sortable(original, is_known=True)


def _said_at(row: ColumnElement[int], name: str) -> ColumnElement[Any]:
    """Where the message of a row stands."""
    found = select(messages.c[name]).where(messages.c.row == row)
    return found.correlate(records).scalar_subquery()


RECORD_SORTS: Mapping[str, Sortable] = MappingProxyType(dict(_sortable()))
"""What lists of records can be ordered by, and values counted of."""

WORDS: Mapping[str, str] = MappingProxyType(
    {path.rsplit(".", 1)[-1].lower(): path for path in reversed(list(RECORD_FIELDS))}
)
"""The last words of the paths, by which the librarian's search names fields."""
