"""How one artifact differs from another, as lines that people read.

Pure, and for any two artifacts: those of others have any shape.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

MADE_FROM = "madeFrom"
"""In fileInfo: the file that a picture of ours was made from."""

_NOT_COMPARED = frozenset({"contentSignature", "revision", "fileInfo"})
_NOT_COMPARED_ABOVE = frozenset(
    {"floAddress", "timestamp", "signature", "info", "details", "storage"}
)
_MAX_SHOWN = 60


def list_changes(published: Mapping[str, Any], planned: Mapping[str, Any]) -> list[str]:
    """What a plan says otherwise than a published artifact, one line each.

    Left out are what differs each time or follows from the rest: timestamp,
    signatures, revision, location and pictures of ours.
    """
    old, new = _by_subject(published), _by_subject(planned)
    changes = []
    for subject in {**new, **old}:
        if subject not in old:
            changes.append(f"{subject}: added")
        elif subject not in new:
            changes.append(f"{subject}: removed")
        else:
            changes += _differences(subject, old[subject], new[subject])
    return changes


def shorten(value: object) -> str:
    """A JSON value in at most 60 characters; None is unknown."""
    text = "unknown" if value is None else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _MAX_SHOWN else text[: _MAX_SHOWN - 1] + "…"


def _by_subject(artifact: Mapping[str, Any]) -> dict[str, Any]:
    """Every fact; of subjects that are said twice, none hides another."""
    said: Counter[str] = Counter()
    found = {}
    for subject, value in _facts(artifact):
        said[subject] += 1
        times = said[subject]
        found[subject if times == 1 else f"{subject} ({times})"] = value
    return found


def _facts(artifact: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """(subject, value); of a file the value is a dict of all that is said."""
    details = _mapping(artifact.get("details"))
    for section in (_mapping(artifact.get("info")), details):
        for name, value in section.items():
            if name not in _NOT_COMPARED:
                yield name, _plain(value)
    for name, value in artifact.items():
        if name not in _NOT_COMPARED_ABOVE:
            yield name, _plain(value)
    about = _mapping(details.get("fileInfo"))
    rows = _mapping(artifact.get("storage")).get("files")
    for row in rows if isinstance(rows, list | tuple) else ():
        said = _mapping(row)
        facts = _mapping(about.get(str(said.get("fname"))))
        if MADE_FROM not in facts:
            yield f"file {said.get('fname')}", _plain({**said, **facts})


def _differences(subject: str, old: Any, new: Any) -> Iterator[str]:
    if not (isinstance(old, dict) and isinstance(new, dict)):
        if old != new:
            yield f"{subject}: {shorten(old)} → {shorten(new)}"
        return
    if old.get("cid") != new.get("cid"):
        yield f"{subject}: other content"
        return
    for name in {**old, **new}:
        if old.get(name) != new.get(name):
            change = f"{shorten(old.get(name))} → {shorten(new.get(name))}"
            yield f"{subject}: {name} {change}"


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _plain(value: object) -> Any:
    """As a parsed text has it, so that tuples and lists compare alike."""
    return json.loads(json.dumps(value))
