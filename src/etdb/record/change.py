"""How one artifact differs from another, as lines that people read.

Pure, and for any two artifacts: those of others have any shape.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from pydantic.fields import FieldInfo

from etdb.record.model import FIELDS, File

MADE_FROM = "madeFrom"
"""In fileInfo: the file that a picture of ours was made from."""

_NOT_COMPARED = frozenset({"contentSignature", "revision", "fileInfo"})
_NOT_COMPARED_ABOVE = frozenset(
    {"floAddress", "timestamp", "signature", "info", "details", "storage"}
)
_MAX_SHOWN = 60
_DAY_SECONDS = 86_400
_UNIX_SECONDS = "Unix seconds"
_TIGHT_UNITS = frozenset({"°", "×"})


@dataclass(frozen=True)
class _Words:
    """What people call a field, and its unit."""

    label: str
    unit: str = ""


def _unit(field: FieldInfo) -> str:
    extra = field.json_schema_extra
    return str(extra["unit"]) if isinstance(extra, dict) else ""


_FIELD_WORDS = {spec.path: _Words(spec.label, spec.unit) for spec in FIELDS}
_FILE_WORDS = {
    **{
        path[-1]: _Words(words.label.lower(), words.unit)
        for path, words in _FIELD_WORDS.items()
        if path[-1] in {"pixelSize", "voxelSize"}
    },
    **{
        str(field.alias): _Words(str(field.title).lower(), _unit(field))
        for field in File.model_fields.values()
    },
}


def list_changes(published: Mapping[str, Any], planned: Mapping[str, Any]) -> list[str]:
    """What a plan says otherwise than a published artifact, one line each.

    Fields are called by their labels and have their units. Left out are what
    differs each time or follows from the rest: timestamp, signatures, revision,
    location and pictures of ours.

    >>> list_changes({"details": {"dosage": 100}}, {"details": {"dosage": 120}})
    ['Total dose: 100 e⁻/Å² → 120 e⁻/Å²']
    """
    old, new = _by_subject(published), _by_subject(planned)
    changes = []
    for subject in {**new, **old}:
        if subject not in old:
            changes.append(f"{_name(subject)}: added")
        elif subject not in new:
            changes.append(f"{_name(subject)}: removed")
        else:
            changes += _differences(subject, old[subject], new[subject])
    return changes


def shorten(value: object) -> str:
    """A JSON value in at most 60 characters; None is unknown."""
    text = "unknown" if value is None else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _MAX_SHOWN else text[: _MAX_SHOWN - 1] + "…"


_Subject = tuple[str, ...]
"""Where a fact stands in the artifact; its number, if it is said again there."""


def _by_subject(artifact: Mapping[str, Any]) -> dict[_Subject, Any]:
    """Every fact; of subjects that are said twice, none hides another."""
    said: Counter[_Subject] = Counter()
    found = {}
    for subject, value in _facts(artifact):
        said[subject] += 1
        times = said[subject]
        found[subject if times == 1 else (*subject, f"({times})")] = value
    return found


def _facts(artifact: Mapping[str, Any]) -> Iterator[tuple[_Subject, Any]]:
    """(subject, value); of a file the value is a dict of all that is said."""
    details = _mapping(artifact.get("details"))
    sections = {"info": _mapping(artifact.get("info")), "details": details}
    for section, fields in sections.items():
        for name, value in fields.items():
            if name not in _NOT_COMPARED:
                yield (section, name), _plain(value)
    for name, value in artifact.items():
        if name not in _NOT_COMPARED_ABOVE:
            yield (name,), _plain(value)
    about = _mapping(details.get("fileInfo"))
    rows = _mapping(artifact.get("storage")).get("files")
    for row in rows if isinstance(rows, list | tuple) else ():
        said = _mapping(row)
        facts = _mapping(about.get(str(said.get("fname"))))
        if MADE_FROM not in facts:
            yield ("file", str(said.get("fname"))), _plain({**said, **facts})


def _name(subject: _Subject) -> str:
    """What a subject is called; what has no label goes by its own name."""
    if subject in _FIELD_WORDS:
        return _FIELD_WORDS[subject].label
    is_in_section = subject[0] in ("info", "details")
    return " ".join(subject[1:] if is_in_section else subject)


def _differences(subject: _Subject, old: Any, new: Any) -> Iterator[str]:
    name = _name(subject)
    if not (isinstance(old, dict) and isinstance(new, dict)):
        if old != new:
            unit = _FIELD_WORDS.get(subject, _Words("")).unit
            yield f"{name}: {_measure(old, unit)} → {_measure(new, unit)}"
        return
    if old.get("cid") != new.get("cid"):
        yield f"{name}: other content"
        return
    lines = dict.fromkeys(
        _member_difference(member, old.get(member), new.get(member))
        for member in {**old, **new}
        if old.get(member) != new.get(member)
    )
    # A role stands in two places, for old readers and for new ones.
    yield from (f"{name}: {line}" for line in lines)


def _member_difference(member: str, old: Any, new: Any) -> str:
    words = _FILE_WORDS.get(member, _Words(member))
    old_text, new_text = _measure(old, words.unit), _measure(new, words.unit)
    return f"{words.label} {old_text} → {new_text}"


def _measure(value: object, unit: str) -> str:
    """A value as text, a number with its unit, a day as 2026-03-14."""
    if not unit or isinstance(value, bool) or not isinstance(value, int | float):
        return shorten(value)
    if unit != _UNIX_SECONDS:
        return f"{shorten(value)}{'' if unit in _TIGHT_UNITS else ' '}{unit}"
    return shorten(value) if value % _DAY_SECONDS else _day(value)


def _day(seconds: float) -> str:
    try:
        return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d}"
    except (ValueError, OverflowError, OSError):
        return shorten(seconds)


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _plain(value: object) -> Any:
    """As a parsed text has it, so that tuples and lists compare alike."""
    return json.loads(json.dumps(value))
