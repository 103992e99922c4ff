"""Hashing files: read once, with a buffer per thread, into chunk digests.

Knows nothing of where the result is kept. A file that changes while it is read
is refused, so that a CID is never that of a mixture.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from pathlib import Path

from etdb.errors import ConflictError
from etdb.progress import Progress
from etdb.store.openfiles import Stamp, reading
from etdb.store.tree import FileTree, Subtree
from etdb.store.unixfs import Profile, chunk_digest

JOB_BYTES = 4 * 1024 * 1024
DIGEST_BYTES = 32

ReadInto = Callable[[int, Sequence[memoryview], int], int]
"""`os.preadv`, or a stand-in that watches or fails."""


@dataclass(frozen=True)
class Hashed:
    """What reading one file gave; the digests of its chunks end to end."""

    stamp: Stamp
    root: Subtree
    chunk_digests: bytes
    nodes: tuple[tuple[bytes, bytes], ...]
    """(digest, block) of each dag-pb node above the chunks."""

    def iter_digests(self) -> Iterator[bytes]:
        """The digest of each chunk, in order."""
        return _split(self.chunk_digests)


class Draft:
    """The digests of a file's chunks while it is read; those of `digests` are."""

    def __init__(self) -> None:
        self.digests = bytearray()

    def begin(self, stamp: Stamp) -> None:
        """A large file is open: `digests` may be filled with its first ones."""

    def add(self, digests: bytes) -> None:
        """The next ones."""
        self.digests += digests


@dataclass(frozen=True)
class _Job:
    path: Path
    handle: int
    profile: Profile
    start: int
    stop: int


