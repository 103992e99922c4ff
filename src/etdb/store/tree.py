"""The balanced tree over the chunks of one file.

All leaves are equally deep; a node has up to `width` children; a trailing
group of one child gets a parent of its own; a file of one chunk is its leaf.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from etdb.identity import CID
from etdb.store.unixfs import Kind, Link, Node, Profile, encode_node


@dataclass(frozen=True)
class Subtree:
    """A node or leaf: its CID, the file's bytes below, the blocks' bytes."""

    cid: CID
    size_bytes: int
    tsize: int


class FileTree:
    """Takes the chunks of a file in order; hands out each node once it is full.

    Memory is one unfinished node per level, whatever the file's size.
    """

    def __init__(self, profile: Profile, emit: Callable[[CID, bytes], None]) -> None:
        self._profile = profile
        self._emit = emit
        self._levels: list[list[Subtree]] = [[]]

    def add(self, digest: bytes, size_bytes: int) -> None:
        """The next chunk: SHA-256 of its block, and its length."""
        profile = self._profile
        leaf = profile.leaf_cid(digest)
        self._push(0, Subtree(leaf, size_bytes, profile.leaf_bytes(size_bytes)))

    def finish(self) -> Subtree:
        """The root. An empty file has one chunk of 0 bytes."""
        level = 0
        while level < len(self._levels) - 1 or len(self._levels[level]) > 1:
            if self._levels[level]:
                self._close(level)
            level += 1
        (root,) = self._levels[level]
        return root

    def _push(self, level: int, child: Subtree) -> None:
        if level == len(self._levels):
            self._levels.append([])
        self._levels[level].append(child)
        if len(self._levels[level]) == self._profile.width:
            self._close(level)

    def _close(self, level: int) -> None:
        children, self._levels[level] = self._levels[level], []
        sizes = tuple(child.size_bytes for child in children)
        node = Node(
            Kind.FILE,
            tuple(Link("", child.cid, child.tsize) for child in children),
            size_bytes=sum(sizes),
            child_sizes=sizes,
        )
        block = encode_node(node)
        cid = self._profile.node_cid(block)
        self._emit(cid, block)
        below = sum(child.tsize for child in children)
        self._push(level + 1, Subtree(cid, sum(sizes), len(block) + below))
