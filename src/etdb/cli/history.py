"""What became of a record, on a terminal."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from etdb.cli.terminal import count, say, show, show_table

_COLUMNS = ("version", "state", "signed", "by", "block", "ledger", "changes")


def show_history(history: Mapping[str, Any]) -> None:
    """A line a version, the oldest first; what it changed on lines below."""
    show(f"record {history['id']}")
    withdrawn = history.get("withdrawn")
    if withdrawn is not None:
        when, reason = moment(withdrawn["timestamp"]), withdrawn["reason"]
        show(f"withdrawn {when} by {withdrawn['by']}: {reason or 'no reason given'}")
    show_table(_COLUMNS, _rows(history.get("versions", ())))
    if history.get("is_cut"):
        say("there are more: the newest are listed")
    if history.get("refused"):
        refused = count(history["refused"], "message")
        say(f"{refused} about it, by others or against the rules, without effect")
    old = history.get("old", ())
    if old:
        show("")
        show("old forms, decoded, without effect:")
        show_table(
            ("action", "block", "ledger", "says"),
            (
                (one["action"], str(one["height"]), one["ledger"][:12], one["says"])
                for one in old
            ),
        )


def moment(seconds: object) -> str:
    """Unix seconds as `2026-03-14 09:26 UTC`."""
    if isinstance(seconds, int):
        with contextlib.suppress(ValueError, OverflowError, OSError):
            return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M} UTC"
    return "unknown"


def _rows(versions: Any) -> Iterator[tuple[str, ...]]:
    for version in versions:
        changes = version["changes"]
        lines = ["not compared"] if changes is None else changes
        yield (
            str(version["number"]),
            version["state"],
            moment(version["timestamp"]),
            version["by_name"] or version["by"] or "",
            str(version["height"]),
            version["ledger"][:12],
            lines[0] if lines else "",
        )
        for line in lines[1:]:
            yield ("",) * (len(_COLUMNS) - 1) + (line,)
