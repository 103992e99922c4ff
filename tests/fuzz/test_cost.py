"""No message costs more than its length, in steps or in memory.

Steps are counted (every call that Python makes), not timed: twice the input
may take twice the steps, four times the input four times and not sixteen.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from etdb.identity import Txid
from etdb.index import queries
from etdb.index.db import Index
from etdb.index.follow import follow
from etdb.record.explain import explain
from etdb.record.message import LedgerKind, Place
from etdb.record.parts import plan_chunks
from etdb.record.rules import Rejection, Statement, judge
from etdb.testing.ledger import MemoryLedger
from etdb.testing.records import Author
from etdb.testing.resources import count_steps, counted_calls, peak_bytes

PLACE = Place("l", 1, 1, Txid("ef" * 32), 1_700_000_000)
AUTHOR = Author()
KIB, MIB = 1 << 10, 1 << 20
BYTES_PER_BYTE = 160
"""What a parsed text may take: an empty object is 64 bytes for two characters."""


def read(text: str) -> Statement | Rejection | None:
    return judge(text, place=PLACE, ledger_kind=LedgerKind.FLO_MAIN)


def artifact(inside: str) -> str:
    return f'json:{{"oip042":{{"publish":{{"artifact":{{{inside}}}}}}}}}'


def repeated(unit: str, size: int) -> str:
    return unit * (size // len(unit))


SHAPES: dict[str, Callable[[int], str]] = {
    "open brackets": lambda n: "json:" + "[" * n,
    "brackets in turn": lambda n: "json:" + "[]" * (n // 2),
    "empty lists": lambda n: artifact('"a":[' + repeated("[],", n) + "0]"),
    "empty objects": lambda n: artifact('"a":[' + repeated("{},", n) + "0]"),
    "numbers": lambda n: artifact('"a":[' + repeated("1.5,", n) + "0]"),
    "one digit run": lambda n: artifact('"a":' + "9" * n),
    "one fraction": lambda n: artifact('"a":0.' + "9" * n),
    "one exponent": lambda n: artifact('"a":1e-' + "9" * n),
    "names": lambda n: artifact(
        ",".join(f'"{number:06}":0' for number in range(n // 11))
    ),
    "one name again": lambda n: artifact(repeated('"a":1,', n) + '"a":2'),
    "one string": lambda n: artifact('"a":"' + "x" * n + '"'),
    "escapes": lambda n: artifact('"a":"' + repeated("\\u00e9", n) + '"'),
    "backslashes": lambda n: "json:" + "\\" * n,
    "quotes": lambda n: "json:" + '"' * n,
    "a string without end": lambda n: 'json:"' + repeated("\\x[", n),
    "surrogates": lambda n: artifact('"a":"' + repeated("\\ud83d\\ude00", n) + '"'),
    "spaces": lambda n: "json:" + " " * n + "{}",
    "spaces for a historian": lambda n: "text:" + " " * n,
    "parts of parts": lambda n: repeated("oip-mp(0,1,F,,S):", n),
    "commas": lambda n: "oip-mp(" + "," * n + "):",
    "colons": lambda n: "etdb-chain:" + ":" * n,
    "operations": lambda n: (
        'json:{"oip042":{"edit":{"artifact":{"txid":"ab","patch":['
        + repeated('{"op":"copy","from":"","path":"/a"},', n)
        + "{}]}}}}"
    ),
}


@pytest.mark.parametrize("do", [read, explain])
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_four_times_the_text_takes_four_times_the_steps_and_memory(
    shape: Callable[[int], str], do: Callable[[str], object]
) -> None:
    small, large = shape(8 * KIB), shape(32 * KIB)

    assert count_steps(lambda: do(large)) <= 4.4 * count_steps(lambda: do(small)) + 100
    # Lists grow in leaps, and Python keeps some thousand small tuples at hand.
    peak = peak_bytes(lambda: do(large))
    assert peak <= 6 * peak_bytes(lambda: do(small)) + 300 * KIB


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_a_megabyte_of_anything_takes_bounded_memory(
    shape: Callable[[int], str],
) -> None:
    text = shape(MIB - 200)

    assert peak_bytes(lambda: read(text)) < BYTES_PER_BYTE * len(text)


def test_splitting_takes_twice_the_steps_for_twice_the_text() -> None:
    once, twice = "é" * 100_000, "é" * 200_000

    assert count_steps(lambda: plan_chunks(twice)) < 2.2 * count_steps(
        lambda: plan_chunks(once)
    )
    assert peak_bytes(lambda: plan_chunks(twice)) < 10 * MIB


# The whole way.


def files(number: int) -> str:
    rows = [
        {"fname": f"{at:05}.mrc", "fsize": at, "type": "tomogram", "subtype": "other"}
        for at in range(number)
    ]
    storage = {"network": "ipfs", "location": "x", "files": rows}
    return AUTHOR.publish(AUTHOR.artifact({}, storage=storage))


def follow_steps(
    make_index: Callable[[MemoryLedger], Index], *texts: str | bytes
) -> tuple[int, Index]:
    """The steps of following one block of these texts."""
    warm, ledger = MemoryLedger(), MemoryLedger()
    warm.mine(*texts)
    make_index(warm)
    index = make_index(ledger)
    ledger.mine(*texts)
    with counted_calls() as count:
        follow(index, ledger)
    return count[0], index


def test_a_record_of_10_000_files_costs_twice_that_of_5_000(
    make_index: Callable[[MemoryLedger], Index],
) -> None:
    half, _ = follow_steps(make_index, files(5_000))
    whole, index = follow_steps(make_index, files(10_000))

    (record,) = queries.search(index).results
    assert len(queries.get_record(index, record["id"])["files"]) == 10_000
    assert whole < 2.2 * half


def test_twice_the_messages_in_a_block_cost_twice(
    make_index: Callable[[MemoryLedger], Index],
) -> None:
    texts = [
        AUTHOR.publish_old(AUTHOR.artifact({"sid": f"syn-{number}"}))
        for number in range(400)
    ]

    # All claim one address, location and time: the worst case of R3-C.
    half, _ = follow_steps(make_index, *texts[:200])
    whole, index = follow_steps(make_index, *texts)

    assert queries.search(index).total == 1
    assert whole < 2.2 * half


def test_twice_the_parts_that_never_complete_cost_twice(
    make_index: Callable[[MemoryLedger], Index],
) -> None:
    first, *later = AUTHOR.part_texts("x" * 160_000, "ab" * 32)
    assert len(later) > 200

    half, _ = follow_steps(make_index, first, *later[:100])
    whole, index = follow_steps(make_index, first, *later[:200])

    assert queries.search(index).total == 0
    assert whole < 2.2 * half


@pytest.mark.parametrize(
    "data",
    [
        b"x" * 900_000,
        b"json:" + b"x" * 900_000,
        b"json:" + b"[" * 900_000,
        b"json:" + b'{"oip042":' * 90_000,
        b"\xff" * 900_000,
        AUTHOR.publish(AUTHOR.artifact({"artNotes": "x" * 900_000})).encode(),
        b"oip-mp(0,1,F,,S):" + b"x" * 900_000,
    ],
    ids=["text", "no JSON", "nesting", "wrappers", "bytes", "record", "part"],
)
def test_flo_data_of_900_000_bytes_are_followed_in_bounded_memory(
    make_index: Callable[[MemoryLedger], Index], data: bytes
) -> None:
    ledger = MemoryLedger()
    index = make_index(ledger)
    ledger.mine(data)

    peak = peak_bytes(lambda: follow(index, ledger))

    assert queries.status(index)["ledgers"][0]["height"] == 1
    assert peak < 60 * len(data)


def test_twin_the_counter_sees_what_is_quadratic() -> None:
    def quadratic(number: int) -> None:
        for at in range(number):
            for _ in range(at):
                len("")

    assert count_steps(lambda: quadratic(200)) > 3.5 * count_steps(
        lambda: quadratic(100)
    )


def test_twin_without_its_guard_a_long_number_is_read_digit_by_digit() -> None:
    digits = "9" * 4000

    assert int(digits) > 2**53, "Python itself reads it, in quadratic time"
    assert isinstance(read(artifact(f'"a":{digits}')), Rejection)
