"""A record's versions as pages show them.

Pure. What stands was decided by the rules; here it gets its words.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from etdb.web import text

Record = Mapping[str, Any]
Version = Mapping[str, Any]

MIN_DIGITS = 6
MAX_LISTED = 25
"""Versions, and old forms, on a page; the JSON has more."""
MAX_CHANGES = 10

_STATES: Mapping[str, tuple[str, str]] = {
    "current": ("current", ""),
    "root": ("superseded", ""),
    "superseded": ("superseded", ""),
    "fork": (
        "fork",
        "Signed by somebody who may edit this record, and put aside: of several "
        "edits of one version only one can stand.",
    ),
    "pending": (
        "pending",
        "The version that it follows has not been seen yet. Until then it has no "
        "effect.",
    ),
    "refused": (
        "refused",
        "Its number does not follow that of the version before. It has no effect.",
    ),
}


def edit_count(record: Record) -> int:
    """How many edits lead from the first version to the current one."""
    versions = record["versions"]
    return int(versions[-1]["number"]) - 1 if versions else 0


def edits(number: int) -> str:
    """`no edits`, `1 edit`, `2 edits`."""
    return f"{text.number(number) if number else 'no'} edit{'' if number == 1 else 's'}"


def superseded(record: Record, id_text: str) -> Version | None:
    """The version that was asked for by its own digest, if another is current.

    The first version's digest is the record's id, which means the record.
    """
    asked = id_text.strip().lower()
    if len(asked) < MIN_DIGITS or str(record["id"]).startswith(asked):
        return None
    former = [version for version in record["versions"][1:-1]]
    return next((one for one in former if one["id"].startswith(asked)), None)


def newest_first(history: Record, *, accepted: bool) -> Sequence[Version]:
    """The versions that stand or stood, or those that do not count."""
    without = {"pending", "refused"}
    chosen = [
        version
        for version in history["versions"]
        if (version["state"] not in without) is accepted
    ]
    return chosen[::-1][:MAX_LISTED]


def is_cut(history: Record) -> bool:
    """Whether there are accepted versions that the page does not list."""
    return len(newest_first(history, accepted=True)) < int(history["count"])


def changes(version: Version) -> Sequence[str]:
    """What a version changed, as many lines as a page has room for."""
    lines = version["changes"] or []
    more = len(lines) - MAX_CHANGES
    return [*lines[:MAX_CHANGES], *([f"and {more} more lines"] if more > 0 else [])]


def word(version: Version) -> str:
    """A version's state in a word."""
    return _STATES.get(version["state"], (str(version["state"]), ""))[0]


def explanation(version: Version) -> str:
    """What that means, or "" where it needs no explanation."""
    return _STATES.get(version["state"], ("", ""))[1]


def is_uncompared(version: Version) -> bool:
    """Whether what a version changed is not known, though it counts."""
    return version["changes"] is None and version["state"] in {
        "current",
        "superseded",
        "fork",
    }


def unseen(history: Record) -> str:
    """What is counted and not listed, in a sentence; "" if nothing is."""
    listed = sum(version["state"] == "refused" for version in history["versions"])
    count = history["refused"] - listed
    if count <= 0:
        return ""
    messages = "message" if count == 1 else "messages"
    return (
        f"Not listed: {text.number(count)} further {messages} about this record, by "
        "others than its publisher and heirs or against the rules."
    )
