"""The one plain dict that stands for a record in the API, pages and commands.

Made here and nowhere else, from a version's body and what the index knows of
it. Nothing in it was verified here; what the signatures prove is `class`.
Fields whose value makes no sense (a size below zero, a date in the year
300,000) are left out; they still stand in the record's text.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

from etdb.identity import Address, Digest
from etdb.record.model import Details, File, Record, Role, View, variants
from etdb.record.rules import RecordClass

RecordView = dict[str, Any]

MAX_INTEGER = 2**53
_FIRST_MILLISECONDS = 100_000_000_000
_PROTOCOL_KEYS = frozenset({"signature", "contentSignature", "revision", "fileInfo"})


@dataclass(frozen=True)
class Anchor:
    """Where a statement stands on a ledger; `time` is the block's.

    `coverage` says whether the signatures of the transactions that carried it
    cover it: covered, omitted or unknown.
    """

    ledger: str
    ledger_kind: str
    height: int
    position: int
    txid: str
    time: int
    coverage: str


@dataclass(frozen=True)
class Withdrawal:
    """Who withdrew a record, when (Unix seconds), and what they said."""

    by: Address
    time: int
    reason: str | None


@dataclass(frozen=True)
class Current:
    """The current version of a record and what the index knows of it."""

    id: Digest
    body: Mapping[str, Any]
    record_class: RecordClass
    address: Address
    timestamp: int
    anchor: Anchor
    withdrawn: Withdrawal | None

    @cached_property
    def record(self) -> Record:
        """The body as people read it."""
        return Record.model_validate(self.body)


def build_view(current: Current) -> RecordView:
    """The record dict without what needs the text (`text`, `checks` …).

    `publisher.name` is None here: names come and go on their own.
    """
    record, withdrawn = current.record, current.withdrawn
    files = read_files(record, current.body)
    return {
        "id": current.id,
        "txid": current.anchor.txid,
        "cid": record.storage.location,
        "class": current.record_class.value,
        "title": record.info.title,
        "description": record.info.description,
        "tags": record.info.tags,
        "publisher": {"address": current.address, "name": None},
        "timestamp": current.timestamp,
        "published": iso_time(current.timestamp),
        "details": read_details(record.details),
        "files": files,
        "size_bytes": sum(file["size_bytes"] or 0 for file in files),
        "file_count": len(files),
        "key_image": _key_image(files, record.details.sid),
        "anchor": dict(vars(current.anchor)),
        "withdrawn": None if withdrawn is None else dict(vars(withdrawn)),
    }


def unknown_fields(record: Record) -> dict[str, Any]:
    """What a record says beyond the fields we know, by dotted path."""
    return dict(_unknown(record, ""))


def iter_texts(value: object) -> Iterator[str]:
    """Every string in a JSON value, however deep."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from iter_texts(item)
    elif isinstance(value, Sequence):
        for item in value:
            yield from iter_texts(item)


def read_details(details: Details) -> dict[str, Any]:
    """What a body's details say that makes sense, by our names."""
    known = {
        name: value
        for name, value in vars(details).items()
        if value is not None and _is_sensible(value)
    }
    date = known.pop("date", None)
    if date is None:
        return known
    seconds = date // 1000 if abs(date) >= _FIRST_MILLISECONDS else date
    acquired = iso_time(seconds)
    if acquired is None:
        return known
    return {"date": seconds, "acquired": acquired[:10], **known}


def _is_sensible(value: object) -> bool:
    """Not nan, infinite, or 2^53 and more, as numbers written as text may be."""
    return not isinstance(value, int | float) or abs(value) < MAX_INTEGER


def iso_time(seconds: int) -> str | None:
    """Unix seconds as `2026-03-14T14:53:20Z`; None where no calendar has them."""
    try:
        moment = datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        return None
    return moment.replace(tzinfo=None).isoformat() + "Z"


def read_files(record: Record, body: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The files that a body lists; `record` is its view."""
    details = body.get("details")
    info = details.get("fileInfo") if isinstance(details, Mapping) else None
    facts = info if isinstance(info, Mapping) else {}
    return [
        _file(file, facts.get(file.name))
        for file in record.storage.files
        if file.name is not None
    ]


def _file(file: File, info: object) -> dict[str, Any]:
    facts = dict(info) if isinstance(info, Mapping) else {}
    cid, role = facts.pop("cid", None), facts.pop("role", None)
    size = file.size_bytes
    return {
        "name": file.name,
        "display_name": file.display_name,
        "size_bytes": size if size is not None and 0 <= size < MAX_INTEGER else None,
        "role": role if isinstance(role, str) else file.role.value,
        "media_type": file.media_type,
        "software": file.software,
        "notes": file.notes,
        "cid": cid if isinstance(cid, str) else None,
        "facts": facts,
    }


def _key_image(
    files: Sequence[Mapping[str, Any]], sid: str | None
) -> dict[str, str | None]:
    names = {file["name"] for file in files}

    def find(suffix: str, role: Role | None) -> str | None:
        name = f"keyimg_{sid}{suffix}.jpg"
        if name in names:
            return name
        return next((file["name"] for file in files if file["role"] == role), None)

    return {
        "large": find("", Role.KEYIMG),
        "medium": find("_m", None),
        "small": find("_s", Role.THUMBNAIL),
    }


def _unknown(view: View, prefix: str) -> Iterator[tuple[str, Any]]:
    known = variants(type(view)).keys() | _PROTOCOL_KEYS
    for name, value in (view.model_extra or {}).items():
        if name not in known:
            yield prefix + name, value
    if isinstance(view, Record):
        for name in ("info", "details", "storage"):
            yield from _unknown(getattr(view, name), f"{name}.")
