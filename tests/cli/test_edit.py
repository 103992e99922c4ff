"""`etdb edit`: shown, asked about, sent."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from etdb.testing.world import FACTS


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

    assert 'Strain: "O395" → "PAO1"' in shown.output
    assert "Lab: removed" in shown.output
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
    assert (same.status, "nothing would change" in same.errors) == (6, True)
    assert absent.status == 4
    assert (nothing.status, "--remove" in nothing.errors) == (2, True)
    assert no_value.status == 3
    assert (nobody.status, "--yes" in nobody.errors) == (2, True)
    assert height(lab) == 111
