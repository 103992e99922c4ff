from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import select

from etdb.errors import (
    ConflictError,
    DamagedFileError,
    NotFoundError,
    UnavailableError,
)
from etdb.index import queries
from etdb.index.db import Index, find_tip, get_ledger, list_ledgers
from etdb.index.schema import blocks
from etdb.ledger.base import LedgerInfo
from etdb.record.message import LedgerKind
from etdb.testing.ledger import MemoryLedger

ONE = LedgerInfo("one", LedgerKind.EMBEDDED)
TWO = LedgerInfo("two", LedgerKind.FLO_MAIN)
LATER = LedgerInfo("later", LedgerKind.FLO_MAIN, first_height=1_000)


def test_a_new_index_knows_its_ledgers_and_no_blocks(tmp_path: Path) -> None:
    with (
        Index.create(tmp_path / "i.sqlite", [TWO, ONE]) as index,
        index.read() as connection,
    ):
        assert list_ledgers(connection) == [ONE, TWO]
        assert find_tip(connection, "one") is None
        assert get_ledger(connection, "two") == TWO
        with pytest.raises(NotFoundError):
            get_ledger(connection, "three")


def test_an_index_is_opened_again_whatever_the_order_of_its_ledgers(
    tmp_path: Path,
) -> None:
    Index.create(tmp_path / "i.sqlite", [ONE, TWO]).close()

    with Index.open(tmp_path / "i.sqlite", [TWO, ONE]) as index:
        assert index.path == tmp_path / "i.sqlite"


@pytest.mark.parametrize(
    "others",
    [
        [TWO],
        [],
        [LedgerInfo("one", LedgerKind.FLO_REGTEST)],
        [LedgerInfo("one", LedgerKind.EMBEDDED, first_height=5)],
    ],
    ids=["another", "none", "another kind", "another first height"],
)
def test_an_index_of_other_ledgers_is_refused(
    tmp_path: Path, others: list[LedgerInfo]
) -> None:
    Index.create(tmp_path / "i.sqlite", [ONE]).close()

    with pytest.raises(ConflictError, match="another network") as caught:
        Index.open(tmp_path / "i.sqlite", others)

    assert "rebuild" in caught.value.hint


def test_a_ledger_that_is_new_to_an_index_is_added_empty(
    make_index: Callable[..., Index], ledger: MemoryLedger, tmp_path: Path
) -> None:
    ledger.mine("a")
    held = make_index(ledger)

    with (
        Index.open(held.path, [ledger.info, LATER]) as index,
        index.read() as connection,
    ):
        assert list_ledgers(connection) == [LATER, ledger.info]
        assert find_tip(connection, LATER.id) is None
        assert find_tip(connection, ledger.info.id) == ledger.tip()
    Index.open(held.path, [ledger.info, LATER]).close()
    with pytest.raises(ConflictError, match="another network"):
        Index.open(held.path, [ledger.info])


def test_nothing_is_added_where_another_ledger_is_held(tmp_path: Path) -> None:
    Index.create(tmp_path / "i.sqlite", [ONE]).close()

    with pytest.raises(ConflictError):
        Index.open(tmp_path / "i.sqlite", [TWO])

    Index.open(tmp_path / "i.sqlite", [ONE]).close()


def test_how_deep_a_ledger_may_be_reorganised_is_no_part_of_an_index(
    tmp_path: Path,
) -> None:
    Index.create(tmp_path / "i.sqlite", [ONE]).close()

    Index.open(tmp_path / "i.sqlite", [replace(ONE, max_reorg_blocks=9)]).close()


def test_several_processes_may_add_a_ledger_at_once(tmp_path: Path) -> None:
    path = tmp_path / "i.sqlite"
    Index.create(path, [ONE]).close()

    def open_it(_: int) -> list[LedgerInfo]:
        with Index.open(path, [ONE, TWO]) as index, index.read() as connection:
            return list_ledgers(connection)

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(open_it, range(8))) == [[ONE, TWO]] * 8


