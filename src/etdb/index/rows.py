"""What a message and a record become as rows; pure.

A statement's row is what was judged; a record's row is its view (the record
dict) spread over columns, so that what is found and what is shown agree.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from etdb.identity import CID
from etdb.index.fields import RECORD_FIELDS, SORTED_TEXTS
from etdb.index.record_view import (
    Current,
    RecordView,
    build_view,
    iter_texts,
    unknown_fields,
)
from etdb.record.canonical import parse_message_text
from etdb.record.edits import named_txid, replacement_of
from etdb.record.message import Coverage, Place
from etdb.record.model import Record
from etdb.record.oip042 import read_envelope
from etdb.record.rules import RecordClass, Rejection, Statement

Row = dict[str, Any]

MAX_REASON_CHARACTERS = 300
MAX_OTHER_CHARACTERS = 20_000
_SOFTWARE = ("acquisition_software", "reconstruction_software", "alignment_software")
_MAX_KEY_CHARACTERS = 64
_UNKNOWN_TEXT = "\U0010ffff"
_UNKNOWN_DATE = -(10**15)
_TOP_LEVEL = frozenset({"title", "description", "tags", "timestamp"})


def place_row(place: Place) -> Row:
    """The columns that say where a row stands."""
    return {
        "ledger": place.ledger,
        "height": place.height,
        "position": place.position,
        "txid": place.txid,
    }


def message_row(statement: Statement, place: Place, coverage: Coverage) -> Row:
    """The row of one anchor of an accepted statement."""
    revision = statement.revision
    return place_row(place) | {
        "time": place.time,
        "action": statement.action,
        "digest": statement.digest,
        "class": statement.record_class.value,
        "coverage": coverage.value,
        "address": statement.address,
        "timestamp": statement.timestamp,
        "location": statement.location or "",
        "root": _root(statement),
        "number": None if revision is None else revision.number,
        "previous": None if revision is None else revision.previous,
        "names": _names(statement),
        "text": statement.text,
    }


def rejected_row(rejection: Rejection, place: Place) -> Row:
    """The row of a message that the rules refused."""
    reason = rejection.reason.encode("utf-8", "replace").decode("utf-8")
    return place_row(place) | {
        "time": place.time,
        "code": rejection.code,
        "reason": reason[:MAX_REASON_CHARACTERS],
    }


def record_row(current: Current, version: str, anchor: Any, shown: Any) -> Row:
    """The row of a record: its view and a column for each field.

    `anchor` and `shown` are rows of messages: of its root, of its version.
    """
    view = build_view(current)
    is_attested = current.record_class is not RecordClass.UNATTESTED
    return _field_columns(view) | {
        "id": current.id,
        "current": version,
        "class": current.record_class.value,
        "is_listed": is_attested and current.withdrawn is None,
        "publisher": current.address,
        "anchor": anchor.row,
        "shown": shown.row,
        "shown_time": shown.time,
        "shown_txid": shown.txid,
        "size_bytes": min(view["size_bytes"], 2**63 - 1),
        "file_count": view["file_count"],
        **_sort_columns(current),
        **_order_columns(view),
        **_joined_columns(view, current.record),
        "view": json.dumps(view, ensure_ascii=False, separators=(",", ":")),
    }


def load_body(action: str, text: str) -> dict[str, Any]:
    """The body of an accepted statement, from its text (B2, B7)."""
    body = read_envelope(parse_message_text(text)).body
    return (replacement_of(body) or body) if action == "edit" else body


def _root(statement: Statement) -> str | None:
    if statement.action == "publish":
        return statement.digest
    if statement.revision is not None:
        return statement.revision.of
    return statement.target


def _names(statement: Statement) -> str | None:
    if statement.record_class is not RecordClass.SHOWN:
        return None
    return named_txid(statement.body)


def _sort_columns(current: Current) -> Row:
    """What sort of thing a record is, in lower case, as old interfaces ask."""
    info = current.body.get("info")
    record = current.record
    return {
        "type": None if record.type is None else record.type.lower(),
        "subtype": None if record.subtype is None else record.subtype.lower(),
        "is_nsfw": isinstance(info, Mapping) and info.get("nsfw") is True,
    }


def _field_columns(view: RecordView) -> Row:
    columns: Row = {}
    for field in RECORD_FIELDS:
        source = view if field.name in _TOP_LEVEL else view["details"]
        value = source.get(field.name)
        if isinstance(value, list):
            value = _joined(iter_texts(value))
        columns[field.name] = None if value == "" else value
    return columns


def _order_columns(view: RecordView) -> Row:
    """What lists are ordered by, the unknown last."""
    columns: Row = {"by_date": view["details"].get("date", _UNKNOWN_DATE)}
    for name in SORTED_TEXTS:
        source = view if name in _TOP_LEVEL else view["details"]
        text = source.get(name)
        key = _UNKNOWN_TEXT if text is None else text.casefold()[:_MAX_KEY_CHARACTERS]
        columns[f"by_{name}"] = key
    return columns


def _joined_columns(view: RecordView, record: Record) -> Row:
    files, details = view["files"], view["details"]
    software = [details.get(name) for name in _SOFTWARE]
    names = [file[key] for file in files for key in ("name", "display_name", "notes")]
    cids = [view["cid"], *(file["cid"] for file in files)]
    other = _joined(iter_texts(unknown_fields(record)))
    return {
        "software": _joined([*software, *(file["software"] for file in files)]),
        "file": _joined(names),
        "role": _joined(dict.fromkeys(file["role"] for file in files)),
        "cid": _joined(spelling for cid in cids for spelling in cid_spellings(cid)),
        "other": None if other is None else other[:MAX_OTHER_CHARACTERS],
    }


def cid_spellings(text: str | None) -> tuple[str, ...]:
    """A CID as it was written and as version 1 in base32, by which it is found."""
    if text is None:
        return ()
    cid = CID.find(text)
    return (text,) if cid is None else tuple(dict.fromkeys((text, str(cid.to_v1()))))


def _joined(texts: Iterable[str | None]) -> str | None:
    """Several texts as one, a line each; None if there are none."""
    return "\n".join(text for text in texts if text) or None
