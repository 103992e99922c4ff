"""What an attacker's parts cost: as many steps for each, however many there are.

Counted in steps of SQLite's machine, which are the same on any computer.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.engine import Connection

from etdb.identity import Txid
from etdb.index import partset
from etdb.index.db import Index
from etdb.index.partset import PartSets
from etdb.record.message import Place
from etdb.record.parts import encode_part, parse_part
from etdb.testing.ledger import MemoryLedger
from etdb.testing.records import Author

FEW, FACTOR = 150, 4
FLAT = 1.3
"""Trees grow by a level, that is all."""

STRIDE = 10
COMMON = "ab" * 5
MAX = 900

Batch = Sequence[tuple[str, str]]
"""Texts of parts with the txids that carry them, all in one block."""


class Meter:
    """Counts the steps of one connection."""

    def __init__(self, connection: Connection) -> None:
        self.steps = 0
        raw: Any = connection.connection.driver_connection
        raw.set_progress_handler(self._step, STRIDE)

    def _step(self) -> int:
        self.steps += STRIDE
        return 0


def txids(prefix: str = "") -> Iterator[str]:
    """Different ones that begin alike, in no order."""
    for number in itertools.count(1):
        yield prefix + f"{number * 0x9E3779B97F4A7C15 % 2**192:048x}".rjust(
            64 - len(prefix), "0"
        )


def part(number: int, reference: str, maximum: int = MAX) -> str:
    author = Author()
    return encode_part(number, maximum, author.address, reference, "x", author.key)


def steps_of(index: Index, batches: Sequence[Batch]) -> float:
    """Steps for each part, of parts that come in these blocks; nothing is kept."""
    count = sum(map(len, batches))
    with index.write() as connection:
        connection.exec_driver_sql("PRAGMA defer_foreign_keys = ON")
        meter = Meter(connection)
        for height, batch in enumerate(batches, 1):
            sets = PartSets(connection, "memory")
            for position, (carried, txid) in enumerate(batch, 1):
                place = Place("memory", height, position, Txid(txid), 0)
                sets.add(parse_part(carried), place)
            for _ in sets.complete():
                pass
        connection.exec_driver_sql("DELETE FROM parts")
        return meter.steps / count


def one_each(parts: Sequence[tuple[str, str]]) -> list[Batch]:
    return [[each] for each in parts]


def firsts(count: int) -> list[tuple[str, str]]:
    """Part 0s of so many sets whose txids begin alike."""
    carried = part(0, "")
    return [(carried, txid) for txid in itertools.islice(txids(COMMON), count)]


def sets_that_await_the_same(count: int) -> list[Batch]:
    """So many sets begun, then as many parts that refer to all of them."""
    others = [
        (part(2 + number % (MAX - 2), COMMON + f"{number:x}"[-1]), txid)
        for number, txid in enumerate(itertools.islice(txids(), count))
    ]
    return one_each(firsts(count) + others)


def one_part_again_and_again(count: int) -> list[Batch]:
    carried = part(1, COMMON)
    again = [(carried, txid) for txid in itertools.islice(txids(), count)]
    return one_each(firsts(count) + again)


def a_long_set_a_part_a_block(count: int) -> list[Batch]:
    names = txids()
    first = next(names)
    rest = [(part(number, first), next(names)) for number in range(1, count)]
    return one_each([(part(0, ""), first), *rest])


def a_long_set_backwards(count: int) -> list[Batch]:
    (first, *rest) = a_long_set_a_part_a_block(count)
    return [first, *reversed(rest)]


def every_length_of_reference(count: int) -> list[Batch]:
    names = txids()
    first = next(names)
    lengths = itertools.cycle(range(10, 65))
    parts = [
        (part(2 + number // 55, first[: next(lengths)]), next(names))
        for number in range(count)
    ]
    return one_each([(part(0, ""), first), *parts])


def parts_of_sets_that_never_begin(count: int) -> list[Batch]:
    return one_each(
        [(part(1, txid), txid[::-1]) for txid in itertools.islice(txids(COMMON), count)]
    )


def one_part_that_completes_every_set(count: int) -> list[Batch]:
    names = itertools.islice(txids(COMMON), count)
    begun = [(part(0, "", 4), txid) for txid in names]
    rest = zip((2, 3, 4, 1), txids(), strict=False)
    return one_each(
        [*begun, *((part(number, COMMON, 4), txid) for number, txid in rest)]
    )


@pytest.mark.parametrize(
    "attack",
    [
        one_part_that_completes_every_set,
        sets_that_await_the_same,
        one_part_again_and_again,
        a_long_set_a_part_a_block,
        a_long_set_backwards,
        every_length_of_reference,
        parts_of_sets_that_never_begin,
    ],
)
def test_each_part_costs_the_same_however_many_there_are(
    attack: Callable[[int], list[Batch]],
    make_index: Callable[..., Index],
    ledger: MemoryLedger,
) -> None:
    index = make_index(ledger)

    few = steps_of(index, attack(FEW))
    many = steps_of(index, attack(FACTOR * FEW))

    assert many < FLAT * few, f"{few:.0f} steps for each part, then {many:.0f}"


def test_without_what_a_set_awaits_the_cost_of_each_part_would_grow(
    make_index: Callable[..., Index],
    ledger: MemoryLedger,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The twin: looking at every set that a part joins is quadratic."""
    awaited = "parts.awaits = json_extract(wanted.value, '$[3]')"
    every = str(partset._AWAITING).replace(awaited, "parts.awaits > 0")
    assert every != str(partset._AWAITING)
    monkeypatch.setattr(partset, "_AWAITING", text(every))
    index = make_index(ledger)

    few = steps_of(index, sets_that_await_the_same(30))
    many = steps_of(index, sets_that_await_the_same(FACTOR * 30))

    assert many > 2 * few


def test_going_back_costs_as_much_for_each_part_however_many_there_are(
    make_index: Callable[..., Index], ledger: MemoryLedger
) -> None:
    index = make_index(ledger)

    def steps(count: int) -> float:
        with index.write() as connection:
            connection.exec_driver_sql("PRAGMA defer_foreign_keys = ON")
            sets = PartSets(connection, "memory")
            for height, (batch,) in enumerate(sets_that_await_the_same(count), 1):
                sets.add(
                    parse_part(batch[0]), Place("memory", height, 1, Txid(batch[1]), 0)
                )
                assert list(sets.complete()) == []
            meter = Meter(connection)
            sets.rewind(sets.list_passed(count))
            connection.exec_driver_sql("DELETE FROM parts")
            return meter.steps / count

    assert steps(FACTOR * FEW) < FLAT * steps(FEW)
