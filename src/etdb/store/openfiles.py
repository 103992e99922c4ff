"""Reading a lab's files: stamps that tell a changed file, and open handles.

A handle kept open spares a network file system one round trip per read. It is
lent to one reader at a time and checked by fstat before it is lent again.
"""

from __future__ import annotations

import os
import stat
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from etdb.errors import (
    ConflictError,
    InvalidDataError,
    NotFoundError,
    UnavailableError,
)

MAX_IDLE_HANDLES = 16


@dataclass(frozen=True)
class Stamp:
    """What a file system says of a file that changes when its content does."""

    size_bytes: int
    mtime_ns: int
    ctime_ns: int
    inode: int

    @classmethod
    def of(cls, status: os.stat_result) -> Stamp:
        """The stamp in the answer of stat or fstat."""
        # Some file systems number their files with all 64 bits; SQL has 63.
        inode = status.st_ino & (1 << 63) - 1
        return cls(status.st_size, status.st_mtime_ns, status.st_ctime_ns, inode)

    def has_same_content(self, other: Stamp) -> bool:
        """Whether all but the ctime agree.

        chmod and hard links move the ctime alone; whoever relies on this
        hashes what is read.
        """
        mine = (self.size_bytes, self.mtime_ns, self.inode)
        return mine == (other.size_bytes, other.mtime_ns, other.inode)


class Opened(NamedTuple):
    """A file that is open: its descriptor, and its stamp when it was opened."""

    handle: int
    stamp: Stamp


class reading:  # noqa: N801 - used like a function, and twice as fast as one
    """A regular file, opened to be read.

    Raises NotFoundError for a missing file, InvalidDataError for what is not a
    regular file, UnavailableError for what cannot be opened or read.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._handle = -1

    def __enter__(self) -> Opened:
        with file_errors(self._path):
            # O_NONBLOCK: opening a named pipe must not wait for its writer.
            flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK
            self._handle = os.open(self._path, flags)
            try:
                return Opened(self._handle, _regular_stamp(self._path, self._handle))
            except BaseException:
                os.close(self._handle)
                raise

    def __exit__(
        self, _kind: object, error: BaseException | None, _trace: object
    ) -> None:
        os.close(self._handle)
        _translate(self._path, error)


def _regular_stamp(path: Path, handle: int) -> Stamp:
    status = os.fstat(handle)
    if not stat.S_ISREG(status.st_mode):
        msg = f"not a regular file: {path}"
        raise InvalidDataError(msg)
    return Stamp.of(status)


def stamp_of(path: Path) -> Stamp:
    """The stamp of a file by its path. Raises NotFoundError, UnavailableError."""
    with file_errors(path):
        return Stamp.of(path.stat())


def is_unchanged(path: Path, stamp: Stamp) -> bool:
    """Whether a file is still that of a stamp, but for its ctime. As `stamp_of`."""
    return stamp_of(path).has_same_content(stamp)


def changed(path: Path) -> ConflictError:
    """The error of a file that is not the one that was hashed."""
    msg = f"{path} changed since it was imported"
    return ConflictError(msg, hint="publish its folder again", path=str(path))


class file_errors:  # noqa: N801 - used like a function, and twice as fast as one
    """Turn what the system says of a file into our errors."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> None:
        """Nothing is held."""

    def __exit__(
        self, _kind: object, error: BaseException | None, _trace: object
    ) -> None:
        _translate(self._path, error)


def _translate(path: Path, error: BaseException | None) -> None:
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        raise NotFoundError("file", path) from error
    if isinstance(error, OSError):
        msg = f"cannot read {path}: {error.strerror or error}"
        raise UnavailableError(
            msg, hint="mend its permissions or its disk, then repeat"
        ) from error


def _is_still(handle: int, stamp: Stamp) -> bool:
    """Whether a handle kept open is good; a server may have forgotten it."""
    try:
        return _is_the_file(handle, stamp)
    except OSError:
        return False


class OpenFiles:
    """Handles of files read lately. Thread-safe."""

    def __init__(self, limit: int = MAX_IDLE_HANDLES) -> None:
        self._limit = limit
        self._idle: list[tuple[Path, int]] = []
        self._lock = threading.Lock()

    def read(self, path: Path, stamp: Stamp, offset: int, size: int) -> bytes:
        """Up to `size` bytes; fewer only where the file ends.

        Raises ConflictError where the file is not the one of the stamp, else
        NotFoundError and UnavailableError.
        """
        with file_errors(path):
            handle = self._take(path, stamp)
            try:
                return os.pread(handle, size, offset)
            finally:
                self._put_back(path, handle)

    def close(self) -> None:
        """Close every handle, and keep none from now on."""
        self._limit = 0
        self._close_surplus()

    def _take(self, path: Path, stamp: Stamp) -> int:
        handle = self._find_idle(path)
        if handle is not None:
            # A handle that the server of the disk has forgotten is opened anew.
            if _is_still(handle, stamp):
                return handle
            os.close(handle)
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            if _is_the_file(handle, stamp):
                return handle
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)
        raise changed(path)

    def _find_idle(self, path: Path) -> int | None:
        with self._lock:
            for index, (known, handle) in enumerate(self._idle):
                if known == path:
                    del self._idle[index]
                    return handle
        return None

    def _put_back(self, path: Path, handle: int) -> None:
        with self._lock:
            self._idle.append((path, handle))
        self._close_surplus()

    def _close_surplus(self) -> None:
        with self._lock:
            while len(self._idle) > self._limit:
                _, handle = self._idle.pop(0)
                os.close(handle)


def _is_the_file(handle: int, stamp: Stamp) -> bool:
    status = os.fstat(handle)
    return status.st_nlink > 0 and Stamp.of(status).has_same_content(stamp)
