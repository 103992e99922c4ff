from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from etdb.errors import (
    DamagedFileError,
    NotFoundError,
    UnavailableError,
)
from etdb.identity import BlockHash
from etdb.index import follow as following
from etdb.index import queries
from etdb.index.db import Index
from etdb.index.follow import check, follow, rebuild
from etdb.ledger.base import Block, Tip
from etdb.record.message import LedgerKind
from etdb.testing.ledger import MemoryLedger
from etdb.testing.records import SIGNED_AT, Author, digest_in

Make = Callable[..., Index]
Dump = Callable[[Index], Any]


class Recorder:
    """Keeps what a job reports."""

    def __init__(self) -> None:
        self.said: list[object] = []

    def begin(self, task: str, total: int | None, unit: str) -> None:
        self.said.append((task, total, unit))

    def advance(self, amount: int) -> None:
        self.said.append(amount)

    def end(self) -> None:
        self.said.append("end")


class Reader:
    """A ledger of which only what an index reads is there, and may be altered."""

    def __init__(
        self,
        ledger: MemoryLedger,
        alter: Callable[[Block], Block] = lambda block: block,
    ) -> None:
        self._ledger = ledger
        self._alter = alter
        self.info = ledger.info

    def tip(self) -> Tip:
        return self._ledger.tip()

    def block(self, height: int) -> Block:
        return self._alter(self._ledger.block(height))

    def find_hash(self, height: int) -> BlockHash | None:
        try:
            return self.block(height).hash
        except NotFoundError:
            return None

    def iter_blocks(self, first: int, last: int) -> Iterator[Block]:
        return map(self._alter, self._ledger.iter_blocks(first, last))

    def raw_transaction(self, height: int, position: int) -> bytes:
        return self._ledger.raw_transaction(height, position)


def height_of(index: Index) -> Any:
    return queries.status(index)["ledgers"][0]["height"]


def publish_some(ledger: MemoryLedger, author: Author, number: int) -> None:
    for each in range(number):
        artifact = author.artifact({"sid": f"s{each}"}, timestamp=SIGNED_AT + each)
        ledger.mine(author.publish(artifact))


def test_following_says_how_many_blocks_it_applied(
    make_index: Make, ledger: MemoryLedger, author: Author
) -> None:
    index = make_index(ledger)
    publish_some(ledger, author, 3)

    assert follow(index, ledger) == 3
    assert follow(index, ledger) == 0
    assert queries.is_at(index, ledger.info.id, ledger.tip())


def test_progress_is_in_blocks(make_index: Make, ledger: MemoryLedger) -> None:
    index = make_index(ledger)
    for _ in range(following.MAX_BATCH_BLOCKS + 1):
        ledger.mine("a")
    progress = Recorder()

    follow(index, ledger, progress=progress)

    total = following.MAX_BATCH_BLOCKS + 1
    assert progress.said == [
        ("following", total, "blocks"),
        following.MAX_BATCH_BLOCKS,
        1,
        "end",
    ]


@pytest.mark.parametrize(
    "texts", [["a"] * following.MAX_BATCH_MESSAGES, ["a" * following.MAX_BATCH_BYTES]]
)
def test_big_blocks_make_small_batches(
    make_index: Make, ledger: MemoryLedger, texts: list[str]
) -> None:
    index = make_index(ledger)
    ledger.mine(*texts)
    ledger.mine("b")
    progress = Recorder()

    follow(index, ledger, progress=progress)

    assert progress.said[1:3] == [1, 1]


def test_following_stops_when_told_at_some_block(
    make_index: Make, ledger: MemoryLedger
) -> None:
    index = make_index(ledger)
    for _ in range(2 * following.MAX_BATCH_BLOCKS):
        ledger.mine("a")
    answers = iter([False, True])

    applied = follow(index, ledger, stop=lambda: next(answers))

    assert applied == following.MAX_BATCH_BLOCKS
    assert follow(index, ledger) == following.MAX_BATCH_BLOCKS


def test_the_lock_is_held_for_one_batch_at_a_time(
    make_index: Make, ledger: MemoryLedger
) -> None:
    index = make_index(ledger)
    for _ in range(2 * following.MAX_BATCH_BLOCKS):
        ledger.mine("a")
    held: list[int] = []

    @contextlib.contextmanager
    def writing() -> Iterator[None]:
        before = height_of(index)
        yield
        held.append(height_of(index) - before)

    follow(index, ledger, writing=writing)

    assert held == [following.MAX_BATCH_BLOCKS] * 2


