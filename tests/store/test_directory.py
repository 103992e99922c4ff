"""Building directories: names, order, folders within folders."""

from __future__ import annotations

import pytest

from etdb.errors import InvalidDataError
from etdb.identity import CID, RAW
from etdb.store.directory import build_directory, build_shard, build_tree, verify_paths
from etdb.store.unixfs import UNIXFS_V1_2025, Link, parse_node
from etdb.store.verified import iter_files, resolve
from etdb.testing.store import MemoryStore

CHILD = CID(1, RAW, bytes(32))


def _forget(cid: CID, block: bytes) -> None:
    """Take a block of which only the CID matters."""


def test_links_are_sorted_by_the_bytes_of_their_names() -> None:
    blocks: list[bytes] = []
    links = [Link(name, CHILD, 1) for name in ("é", "b", "a", "B")]

    build_directory(links, UNIXFS_V1_2025, lambda _, block: blocks.append(block))

    assert [link.name for link in parse_node(blocks[0]).links] == ["B", "a", "b", "é"]


def test_one_name_twice_is_refused() -> None:
    links = [Link("a", CHILD, 1), Link("a", CHILD, 1)]

    with pytest.raises(InvalidDataError, match="two entries"):
        build_directory(links, UNIXFS_V1_2025, _forget)


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "a\0", "\udc80"])
def test_unfit_names_are_refused(name: str) -> None:
    with pytest.raises(InvalidDataError):
        build_directory([Link(name, CHILD, 1)], UNIXFS_V1_2025, _forget)


def test_names_that_collide_in_all_bits_are_refused() -> None:
    entries = [(0x1234, Link(name, CHILD, 1)) for name in ("a", "b")]

    with pytest.raises(InvalidDataError, match="collide"):
        build_shard(entries, 0, UNIXFS_V1_2025, _forget)


@pytest.mark.parametrize(
    "paths",
    [
        ["a/../b"],
        ["/a"],
        ["a//b"],
        ["a/"],
        [""],
        ["a", "a/b"],
        ["a/b", "a/b/c/d"],
    ],
)
def test_paths_that_cannot_be_a_tree_are_refused(paths: list[str]) -> None:
    with pytest.raises(InvalidDataError):
        verify_paths(paths)


def test_folders_nest_as_deep_as_paths_do() -> None:
    store = MemoryStore()
    path = "/".join("abcdefghij" * 6)

    root = store.add_tree({path: b"x", "z": b"y"})

    assert {name for name, _ in iter_files(store, root)} == {path, "z"}
    assert resolve(store, root, path)[0] == store.add_bytes(b"x").cid


def test_very_deep_paths_do_not_exhaust_the_stack() -> None:
    path = "/".join(["d"] * 3000)

    link = build_tree({path: Link("", CHILD, 1)}, UNIXFS_V1_2025, _forget)

    assert (link.tsize or 0) > 3000


def test_no_files_are_an_empty_directory() -> None:
    link = build_tree({}, UNIXFS_V1_2025, _forget)

    assert (
        link.cid == CID.parse("QmUNLLsPACCz1vLxQVkXqqLX5R1X345qqfHbsf67hvA3Nn").to_v1()
    )
