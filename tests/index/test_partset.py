"""Messages in parts (PROTOCOL R7)."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pytest
from sqlalchemy import func, select

from etdb.identity import Txid
from etdb.index import queries, schema
from etdb.index.db import Index
from etdb.index.follow import follow
from etdb.index.schema import messages
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


@dataclass(frozen=True)
class Parts:
    """An author's text, a ledger that may carry it in parts, and its indexes."""

    ledger: MemoryLedger
    author: Author
    text: str
    make_index: Make
    in_parts: Compose

    def compose(
        self, text: str = "", author: Author | None = None, *, digits: int = 64
    ) -> list[SignedTransaction]:
        """The transactions of a text, of this one if none is given; not sent."""
        by, said = author or self.author, text or self.text
        return list(self.in_parts(self.ledger, by, said, digits=digits))

    def encode(self, number: int, last: int, reference: str, data: str) -> str:
        """A part that the author signed."""
        address, key = self.author.address, self.author.key
        return encode_part(number, last, address, reference, data, key)

    def index(self) -> Index:
        """A new index of the ledger."""
        return self.make_index(self.ledger)

    def record(self) -> dict[str, Any]:
        """What a new index says of the text."""
        return queries.get_record(self.index(), digest_in(self.text))


@pytest.fixture
def parts(
    ledger: MemoryLedger,
    author: Author,
    text: str,
    make_index: Make,
    in_parts: Compose,
) -> Parts:
    return Parts(ledger, author, text, make_index, in_parts)


def anchors(index: Index) -> list[tuple[Any, ...]]:
    with index.read() as connection:
        chosen = select(messages.c.height, messages.c.position, messages.c.txid)
        return [tuple(row) for row in connection.execute(chosen.order_by("height"))]


def test_parts_in_one_block_make_a_message_named_by_part_0(parts: Parts) -> None:
    sent = parts.compose()
    parts.ledger.send(sent)

    record = parts.record()

    assert record["txid"] == sent[0].txid
    assert record["text"] == parts.text
    assert record["anchor"]["position"] == len(sent)


@pytest.mark.parametrize("seed", range(5))
def test_parts_join_in_any_order_over_any_blocks(seed: int, parts: Parts) -> None:
    sent = parts.compose()
    random.Random(seed).shuffle(sent)
    index = parts.index()

    for transaction in sent:
        assert queries.search(index).total == 0
        parts.ledger.send([transaction])
        follow(index, parts.ledger)

    record = queries.get_record(index, digest_in(parts.text))
    assert record["anchor"]["height"] == len(sent), "where it is completed"


@pytest.mark.parametrize("digits", [10, 11, 63, 64])
def test_a_part_may_refer_to_the_beginning_of_part_0s_txid(
    digits: int, parts: Parts
) -> None:
    parts.ledger.send(parts.compose(digits=digits))

    assert queries.search(parts.index()).total == 1


def test_the_last_part_missing_is_no_message(
    dump: Callable[[Index], Any], parts: Parts
) -> None:
    parts.ledger.send(parts.compose()[:-1])

    found = dump(parts.index())

    assert found["messages"] == found["rejected"] == []
    assert len(found["parts"]) > 1


def test_the_earliest_part_of_a_number_counts(parts: Parts) -> None:
    sent = parts.compose()
    last = len(sent) - 1
    forged = parts.encode(1, last, sent[0].txid, "forged")
    shorter = parts.encode(1, last, sent[0].txid[:10], "forged too")
    parts.ledger.send(sent[:2])
    parts.ledger.mine(forged, shorter)
    parts.ledger.send(sent[2:])

    assert parts.record()["text"] == parts.text


def test_what_a_set_that_is_complete_gets_later_changes_nothing(parts: Parts) -> None:
    sent = parts.compose()
    parts.ledger.send(sent)
    late = parts.encode(1, len(sent) - 1, sent[0].txid[:20], "late")

    parts.ledger.mine(late)

    assert [height for height, *_ in anchors(parts.index())] == [1]


