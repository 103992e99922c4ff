"""Chunks that have arrived, settled by other threads while the next ones arrive.

A connection that waits for a hash and a disk lets its sender wait too. So a
thread that receives has a few buffers, and hands each on as soon as it is full.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import ParamSpec

from etdb.errors import EtdbError
from etdb.store.unixfs import MAX_BLOCK_BYTES

BUFFERS = 3
"""Of one connection: one fills, one is hashed, one is written."""

_P = ParamSpec("_P")


class Settling:
    """The buffers of one thread that receives. For that thread alone."""

    def __init__(self, pool: ThreadPoolExecutor) -> None:
        self._pool = pool
        self._free = [memoryview(bytearray(MAX_BLOCK_BYTES)) for _ in range(BUFFERS)]
        self._running: deque[tuple[Future[EtdbError | None], memoryview]] = deque()
        self._error: EtdbError | None = None

    @property
    def has_failed(self) -> bool:
        """Whether a chunk was found wrong: what follows is not worth receiving."""
        return self._error is not None

    def buffer(self) -> memoryview:
        """One that is free, once there is one. Raises what `settle` raised."""
        if not self._free:
            self._finish_first()
        return self._free[-1]

    def submit(
        self, settle: Callable[_P, EtdbError | None], *args: _P.args, **more: _P.kwargs
    ) -> None:
        """Settle what was put into the buffer, which is not free until then.

        `settle` judges and keeps a chunk: it returns what is wrong with that,
        and raises what is wrong here.
        """
        future = self._pool.submit(settle, *args, **more)
        self._running.append((future, self._free.pop()))

    def wait(self) -> None:
        """Until everything is settled. Raises what `settle` raised."""
        while self._running:
            self._finish_first()

    def drain(self) -> EtdbError | None:
        """As `wait`; the first error, which is forgotten.

        It raises only when nothing is being settled any more.
        """
        try:
            self.wait()
        finally:
            for future, _ in self._running:
                future.exception()
            self._free += [buffer for _, buffer in self._running]
            self._running.clear()
            error, self._error = self._error, None
        return error

    def _finish_first(self) -> None:
        future, buffer = self._running[0]
        try:
            error = future.result()
            self._error = self._error or error
        finally:
            self._running.popleft()
            self._free.append(buffer)
