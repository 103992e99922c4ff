"""Folders as they are on disk, under the CIDs of Kubo and npm."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from etdb.errors import InvalidDataError, NotFoundError, UnavailableError
from etdb.store.content import hash_path
from etdb.store.inplace import InPlaceStore
from etdb.store.unixfs import PROFILES, Kind, Profile, parse_node
from etdb.store.verified import iter_files, resolve

Keystream = Callable[[str, int, int], Iterator[bytes]]


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Folders in folders, an empty one, hidden names."""
    top = tmp_path / "lab"
    (top / "raw" / "frames").mkdir(parents=True)
    (top / "empty").mkdir()
    (top / ".git").mkdir()
    (top / ".git" / "config").write_bytes(b"hidden")
    (top / "ts.rec").write_bytes(b"volume")
    (top / "raw" / "ts.st").write_bytes(os.urandom(3_000_000))
    (top / "raw" / "frames" / "1.tif").write_bytes(b"1")
    (top / "raw" / ".hidden").write_bytes(b"hidden")
    return top


def test_folders_have_the_cids_of_npm(
    vectors: Any,
    keystream: Keystream,
    profiles: dict[str, Profile],
    tmp_path: Path,
) -> None:
    directories = [v for v in vectors("unixfs_cids.json")["npm"] if v["kind"] == "dir"]
    folder = tmp_path / "dir"
    folder.mkdir()
    written = 0

    for vector in sorted(directories, key=lambda v: int(v["files"])):
        for number in range(written, vector["files"]):
            size = vector["size_base"] + number % vector["size_mod"]
            data = b"".join(keystream(f"{vector['seed']}-{number}", size, 1 << 20))
            (folder / (vector["name_fmt"] % number)).write_bytes(data)
        written = vector["files"]

        found = hash_path(folder, profiles[vector["profile"]])

        assert str(found.cid) == vector["cid"]
        assert found.files == vector["files"]
    assert len(directories) == 9


@pytest.mark.parametrize("profile", PROFILES.values(), ids=PROFILES)
def test_hashing_alone_and_importing_agree(
    store: InPlaceStore, tree: Path, profile: Profile
) -> None:
    hashed = hash_path(tree, profile)

    assert store.stats().files == 0
    assert store.add(tree, profile=profile) == hashed
    assert (hashed.files, hashed.total_bytes) == (3, 3_000_007)


def test_a_folder_is_held_without_hidden_names(store: InPlaceStore, tree: Path) -> None:
    added = store.add(tree)

    names = {name for name, _ in iter_files(store, added.cid)}
    empty, _ = resolve(store, added.cid, "empty")

    assert names == {"ts.rec", "raw/ts.st", "raw/frames/1.tif"}
    assert store.get_block(empty) == bytes.fromhex("0a020801")


def test_a_link_stays_a_link_and_is_not_followed(
    store: InPlaceStore, tree: Path
) -> None:
    (tree / "elsewhere").symlink_to("/etc")
    (tree / "loop").symlink_to("loop")

    added = store.add(tree)

    cid, _ = resolve(store, added.cid, "elsewhere")
    node = parse_node(store.get_block(cid))
    assert (node.kind, node.data) == (Kind.SYMLINK, b"/etc")
    assert added.files == 3


def test_a_link_that_is_named_is_followed(store: InPlaceStore, tree: Path) -> None:
    link = tree.with_name("link")
    link.symlink_to(tree)

    assert store.add(link).cid == hash_path(tree).cid


def test_what_cannot_be_content_is_refused(tree: Path) -> None:
    with pytest.raises(NotFoundError, match="nothing"):
        hash_path(tree / "nothing")
    os.mkfifo(tree / "pipe")
    with pytest.raises(InvalidDataError, match="pipe"):
        hash_path(tree)
    (tree / "pipe").unlink()
    (tree / os.fsdecode(b"\xff.mrc")).touch()
    with pytest.raises(InvalidDataError, match="not unicode"):
        hash_path(tree)


def test_a_link_to_itself_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to("loop")

    with pytest.raises((NotFoundError, UnavailableError), match="loop"):
        hash_path(tmp_path / "loop")
