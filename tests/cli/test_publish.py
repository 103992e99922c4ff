"""`etdb publish`: new, changed, published before, and several at once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from etdb.testing.world import FACTS


def test_of_several_datasets_a_bad_one_holds_up_no_other(
    lab: Any, dataset: Path, tmp_path: Path
) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()

    done = lab.run("publish", empty, dataset, "--yes", "--json", *FACTS)

    assert done.status == 9
    assert len(done.json["published"]) == 1
    assert "empty" in done.json["failed"][0]
    assert lab.ok("search", "--json").json["total"] == 1


def test_a_dry_run_of_a_published_dataset_says_so(lab: Any, dataset: Path) -> None:
    published = lab.ok("publish", dataset, "--yes", "--json", *FACTS).json

    again = lab.ok("publish", dataset, "--dry-run", *FACTS)

    assert f"already published as {published['id'][:12]}" in again.output


def test_a_changed_folder_is_published_as_an_edit(
    lab: Any, record_id: str, dataset: Path
) -> None:
    (dataset / "notes.txt").write_text("others")

    shown = lab.ok("publish", dataset, "--dry-run", *FACTS)
    done = lab.ok("publish", dataset, "--yes", *FACTS)

    assert "changed: file notes.txt: other content" in shown.output
    assert f"edited, now the current version of {record_id}" in done.output
    assert lab.ok("search", "--json").json["total"] == 1


def test_only_who_asks_to_resume_hears_that_nothing_is_left(
    lab: Any, dataset: Path
) -> None:
    nothing = "nothing is left to finish"

    assert nothing not in lab.ok("publish", dataset, "--yes", *FACTS).errors
    assert nothing in lab.ok("publish", "--resume").errors
    assert nothing in lab.ok("publish", "--resume", "--dry-run").errors


def test_waiting_for_what_is_in_a_block_already_ends_at_once(
    lab: Any, dataset: Path
) -> None:
    done = lab.ok("publish", dataset, "--wait", "--yes", "--json", *FACTS).json

    assert done["outcome"] == "published"
    assert lab.ok("publish", "--resume", "--wait", "--json").json["published"] == []
