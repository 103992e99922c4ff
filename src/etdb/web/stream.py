"""Files by CID as a stream of verified pieces.

Each piece is read and hashed by the store in a small pool of threads, a few
pieces ahead of what the connection takes. A piece that fails ends the stream
with its error: the bytes sent before it are right, and no more follow.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice

from starlette.concurrency import run_in_threadpool

from etdb.identity import CID
from etdb.store.verified import BlockSource, Chunk, iter_chunks, read_chunk
from etdb.web.span import Span

UNIT_BYTES = 1 << 20
"""How much one job reads: large enough to pay for a thread's hop."""

AHEAD = 3
THREADS = 2
_PLANNED_CHUNKS = 256

Unit = tuple[Chunk, ...]


class Reader:
    """Streams files out of a store that hashes whatever it reads."""

    def __init__(self, store: BlockSource) -> None:
        self._store = store
        self._pool = ThreadPoolExecutor(THREADS, "etdb-read")

    def close(self) -> None:
        """Wait for reads that are under way; start no more."""
        self._pool.shutdown(cancel_futures=True)

    async def stream(self, cid: CID, span: Span) -> AsyncGenerator[bytes]:
        """The bytes of a file in a span, in order.

        Raises NotFoundError, ContentMismatchError and InvalidDataError at the
        piece that cannot be given.
        """
        loop = asyncio.get_running_loop()
        running: deque[asyncio.Future[list[bytes]]] = deque()
        try:
            async for unit in self._units(cid, span):
                job = loop.run_in_executor(self._pool, self._read, unit, span)
                running.append(job)
                if len(running) > AHEAD:
                    for piece in await running.popleft():
                        yield piece
            while running:
                for piece in await running.popleft():
                    yield piece
        finally:
            for job in running:
                job.cancel()

    async def _units(self, cid: CID, span: Span) -> AsyncIterator[Unit]:
        chunks = iter_chunks(self._store, cid, span.start, span.stop)
        while True:
            planned = await run_in_threadpool(
                lambda: [*islice(chunks, _PLANNED_CHUNKS)]
            )
            if not planned:
                return
            for unit in _grouped(planned):
                yield unit

    def _read(self, unit: Unit, span: Span) -> list[bytes]:
        return [_cut(chunk, read_chunk(self._store, chunk), span) for chunk in unit]


def _grouped(chunks: list[Chunk]) -> Iterator[Unit]:
    """Neighbouring chunks together, up to about `UNIT_BYTES`."""
    unit: list[Chunk] = []
    size = 0
    for chunk in chunks:
        if unit and size + chunk.size > UNIT_BYTES:
            yield tuple(unit)
            unit, size = [], 0
        unit.append(chunk)
        size += chunk.size
    if unit:
        yield tuple(unit)


def _cut(chunk: Chunk, data: bytes, span: Span) -> bytes:
    """What of a chunk lies in the span; the same bytes, uncopied, if all does."""
    first = max(0, span.start - chunk.offset)
    last = min(chunk.size, span.stop - chunk.offset)
    return data if (first, last) == (0, chunk.size) else data[first:last]
