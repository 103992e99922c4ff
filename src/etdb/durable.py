"""Writing to disk so that a crash leaves the old or the new, never half.

Temp file in the same folder, fsync, rename; an append-only log whose torn tail
is cut at the next open; a lock between processes that names its holder. Used
by the chain, the journal, the store, the keys and the downloader: nobody else
renames or locks by hand.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import sqlite3
import struct
import tempfile
import time
import zlib
from collections.abc import Iterator, Sequence
from io import FileIO
from pathlib import Path
from typing import BinaryIO

from etdb.errors import ConflictError, DamagedFileError, UnavailableError

_FRAME = struct.Struct("<II")
MAX_ENTRY_BYTES = 1 << 26
MAX_GROUP_BYTES = 1 << 30
_READ_BYTES = 1 << 24


@contextlib.contextmanager
def replacing(path: Path, *, mode: int = 0o644) -> Iterator[BinaryIO]:
    """A file to write that becomes `path` when the block ends without error.

    On return the bytes and the name are on disk; on error nothing changed.
    Raises UnavailableError where the disk refuses (full, read-only).
    """
    with disk_errors(path):
        handle, name = tempfile.mkstemp(prefix=".etdb-", dir=path.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                yield file
                file.flush()
                os.fchmod(file.fileno(), mode)
                os.fsync(file.fileno())
            Path(name).replace(path)
            sync_folder(path.parent)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise


def write_bytes(path: Path, data: bytes, *, mode: int = 0o644) -> None:
    """Write a whole file durably, replacing what was there."""
    with replacing(path, mode=mode) as file:
        file.write(data)


def rename(source: Path, target: Path) -> None:
    """Sync a finished file and give it its final name."""
    with disk_errors(target):
        with source.open("rb") as file:
            os.fsync(file.fileno())
        source.replace(target)
        sync_folder(target.parent)


def rename_folder(source: Path, target: Path) -> None:
    """Sync a finished folder, all that is below it, and give it its final name.

    An empty folder of that name gives way.
    """
    with disk_errors(target):
        for place, _, names in os.walk(source, topdown=False):
            for name in names:
                with Path(place, name).open("rb") as file:
                    os.fsync(file.fileno())
            sync_folder(Path(place))
        source.rename(target)
        sync_folder(target.parent)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextlib.contextmanager
def disk_errors(path: Path, action: str = "write") -> Iterator[None]:
    """Turn what the system says about a path into UnavailableError."""
    try:
        yield
    except OSError as exc:
        msg = f"cannot {action} {str(path)!r}: {exc.strerror or exc}"
        raise UnavailableError(
            msg, hint="free some space or mend the permissions, then repeat"
        ) from exc


@contextlib.contextmanager
def sql_errors(path: Path, *, hint: str) -> Iterator[None]:
    """Turn SQLite's errors into ours; `hint` is what to do with a broken file.

    Raises UnavailableError where a full or locked disk may be tried again,
    DamagedFileError for all else.
    """
    try:
        yield
    except sqlite3.ProgrammingError:
        raise  # a mistake of ours, such as a use after closing
    except sqlite3.OperationalError as exc:
        msg = f"cannot use {path}: {exc}"
        raise UnavailableError(
            msg, hint="free some space or wait for other programs, then repeat"
        ) from exc
    except sqlite3.DatabaseError as exc:
        msg = f"{path} is broken: {exc}"
        raise DamagedFileError(msg, hint=hint, path=path) from exc


class Log:
    """An append-only file of checked entries, written in groups.

    One `append` writes one group, which is there as a whole or not at all: a
    frame (length, CRC-32, bytes) around the frames of its entries. One writer
    at a time (take a lock); any number of readers, who see new groups by
    `read_new` once they are on disk. What a crash left behind the last whole
    group is invisible to readers and goes with the next `cut` or `append`;
    `torn_bytes` says how much was found.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._end = 0
        self.torn_bytes = 0

    def read_new(self) -> list[tuple[int, bytes]]:
        """(offset, entry) of every entry that is new since the last call.

        At most about 16 MiB of whole groups at a time: call again until
        nothing comes. Raises DamagedFileError where bytes that were written
        once are gone or changed, UnavailableError where the disk refuses.
        """
        if self._is_at_end():
            self.torn_bytes = 0
            return []
        entries: list[tuple[int, bytes]] = []
        with disk_errors(self.path, "read"), self.path.open("rb") as file:
            size = self._settled_size(file)
            stop = min(size, self._end + _READ_BYTES)
            self.torn_bytes = 0
            while self._end < stop:
                group = _read_frame(file, self._end, MAX_GROUP_BYTES)
                if group is None:
                    self.torn_bytes = self._torn_bytes(file, size)
                    break
                entries += _entries_of(self._end + _FRAME.size, group)
                self._end += _FRAME.size + len(group)
        return entries

    def read_at(self, offset: int) -> bytes:
        """The entry at an offset that `read_new` or `append` gave."""
        with disk_errors(self.path, "read"), self.path.open("rb") as file:
            entry = _read_frame(file, offset, MAX_ENTRY_BYTES)
        if entry is None:
            raise self._damaged(offset)
        return entry

    def append(self, entries: Sequence[bytes]) -> list[int]:
        """Write entries as one group and sync; their offsets.

        Everything there must have been read first (`read_new`). Raises
        UnavailableError and leaves the file as it was when the disk refuses.
        """
        assert all(entries), "an empty entry cannot be told from zeros"
        if not entries:
            return []
        group = b"".join(_frame(entry) for entry in entries)
        if len(group) > MAX_GROUP_BYTES or max(map(len, entries)) > MAX_ENTRY_BYTES:
            msg = f"{len(group)} bytes in {len(entries)} entries are too many at once"
            raise RuntimeError(msg)
        offsets = [offset for offset, _ in _entries_of(self._end + _FRAME.size, group)]
        is_new = not self.path.exists()
        with disk_errors(self.path), self._alone() as file:
            if _read_frame(file, self._end, MAX_GROUP_BYTES) is not None:
                msg = f"{self.path} has entries that were not read before appending"
                raise RuntimeError(msg)
            file.truncate(self._end)
            try:
                _write_all(file, _frame(group))
                os.fsync(file.fileno())
            except OSError:
                file.truncate(self._end)
                raise
            if is_new:
                sync_folder(self.path.parent)
        self._end, self.torn_bytes = self._end + _FRAME.size + len(group), 0
        return offsets

    def cut(self) -> int:
        """Cut what a crash left behind the last group; how many bytes it was.

        The bytes are kept beside the log, under its name and their offset: a
        damaged disk can look like a crash. Everything there must have been
        read first.
        """
        if not self.path.exists():
            return 0
        with disk_errors(self.path), self._alone() as file:
            if _read_frame(file, self._end, MAX_GROUP_BYTES) is not None:
                return 0
            torn_bytes = os.fstat(file.fileno()).st_size - self._end
            if torn_bytes:
                aside = self.path.with_name(f"{self.path.name}.torn-{self._end}")
                write_bytes(aside, os.pread(file.fileno(), torn_bytes, self._end))
            file.truncate(self._end)
            os.fsync(file.fileno())
        return torn_bytes

    @contextlib.contextmanager
    def _alone(self) -> Iterator[FileIO]:
        """The file to read and append, while no reader looks at its end."""
        with self.path.open("a+b", buffering=0) as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield file

    def _is_at_end(self) -> bool:
        """Whether nothing stands behind what was read; asked without opening."""
        try:
            return self.path.stat().st_size == self._end
        except FileNotFoundError:
            return self._end == 0
        except OSError:
            return False  # opening it says what is wrong

    def _settled_size(self, file: BinaryIO) -> int:
        """The size when nobody is writing, with all of it on disk.

        A writer killed between its write and its sync leaves whole groups that
        a power cut could still take away; who has seen one must not lose it.
        """
        fcntl.flock(file, fcntl.LOCK_SH)
        size = os.fstat(file.fileno()).st_size
        if size > self._end:
            os.fsync(file.fileno())
        fcntl.flock(file, fcntl.LOCK_UN)
        if size < self._end:
            raise self._damaged(size)
        return size

    def _torn_bytes(self, file: BinaryIO, size: int) -> int:
        """How much stands behind the last whole group, if a crash can be why.

        Nothing is ever written behind a torn group: where something is, a
        group that was whole has been damaged, and nothing may be cut.
        """
        file.seek(self._end)
        header = file.read(_FRAME.size)
        length = _FRAME.unpack(header)[0] if len(header) == _FRAME.size else 0
        if 0 < length < size - self._end - _FRAME.size:
            raise self._damaged(self._end)
        return size - self._end

    def _damaged(self, offset: int) -> DamagedFileError:
        msg = f"{self.path} is damaged or cut off at byte {offset}"
        return DamagedFileError(
            msg, hint="it cannot be made again: restore it from a copy", path=self.path
        )


