"""Importing: what of a set of files must be read, and keeping what that gave.

A file whose stamp is as recorded is known; one with the stamp of a file that
is gone from its old path was renamed; anything else is hashed.
"""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

from etdb.errors import NotFoundError, UnavailableError
from etdb.identity import CID
from etdb.progress import Progress
from etdb.store.catalogue import Catalogue, Move, State, StoredFile
from etdb.store.draft import SAVE_SECONDS, KeptDraft
from etdb.store.hashing import Hashed, Hasher, ReadInto
from etdb.store.openfiles import Stamp, stamp_of
from etdb.store.unixfs import Profile

BATCH_FILES = 4000
BATCH_BYTES = 1024 * 1024 * 1024
LOOKUP_FILES = 256
"""How many files are looked up at once in the catalogue."""
CLOCK_TICK_NS = 20_000_000
"""Two writes within one tick of a file system's clock may leave one stamp."""

_NONE_SEEN: Mapping[Path, Stamp] = {}


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
    that is stopped need not read it again, nor the half of a large file; leaving
    the block keeps the rest, also on the way of an error.
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
        self._batch: dict[Path, Hashed] = {}
        self._batch_bytes = 0
        self._saved_at = time.monotonic()
        self._begun: dict[Path, Stamp] = {}
        self._moves: list[Move] = []
        self._replaced: set[int] = set()
        self._taken: set[int] = set()
        """Rows that are no longer what the last look-up said of them."""

    def __enter__(self) -> Self:
        self._begun = {
            file.path: file.stamp
            for file in self._catalogue.list_unfinished()
            if file.profile == self._profile.name
        }
        return self

    def __exit__(self, *_: object) -> None:
        self._hasher.close()
        self._save_batch()

    def add_all(
        self, paths: Iterable[Path], seen: Mapping[Path, Stamp] = _NONE_SEEN
    ) -> Iterator[Added]:
        """Import files by their absolute paths; errors as `Hasher.hash_file`.

        `seen` are stamps from when the import began: they do for files that are
        read now in any case, and nothing else is decided by them.
        """
        remaining = iter(paths)
        while some := list(itertools.islice(remaining, LOOKUP_FILES)):
            if not self._moves:
                self._taken.clear()
            known = self._catalogue.find_files(some, self._profile)
            stamps = [
                (None if path in known else seen.get(path)) or stamp_of(path)
                for path in some
            ]
            new = [
                stamp.inode
                for path, stamp in zip(some, stamps, strict=True)
                if path not in known or known[path].stamp != stamp
            ]
            twins = self._catalogue.list_twins(new, self._profile) if new else {}
            for path, stamp in zip(some, stamps, strict=True):
                if path in self._begun:
                    self._drop_if_over(path, stamp, known.get(path))
                found = twins.get(stamp.inode)
                now = stamp_of(path) if found and path in seen else stamp
                yield self._add(path, now, known.get(path), found or ())

    def _add(
        self,
        path: Path,
        stamp: Stamp,
        known: StoredFile | None,
        twins: Iterable[StoredFile],
    ) -> Added:
        if known is not None and self._is_unchanged(known, stamp):
            self._catalogue.mark(known, State.PRESENT)
            return self._skip(known)
        moved = self._find_moved(path, stamp, twins)
        if moved is not None:
            self._move(moved, Move(moved, path, stamp.ctime_ns), known)
            return self._skip(moved)
        hashed = self._hash(path, stamp)
        if known is not None:
            self._replaced.add(known.id)
        self._keep(path, hashed)
        root = hashed.root
        is_new = known is None or known.root_bytes != root.cid.to_bytes()
        return Added(root.cid, root.size_bytes, root.tsize, is_new)

    def _is_unchanged(self, file: StoredFile, stamp: Stamp) -> bool:
        return (
            file.state is not State.CHANGED
            and file.stamp == stamp
            and file.id not in self._taken
        )

    def _move(self, file: StoredFile, move: Move, known: StoredFile | None) -> None:
        self._moves.append(move)
        self._taken.add(file.id)
        if known is not None:
            self._taken.add(known.id)
        self._save_if_full()

    def _skip(self, file: StoredFile) -> Added:
        self._progress.advance(file.stamp.size_bytes)
        root = CID.from_bytes(file.root_bytes)
        return Added(root, file.stamp.size_bytes, file.tsize, is_new=False)

    def _hash(self, path: Path, stamp: Stamp) -> Hashed:
        settled_ns = self._clock_ns() - CLOCK_TICK_NS
        if stamp.size_bytes <= self._profile.chunk_bytes:
            hashed = self._hasher.hash_file(path, self._profile, self._progress)
        else:
            hashed = self._hash_large(path, settled_ns)
        if hashed.stamp.ctime_ns > settled_ns:
            # It may change once more and keep this stamp: read it next time.
            return replace(hashed, stamp=replace(hashed.stamp, ctime_ns=0))
        return hashed

    def _hash_large(self, path: Path, settled_ns: int) -> Hashed:
        profile, progress = self._profile, self._progress
        with KeptDraft(self._catalogue, path, profile, settled_ns) as draft:
            return self._hasher.hash_file(path, profile, progress, draft)

    def _drop_if_over(self, path: Path, stamp: Stamp, known: StoredFile | None) -> None:
        """Forget the half of a file that changed, or was imported since."""
        is_known = known is not None and self._is_unchanged(known, stamp)
        if is_known or self._begun[path] != stamp:
            self._catalogue.drop_unfinished([(path, self._profile.name)])

    def _find_moved(
        self, path: Path, stamp: Stamp, twins: Iterable[StoredFile]
    ) -> StoredFile | None:
        for file in twins:
            if (
                file.id not in self._taken
                and stamp.has_same_content(file.stamp)
                and not _is_at_its_path(file)
                and self._is_same(file, path, stamp)
            ):
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
        self._batch[path] = hashed
        self._batch_bytes += hashed.stamp.size_bytes
        self._save_if_full()

    def _save_if_full(self) -> None:
        files = len(self._batch) + len(self._moves)
        if (
            files >= BATCH_FILES
            or self._batch_bytes >= BATCH_BYTES
            or time.monotonic() - self._saved_at >= SAVE_SECONDS
        ):
            self._save_batch()

    def _save_batch(self) -> None:
        batch, self._batch, self._batch_bytes = self._batch, {}, 0
        moves, self._moves = self._moves, []
        self._taken |= self._replaced
        self._replaced.clear()
        if batch or moves:
            self._catalogue.save_files(list(batch.items()), self._profile, moves)
        self._saved_at = time.monotonic()


def _is_at_its_path(file: StoredFile) -> bool:
    try:
        return stamp_of(file.path).inode == file.stamp.inode
    except (NotFoundError, UnavailableError):
        return False
