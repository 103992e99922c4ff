"""The shape of a file's tree."""

from __future__ import annotations

import pytest

from etdb.identity import CID
from etdb.store.tree import FileTree
from etdb.store.unixfs import Node, Profile, parse_node


def _build(profile: Profile, chunks: int) -> tuple[dict[CID, Node], CID]:
    nodes: dict[CID, Node] = {}
    tree = FileTree(profile, lambda cid, block: nodes.update({cid: parse_node(block)}))
    for number in range(chunks):
        tree.add(number.to_bytes(32, "big"), 64)
    return nodes, tree.finish().cid


def _depths(nodes: dict[CID, Node], cid: CID, depth: int = 0) -> set[int]:
    if cid not in nodes:
        return {depth}
    below = (_depths(nodes, link.cid, depth + 1) for link in nodes[cid].links)
    return set().union(*below)


@pytest.mark.parametrize("chunks", [1, 2, 4, 5, 16, 17, 64, 65, 70])
def test_all_chunks_are_equally_deep(tiny: Profile, chunks: int) -> None:
    nodes, root = _build(tiny, chunks)

    assert len(_depths(nodes, root)) == 1
    assert all(len(node.links) <= tiny.width for node in nodes.values())


def test_a_single_chunk_is_its_own_root(tiny: Profile) -> None:
    nodes, root = _build(tiny, 1)

    assert nodes == {}
    assert root == tiny.leaf_cid(bytes(32))


def test_a_trailing_chunk_gets_a_parent_of_its_own(tiny: Profile) -> None:
    nodes, root = _build(tiny, 5)

    groups = [len(nodes[link.cid].links) for link in nodes[root].links]

    assert groups == [4, 1]


def test_nodes_say_how_many_bytes_lie_below(tiny: Profile) -> None:
    nodes, root = _build(tiny, 17)

    assert nodes[root].size_bytes == 17 * 64
    assert nodes[root].child_sizes == (16 * 64, 64)
