"""Verified bytes from several sources, of which none is believed.

The first source that gives what was asked for, rightly, is taken. One that
lied is not asked again while there are others.
"""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Collection, Iterator, Sequence

from etdb.client.content import verify_chunk
from etdb.client.sources import Source
from etdb.errors import ContentMismatchError, EtdbError, NotFoundError
from etdb.identity import CID
from etdb.store.unixfs import verify_block
from etdb.store.verified import Chunk


class Supply:
    """Right blocks (a `BlockSource`), and chunks of files; for many threads."""

    def __init__(self, sources: Sequence[Source]) -> None:
        self._sources = tuple(sources)

    @property
    def sources(self) -> tuple[Source, ...]:
        """Where the bytes come from; without those that are not asked again."""
        return self._sources

    def leave(self, names: Collection[str]) -> None:
        """Ask these no more, unless nobody else is there."""
        others = tuple(one for one in self._sources if one.name not in names)
        self._sources = others or self._sources

    def get_block(self, cid: CID) -> bytes:
        """A block that hashes to its CID.

        Raises ContentMismatchError where a source lied and no other has it,
        NotFoundError, UnavailableError.
        """
        error: EtdbError = NotFoundError("block", cid)
        for source in self._sources:
            try:
                return _get_block(source, cid)
            except EtdbError as exc:
                error = self._judge(source, exc, error)
        raise error

    def iter_run(
        self, file: CID, run: Sequence[Chunk]
    ) -> Iterator[tuple[Chunk, bytes]]:
        """Adjoining raw chunks of a file with their bytes, in order, each hashed.

        Raises as `get_block`; what was given until then is right.
        """
        left = deque(run)
        error: EtdbError = NotFoundError("file", file)
        for source in self._sources:
            try:
                for data in _draw(source, file, tuple(left)):
                    yield left.popleft(), data
            except EtdbError as exc:
                error = self._judge(source, exc, error)
            else:
                return
        raise error

    def _judge(self, source: Source, found: EtdbError, before: EtdbError) -> EtdbError:
        """The error to report if no other source helps: a lie is told first."""
        if isinstance(found, ContentMismatchError):
            self.leave([source.name])
            return found
        return before if isinstance(before, ContentMismatchError) else found


def _get_block(source: Source, cid: CID) -> bytes:
    block = source.get_block(cid)
    try:
        verify_block(cid, block)
    except ContentMismatchError as exc:
        found = exc.facts["found"]
        raise ContentMismatchError(cid=cid, found=found, where=source.name) from None
    return block


def _draw(source: Source, file: CID, run: Sequence[Chunk]) -> Iterator[bytes]:
    stop = run[-1].offset + run[-1].size
    with contextlib.closing(source.open_range(file, run[0].offset, stop)) as arriving:
        for chunk in run:
            view = memoryview(bytearray(chunk.size))
            arriving.fill(view)
            verify_chunk(chunk, view, source.name)
            yield bytes(view)
