"""Importing: what of a set of files must be read, and keeping what that gave.

A file whose stamp is as recorded is known; one with the stamp of a file that
is gone from its old path was renamed; anything else is hashed.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Self

from etdb.errors import NotFoundError, UnavailableError
from etdb.identity import CID
from etdb.progress import Progress
from etdb.store.catalogue import Catalogue, State, StoredFile
from etdb.store.hashing import Hashed, Hasher, ReadInto
from etdb.store.openfiles import Stamp, stamp_of
from etdb.store.unixfs import Profile

BATCH_FILES = 1000
BATCH_BYTES = 1024 * 1024 * 1024
CLOCK_TICK_NS = 20_000_000
"""Two writes within one tick of a file system's clock may leave one stamp."""


@dataclass(frozen=True)
class Added:
    """One imported file; `is_new` is false where it was known by this CID."""

    cid: CID
    size_bytes: int
    tsize: int
    is_new: bool


@dataclass(frozen=True)
class Disk:
    """How files are read and timed: the system's, unless a test says otherwise."""

    read_into: ReadInto = os.preadv
    clock_ns: Callable[[], int] = time.time_ns


class Importer:
    """One import under one profile. A context manager.

    What was hashed is kept in batches, each one transaction, so that an import
    that is stopped need not read it again; leaving the block keeps the rest,
    also on the way of an error.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        disk: Disk,
        profile: Profile,
        progress: Progress,
        threads: int,
    ) -> None:
        self._catalogue = catalogue
        self._clock_ns = disk.clock_ns
        self._profile = profile
        self._progress = progress
        self._hasher = Hasher(threads, disk.read_into)
        self._batch: list[tuple[Path, Hashed]] = []
        self._batch_bytes = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._hasher.close()
        self._save_batch()

    def add(self, path: Path) -> Added:
        """Import one file by its absolute path; errors as `Hasher.hash_file`."""
        stamp = stamp_of(path)
        known = self._catalogue.find_file(path, self._profile)
        if known is not None and _is_unchanged(known, stamp):
            self._catalogue.mark(known, State.PRESENT)
            return self._skip(known)
        moved = self._find_moved(path, stamp)
        if moved is not None:
            self._catalogue.move(moved, path, self._profile, stamp.ctime_ns)
            return self._skip(moved)
        hashed = self._hash(path)
        self._keep(path, hashed)
        root = hashed.root
        is_new = known is None or known.root_bytes != root.cid.to_bytes()
        return Added(root.cid, root.size_bytes, root.tsize, is_new)

    def _skip(self, file: StoredFile) -> Added:
        self._progress.advance(file.stamp.size_bytes)
        root = CID.from_bytes(file.root_bytes)
        return Added(root, file.stamp.size_bytes, file.tsize, is_new=False)

    def _hash(self, path: Path) -> Hashed:
        started_ns = self._clock_ns()
        hashed = self._hasher.hash_file(path, self._profile, self._progress)
        if hashed.stamp.ctime_ns > started_ns - CLOCK_TICK_NS:
            # It may change once more and keep this stamp: read it next time.
            return replace(hashed, stamp=replace(hashed.stamp, ctime_ns=0))
        return hashed

    def _find_moved(self, path: Path, stamp: Stamp) -> StoredFile | None:
        for file in self._catalogue.list_twins(stamp, self._profile):
            if not _is_at_its_path(file) and self._is_same(file, path, stamp):
                return file
        return None

    def _is_same(self, file: StoredFile, path: Path, stamp: Stamp) -> bool:
        """Whether a file with this stamp holds what was hashed.

        Moving a folder leaves the stamps of what is in it; renaming a file
        moves its ctime, and three of its chunks are hashed for certainty.
        """
        if file.stamp == stamp:
            return True
        last = max(0, stamp.size_bytes - 1) // file.chunk_bytes
        numbers = sorted({0, last // 2, last})
        digests = self._hasher.hash_chunks(path, self._profile, numbers)
        return all(self._catalogue.has_chunk(file, digest) for digest in digests)

    def _keep(self, path: Path, hashed: Hashed) -> None:
        self._batch.append((path, hashed))
        self._batch_bytes += hashed.stamp.size_bytes
        if len(self._batch) >= BATCH_FILES or self._batch_bytes >= BATCH_BYTES:
            self._save_batch()

    def _save_batch(self) -> None:
        batch, self._batch, self._batch_bytes = self._batch, [], 0
        if batch:
            self._catalogue.save_files(batch, self._profile)


def _is_unchanged(file: StoredFile, stamp: Stamp) -> bool:
    return file.state is not State.CHANGED and file.stamp == stamp


def _is_at_its_path(file: StoredFile) -> bool:
    try:
        return stamp_of(file.path).inode == file.stamp.inode
    except (NotFoundError, UnavailableError):
        return False
