"""Content as a stream of verified pieces.

Each piece is read and hashed by the store in a small pool of threads, a few
pieces ahead of what the connection takes. A piece that fails ends the stream
with its error: the bytes sent before it are right, and no more follow.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from functools import partial
from itertools import islice
from typing import TypeVar

from starlette.concurrency import run_in_threadpool
from starlette.responses import StreamingResponse
from starlette.types import Send

from etdb.errors import EtdbError
from etdb.identity import CID
from etdb.store.car import (
    CarBlock,
    CarOptions,
    encode_header,
    iter_blocks,
    read_section,
)
from etdb.store.tar import plan_tar
from etdb.store.verified import BlockSource, Chunk, iter_chunks, read_chunk
from etdb.store.walk import Checkable, Walk
from etdb.web.span import Span

UNIT_BYTES = 1 << 20
"""How much one job reads: large enough to pay for a thread's hop."""

AHEAD = 3
THREADS = 2
_PLANNED_JOBS = 16

_log = logging.getLogger(__name__)

_T = TypeVar("_T")

Job = Callable[[], list[bytes]]
"""Reads some pieces; called in a thread."""


class Reader:
    """Streams content out of a store that hashes whatever it reads."""

    def __init__(self, store: BlockSource) -> None:
        self._store = Checkable(store)
        self._pool = ThreadPoolExecutor(THREADS, "etdb-read")

    def close(self) -> None:
        """Wait for reads that are under way; start no more."""
        self._pool.shutdown(cancel_futures=True)

    async def run(self, jobs: Iterator[Job]) -> AsyncGenerator[bytes]:
        """The pieces of all jobs, in order; planning happens in a thread too.

        Raises NotFoundError, ContentMismatchError and InvalidDataError at the
        piece that cannot be given.
        """
        loop = asyncio.get_running_loop()
        running: deque[asyncio.Future[list[bytes]]] = deque()
        try:
            while planned := await run_in_threadpool(_take, jobs):
                for job in planned:
                    running.append(loop.run_in_executor(self._pool, job))
                    if len(running) > AHEAD:
                        for piece in await running.popleft():
                            yield piece
            while running:
                for piece in await running.popleft():
                    yield piece
        finally:
            for unfinished in running:
                unfinished.cancel()

    def file_jobs(self, cid: CID, span: Span) -> Iterator[Job]:
        """The bytes of a file in a span."""
        chunks = iter_chunks(self._store, cid, span.start, span.stop)
        for unit in _grouped(chunks, lambda chunk: chunk.size):
            yield partial(self._read_chunks, unit, span)

    def car_jobs(self, end: Walk, options: CarOptions) -> Iterator[Job]:
        """A CAR of what a path names."""
        yield literal(encode_header(end.cid))
        blocks = iter_blocks(self._store, end, options)
        for unit in _grouped(blocks, lambda block: block.size_bytes):
            yield partial(self._read_sections, unit)

    def tar_jobs(self, cid: CID) -> Iterator[Job]:
        """A TAR of a file or a directory."""
        for unit in _grouped(plan_tar(self._store, cid), _tar_bytes):
            yield partial(self._read_tar, unit)

    def _read_chunks(self, unit: list[Chunk], span: Span) -> list[bytes]:
        return [_cut(chunk, read_chunk(self._store, chunk), span) for chunk in unit]

    def _read_sections(self, unit: list[CarBlock]) -> list[bytes]:
        return _joined(
            piece for block in unit for piece in read_section(self._store, block)
        )

    def _read_tar(self, unit: list[bytes | Chunk]) -> list[bytes]:
        return _joined(
            piece if isinstance(piece, bytes) else read_chunk(self._store, piece)
            for piece in unit
        )


class VerifiedResponse(StreamingResponse):
    """A stream that is cut, not ended, where a piece cannot be given.

    Returning before the promised Content-Length, or before the last chunk of
    the transfer, makes the server close the connection, which every client
    takes for a failure.
    """

    async def stream_response(self, send: Send) -> None:
        """Send piece by piece."""
        try:
            await super().stream_response(send)
        except EtdbError as exc:
            _log.warning("an answer was cut: %s", exc.message)


async def primed(
    stream: AsyncGenerator[bytes], pieces: int = 1
) -> AsyncGenerator[bytes]:
    """The stream with its first pieces already there.

    A piece that cannot be given raises here, before any header is sent.
    """
    first = [await anext(stream, b"") for _ in range(pieces)]

    async def continued() -> AsyncGenerator[bytes]:
        async with aclosing(stream):
            for piece in filter(None, first):
                yield piece
            async for piece in stream:
                yield piece

    return continued()


async def probe(stream: AsyncGenerator[bytes], pieces: int = 1) -> None:
    """Raise what the first pieces of a stream raise, and read no more of it."""
    async with aclosing(stream):
        for _ in range(pieces):
            await anext(stream, b"")


def literal(data: bytes) -> Job:
    """A job that is done."""
    return lambda: [data]


def _take(jobs: Iterator[Job]) -> list[Job]:
    return [*islice(jobs, _PLANNED_JOBS)]


def _grouped(items: Iterable[_T], size_of: Callable[[_T], int]) -> Iterator[list[_T]]:
    """Neighbours together, up to about `UNIT_BYTES`."""
    unit: list[_T] = []
    total = 0
    for item in items:
        size = size_of(item)
        if unit and total + size > UNIT_BYTES:
            yield unit
            unit, total = [], 0
        unit.append(item)
        total += size
    if unit:
        yield unit


def _tar_bytes(piece: bytes | Chunk) -> int:
    return len(piece) if isinstance(piece, bytes) else piece.size


_SMALL_BYTES = 64 * 1024


def _joined(pieces: Iterable[bytes]) -> list[bytes]:
    """Small pieces joined: each piece costs a write; large ones stay uncopied."""
    out: list[bytes] = []
    small: list[bytes] = []
    for piece in pieces:
        if len(piece) <= _SMALL_BYTES:
            small.append(piece)
            continue
        if small:
            out.append(b"".join(small))
            small = []
        out.append(piece)
    if small:
        out.append(b"".join(small))
    return out


def _cut(chunk: Chunk, data: bytes, span: Span) -> bytes:
    """What of a chunk lies in the span; the same bytes, uncopied, if all does."""
    first = max(0, span.start - chunk.offset)
    last = min(chunk.size, span.stop - chunk.offset)
    return data if (first, last) == (0, chunk.size) else data[first:last]
