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
from etdb.identity import CID
from etdb.store.ahead import KEPT, Chunk, ReadAhead
from etdb.store.inplace import InPlaceStore, StoredFile
from etdb.store.verified import iter_chunks

MIB = 1024 * 1024
CHUNKS = 6
PATIENCE_S = 30


class Disk:
    """Reads chunks that say their numbers; notes which, and may be held up."""

    def __init__(self) -> None:
        self.numbers: list[int] = []
        self.held: set[int] = set()
        """Files on a disk that does not answer until `is_free`."""
        self.is_free = threading.Event()
        self.broken: list[int] = []
        """Numbers of chunks that cannot be read, each as often as it stands here."""

    def read(self, file: StoredFile, number: int) -> Chunk:
        self.numbers.append(number)
        assert file.id not in self.held or self.is_free.wait(PATIENCE_S)
        if number in self.broken:
            self.broken.remove(number)
            msg = "the disk is gone"
            raise UnavailableError(msg)
        return Chunk(b"%d" % number, b"")

    def wait_for(self, *numbers: int) -> None:
        until(lambda: self.numbers == [*numbers])


def until(is_so: Callable[[], bool]) -> None:
    end_s = time.monotonic() + PATIENCE_S
    while not is_so():
        assert time.monotonic() < end_s
        time.sleep(0.001)


def wait_for_all(ahead: ReadAhead) -> None:
    """Until whatever is read ahead has been."""
    until(lambda: all(begun.done() for begun in ahead._ready.values()))


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
def ahead(disk: Disk) -> Iterator[ReadAhead]:
    ahead = ReadAhead(disk.read, lambda _path, _stamp: True)
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
    assert disk.numbers == [*numbers]


def test_the_chunk_that_follows_two_in_order_is_read_before_it_is_asked_for(
    ahead: ReadAhead, disk: Disk, file: StoredFile
) -> None:
    read_all(ahead, file, 1, 2)

    disk.wait_for(1, 2, 3)


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
    disk.held.add(file.id)
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
    read_all(ahead, stuck, 0, 1)
    wait_for_all(ahead)
    disk.held.add(stuck.id)
    ahead.read(stuck, 2)

    assert read_all(ahead, other, 0, 1, 2) == [b"0", b"1", b"2"]
    assert not ahead._ready[stuck.id, 3].done()


def test_what_cannot_be_read_ahead_is_read_when_it_is_asked_for(
    ahead: ReadAhead, disk: Disk, file: StoredFile
) -> None:
    disk.broken = [2, 3, 3]

    for number in range(3):
        assert ahead.read(file, number).block == b"%d" % number
        wait_for_all(ahead)
    with pytest.raises(UnavailableError):
        ahead.read(file, 3)

    assert disk.numbers == [0, 1, 2, 2, 3, 3]


def test_so_many_chunks_are_kept_that_nobody_takes_and_no_more(
    ahead: ReadAhead, file: StoredFile
) -> None:
    for number in range(3 * KEPT):
        read_all(ahead, replace(file, id=number), 0, 1)

    assert len(ahead._ready) == len(ahead._last) == KEPT


def test_after_its_end_nothing_is_begun(
    ahead: ReadAhead, disk: Disk, file: StoredFile
) -> None:
    ahead.close()

    read_all(ahead, file, 0, 1)

    assert disk.numbers == [0, 1]


def test_what_was_read_before_its_file_changed_is_read_again(
    disk: Disk, file: StoredFile
) -> None:
    changing = ReadAhead(disk.read, lambda _path, _stamp: False)

    read_all(changing, file, 0, 1)
    wait_for_all(changing)
    read_all(changing, file, 2)
    changing.close()

    assert disk.numbers == [0, 1, 2, 2]


def test_blocks_of_a_file_that_changed_are_not_served_from_memory(
    store: InPlaceStore, path: Path
) -> None:
    chunks = read_two(store, path)
    path.write_bytes(os.urandom(CHUNKS * MIB))

    with pytest.raises(NotFoundError):
        store.get_block(chunks[2])


def test_without_looking_at_the_file_they_would_be(
    store: InPlaceStore, path: Path
) -> None:
    store._ahead._is_unchanged = lambda _path, _stamp: True
    chunks = read_two(store, path)
    path.write_bytes(os.urandom(CHUNKS * MIB))

    assert hashlib.sha256(store.get_block(chunks[2])).digest() == chunks[2].digest


def read_two(store: InPlaceStore, path: Path) -> list[CID]:
    """A file's chunks, of which two have been read, and the third in memory."""
    root = store.add_file(path).cid
    chunks = [chunk.cid for chunk in iter_chunks(store, root)]
    for cid in chunks[:2]:
        store.get_block(cid)
    wait_for_all(store._ahead)
    assert len(store._ahead._ready) == 1
    return chunks
