"""Reading the chunk that follows, before it is asked for."""

from __future__ import annotations

import hashlib
import os
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from etdb.errors import NotFoundError, UnavailableError
from etdb.identity import CID, IDENTITY
from etdb.store.ahead import DEPTH, FRESH_S, KEPT, THREADS, Chunk, ReadAhead
from etdb.store.inplace import InPlaceStore, StoredFile
from etdb.store.verified import iter_chunks

MIB = 1024 * 1024
CHUNKS = 6
PATIENCE_S = 30


class Disk:
    """Reads chunks that say their numbers; notes which, and may be held up."""

    def __init__(self) -> None:
        self.numbers: list[int] = []
        self.held: set[tuple[int, int]] = set()
        """Chunks that do not come until `is_free`: file and number."""
        self.is_free = threading.Event()
        self.broken: list[int] = []
        """Numbers of chunks that cannot be read, each as often as it stands here."""

    def read(self, file: StoredFile, number: int) -> Chunk:
        self.numbers.append(number)
        assert (file.id, number) not in self.held or self.is_free.wait(PATIENCE_S)
        if number in self.broken:
            self.broken.remove(number)
            msg = "the disk is gone"
            raise UnavailableError(msg)
        return Chunk(b"%d" % number, digest_of(number))

    def wait_for(self, *numbers: int) -> None:
        until(lambda: sorted(self.numbers) == [*numbers])


def digest_of(number: int) -> bytes:
    return b"digest %d" % number


