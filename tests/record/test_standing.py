"""R2, R3-C, R5, R6: what a set of statements says, in any order."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from etdb.identity import Txid
from etdb.record.message import LedgerKind, Place
from etdb.record.rules import (
    RecordClass,
    Standing,
    Statement,
    attested_old,
    best_class,
    current_register,
    judge,
    resolve,
)
from etdb.testing.records import SIGNED_AT, Author

Hear = Callable[..., Any]


def heard(text: str) -> Statement:
    place = Place("l", 1, 1, Txid("ef" * 32), SIGNED_AT)
    said = judge(text, place=place, ledger_kind=LedgerKind.FLO_REGTEST)
    assert isinstance(said, Statement)
    return said


AUTHOR, HEIR, STRANGER = Author(1), Author(2), Author(3)
ROOT = AUTHOR.publish(AUTHOR.artifact({"heirs": [HEIR.address, 7]}))
SECOND = AUTHOR.edit(ROOT, 2, strain="b")
OTHER_SECOND = HEIR.edit(ROOT, 2, strain="c")
THIRD = HEIR.edit(ROOT, 3, SECOND, strain="d")


def stand(*edits: str, withdrawals: tuple[str, ...] = ()) -> Standing:
    return resolve(heard(ROOT), map(heard, edits), map(heard, withdrawals))


def texts(statements: tuple[Statement, ...]) -> list[str]:
    return [statement.text for statement in statements]


def test_a_record_without_edits_stands_as_published() -> None:
    standing = stand()

    assert standing.current == standing.root == heard(ROOT)
    assert standing.history == (heard(ROOT),)
    assert standing.withdrawn_by is None
    assert not (standing.forks or standing.pending or standing.refused)


def test_the_greatest_number_is_current_and_its_line_the_history() -> None:
    standing = stand(SECOND, THIRD, OTHER_SECOND)

    assert standing.current.text == THIRD
    assert texts(standing.history) == [ROOT, SECOND, THIRD]
    assert texts(standing.forks) == [OTHER_SECOND]


def test_of_two_with_one_number_the_smallest_digest_is_current() -> None:
    expected = min([heard(SECOND), heard(OTHER_SECOND)], key=lambda s: s.digest)

    standing = stand(SECOND, OTHER_SECOND)

    assert standing.current == expected
    assert len(standing.forks) == 1


def test_an_edit_whose_ancestor_is_unknown_is_pending() -> None:
    standing = stand(THIRD)

    assert standing.current.text == ROOT
    assert texts(standing.pending) == [THIRD]


def test_an_edit_by_a_stranger_is_refused() -> None:
    theirs = STRANGER.edit(ROOT, 2)

    standing = stand(theirs)

    assert standing.current.text == ROOT
    assert texts(standing.refused) == [theirs]


def test_twin_as_an_heir_the_same_stranger_would_have_been_believed() -> None:
    theirs = STRANGER.edit(ROOT, 2)
    named = replace(heard(ROOT), address=STRANGER.address)

    assert resolve(named, [heard(theirs)], []).current.text == theirs


def test_an_edit_of_a_refused_edit_has_no_effect() -> None:
    theirs = STRANGER.edit(ROOT, 2)
    ours = AUTHOR.edit(ROOT, 3, theirs)

    assert stand(theirs, ours).current.text == ROOT


def test_an_edit_with_a_wrong_number_is_refused() -> None:
    skipping = AUTHOR.edit(ROOT, 3, strain="skips")
    great = AUTHOR.edit(ROOT, 2**53 - 1, SECOND, strain="leaps")

    standing = stand(skipping, SECOND, great)

    assert standing.current.text == SECOND
    assert set(texts(standing.refused)) == {skipping, great}


def test_edits_of_other_records_and_old_forms_are_left_out() -> None:
    elsewhere = AUTHOR.edit(AUTHOR.publish(AUTHOR.artifact({"sid": "syn-2"})), 2)

    standing = stand(elsewhere, ROOT)

    assert standing == stand()


@pytest.mark.parametrize(
    ("record_class", "believed"),
    [("A", True), ("B", False), ("C", False), ("unattested", False)],
)
def test_heirs_count_only_where_the_root_is_content_signed(
    record_class: str, believed: bool
) -> None:
    root = replace(heard(ROOT), record_class=RecordClass(record_class))

    standing = resolve(root, [heard(OTHER_SECOND)], [])

    assert (standing.current.text == OTHER_SECOND) is believed


@pytest.mark.parametrize("body", [{}, {"details": []}, {"details": {"heirs": "x"}}])
def test_a_root_without_heirs_has_one_signer(body: dict[str, Any]) -> None:
    root = replace(heard(ROOT), body=body)

    assert resolve(root, [heard(OTHER_SECOND)], []).current == root


def test_an_edit_cannot_name_new_heirs() -> None:
    naming = AUTHOR.edit(ROOT, 2, heirs=[STRANGER.address])
    theirs = STRANGER.edit(ROOT, 3, naming)

    assert stand(naming, theirs).current.text == naming


@pytest.mark.parametrize(("signer", "holds"), [(AUTHOR, 1), (HEIR, 1), (STRANGER, 0)])
def test_a_record_is_withdrawn_by_its_signers_only(signer: Author, holds: int) -> None:
    withdrawal = signer.deactivate(ROOT)

    standing = stand(SECOND, withdrawals=(withdrawal,))

    assert (standing.withdrawn_by == heard(withdrawal)) is bool(holds)
    assert standing.current.text == SECOND


def test_the_earliest_signed_withdrawal_is_named() -> None:
    first = AUTHOR.deactivate(ROOT, timestamp=SIGNED_AT + 1)
    second = AUTHOR.deactivate(ROOT, timestamp=SIGNED_AT + 2)

    standing = stand(withdrawals=(second, first))

    assert standing.withdrawn_by == heard(first)


def test_a_withdrawal_of_another_record_is_none_of_this() -> None:
    other = AUTHOR.publish(AUTHOR.artifact({"sid": "syn-2"}))

    assert stand(withdrawals=(AUTHOR.deactivate(other),)).withdrawn_by is None


@given(st.randoms(), st.lists(st.sampled_from(range(6)), max_size=12))
def test_the_order_of_arrival_and_repetition_change_nothing(
    order: random.Random, chosen: list[int]
) -> None:
    edits = [
        heard(text)
        for text in (SECOND, THIRD, OTHER_SECOND, STRANGER.edit(ROOT, 2), ROOT)
    ] + [heard(AUTHOR.edit(ROOT, 4, THIRD))]
    arrived = [edits[index] for index in chosen]
    once = [edits[index] for index in sorted(set(chosen))]

    order.shuffle(arrived)

    assert resolve(heard(ROOT), arrived, []) == resolve(heard(ROOT), once, [])


def test_the_class_of_a_statement_is_the_best_among_its_anchors() -> None:
    assert best_class([RecordClass.C, RecordClass.A, RecordClass.B]) is RecordClass.A
    assert best_class([RecordClass.UNATTESTED, RecordClass.C]) is RecordClass.C
    assert best_class([RecordClass.SHOWN]) is RecordClass.SHOWN


def old(title: str) -> Statement:
    return heard(AUTHOR.publish_old(AUTHOR.artifact(info={"title": title})))


def at(ledger: str, height: int, position: int) -> Place:
    return Place(ledger, height, position, Txid("ef" * 32), SIGNED_AT)


def test_of_old_records_that_share_a_signature_the_earliest_counts() -> None:
    late, first, same_block = old("late"), old("first"), old("same block")
    anchors = [
        (late, at("l", 9, 0)),
        (first, at("l", 7, 1)),
        (same_block, at("l", 7, 2)),
        (first, at("l", 9, 1)),
    ]

    assert attested_old(anchors, has_better=False) == {first.digest}
    assert attested_old(reversed(anchors), has_better=False) == {first.digest}


def test_each_ledger_has_its_own_order() -> None:
    one, other = old("one"), old("other")
    anchors = [(one, at("l", 7, 1)), (other, at("m", 9, 1)), (other, at("l", 8, 1))]

    assert attested_old(anchors, has_better=False) == {one.digest, other.digest}


def test_no_old_record_counts_where_one_signed_over_all_says_the_same() -> None:
    anchors = [(old("one"), at("l", 7, 1))]

    assert attested_old(anchors, has_better=True) == frozenset()
    assert attested_old([], has_better=False) == frozenset()


def test_the_latest_register_is_current_and_the_smallest_digest_on_a_tie() -> None:
    early = heard(AUTHOR.register("early", SIGNED_AT))
    tied = [heard(AUTHOR.register(name, SIGNED_AT + 1)) for name in ("a", "b", "c")]
    expected = min(tied, key=lambda statement: statement.digest)

    assert current_register([early, *tied]) == expected
    assert current_register(reversed([early, *tied])) == expected
    assert current_register([]) is None


def test_a_content_signed_register_overrides_any_old_one() -> None:
    signed = heard(AUTHOR.register("signed", SIGNED_AT))
    later = replace(signed, record_class=RecordClass.C, timestamp=SIGNED_AT + 1)
    outside = replace(later, record_class=RecordClass.UNATTESTED)

    assert current_register([later, signed]) == signed
    assert current_register([later, outside]) == later
    assert current_register([outside]) is None
