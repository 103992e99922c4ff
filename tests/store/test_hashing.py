"""Hashing files that hold still, and files that do not."""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest

from etdb.errors import ConflictError, NotFoundError, UnavailableError
from etdb.progress import Silent
from etdb.store import hashing
from etdb.store.hashing import Hasher
from etdb.store.unixfs import UNIXFS_V0_2015, UNIXFS_V1_2025, Profile
from etdb.testing.store import MemoryStore

MIB = 1024 * 1024
JOB_BYTES = hashing.JOB_BYTES


class _Counted(Silent):
    """Listens to a job."""

    def __init__(self) -> None:
        self.done = 0

    def advance(self, amount: int) -> None:
        self.done += amount


def _hash(hasher: Hasher, path: Path, profile: Profile = UNIXFS_V1_2025) -> str:
    try:
        return str(hasher.hash_file(path, profile, Silent()).root.cid)
    finally:
        hasher.close()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ts.mrc"


@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("profile", [UNIXFS_V1_2025, UNIXFS_V0_2015])
@pytest.mark.parametrize(
    "size",
    [0, 1, MIB, JOB_BYTES - 1, JOB_BYTES, JOB_BYTES + 1, 5 * JOB_BYTES + 12345],
)
def test_threads_change_nothing(
    path: Path, threads: int, profile: Profile, size: int
) -> None:
    data = os.urandom(size)
    path.write_bytes(data)

    found = _hash(Hasher(threads), path, profile)

    assert found == str(MemoryStore().add_bytes(data, profile).cid)


def test_every_byte_is_reported(path: Path) -> None:
    path.write_bytes(bytes(9 * MIB + 5))
    progress, hasher = _Counted(), Hasher(2)

    hasher.hash_file(path, UNIXFS_V1_2025, progress)
    hasher.close()

    assert progress.done == 9 * MIB + 5


def test_a_read_that_gives_less_is_continued(path: Path) -> None:
    path.write_bytes(bytes(range(256)) * 40)

    def read_a_little(handle: int, buffers: Sequence[memoryview], offset: int) -> int:
        return os.preadv(handle, [buffers[0][:1000]], offset)

    assert _hash(Hasher(1, read_a_little), path) == _hash(Hasher(1), path)


@pytest.mark.parametrize("threads", [1, 2])
def test_a_file_that_shrinks_is_refused(path: Path, threads: int) -> None:
    path.write_bytes(bytes(20 * MIB))
    has_begun = threading.Event()

    def truncate_then_read(
        handle: int, buffers: Sequence[memoryview], offset: int
    ) -> int:
        if not has_begun.is_set():
            has_begun.set()
            os.truncate(path, 10 * MIB)
        return os.preadv(handle, buffers, offset)

    with pytest.raises(ConflictError, match=r"ts\.mrc changed while it was read"):
        _hash(Hasher(threads, truncate_then_read), path)


@pytest.mark.parametrize("threads", [1, 2])
def test_a_file_that_grows_or_changes_is_refused(path: Path, threads: int) -> None:
    path.write_bytes(bytes(20 * MIB))

    def write_then_read(handle: int, buffers: Sequence[memoryview], offset: int) -> int:
        with path.open("ab") as file:
            file.write(b"x")
        return os.preadv(handle, buffers, offset)

    with pytest.raises(ConflictError, match=r"ts\.mrc"):
        _hash(Hasher(threads, write_then_read), path)


@pytest.mark.parametrize("threads", [1, 2])
def test_a_disk_that_fails_is_unavailable(path: Path, threads: int) -> None:
    path.write_bytes(bytes(20 * MIB))

    def fail_later(handle: int, buffers: Sequence[memoryview], offset: int) -> int:
        if offset >= 5 * MIB:
            raise OSError(5, "Input/output error")
        return os.preadv(handle, buffers, offset)

    with pytest.raises(UnavailableError, match=r"ts\.mrc: Input/output error"):
        _hash(Hasher(threads, fail_later), path)


def test_nobody_reads_on_after_a_failure(path: Path) -> None:
    path.write_bytes(bytes(64 * MIB))
    running: set[int] = set()

    def fail_first(handle: int, buffers: Sequence[memoryview], offset: int) -> int:
        running.add(offset)
        try:
            if offset == 0:
                raise OSError(5, "Input/output error")
            return os.preadv(handle, buffers, offset)
        finally:
            running.discard(offset)

    hasher = Hasher(2, fail_first)
    with pytest.raises(UnavailableError):
        hasher.hash_file(path, UNIXFS_V1_2025, Silent())

    assert running == set()
    hasher.close()


def test_a_missing_file_is_not_found(path: Path) -> None:
    with pytest.raises(NotFoundError, match=r"ts\.mrc"):
        _hash(Hasher(1), path)


def test_single_chunks_are_hashed_for_a_spot_check(path: Path) -> None:
    data = os.urandom(2 * MIB + 7)
    path.write_bytes(data)
    hasher = Hasher(1)
    whole = hasher.hash_file(path, UNIXFS_V1_2025, Silent())

    first, _, last = whole.iter_digests()
    assert hasher.hash_chunks(path, UNIXFS_V1_2025, [0, 2]) == [first, last]
