from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import event, func, select

from etdb.errors import ConflictError, NotFoundError
from etdb.identity import BlockHash
from etdb.index import queries
from etdb.index.apply import apply_blocks, rollback
from etdb.index.db import Index, find_tip
from etdb.index.reading import read_block
from etdb.index.schema import messages
from etdb.ledger.base import Block, LedgerInfo, Tip
from etdb.record.message import LedgerKind
from etdb.testing.ledger import MemoryLedger
from etdb.testing.records import Author, digest_in

Dump = Callable[[Index], Any]

NESTED = b"json:" + b"[" * 200_000
WIDE = b"json:" + b'{"a":' * 100_000 + b"1" + b"}" * 100_000
LONG_NUMBER = b'json:{"oip042":' + b"9" * 900_000 + b"}"
HUGE = b'json:{"oip042":{"publish":{"artifact":{"a":"' + b"x" * 900_000 + b'"}}}}'


def apply(index: Index, info: LedgerInfo, *blocks: Block) -> None:
    apply_blocks(index, info.id, [read_block(info, block) for block in blocks])


def test_a_block_brings_its_rows_and_the_tip(
    make_index: Callable[..., Index], ledger: MemoryLedger, author: Author
) -> None:
    index = make_index(ledger)
    text = author.publish()

    block = ledger.mine(text, "json:{")
    apply(index, ledger.info, block)

    assert queries.get_record(index, digest_in(text))["anchor"]["height"] == 1
    assert queries.list_rejected(index).results[0]["code"] == "B1"
    with index.read() as connection:
        assert find_tip(connection, ledger.info.id) == Tip(1, block.hash)


def test_a_block_that_is_not_the_next_is_refused(
    make_index: Callable[..., Index], ledger: MemoryLedger
) -> None:
    index = make_index(ledger)
    first, second = ledger.mine("a"), ledger.mine("b")

    with pytest.raises(ConflictError, match="does not follow the tip"):
        apply(index, ledger.info, second)

    apply(index, ledger.info, first, second)
    with pytest.raises(ConflictError, match="does not follow the tip"):
        apply(index, ledger.info, second)


def test_an_empty_index_begins_with_block_0(
    tmp_path: Any, ledger: MemoryLedger
) -> None:
    block = ledger.mine("a")
    with Index.create(tmp_path / "i.sqlite", [ledger.info]) as index:
        with pytest.raises(ConflictError):
            apply(index, ledger.info, block)

        apply(index, ledger.info, ledger.block(0))


def test_a_block_that_does_not_extend_the_tip_is_refused(
    make_index: Callable[..., Index], ledger: MemoryLedger
) -> None:
    index = make_index(ledger)
    stray = replace(ledger.mine("a"), previous=BlockHash("ab" * 32))

    with pytest.raises(ConflictError, match="not the tip"):
        apply(index, ledger.info, stray)


def test_a_ledger_that_the_index_does_not_hold_is_not_found(
    make_index: Callable[..., Index], ledger: MemoryLedger
) -> None:
    with pytest.raises(NotFoundError):
        apply(
            make_index(ledger),
            LedgerInfo("another", ledger.info.kind),
            ledger.mine("a"),
        )


def test_blocks_that_fail_half_way_leave_the_index_as_it_was(
    make_index: Callable[..., Index],
    dump: Dump,
    ledger: MemoryLedger,
    author: Author,
) -> None:
    index = make_index(ledger)
    before = dump(index)
    good = ledger.mine(author.publish())
    bad = replace(ledger.mine("b"), previous=BlockHash("ab" * 32))

    with pytest.raises(ConflictError):
        apply(index, ledger.info, good, bad)

    assert dump(index) == before


def test_rows_and_tip_are_one_transaction(
    make_index: Callable[..., Index], ledger: MemoryLedger, author: Author
) -> None:
    index = make_index(ledger)
    commits: list[object] = []
    event.listen(index._writers, "commit", commits.append)

    apply(index, ledger.info, ledger.mine(author.publish()), ledger.mine("b"))

    assert len(commits) == 1


def test_rolling_back_leaves_what_was_before(
    make_index: Callable[..., Index],
    dump: Dump,
    ledger: MemoryLedger,
    author: Author,
) -> None:
    root = author.publish()
    ledger.mine(root)
    index = make_index(ledger)
    before = dump(index)
    edit = author.edit(root, 2, strain="edited")
    ledger.mine(edit, author.deactivate(root), author.register("A name"))
    apply(index, ledger.info, ledger.block(2))
    assert dump(index) != before

    rollback(index, ledger.info.id, 1)

    assert dump(index) == before


def test_everything_can_be_rolled_back(
    make_index: Callable[..., Index], ledger: MemoryLedger, author: Author
) -> None:
    ledger.mine(author.publish())
    index = make_index(ledger)

    rollback(index, ledger.info.id, -1)

    assert queries.status(index)["ledgers"][0]["height"] is None
    assert queries.search(index).total == 0


