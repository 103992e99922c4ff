"""A file while it is fetched: built beside its place, never under its name.

What an earlier run left of it, or what stands wrongly in its place, is used
again chunk by chunk, after hashing; nothing on disk is believed.
"""

from __future__ import annotations

import contextlib
import errno
import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from etdb import durable
from etdb.client.content import (
    DatasetFile,
    is_chunk,
    is_raw,
    is_whole,
    read_at,
    write_at,
)
from etdb.client.dag import Dag
from etdb.client.folder import Folder, find_mode
from etdb.durable import disk_errors
from etdb.errors import EtdbError
from etdb.progress import Progress
from etdb.store.verified import Chunk, chunk_data

SYNC_BYTES = 32 * 1024 * 1024
"""Of one file, put on disk as soon as so much was written."""


class State(StrEnum):
    """What became of a file."""

    WANTED = "wanted"
    DONE = "done"
    PRESENT = "present"
    """It was there, and right."""
    FAILED = "failed"


class Place(Protocol):
    """Where a file is to stand."""

    @property
    def partial(self) -> Path:
        """Where it is built until it is whole and verified."""

    def find(self) -> Path:
        """The path. Raises ConflictError where something else is in the way."""

    def make(self) -> Path:
        """As `find`, with the folders above it made."""


@dataclass(frozen=True)
class FolderPlace:
    """That of a dataset's file in a target folder."""

    folder: Folder
    name: str

    @property
    def partial(self) -> Path:
        """Below the folder's own state."""
        return self.folder.partial(self.name)

    def find(self) -> Path:
        """Raises InvalidDataError for a name that leads out of the folder."""
        return self.folder.place(self.name)

    def make(self) -> Path:
        """With the folders above it."""
        return self.folder.make_place(self.name)


class PartialFile:
    """One file of a download, filled by several threads range by range."""

    def __init__(self, place: Place, file: DatasetFile) -> None:
        self.file = file
        self.path = place.partial
        self.state = State.WANTED
        self.error: EtdbError | None = None
        self._place = place
        self.is_foreign = False
        self._is_left_over = False
        self._donor: Path | None = None
        """A wrong file under the name, whose right chunks need no fetching."""
        self.given: dict[str, None] = {}
        """The sources of its chunks, by name, in order."""
        self.found_bytes = 0
        """Of an earlier run, in their place and verified again."""
        self.fetched_bytes = 0
        self._ranges = 1  # the last of them is the file's end
        self._unsynced_bytes = 0
        self._lock = threading.Lock()
        if file.problem is not None:
            self.fail(file.problem)

    def fail(self, error: EtdbError) -> None:
        """The first failure is the file's."""
        with self._lock:
            if self.error is None:
                self.state, self.error = State.FAILED, error

    def given_by(self, source: str, size_bytes: int) -> None:
        """A verified chunk of it came from this source."""
        with self._lock:
            self.given[source] = None
            self.fetched_bytes += size_bytes

    def find_standing(self) -> Path | None:
        """The file under the name, if there is any; what is not one fails."""
        if self.error is not None:
            return None
        try:
            place = self._place.find()
            return None if find_mode(place) is None else place
        except EtdbError as exc:
            self.fail(exc)
            return None

    def check_standing(
        self, dag: Dag, place: Path, progress: Progress, *, may_mend: bool
    ) -> None:
        """Hash the file under the name; a right one is kept as it is.

        A wrong one in a folder that no earlier download made is somebody's own
        (`is_foreign`) and must not be replaced.
        """
        try:
            if not is_whole(dag, self.file, place, progress):
                self.is_foreign = not may_mend
                self._donor = place
                return
            self.state = State.PRESENT
            with disk_errors(self.path):
                self.path.unlink(missing_ok=True)
        except EtdbError as exc:
            self.fail(exc)

    def create(self) -> None:
        """Make the file, or take up what was left of it."""
        with disk_errors(self.path):
            self._is_left_over = find_mode(self.path) is not None
            with _opened(self.path, os.O_RDWR | os.O_CREAT) as handle:
                os.ftruncate(handle, self.file.size_bytes)

    @contextlib.contextmanager
    def opened(self) -> Iterator[int]:
        """A handle to write by; a disk that refuses is UnavailableError."""
        with disk_errors(self.path), _opened(self.path, os.O_RDWR) as handle:
            yield handle

    def restore(self, dag: Dag, chunk: Chunk, handle: int, view: memoryview) -> bool:
        """Whether the chunk is in its place now, without being fetched.

        `view` is as large as the chunk and is overwritten.
        """
        if self._is_found(dag, chunk, handle, view):
            with self._lock:
                self.found_bytes += chunk.size
            return True
        if not is_raw(chunk):
            # Its block was fetched and verified to find the file's shape.
            block = dag.get_block(chunk.cid)
            write_at(handle, chunk_data(chunk.cid, block), chunk.offset)
            with self._lock:
                self.fetched_bytes += chunk.size
            return True
        return False

    def _is_found(self, dag: Dag, chunk: Chunk, handle: int, view: memoryview) -> bool:
        if self._is_left_over and _read_right(dag, chunk, handle, view):
            return True
        if self._donor is None:
            return False
        with _opened(self._donor, os.O_RDONLY) as donor:
            is_right = _read_right(dag, chunk, donor, view)
        if is_right:
            write_at(handle, view, chunk.offset)
        return is_right

    def wrote(self, size_bytes: int) -> bool:
        """So many bytes more were written; whether it is time to `sync`."""
        with self._lock:
            self._unsynced_bytes += size_bytes
            is_due = self._unsynced_bytes >= SYNC_BYTES
            if is_due:
                self._unsynced_bytes = 0
        return is_due

    def sync(self) -> None:
        """What was written is on disk now, should the power go."""
        try:
            with disk_errors(self.path):
                with _opened(self.path, os.O_RDWR) as handle:
                    os.fdatasync(handle)
                durable.sync_folder(self.path.parent)
        except EtdbError as exc:
            # It may be whole already, and have its name.
            if self.state is State.WANTED and self.path.exists():
                self.fail(exc)

    def add_range(self) -> None:
        """One more range is under way."""
        with self._lock:
            self._ranges += 1

    def end_range(self) -> None:
        """A range is over; after the last, a whole file gets its name."""
        with self._lock:
            self._ranges -= 1
            is_last = self._ranges == 0
        if not is_last or self.error is not None:
            return
        try:
            durable.rename(self.path, self._place.make())
        except EtdbError as exc:
            self.fail(exc)
        else:
            self.state = State.DONE


def _read_right(dag: Dag, chunk: Chunk, handle: int, view: memoryview) -> bool:
    return (
        _has_data(handle, chunk)
        and read_at(handle, view, chunk.offset)
        and is_chunk(dag, chunk, view)
    )


def _has_data(handle: int, chunk: Chunk) -> bool:
    """Whether anything of a chunk was ever written: a hole need not be hashed."""
    if not chunk.size:
        return True
    try:
        found = os.lseek(handle, chunk.offset, os.SEEK_DATA)
    except OSError as exc:
        if exc.errno == errno.ENXIO:
            return False
        raise
    return found < chunk.offset + chunk.size


@contextlib.contextmanager
def _opened(path: Path, flags: int) -> Iterator[int]:
    handle = os.open(path, flags | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
    try:
        yield handle
    finally:
        os.close(handle)
