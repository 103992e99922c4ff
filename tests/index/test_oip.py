"""The index as the old daemons' clients ask it."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select

from etdb.errors import InvalidDataError, NotFoundError, UnavailableError
from etdb.index.condition import condition_of
from etdb.index.db import Index
from etdb.index.follow import follow
from etdb.index.oip.field import RECORD_FIELDS
from etdb.index.oip.librarian import Sort
from etdb.index.oip.oipd import OipIndex
from etdb.index.oip.page import Hits, Window
from etdb.index.schema import records
from etdb.index.search import And, Is, Match, Not, Or
from etdb.ledger.base import SignedTransaction
from etdb.ledger.flo.local import EmbeddedChain
from etdb.record.message import LedgerKind
from etdb.record.oip042 import wrap
from etdb.record.signing import TEST_P2PKH, PrivateKey, sign_body
from etdb.testing.ledger import MemoryLedger
from etdb.testing.records import Author, digest_in

MakeIndex = Callable[..., Index]


def no_ledger(_ledger: str, _height: int, _position: int) -> bytes:
    raise UnavailableError("the ledger is not there")


def open_oip(index: Index) -> OipIndex:
    return OipIndex(index, no_ledger)


def sids(hits: Hits) -> list[str]:
    return [record["artifact"]["details"]["sid"] for record in hits.results]


def publish(author: Author, sid: str, **details: Any) -> str:
    return author.publish(author.artifact({"sid": sid, **details}))


@pytest.fixture
def oip(make_index: MakeIndex, ledger: MemoryLedger, author: Author) -> OipIndex:
    """Five records in three blocks."""
    other = Author(2)
    ledger.mine(publish(author, "s1", defocus=-8, strain="K12"), publish(author, "s2"))
    ledger.mine(publish(author, "s3", defocus=-4.5))
    ledger.mine(publish(other, "s4", strain="PAO1"), publish(other, "s5", defocus=0))
    return open_oip(make_index(ledger))


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OipIndex]:
    """An index of nothing."""
    path = tmp_path_factory.mktemp("empty") / "index.sqlite"
    with Index.create(path, [MemoryLedger().info]) as index:
        yield open_oip(index)


def test_the_newest_block_is_first_and_txids_order_what_it_holds(oip: OipIndex) -> None:
    hits = oip.latest(Window())

    keys = [(-hit["meta"]["time"], hit["meta"]["txid"]) for hit in hits.results]
    assert keys == sorted(keys)
    assert set(sids(hits)[:2]) == {"s4", "s5"}
    assert hits.total == 5


def test_a_document_is_the_artifact_and_its_place(
    make_index: MakeIndex, ledger: MemoryLedger, author: Author
) -> None:
    text = publish(author, "s1", labKey=[1, {"deep": None}])
    block = ledger.mine(text)
    (hit,) = open_oip(make_index(ledger)).latest(Window()).results

    artifact = json.loads(text.removeprefix("json:"))["oip042"]["publish"]["artifact"]
    assert hit["artifact"] == artifact
    assert list(hit["artifact"]) == list(artifact)
    assert hit["meta"] == {
        "block_hash": block.hash,
        "block": block.height,
        "time": block.time,
        "txid": block.carried[0].txid,
        "originalTxid": block.carried[0].txid,
        "type": "oip042",
        "latest": True,
        "deactivated": False,
        "blacklist": {"blacklisted": False, "filter": ""},
        "previousEdits": [],
        "signature": artifact["signature"],
        "publisher": author.address,
        "publisher_name": "",
    }


@pytest.mark.parametrize(
    "sort",
    [
        "",
        "artifact.details.strain:a",
        "artifact.details.defocus:d$artifact.details.sid:d",
    ],
)
def test_pages_by_after_neither_repeat_nor_skip(oip: OipIndex, sort: str) -> None:
    everything = oip.latest(Window(100, sort=sort))
    seen: list[str] = []
    window = Window(2, sort=sort)
    while True:
        hits = oip.latest(window)
        if not hits.results:
            break
        assert hits.total == 5
        seen += sids(hits)
        window = replace(window, after=json.dumps(hits.next), offset=4)

    assert seen == sids(everything)


@pytest.mark.parametrize(
    "spell",
    [
        lambda text: text,
        quote,
        lambda text: text.replace(",", "%2C"),
    ],
    ids=["plain", "encoded", "half-encoded"],
)
def test_after_is_taken_however_far_it_is_encoded(
    oip: OipIndex, spell: Callable[[str], str]
) -> None:
    first = oip.latest(Window(2))
    after = spell(json.dumps(first.next, separators=(",", ":")))

    assert sids(oip.latest(Window(3, after=after))) == sids(oip.latest(Window(5)))[2:]


def test_after_may_be_the_time_alone_in_seconds_or_milliseconds(oip: OipIndex) -> None:
    newest = oip.latest(Window(1)).results[0]["meta"]["time"]

    for told in (newest, newest * 1000):
        later = oip.latest(Window(after=json.dumps([told])))
        assert set(sids(later)) == {"s1", "s2", "s3"}


@pytest.mark.parametrize(
    "after",
    [
        *["x", "{}", "[]", "[null]", "[true]", "[[1]]", "[NaN]", "[1e999]", "[1,2,3]"],
        *("", "[" * 5000, '["\\ud800"]', "[1" + "0" * 400 + "]"),
    ],
)
def test_a_wrong_after_is_refused(oip: OipIndex, after: str) -> None:
    with pytest.raises(InvalidDataError):
        oip.latest(Window(after=after))


@given(
    st.text(max_size=30)
    | st.recursive(
        st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
        lambda inner: st.lists(inner, max_size=4),
    ).map(json.dumps)
)
def test_any_after_is_taken_or_refused(empty: OipIndex, after: str) -> None:
    try:
        hits = empty.latest(Window(sort="artifact.info.title:d", after=after))
    except InvalidDataError:
        return
    assert hits.total == 0


@pytest.mark.parametrize(
    "sort",
    [
        "meta.nothing:a",
        "artifact.details.sid:up",
        "$".join(["meta.time:a"] * 4),
    ],
)
def test_a_wrong_order_is_refused(oip: OipIndex, sort: str) -> None:
    with pytest.raises(InvalidDataError):
        oip.latest(Window(sort=sort))


def test_unknown_values_come_last_in_both_directions(oip: OipIndex) -> None:
    field = "artifact.details.defocus"
    up = sids(oip.latest(Window(sort=f"{field}:a")))
    down = sids(oip.latest(Window(sort=f"{field}:d")))

    assert up[:3] == ["s1", "s3", "s5"]
    assert down[:3] == ["s5", "s3", "s1"]
    assert set(up[3:]) == set(down[3:]) == {"s2", "s4"}


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("*", {"s1", "s2", "s3", "s4", "s5"}),
        ("artifact.details.strain:k12", {"s1"}),
        ("artifact.details.strain:*", {"s1", "s4"}),
        ("artifact.details.defocus:[-8 TO -4]", {"s1", "s3"}),
        ("artifact.details.defocus:0", {"s5"}),
        ("K12 PAO1", {"s1", "s4"}),
        ("vibrio -K12", {"s2", "s3", "s4", "s5"}),
        ("artifact.type:Research AND artifact.subtype:tomogram AND s3", {"s3"}),
        ("artifact.type:video", set()),
        ("artifact.info.nsfw:true", set()),
        ("meta.type:oip042 AND meta.deactivated:false AND s1", {"s1"}),
        ("meta.block:3", {"s4", "s5"}),
        ("meta.time:[1700000040 TO 1700000080]", {"s1", "s2", "s3"}),
        ("artifact.timestamp:>1700000000", set()),
        ("artifact.storage.location:QmfJxwEBCbfe5SRQpP1T1jaJrCLMuBSwP8FgpeV54rsPLx"
         " AND s1", {"s1"}),
    ],
)  # fmt: skip
def test_a_query_finds(oip: OipIndex, query: str, found: set[str]) -> None:
    hits = oip.search(query, Window())

    assert set(sids(hits)) == found
    assert hits.total == len(found)


def test_a_query_finds_by_publisher_and_txid(oip: OipIndex, author: Author) -> None:
    txid = oip.latest(Window(1)).results[0]["meta"]["txid"]
    (sid,) = sids(oip.latest(Window(1)))

    assert sids(oip.search(f"meta.txid:{txid}", Window())) == [sid]
    assert sids(oip.search(f"meta.txid:{txid[:12]}*", Window())) == [sid]
    assert sids(oip.find(txid[:8], Window())) == [sid]
    mine = oip.search(f"artifact.floAddress:{author.address}", Window())
    assert set(sids(mine)) == {"s1", "s2", "s3"}


def test_cardinality_counts_different_values(oip: OipIndex) -> None:
    assert oip.cardinality("artifact.details.strain") == 2
    assert oip.cardinality("artifact.floAddress") == 2
    with pytest.raises(InvalidDataError):
        oip.cardinality("artifact.nothing")


def test_what_calls_itself_nsfw_can_be_left_out(
    make_index: MakeIndex, ledger: MemoryLedger, author: Author
) -> None:
    info = {"title": "t", "description": "d", "nsfw": True}
    ledger.mine(publish(author, "s1"), author.publish(author.artifact(info=info)))
    oip = open_oip(make_index(ledger))

    assert oip.latest(Window()).total == 2
    assert sids(oip.latest(Window(), is_safe=True)) == ["s1"]
    assert oip.search("artifact.info.nsfw:true", Window()).total == 1


def test_an_edited_record_stands_once_as_it_is_now(
    make_index: MakeIndex, ledger: MemoryLedger, author: Author
) -> None:
    root = publish(author, "s1")
    first = author.edit(root, 2, sid="s1", strain="K12")
    second = author.edit(root, 3, first, sid="s1", strain="K13")
    txids = [ledger.mine(text).carried[0].txid for text in (root, first, second)]
    oip = open_oip(make_index(ledger))

    (hit,) = oip.latest(Window()).results
    assert hit["artifact"]["details"]["strain"] == "K13"
    assert hit["meta"]["txid"] == txids[2]
    assert hit["meta"]["originalTxid"] == txids[0]
    assert hit["meta"]["previousEdits"] == [txids[1]]
    for txid in txids:
        assert oip.find(txid, Window()).results == [hit], "any of its transactions"
    assert oip.get_record(txids[0]).results == [hit]
    assert oip.get_record(txids[2]).results == [], "only what published it"


def test_each_version_can_be_had(
    make_index: MakeIndex, ledger: MemoryLedger, author: Author
) -> None:
    root = publish(author, "s1")
    edit = author.edit(root, 2, sid="s1", strain="K12")
    stranger = Author(2).edit(root, 3, edit, strain="K14")
    txids = [ledger.mine(text).carried[0].txid for text in (root, edit, stranger)]
    oip = open_oip(make_index(ledger))

    (then,) = oip.get_version(txids[0], txids[0]).results
    (now,) = oip.get_version(txids[0], txids[1]).results
    assert "strain" not in then["artifact"]["details"]
    assert (then["meta"]["latest"], then["meta"]["txid"]) == (False, txids[0])
    assert now == oip.get_record(txids[0]).results[0]
    assert oip.get_version(txids[0], txids[2]).results == []
    assert oip.get_version(txids[1], txids[1]).results == []


def test_edits_of_each_form_are_shown_for_what_they_are(
    make_index: MakeIndex, ledger: MemoryLedger, author: Author
) -> None:
    root = publish(author, "s1")
    original = ledger.mine(root).carried[0].txid
    said = {"txid": original, "timestamp": 1_700_000_000_123}
    patch = [{"op": "remove", "path": "/info"}]
    old = {"edit": {"artifact": {**said, "patch": patch}, "signature": "none"}}
    ours = author.edit(root, 2, strain="K12")
    txid = ledger.mine(ours).carried[0].txid
    ledger.mine("json:" + json.dumps({"oip042": old}))
    oip = open_oip(make_index(ledger))

    hits = oip.search_edits("*", Window())
    assert hits.total == 2
    historical, own = hits.results
    assert historical["edit"] == {**said, "patch": patch}
    assert historical["meta"]["signature"] == "none"
    states = [(e["meta"]["completed"], e["meta"]["invalid"]) for e in hits.results]
    assert states == [(False, True), (True, False)]
    assert own["edit"]["txid"] == original
    assert own["edit"]["patch"][0]["value"]["details"]["strain"] == "K12"
    assert oip.find_edits(txid[:10], Window()).results == [own]
    assert oip.search_edits(f"edit.txid:{original}", Window()).total == 2
    assert oip.search_edits(f"meta.txid:{txid}", Window()).results == [own]


def test_what_is_withdrawn_or_unattested_is_not_given(
    make_index: MakeIndex, author: Author
) -> None:
    ledger = MemoryLedger(kind=LedgerKind.EMBEDDED)
    gone, kept = publish(author, "gone"), publish(author, "kept")
    old = author.publish_old(author.artifact({"sid": "old"}))
    txids = [c.txid for c in ledger.mine(gone, kept, old).carried]
    edit = author.edit(gone, 2, strain="K12")
    ledger.mine(edit)
    ledger.mine(author.deactivate(gone))
    oip = open_oip(make_index(ledger))

    assert sids(oip.latest(Window())) == ["kept"]
    for txid in (txids[0], txids[2]):
        assert oip.find(txid, Window()).results == []
        assert oip.get_record(txid).results == []
        assert oip.get_version(txid, txid).results == []
        assert oip.librarian.find(txid) is None
    assert oip.search_edits("*", Window()).results == []
    assert oip.librarian.count(Sort()) == 1
    assert oip.librarian.summary()["total"] == 1
    found = oip.librarian.search("*", "vibrio", is_like=True)
    assert [hit["meta"]["originalTxid"] for hit in found] == [txids[1]]


def test_parts_are_given_by_reference_and_txid(
    make_index: MakeIndex,
    ledger: MemoryLedger,
    author: Author,
    in_parts: Callable[..., Sequence[SignedTransaction]],
) -> None:
    text = publish(author, "s1", artNotes="ice " * 600)
    sent = in_parts(ledger, author, text, digits=12)
    ledger.send(sent)
    waiting = in_parts(ledger, author, publish(author, "s2", artNotes="ice " * 600))
    ledger.send(waiting[:-1])
    oip = open_oip(make_index(ledger))
    first = sent[0].txid

    for reference in (first[:10], first[:6], first, first[:20]):
        parts = oip.parts_of(reference, Window()).results
        assert sorted(part["part"] for part in parts) == list(range(len(sent)))
    by_number = {part["part"]: part for part in parts}
    assert "".join(by_number[n]["data"] for n in sorted(by_number)) == text
    assert by_number[0]["meta"]["assembled"] == text
    assert by_number[1]["meta"]["assembled"] == ""
    assert by_number[0]["reference"] == first[:10]
    assert by_number[1]["reference"] == first[:12]
    assert all(part["meta"]["complete"] for part in parts)
    assert by_number[1]["max"] == len(sent) - 1
    (one,) = oip.find_parts(sent[1].txid, Window()).results
    assert one == by_number[1]
    left = oip.parts_of(waiting[0].txid, Window()).results
    assert [part["meta"]["complete"] for part in left] == [False] * (len(waiting) - 1)
    assert oip.parts_of("0" * 10, Window()).results == []


def test_each_transaction_is_one_text(
    make_index: MakeIndex,
    ledger: MemoryLedger,
    author: Author,
    in_parts: Callable[..., Sequence[SignedTransaction]],
) -> None:
    text = publish(author, "s1", artNotes="ice " * 600)
    sent = in_parts(ledger, author, text)
    ledger.send(sent)
    single = ledger.mine(publish(author, "s2", strain="100%_K12")).carried[0]
    oip = open_oip(make_index(ledger))

    latest = oip.latest_texts(Window(), is_whole=False)
    assert latest.total == len(sent) + 1
    assert latest.results[0]["tx"]["floData"] == single.data.decode()
    (part,) = oip.find_texts(sent[0].txid, Window(), is_whole=False).results
    assert part["tx"]["floData"].startswith("oip-mp(0,")
    assert part["tx"]["size"] is None, "the ledger cannot be asked"
    found = oip.search_texts('tx.floData:"100%_k12"', Window(), is_whole=False)
    assert [hit["tx"]["txid"] for hit in found.results] == [single.txid]
    assert oip.search_texts("100__K12", Window(), is_whole=False).total == 0
    assert oip.search_texts("is_coinbase:true", Window(), is_whole=False).total == 0
    words = oip.librarian.find_words("100%_K12", limit=30, offset=0)
    assert [each["txid"] for each in words] == [single.txid]


def test_pages_of_texts_neither_repeat_nor_skip(
    make_index: MakeIndex,
    ledger: MemoryLedger,
    author: Author,
    in_parts: Callable[..., Sequence[SignedTransaction]],
) -> None:
    sent = in_parts(ledger, author, publish(author, "s1", artNotes="ice " * 600))
    singles = [ledger.compose(publish(author, f"t{n}").encode()) for n in range(4)]
    ledger.send([*sent, *singles])
    oip = open_oip(make_index(ledger))
    whole = oip.latest_texts(Window(100), is_whole=False)
    everything = [hit["tx"]["txid"] for hit in whole.results]

    by_offset = [
        hit["tx"]["txid"]
        for offset in range(0, len(everything), 3)
        for hit in oip.latest_texts(Window(3, offset), is_whole=False).results
    ]
    by_after: list[str] = []
    hits = oip.latest_texts(Window(3), is_whole=False)
    while hits.results:
        by_after += [hit["tx"]["txid"] for hit in hits.results]
        after = json.dumps(hits.next)
        hits = oip.latest_texts(Window(3, after=after), is_whole=False)

    assert len(everything) == len(sent) + 4
    assert by_offset == by_after == everything


@pytest.fixture
def chain(tmp_path: Path) -> EmbeddedChain:
    key = PrivateKey.generate()
    return EmbeddedChain.create(
        tmp_path / "chain",
        publisher=key,
        wallet=PrivateKey.generate(),
        address=key.address(TEST_P2PKH),
    )


def test_whole_transactions_are_read_from_the_ledger(
    make_index: MakeIndex, author: Author, chain: EmbeddedChain
) -> None:
    carrier = chain.compose(publish(author, "s1").encode())
    chain.send([carrier])
    asked: list[int] = []

    def raw_transaction(ledger_id: str, height: int, position: int) -> bytes:
        assert ledger_id == chain.info.id
        asked.append(height)
        return chain.raw_transaction(height, position)

    oip = OipIndex(make_index(chain), raw_transaction)
    (hit,) = oip.find_texts(carrier.txid, Window(), is_whole=True).results
    (bare,) = oip.find_texts(carrier.txid, Window(), is_whole=False).results

    tx = hit["tx"]
    assert tx["hex"] == carrier.raw.hex()
    assert tx["txid"] == carrier.txid
    assert tx["size"] == tx["vsize"] == bare["tx"]["size"] == len(carrier.raw)
    assert tx["floData"] == publish(author, "s1") == bare["tx"]["floData"]
    assert tx["vin"][0]["txid"] != "0" * 64
    assert [out["scriptPubKey"]["type"] for out in tx["vout"]] == ["pubkeyhash"]
    assert tx["vout"][0]["scriptPubKey"]["addresses"][0].startswith("o")
    assert tx["confirmations"] == 1
    assert hit["block"] == chain.tip().height
    assert hit["block_hash"] == tx["blockhash"] == chain.tip().hash
    oip.find_texts(carrier.txid, Window(), is_whole=False)
    assert len(asked) == 2, "its size is remembered"


def test_another_transaction_than_the_one_asked_for_is_not_given(
    make_index: MakeIndex, ledger: MemoryLedger, author: Author, chain: EmbeddedChain
) -> None:
    ledger.mine(publish(author, "s1"))
    oip = OipIndex(make_index(ledger), lambda *_: chain.raw_transaction(1, 0))

    (hit,) = oip.latest_texts(Window(), is_whole=True).results
    assert "hex" not in hit["tx"]
    assert hit["tx"]["floData"] == publish(author, "s1")


def test_a_silent_ledger_is_asked_once_and_others_are_still_asked(
    make_index: MakeIndex, author: Author
) -> None:
    silent, lively = MemoryLedger("silent"), MemoryLedger("lively")
    for ledger in (silent, lively):
        for number in range(3):
            ledger.mine(publish(author, f"{ledger.info.id}{number}"))
    asked: list[str] = []

    def raw_transaction(ledger_id: str, _height: int, _position: int) -> bytes:
        asked.append(ledger_id)
        if ledger_id == silent.info.id:
            raise UnavailableError("the daemon did not answer in 30 s")
        raise NotFoundError("transaction", "of this ledger")

    oip = OipIndex(make_index(silent, lively), raw_transaction)
    for is_whole in (True, False):
        asked.clear()
        assert len(oip.latest_texts(Window(), is_whole=is_whole).results) == 6
        assert asked.count(silent.info.id) == 1
        assert asked.count(lively.info.id) == 3, "one miss is not silence"


def test_the_librarian_finds_the_earliest_of_those_that_begin_alike(
    make_index: MakeIndex, ledger: MemoryLedger, author: Author
) -> None:
    """Nobody takes a short id from a record by grinding a txid later."""
    texts = [publish(author, f"s{number}") for number in range(40)]
    txids = [ledger.mine(text).carried[0].txid for text in texts]
    oip = open_oip(make_index(ledger))

    for digit in {txid[0] for txid in txids}:
        found = oip.librarian.find(digit)
        earliest = next(txid for txid in txids if txid.startswith(digit))
        assert found is not None
        assert found["meta"]["originalTxid"] == earliest
        newest = next(txid for txid in txids[::-1] if txid.startswith(digit))
        assert oip.find(digit, Window(1)).results[0]["meta"]["txid"] == newest


def test_the_librarian_counts_and_lists_sorts(
    make_index: MakeIndex, ledger: MemoryLedger, author: Author
) -> None:
    other = Author(2)
    ledger.mine(
        publish(author, "s1"),
        publish(other, "s2", speciesName="Escherichia coli"),
        author.publish(author.artifact(type="Video", subtype="Basic")),
    )
    librarian = open_oip(make_index(ledger)).librarian

    counts = {
        sort: librarian.count(sort)
        for sort in (
            Sort(),
            Sort("research", "tomogram"),
            Sort("video"),
            Sort(publisher=other.address),
            Sort(""),
        )
    }
    assert list(counts.values()) == [3, 2, 1, 1, 0]
    for sort, count in counts.items():
        assert len(list(librarian.iter_records(sort, limit=None, offset=0))) == count
    assert len(list(librarian.iter_records(Sort(), limit=2, offset=2))) == 1
    assert librarian.summary() == {
        "total": 2,
        "species": 2,
        "publishers": {author.address: 1, other.address: 1},
    }


def test_the_librarian_knows_who_registered(
    make_index: MakeIndex, ledger: MemoryLedger, author: Author
) -> None:
    ledger.mine(author.register("First"), author.register("Second", 1_700_000_009))
    txid = ledger.mine(Author(2).register("Other")).carried[0].txid
    librarian = open_oip(make_index(ledger)).librarian

    names = [p["publisher"]["alias"] for p in librarian.list_publishers()]
    assert names == ["Other", "Second"]
    (own,) = librarian.list_publishers(address=author.address)
    assert own["publisher"]["alias"] == "Second"
    assert [p["txid"] for p in librarian.list_publishers(name="oth")] == [txid]
    assert librarian.list_publishers(address="") == []


def register_old(author: Author, digest_above: str = "", **info: str) -> str:
    """A register as OIP 0.42 signed it; `info` is under no signature.

    Ground until its digest is below another's, as a forger would.
    """
    said = {
        "alias": "Synthetic lab",
        "floAddress": author.address,
        "timestamp": 1_700_000_000,
    }
    signed = author.sign_old("register", said)
    for number in range(10_000):
        body = signed | ({"info": {**info, "nonce": number}} if info else {})
        text = wrap("register", "pub", body)
        if not digest_above or digest_in(text) < digest_above:
            return text
    raise AssertionError("no smaller digest was found")


def test_what_an_old_register_does_not_sign_is_not_given(
    make_index: MakeIndex, author: Author
) -> None:
    """A copy with a link added, ground to the smaller digest, is the current one."""
    own = register_old(author)
    forged = register_old(
        author, digest_in(own), url="https://evil.invalid", bitmessage="BM-evil"
    )
    ledger = MemoryLedger(kind=LedgerKind.FLO_MAIN)
    ledger.mine(own)
    txid = ledger.mine(forged).carried[0].txid

    (told,) = open_oip(make_index(ledger)).librarian.list_publishers()
    assert told["txid"] == txid, "the forgery does win"
    signed = {"alias", "floAddress", "timestamp", "signature"}
    assert set(told["publisher"]) == signed
    assert told["publisher"]["alias"] == "Synthetic lab"


def test_what_a_content_signed_register_says_is_given_whole(
    make_index: MakeIndex, ledger: MemoryLedger, author: Author
) -> None:
    said = {
        "alias": "Synthetic lab",
        "floAddress": author.address,
        "timestamp": 1_700_000_000,
        "info": {"url": "https://lab.example", "bitmessage": "BM-own"},
    }
    ledger.mine(wrap("register", "pub", sign_body("register", said, author.key)))

    (told,) = open_oip(make_index(ledger)).librarian.list_publishers()
    assert told["publisher"]["info"] == said["info"]


CONTROLS = ["\0", "a\0b", "\x01a", "vibrio\0", "\x7f", "a\ud800", '"\0"']


@pytest.mark.parametrize("words", CONTROLS)
def test_control_characters_are_no_part_of_any_word(oip: OipIndex, words: str) -> None:
    """SQLite ends a full-text search at a NUL: within its quotes."""
    for field in (*RECORD_FIELDS, "*"):
        with contextlib.suppress(InvalidDataError):
            oip.librarian.search(field, words, is_like=True)
    assert oip.librarian.find_words(words, limit=9, offset=0) == []
    names = oip.librarian.list_publishers(name=words)
    assert names == oip.librarian.list_publishers(address=words)
    found = oip.librarian.search("*", "vibrio\0cholerae", is_like=False)
    assert len(found) == 5


@pytest.mark.parametrize("words", CONTROLS)
def test_any_term_with_a_control_character_can_be_asked(
    make_index: MakeIndex, ledger: MemoryLedger, author: Author, words: str
) -> None:
    """Whoever asks: what reads a query may not have looked."""
    ledger.mine(publish(author, "s1"))
    index = make_index(ledger)
    terms = [Match(None, words), Match("species", words, is_prefix=True)]
    with index.read() as connection:
        for expression in (And(tuple(terms)), Or(tuple(terms)), Not(terms[0])):
            connection.execute(select(records.c.id).where(condition_of(expression)))
        for field in ("publisher", "address", "class", "type", "subtype"):
            wanted = condition_of(Is(field, words))
            found = connection.scalars(select(records.c.id).where(wanted)).all()
            assert found == []


@pytest.mark.parametrize(
    ("field", "words", "is_like", "count"),
    [
        ("*", "chol", True, 5),
        ("*", "chol", False, 0),
        ("speciesName", "vibrio", False, 5),
        ("artifact.details.strain", "K1", True, 1),
        ("strain", "K1", False, 0),
        ("defocus", "-8", True, 1),
        ("type", "research", True, 5),
        ("*", "?!", True, 0),
    ],
)
def test_the_librarian_searches_words(
    oip: OipIndex, field: str, words: str, is_like: bool, count: int
) -> None:
    assert len(oip.librarian.search(field, words, is_like=is_like)) == count


def test_the_librarian_refuses_a_field_that_is_not_kept(oip: OipIndex) -> None:
    with pytest.raises(InvalidDataError):
        oip.librarian.search("nothing", "x", is_like=True)


def test_a_second_anchor_names_the_same_record(
    make_index: MakeIndex, author: Author
) -> None:
    one, two = MemoryLedger("one"), MemoryLedger("two")
    text = publish(author, "s1")
    txids = [ledger.mine(text).carried[0].txid for ledger in (one, two)]
    oip = open_oip(make_index(one, two))

    assert oip.latest(Window()).total == 1
    for txid in txids:
        assert sids(oip.get_record(txid)) == ["s1"]


def test_what_a_reorganisation_undid_is_gone(
    make_index: MakeIndex, ledger: MemoryLedger, author: Author
) -> None:
    root = publish(author, "s1")
    first = ledger.mine(root).carried[0].txid
    ledger.mine(author.edit(root, 2, sid="s1", strain="K12"))
    index = make_index(ledger)
    ledger.reorganise(1)
    follow(index, ledger)

    (hit,) = open_oip(index).latest(Window()).results
    assert hit["meta"]["txid"] == first
    assert "strain" not in hit["artifact"]["details"]
