"""What a lab writes about a dataset, under the names and kinds of the wire.

Keys are the search words of `etdb.record.model.FIELDS`, the same in
`dataset.toml` and on the command line. It knows nothing of files on disk, of
signatures, or of what a record must hold.

    >>> read_fields({"species": "Vibrio cholerae", "tilt_min": -60.0}, "options")
    {'species': 'Vibrio cholerae', 'tilt_min': -60}
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

from etdb.errors import InvalidDataError
from etdb.identity import Address, parse_address
from etdb.record.model import FIELDS, FieldSpec, Role

FILES = "files"
EXTRA_ROLES = ("segmentation", "correlative", "annotation")
"""Roles younger than the original's; on the wire they ride in fileInfo."""

SETTABLE = {spec.search: spec for spec in FIELDS if spec.path[0] in ("info", "details")}
"""Every key of `dataset.toml` but `files`."""
_INFO_ORDER = ("title", "tags", "description")
FILE_KEYS = ("role", "software", "notes", "pixel_size", "voxel_size")
"""Every key of a file's table in `files`."""
_MAX_NUMBER = 2**53
_QUALITIES = range(1, 6)

Fields = dict[str, Any]
"""Search word → value as it goes on the wire; None = said to be unknown."""


@dataclass(frozen=True)
class FileFacts:
    """What was said about one file; None where nothing was."""

    role: Role | None = None
    extra_role: str | None = None
    software: str | None = None
    notes: str | None = None
    pixel_spacing_angstrom: float | None = None
    voxel_spacing_angstrom: float | None = None


NO_FACTS = FileFacts()


def read_fields(values: Mapping[str, object], where: str) -> Fields:
    """Values by search word, checked and brought to their wire form.

    The key `files` is left to `read_files`; None counts as not given; an empty
    text says that a value is unknown. Raises InvalidDataError naming `where`,
    the key, and for an unknown key the nearest known one.
    """
    fields: Fields = {}
    for key, value in values.items():
        if key == FILES or value is None:
            continue
        if key not in SETTABLE:
            raise _unknown("key", key, where, SETTABLE)
        fields[key] = _wire_value(SETTABLE[key], value, where)
    return fields


def read_files(
    values: Mapping[str, object], names: Iterable[str], where: str
) -> dict[str, FileFacts]:
    """The table `files`: file name → what is said about it.

    Raises InvalidDataError for names that are not among `names`, unknown keys
    and unknown roles.
    """
    known = tuple(names)
    facts = {}
    for name, said in _table(values.get(FILES, {}), f"{where}: files").items():
        if name not in known:
            raise _unknown("file", name, where, known)
        facts[name] = _read_file(name, _table(said, f"{where}: file {name}"), where)
    return facts


def place_fields(fields: Fields) -> tuple[dict[str, Any], dict[str, Any]]:
    """(info, details) under wire names, in the order of the wire."""
    placed: dict[str, dict[str, Any]] = {"info": {}, "details": {}}
    for search in (*_INFO_ORDER, *SETTABLE):
        if fields.get(search) is not None:
            section, name = SETTABLE[search].path
            placed[section][name] = fields[search]
    return placed["info"], placed["details"]


def wire_number(value: float) -> int | float:
    """A number as it is written: 60.0 as 60, −0.0 as 0."""
    return int(value) if float(value).is_integer() else value


def _wire_value(spec: FieldSpec, value: object, where: str) -> object:
    place = f"{where}: {spec.search}"
    if value == "":
        return None
    if spec.search == "date":
        return _seconds(value, place)
    if spec.kind == "text":
        return _text(value, place)
    if spec.search == "heirs":
        return _addresses(value, place)
    if spec.kind == "list":
        return _list(value, place)
    number = _number(value, place)
    if spec.kind == "integer" and not isinstance(number, int):
        raise _wrong(place, value, "a whole number")
    if spec.search == "quality" and number not in _QUALITIES:
        raise _wrong(place, value, "a number from 1 (lowest) to 5")
    return number


