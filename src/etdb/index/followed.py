"""The ledgers that one node follows, and what is known of each.

A ledger that cannot be reached, or that contradicts what was read from it,
holds up no other; what is wrong with it is kept to be said.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from etdb.errors import DamagedFileError, EtdbError
from etdb.index import queries
from etdb.index.db import Index, find_tip
from etdb.index.follow import follow, verify_branch
from etdb.ledger.base import LedgerReader, Tip
from etdb.progress import Progress, Silent

Writing = Callable[[str], contextlib.AbstractContextManager[None]]
"""Holds the node's write lock; the text says what for."""


@dataclass(frozen=True)
class Known:
    """What the last look at a ledger showed."""

    tip: Tip | None
    """Its last block; None before the first look."""
    problem: str
    """Why it could not be followed; empty if it could."""


class FollowedLedgers:
    """Brings one index to the tip of every ledger of a node."""

    def __init__(
        self, index: Index, readers: Sequence[LedgerReader], writing: Writing
    ) -> None:
        self._index = index
        self._readers = readers
        self._writing = writing
        self._known = {reader.info.id: Known(None, "") for reader in readers}

    def known(self, ledger_id: str) -> Known:
        """What the last look at one of the ledgers showed."""
        return self._known[ledger_id]

    def look(self) -> None:
        """Ask every ledger for its tip, and whether it is still the one we read.

        Nothing is read into the index.
        """
        for reader in self._readers:
            with contextlib.suppress(EtdbError):
                self._look(reader)
                with self._noting(reader):
                    verify_branch(self._index, reader)

    def lag(self) -> int:
        """How many blocks the index is behind, of all ledgers that answer."""
        self.look()
        blocks = 0
        for reader in self._readers:
            tip = self._known[reader.info.id].tip
            if tip is not None:
                with self._index.read() as connection:
                    read = find_tip(connection, reader.info.id)
                done = reader.info.first_height - 1 if read is None else read.height
                blocks += max(0, tip.height - done)
        return blocks

    def follow(
        self, progress: Progress | None = None, stop: Callable[[], bool] | None = None
    ) -> int:
        """Read what is new on each ledger; how many blocks.

        Every ledger is tried; then the first error is raised.
        """
        errors: list[EtdbError] = []
        applied = 0
        for reader in self._readers:
            try:
                applied += self._follow(reader, progress or Silent(), stop)
            except EtdbError as error:
                errors.append(error)
        if errors:
            raise errors[0]
        return applied

    def _follow(
        self,
        reader: LedgerReader,
        progress: Progress,
        stop: Callable[[], bool] | None,
    ) -> int:
        tip = self._look(reader)
        if queries.is_at(self._index, reader.info.id, tip):
            return 0
        with self._noting(reader):
            return follow(
                self._index,
                reader,
                progress=progress,
                stop=stop,
                writing=lambda: self._writing("following the ledger"),
            )

    def _look(self, reader: LedgerReader) -> Tip:
        with self._noting(reader):
            tip = reader.tip()
            self._known[reader.info.id] = Known(tip, "")
            return tip

    @contextlib.contextmanager
    def _noting(self, reader: LedgerReader) -> Iterator[None]:
        """Keep what goes wrong with a ledger, beside the last tip it had."""
        try:
            yield
        except EtdbError as error:
            before = self._known[reader.info.id]
            said = "; ".join(filter(None, (error.message, error.hint)))
            self._known[reader.info.id] = Known(before.tip, said)
            raise


def verify_whole(index: Index, chain: LedgerReader, folder: Path) -> None:
    """A chain of one's own ends no earlier than what was read from it before.

    If it does, a damaged disk has lost blocks, and going on from there would be
    equivocation (PROTOCOL R8). Raises DamagedFileError.
    """
    with index.read() as connection:
        read = find_tip(connection, chain.info.id)
    # Read second: another process may be writing both.
    tip = chain.tip()
    if read is not None and read.height > tip.height:
        msg = (
            f"the chain in {folder} ends at block {tip.height},"
            f" and block {read.height} was read from it before"
        )
        raise DamagedFileError(
            msg,
            hint="the chain cannot be made again: restore its folder from a copy",
            path=folder,
        )
