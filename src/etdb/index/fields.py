"""What can be searched by name: one row per field, its words and its column.

The fields of a record come from `etdb.record.model.FIELDS`; the others (files,
size, ids) are named here. A column of the index bears the field's name.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from etdb.record.model import FIELDS, FieldSpec


class FieldKind(StrEnum):
    """How a field's values are written in a query and compared."""

    TEXT = "text"
    NUMBER = "number"
    DATE = "date"
    """Unix seconds, written as years, months or days (UTC)."""
    SIZE = "size"
    """Bytes, written with or without a unit."""
    HEX = "hex"
    """A digest or txid, or the first digits of one."""
    ADDRESS = "address"
    CID = "cid"
    CLASS = "class"


@dataclass(frozen=True)
class Field:
    """One searchable field: its column and the words that name it, lower case."""

    name: str
    kind: FieldKind
    words: tuple[str, ...]


_DATES = frozenset({"date", "timestamp"})
_ELSEWHERE = frozenset({"publisher", "location"})
_MORE_WORDS = {
    "date": ("acquired",),
    "taxonomy_id": ("nbcitaxid",),
    "acquisition_software": ("swacquisition",),
}


def _kind(spec: FieldSpec) -> FieldKind:
    if spec.name in _DATES:
        return FieldKind.DATE
    return FieldKind.TEXT if spec.kind in ("text", "list") else FieldKind.NUMBER


def _field(spec: FieldSpec) -> Field:
    words = (spec.search, spec.name.lower(), spec.path[-1].lower())
    more = _MORE_WORDS.get(spec.name, ())
    return Field(spec.name, _kind(spec), tuple(dict.fromkeys(words + more)))


RECORD_FIELDS: tuple[Field, ...] = tuple(
    _field(spec) for spec in FIELDS if spec.name not in _ELSEWHERE
)
"""The fields that are read from a record's own text, one column each."""

JOINED_FIELDS: tuple[Field, ...] = (
    Field("software", FieldKind.TEXT, ("software",)),
    Field("file", FieldKind.TEXT, ("file", "files", "fname")),
    Field("role", FieldKind.TEXT, ("role", "subtype")),
    Field("cid", FieldKind.CID, ("cid", "location")),
    Field("other", FieldKind.TEXT, ("other",)),
)
"""Text columns that gather several values of a record: `software` every program
it names, `file` names of files, `cid` every CID, `other` unknown fields."""

OWN_FIELDS: tuple[Field, ...] = (
    Field("publisher", FieldKind.ADDRESS, ("publisher", "floaddress")),
    Field("id", FieldKind.HEX, ("id",)),
    Field("txid", FieldKind.HEX, ("txid",)),
    Field("size_bytes", FieldKind.SIZE, ("size", "size_bytes")),
    Field("file_count", FieldKind.NUMBER, ("file_count",)),
    Field("height", FieldKind.NUMBER, ("height",)),
    Field("class", FieldKind.CLASS, ("class",)),
)

ALL_FIELDS: tuple[Field, ...] = (*RECORD_FIELDS, *JOINED_FIELDS, *OWN_FIELDS)
"""Every field, in the order of documentation; its first word is its usual name."""

TEXT_COLUMNS: tuple[str, ...] = tuple(
    field.name
    for field in (*RECORD_FIELDS, *JOINED_FIELDS)
    if field.kind in (FieldKind.TEXT, FieldKind.CID)
)
"""The columns of the full text, in the order of the table."""

SORTED_TEXTS: tuple[str, ...] = ("species", "microscopist", "title")
"""The text fields by which lists can be ordered."""

_BY_WORD: Mapping[str, Field] = MappingProxyType(
    {word: field for field in ALL_FIELDS for word in field.words}
)


def find_field(word: str) -> Field | None:
    """The field a word names, in any case."""
    return _BY_WORD.get(word.lower())


def suggest(word: str) -> str | None:
    """The name of a field that was perhaps meant."""
    close = difflib.get_close_matches(word.lower(), _BY_WORD, n=1)
    return close[0] if close else None