def test_going_back_is_done_under_the_lock(
    make_index: Make, ledger: MemoryLedger, author: Author
) -> None:
    publish_some(ledger, author, 3)
    index = make_index(ledger)
    heights: list[int] = []

    @contextlib.contextmanager
    def writing() -> Iterator[None]:
        yield
        heights.append(height_of(index))

    ledger.reorganise(2)
    follow(index, ledger, writing=writing)

    assert heights == [1, 4]


def test_nothing_is_locked_where_nothing_is_new(
    make_index: Make, ledger: MemoryLedger
) -> None:
    index = make_index(ledger)

    def writing() -> contextlib.AbstractContextManager[None]:
        raise AssertionError

    assert follow(index, ledger, writing=writing) == 0


@pytest.mark.parametrize("theirs", [1, 3, 5])
def test_blocks_that_another_process_applied_meanwhile_are_not_applied_again(
    theirs: int, make_index: Make, dump: Dump, ledger: MemoryLedger, author: Author
) -> None:
    index = make_index(ledger)
    publish_some(ledger, author, 5)
    waited: list[int] = []

    @contextlib.contextmanager
    def writing() -> Iterator[None]:
        if not waited:
            waited.append(follow(index, ledger, to_height=theirs))
        yield

    assert follow(index, ledger, writing=writing) == 5 - theirs
    assert dump(index) == dump(make_index(ledger))


def test_what_another_process_undid_meanwhile_is_not_undone_again(
    make_index: Make, dump: Dump, ledger: MemoryLedger, author: Author
) -> None:
    publish_some(ledger, author, 5)
    index = make_index(ledger)
    ledger.reorganise(3)
    waited: list[int] = []

    @contextlib.contextmanager
    def writing() -> Iterator[None]:
        if not waited:
            waited.append(follow(index, ledger))
        yield

    assert follow(index, ledger, writing=writing) == 0
    assert dump(index) == dump(make_index(ledger))


def test_a_lock_that_cannot_be_had_leaves_the_index_as_it_was(
    make_index: Make, dump: Dump, ledger: MemoryLedger, author: Author
) -> None:
    index = make_index(ledger)
    publish_some(ledger, author, 2)
    before = dump(index)

    def writing() -> contextlib.AbstractContextManager[None]:
        raise UnavailableError("another process writes")

    with pytest.raises(UnavailableError):
        follow(index, ledger, writing=writing)

    assert dump(index) == before


def test_following_that_was_stopped_goes_on_where_it_was(
    make_index: Make, dump: Dump, ledger: MemoryLedger, author: Author
) -> None:
    index = make_index(ledger)
    for _ in range(3 * following.MAX_BATCH_BLOCKS):
        ledger.mine("a")
    publish_some(ledger, author, 2)

    calls = 0
    while follow(index, ledger, stop=itertools.cycle([False, True]).__next__):
        calls += 1

    assert calls == 4
    assert dump(index) == dump(make_index(ledger))


@pytest.mark.parametrize("first", [0, 1, 3, 7])
def test_a_ledger_is_read_from_its_first_height_on(
    first: int, make_index: Make, dump: Dump, ledger: MemoryLedger, author: Author
) -> None:
    ledger.info = replace(ledger.info, first_height=first)
    index = make_index(ledger)
    publish_some(ledger, author, 5)

    follow(index, ledger)

    assert len(queries.search(index, limit=50).results) == min(5, max(0, 6 - first))
    assert height_of(index) == (5 if first <= 5 else None)
    publish_some(ledger, author, 3)
    follow(index, ledger)
    assert height_of(index) == 8
    ledger.reorganise(8)
    follow(index, ledger)
    assert dump(index) == dump(make_index(ledger))
    assert check(index, [ledger]) == []


def test_following_ends_at_a_height_if_told(
    make_index: Make, ledger: MemoryLedger
) -> None:
    index = make_index(ledger)
    for _ in range(5):
        ledger.mine("a")

    assert follow(index, ledger, to_height=3) == 3
    assert follow(index, ledger, to_height=3) == 0
    assert follow(index, ledger, to_height=99) == 2


def test_a_reorganisation_is_followed(
    make_index: Make, dump: Dump, ledger: MemoryLedger, author: Author
) -> None:
    publish_some(ledger, author, 5)
    index = make_index(ledger)

    ledger.reorganise(4)

    assert follow(index, ledger) == 5
    assert dump(index) == dump(make_index(ledger))
    assert queries.search(index).total == 1


