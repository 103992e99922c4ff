"""`etdb edit`, `etdb withdraw`, `etdb register`: shown, asked about, sent."""

from __future__ import annotations

import os
import pty
import subprocess
from pathlib import Path
from typing import Any

import pytest

FACTS = ("--species", "Vibrio cholerae", "--date", "2020-01-01", "--strain", "O395")


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    folder = tmp_path / "vc1"
    folder.mkdir()
    (folder / "notes.txt").write_text("outer membrane vesicles")
    return folder


@pytest.fixture
def record_id(lab: Any, dataset: Path) -> str:
    """A record of one's own."""
    published = lab.ok("publish", dataset, "--yes", "--json", *FACTS).json
    return str(published["id"])


def height(lab: Any) -> int:
    return int(lab.ok("status", "--json").json["ledgers"][0]["height"])


def test_an_edit_is_shown_and_then_stands(
    lab: Any, record_id: str, dataset: Path
) -> None:
    changes = ("--set", "strain=PAO1", "--set", "notes=ice = thick", "--remove", "lab")
    before = height(lab)

    shown = lab.ok("edit", record_id[:8], *changes, "--dry-run")
    planned = lab.ok("edit", record_id[:8], *changes, "--dry-run", "--json").json
    assert height(lab) == before
    done = lab.ok("edit", record_id[:8], *changes, "--yes", "--json").json

    assert 'strain: "O395" → "PAO1"' in shown.output
    assert "lab: removed" in shown.output
    assert "Fee" in shown.output
    assert planned["action"] == "edit"
    assert planned["body"]["details"]["strain"] == "PAO1"
    assert planned["fee_sat"] > 0
    assert (done["action"], done["id"], done["outcome"]) == (
        "edit",
        record_id,
        "published",
    )
    record = lab.ok("show", record_id, "--json").json
    assert record["details"]["strain"] == "PAO1"
    assert record["details"]["notes"] == "ice = thick"
    assert "lab" not in record["details"]
    assert lab.ok("search", "strain:PAO1", "--json").json["total"] == 1
    again = lab.ok("publish", dataset, "--yes", "--json", *FACTS).json
    assert (again["id"], again["outcome"]) == (record_id, "present")
    assert lab.ok("index", "check", "--json").json["differences"] == []


def test_a_changed_folder_is_published_as_an_edit(
    lab: Any, record_id: str, dataset: Path
) -> None:
    (dataset / "notes.txt").write_text("others")

    shown = lab.ok("publish", dataset, "--dry-run", *FACTS)
    done = lab.ok("publish", dataset, "--yes", *FACTS)

    assert "changed: file notes.txt: other content" in shown.output
    assert f"edited, now the current version of {record_id}" in done.output
    assert lab.ok("search", "--json").json["total"] == 1


def test_what_cannot_be_edited_is_said_by_its_own_status(
    lab: Any, record_id: str
) -> None:
    unknown = lab.run("edit", record_id, "--set", "strian=x", "--yes")
    same = lab.run("edit", record_id, "--set", "strain=O395", "--yes")
    absent = lab.run("edit", "abcdef", "--set", "strain=x", "--yes")
    nothing = lab.run("edit", record_id)
    no_value = lab.run("edit", record_id, "--set", "strain")
    nobody = lab.run("edit", record_id, "--set", "strain=x")

    assert (unknown.status, "'strain'" in unknown.errors) == (3, True)
    assert (same.status, "nothing would change" in same.errors) == (3, True)
    assert absent.status == 4
    assert (nothing.status, "--remove" in nothing.errors) == (2, True)
    assert no_value.status == 3
    assert (nobody.status, "--yes" in nobody.errors) == (3, True)
    assert height(lab) == 111


def answer(lab: Any, text: str, *words: object) -> str:
    """What `etdb` prints when a person at a terminal types an answer."""
    main, terminal = pty.openpty()
    process = subprocess.Popen(
        lab.command(*words),
        stdin=terminal,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=lab.environ,
    )
    os.close(terminal)
    os.write(main, text.encode())
    said, _ = process.communicate(timeout=60)
    os.close(main)
    assert process.returncode == 0, said
    return said


def test_a_withdrawal_says_that_it_is_for_good_and_waits_for_yes(
    lab: Any, record_id: str
) -> None:
    words = ("withdraw", record_id[:8], "--why", "wrong sample")

    refused = answer(lab, "n\n", *words)
    assert lab.ok("search", "--json").json["total"] == 1
    done = answer(lab, "y\n", *words)

    assert "for good" in refused
    assert "nothing was sent" in refused
    assert f"withdrawn for good: {record_id}" in done
    assert lab.ok("search", "--json").json["total"] == 0
    shown = lab.ok("show", record_id, "--json").json
    assert shown["withdrawn"]["reason"] == "wrong sample"


def test_a_withdrawn_record_is_neither_edited_nor_withdrawn_again(
    lab: Any, record_id: str
) -> None:
    lab.ok("withdraw", record_id, "--why", "wrong", "--yes", "--json")

    for words in (
        ("withdraw", record_id, "--why", "again", "--yes"),
        ("edit", record_id, "--set", "strain=x", "--yes"),
    ):
        done = lab.run(*words)
        assert done.status == 6
        assert "withdrawn" in done.errors


def test_a_withdrawal_needs_a_reason(lab: Any, record_id: str) -> None:
    assert lab.run("withdraw", record_id, "--yes").status == 2
    assert lab.run("withdraw", record_id, "--why", " ", "--yes").status == 3


def test_a_lab_registers_under_its_name(lab: Any, record_id: str) -> None:
    url, gateway = "https://lab.example.org", "https://etdb.example.org"

    first = lab.ok("register", "--yes", "--json").json
    lab.ok("register", "--url", url, "--gateway", gateway, "--yes")
    shown = lab.ok("register", "--name", "Another name", "--dry-run", "--json").json

    record = lab.ok("show", record_id, "--json").json
    assert (first["action"], first["outcome"]) == ("register", "published")
    assert record["publisher"]["name"] == "Test lab (synthetic)"
    assert shown["body"]["info"] == {"url": url, "gateways": [gateway]}
    assert lab.run("register", "--yes").status == 3


@pytest.mark.parametrize("name", ["deactivate", "ab" * 32, ""])
def test_a_name_that_could_pass_as_something_else_is_refused(
    lab: Any, name: str
) -> None:
    done = lab.run("register", "--name", name, "--yes")

    assert done.status == 3


def test_a_gateway_that_others_could_not_open_is_refused(lab: Any) -> None:
    done = lab.run("register", "--gateway", "http://127.0.0.1:8000", "--yes")

    assert (done.status, "https" in done.errors) == (3, True)


def test_waiting_for_what_is_in_a_block_already_ends_at_once(
    lab: Any, dataset: Path
) -> None:
    done = lab.ok("publish", dataset, "--wait", "--yes", "--json", *FACTS).json

    assert done["outcome"] == "published"
    assert lab.ok("publish", "--resume", "--wait", "--json").json["published"] == []
