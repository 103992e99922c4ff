"""Blocks that carry nothing: read by the million, kept for a while."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from sqlalchemy import select

from etdb.errors import NotFoundError
from etdb.identity import BlockHash
from etdb.index import apply, queries
from etdb.index.db import Index, find_tip
from etdb.index.dump import list_differences
from etdb.index.follow import check, follow
from etdb.index.schema import blocks
from etdb.ledger.base import Block, LedgerInfo, Tip
from etdb.record.message import LedgerKind
from etdb.testing.ledger import MemoryLedger
from etdb.testing.records import SIGNED_AT, Author

Make = Callable[..., Index]
Dump = Callable[[Index], Any]

KEPT = 20


class Empty:
    """A ledger of so many blocks that say nothing; it holds none of them."""

    def __init__(self, last_height: int) -> None:
        self.info = LedgerInfo("empty", LedgerKind.FLO_MAIN, 0, 100)
        self.last_height = last_height

    def tip(self) -> Tip:
        return Tip(self.last_height, self._hash(self.last_height))

    def block(self, height: int) -> Block:
        if not 0 <= height <= self.last_height:
            raise NotFoundError("block", height)
        hashes = self._hash(height), self._hash(height - 1)
        return Block(height, *hashes, SIGNED_AT + 40 * height, ())

    def find_hash(self, height: int) -> BlockHash | None:
        return self._hash(height) if 0 <= height <= self.last_height else None

    def iter_blocks(self, first: int, last: int) -> Iterator[Block]:
        return map(self.block, range(first, min(last, self.last_height) + 1))

    def raw_transaction(self, height: int, position: int) -> bytes:
        raise NotFoundError("transaction", f"{height} {position}")

    @staticmethod
    def _hash(height: int) -> BlockHash:
        return BlockHash(hashlib.sha256(str(height).encode()).hexdigest())


@pytest.fixture
def few_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apply, "KEPT_BLOCKS", KEPT)


def heights(index: Index) -> list[int]:
    with index.read() as connection:
        chosen = select(blocks.c.height).order_by(blocks.c.height)
        return list(connection.scalars(chosen))


def differences(one: Index, other: Index) -> list[str]:
    with one.read() as kept, other.read() as built:
        return list_differences(kept, built)


def mixed(ledger: MemoryLedger, author: Author, empty: int) -> None:
    """A publication, a rejected text and part of a message, far apart."""
    text = author.publish(author.artifact({"artNotes": "long " * 400}))
    for carried in (author.publish(), "json:{", author.part_texts(text)[0]):
        ledger.mine(carried)
        for _ in range(empty):
            ledger.mine()


def test_an_empty_ledger_takes_no_more_room_however_long_it_is(
    make_index: Make,
) -> None:
    short, long = Empty(apply.KEPT_BLOCKS), Empty(5 * apply.KEPT_BLOCKS)

    sizes = []
    for ledger in (short, long):
        index = make_index(ledger)
        assert len(heights(index)) <= apply.KEPT_BLOCKS + 1
        index.close()
        sizes.append(index.path.stat().st_size)

    assert sizes[1] <= 1.5 * sizes[0]


def test_the_last_blocks_are_more_than_any_network_undoes() -> None:
    assert apply.KEPT_BLOCKS > 10 * 100


@pytest.mark.usefixtures("few_kept")
def test_the_last_blocks_and_those_that_carry_facts_are_kept(
    make_index: Make, ledger: MemoryLedger, author: Author
) -> None:
    mixed(ledger, author, 3 * KEPT)
    tip = ledger.tip().height

    kept = heights(make_index(ledger))

    facts = [1, 2 + 3 * KEPT, 3 + 6 * KEPT]
    assert kept == facts + list(range(tip - KEPT + 1, tip + 1))


@pytest.mark.usefixtures("few_kept")
@pytest.mark.parametrize("step", [1, 7, KEPT, 3 * KEPT])
def test_an_index_kept_up_to_date_in_steps_equals_one_built_straight(
    step: int, make_index: Make, ledger: MemoryLedger, author: Author
) -> None:
    mixed(ledger, author, 2 * KEPT)
    tip = ledger.tip().height
    last = ledger.tip()
    index = make_index(MemoryLedger())

    for height in range(step, tip + step, step):
        follow(index, ledger, to_height=min(height, tip))

    assert queries.is_at(index, ledger.info.id, last)
    assert heights(index) == heights(make_index(ledger))
    assert check(index, [ledger]) == []


@pytest.mark.usefixtures("few_kept")
@pytest.mark.parametrize("depth", [1, KEPT - 1, KEPT, KEPT + 1, 4 * KEPT, 7 * KEPT])
def test_a_reorganisation_past_what_is_kept_gives_the_index_of_the_new_branch(
    depth: int, make_index: Make, ledger: MemoryLedger, author: Author
) -> None:
    mixed(ledger, author, 3 * KEPT)
    index = make_index(ledger)

    ledger.reorganise(depth, [[author.register("Another branch")]])
    follow(index, ledger)

    built = make_index(ledger)
    assert check(index, [ledger]) == []
    assert differences(index, built) == differences(built, index) == []
    with index.read() as connection:
        assert find_tip(connection, ledger.info.id) == ledger.tip()


@pytest.mark.usefixtures("few_kept")
def test_a_block_that_carries_facts_is_missed(
    make_index: Make, ledger: MemoryLedger, author: Author
) -> None:
    mixed(ledger, author, 3 * KEPT)
    whole, index = make_index(ledger), make_index(ledger)
    for height in (1, ledger.tip().height):
        with index.write() as connection:
            connection.exec_driver_sql("DELETE FROM blocks WHERE height = ?", (height,))

        assert f"blocks memory {height} is missing" in differences(index, whole)
        assert f"blocks memory {height} should not be there" in differences(
            whole, index
        )


@pytest.mark.usefixtures("few_kept")
def test_an_empty_block_that_both_hold_must_be_the_same(
    make_index: Make, ledger: MemoryLedger
) -> None:
    for _ in range(3):
        ledger.mine()
    index = make_index(ledger)
    with index.write() as connection:
        connection.exec_driver_sql("UPDATE blocks SET time = 0 WHERE height = 2")

    assert check(index, [ledger]) == ["blocks memory 2 differs"]