class Clock:
    """A clock that stands still until it is set."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


def until(is_so: Callable[[], bool]) -> None:
    end_s = time.monotonic() + PATIENCE_S
    while not is_so():
        assert time.monotonic() < end_s
        time.sleep(0.001)


def wait_for_all(ahead: ReadAhead) -> None:
    """Until whatever is read ahead has been."""
    until(lambda: all(begun.read.done() for begun in ahead._begun.values()))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "tilt-series.mrc"
    path.write_bytes(os.urandom(CHUNKS * MIB))
    return path


@pytest.fixture
def file(store: InPlaceStore, path: Path) -> StoredFile:
    store.add_file(path)
    return next(store.iter_files())


@pytest.fixture
def disk() -> Disk:
    return Disk()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def ahead(disk: Disk, clock: Clock) -> Iterator[ReadAhead]:
    ahead = ReadAhead(disk.read, clock)
    yield ahead
    disk.is_free.set()
    ahead.close()


def read_all(ahead: ReadAhead, file: StoredFile, *numbers: int) -> list[bytes]:
    return [ahead.read(file, number).block for number in numbers]


def test_in_order_every_chunk_is_given_once_and_read_once(
    ahead: ReadAhead, disk: Disk, file: StoredFile
) -> None:
    numbers = range(CHUNKS)

    assert read_all(ahead, file, *numbers) == [b"%d" % number for number in numbers]

    ahead.close()
    assert sorted(disk.numbers) == [*numbers]


def test_the_chunks_that_follow_two_in_order_are_read_before_they_are_asked_for(
    ahead: ReadAhead, disk: Disk, file: StoredFile
) -> None:
    read_all(ahead, file, 0, 1)

    disk.wait_for(0, 1, *range(2, 2 + DEPTH))


def test_so_many_ahead_of_the_last_and_no_more(
    ahead: ReadAhead, disk: Disk, file: StoredFile
) -> None:
    read_all(ahead, file, 0, 1)
    wait_for_all(ahead)

    assert [number for _, number in ahead._begun] == [*range(2, 2 + DEPTH)]


def test_what_has_been_read_ahead_is_found_by_its_digest_once_and_goes_on(
    ahead: ReadAhead, disk: Disk, file: StoredFile
) -> None:
    read_all(ahead, file, 0, 1)
    wait_for_all(ahead)

    assert ahead.find(digest_of(2)) == b"2"
    assert ahead.find(digest_of(2)) is None
    disk.wait_for(0, 1, *range(2, 3 + DEPTH))
    assert ahead.find(digest_of(99)) is None


def test_what_is_still_being_read_is_not_found_and_not_waited_for(
    ahead: ReadAhead, disk: Disk, file: StoredFile
) -> None:
    read_all(ahead, file, 0)
    disk.held |= {(file.id, 2), (file.id, 3)}
    read_all(ahead, file, 1)

    assert ahead.find(digest_of(2)) is None


def test_what_was_read_a_while_ago_is_neither_found_nor_given(
    ahead: ReadAhead, disk: Disk, file: StoredFile, clock: Clock
) -> None:
    read_all(ahead, file, 0, 1)
    wait_for_all(ahead)
    clock.now_s += FRESH_S * 1.01

    assert ahead.find(digest_of(2)) is None
    assert ahead.read(file, 2).block == b"2"
    assert disk.numbers.count(2) == 2


def test_within_that_while_it_is(
    ahead: ReadAhead, disk: Disk, file: StoredFile, clock: Clock
) -> None:
    read_all(ahead, file, 0, 1)
    wait_for_all(ahead)
    clock.now_s += FRESH_S * 0.99

    assert ahead.find(digest_of(3)) == b"3"
    assert ahead.read(file, 2).block == b"2"
    assert disk.numbers.count(2) == 1


@pytest.mark.parametrize(
    "numbers", [(0,), (2, 2), (0, 2), (3, 2, 1), (CHUNKS - 2, CHUNKS - 1)]
)
def test_nothing_is_read_ahead_out_of_order_or_past_the_end(
    ahead: ReadAhead, disk: Disk, file: StoredFile, numbers: tuple[int, ...]
) -> None:
    read_all(ahead, file, *numbers)
    ahead.close()

    assert disk.numbers == [*numbers]


def test_nothing_is_read_ahead_while_another_reads(
    ahead: ReadAhead, disk: Disk, file: StoredFile
) -> None:
    read_all(ahead, file, 0)
    disk.held |= {(file.id, 1), (file.id, 4)}
    both = [
        threading.Thread(target=ahead.read, args=(file, number)) for number in (1, 4)
    ]
    both[0].start()
    disk.wait_for(0, 1)
    both[1].start()
    disk.wait_for(0, 1, 4)
    disk.is_free.set()
    for thread in both:
        thread.join()
    ahead.close()

    assert disk.numbers == [0, 1, 4]


def test_a_disk_that_does_not_answer_holds_up_no_file_on_another(
    ahead: ReadAhead, disk: Disk, file: StoredFile
) -> None:
    stuck, other = replace(file, id=2), replace(file, id=3)
    disk.held |= {(stuck.id, number) for number in range(2, CHUNKS)}
    read_all(ahead, stuck, 0, 1)
    until(lambda: disk.numbers[2:] != [] and len(disk.numbers) == 2 + THREADS)

    assert read_all(ahead, other, 0, 1, 2) == [b"0", b"1", b"2"]
    assert ahead.find(digest_of(2)) is None
    assert not ahead._begun[stuck.id, 2].read.done()


def test_while_a_disk_does_not_answer_nothing_piles_up(
    ahead: ReadAhead, disk: Disk, file: StoredFile
) -> None:
    stuck, other = replace(file, id=2), replace(file, id=3)
    disk.held |= {(stuck.id, number) for number in range(2, CHUNKS)}
    read_all(ahead, stuck, 0, 1)
    until(lambda: len(disk.numbers) == 2 + THREADS)

    for _ in range(10 * KEPT):
        read_all(ahead, other, *range(CHUNKS))

    assert ahead._pool._work_queue.qsize() <= KEPT


def test_what_cannot_be_read_ahead_is_read_when_it_is_asked_for(
    ahead: ReadAhead, disk: Disk, file: StoredFile
) -> None:
    disk.broken = [2, 3, 3]
    read_all(ahead, file, 0, 1)
    wait_for_all(ahead)

    assert ahead.find(digest_of(2)) is None
    assert ahead.read(file, 2).block == b"2"
    with pytest.raises(UnavailableError):
        ahead.read(file, 3)
    assert sorted(disk.numbers[:5]) == [0, 1, 2, 3, 4]
    assert disk.numbers.count(3) == 2


def test_so_many_chunks_are_kept_that_nobody_takes_and_no_more(
    ahead: ReadAhead, file: StoredFile
) -> None:
    for number in range(3 * KEPT):
        read_all(ahead, replace(file, id=number), 0, 1)

    assert len(ahead._begun) == len(ahead._last) == KEPT


def test_after_its_end_nothing_is_begun(
    ahead: ReadAhead, disk: Disk, file: StoredFile
) -> None:
    ahead.close()

    read_all(ahead, file, 0, 1)

    assert disk.numbers == [0, 1]


def test_what_is_in_memory_is_found_by_the_cids_of_its_digest_alone(
    store: InPlaceStore, path: Path
) -> None:
    third = read_two(store, path)[2]

    assert store.find_ready(replace(third, hash_code=IDENTITY)) is None
    block = store.find_ready(third)

    assert block is not None
    assert hashlib.sha256(block).digest() == third.digest


def test_blocks_of_a_file_that_changed_are_not_served_from_memory_for_long(
    store: InPlaceStore, path: Path
) -> None:
    clock = Clock()
    store._ahead._clock = clock
    chunks = read_two(store, path)
    path.write_bytes(os.urandom(CHUNKS * MIB))
    clock.now_s += FRESH_S * 1.01

    assert store.find_ready(chunks[2]) is None
    with pytest.raises(NotFoundError):
        store.get_block(chunks[2])


def test_without_looking_at_the_clock_they_would_be(
    store: InPlaceStore, path: Path
) -> None:
    store._ahead._clock = Clock()
    chunks = read_two(store, path)
    path.write_bytes(os.urandom(CHUNKS * MIB))

    for cid in chunks[2:4]:
        assert hashlib.sha256(store.get_block(cid)).digest() == cid.digest


def read_two(store: InPlaceStore, path: Path) -> list[CID]:
    """A file's chunks, of which two have been read, and the next are in memory."""
    root = store.add_file(path).cid
    chunks = [chunk.cid for chunk in iter_chunks(store, root)]
    for cid in chunks[:2]:
        store.get_block(cid)
    wait_for_all(store._ahead)
    assert len(store._ahead._begun) == DEPTH
    return chunks