def test_two_sets_whose_txids_begin_alike_are_kept_apart(parts: Parts) -> None:
    """Ten digits can be ground: the references in full tell the sets apart."""
    texts = [
        parts.author.publish(parts.author.artifact({"artNotes": NOTE, "sid": sid}))
        for sid in ("honest", "other")
    ]
    ground = []
    for text in texts:
        first = parts.ledger.compose(parts.author.part_texts(text)[0].encode())
        ground.append(renamed(first, "ab" * 5 + first.txid[10:]))
    rest = [
        parts.author.part_texts(text, first.txid)[1:]
        for text, first in zip(texts, ground, strict=True)
    ]
    parts.ledger.send([ground[1], ground[0]])
    parts.ledger.mine(*rest[1][1:], *rest[0])
    parts.ledger.mine(rest[1][0])
    index = parts.index()

    for text, first in zip(texts, ground, strict=True):
        assert queries.get_record(index, digest_in(text))["text"] == text
        assert queries.get_record(index, first.txid)["id"] == digest_in(text)


def test_short_references_to_a_ground_txid_join_both_sets(parts: Parts) -> None:
    """R7 as it stands: what the other one then says is its own affair."""
    common = "ab" * 5
    forged = parts.author.part_texts(parts.text)[0].replace("Synthetic", "Forged")
    pieces = parts.author.part_texts(parts.text, common)
    firsts = [
        renamed(sent, common + sent.txid[10:])
        for sent in (
            parts.ledger.compose(each.encode()) for each in (pieces[0], forged)
        )
    ]
    parts.ledger.send(firsts)
    parts.ledger.mine(*pieces[1:])
    index = parts.index()

    assert queries.get_record(index, digest_in(parts.text))["text"] == parts.text
    assert [row["code"] for row in queries.list_rejected(index).results] == ["R7"]


def test_a_part_0_that_came_under_another_txid_begins_no_set_of_the_others(
    parts: Parts,
) -> None:
    """Malleated in flight: the set is signed anew, and the old parts are left."""
    first, *rest = parts.compose()
    parts.ledger.send([renamed(first, "cd" * 32), *rest])
    index = parts.index()
    assert anchors(index) == []

    again = parts.author.part_texts(parts.text, "cd" * 32)[1:]
    parts.ledger.mine(*again)
    follow(index, parts.ledger)

    assert anchors(index) == [(2, len(again), "cd" * 32)]
    assert queries.get_record(index, digest_in(parts.text))["text"] == parts.text


def test_a_txid_that_comes_twice_is_one_set(dump: Dump, parts: Parts) -> None:
    first, *rest = parts.compose()
    whole = [each.raw[8:] for each in rest]
    parts.ledger.send([first, *rest])
    twice = parts.ledger.mine(*whole)
    index = parts.index()
    before = anchors(index)

    same = replace(twice.carried[0], txid=first.txid, data=first.raw[8:])
    parts.ledger._extend([same])
    follow(index, parts.ledger)

    assert anchors(index) == before
    assert dump(index) == dump(parts.index())


@pytest.mark.parametrize("seed", range(4))
def test_a_set_that_lost_parts_awaits_them_again(
    seed: int, dump: Dump, parts: Parts
) -> None:
    sent = parts.compose()
    random.Random(seed).shuffle(sent)
    for transaction in sent:
        parts.ledger.send([transaction])
    index = parts.index()

    for depth in range(1, len(sent) + 1):
        parts.ledger.reorganise(depth)
        follow(index, parts.ledger)
        assert anchors(index) == []
        assert dump(index) == dump(parts.index())
        parts.ledger.send(sent)
        follow(index, parts.ledger)
        assert len(anchors(index)) == 1
        assert dump(index) == dump(parts.index())


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
    carried: str, said: str, parts: Parts
) -> None:
    text = parts.author.publish(parts.author.artifact({"artNotes": NOTE[:1300]}))
    names = {"c": Coverage.COVERED, "u": Coverage.UNKNOWN, "o": Coverage.OMITTED}
    first, *coverages = [names[letter] for letter in carried]
    block = parts.ledger.mine(parts.author.part_texts(text)[0], coverage=first)
    rest = parts.author.part_texts(text, block.carried[0].txid)[1:]
    assert len(rest) == len(coverages)
    for part, coverage in zip(rest, coverages, strict=True):
        parts.ledger.mine(part, coverage=coverage)
    forged = parts.author.part_texts(text, block.carried[0].txid[:20])[1]
    parts.ledger.mine(forged, coverage=Coverage.OMITTED)

    record = queries.get_record(parts.index(), digest_in(text))

    assert record["anchor"]["coverage"] == said
    assert [anchor["coverage"] for anchor in record["anchors"]] == [said]


