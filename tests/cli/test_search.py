"""`etdb search`: words, fields, and pages of what was found."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from etdb.testing.world import FACTS


def test_a_query_may_begin_with_what_must_not_be_there(lab: Any, dataset: Path) -> None:
    lab.ok("publish", dataset, "--yes", *FACTS)

    assert lab.ok("search", "-species:coli", "--json").json["total"] == 1
    assert lab.ok("search", "-vibrio", "--json").json["total"] == 0


def test_a_page_says_how_to_see_the_next(lab: Any, tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "notes.txt").write_text(name)
        lab.ok("publish", tmp_path / name, "--yes", *FACTS)

    first = lab.ok("search", "vibrio", "--limit", 1, "--json").json
    said = lab.ok("search", "vibrio", "--limit", 1)
    words = ("search", "vibrio", "--limit", 1, "--after", first["next"])
    second = lab.ok(*words, "--json").json

    assert (first["count"], first["total"], second["next"]) == (1, 2, None)
    assert f"--after {first['next']}" in said.errors
    assert len({page["results"][0]["id"] for page in (first, second)}) == 2


def test_a_word_that_looks_like_an_option_is_one_that_does_not_exist(
    lab: Any,
) -> None:
    done = lab.run("search", "vibrio", "--nonsense")

    assert (done.status, "--nonsense" in done.errors) == (2, True)