def test_nothing_is_created_by_opening(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError):
        Index.open(tmp_path / "i.sqlite", [ONE])

    assert list(tmp_path.iterdir()) == []


def test_creating_never_replaces(tmp_path: Path) -> None:
    (tmp_path / "i.sqlite").write_text("precious")

    with pytest.raises(ConflictError):
        Index.create(tmp_path / "i.sqlite", [ONE])

    assert (tmp_path / "i.sqlite").read_text() == "precious"


def test_an_index_cannot_be_made_where_there_is_no_folder(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError):
        Index.create(tmp_path / "absent" / "i.sqlite", [ONE])


def test_a_file_that_is_no_database_is_broken(tmp_path: Path) -> None:
    (tmp_path / "i.sqlite").write_bytes(b"not a database" * 100)

    with pytest.raises(DamagedFileError) as caught:
        Index.open(tmp_path / "i.sqlite", [ONE])

    assert "rebuild" in caught.value.hint


def test_an_index_of_another_version_is_broken(tmp_path: Path) -> None:
    path = tmp_path / "i.sqlite"
    Index.create(path, [ONE]).close()
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 99")
    connection.close()

    with pytest.raises(DamagedFileError, match="version"):
        Index.open(path, [ONE])


def test_what_is_read_cannot_be_written(tmp_path: Path) -> None:
    with Index.create(tmp_path / "i.sqlite", [ONE]) as index:
        row = {"ledger": "one", "height": 0, "hash": "00", "time": 0}

        with pytest.raises(UnavailableError), index.read() as connection:
            connection.execute(blocks.insert().values(row))

        with index.write() as connection:
            connection.execute(blocks.insert().values(row))


def test_a_transaction_that_fails_leaves_nothing(tmp_path: Path) -> None:
    with Index.create(tmp_path / "i.sqlite", [ONE]) as index:
        row = {"ledger": "one", "height": 0, "hash": "00", "time": 0}

        with pytest.raises(ZeroDivisionError), index.write() as connection:
            connection.execute(blocks.insert().values(row))
            _ = 1 / 0

        with index.read() as connection:
            assert connection.execute(select(blocks)).all() == []


def test_a_closed_index_is_one_file(tmp_path: Path) -> None:
    Index.create(tmp_path / "i.sqlite", [ONE]).close()

    assert [path.name for path in tmp_path.iterdir()] == ["i.sqlite"]


WRITER = """
import sys
from pathlib import Path
from etdb.index.db import Index
from etdb.index.follow import follow
from etdb.testing.ledger import MemoryLedger
from etdb.testing.records import Author, SIGNED_AT

ledger, author = MemoryLedger(), Author()
with Index.open(Path(sys.argv[1]), [ledger.info]) as index:
    for number in range(30):
        details = {"sid": f"syn-{number}"}
        artifact = author.artifact(details, timestamp=SIGNED_AT + number)
        ledger.mine(author.publish(artifact), "json:{")
        follow(index, ledger)
"""


def test_threads_read_whole_states_while_another_process_writes(
    make_index: Callable[..., Index],
) -> None:
    index = make_index(MemoryLedger())
    writer = subprocess.Popen([sys.executable, "-c", WRITER, str(index.path)])

    def read() -> list[tuple[int, int, int]]:
        seen = []
        while writer.poll() is None:
            status = queries.status(index)
            height = status["ledgers"][0]["height"]
            seen.append((height, status["records"], status["rejected"]))
            queries.search(index, "vibrio -flagellum")
        return seen

    with ThreadPoolExecutor(8) as pool:
        readers = [pool.submit(read) for _ in range(8)]
        seen = [state for reader in readers for state in reader.result()]

    assert writer.returncode == 0
    assert all(height == found == refused for height, found, refused in seen)
    assert queries.count(index)["records"] == 30