def _seconds(value: object, place: str) -> int:
    """A day as the Unix seconds of its midnight, UTC."""
    try:
        day = date.fromisoformat(value) if isinstance(value, str) else value
    except ValueError as exc:
        raise _wrong(place, value, "a date such as 2026-03-14") from exc
    if not isinstance(day, date):
        raise _wrong(place, value, "a date such as 2026-03-14")
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp())


def _text(value: object, place: str) -> str:
    if not isinstance(value, str):
        raise _wrong(place, value, "a text")
    if any(
        character == "\0" or "\ud800" <= character <= "\udfff" for character in value
    ):
        raise _wrong(place, value, "a text in UTF-8 without NUL characters")
    return value


def _number(value: object, place: str) -> int | float:
    try:
        number = float(value) if isinstance(value, (int, float, str)) else math.nan
    except (ValueError, OverflowError):
        number = math.nan
    if isinstance(value, bool) or not abs(number) < _MAX_NUMBER:
        raise _wrong(place, value, "a number")
    return wire_number(number)


def _list(value: object, place: str) -> list[Any]:
    if not isinstance(value, list):
        raise _wrong(place, value, "a list")
    return [_plain(item, place) for item in value]


def _addresses(value: object, place: str) -> list[Address]:
    """A list of addresses, or a text with commas between them."""
    listed = value.split(",") if isinstance(value, str) else _list(value, place)
    addresses = [Address(_text(item, place).strip()) for item in listed]
    try:
        for address in addresses:
            parse_address(address)
    except InvalidDataError as exc:
        raise _wrong(place, value, "addresses, with commas between them") from exc
    return addresses


def _plain(value: object, place: str) -> object:
    """A value inside a list, of the kinds that JSON has."""
    if isinstance(value, Mapping):
        return {_text(key, place): _plain(item, place) for key, item in value.items()}
    if isinstance(value, list):
        return _list(value, place)
    if isinstance(value, bool):
        return value
    return _number(value, place) if _is_number(value) else _text(value, place)


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float))


def _table(value: object, place: str) -> Mapping[str, object]:
    if not isinstance(value, Mapping):
        raise _wrong(place, value, "a table")
    return value


def _read_file(name: str, said: Mapping[str, object], where: str) -> FileFacts:
    for key in said:
        if key not in FILE_KEYS:
            raise _unknown("key", key, f"{where}: file {name}", FILE_KEYS)
    place = f"{where}: file {name}:"
    texts = {key: _text(said[key], f"{place} {key}") for key in _TEXTS & said.keys()}
    sizes = {key: _spacing(said[key], f"{place} {key}") for key in _SIZES & said.keys()}
    role, extra = _role(texts["role"], place) if "role" in texts else (None, None)
    return FileFacts(
        role=role,
        extra_role=extra,
        software=texts.get("software"),
        notes=texts.get("notes"),
        pixel_spacing_angstrom=sizes.get("pixel_size"),
        voxel_spacing_angstrom=sizes.get("voxel_size"),
    )


_TEXTS = {"role", "software", "notes"}
_SIZES = {"pixel_size", "voxel_size"}


def _spacing(value: object, place: str) -> float:
    number = _number(value, place)
    if number <= 0:
        raise _wrong(place, value, "a number above 0, in Å")
    return number


def _role(text: str, place: str) -> tuple[Role, str | None]:
    wanted = text.lower()
    if wanted in EXTRA_ROLES:
        return Role.OTHER, wanted
    for role in Role:
        if role.value.lower() == wanted:
            return role, None
    raise _unknown("role", text, place, [*(role.value for role in Role), *EXTRA_ROLES])


def _wrong(place: str, value: object, wanted: str) -> InvalidDataError:
    msg = f"{place}: {str(value)[:80]!r} is not {wanted}"
    return InvalidDataError(msg)


def _unknown(
    kind: str, given: str, where: str, known: Iterable[str]
) -> InvalidDataError:
    nearest = difflib.get_close_matches(given, list(known), n=1, cutoff=0.0)
    more = f"; the nearest known one is {nearest[0]!r}" if nearest else ""
    msg = f"{where}: unknown {kind} {given!r}{more}"
    return InvalidDataError(msg, where=where, given=given)