@pytest.mark.parametrize("trigger", ["messages_delete", "messages_insert"])
def test_without_its_triggers_the_index_would_keep_what_is_gone(
    make_index: Callable[..., Index],
    dump: Dump,
    ledger: MemoryLedger,
    author: Author,
    trigger: str,
) -> None:
    index = make_index(ledger)
    with index.write() as connection:
        connection.exec_driver_sql(f"DROP TRIGGER {trigger}")

    apply(index, ledger.info, ledger.mine(author.publish()))
    if trigger == "messages_delete":
        ledger.reorganise(1)
        rollback(index, ledger.info.id, 0)

    assert dump(index)["records"] != dump(make_index(ledger))["records"]


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"json:\xff\xfe", "B1"),
        (b"oip-mp(0,1,\xff", "B1"),
        (NESTED, "B1"),
        (WIDE, "B1"),
        (LONG_NUMBER, "B1"),
        (HUGE, "R3"),
        (b"json:" + b"x" * 900_000, "B1"),
        (b"oip-mp(" + b"9" * 900_000, "R7"),
        (b"oip-mp(0,999999999999,a,b,c):d", "R7"),
        (b"json:null", "B2"),
        (b'json:{"oip042":[]}', "B2"),
    ],
    ids=lambda value: (
        value[:20].decode("latin-1") if isinstance(value, bytes) else value
    ),
)
def test_bad_messages_are_rows(
    make_index: Callable[..., Index], ledger: MemoryLedger, data: bytes, code: str
) -> None:
    ledger.mine(data)

    rejected = queries.list_rejected(make_index(ledger)).results

    assert [row["code"] for row in rejected] == [code]
    assert 0 < len(rejected[0]["reason"]) <= 300


@pytest.mark.parametrize(
    "data", [b"", b"\0", b"\xff" * 900_000, b"hello", b"etdb-chain:1:", b"text:json:{}"]
)
def test_foreign_texts_leave_no_row(
    make_index: Callable[..., Index], dump: Dump, ledger: MemoryLedger, data: bytes
) -> None:
    ledger.mine(data)

    found = dump(make_index(ledger))

    assert [name for name, rows in found.items() if rows] == ["ledgers", "blocks"]


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    st.lists(st.binary(max_size=200).map(lambda tail: b"json:" + tail) | st.binary())
)
def test_no_bytes_of_a_ledger_raise_anything(
    make_index: Callable[..., Index], data: list[bytes]
) -> None:
    ledger = MemoryLedger()
    ledger.mine(*data)

    index = make_index(ledger)

    assert queries.status(index)["ledgers"][0]["height"] == 1


NASTY = [
    {"date": 10**15},
    {"date": "9" * 4000},
    {"date": -(10**14)},
    {"dosage": "nan"},
    {"dosage": "1e400"},
    {"tiltMin": True},
    {"NCBItaxID": "1" * 400},
    {"speciesName": ["a"], "strain": {"b": 1}, "sid": 5},
    {"authors": [[[{"a": [1, None, "x"]}]]]},
    {"fileInfo": {"a.st": 5, "b": {"role": 5, "cid": []}}},
    {"fileInfo": "none"},
    {"heirs": {"a": 1}},
    {"artNotes": "x" * 50_000},
    {"'; DROP TABLE records; --": '"; DROP TABLE records; --'},
    {"species": "by its own name", "model_fields": 1, "__class__": 2},
]


@pytest.mark.parametrize("details", NASTY, ids=lambda details: next(iter(details)))
def test_a_signed_record_may_say_nonsense(
    make_index: Callable[..., Index],
    ledger: MemoryLedger,
    author: Author,
    details: dict[str, Any],
) -> None:
    files = [
        {"fname": "a.st", "fsize": 2**53 - 1},
        {"fname": "b", "fsize": -5},
        {"fname": "c", "fsize": "9" * 30},
        {"fname": None},
        "no file",
    ]
    storage = {"network": "ipfs", "location": "not a CID", "files": files}
    ledger.mine(author.publish({**author.artifact(details), "storage": storage}))

    index = make_index(ledger)

    record = queries.get_record(index, queries.search(index).results[0]["id"])
    assert record["size_bytes"] == 2**53 - 1
    assert all(check["holds"] for check in record["checks"])


def test_sizes_that_add_up_beyond_what_sqlite_counts_are_held(
    make_index: Callable[..., Index], ledger: MemoryLedger, author: Author
) -> None:
    files = [{"fname": str(number), "fsize": 2**53 - 1} for number in range(2_000)]
    storage = {"network": "ipfs", "location": "x", "files": files}
    ledger.mine(author.publish(author.artifact({}, storage=storage)))

    index = make_index(ledger)

    assert queries.search(index, "size>9000PB").total == 1


def test_a_ledgers_kind_decides_what_old_records_count_for(
    make_index: Callable[..., Index], author: Author
) -> None:
    text = author.publish_old()
    found = {}
    for kind in (LedgerKind.FLO_REGTEST, LedgerKind.FLO_TEST, LedgerKind.EMBEDDED):
        ledger = MemoryLedger(kind.value, kind)
        ledger.mine(text)
        found[kind] = queries.get_record(make_index(ledger), digest_in(text))["class"]

    assert list(found.values()) == ["C", "C", "unattested"]


def test_messages_keep_their_places(
    make_index: Callable[..., Index], ledger: MemoryLedger, author: Author
) -> None:
    ledger.mine("foreign", author.publish(), "foreign", author.register("A"))
    index = make_index(ledger)

    with index.read() as connection:
        rows = connection.execute(
            select(messages.c.height, messages.c.position, messages.c.action)
        ).all()
        assert connection.scalar(select(func.count()).select_from(messages)) == 2

    assert [tuple(row) for row in rows] == [(1, 2, "publish"), (1, 4, "register")]
