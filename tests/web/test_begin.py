"""The first pieces of an answer are read where it is found, unless too many stream."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from etdb.errors import UnavailableError
from etdb.testing.loop import run_alone
from etdb.web.jobs import PLANNED_JOBS, SMALL_JOBS, Job, begin
from etdb.web.stream import Reader, Slots, primed


class Content:
    """Pieces "0", "1", …, and which of them were read."""

    def __init__(self, count: int) -> None:
        self.read: list[int] = []
        self.whole = [str(number).encode() for number in range(count)]

    def jobs(self) -> Iterator[Job]:
        for number in range(len(self.whole)):
            yield lambda number=number: self._read(number)  # type: ignore[misc]

    def _read(self, number: int) -> list[bytes]:
        self.read.append(number)
        return [self.whole[number]]


@pytest.mark.parametrize("may_stream", [True, False])
@pytest.mark.parametrize("count", [0, 1, 2, 3, PLANNED_JOBS, PLANNED_JOBS + 1, 40])
def test_every_piece_comes_once_and_in_order(count: int, may_stream: bool) -> None:
    async def scenario() -> list[bytes]:
        reader = Reader(max_streams=1)
        begun = begin(content.jobs(), may_stream=may_stream)
        try:
            return [piece async for piece in reader.run(begun)]
        finally:
            reader.close()

    content = Content(count)

    assert run_alone(scenario()) == content.whole
    assert sorted(content.read) == [*range(count)]


def test_jobs_that_give_nothing_do_not_end_the_answer() -> None:
    async def scenario() -> list[bytes]:
        reader = Reader(max_streams=1)
        try:
            return [piece async for piece in reader.run(begin(jobs))]
        finally:
            reader.close()

    nothing: list[Job] = [list] * PLANNED_JOBS
    jobs = iter([*nothing, lambda: [b"end"]])

    assert run_alone(scenario()) == [b"end"]


@pytest.mark.parametrize("pieces", [1, 2])
def test_as_much_is_read_as_is_to_be_there_before_the_answer_begins(
    pieces: int,
) -> None:
    content = Content(5)

    begun = begin(content.jobs(), pieces)

    assert begun.first == content.whole[:pieces]
    assert content.read == [*range(pieces)]
    assert not begun.is_whole


def test_a_small_answer_is_whole_at_once() -> None:
    assert begin(Content(0).jobs()).is_whole
    assert begin(Content(1).jobs(), may_stream=False).is_whole


def test_nothing_is_read_of_a_stream_that_may_find_no_slot() -> None:
    large, small = Content(SMALL_JOBS + 1), Content(SMALL_JOBS)

    assert begin(large.jobs(), may_stream=False).first == []
    assert begin(small.jobs(), may_stream=False).first == small.whole[:1]
    assert large.read == []


def test_a_stream_without_a_slot_is_refused_before_anything_is_read() -> None:
    async def scenario() -> None:
        reader = Reader(max_streams=1)
        try:
            with reader.slots.held(is_small=False):
                begun = begin(content.jobs(), may_stream=False)
                with pytest.raises(UnavailableError):
                    await primed(reader.run(begun), begun.pieces)
            assert content.read == []
            assert b"0" in [piece async for piece in reader.run(begun)]
        finally:
            reader.close()

    content = Content(5)
    run_alone(scenario())


def test_as_many_streams_as_there_are_slots_are_foreseen() -> None:
    slots = Slots(2)

    with slots.foreseen() as first, slots.held(is_small=False), slots.foreseen() as two:
        assert (first, two) == (True, False)
    with slots.foreseen() as one, slots.foreseen() as two, slots.foreseen() as three:
        assert (one, two, three) == (True, True, False)
