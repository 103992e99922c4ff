"""Blocks that a ledger no longer holds: undone, or refused where too many."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from etdb.errors import ConflictError, UnavailableError
from etdb.identity import BlockHash
from etdb.index.db import Index
from etdb.index.follow import check, follow, rebuild
from etdb.ledger.base import Block, Tip
from etdb.record.message import LedgerKind
from etdb.testing.ledger import MemoryLedger
from etdb.testing.records import SIGNED_AT, Author

Make = Callable[..., Index]
Dump = Callable[[Index], Any]

LIMIT = 10


@pytest.fixture
def limited() -> MemoryLedger:
    return MemoryLedger("limited", LedgerKind.FLO_REGTEST, max_reorg_blocks=LIMIT)


def publish_some(ledger: MemoryLedger, author: Author, number: int) -> None:
    for each in range(number):
        height = ledger.tip().height
        details, time = {"sid": f"s{height}-{each}"}, SIGNED_AT + height
        ledger.mine(author.publish(author.artifact(details, timestamp=time)))


@pytest.mark.parametrize("depth", [1, 2, 3, 9, LIMIT])
def test_a_reorganisation_up_to_the_limit_is_followed(
    depth: int, make_index: Make, dump: Dump, limited: MemoryLedger, author: Author
) -> None:
    publish_some(limited, author, 15)
    index = make_index(limited)

    limited.reorganise(depth, [[author.register("Another branch")]])
    follow(index, limited)

    assert dump(index) == dump(make_index(limited))
    assert check(index, [limited]) == []


@pytest.mark.parametrize("depth", [LIMIT + 1, LIMIT + 4])
def test_a_deeper_one_is_refused_with_both_hashes_and_changes_nothing(
    depth: int, make_index: Make, dump: Dump, limited: MemoryLedger, author: Author
) -> None:
    publish_some(limited, author, 15)
    index = make_index(limited)
    before, here = dump(index), limited.block(15 - LIMIT).hash

    limited.reorganise(depth)
    with pytest.raises(ConflictError) as caught:
        follow(index, limited)

    there = limited.block(15 - LIMIT).hash
    facts = caught.value.facts
    assert (facts["height"], facts["depth"]) == (15 - LIMIT, LIMIT + 1)
    assert (facts["here"], facts["there"]) == (here, there)
    assert here in caught.value.message
    assert there in caught.value.message
    assert "index rebuild" in caught.value.hint
    assert dump(index) == before


def test_without_a_limit_the_same_is_followed(
    make_index: Make, dump: Dump, author: Author
) -> None:
    ledger = MemoryLedger(max_reorg_blocks=None)
    publish_some(ledger, author, 15)
    index = make_index(ledger)

    ledger.reorganise(LIMIT + 4)
    follow(index, ledger)

    assert dump(index) == dump(make_index(ledger))


def test_rebuilding_accepts_the_other_branch(
    make_index: Make, dump: Dump, limited: MemoryLedger, author: Author
) -> None:
    publish_some(limited, author, 15)
    index = make_index(limited)
    limited.reorganise(LIMIT + 1)

    rebuild(index.path, [limited])

    assert dump(index) == dump(make_index(limited))
    publish_some(limited, author, 1)
    assert follow(index, limited) == 1


def test_a_ledger_that_reads_its_blocks_again_is_waited_for(
    make_index: Make, dump: Dump, limited: MemoryLedger, author: Author
) -> None:
    publish_some(limited, author, 15)
    index = make_index(limited)
    before = dump(index)

    with pytest.raises(UnavailableError, match="ends at block 3") as caught:
        follow(index, ending(limited, 3))

    assert "wait" in caught.value.hint
    assert dump(index) == before


def test_a_shorter_ledger_of_another_branch_is_refused(
    make_index: Make, limited: MemoryLedger, author: Author
) -> None:
    publish_some(limited, author, 15)
    index = make_index(limited)
    limited.reorganise(14)

    with pytest.raises(ConflictError) as caught:
        follow(index, ending(limited, 3))

    assert caught.value.facts["height"] == 3


def test_a_block_that_is_not_given_is_no_other_branch(
    make_index: Make, dump: Dump, limited: MemoryLedger, author: Author
) -> None:
    publish_some(limited, author, 15)
    index = make_index(limited)
    limited.mine("a")
    before = dump(index)

    with pytest.raises(UnavailableError, match="does not give"):
        follow(index, Forgetful(limited, lambda: limited))

    assert dump(index) == before


@pytest.fixture
def branches(author: Author) -> tuple[MemoryLedger, MemoryLedger]:
    """Two ledgers that have block 0 in common; the second is longer."""
    one, two = MemoryLedger(), MemoryLedger()
    publish_some(one, author, 5)
    two.mine("a")
    two.reorganise(1, [["b"], ["c"], ["d"], ["e"], ["f"], ["g"], ["h"]])
    return one, two


@pytest.mark.parametrize("times", list(itertools.product([1, 2, 3], [1, 2, 3])))
def test_a_ledger_that_flips_between_two_branches_ends_somewhere(
    times: tuple[int, int],
    branches: tuple[MemoryLedger, MemoryLedger],
    make_index: Make,
    dump: Dump,
) -> None:
    one, two = branches
    index = make_index(one)
    answers = itertools.cycle([one] * times[0] + [two] * times[1])
    flipping = itertools.islice(answers, 200)

    with contextlib.suppress(UnavailableError):
        follow(index, Altered(one, lambda: next(flipping)))

    assert next(flipping) is not None, "it was asked without end"
    follow(index, two)
    assert dump(index) == dump(make_index(two))


def test_a_ledger_that_never_says_what_its_tip_promised_is_given_up(
    branches: tuple[MemoryLedger, MemoryLedger], make_index: Make, dump: Dump
) -> None:
    one, two = branches
    index = make_index(one)
    before = dump(index)
    # Asked for the tip, the block there, the tip again, and then for blocks.
    answers = itertools.chain([two], itertools.cycle([one, one, two, one]))

    with pytest.raises(UnavailableError, match="does not follow"):
        follow(index, Altered(one, lambda: next(answers)))

    assert dump(index) == before


class Altered:
    """What an index reads of a ledger, asked of another one each time."""

    def __init__(
        self, ledger: MemoryLedger, now: Callable[[], MemoryLedger], end: int = 10**6
    ) -> None:
        self._now = now
        self._end = end
        self.info = ledger.info

    def tip(self) -> Tip:
        ledger = self._now()
        height = min(self._end, ledger.tip().height)
        return Tip(height, ledger.block(height).hash)

    def block(self, height: int) -> Block:
        return self._now().block(height)

    def find_hash(self, height: int) -> BlockHash | None:
        return self._now().find_hash(height)

    def iter_blocks(self, first: int, last: int) -> Iterator[Block]:
        return self._now().iter_blocks(first, last)

    def raw_transaction(self, height: int, position: int) -> bytes:
        return self._now().raw_transaction(height, position)


class Forgetful(Altered):
    """Does not give the blocks that it counts."""

    def find_hash(self, _height: int) -> BlockHash | None:
        return None


def ending(ledger: MemoryLedger, height: int) -> Altered:
    return Altered(ledger, lambda: ledger, height)
