"""Messages in parts (PROTOCOL R7)."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import func, select

from etdb.identity import Txid
from etdb.index import queries
from etdb.index.db import Index
from etdb.index.follow import follow
from etdb.index.schema import messages, parts
from etdb.ledger.base import SignedTransaction
from etdb.record.message import Coverage, LedgerKind
from etdb.record.parts import encode_part
from etdb.testing.ledger import MemoryLedger
from etdb.testing.records import Author, digest_in

Compose = Callable[..., Sequence[SignedTransaction]]
Make = Callable[..., Index]
Dump = Callable[[Index], Any]

NOTE = "A synthetic note that takes several parts. " * 50


def renamed(sent: SignedTransaction, txid: str) -> SignedTransaction:
    """The same under another txid, as if ground or malleated."""
    return replace(sent, txid=Txid(txid))


@pytest.fixture
def text(author: Author) -> str:
    return author.publish(author.artifact({"artNotes": NOTE}))


def anchors(index: Index) -> list[tuple[Any, ...]]:
    with index.read() as connection:
        chosen = select(messages.c.height, messages.c.position, messages.c.txid)
        return [tuple(row) for row in connection.execute(chosen.order_by("height"))]


def test_parts_in_one_block_make_a_message_named_by_part_0(
    make_index: Make,
    ledger: MemoryLedger,
    author: Author,
    text: str,
    in_parts: Compose,
) -> None:
    sent = in_parts(ledger, author, text)
    ledger.send(sent)

    record = queries.get_record(make_index(ledger), digest_in(text))

    assert record["txid"] == sent[0].txid
    assert record["text"] == text
    assert record["anchor"]["position"] == len(sent)


@pytest.mark.parametrize("seed", range(5))
def test_parts_join_in_any_order_over_any_blocks(
    seed: int,
    make_index: Make,
    ledger: MemoryLedger,
    author: Author,
    text: str,
    in_parts: Compose,
) -> None:
    sent = list(in_parts(ledger, author, text))
    random.Random(seed).shuffle(sent)
    index = make_index(ledger)

    for transaction in sent:
        assert queries.search(index).total == 0
        ledger.send([transaction])
        follow(index, ledger)

    record = queries.get_record(index, digest_in(text))
    assert record["anchor"]["height"] == len(sent), "where it is completed"


@pytest.mark.parametrize("digits", [10, 11, 63, 64])
def test_a_part_may_refer_to_the_beginning_of_part_0s_txid(
    make_index: Make,
    ledger: MemoryLedger,
    author: Author,
    text: str,
    in_parts: Compose,
    digits: int,
) -> None:
    ledger.send(in_parts(ledger, author, text, digits=digits))

    assert queries.search(make_index(ledger)).total == 1


def test_the_last_part_missing_is_no_message(
    make_index: Make,
    dump: Callable[[Index], Any],
    ledger: MemoryLedger,
    author: Author,
    text: str,
    in_parts: Compose,
) -> None:
    ledger.send(in_parts(ledger, author, text)[:-1])

    found = dump(make_index(ledger))

    assert found["messages"] == found["rejected"] == []
    assert len(found["parts"]) > 1


def test_the_earliest_part_of_a_number_counts(
    make_index: Make,
    ledger: MemoryLedger,
    author: Author,
    text: str,
    in_parts: Compose,
) -> None:
    sent = in_parts(ledger, author, text)
    last = len(sent) - 1
    forged = encode_part(1, last, author.address, sent[0].txid, "forged", author.key)
    shorter = encode_part(
        1, last, author.address, sent[0].txid[:10], "forged too", author.key
    )
    ledger.send(sent[:2])
    ledger.mine(forged, shorter)
    ledger.send(sent[2:])

    assert queries.get_record(make_index(ledger), digest_in(text))["text"] == text


def test_what_a_set_that_is_complete_gets_later_changes_nothing(
    make_index: Make,
    ledger: MemoryLedger,
    author: Author,
    text: str,
    in_parts: Compose,
) -> None:
    sent = in_parts(ledger, author, text)
    ledger.send(sent)
    late = encode_part(
        1, len(sent) - 1, author.address, sent[0].txid[:20], "late", author.key
    )

    ledger.mine(late)

    assert [height for height, *_ in anchors(make_index(ledger))] == [1]


def test_two_sets_whose_txids_begin_alike_are_kept_apart(
    make_index: Make, ledger: MemoryLedger, author: Author
) -> None:
    """Ten digits can be ground: the references in full tell the sets apart."""
    texts = [
        author.publish(author.artifact({"artNotes": NOTE, "sid": sid}))
        for sid in ("honest", "other")
    ]
    ground = []
    for text in texts:
        first = ledger.compose(author.part_texts(text)[0].encode())
        ground.append(renamed(first, "ab" * 5 + first.txid[10:]))
    rest = [
        author.part_texts(text, first.txid)[1:]
        for text, first in zip(texts, ground, strict=True)
    ]
    ledger.send([ground[1], ground[0]])
    ledger.mine(*rest[1][1:], *rest[0])
    ledger.mine(rest[1][0])
    index = make_index(ledger)

    for text, first in zip(texts, ground, strict=True):
        assert queries.get_record(index, digest_in(text))["text"] == text
        assert queries.get_record(index, first.txid)["id"] == digest_in(text)


def test_short_references_to_a_ground_txid_join_both_sets(
    make_index: Make, ledger: MemoryLedger, author: Author, text: str
) -> None:
    """R7 as it stands: what the other one then says is its own affair."""
    common = "ab" * 5
    forged = author.part_texts(text)[0].replace("Synthetic", "Forged")
    pieces = author.part_texts(text, common)
    firsts = [
        renamed(sent, common + sent.txid[10:])
        for sent in (ledger.compose(each.encode()) for each in (pieces[0], forged))
    ]
    ledger.send(firsts)
    ledger.mine(*pieces[1:])
    index = make_index(ledger)

    assert queries.get_record(index, digest_in(text))["text"] == text
    assert [row["code"] for row in queries.list_rejected(index).results] == ["R7"]


def test_a_part_0_that_came_under_another_txid_begins_no_set_of_the_others(
    make_index: Make,
    ledger: MemoryLedger,
    author: Author,
    text: str,
    in_parts: Compose,
) -> None:
    """Malleated in flight: the set is signed anew, and the old parts are left."""
    first, *rest = in_parts(ledger, author, text)
    ledger.send([renamed(first, "cd" * 32), *rest])
    index = make_index(ledger)
    assert anchors(index) == []

    again = author.part_texts(text, "cd" * 32)[1:]
    ledger.mine(*again)
    follow(index, ledger)

    assert anchors(index) == [(2, len(again), "cd" * 32)]
    assert queries.get_record(index, digest_in(text))["text"] == text


def test_a_txid_that_comes_twice_is_one_set(
    make_index: Make,
    dump: Dump,
    ledger: MemoryLedger,
    author: Author,
    text: str,
    in_parts: Compose,
) -> None:
    first, *rest = in_parts(ledger, author, text)
    whole = [each.raw[8:] for each in rest]
    ledger.send([first, *rest])
    twice = ledger.mine(*whole)
    index = make_index(ledger)
    before = anchors(index)

    same = replace(twice.carried[0], txid=first.txid, data=first.raw[8:])
    ledger._extend([same])
    follow(index, ledger)

    assert anchors(index) == before
    assert dump(index) == dump(make_index(ledger))


@pytest.mark.parametrize("seed", range(4))
def test_a_set_that_lost_parts_awaits_them_again(
    *,
    seed: int,
    make_index: Make,
    dump: Dump,
    ledger: MemoryLedger,
    author: Author,
    text: str,
    in_parts: Compose,
) -> None:
    sent = list(in_parts(ledger, author, text))
    random.Random(seed).shuffle(sent)
    for transaction in sent:
        ledger.send([transaction])
    index = make_index(ledger)

    for depth in range(1, len(sent) + 1):
        ledger.reorganise(depth)
        follow(index, ledger)
        assert anchors(index) == []
        assert dump(index) == dump(make_index(ledger))
        ledger.send(sent)
        follow(index, ledger)
        assert len(anchors(index)) == 1
        assert dump(index) == dump(make_index(ledger))


@pytest.mark.parametrize(
    ("carried", "said"),
    [
        ("ccc", "covered"),
        ("cuc", "unknown"),
        ("uco", "omitted"),
        ("ocu", "omitted"),
    ],
)
def test_a_message_is_covered_as_the_least_covered_of_its_parts(
    carried: str, said: str, make_index: Make, ledger: MemoryLedger, author: Author
) -> None:
    text = author.publish(author.artifact({"artNotes": NOTE[:1300]}))
    names = {"c": Coverage.COVERED, "u": Coverage.UNKNOWN, "o": Coverage.OMITTED}
    first, *coverages = [names[letter] for letter in carried]
    block = ledger.mine(author.part_texts(text)[0], coverage=first)
    rest = author.part_texts(text, block.carried[0].txid)[1:]
    assert len(rest) == len(coverages)
    for part, coverage in zip(rest, coverages, strict=True):
        ledger.mine(part, coverage=coverage)
    forged = author.part_texts(text, block.carried[0].txid[:20])[1]
    ledger.mine(forged, coverage=Coverage.OMITTED)

    record = queries.get_record(make_index(ledger), digest_in(text))

    assert record["anchor"]["coverage"] == said
    assert [anchor["coverage"] for anchor in record["anchors"]] == [said]


@pytest.mark.parametrize("coverage", list(Coverage))
def test_a_message_in_one_transaction_is_covered_as_that_is(
    coverage: Coverage, make_index: Make, ledger: MemoryLedger, author: Author
) -> None:
    text = author.publish()
    ledger.mine(text, coverage=coverage)
    ledger.mine(text)

    record = queries.get_record(make_index(ledger), digest_in(text))

    assert record["anchor"]["coverage"] == coverage.value
    assert record["anchors"][1]["coverage"] == "covered"


def test_parts_of_another_address_or_max_do_not_join(
    make_index: Make,
    ledger: MemoryLedger,
    author: Author,
    text: str,
    in_parts: Compose,
) -> None:
    sent = in_parts(ledger, author, text)
    other, last = Author(2), len(sent) - 1
    strangers = [
        encode_part(last, last, other.address, sent[0].txid, "x", other.key),
        encode_part(last, last + 1, author.address, sent[0].txid, "x", author.key),
    ]
    ledger.send(sent[:-1])
    ledger.mine(*strangers)

    assert anchors(make_index(ledger)) == []


def test_parts_do_not_join_over_ledgers(
    make_index: Make, author: Author, text: str, in_parts: Compose
) -> None:
    one = MemoryLedger("one", LedgerKind.EMBEDDED)
    two = MemoryLedger("two", LedgerKind.EMBEDDED)
    sent = in_parts(one, author, text)
    one.send(sent[:1])
    two.send(sent[1:])

    assert anchors(make_index(one, two)) == []


def test_a_part_that_is_not_signed_by_its_address_is_rejected(
    make_index: Make,
    ledger: MemoryLedger,
    author: Author,
    text: str,
    in_parts: Compose,
) -> None:
    sent = in_parts(ledger, author, text)
    ledger.mine(sent[1].raw[8:].decode().replace("synthetic", "Synthetic"))
    index = make_index(ledger)

    assert [row["code"] for row in queries.list_rejected(index).results] == ["R7"]
    with index.read() as connection:
        assert connection.scalar(select(func.count()).select_from(parts)) == 0


def test_one_part_completes_every_set_it_joins(
    make_index: Make, ledger: MemoryLedger, author: Author, text: str
) -> None:
    pieces = author.part_texts(text)
    firsts = [ledger.compose(pieces[0].encode()) for _ in range(2)]
    common = "ab" * 5
    twins = [renamed(first, common + first.txid[10:]) for first in firsts]
    ledger.send(twins)
    ledger.mine(*author.part_texts(text, common)[1:])

    found = anchors(make_index(ledger))

    assert [txid for *_, txid in sorted(found)] == sorted(twin.txid for twin in twins)


def test_a_joined_text_that_is_no_message_is_rejected_where_it_is_completed(
    make_index: Make, ledger: MemoryLedger, author: Author, in_parts: Compose
) -> None:
    sent = in_parts(ledger, author, "json:{" + "x" * 3_000)
    ledger.send(sent)

    (row,) = queries.list_rejected(make_index(ledger)).results

    assert (row["txid"], row["position"]) == (sent[0].txid, len(sent))
    assert row["code"] == "B1"


def test_a_set_that_joins_to_more_than_1_mib_is_rejected(
    make_index: Make, ledger: MemoryLedger, author: Author
) -> None:
    data = "x" * 600_000
    first = ledger.compose(
        encode_part(0, 1, author.address, "", data, author.key).encode()
    )
    ledger.send([first])
    ledger.mine(encode_part(1, 1, author.address, first.txid, data, author.key))

    (row,) = queries.list_rejected(make_index(ledger)).results

    assert row["code"] == "R7"
    assert "1048576" in row["reason"]


def test_repeats_of_a_part_are_not_kept(
    make_index: Make, ledger: MemoryLedger, author: Author
) -> None:
    piece = encode_part(1, 5, author.address, "ab" * 32, "again", author.key)
    ledger.mine(*[piece] * 50)
    ledger.mine(*[piece] * 50)
    index = make_index(ledger)

    with index.read() as connection:
        assert connection.scalar(select(func.count()).select_from(parts)) == 1


def test_an_old_record_whose_parts_are_signed_by_its_address_is_of_class_b(
    make_index: Make, ledger: MemoryLedger, author: Author, in_parts: Compose
) -> None:
    old = author.publish_old(author.artifact({"artNotes": NOTE}))
    ledger.send(in_parts(ledger, author, old))

    assert queries.get_record(make_index(ledger), digest_in(old))["class"] == "B"


def test_an_old_record_in_parts_of_another_is_of_class_c(
    make_index: Make, ledger: MemoryLedger, author: Author, in_parts: Compose
) -> None:
    old = author.publish_old(author.artifact({"artNotes": NOTE}))
    ledger.send(in_parts(ledger, Author(2), old))

    assert queries.get_record(make_index(ledger), digest_in(old))["class"] == "C"


def test_a_record_that_the_original_publisher_sent_in_parts_is_read(
    make_index: Make, vectors: Callable[[str], Any]
) -> None:
    (real,) = vectors("06_multipart_sequences.json")["vectors"]
    ledger = MemoryLedger("testnet", LedgerKind.FLO_TEST)
    first_txid = real["parts"][1].split(",")[3]
    ledger.send(
        [SignedTransaction(first_txid, b"\0" * 8 + real["parts"][0].encode(), 1)]
    )
    ledger.mine(real["parts"][1])

    record = queries.get_record(make_index(ledger), first_txid)

    assert record["class"] == "B"
    assert record["title"] == "testtitle"
    assert record["text"] == real["assembled"]