def _frame(data: bytes) -> bytes:
    return _FRAME.pack(len(data), zlib.crc32(data)) + data


def _read_frame(file: BinaryIO | FileIO, offset: int, limit_bytes: int) -> bytes | None:
    """The bytes framed at an offset; None where no whole frame stands.

    A file system may leave zeros where data should have come, and eight zeros
    would be the frame of nothing: empty frames are never whole.
    """
    file.seek(offset)
    header = file.read(_FRAME.size)
    if len(header) < _FRAME.size:
        return None
    size, checksum = _FRAME.unpack(header)
    if not 0 < size <= limit_bytes:
        return None
    data = file.read(size)
    if len(data) < size or zlib.crc32(data) != checksum:
        return None
    return data


def _entries_of(offset: int, group: bytes) -> list[tuple[int, bytes]]:
    """(offset, entry) of each entry of a group that starts at an offset."""
    entries, position = [], 0
    while position < len(group):
        size, _ = _FRAME.unpack_from(group, position)
        start = position + _FRAME.size
        entries.append((offset + position, group[start : start + size]))
        position = start + size
    return entries


def _write_all(file: FileIO, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[file.write(view) :]


@contextlib.contextmanager
def lock(path: Path, purpose: str, *, wait_s: float = 0.0) -> Iterator[None]:
    """Hold a lock between processes for the length of the block.

    The lock is the kernel's (flock): a killed holder leaves nothing behind.
    Raises ConflictError naming the holder after `wait_s` seconds.
    """
    with disk_errors(path):
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        _acquire(handle, path, wait_s)
        with disk_errors(path):
            os.ftruncate(handle, 0)
            os.pwrite(handle, f"{purpose} (process {os.getpid()})".encode(), 0)
        yield
        os.ftruncate(handle, 0)
    finally:
        os.close(handle)


def _acquire(handle: int, path: Path, wait_s: float) -> None:
    deadline = time.monotonic() + wait_s
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as exc:
            if time.monotonic() >= deadline:
                holder = os.pread(handle, 200, 0).decode("utf-8", "replace")
                msg = f"{path.parent} is in use by {holder or 'another process'}"
                raise ConflictError(
                    msg, hint="wait for it to finish, or stop it", holder=holder
                ) from exc
            time.sleep(0.02)
        else:
            return
