"""Reading another machine's answer: by a moment, and straight into its place.

A socket's timeout bounds one silence. Whoever sends a byte now and then, in a
header or between interim answers, is never silent and never done. Connections
of a guarded pool wait for no byte past the moment that the thread has set:

    guard(pool)
    with hurry(time.monotonic() + 60):
        response = pool.request("GET", url, preload_content=False)

And they put a body's bytes where the thread wants them, which saves a copy that
would hold up every other thread:

    with into(view):
        count = len(response.read1(len(view), decode_content=False))
"""

from __future__ import annotations

import contextlib
import http.client
import io
import socket
import time
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Any

import urllib3

_moment: ContextVar[float | None] = ContextVar("moment", default=None)
_target: ContextVar[memoryview | None] = ContextVar("target", default=None)


@contextlib.contextmanager
def hurry(at_s: float) -> Iterator[None]:
    """Until `at_s` on the monotonic clock, this thread reads guarded answers.

    From then on reading one raises TimeoutError, which urllib3 makes a
    ReadTimeoutError. Within another `hurry` the earlier moment counts.
    """
    outer = _moment.get()
    token = _moment.set(at_s if outer is None else min(at_s, outer))
    try:
        yield
    finally:
        _moment.reset(token)


@contextlib.contextmanager
def into(view: memoryview) -> Iterator[None]:
    """`read1` of a guarded answer fills the start of `view` and returns that part."""
    token = _target.set(view)
    try:
        yield
    finally:
        _target.reset(token)


def guard(pool: urllib3.PoolManager) -> None:
    """Make the connections that a new pool will open heed `hurry` and `into`."""
    pool.pool_classes_by_scheme = {
        scheme: _guarded(kind) for scheme, kind in pool.pool_classes_by_scheme.items()
    }


def _guarded(kind: type[Any]) -> type[Any]:
    connection = kind.ConnectionCls
    names = {"response_class": _Response}
    heeding = type(connection.__name__, (connection,), names)
    return type(kind.__name__, (kind,), {"ConnectionCls": heeding})


class _Response(http.client.HTTPResponse):
    def __init__(self, sock: socket.socket, *args: Any, **options: Any) -> None:
        super().__init__(sock, *args, **options)
        self.fp = _Buffered(_Reader(self.fp.detach(), sock))


class _Buffered(io.BufferedReader):
    def read1(self, size: int = -1, /) -> Any:
        target = _target.get()
        if target is None:
            return super().read1(size)
        part = target if size < 0 else target[:size]
        return part[: self.readinto1(part)]


class _Reader(io.RawIOBase):
    """A socket's bytes; each wait for some ends when the moment comes."""

    def __init__(self, raw: io.RawIOBase, sock: socket.socket) -> None:
        self._raw = raw
        self._sock = sock

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        at_s = _moment.get()
        if at_s is None:
            return self._read(buffer)
        left_s = at_s - time.monotonic()
        if left_s <= 0:
            msg = "the answer takes too long"
            raise TimeoutError(msg)
        silence_s = self._sock.gettimeout()
        if silence_s is not None and silence_s <= left_s:
            return self._read(buffer)
        self._sock.settimeout(left_s)
        try:
            return self._read(buffer)
        finally:
            # Another thread may have closed it meanwhile.
            with contextlib.suppress(OSError):
                self._sock.settimeout(silence_s)

    def _read(self, buffer: Any) -> int | None:
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()
