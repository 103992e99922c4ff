"""Threads that fill files from sources.

One queue of ranges; each thread takes the next and draws it from its own
source first, from the others in need. A chunk is hashed in the buffer it
arrived in and written only if it is right.
"""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from etdb.client.content import iter_file_chunks, verify_chunk, write_at
from etdb.client.dag import Dag
from etdb.client.partial import PartialFile
from etdb.client.sources import Source
from etdb.errors import EtdbError, UnavailableError
from etdb.progress import Progress
from etdb.store.unixfs import MAX_BLOCK_BYTES
from etdb.store.verified import Chunk

RANGE_BYTES = 32 * 1024 * 1024
"""Asked for at once where there is one source."""
SHARED_RANGE_BYTES = 4 * 1024 * 1024
"""Asked for at once where several sources share a file."""
ABANDON_S = 1.0
"""How long an interrupted transfer waits for a thread before it leaves it."""


@dataclass(frozen=True)
class _Range:
    """Some chunks of a file in order; none marks the file's end."""

    partial: PartialFile
    chunks: tuple[Chunk, ...]


class Transfer:
    """One run over some files."""

    def __init__(
        self,
        dag: Dag,
        partials: Sequence[PartialFile],
        sources: Sequence[Source],
        progress: Progress,
    ) -> None:
        self.dag = dag
        self.progress = progress
        self.stop = threading.Event()
        self._sources = sources
        self._range_bytes = RANGE_BYTES if len(sources) == 1 else SHARED_RANGE_BYTES
        self._ranges = self._iter_ranges(partials)
        self._lock = threading.Lock()
        self._crash: BaseException | None = None

    def run(self) -> None:
        """Return when every file is done or failed.

        An interrupt closes the sources, so that no thread waits for them.
        """
        # Daemons: a server that never answers must not hold up the exit.
        threads = [
            threading.Thread(
                target=self._work, args=(_Worker(self, order),), daemon=True
            )
            for order in self._orders()
        ]
        try:
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        except BaseException:
            self.stop.set()
            for source in self._sources:
                source.close()
            for thread in threads:
                thread.join(ABANDON_S)
            raise
        if self._crash is not None:
            raise self._crash

    def _orders(self) -> Iterator[Sequence[Source]]:
        """For each thread the sources, its own first."""
        is_alone = len(self._sources) == 1
        for index, source in enumerate(self._sources):
            for _ in range(source.connections if is_alone else 1):
                yield (*self._sources[index:], *self._sources[:index])

    def _work(self, worker: _Worker) -> None:
        try:
            while (part := self._next_range()) is not None:
                if part.chunks and part.partial.error is None:
                    worker.fill(part)
                part.partial.end_range()
        except BaseException as exc:  # noqa: BLE001 - raised again by `run`
            self._crash = exc
            self.stop.set()

    def _next_range(self) -> _Range | None:
        with self._lock:
            return None if self.stop.is_set() else next(self._ranges, None)

    def _iter_ranges(self, partials: Sequence[PartialFile]) -> Iterator[_Range]:
        for partial in partials:
            try:
                yield from self._iter_ranges_of(partial)
            except EtdbError as exc:
                partial.fail(exc)
            yield _Range(partial, ())

    def _iter_ranges_of(self, partial: PartialFile) -> Iterator[_Range]:
        partial.create()
        chunks: list[Chunk] = []
        size = 0
        for chunk in iter_file_chunks(self.dag, partial.file):
            if partial.error is not None:
                return
            if chunks and size + chunk.size > self._range_bytes:
                partial.add_range()
                yield _Range(partial, tuple(chunks))
                chunks, size = [], 0
            chunks.append(chunk)
            size += chunk.size
        partial.add_range()
        yield _Range(partial, tuple(chunks))


class _Worker:
    """What one thread has: its order of sources, and one buffer."""

    def __init__(self, transfer: Transfer, order: Sequence[Source]) -> None:
        self._dag = transfer.dag
        self._progress = transfer.progress
        self._stop = transfer.stop
        self._order = order
        self._buffer = memoryview(bytearray(MAX_BLOCK_BYTES))

    def fill(self, part: _Range) -> None:
        """Every chunk of a range into its place, or the file has failed."""
        partial = part.partial
        try:
            with partial.opened() as handle:
                missing = [
                    chunk
                    for chunk in part.chunks
                    if not self._restore(partial, chunk, handle)
                ]
                for run in _runs(missing):
                    self._fetch(partial, run, handle)
        except EtdbError as exc:
            partial.fail(exc)

    def _restore(self, partial: PartialFile, chunk: Chunk, handle: int) -> bool:
        view = self._buffer[: chunk.size]
        is_there = partial.restore(self._dag, chunk, handle, view)
        if is_there:
            self._progress.advance(chunk.size)
        return is_there

    def _fetch(self, partial: PartialFile, run: deque[Chunk], handle: int) -> None:
        """A run from the first source that gives it rightly; the last one's error."""
        *others, last = self._order
        for source in others:
            with contextlib.suppress(EtdbError):
                self._draw(source, partial, run, handle)
                return
        self._draw(last, partial, run, handle)

    def _draw(
        self, source: Source, partial: PartialFile, run: deque[Chunk], handle: int
    ) -> None:
        """Take chunks off the run as they are written."""
        start, stop = run[0].offset, run[-1].offset + run[-1].size
        arriving = source.open_range(partial.file.cid, start, stop)
        with contextlib.closing(arriving):
            while run:
                if self._stop.is_set():
                    raise UnavailableError("stopped")
                chunk = run[0]
                view = self._buffer[: chunk.size]
                arriving.fill(view)
                verify_chunk(chunk, view, source.name)
                write_at(handle, view, chunk.offset)
                run.popleft()
                self._progress.advance(chunk.size)


def _runs(chunks: Sequence[Chunk]) -> Iterator[deque[Chunk]]:
    """Adjoining chunks together."""
    run: deque[Chunk] = deque()
    for chunk in chunks:
        if run and run[-1].offset + run[-1].size != chunk.offset:
            yield run
            run = deque()
        run.append(chunk)
    if run:
        yield run