def test_a_ledger_that_became_shorter_is_followed(
    make_index: Make, ledger: MemoryLedger, author: Author
) -> None:
    shorter = MemoryLedger()
    publish_some(ledger, author, 3)
    index = make_index(ledger)

    assert follow(index, shorter) == 0
    assert queries.search(index).total == 0


def test_a_reorganisation_between_two_reads_is_followed(
    make_index: Make, dump: Dump, ledger: MemoryLedger, author: Author
) -> None:
    publish_some(ledger, author, 4)
    index = make_index(ledger)
    publish_some(ledger, author, 2)
    read: list[int] = []

    def alter(block: Block) -> Block:
        if block.height == 5 and not read:
            read.append(block.height)
            ledger.reorganise(4)
        return block

    follow(index, Reader(ledger, alter))

    assert dump(index) == dump(make_index(ledger))


def test_a_ledger_that_contradicts_itself_is_given_up(
    make_index: Make, ledger: MemoryLedger
) -> None:
    index = make_index(ledger)
    ledger.mine("a")
    liar = Reader(ledger, lambda block: replace(block, previous=BlockHash("ab" * 32)))

    with pytest.raises(UnavailableError, match="does not follow"):
        follow(index, liar)


def test_a_ledger_that_lost_blocks_it_counts_is_given_up(
    make_index: Make, ledger: MemoryLedger
) -> None:
    index = make_index(ledger)
    ledger.mine("a")

    def lose(block: Block) -> Block:
        if block.height == 1:
            raise NotFoundError("block", 1)
        return block

    with pytest.raises(UnavailableError):
        follow(index, Reader(ledger, lose))


def test_a_block_that_vanished_below_the_tip_is_undone(
    make_index: Make, ledger: MemoryLedger, author: Author
) -> None:
    publish_some(ledger, author, 2)
    index = make_index(ledger)
    ledger.mine("a")

    def lose(block: Block) -> Block:
        if block.height == 2:
            raise NotFoundError("block", 2)
        return block

    with pytest.raises(UnavailableError):
        follow(index, Reader(ledger, lose))

    assert queries.search(index).total == 1


def test_a_ledger_that_changed_from_its_first_block_is_followed(
    make_index: Make, ledger: MemoryLedger, author: Author
) -> None:
    publish_some(ledger, author, 2)
    index = make_index(ledger)
    ledger.mine(author.publish(author.artifact({"sid": "third"})))

    def turned(name: BlockHash) -> BlockHash:
        return BlockHash(name[::-1])

    def turn(block: Block) -> Block:
        return replace(block, hash=turned(block.hash), previous=turned(block.previous))

    assert follow(index, Reader(ledger, turn)) == 4
    assert queries.search(index).total == 3


def test_an_index_that_was_kept_equals_a_new_one(
    make_index: Make, ledger: MemoryLedger, author: Author
) -> None:
    publish_some(ledger, author, 3)
    index = make_index(ledger)
    ledger.mine("not yet followed")

    assert check(index, [ledger]) == []
    assert [path.name for path in index.path.parent.glob(".etdb-*")] == []


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        ("DELETE FROM records", "is missing"),
        ("DELETE FROM versions", "is missing"),
        ("UPDATE records SET species = 'Forged'", "differs"),
        ("UPDATE messages SET text = 'json:{}'", "differs"),
        ("UPDATE blocks SET hash = '00' WHERE height = 1", "differs"),
        ("INSERT INTO publishers VALUES ('o', 'Nobody')", "should not be there"),
    ],
)
def test_checking_finds_rows_that_are_not_the_ledgers(
    make_index: Make, ledger: MemoryLedger, author: Author, damage: str, said: str
) -> None:
    ledger.mine(author.publish())
    index = make_index(ledger)
    with index.write() as connection:
        connection.exec_driver_sql(damage)

    assert any(said in sentence for sentence in check(index, [ledger]))


def test_checking_finds_full_text_that_is_not_the_records(
    make_index: Make, ledger: MemoryLedger, author: Author
) -> None:
    ledger.mine(author.publish())
    index = make_index(ledger)
    with index.write() as connection:
        connection.exec_driver_sql("DROP TRIGGER records_delete")
    ledger.reorganise(1)
    follow(index, ledger)

    assert check(index, [ledger]) == ["the full text is not that of the records"]


def test_checking_says_no_more_than_twenty_things(
    make_index: Make, ledger: MemoryLedger, author: Author
) -> None:
    publish_some(ledger, author, 30)
    index = make_index(ledger)
    with index.write() as connection:
        connection.exec_driver_sql("UPDATE messages SET text = 'json:{}'")

    assert len(check(index, [ledger])) == 20


