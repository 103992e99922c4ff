"""Reading on where the chunks of a file are asked for one by one.

Whoever takes a file block by block waits for the disk and a hash at each. So
the chunk that follows is read and hashed while the last one is on its way, and
kept until it is asked for, once. It is given only while its file has the stamp
under which it was imported, just as if it were read then.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from etdb.errors import EtdbError
from etdb.store.openfiles import Stamp, is_unchanged
from etdb.store.rows import StoredFile

KEPT = 4
"""Chunks in memory that nobody has asked for yet; and files that are followed."""


@dataclass(frozen=True)
class Chunk:
    """The block of a chunk as it was on disk, and its digest."""

    block: bytes
    digest: bytes


class ReadAhead:
    """Reads chunks, and the next one where somebody reads in order and alone.

    Thread-safe. Several readers at once keep the disk and the processors busy
    by themselves: then nothing is read that nobody has asked for.
    """

    def __init__(
        self,
        read: Callable[[StoredFile, int], Chunk],
        is_unchanged: Callable[[Path, Stamp], bool] = is_unchanged,
    ) -> None:
        self._read = read
        self._is_unchanged = is_unchanged
        self._pool = ThreadPoolExecutor(1, "etdb-ahead")
        self._lock = threading.Lock()
        self._last: OrderedDict[int, int] = OrderedDict()
        """The number of the chunk that was read last, by file."""
        self._ready: OrderedDict[tuple[int, int], Future[Chunk]] = OrderedDict()
        self._readers = 0
        self._is_closed = False

    def read(self, file: StoredFile, number: int) -> Chunk:
        """A chunk of a file. Errors as the `read` that was given."""
        with self._lock:
            begun = self._ready.pop((file.id, number), None)
            self._readers += 1
        try:
            chunk = self._find_begun(file, begun) or self._read(file, number)
        finally:
            with self._lock:
                self._readers -= 1
        with self._lock:
            self._read_on(file, number)
        return chunk

    def close(self) -> None:
        """Wait for a read that is under way, and begin none from now on."""
        with self._lock:
            self._is_closed = True
            self._ready.clear()
        self._pool.shutdown(cancel_futures=True)

    def _find_begun(
        self, file: StoredFile, begun: Future[Chunk] | None
    ) -> Chunk | None:
        # What still waits for another file's disk is not waited for.
        if begun is None or begun.cancel():
            return None
        try:
            chunk = begun.result()
        except EtdbError:
            return None  # whoever reads it now learns why
        return chunk if self._is_unchanged(file.path, file.stamp) else None

    def _read_on(self, file: StoredFile, number: int) -> None:
        is_in_order = self._last.get(file.id) == number - 1
        self._last[file.id] = number
        self._last.move_to_end(file.id)
        if len(self._last) > KEPT:
            self._last.popitem(last=False)
        is_last = (number + 1) * file.chunk_bytes >= file.stamp.size_bytes
        following = (file.id, number + 1)
        if (
            is_in_order
            and not (is_last or self._readers or self._is_closed)
            and following not in self._ready
        ):
            self._ready[following] = self._pool.submit(self._read, file, number + 1)
            if len(self._ready) > KEPT:
                self._ready.popitem(last=False)[1].cancel()