@pytest.mark.parametrize("coverage", list(Coverage))
def test_a_message_in_one_transaction_is_covered_as_that_is(
    coverage: Coverage, parts: Parts
) -> None:
    text = parts.author.publish()
    parts.ledger.mine(text, coverage=coverage)
    parts.ledger.mine(text)

    record = queries.get_record(parts.index(), digest_in(text))

    assert record["anchor"]["coverage"] == coverage.value
    assert record["anchors"][1]["coverage"] == "covered"


def test_parts_of_another_address_or_max_do_not_join(parts: Parts) -> None:
    sent = parts.compose()
    other, last = Author(2), len(sent) - 1
    strangers = [
        encode_part(last, last, other.address, sent[0].txid, "x", other.key),
        parts.encode(last, last + 1, sent[0].txid, "x"),
    ]
    parts.ledger.send(sent[:-1])
    parts.ledger.mine(*strangers)

    assert anchors(parts.index()) == []


def test_parts_do_not_join_over_ledgers(parts: Parts) -> None:
    one = MemoryLedger("one", LedgerKind.EMBEDDED)
    two = MemoryLedger("two", LedgerKind.EMBEDDED)
    sent = parts.in_parts(one, parts.author, parts.text)
    one.send(sent[:1])
    two.send(sent[1:])

    assert anchors(parts.make_index(one, two)) == []


def test_a_part_that_is_not_signed_by_its_address_is_rejected(parts: Parts) -> None:
    sent = parts.compose()
    parts.ledger.mine(sent[1].raw[8:].decode().replace("synthetic", "Synthetic"))
    index = parts.index()

    assert [row["code"] for row in queries.list_rejected(index).results] == ["R7"]
    with index.read() as connection:
        assert connection.scalar(select(func.count()).select_from(schema.parts)) == 0


def test_one_part_completes_every_set_it_joins(parts: Parts) -> None:
    pieces = parts.author.part_texts(parts.text)
    firsts = [parts.ledger.compose(pieces[0].encode()) for _ in range(2)]
    common = "ab" * 5
    twins = [renamed(first, common + first.txid[10:]) for first in firsts]
    parts.ledger.send(twins)
    parts.ledger.mine(*parts.author.part_texts(parts.text, common)[1:])

    found = anchors(parts.index())

    assert [txid for *_, txid in sorted(found)] == sorted(twin.txid for twin in twins)


def test_a_joined_text_that_is_no_message_is_rejected_where_it_is_completed(
    parts: Parts,
) -> None:
    sent = parts.compose("json:{" + "x" * 3_000)
    parts.ledger.send(sent)

    (row,) = queries.list_rejected(parts.index()).results

    assert (row["txid"], row["position"]) == (sent[0].txid, len(sent))
    assert row["code"] == "B1"


def test_a_set_that_joins_to_more_than_1_mib_is_rejected(parts: Parts) -> None:
    data = "x" * 600_000
    first = parts.ledger.compose(parts.encode(0, 1, "", data).encode())
    parts.ledger.send([first])
    parts.ledger.mine(parts.encode(1, 1, first.txid, data))

    (row,) = queries.list_rejected(parts.index()).results

    assert row["code"] == "R7"
    assert "1048576" in row["reason"]


def test_repeats_of_a_part_are_not_kept(parts: Parts) -> None:
    piece = parts.encode(1, 5, "ab" * 32, "again")
    parts.ledger.mine(*[piece] * 50)
    parts.ledger.mine(*[piece] * 50)
    index = parts.index()

    with index.read() as connection:
        assert connection.scalar(select(func.count()).select_from(schema.parts)) == 1


def test_an_old_record_whose_parts_are_signed_by_its_address_is_of_class_b(
    parts: Parts,
) -> None:
    old = parts.author.publish_old(parts.author.artifact({"artNotes": NOTE}))
    parts.ledger.send(parts.compose(old))

    assert queries.get_record(parts.index(), digest_in(old))["class"] == "B"


def test_an_old_record_in_parts_of_another_is_of_class_c(parts: Parts) -> None:
    old = parts.author.publish_old(parts.author.artifact({"artNotes": NOTE}))
    parts.ledger.send(parts.compose(old, Author(2)))

    assert queries.get_record(parts.index(), digest_in(old))["class"] == "C"


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
