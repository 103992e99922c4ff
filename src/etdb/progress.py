"""What a long job reports, to whoever listens.

A job is handed a `Progress` and calls it; what is shown, and where, is the
listener's affair. `advance` may be called from any thread.
"""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """A listener. Jobs do not nest: each `begin` is followed by its `end`."""

    def begin(self, task: str, total: int | None, unit: str) -> None:
        """A job starts; `unit` is "bytes" or a plural noun such as "blocks"."""

    def advance(self, amount: int) -> None:
        """`amount` more units are done."""

    def end(self) -> None:
        """The job is over, whether or not it came to its total."""


class Silent:
    """Listens and shows nothing."""

    def begin(self, task: str, total: int | None, unit: str) -> None:
        """Ignore."""

    def advance(self, amount: int) -> None:
        """Ignore."""

    def end(self) -> None:
        """Ignore."""