def test_rebuilding_gives_the_index_that_was_kept(
    make_index: Make, dump: Dump, ledger: MemoryLedger, author: Author
) -> None:
    publish_some(ledger, author, 3)
    index = make_index(ledger)
    before = dump(index)
    index.close()

    rebuild(index.path, [ledger])

    with Index.open(index.path, [ledger.info]) as rebuilt:
        assert dump(rebuilt) == before
        assert check(rebuilt, [ledger]) == []


def test_rebuilding_under_an_open_index_is_seen_at_once(
    make_index: Make, ledger: MemoryLedger, author: Author
) -> None:
    publish_some(ledger, author, 3)
    index = make_index(ledger)
    with index.write() as connection:
        connection.exec_driver_sql("DELETE FROM records")
    assert queries.search(index).total == 0

    rebuild(index.path, [ledger])

    assert queries.search(index).total == 3
    ledger.mine(author.publish(author.artifact({"sid": "later"})))
    follow(index, ledger)
    assert queries.search(index).total == 4
    assert check(index, [ledger]) == []


@pytest.mark.parametrize("content", [b"", b"not a database" * 1_000])
def test_a_broken_or_absent_file_is_rebuilt(
    tmp_path: Path, ledger: MemoryLedger, author: Author, content: bytes
) -> None:
    publish_some(ledger, author, 2)
    path = tmp_path / "index.sqlite"
    if content:
        path.write_bytes(content)
        (tmp_path / "index.sqlite-wal").write_bytes(b"left over")

    rebuild(path, [ledger])

    with Index.open(path, [ledger.info]) as index:
        assert queries.search(index).total == 2
        assert check(index, [ledger]) == []


def test_an_index_with_torn_pages_is_found_and_rebuilt(
    make_index: Make, ledger: MemoryLedger, author: Author
) -> None:
    publish_some(ledger, author, 20)
    index = make_index(ledger)
    index.close()
    data = bytearray(index.path.read_bytes())
    data[8192:-4096] = b"\xa5" * (len(data) - 12288)
    index.path.write_bytes(data)

    with (
        pytest.raises(DamagedFileError),
        Index.open(index.path, [ledger.info]) as broken,
    ):
        queries.search(broken, "vibrio")

    rebuild(index.path, [ledger])
    with Index.open(index.path, [ledger.info]) as rebuilt:
        assert queries.search(rebuilt).total == 20


def test_rebuilding_that_fails_leaves_the_index_that_was_there(
    make_index: Make, ledger: MemoryLedger, author: Author
) -> None:
    publish_some(ledger, author, 2)
    index = make_index(ledger)
    liar = Reader(ledger, lambda block: replace(block, previous=BlockHash("ab" * 32)))

    with pytest.raises(UnavailableError):
        rebuild(index.path, [liar])

    assert queries.search(index).total == 2


def test_an_index_that_cannot_be_written_is_said(
    tmp_path: Path, ledger: MemoryLedger
) -> None:
    (tmp_path / "index.sqlite").mkdir()

    with pytest.raises(UnavailableError, match=r"index\.sqlite"):
        rebuild(tmp_path / "index.sqlite", [ledger])


def test_an_index_without_blocks_equals_a_new_one(
    tmp_path: Path, ledger: MemoryLedger
) -> None:
    with Index.create(tmp_path / "i.sqlite", [ledger.info]) as index:
        assert check(index, [ledger]) == []


def test_rebuilding_waits_for_nobody_who_reads(
    make_index: Make, ledger: MemoryLedger, author: Author
) -> None:
    ledger.mine(author.publish())
    index = make_index(ledger)

    with index.read() as connection:
        before = connection.exec_driver_sql("SELECT count(*) FROM records").scalar()
        rebuild(index.path, [ledger])
        after = connection.exec_driver_sql("SELECT count(*) FROM records").scalar()

    assert before == after == 1


def test_another_networks_ledger_is_not_followed(
    make_index: Make, ledger: MemoryLedger
) -> None:
    other = MemoryLedger("another")

    with pytest.raises(NotFoundError):
        follow(make_index(ledger), other)


def test_two_ledgers_are_followed_one_by_one(make_index: Make, author: Author) -> None:
    one = MemoryLedger("one", LedgerKind.EMBEDDED)
    two = MemoryLedger("two", LedgerKind.EMBEDDED)
    index = make_index(one, two)
    text = author.publish()
    two.mine(text)

    assert follow(index, one) == 0
    assert follow(index, two) == 1
    assert queries.get_record(index, digest_in(text))["anchor"]["ledger"] == "two"