class Hasher:
    """Hashes files with one thread or several; `close` it."""

    def __init__(self, threads: int, read_into: ReadInto = os.preadv) -> None:
        self._threads = threads
        self._read_into = read_into
        self._pool: ThreadPoolExecutor | None = None
        self._buffers = threading.local()

    def close(self) -> None:
        """Stop the threads."""
        if self._pool is not None:
            self._pool.shutdown()

    def hash_file(
        self,
        path: Path,
        profile: Profile,
        progress: Progress,
        draft: Draft | None = None,
    ) -> Hashed:
        """Read a whole file, or what a draft does not have of it yet.

        Raises ConflictError naming the file if it changes meanwhile, else as
        `openfiles.reading`.
        """
        with reading(path) as (handle, stamp):
            job = _Job(path, handle, profile, 0, stamp.size_bytes)
            if stamp.size_bytes <= profile.chunk_bytes:
                hashed = self._hash_leaf(job, stamp)
                progress.advance(stamp.size_bytes)
            else:
                hashed = self._hash_tree(job, stamp, progress, draft or Draft())
            if Stamp.of(os.fstat(handle)) != stamp:
                raise _changed(path)
        return hashed

    def _hash_leaf(self, job: _Job, stamp: Stamp) -> Hashed:
        """A file of at most one chunk: its root is its leaf."""
        size = stamp.size_bytes
        digest = self._hash(job)
        tsize = job.profile.leaf_bytes(size)
        root = Subtree(job.profile.leaf_cid(digest), size, tsize)
        return Hashed(stamp, root, digest, ())

    def _hash_tree(
        self, whole: _Job, stamp: Stamp, progress: Progress, draft: Draft
    ) -> Hashed:
        nodes: list[tuple[bytes, bytes]] = []
        profile = whole.profile
        tree = FileTree(profile, lambda cid, block: nodes.append((cid.digest, block)))
        draft.begin(stamp)
        known, rest = _cut(whole, len(draft.digests) // DIGEST_BYTES)
        _add_chunks(tree, known, bytes(draft.digests))
        progress.advance(known.stop)
        hashing = self._iter_hashed(_iter_jobs(rest), rest.stop - rest.start)
        # Closed before the file is: threads may be reading ahead.
        with contextlib.closing(hashing):
            for job, found in hashing:
                draft.add(found)
                _add_chunks(tree, job, found)
                progress.advance(job.stop - job.start)
        return Hashed(stamp, tree.finish(), bytes(draft.digests), tuple(nodes))

    def hash_chunks(
        self, path: Path, profile: Profile, numbers: Iterable[int]
    ) -> list[bytes]:
        """The digests of some chunks of a file; errors as `hash_file`."""
        digests = []
        with reading(path) as (handle, stamp):
            for number in numbers:
                start = number * profile.chunk_bytes
                stop = min(stamp.size_bytes, start + profile.chunk_bytes)
                digests.append(self._hash(_Job(path, handle, profile, start, stop)))
        return digests

    def _iter_hashed(
        self, jobs: Iterator[_Job], size_bytes: int
    ) -> Generator[tuple[_Job, bytes]]:
        # A small file costs less than handing it to another thread.
        if self._threads > 1 and size_bytes > JOB_BYTES:
            yield from self._iter_ahead(jobs)
            return
        for job in jobs:
            yield job, self._hash(job)

    def _iter_ahead(self, jobs: Iterator[_Job]) -> Generator[tuple[_Job, bytes]]:
        if self._pool is None:
            self._pool = ThreadPoolExecutor(self._threads, "etdb-hash")
        running: deque[tuple[_Job, Future[bytes]]] = deque()
        try:
            for job in jobs:
                running.append((job, self._pool.submit(self._hash, job)))
                if len(running) > 2 * self._threads:
                    done, future = running.popleft()
                    yield done, future.result()
            while running:
                done, future = running.popleft()
                yield done, future.result()
        finally:
            wait([future for _, future in running if not future.cancel()])

    def _hash(self, job: _Job) -> bytes:
        """The digests of a job's chunks; one of them where the job is empty."""
        buffer = self._buffer(job.profile.chunk_bytes)
        digests, position = [], job.start
        while True:
            size = min(job.profile.chunk_bytes, job.stop - position)
            fill(self._read_into, job.handle, buffer[:size], position, job.path)
            digests.append(chunk_digest(buffer[:size], job.profile))
            position += size
            if position >= job.stop:
                return b"".join(digests)

    def _buffer(self, size: int) -> memoryview:
        known: memoryview | None = getattr(self._buffers, "view", None)
        if known is None or len(known) < size:
            known = self._buffers.view = memoryview(bytearray(size))
        return known


def fill(
    read_into: ReadInto, handle: int, buffer: memoryview, offset: int, path: Path
) -> None:
    """Read until a buffer is full. Raises ConflictError where the file ends."""
    done = 0
    while done < len(buffer):
        count = read_into(handle, [buffer[done:]], offset + done)
        if count == 0:
            raise _changed(path)
        done += count


def _cut(job: _Job, chunks: int) -> tuple[_Job, _Job]:
    """A job in two, the first of which has so many chunks."""
    middle = min(job.stop, job.start + chunks * job.profile.chunk_bytes)
    return replace(job, stop=middle), replace(job, start=middle)


def _iter_jobs(whole: _Job) -> Iterator[_Job]:
    """A job cut into smaller ones of whole chunks."""
    chunk_bytes = whole.profile.chunk_bytes
    step = max(1, JOB_BYTES // chunk_bytes) * chunk_bytes
    for start in range(whole.start, whole.stop, step):
        stop = min(whole.stop, start + step)
        yield _Job(whole.path, whole.handle, whole.profile, start, stop)


def _add_chunks(tree: FileTree, job: _Job, digests: bytes) -> None:
    position = job.start
    for digest in _split(digests):
        size = min(job.profile.chunk_bytes, job.stop - position)
        tree.add(digest, size)
        position += size


def _split(digests: bytes) -> Iterator[bytes]:
    for start in range(0, len(digests), DIGEST_BYTES):
        yield digests[start : start + DIGEST_BYTES]


def _changed(path: Path) -> ConflictError:
    msg = f"{path} changed while it was read"
    return ConflictError(
        msg, hint="wait until nothing writes to it, then repeat", path=str(path)
    )
