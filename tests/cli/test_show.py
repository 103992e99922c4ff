"""What `etdb show` says of edits and withdrawals."""

from __future__ import annotations

from typing import Any

import pytest

from etdb.cli.history import show_history
from etdb.cli.show import show_told
from etdb.testing.catalogue import make_edited, make_history, make_record

WITHDRAWN = {
    "by": "oSyntheticLabAddress",
    "time": 1_773_600_000,
    "timestamp": 1_773_600_000,
    "reason": "wrong\x1b[2J pixel size",
}

Capture = pytest.CaptureFixture[str]


def test_a_record_says_how_often_it_was_edited(capsys: Capture) -> None:
    show_told(make_edited(1, 2))
    edited = capsys.readouterr().out
    show_told(make_record(1))
    never = capsys.readouterr().out

    assert "2 edits, the last signed 2026-03-17 14:53 UTC" in edited
    assert "never edited" in never


@pytest.mark.parametrize("versions", [None, 7, [], [7], [{"number": "x"}]])
def test_a_node_that_says_nonsense_of_versions_is_shown(
    capsys: Capture, versions: Any
) -> None:
    show_told(make_record(1, versions=versions))

    assert "history" in capsys.readouterr().out


@pytest.mark.parametrize("coverage", ["omitted", "unknown", "covered", 7])
def test_it_is_said_where_the_ledger_s_signatures_leave_the_text_out(
    capsys: Capture, coverage: Any
) -> None:
    record = make_record(1)
    show_told({**record, "anchor": {**record["anchor"], "coverage": coverage}})

    is_said = "rests on the record's signature" in capsys.readouterr().out
    assert is_said == (coverage in ("omitted", "unknown"))


def test_a_withdrawn_record_says_when_by_whom_and_why(capsys: Capture) -> None:
    show_told(make_record(1, withdrawn=WITHDRAWN))

    said = capsys.readouterr().out
    assert "2026-03-15 18:40 UTC" in said
    assert "wrong\\x1b[2J pixel size" in said
    assert "Vibrio" not in said
    assert "tomogram.mrc" not in said


def test_versions_are_lines_and_each_change_has_one(capsys: Capture) -> None:
    history = make_history(make_edited(1, 2), refused=3)
    history["versions"][1]["changes"] = ["Strain: added", "Lowest tilt: added"]
    history["versions"][2] |= {"changes": None, "by_name": None}

    show_history(history)

    out = capsys.readouterr()
    lines = out.out.splitlines()
    assert lines[0].startswith("record 01")
    assert [line.split("\t")[:2] for line in lines[1:]] == [
        ["1", "root"],
        ["2", "superseded"],
        ["", ""],
        ["3", "current"],
    ]
    assert lines[2].endswith("Strain: added")
    assert lines[3].endswith("Lowest tilt: added")
    assert lines[4].endswith("not compared")
    assert "3 messages about it" in out.err


def test_old_forms_and_withdrawals_are_part_of_the_history(capsys: Capture) -> None:
    record = make_record(1)
    place = make_history(record)["versions"][0]
    old = {**place, "action": "edit", "says": "remove /info"}

    show_history(
        make_history(record, withdrawn=WITHDRAWN, old=[old], old_count=1, is_cut=True)
    )

    out = capsys.readouterr()
    assert "withdrawn 2026-03-15 18:40 UTC by oSyntheticLabAddress" in out.out
    assert "without effect:" in out.out
    assert "remove /info" in out.out
    assert "there are more" in out.err
