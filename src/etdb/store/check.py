"""Checking: the files of a store are read again and compared with their CIDs.

At a pace that leaves the disks to others, and from where it was interrupted.
What is found is noted in the catalogue, so that reports are of both halves.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from etdb.errors import (
    ConflictError,
    DamagedFileError,
    NotFoundError,
    UnavailableError,
)
from etdb.identity import CID, RAW
from etdb.progress import Progress
from etdb.store.catalogue import Catalogue, Position, State, StoredFile
from etdb.store.hashing import ReadInto, fill
from etdb.store.openfiles import changed, reading, stamp_of
from etdb.store.pieces import Unfinished
from etdb.store.unixfs import chunk_block, parse_node

SAVE_BYTES = 256 * 1024 * 1024
SAVE_FILES = 1000


@dataclass(frozen=True)
class Report:
    """What a check found; `stale` also holds what earlier reads had found."""

    files: int
    bytes: int
    stale: tuple[StoredFile, ...]
    unreadable: tuple[tuple[Path, str], ...]
    """Files that could not be read now, each with the reason."""

    @property
    def is_good(self) -> bool:
        """Whether every file holds what was hashed."""
        return not self.stale and not self.unreadable


class Pace:
    """Holds a reader to a rate. Time lost elsewhere is not made up for."""

    def __init__(
        self,
        bytes_per_s: float | None = None,
        clock: Callable[[], float] = time.monotonic,
        wait: Callable[[float], None] = time.sleep,
    ) -> None:
        self._bytes_per_s = bytes_per_s
        self._clock = clock
        self._wait = wait
        self._due = 0.0

    def spend(self, amount: int) -> None:
        """Wait until this many more bytes may have been read."""
        if self._bytes_per_s is None:
            return
        now = self._clock()
        self._due = max(self._due, now) + amount / self._bytes_per_s
        if self._due > now:
            self._wait(self._due - now)


class Check:
    """One run over all files."""

    def __init__(
        self, catalogue: Catalogue, read_into: ReadInto, pace: Pace, progress: Progress
    ) -> None:
        self._catalogue = catalogue
        self._read_into = read_into
        self._pace = pace
        self._progress = progress
        self._position = Position()
        self._files = 0
        self._bytes = 0
        self._unsaved = 0
        self._unreadable: list[tuple[Path, str]] = []

    def run(self, *, is_resumed: bool) -> Report:
        """Check every file, or those that an interrupted run left.

        Raises DamagedFileError where the store contradicts itself.
        """
        if is_resumed:
            self._position = self._catalogue.find_position()
        self._drop_unfinished()
        left = self._catalogue.bytes_from(self._position.file_id)
        self._progress.begin("checking", left, "bytes")
        try:
            for file in self._catalogue.iter_files(self._position.file_id):
                self._check(file)
        except BaseException:
            self._catalogue.save_position(self._position)
            raise
        finally:
            self._progress.end()
        self._catalogue.save_position(None)
        stale = tuple(self._catalogue.list_stale())
        return Report(self._files, self._bytes, stale, tuple(self._unreadable))

    def _drop_unfinished(self) -> None:
        """Forget the halves of files that are gone or have changed."""
        halves = self._catalogue.list_unfinished()
        over = [(file.path, file.profile) for file in halves if _is_over(file)]
        if over:
            self._catalogue.drop_unfinished(over)

    def _check(self, file: StoredFile) -> None:
        first = self._position.number if file.id == self._position.file_id else 0
        self._advance(file.id, first, min(first * file.chunk_bytes, _size(file)))
        try:
            state = self._compare(file, first)
        except NotFoundError:
            state = State.MISSING
        except ConflictError:
            state = State.CHANGED
        except UnavailableError as exc:
            self._unreadable.append((file.path, exc.message))
            state = file.state
        self._catalogue.note(file, state)
        self._files += 1
        self._unsaved += SAVE_BYTES // SAVE_FILES
        self._advance(file.id + 1, 0, 0)

    def _compare(self, file: StoredFile, first: int) -> State:
        with reading(file.path) as (handle, stamp):
            if not stamp.has_same_content(file.stamp):
                raise changed(file.path)
            buffer = memoryview(bytearray(file.chunk_bytes))
            for number, digest in enumerate(self._iter_digests(file)):
                if number < first:
                    continue
                offset = number * file.chunk_bytes
                data = buffer[: min(file.chunk_bytes, _size(file) - offset)]
                self._pace.spend(len(data))
                fill(self._read_into, handle, data, offset, file.path)
                block = chunk_block(bytes(data), is_raw=file.is_raw)
                if hashlib.sha256(block).digest() != digest:
                    raise changed(file.path)
                self._bytes += len(data)
                self._advance(file.id, number + 1, len(data))
        return State.PRESENT

    def _advance(self, file_id: int, number: int, amount: int) -> None:
        self._progress.advance(amount)
        self._position = Position(file_id, number)
        self._unsaved += amount
        if self._unsaved >= SAVE_BYTES:
            self._catalogue.save_position(self._position)
            self._unsaved = 0

    def _iter_digests(self, file: StoredFile) -> Iterator[bytes]:
        """The digest of each chunk in order, from the nodes above them."""
        waiting = [CID.from_bytes(file.root_bytes)]
        while waiting:
            cid = waiting.pop()
            block = None
            if cid.codec != RAW:
                block = self._catalogue.find_node(file, cid.digest)
            if block is None:
                _verify_is_chunk(file, cid)
                yield cid.digest
                continue
            if hashlib.sha256(block).digest() != cid.digest:
                raise _broken(file)
            waiting += [link.cid for link in reversed(parse_node(block).links)]


def _is_over(file: Unfinished) -> bool:
    try:
        return stamp_of(file.path) != file.stamp
    except NotFoundError:
        return True
    except UnavailableError:
        return False


def _size(file: StoredFile) -> int:
    return file.stamp.size_bytes


def _verify_is_chunk(file: StoredFile, cid: CID) -> None:
    if file.is_raw and cid.codec != RAW:
        raise _broken(file)


def _broken(file: StoredFile) -> DamagedFileError:
    msg = f"the store's nodes of {file.path} are not those of its CID"
    return DamagedFileError(
        msg, hint="move store.sqlite away and publish again: files are read anew"
    )
