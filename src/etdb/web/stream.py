"""Content as a stream of verified pieces.

Each piece is read and hashed by the store in a small pool of threads, a few
pieces ahead of what the connection takes. A piece that fails ends the stream
with its error: the bytes sent before it are right, and no more follow.

So many streams may be under way and no more, since each holds pieces in memory
for as long as its client takes them.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, aclosing
from functools import partial
from itertools import islice
from typing import TypeVar

from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from etdb.errors import EtdbError, InvalidDataError, UnavailableError
from etdb.identity import CID
from etdb.store.car import (
    CarBlock,
    CarOptions,
    encode_header,
    iter_blocks,
    read_section,
)
from etdb.store.tar import plan_tar
from etdb.store.unixfs import MAX_BLOCK_BYTES
from etdb.store.verified import BlockSource, Chunk, iter_chunks, read_chunk
from etdb.store.walk import Checkable, Walk
from etdb.web.span import Span

UNIT_BYTES = 1 << 20
"""How much one job reads: large enough to pay for a thread's hop."""

AHEAD = 4
THREADS = 2
FINDERS = 8
"""Threads that look up what to read, and read single blocks: disks may be slow."""
_PLANNED_JOBS = 16

SMALL_JOBS = 2
"""An answer of so few jobs is no stream: a block, a small file, a page of one."""

SMALL_PER_STREAM = 2
"""How many small answers there may be for each stream; they never wait for one."""

_log = logging.getLogger(__name__)

_T = TypeVar("_T")
_A = TypeVar("_A")
_B = TypeVar("_B", bound=Chunk | CarBlock)

Job = Callable[[], list[bytes]]
"""Reads some pieces; called in a thread."""


class Slots:
    """How many answers may hold content in memory at once, of either size."""

    def __init__(self, streams: int) -> None:
        self._free = {True: SMALL_PER_STREAM * streams, False: streams}

    @contextlib.contextmanager
    def held(self, *, is_small: bool) -> Iterator[None]:
        """Hold one while the block lasts. Raises UnavailableError: none is free."""
        if not self._free[is_small]:
            msg = "this node is sending as much at once as it can hold in memory"
            raise UnavailableError(msg, hint="ask again in some seconds")
        self._free[is_small] -= 1
        try:
            yield
        finally:
            self._free[is_small] += 1


class Reader:
    """Streams content out of a store that hashes whatever it reads."""

    def __init__(self, store: BlockSource, max_streams: int) -> None:
        self._store = Checkable(store)
        self.slots = Slots(max_streams)
        self._pool = ThreadPoolExecutor(THREADS, "etdb-read")
        self._finders = ThreadPoolExecutor(FINDERS, "etdb-find")
        # What is freed below the size of the largest thing freed so far, glibc keeps;
        # else it gives the pages of every piece back, and the next takes them anew.
        bytearray(4 * UNIT_BYTES)

    def close(self) -> None:
        """Wait for reads that are under way; start no more."""
        self._finders.shutdown(cancel_futures=True)
        self._pool.shutdown(cancel_futures=True)

    async def call(self, find: Callable[[_A], _T], what: _A) -> _T:
        """What a function finds in the store, in a thread."""
        return await _called(self._finders, partial(find, what))

    async def run(self, jobs: Iterator[Job]) -> AsyncGenerator[bytes]:
        """The pieces of all jobs, in order; planning happens in a thread too.

        Raises NotFoundError, ContentMismatchError and InvalidDataError at the
        piece that cannot be given, UnavailableError before the first where too
        many are read from already.
        """
        running: deque[asyncio.Future[list[bytes]]] = deque()
        planned = await self.call(_take, jobs)
        with self.slots.held(is_small=len(planned) <= SMALL_JOBS):
            try:
                while planned:
                    for job in planned:
                        running.append(_called(self._pool, job))
                        if len(running) > AHEAD:
                            for piece in await running.popleft():
                                yield piece
                    planned = await self.call(_take, jobs)
                while running:
                    for piece in await running.popleft():
                        yield piece
            finally:
                for unfinished in running:
                    unfinished.cancel()

    def file_jobs(self, cid: CID, span: Span) -> Iterator[Job]:
        """The bytes of a file in a span."""
        chunks = iter_chunks(self._store, cid, span.start, span.stop)
        units = _grouped(chunks, lambda chunk: chunk.size)
        for source, unit in self._iter_located(units):
            yield partial(_read_chunks, source, unit, span)

    def car_jobs(self, end: Walk, options: CarOptions) -> Iterator[Job]:
        """A CAR of what a path names."""
        yield literal(encode_header(end.cid))
        blocks = iter_blocks(self._store, end, options)
        units = _grouped(blocks, _car_bytes)
        for source, unit in self._iter_located(units):
            yield partial(_read_sections, source, unit)

    def tar_jobs(self, cid: CID) -> Iterator[Job]:
        """A TAR of a file or a directory."""
        for unit in _grouped(plan_tar(self._store, cid), _tar_bytes):
            yield partial(self._read_tar, unit)

    def _iter_located(
        self, units: Iterator[list[_B]]
    ) -> Iterator[tuple[BlockSource, list[_B]]]:
        """Units with a source for each, looked up as many at once as are planned."""
        while some := [*islice(units, _PLANNED_JOBS)]:
            source = self._store.locate([item.cid for unit in some for item in unit])
            for unit in some:
                yield source, unit

    def _read_tar(self, unit: list[bytes | Chunk]) -> list[bytes]:
        return _joined(
            piece if isinstance(piece, bytes) else read_chunk(self._store, piece)
            for piece in unit
        )


