"""`etdb cid` needs no node and keeps nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

HELLO = {
    "unixfs-v1-2025": "bafkreifzjut3te2nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e",
    "unixfs-v0-2015": "Qmf412jQZiuVUtdgnB36FXFX7xg5V6KEbSJ4dpQuhkLyfD",
    "kubo-cid-v1-raw-leaves": (
        "bafkreifzjut3te2nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e"
    ),
    "kubo-nocopy-v0": "bafkreifzjut3te2nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e",
}


@pytest.fixture
def hello(tmp_path: Path) -> Path:
    path = tmp_path / "hello.txt"
    path.write_text("hello world")
    return path


@pytest.mark.parametrize("profile", HELLO)
def test_a_file_has_the_cid_of_its_profile(
    etdb: Any, hello: Path, profile: str
) -> None:
    done = etdb.ok("cid", "--profile", profile, hello)

    assert done.output == f"{HELLO[profile]}\t11 bytes\t{hello}\n"
    assert not etdb.node.exists()


def test_folders_are_one_cid_and_files_are_counted(
    etdb: Any, hello: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "empty"
    folder.mkdir()

    done = etdb.ok("cid", "--json", hello, folder)

    assert done.json["profile"] == "unixfs-v1-2025"
    first, second = done.json["results"]
    assert first["cid"] == HELLO["unixfs-v1-2025"]
    assert (first["size_bytes"], first["files"]) == (11, 1)
    assert second["cid"] == (
        "bafybeiczsscdsbs7ffqz55asqdf3smv6klcw3gofszvwlyarci47bgf354"
    )
    assert second["files"] == 0


def test_one_path_that_fails_ends_with_its_own_status(
    etdb: Any, tmp_path: Path
) -> None:
    done = etdb.run("cid", tmp_path / "none.mrc")

    assert done.status == 4
    assert "none.mrc" in done.errors


def test_of_several_paths_the_others_are_printed(
    etdb: Any, hello: Path, tmp_path: Path
) -> None:
    done = etdb.run("cid", tmp_path / "none.mrc", hello)

    assert done.status == 9
    assert HELLO["unixfs-v1-2025"] in done.output
    assert "none.mrc" in done.errors


def test_an_unknown_profile_is_refused_with_those_there_are(
    etdb: Any, hello: Path
) -> None:
    done = etdb.run("cid", "--profile", "unixfs", hello)

    assert done.status == 3
    assert "kubo-nocopy-v0" in done.errors


@pytest.mark.parametrize(
    "words",
    [
        ("cid", ""),
        ("cid", "hello.txt", ""),
        ("store", "add", ""),
        ("store", "remove", "", "--yes"),
        ("verify", ""),
        ("publish", "", "--dry-run"),
        ("store", "list", "--node", ""),
    ],
)
def test_an_empty_path_is_not_the_folder_one_is_in(lab: Any, words: Any) -> None:
    done = lab.run(*words)

    assert done.status == 2
    assert "an empty path" in done.errors
