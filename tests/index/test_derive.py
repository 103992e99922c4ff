"""What stands: classes, edits, withdrawals, names (PROTOCOL R2 to R6)."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from etdb.errors import NotFoundError
from etdb.index import queries
from etdb.index.db import Index
from etdb.index.follow import follow
from etdb.ledger.base import SignedTransaction
from etdb.record.canonical import digest_of
from etdb.record.message import LedgerKind
from etdb.record.oip042 import wrap
from etdb.testing.ledger import MemoryLedger
from etdb.testing.records import SIGNED_AT, Author, body_in, digest_in

Make = Callable[..., Index]
Compose = Callable[..., Sequence[SignedTransaction]]

NOTE = "A synthetic note that takes several parts. " * 50


def class_of(index: Index, text: str) -> str:
    return str(queries.get_record(index, digest_in(text))["class"])


def listed(index: Index) -> set[str]:
    return {record["id"] for record in queries.search(index).results}


def test_the_same_statement_twice_is_one_record_with_two_anchors(
    make_index: Make, ledger: MemoryLedger, author: Author
) -> None:
    text = author.publish()
    ledger.mine(text)
    ledger.mine(text)
    index = make_index(ledger)

    record = queries.get_record(index, digest_in(text))

    assert queries.search(index).total == 1
    assert queries.list_rejected(index).total == 0
    assert [anchor["height"] for anchor in record["anchors"]] == [1, 2]
    assert record["anchor"] == record["anchors"][0]
    for anchor in record["anchors"]:
        assert queries.get_record(index, anchor["txid"])["id"] == record["id"]


def test_a_statement_on_two_ledgers_is_one_record(
    make_index: Make, author: Author
) -> None:
    text = author.publish()
    one, two = (MemoryLedger(name, LedgerKind.EMBEDDED) for name in ("one", "two"))
    two.mine("later", text)
    one.mine("a block before")
    one.mine(text)

    record = queries.get_record(make_index(one, two), digest_in(text))

    assert [anchor["ledger"] for anchor in record["anchors"]] == ["two", "one"]
    assert record["anchor"]["ledger_kind"] == "embedded"


def test_a_copy_that_lost_its_content_signature_does_not_lower_the_class(
    make_index: Make, ledger: MemoryLedger, author: Author
) -> None:
    text = author.publish()
    body = body_in(text)
    del body["details"]["contentSignature"]
    stripped = wrap("publish", "artifact", body)
    assert digest_of("publish", body) == digest_in(text)
    ledger.mine(stripped)
    ledger.mine(text)

    index = make_index(ledger)

    assert class_of(index, text) == "A"
    assert queries.get_record(index, digest_in(text))["text"] == text


def old_pair(author: Author) -> tuple[str, str]:
    """Two old records that claim the same address, location and time."""
    early, late = (
        author.publish_old(author.artifact({"strain": word})) for word in ("1", "2")
    )
    return early, late


def test_of_two_old_records_with_one_signature_the_earlier_counts(
    make_index: Make, ledger: MemoryLedger, author: Author
) -> None:
    early, late = old_pair(author)
    ledger.mine("foreign", early, late)
    index = make_index(ledger)

    assert class_of(index, early) == "C"
    assert class_of(index, late) == "unattested"
    assert listed(index) == {digest_in(early)}


def test_the_other_one_counts_when_the_earlier_is_undone(
    make_index: Make, ledger: MemoryLedger, author: Author
) -> None:
    early, late = old_pair(author)
    ledger.mine(early)
    ledger.mine(late)
    index = make_index(ledger)

    ledger.reorganise(2, [[late]])
    follow(index, ledger)

    assert class_of(index, late) == "C"
    with pytest.raises(NotFoundError):
        queries.get_record(index, digest_in(early))


def test_no_old_record_counts_where_one_is_signed_by_its_parts(
    make_index: Make, ledger: MemoryLedger, author: Author, in_parts: Compose
) -> None:
    early, _ = old_pair(author)
    whole = author.publish_old(author.artifact({"artNotes": NOTE}))
    ledger.mine(early)
    index = make_index(ledger)
    assert class_of(index, early) == "C"

    ledger.send(in_parts(ledger, author, whole))
    follow(index, ledger)

    assert class_of(index, early) == "unattested"
    assert class_of(index, whole) == "B"

    ledger.reorganise(1)
    follow(index, ledger)

    assert class_of(index, early) == "C"


def test_each_ledger_has_its_own_earliest(make_index: Make, author: Author) -> None:
    early, late = old_pair(author)
    one, two = (MemoryLedger(name, LedgerKind.FLO_TEST) for name in ("one", "two"))
    one.mine(early)
    two.mine(late)
    two.mine(early)

    index = make_index(one, two)

    assert class_of(index, early) == class_of(index, late) == "C"


def test_an_unattested_record_is_found_by_its_id_but_never_listed(
    make_index: Make, author: Author
) -> None:
    ledger = MemoryLedger("embedded", LedgerKind.EMBEDDED)
    text = author.publish_old()
    ledger.mine(text)
    index = make_index(ledger)

    assert class_of(index, text) == "unattested"
    assert listed(index) == set()
    assert queries.find_by_sid(index, author.address, "syn-1") is None
    assert queries.count(index) == {"records": 0, "species": 0, "labs": 0}


def test_an_edit_is_shown_in_the_place_of_its_record(
    make_index: Make, ledger: MemoryLedger, author: Author
) -> None:
    root = author.publish()
    edit = author.edit(root, 2, strain="edited", artNotes="mended words")
    ledger.mine(root)
    ledger.mine(edit)
    index = make_index(ledger)

    record = queries.get_record(index, digest_in(root))

    assert record["id"] == digest_in(root)
    assert record["details"]["strain"] == "edited"
    assert record["text"] == edit
    assert record["anchor"]["height"] == 1
    assert [version["id"] for version in record["versions"]] == [
        digest_in(root),
        digest_in(edit),
    ]
    assert [version["number"] for version in record["versions"]] == [1, 2]
    assert queries.search(index, "mended").results[0]["id"] == record["id"]
    assert queries.get_record(index, digest_in(edit))["id"] == record["id"]
    assert all(check["holds"] for check in record["checks"])


def test_an_edit_waits_for_its_record_and_its_ancestors(
    make_index: Make, ledger: MemoryLedger, author: Author
) -> None:
    root = author.publish()
    second = author.edit(root, 2, strain="second")
    third = author.edit(root, 3, second, strain="third")
    index = make_index(ledger)
    strains = []

    for text in (third, root, second):
        ledger.mine(text)
        follow(index, ledger)
        results = queries.search(index).results
        strains.append([record["details"].get("strain") for record in results])

    assert strains == [[], [None], ["third"]]


def test_a_strangers_edit_changes_nothing(
    make_index: Make, ledger: MemoryLedger, author: Author
) -> None:
    root = author.publish()
    edit = Author(2).edit(root, 2, strain="a stranger's")
    ledger.mine(root, edit)
    index = make_index(ledger)

    assert queries.get_record(index, digest_in(root))["text"] == root
    with pytest.raises(NotFoundError):
        queries.get_record(index, digest_in(edit))


def test_a_withdrawn_record_says_so_and_is_not_listed(
    make_index: Make, ledger: MemoryLedger, author: Author
) -> None:
    root = author.publish()
    ledger.mine(author.deactivate(root, reason="wrong species"))
    ledger.mine(root)
    index = make_index(ledger)

    record = queries.get_record(index, digest_in(root))

    assert record["withdrawn"] == {
        "by": author.address,
        "time": SIGNED_AT,
        "reason": "wrong species",
    }
    assert listed(index) == set()
    assert queries.status(index)["withdrawn"] == 1


def test_a_strangers_withdrawal_changes_nothing(
    make_index: Make, ledger: MemoryLedger, author: Author
) -> None:
    root = author.publish()
    ledger.mine(root, Author(2).deactivate(root))

    assert listed(make_index(ledger)) == {digest_in(root)}


def test_an_heir_may_edit_and_withdraw(
    make_index: Make, ledger: MemoryLedger, author: Author
) -> None:
    heir = Author(2)
    root = author.publish(author.artifact({"heirs": [heir.address]}))
    ledger.mine(root, heir.edit(root, 2, strain="an heir's"))
    index = make_index(ledger)
    assert queries.search(index, "heir").total == 1

    ledger.mine(heir.deactivate(root))
    follow(index, ledger)

    assert listed(index) == set()


def test_a_registered_name_is_shown_and_searched(
    make_index: Make, ledger: MemoryLedger, author: Author
) -> None:
    ledger.mine(author.publish(), author.register("The Lab"))
    ledger.mine(author.register("The Old Lab", SIGNED_AT - 1))
    index = make_index(ledger)

    (record,) = queries.search(index, 'publisher:"the lab"').results

    assert record["publisher"] == {"address": author.address, "name": "The Lab"}


def test_a_name_goes_when_its_block_goes(
    make_index: Make, ledger: MemoryLedger, author: Author
) -> None:
    ledger.mine(author.publish())
    ledger.mine(author.register("The Lab"))
    index = make_index(ledger)

    ledger.reorganise(1)
    follow(index, ledger)

    assert queries.search(index).results[0]["publisher"]["name"] is None


def test_what_an_old_edit_or_withdrawal_says_has_no_effect(
    make_index: Make, ledger: MemoryLedger, author: Author, vectors: Any
) -> None:
    root = author.publish()
    index = make_index(ledger)
    block = ledger.mine(root)
    old: dict[str, Any] = {"artifactID": block.carried[0].txid, "timestamp": SIGNED_AT}
    ledger.mine(wrap("deactivate", "artifact", old))
    (real,) = vectors("03_oip042_edit.json")["vectors"]
    ledger.mine("json:" + json.dumps(real["record"]))
    follow(index, ledger)

    assert listed(index) == {digest_in(root)}
    assert queries.status(index)["ledgers"][0]["messages"] == 3
