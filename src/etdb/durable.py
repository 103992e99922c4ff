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
import struct
import tempfile
import time
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

from etdb.errors import BrokenIndexError, ConflictError, UnavailableError

_FRAME = struct.Struct("<II")
MAX_ENTRY_BYTES = 64 * 1024 * 1024


@contextlib.contextmanager
def replacing(path: Path, *, mode: int = 0o644) -> Iterator[BinaryIO]:
    """A file to write that becomes `path` when the block ends without error.

    On return the bytes and the name are on disk; on error nothing changed.
    Raises UnavailableError where the disk refuses (full, read-only).
    """
    with _disk_errors(path):
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
    with _disk_errors(target):
        with source.open("rb") as file:
            os.fsync(file.fileno())
        source.replace(target)
        sync_folder(target.parent)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextlib.contextmanager
def _disk_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as exc:
        msg = f"cannot write {path}: {exc.strerror or exc}"
        raise UnavailableError(
            msg, hint="free some space or mend the permissions, then repeat"
        ) from exc


class Log:
    """An append-only file of checked entries.

    Each entry is length, CRC-32 and bytes. What a crash left behind the last
    whole entry is invisible to readers and cut by the next writer; `torn_bytes`
    says how much was found. One writer at a time (take a lock); any number of
    readers, who see new entries by `read_new`.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._end = 0
        self.torn_bytes = 0

    def read_new(self) -> list[tuple[int, bytes]]:
        """(offset, entry) of every whole entry since the last call."""
        if not self.path.exists():
            return []
        entries = []
        with self.path.open("rb") as file:
            file.seek(0, os.SEEK_END)
            size = file.tell()
            file.seek(self._end)
            while (entry := _read_entry(file)) is not None:
                entries.append((self._end, entry))
                self._end += _FRAME.size + len(entry)
        if size < self._end:
            msg = f"{self.path} became shorter: {size} bytes, {self._end} were read"
            raise BrokenIndexError(msg, hint="restore the folder from a copy")
        self.torn_bytes = size - self._end
        return entries

    def read_at(self, offset: int) -> bytes:
        """The entry at an offset that `read_new` or `append` gave."""
        with self.path.open("rb") as file:
            file.seek(offset)
            entry = _read_entry(file)
        if entry is None:
            msg = f"{self.path} has no whole entry at byte {offset}"
            raise BrokenIndexError(msg, hint="restore the folder from a copy")
        return entry

    def append(self, entries: Sequence[bytes]) -> list[int]:
        """Write entries in one go and sync; their offsets.

        Everything known must have been read first (`read_new`); a torn tail
        is cut here. Raises UnavailableError and leaves the file as it was
        when the disk refuses.
        """
        offsets, position, data = [], self._end, bytearray()
        for entry in entries:
            offsets.append(position)
            data += _FRAME.pack(len(entry), zlib.crc32(entry)) + entry
            position += _FRAME.size + len(entry)
        with _disk_errors(self.path):
            self._write_tail(bytes(data))
        self._end, self.torn_bytes = position, 0
        return offsets

    def _write_tail(self, data: bytes) -> None:
        is_new = not self.path.exists()
        with self.path.open("ab") as file:
            file.truncate(self._end)
            try:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            except OSError:
                file.truncate(self._end)
                raise
        if is_new:
            sync_folder(self.path.parent)


def _read_entry(file: BinaryIO) -> bytes | None:
    header = file.read(_FRAME.size)
    if len(header) < _FRAME.size:
        return None
    size, checksum = _FRAME.unpack(header)
    if size > MAX_ENTRY_BYTES:
        return None
    entry = file.read(size)
    if len(entry) < size or zlib.crc32(entry) != checksum:
        return None
    return entry


@contextlib.contextmanager
def lock(path: Path, purpose: str, *, wait_s: float = 0.0) -> Iterator[None]:
    """Hold a lock between processes for the length of the block.

    The lock is the kernel's (flock): a killed holder leaves nothing behind.
    Raises ConflictError naming the holder after `wait_s` seconds.
    """
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        _acquire(handle, path, wait_s)
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