class BlockResponse(Response):
    """One block that was read already, held until its client has taken it."""

    def __init__(
        self,
        slot: AbstractContextManager[None],
        block: bytes,
        status_code: int,
        headers: Mapping[str, str],
    ) -> None:
        super().__init__(block, status_code, headers)
        self._slot = slot

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send. Raises UnavailableError, nothing sent, where too much is held."""
        start = {"status": self.status_code, "headers": self.raw_headers}
        body = {"type": "http.response.body"}
        with self._slot:
            await send({"type": "http.response.start", **start})
            await send({**body, "body": self.body, "more_body": True})
            # The server waits here until the connection has taken what it was given.
            await send({**body, "body": b"", "more_body": False})


class Primed:
    """A stream whose first pieces are already there."""

    def __init__(self, stream: AsyncGenerator[bytes], first: Iterable[bytes]) -> None:
        self._stream = stream
        self._first = deque(filter(None, first))

    def __aiter__(self) -> Primed:
        return self

    async def __anext__(self) -> bytes:
        if self._first:
            return self._first.popleft()
        return await anext(self._stream)

    async def aclose(self) -> None:
        """Read no more of it, begun or not."""
        self._first.clear()
        await self._stream.aclose()


class VerifiedResponse(StreamingResponse):
    """A stream that is cut, not ended, where a piece cannot be given.

    Returning before the promised Content-Length, or before the last chunk of
    the transfer, makes the server close the connection or reset the stream,
    which every client takes for a failure.
    """

    def __init__(
        self,
        content: Primed,
        status_code: int = 200,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(content, status_code, headers)
        self._content = content

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send, and give back what the stream held, however that ends."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            await self._content.aclose()

    async def stream_response(self, send: Send) -> None:
        """Send piece by piece."""
        try:
            await super().stream_response(send)
        except EtdbError as exc:
            _log.warning("an answer was cut: %s", exc.message)


async def primed(stream: AsyncGenerator[bytes], pieces: int = 1) -> Primed:
    """The stream with its first pieces already there.

    A piece that cannot be given raises here, before any header is sent.
    """
    return Primed(stream, [await anext(stream, b"") for _ in range(pieces)])


async def probe(stream: AsyncGenerator[bytes], pieces: int = 1) -> None:
    """Raise what the first pieces of a stream raise, and read no more of it."""
    async with aclosing(stream):
        for _ in range(pieces):
            await anext(stream, b"")


def _called(pool: ThreadPoolExecutor, call: Callable[[], _T]) -> asyncio.Future[_T]:
    """What a call in a thread returns; `run_in_executor` at half its price.

    The pool's own future wakes nobody: the thread tells the loop itself.
    """
    loop = asyncio.get_running_loop()
    told: asyncio.Future[_T] = loop.create_future()

    def run() -> None:
        if told.cancelled():
            return
        try:
            result = call()
        except BaseException as exc:  # noqa: BLE001 - it is raised where it is awaited
            loop.call_soon_threadsafe(_tell, told, told.set_exception, exc)
        else:
            loop.call_soon_threadsafe(_tell, told, told.set_result, result)

    pool.submit(run)
    return told


def _tell(told: asyncio.Future[_T], tell: Callable[[_A], None], what: _A) -> None:
    if not told.cancelled():
        tell(what)


def _read_chunks(source: BlockSource, unit: list[Chunk], span: Span) -> list[bytes]:
    return [_cut(chunk, read_chunk(source, chunk), span) for chunk in unit]


def _read_sections(source: BlockSource, unit: list[CarBlock]) -> list[bytes]:
    return _joined(_iter_sections(source, unit))


def _iter_sections(source: BlockSource, unit: list[CarBlock]) -> Iterator[bytes]:
    """The pieces of some blocks, which are to be as small as their links say."""
    size_bytes = 0
    for block in unit:
        for piece in read_section(source, block):
            size_bytes += len(piece)
            yield piece
        if size_bytes > UNIT_BYTES + MAX_BLOCK_BYTES:
            msg = f"blocks above {block.cid} are larger than the links to them say"
            raise InvalidDataError(msg, hint="ask for its blocks one by one")


def _car_bytes(block: CarBlock) -> int:
    """What it counts for in a unit: where no link says its size, for the most."""
    return block.size_bytes or MAX_BLOCK_BYTES


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
