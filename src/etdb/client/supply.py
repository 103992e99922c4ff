"""Verified bytes from several sources, of which none is believed.

The first source that gives what was asked for, rightly, is taken. One that
fails is asked last from then on; one that lied not again while there are others.
"""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Iterator, Sequence

from etdb.client.content import verify_chunk
from etdb.client.sources import Source
from etdb.errors import (
    ContentMismatchError,
    EtdbError,
    NotFoundError,
    UnavailableError,
)
from etdb.identity import CID
from etdb.store.unixfs import verify_block
from etdb.store.verified import Chunk


class Supply:
    """Right blocks (a `BlockSource`), and chunks of files; for many threads."""

    def __init__(
        self, sources: Sequence[Source], liars: dict[str, EtdbError] | None = None
    ) -> None:
        """`liars`: where whoever draws on the same sources notes who lied, and how."""
        self._sources = tuple(sources)
        self.liars: dict[str, EtdbError] = {} if liars is None else liars

    @property
    def sources(self) -> tuple[Source, ...]:
        """Where the bytes come from; without liars, unless nobody else is there."""
        others = tuple(one for one in self._sources if one.name not in self.liars)
        return others or self._sources

    def get_block(self, cid: CID) -> bytes:
        """A block that hashes to its CID.

        Raises ContentMismatchError where a source lied and no other has it,
        NotFoundError, UnavailableError.
        """
        error: EtdbError = NotFoundError("block", cid)
        late: list[Source] = []
        for source, may_wait in self._iter_turns(late):
            try:
                return _get_block(source, cid, may_wait=may_wait)
            except EtdbError as exc:
                error = self._judge(source, exc, error, late)
        raise error

    def iter_run(
        self, file: CID, run: Sequence[Chunk]
    ) -> Iterator[tuple[Chunk, bytes]]:
        """Adjoining raw chunks of a file with their bytes, in order, each hashed.

        Raises as `get_block`; what was given until then is right.
        """
        left = deque(run)
        error: EtdbError = NotFoundError("file", file)
        late: list[Source] = []
        for source, may_wait in self._iter_turns(late):
            try:
                for data in _draw(source, file, tuple(left), may_wait=may_wait):
                    yield left.popleft(), data
            except EtdbError as exc:
                error = self._judge(source, exc, error, late)
            else:
                return
        raise error

    def _iter_turns(self, late: Sequence[Source]) -> Iterator[tuple[Source, bool]]:
        """Each source, and whether to wait for it: all are asked before any is."""
        sources = self.sources
        if len(sources) == 1:
            yield sources[0], True
            return
        for source in sources:
            yield source, False
        for source in tuple(late):
            yield source, True

    def _judge(
        self, source: Source, found: EtdbError, before: EtdbError, late: list[Source]
    ) -> EtdbError:
        """The error to report if no other source helps: a lie is told first."""
        if isinstance(found, ContentMismatchError):
            self.liars[source.name] = found
            return found
        if isinstance(found, UnavailableError):
            late.append(source)
            others = tuple(one for one in self._sources if one is not source)
            self._sources = (*others, source)
        return before if isinstance(before, ContentMismatchError) else found


def _get_block(source: Source, cid: CID, *, may_wait: bool) -> bytes:
    block = source.get_block(cid, may_wait=may_wait)
    try:
        verify_block(cid, block)
    except ContentMismatchError as exc:
        found = exc.facts["found"]
        raise ContentMismatchError(cid=cid, found=found, where=source.name) from None
    return block


def _draw(
    source: Source, file: CID, run: Sequence[Chunk], *, may_wait: bool
) -> Iterator[bytes]:
    start, stop = run[0].offset, run[-1].offset + run[-1].size
    with contextlib.closing(
        source.open_range(file, start, stop, may_wait=may_wait)
    ) as arriving:
        for chunk in run:
            view = memoryview(bytearray(chunk.size))
            arriving.fill(view)
            verify_chunk(chunk, view, source.name)
            yield bytes(view)
