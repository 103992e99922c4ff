"""Any transaction, block and script bytes are read or refused, never fatal.

A plain mutator with a seed over the real transactions of the vectors, and
hypothesis; memory and steps stay in proportion to the bytes.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from etdb.errors import InvalidDataError
from etdb.ledger.flo.block import FloBlock, Header, coinbase
from etdb.ledger.flo.params import MAIN, REGTEST
from etdb.ledger.flo.script import (
    Unlock,
    coverage_of,
    find_unlock,
    pay_to,
    verify_input,
)
from etdb.ledger.flo.tx import OutPoint, Transaction, TxIn, TxOut
from etdb.ledger.flo.wire import encode_compact
from etdb.record.message import Coverage, LedgerKind, Place
from etdb.record.rules import judge
from etdb.testing.resources import count_steps, peak_bytes

TOKENS = [b"\xfd\xff\xff", b"\xfe" + b"\xff" * 4, b"\xff" * 9, b"\0\1", bytes(36)]
NUMBERS = [0, 1, 0xFC, 0xFD, 0xFFFF, 2**31, 2**40, 2**64 - 1]


def mutate(data: bytes, rng: random.Random) -> bytes:
    out = bytearray(data)
    for _ in range(rng.randint(1, 3)):
        at = rng.randrange(len(out) + 1)
        end = min(len(out), at + rng.choice((1, 4, 60)))
        match rng.randrange(5):
            case 0 if at < len(out):
                out[at] ^= 1 << rng.randrange(8)
            case 1:
                del out[at:end]
            case 2:
                out[at:at] = rng.choice(TOKENS)
            case 3:
                out[at : at + 1] = encode_compact(rng.choice(NUMBERS))
            case _:
                out[at:at] = out[at:end]
    return bytes(out)


@pytest.fixture(scope="module")
def real(vectors: Callable[[str], Any]) -> list[bytes]:
    named = [v["hex"] for v in vectors("09_flo_transactions.json")["vectors"]]
    hashed = [v["raw"] for v in vectors("09b_flo_core_sighash.json")["vectors"]]
    return [bytes.fromhex(raw) for raw in named + hashed]


def read_transaction(data: bytes) -> Transaction | None:
    """The transaction, if it is one: then everything about it can be asked."""
    try:
        transaction = Transaction.parse(data)
    except InvalidDataError:
        return None
    assert transaction.encode() == data
    assert len(transaction.txid) == 64
    assert coverage_of(transaction) in Coverage
    text = transaction.flo_data.decode("utf-8", "surrogateescape")
    place = Place("l", 1, 1, transaction.txid, 1)
    judge(text, place=place, ledger_kind=LedgerKind.FLO_MAIN)
    for item in transaction.inputs[:2]:
        find_unlock(item.script)
    return transaction


def test_no_mutant_of_a_real_transaction_raises_anything_else(
    real: list[bytes],
) -> None:
    rng = random.Random(1)
    read = sum(
        read_transaction(mutate(rng.choice(real), rng)) is not None for _ in range(4000)
    )

    assert 100 < read < 3900, "some are still transactions, most are not"


def test_no_mutant_of_a_block_raises_anything_else(real: list[bytes]) -> None:
    rng = random.Random(2)
    blocks = [MAIN.genesis(), REGTEST.genesis()]
    block = replace(
        blocks[0],
        transactions=(
            coinbase(7, TxOut(5, b"\x51"), b"text"),
            *(Transaction.parse(raw) for raw in real[:4]),
        ),
    )
    corpus = [item.encode() for item in (*blocks, block)]
    assert FloBlock.parse(corpus[2]) == block

    for _ in range(2000):
        data = mutate(rng.choice(corpus), rng)
        try:
            found = FloBlock.parse(data)
        except InvalidDataError:
            continue
        assert found.encode() == data
        assert len(found.merkle_root()) == 32


@given(st.binary(max_size=400))
def test_no_bytes_raise_anything_else(data: bytes) -> None:
    read_transaction(data)
    for parse in (FloBlock.parse, Header.parse):
        try:
            assert parse(data).encode() == data
        except InvalidDataError:
            continue


@given(st.binary(max_size=120), st.binary(max_size=40), st.integers(0, 255))
def test_no_script_raises_anything_else(
    script: bytes, guarded: bytes, hash_type: int
) -> None:
    spent = OutPoint(b"\1" * 32, 0)
    unlocked = Unlock(b"\x30" + script[:72], hash_type, b"\2" * 33).encode()
    for given_script in (script, unlocked):
        transaction = Transaction(
            2, (TxIn(spent, given_script),), (TxOut(1, guarded),), 0, b"text"
        )

        assert coverage_of(transaction) is Coverage.UNKNOWN
        with pytest.raises(InvalidDataError):
            verify_input(transaction, 0, guarded)
        for each in (1, 2, 3, 0x81, 0x83, hash_type, hash_type | 0x40):
            assert len(transaction.sighash(0, script, each)) == 32


# Cost.


def ignore(do: Callable[[], object]) -> Callable[[], None]:
    def called() -> None:
        try:
            do()
        except InvalidDataError:
            return

    return called


def large() -> Iterator[tuple[str, Callable[[int], bytes]]]:
    spent = OutPoint(b"\1" * 32, 0)
    whole = Transaction(2, (TxIn(spent, b""),), (TxOut(1, b""),))
    yield (
        "inputs",
        lambda n: replace(whole, inputs=(TxIn(spent, b""),) * (n // 41)).encode(),
    )
    yield (
        "outputs",
        lambda n: replace(whole, outputs=(TxOut(1, b""),) * (n // 9)).encode(),
    )
    yield "floData", lambda n: replace(whole, flo_data=b"x" * n).encode()
    yield "witness", lambda n: replace(whole, witness=((b"",) * n,)).encode()
    yield (
        "separators",
        lambda n: replace(whole, inputs=(TxIn(spent, b"\xab" * n),)).encode(),
    )
    yield "cut off", lambda n: whole.encode()[:4] + encode_compact(n // 41) + bytes(n)


@pytest.mark.parametrize("shape", dict(large()).values(), ids=dict(large()))
def test_twice_the_bytes_take_twice_the_steps_and_memory(
    shape: Callable[[int], bytes],
) -> None:
    once, twice = shape(20_000), shape(40_000)

    def cost(data: bytes) -> tuple[int, int]:
        do = ignore(lambda: read_transaction(data))
        return count_steps(do), peak_bytes(do)

    (steps_once, peak_once), (steps_twice, peak_twice) = cost(once), cost(twice)
    assert steps_twice <= 2.2 * steps_once + 100
    assert peak_twice <= 2.5 * peak_once + 4096


@pytest.mark.parametrize("number", [10**6, 2**32, 2**63, 2**64 - 1])
def test_numbers_of_items_that_are_not_there_take_no_memory(number: int) -> None:
    announced = bytes(4) + encode_compact(number) + bytes(1000)

    assert peak_bytes(ignore(lambda: Transaction.parse(announced))) < 20_000


def test_flo_data_of_900_000_bytes_in_a_coinbase_are_read() -> None:
    mined = coinbase(7, TxOut(5, b"\x51"), b"\xff" * 900_000)
    block = FloBlock(MAIN.genesis().header, (mined,))

    found = FloBlock.parse(block.encode())

    assert found.transactions[0].flo_data == b"\xff" * 900_000
    assert coverage_of(found.transactions[0]) is Coverage.UNKNOWN
    assert pay_to(b"\1" * 20) not in found.encode()


def test_many_inputs_with_signatures_are_hashed_a_bounded_number_of_times() -> None:
    unlock = Unlock(b"\x30" * 70, 1, b"\2" * 33).encode()
    inputs = tuple(
        TxIn(OutPoint(bytes([n % 256]) * 32, n), unlock) for n in range(2000)
    )
    half = Transaction(2, inputs[:1000], (TxOut(1, b""),))
    whole = Transaction(2, inputs, (TxOut(1, b""),))

    assert count_steps(lambda: coverage_of(whole)) < 2.2 * count_steps(
        lambda: coverage_of(half)
    )
