"""`ipfs add` of a real Kubo gives the CIDs that our importer gives."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from etdb.store.inplace import InPlaceStore
from etdb.store.unixfs import (
    KUBO_CID_V1_RAW_LEAVES,
    KUBO_NOCOPY_V0,
    UNIXFS_V0_2015,
    UNIXFS_V1_2025,
    Profile,
)
from etdb.testing.kubo import Kubo

SIZES = (0, 1, 262_143, 262_144, 262_145, 1_048_576, 1_048_577, 3_000_001)
MANY = 6000
"""Enough names for a HAMT under every profile."""
TWO_LEVELS = 175 * 262_144
"""The smallest file of 256 KiB chunks whose tree has two levels of nodes."""


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a tree in it; by reference Kubo takes only what lies below."""
    base = tmp_path_factory.mktemp("cids")
    many = base / "tree" / "many" / "names"
    many.mkdir(parents=True)
    for number in range(MANY):
        (many / f"slice-{number:05}-ångström.mrc").write_text(f"{number % 7}")
    for size in SIZES:
        data = hashlib.shake_256(b"cids").digest(size)
        (base / "tree" / f"{size}.bin").write_bytes(data)
    with (base / "tree" / "zeros.rec").open("wb") as file:
        file.truncate(TWO_LEVELS)
    return base


@pytest.mark.slow
@pytest.mark.parametrize(
    ("profile", "words"),
    [
        (UNIXFS_V0_2015, []),
        (KUBO_CID_V1_RAW_LEAVES, ["--cid-version=1"]),
        (UNIXFS_V1_2025, []),
        (KUBO_NOCOPY_V0, ["--nocopy"]),
        (KUBO_CID_V1_RAW_LEAVES, ["--nocopy", "--cid-version=1"]),
    ],
    ids=lambda given: given.name if isinstance(given, Profile) else " ".join(given),
)
def test_kubo_gives_our_cids(
    kubo_program: Path, base: Path, tmp_path: Path, profile: Profile, words: list[str]
) -> None:
    kubo = Kubo.create(
        kubo_program,
        base / f"repo-{tmp_path.name}",
        profile=profile.name if profile is UNIXFS_V1_2025 else "",
        settings={"Experimental": {"FilestoreEnabled": True}},
    )
    files = {
        str(path.relative_to(base / "tree")): path
        for path in (base / "tree").rglob("*")
        if path.is_file()
    }

    said = kubo.run("add", "-r", "--progress=false", *words, base / "tree")
    with InPlaceStore.create(tmp_path / "store.sqlite") as store:
        tree = store.add_tree(files, profile=profile)

    lines = (line.split(" ", 2) for line in said.splitlines())
    theirs = {name: cid for _, cid, name in lines}
    ours = {f"tree/{name}": str(added.cid) for name, added in tree.files.items()}
    assert theirs["tree"] == str(tree.root)
    assert ours.items() <= theirs.items()
