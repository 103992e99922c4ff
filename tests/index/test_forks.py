"""The index is a function of its ledgers, however it came there."""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from etdb.index.db import Index
from etdb.index.follow import check, follow
from etdb.ledger.base import SignedTransaction
from etdb.record.message import LedgerKind
from etdb.record.signing import MAIN_P2PKH
from etdb.testing.ledger import MemoryLedger
from etdb.testing.records import SIGNED_AT, Author

FULL = os.environ.get("ETDB_FULL") == "1"
FORKED = range(60 if FULL else 5)
INTERLEAVED = range(30 if FULL else 4)

LONG = "A long synthetic note. " * 60

Compose = Callable[..., Sequence[SignedTransaction]]
Dump = Callable[[Index], Any]


def statements(one: Author, two: Author) -> list[str]:
    """Messages about few records, so that they meet each other."""
    root = one.publish()
    edit = one.edit(root, 2, strain="first")
    other = two.publish(two.artifact({"heirs": [one.address], "sid": "syn-2"}))
    old = [
        one.publish_old(one.artifact({"strain": word}, timestamp=SIGNED_AT + 5))
        for word in ("early", "late")
    ]
    return [
        root,
        edit,
        one.edit(root, 2, strain="a fork"),
        one.edit(root, 3, edit, strain="second"),
        two.edit(root, 2, strain="by a stranger"),
        two.deactivate(root),
        other,
        one.edit(other, 2, strain="by an heir"),
        one.deactivate(other, reason="an heir withdraws"),
        *old,
        root.replace("Synthetic", "Forged"),
        one.register("One"),
        one.register("One again", SIGNED_AT + 1),
        "json:{",
        "a foreign text",
    ]


def transactions(
    ledger: MemoryLedger, in_parts: Compose, version: int
) -> list[SignedTransaction]:
    one, two = Author(1, version), Author(2, version)
    texts = statements(one, two)
    old = one.artifact({"artNotes": LONG, "sid": "syn-b"}, timestamp=SIGNED_AT + 5)
    long = two.publish(two.artifact({"artNotes": LONG, "sid": "syn-3"}))
    return [
        *(ledger.compose(text.encode()) for text in [*texts, texts[0], texts[9]]),
        *in_parts(ledger, one, one.publish_old(old)),
        *in_parts(ledger, two, long, digits=10),
        *in_parts(ledger, two, long, digits=12),
        ledger.compose(b"json:\xff"),
    ]


def disturb(
    ledger: MemoryLedger, pool: Sequence[SignedTransaction], chance: random.Random
) -> None:
    """A few blocks, or another branch in the place of the last ones."""
    height = ledger.tip().height
    if height > 2 and chance.random() < 0.4:
        ledger.reorganise(chance.randint(1, min(6, height - 1)))
    for _ in range(chance.randint(1, 3)):
        ledger.send(chance.sample(pool, chance.randint(1, 5)))


@pytest.mark.parametrize("seed", FORKED)
def test_an_index_that_saw_forks_equals_one_built_from_the_winning_chain(
    seed: int,
    make_index: Callable[..., Index],
    dump: Dump,
    in_parts: Compose,
    ledger: MemoryLedger,
) -> None:
    chance = random.Random(seed)
    pool = transactions(ledger, in_parts, 115)
    kept = make_index(ledger)

    for _ in range(6):
        disturb(ledger, pool, chance)
        follow(kept, ledger)

        assert dump(kept) == dump(make_index(ledger))
    assert check(kept, [ledger]) == []


@pytest.mark.parametrize("seed", INTERLEAVED)
def test_the_order_in_which_two_ledgers_are_followed_changes_nothing(
    seed: int, make_index: Callable[..., Index], dump: Dump, in_parts: Compose
) -> None:
    chance = random.Random(seed)
    first = MemoryLedger("one", LedgerKind.FLO_REGTEST)
    second = MemoryLedger("two", LedgerKind.FLO_TEST)
    pools = [transactions(ledger, in_parts, 115) for ledger in (first, second)]
    interleaved = make_index(first, second)

    for _ in range(5):
        for ledger, pool in zip((first, second), pools, strict=True):
            disturb(ledger, pool, chance)
            if chance.random() < 0.7:
                follow(interleaved, ledger)
    follow(interleaved, second)
    follow(interleaved, first)

    assert dump(interleaved) == dump(make_index(first, second))
    assert dump(interleaved) == dump(make_index(second, first))


def test_the_pool_of_these_tests_reaches_every_table_and_class(
    make_index: Callable[..., Index],
    dump: Dump,
    in_parts: Compose,
    ledger: MemoryLedger,
) -> None:
    pool = transactions(ledger, in_parts, 115)

    ledger.send(pool)

    found = dump(make_index(ledger))
    assert all(found[name] for name in found if name != "stale")
    assert found["stale"] == []


def test_main_net_addresses_are_followed_too(
    make_index: Callable[..., Index], dump: Dump, in_parts: Compose
) -> None:
    ledger = MemoryLedger("main", LedgerKind.FLO_MAIN)
    pool = transactions(ledger, in_parts, MAIN_P2PKH)
    kept = make_index(ledger)
    ledger.send(pool)
    follow(kept, ledger)

    ledger.reorganise(1)
    follow(kept, ledger)

    assert dump(kept) == dump(make_index(ledger))
