"""What the journal keeps between a crash and the next start."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from etdb.errors import DamagedFileError, UnavailableError
from etdb.identity import Address, Digest, Txid
from etdb.ledger.base import SignedTransaction
from etdb.publish.journal import Entry, Journal

ENTRY = Entry(
    ledger="memory",
    timestamp=1_700_000_000,
    position=0,
    action="publish",
    digest=Digest("ab" * 32),
    record_id="ab" * 32,
    address=Address("F1"),
    sid="two words/µ",
    cid="bafy",
    file_count=3,
    text='json:{"a":"\u2028 and\n"}',
    transactions=(
        SignedTransaction(Txid("00" * 32), b"\x00\xff", 1),
        SignedTransaction(Txid("11" * 32), b"second", 2),
    ),
)


SECOND = replace(ENTRY, position=1, digest=Digest("cd" * 32))


def test_an_open_entry_is_found_whole_by_another_process(tmp_path: Path) -> None:
    Journal(tmp_path).open([ENTRY])

    assert Journal(tmp_path).list_open() == [ENTRY]
    assert ENTRY.txid == "00" * 32
    assert ENTRY.key == ("publish", "ab" * 32)


def test_a_group_is_one_file(tmp_path: Path) -> None:
    Journal(tmp_path).open([ENTRY, SECOND])

    assert len(list(tmp_path.iterdir())) == 1
    assert Journal(tmp_path).list_open() == [ENTRY, SECOND]


def test_an_empty_group_writes_nothing(tmp_path: Path) -> None:
    Journal(tmp_path).open([])

    assert list(tmp_path.iterdir()) == []


def test_entries_are_listed_in_the_order_they_were_begun(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    later = replace(ENTRY, position=11, digest=Digest("00" * 32))
    tenth = replace(ENTRY, position=10, digest=Digest("01" * 32), timestamp=1)
    for entry in (later, tenth, ENTRY):
        journal.open([entry])

    assert journal.list_open() == [ENTRY, tenth, later]


def test_a_closed_entry_is_gone(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.open([ENTRY])

    journal.close([ENTRY])
    journal.close([ENTRY])

    assert journal.list_open() == []
    assert list(tmp_path.iterdir()) == []


def test_closing_some_of_a_group_leaves_the_others(tmp_path: Path) -> None:
    Journal(tmp_path).open([ENTRY, SECOND])

    Journal(tmp_path).close([ENTRY])

    assert Journal(tmp_path).list_open() == [SECOND]


def test_an_entry_composed_anew_takes_the_place_of_the_old_one(tmp_path: Path) -> None:
    Journal(tmp_path).open([ENTRY, SECOND])
    anew = replace(
        ENTRY,
        position=2,
        transactions=(SignedTransaction(Txid("22" * 32), b"other coins", 1),),
    )

    Journal(tmp_path).replace(anew)

    assert Journal(tmp_path).list_open() == [SECOND, anew]


def test_what_another_process_wrote_meanwhile_is_seen(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.open([ENTRY])
    assert journal.list_open() == [ENTRY]
    other = Journal(tmp_path)
    other.replace(replace(ENTRY, cid="another"))
    other.open([SECOND])

    assert [entry.cid for entry in journal.list_open()] == ["another", "bafy"]


def test_what_a_crash_left_half_written_is_not_an_entry(tmp_path: Path) -> None:
    (tmp_path / ".etdb-a1b2").write_text('{"etdb-jou')

    assert Journal(tmp_path).list_open() == []


def test_an_entry_closed_while_others_look_is_not_listed(tmp_path: Path) -> None:
    (tmp_path / "1.json").symlink_to("gone meanwhile")

    assert Journal(tmp_path).list_open() == []


def test_an_entry_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "1.json").mkdir()

    with pytest.raises(UnavailableError, match="cannot read"):
        Journal(tmp_path).list_open()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        "\ufeff{}",
        '{"etdb-journal": 3}',
        '{"etdb-journal": 3}\n[]',
        '{"etdb-journal": 3}\n{"transactions": []}',
        '{"etdb-journal": 3}\n{"transactions": [1]}',
    ],
)
def test_a_damaged_entry_is_named_never_skipped(tmp_path: Path, text: str) -> None:
    (tmp_path / "1.json").write_text(text)

    with pytest.raises(DamagedFileError, match=r"1\.json is not a journal entry"):
        Journal(tmp_path).list_open()


def test_bytes_that_are_no_text_are_named_too(tmp_path: Path) -> None:
    (tmp_path / "1.json").write_bytes(b"\xff\xfe")

    with pytest.raises(DamagedFileError, match=r"1\.json is not a journal entry"):
        Journal(tmp_path).list_open()


def test_an_entry_without_transactions_is_damaged(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.open([replace(ENTRY, transactions=())])

    with pytest.raises(DamagedFileError):
        Journal(tmp_path).list_open()


def test_an_entry_of_a_later_version_is_refused(tmp_path: Path) -> None:
    Journal(tmp_path).open([ENTRY])
    (file,) = tmp_path.iterdir()
    file.write_text(file.read_text().replace('"etdb-journal": 3', '"etdb-journal": 4'))

    with pytest.raises(DamagedFileError, match="this version"):
        Journal(tmp_path).list_open()


def test_a_journal_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError, match="cannot write"):
        Journal(tmp_path / "absent").open([ENTRY])


def test_a_journal_that_cannot_be_cleared_says_so(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError, match="cannot clear"):
        Journal(tmp_path / "absent").close([ENTRY])
