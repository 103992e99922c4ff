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
from collections.abc import (
    AsyncGenerator,
    Callable,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from functools import partial
from typing import TypeVar

from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from etdb.errors import EtdbError, UnavailableError
from etdb.web.jobs import UNIT_BYTES, Begun, Job, take_planned

AHEAD = 4
THREADS = 2
FINDERS = 8
"""Threads that look up what to read, and read single blocks: disks may be slow."""

SMALL_PER_STREAM = 2
"""How many small answers there may be for each stream; they never wait for one."""

_log = logging.getLogger(__name__)

_T = TypeVar("_T")
_A = TypeVar("_A")


class Slots:
    """How many answers may hold content in memory at once, of either size."""

    def __init__(self, streams: int) -> None:
        self._free = {True: SMALL_PER_STREAM * streams, False: streams}
        self._beginning = 0

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

    @contextlib.contextmanager
    def foreseen(self) -> Iterator[bool]:
        """Whether a stream that begins within the block is sure to find one."""
        self._beginning += 1
        try:
            yield self._beginning <= self._free[False]
        finally:
            self._beginning -= 1


class Reader:
    """The threads that read content, and how much of it may be in memory."""

    def __init__(self, max_streams: int) -> None:
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

    async def call(self, find: Callable[[], _T]) -> _T:
        """What a function finds in the store, in a thread."""
        return await _called(self._finders, find)

    async def run(self, begun: Begun) -> AsyncGenerator[bytes]:
        """All its pieces, in order.

        Raises UnavailableError before the first where too many are read from
        already; NotFoundError, ContentMismatchError and InvalidDataError at the
        piece that cannot be given.
        """
        running: deque[asyncio.Future[list[bytes]]] = deque([_done(begun.first)])
        with self.slots.held(is_small=begun.is_small):
            try:
                planned = begun.planned or await self._plan(begun.later)
                while planned:
                    for job in planned:
                        running.append(_called(self._pool, job))
                        if len(running) > AHEAD:
                            for piece in await running.popleft():
                                yield piece
                    planned = await self._plan(begun.later)
                while running:
                    for piece in await running.popleft():
                        yield piece
            finally:
                for unfinished in running:
                    unfinished.cancel()

    async def _plan(self, jobs: Iterator[Job] | None) -> list[Job]:
        return [] if jobs is None else await self.call(partial(take_planned, jobs))


class HeldResponse(Response):
    """Pieces that were read already, held until their client has taken them."""

    def __init__(
        self,
        slot: AbstractContextManager[None],
        pieces: Sequence[bytes],
        status_code: int,
        headers: Mapping[str, str],
    ) -> None:
        size_bytes = str(sum(map(len, pieces)))
        super().__init__(None, status_code, {"Content-Length": size_bytes, **headers})
        self._slot = slot
        self._pieces = pieces

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send. Raises UnavailableError, nothing sent, where too much is held."""
        start = {"status": self.status_code, "headers": self.raw_headers}
        body = {"type": "http.response.body"}
        with self._slot:
            await send({"type": "http.response.start", **start})
            for piece in self._pieces:
                await send({**body, "body": piece, "more_body": True})
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


async def primed(stream: AsyncGenerator[bytes], pieces: int) -> Primed:
    """The stream with its first pieces already there.

    A piece that cannot be given raises here, before any header is sent.
    """
    return Primed(stream, [await anext(stream, b"") for _ in range(pieces)])


def _done(result: _T) -> asyncio.Future[_T]:
    done: asyncio.Future[_T] = asyncio.get_running_loop().create_future()
    done.set_result(result)
    return done


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
