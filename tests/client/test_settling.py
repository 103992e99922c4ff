"""Buffers are handed on to be settled, and none is used before that is done."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from etdb.client.settling import BUFFERS, Settling
from etdb.client.transfer import take_unit
from etdb.errors import EtdbError, InvalidDataError
from etdb.identity import CID, RAW
from etdb.store.verified import Chunk

PATIENCE_S = 20


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(4) as pool:
        yield pool


def fine() -> EtdbError | None:
    return None


def wrong(words: str) -> EtdbError | None:
    return InvalidDataError(words)


def broken() -> EtdbError | None:
    raise OSError(28, "No space left on device")


class Gate:
    """What is settled waits here until it is let through."""

    def __init__(self) -> None:
        self._is_open = threading.Event()
        self.passed = 0

    def settle(self) -> EtdbError | None:
        assert self._is_open.wait(PATIENCE_S)
        self.passed += 1
        return None

    def open_soon(self) -> None:
        threading.Timer(0.05, self._is_open.set).start()


def fill(settling: Settling, gate: Gate) -> list[int]:
    """Use every buffer; which they are."""
    used = []
    for _ in range(BUFFERS):
        used.append(id(settling.buffer()))
        settling.submit(gate.settle)
    return used


def break_first(settling: Settling, gate: Gate) -> None:
    """A disk that refuses, while another chunk is still being written."""
    for settle in (broken, gate.settle):
        settling.buffer()
        settling.submit(settle)


def test_a_buffer_is_free_when_what_it_held_is_settled(
    pool: ThreadPoolExecutor,
) -> None:
    settling, gate = Settling(pool), Gate()
    used = fill(settling, gate)
    assert len(set(used)) == BUFFERS

    gate.open_soon()
    again = settling.buffer()

    assert id(again) == used[0]
    assert gate.passed >= 1
    assert settling.drain() is None


def test_the_first_error_is_told_once(pool: ThreadPoolExecutor) -> None:
    settling = Settling(pool)
    for words in ("one", "two"):
        settling.buffer()
        settling.submit(wrong, words)

    settling.wait()
    assert settling.has_failed
    error = settling.drain()

    assert error is not None
    assert error.message == "one"
    assert not settling.has_failed
    assert settling.drain() is None


def test_a_broken_disk_is_raised_when_nothing_is_written_any_more(
    pool: ThreadPoolExecutor,
) -> None:
    settling, gate = Settling(pool), Gate()
    break_first(settling, gate)

    gate.open_soon()
    with pytest.raises(OSError, match="space"):
        settling.drain()

    assert gate.passed == 1
    assert settling.drain() is None


def test_waiting_alone_would_leave_the_others_writing(
    pool: ThreadPoolExecutor,
) -> None:
    settling, gate = Settling(pool), Gate()
    break_first(settling, gate)

    with pytest.raises(OSError, match="space"):
        settling.wait()

    assert gate.passed == 0
    gate.open_soon()
    settling.drain()


def chunks(*sizes: int) -> deque[Chunk]:
    run, offset = deque[Chunk](), 0
    for size in sizes:
        run.append(Chunk(CID(1, RAW, bytes(32)), offset, size))
        offset += size
    return run


@pytest.mark.parametrize(
    ("sizes", "most", "taken"),
    [
        ((5, 5, 5), 0, 1),
        ((5, 5, 5), 10, 2),
        ((5, 5, 5), 14, 2),
        ((5, 5, 5), 100, 3),
        ((50, 5), 10, 1),
        ((5, 50, 5), 10, 1),
    ],
)
def test_chunks_are_taken_together_as_far_as_they_fit(
    sizes: tuple[int, ...], most: int, taken: int
) -> None:
    run = chunks(*sizes)
    whole = list(run)

    assert take_unit(run, most) == whole[:taken]
    assert list(run) == whole[taken:]
