"""`etdb store`: held where they lie, listed, checked, forgotten."""

from __future__ import annotations

import os
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from etdb.identity import CID
from etdb.node import Node
from etdb.store.inplace import Disk, InPlaceStore


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    target = tmp_path / "vc2026"
    (target / "raw").mkdir(parents=True)
    (target / "volume.rec").write_bytes(os.urandom(5000))
    (target / "raw" / "ts.st").write_bytes(os.urandom(2_000_000))
    return target


def test_a_folder_is_held_listed_checked_and_forgotten(lab: Any, folder: Path) -> None:
    (added,) = lab.ok("store", "add", folder, "--json").json["results"]
    assert (added["files"], added["new_files"]) == (2, 2)
    assert added["cid"] == lab.ok("cid", folder, "--json").json["results"][0]["cid"]

    files = {f["path"]: f for f in lab.ok("store", "list", "--json").json["files"]}
    assert set(files) == {str(folder / "volume.rec"), str(folder / "raw" / "ts.st")}
    one = files[str(folder / "volume.rec")]
    assert (one["size_bytes"], one["state"]) == (5000, "present")
    assert one["profile"] == "unixfs-v1-2025"
    assert one["cid"] in lab.ok("store", "list").output

    checked = lab.ok("store", "check")
    assert checked.output == "all are what was hashed: 2 files, 2.0 MB read\n"

    removed = lab.ok("store", "remove", added["cid"], "--yes")
    assert "2 files" in removed.output
    assert lab.ok("store", "list").output == ""
    assert (folder / "volume.rec").stat().st_size == 5000


def test_held_files_are_served(lab: Any, folder: Path) -> None:
    (added,) = lab.ok("store", "add", folder, "--json").json["results"]

    with lab.serving() as url:
        path = f"{url}/ipfs/{added['cid']}/raw/ts.st"
        with urllib.request.urlopen(path, timeout=30) as answer:
            assert answer.read() == (folder / "raw" / "ts.st").read_bytes()


def test_a_changed_file_is_listed_with_its_own_status(lab: Any, folder: Path) -> None:
    lab.ok("store", "add", folder)
    (folder / "volume.rec").write_bytes(b"new")
    (folder / "raw" / "ts.st").unlink()

    done = lab.run("store", "check", "--rate", 100)
    found = lab.run("store", "check", "--json", "--resume")

    assert done.status == found.status == 9
    assert "changed\t" in done.output
    assert {f["state"] for f in found.json["stale"]} == {"changed", "missing"}
    lab.ok("store", "remove", folder / "raw", "--yes")
    lab.ok("store", "add", folder)
    lab.ok("store", "check")


def test_nothing_is_forgotten_unless_somebody_says_yes(lab: Any, folder: Path) -> None:
    lab.ok("store", "add", folder / "volume.rec")

    done = lab.run("store", "remove", folder)

    assert done.status == 2
    assert "--yes" in done.errors
    assert "volume.rec" in lab.ok("store", "list").output


def test_a_half_imported_file_is_not_listed_and_can_be_forgotten(
    lab: Any, folder: Path
) -> None:
    path = folder / "raw" / "ts.st"

    def fail(handle: int, buffers: Sequence[memoryview], offset: int) -> int:
        if offset >= 1 << 23:
            raise KeyboardInterrupt
        return os.preadv(handle, buffers, offset)

    disk = Disk(fail, lambda: path.stat().st_ctime_ns + 10**9)
    with (
        InPlaceStore.open(lab.node / "store.sqlite", disk) as store,
        pytest.raises(KeyboardInterrupt),
    ):
        path.write_bytes(bytes(9_000_000))
        store.add(path)
    assert lab.ok("store", "list").output == ""
    assert lab.ok("status").status == 0

    removed = lab.ok("store", "remove", folder, "--yes")

    assert "0 files, 0 bytes, and 1 half imported" in removed.output
    assert lab.run("store", "remove", folder, "--yes").status == 4


@pytest.mark.parametrize("word", ["nowhere.rec", "bafkqaaa"])
def test_what_is_not_held_cannot_be_removed(lab: Any, word: str) -> None:
    done = lab.run("store", "remove", word, "--yes")

    assert done.status == 4
    assert word in done.errors


def test_of_several_folders_one_that_is_missing_stops_none(
    lab: Any, folder: Path, tmp_path: Path
) -> None:
    done = lab.run("store", "add", tmp_path / "none", folder)

    assert done.status == 9
    assert len(lab.ok("store", "list").output.splitlines()) == 2


@pytest.mark.parametrize("place", [".", "..", "keys", "keys/publisher.key", "way in"])
@pytest.mark.parametrize("command", [("store", "add"), ("publish", "--dry-run")])
def test_the_node_s_own_files_are_never_held(
    lab: Any, command: tuple[str, ...], place: str
) -> None:
    (lab.node / "way in").symlink_to("keys")

    done = lab.run(*command, lab.node / place)

    assert done.status == 3
    assert "keys would be given away" in done.errors
    assert lab.ok("store", "list").output == ""


def test_without_the_check_a_key_would_be_held(lab: Any) -> None:
    key = lab.node / "keys" / "publisher.key"
    cid = CID.parse(lab.ok("cid", key, "--json").json["results"][0]["cid"])

    with Node.open(lab.node, environ={}) as node:
        node.store.add(lab.node)

        assert node.store.get_block(cid) == key.read_bytes()


def test_a_folder_around_a_hidden_node_is_held_without_it(
    lab: Any, folder: Path
) -> None:
    hidden = lab.node.rename(folder / ".node")

    (added,) = lab.ok("store", "add", folder, "--node", hidden, "--json").json[
        "results"
    ]

    assert added["files"] == 2
