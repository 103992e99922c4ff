"""How a transfer is doing, at one moment: what somebody who watches may show.

def watch(look: Callable[[], Look]) -> AbstractContextManager[None]: ...

download(plan, sources, watch=watch)
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from enum import StrEnum

from etdb.errors import EtdbError, UnavailableError


@dataclass(frozen=True)
class FileLook:
    """One file that is under way."""

    name: str
    size_bytes: int
    done_bytes: int
    """In their place and verified."""


class SourceState(StrEnum):
    """How a source does."""

    OK = "ok"
    FAILING = "failing"
    """It rests, or lacks a file."""
    DROPPED = "dropped"
    """For good: it lied, or asks to be left alone for long."""


@dataclass(frozen=True)
class SourceLook:
    """One source, until now."""

    name: str
    given_bytes: int
    """Verified, and before any other source."""
    state: SourceState
    error: EtdbError | None = None


@dataclass(frozen=True)
class Look:
    """All files and all sources."""

    total_bytes: int
    found_bytes: int
    """Left by an earlier run, and verified again."""
    fetched_bytes: int
    files: int
    ended_files: int
    under_way: tuple[FileLook, ...]
    sources: tuple[SourceLook, ...]

    @property
    def done_bytes(self) -> int:
        """In their place and verified."""
        return self.found_bytes + self.fetched_bytes


Watch = Callable[[Callable[[], Look]], AbstractContextManager[None]]
"""Shows what it is given to look by, for the length of the block."""


def liars_of(looks: Iterable[SourceLook]) -> dict[str, EtdbError]:
    """Who sent what is wrong, by name, and what; who is merely busy is no liar."""
    return {
        one.name: one.error
        for one in looks
        if one.state is SourceState.DROPPED
        and one.error is not None
        and not isinstance(one.error, UnavailableError)
    }
