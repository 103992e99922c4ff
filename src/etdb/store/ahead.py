"""Reading on where the chunks of a file are asked for one by one.

Whoever takes a file block by block waits for the disk and a hash at each. So
the chunks that follow are read and hashed while the last one is on its way, and
each is given once. Where the file changes or is removed just then, they are
given a moment longer: they are what was on disk, and what their CIDs say.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from etdb.errors import EtdbError
from etdb.store.rows import StoredFile

DEPTH = 3
"""How many chunks are read beyond the last one that was asked for."""
THREADS = 2
"""That read: while one waits for the interpreter, the other hashes."""
FRESH_S = 1.0
"""How long after it was read a chunk is given without looking at the file."""
KEPT = 8
"""Chunks in memory that nobody has asked for yet; and files that are followed."""


@dataclass(frozen=True)
class Chunk:
    """The block of a chunk as it was on disk, and its digest."""

    block: bytes
    digest: bytes


@dataclass(frozen=True)
class _Begun:
    """A chunk that is being read, or was at the moment that comes with it."""

    file: StoredFile
    number: int
    read: Future[tuple[Chunk, float]]

    def find_chunk(self, now_s: float) -> Chunk | None:
        """The chunk; None where it could not be read, or was too long ago."""
        try:
            chunk, at_s = self.read.result()
        except EtdbError:
            return None  # whoever reads it now learns why
        return chunk if now_s - at_s <= FRESH_S else None

    def find_block(self, digest: bytes, now_s: float) -> bytes | None:
        """The chunk's block, if it is there already and the one of a digest."""
        if not self.read.done() or self.read.exception() is not None:
            return None
        chunk = self.find_chunk(now_s)
        return None if chunk is None or chunk.digest != digest else chunk.block


class ReadAhead:
    """Reads chunks, and those that follow where somebody reads in order and alone.

    Thread-safe. Several readers at once keep the disk and the processors busy
    by themselves: then nothing is read that nobody has asked for.
    """

    def __init__(
        self,
        read: Callable[[StoredFile, int], Chunk],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._read = read
        self._clock = clock
        self._pool = ThreadPoolExecutor(THREADS, "etdb-ahead")
        self._lock = threading.Lock()
        self._last: OrderedDict[int, int] = OrderedDict()
        """The number of the chunk that was read last, by file."""
        self._begun: OrderedDict[tuple[int, int], _Begun] = OrderedDict()
        self._readers = 0
        self._waiting = threading.Semaphore(KEPT)
        """Held by each read until a thread comes to it; those given up, too."""
        self._is_closed = False

    def read(self, file: StoredFile, number: int) -> Chunk:
        """A chunk of a file. Errors as the `read` that was given."""
        with self._lock:
            begun = self._begun.pop((file.id, number), None)
            self._readers += 1
        try:
            chunk = self._find_chunk(begun) or self._read(file, number)
        finally:
            with self._lock:
                self._readers -= 1
        with self._lock:
            self._read_on(file, number)
        return chunk

    def find(self, digest: bytes) -> bytes | None:
        """The block of a digest, if it has been read ahead; waits for no disk."""
        now_s = self._clock()
        with self._lock:
            for key, begun in self._begun.items():
                block = begun.find_block(digest, now_s)
                if block is not None:
                    del self._begun[key]
                    self._read_on(begun.file, begun.number)
                    return block
        return None

    def close(self) -> None:
        """Wait for reads that are under way, and begin none from now on."""
        with self._lock:
            self._is_closed = True
            self._begun.clear()
        self._pool.shutdown(cancel_futures=True)

    def _find_chunk(self, begun: _Begun | None) -> Chunk | None:
        # What still waits for another file's disk is not waited for.
        if begun is None or begun.read.cancel():
            return None
        return begun.find_chunk(self._clock())

    def _read_on(self, file: StoredFile, number: int) -> None:
        is_in_order = self._last.get(file.id) == number - 1
        self._last[file.id] = number
        self._last.move_to_end(file.id)
        if len(self._last) > KEPT:
            self._last.popitem(last=False)
        if not is_in_order or self._readers or self._is_closed:
            return
        count = -(-file.stamp.size_bytes // file.chunk_bytes)
        for following in range(number + 1, min(number + 1 + DEPTH, count)):
            if (file.id, following) not in self._begun:
                self._begin(file, following)

    def _begin(self, file: StoredFile, number: int) -> None:
        if not self._waiting.acquire(blocking=False):
            return  # disks that do not answer hold up every thread
        read: Future[tuple[Chunk, float]] = Future()
        self._pool.submit(self._run, read, file, number)
        self._begun[file.id, number] = _Begun(file, number, read)
        if len(self._begun) > KEPT:
            self._begun.popitem(last=False)[1].read.cancel()

    def _run(
        self, read: Future[tuple[Chunk, float]], file: StoredFile, number: int
    ) -> None:
        self._waiting.release()
        if not read.set_running_or_notify_cancel():
            return
        try:
            chunk = self._read(file, number)
        except BaseException as exc:  # noqa: BLE001 - raised where it is asked for
            read.set_exception(exc)
        else:
            read.set_result((chunk, self._clock()))
