"""A store in memory that keeps the promises of the real ones.

`MemoryStore` is a `BlockSource` over a dict, filled from bytes by the same
layout rules as the importer. A `before_get` may look at, replace or refuse
what is asked for, so that tests can make a source lie, stall or fail.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from etdb.errors import NotFoundError
from etdb.identity import CID, IDENTITY
from etdb.store.directory import build_tree, verify_paths
from etdb.store.tree import FileTree, Subtree
from etdb.store.unixfs import (
    UNIXFS_V1_2025,
    Kind,
    Link,
    Node,
    Profile,
    chunk_block,
    chunk_digest,
    encode_node,
)


class MemoryStore:
    """Blocks by CID, in memory."""

    def __init__(self, before_get: Callable[[CID], None] = lambda cid: None) -> None:
        self._before_get = before_get
        self._blocks: dict[bytes, bytes] = {}

    def get_block(self, cid: CID) -> bytes:
        """The block. Raises NotFoundError, and whatever `before_get` raises."""
        self._before_get(cid)
        if cid.hash_code == IDENTITY:
            return cid.digest
        if cid.digest not in self._blocks:
            raise NotFoundError("chunk", cid)
        return self._blocks[cid.digest]

    def has(self, cid: CID) -> bool:
        """Whether `get_block` would find it."""
        return cid.hash_code == IDENTITY or cid.digest in self._blocks

    def put(self, cid: CID, block: bytes) -> None:
        """Keep a block under a CID, right or wrong."""
        self._blocks[cid.digest] = block

    def drop(self, cid: CID) -> None:
        """Lose a block."""
        del self._blocks[cid.digest]

    def list_digests(self) -> list[bytes]:
        """The digest of every block, in the order they came."""
        return list(self._blocks)

    def add_bytes(self, data: bytes, profile: Profile = UNIXFS_V1_2025) -> Subtree:
        """Keep a file."""
        step = profile.chunk_bytes
        starts = range(0, max(1, len(data)), step)
        return self.add_chunks((data[at : at + step] for at in starts), profile)

    def add_chunks(
        self, chunks: Iterable[bytes], profile: Profile = UNIXFS_V1_2025
    ) -> Subtree:
        """Keep a file given as chunks of the profile's length."""
        tree = FileTree(profile, self.put)
        for chunk in chunks:
            digest = chunk_digest(chunk, profile)
            self._blocks[digest] = chunk_block(chunk, is_raw=profile.raw_leaves)
            tree.add(digest, len(chunk))
        return tree.finish()

    def add_repeated(self, chunk: bytes, levels: int) -> Link:
        """A file of a chunk 1024 times over, and that so often again, in few blocks."""
        cid, size = self.add_bytes(chunk).cid, len(chunk)
        for _ in range(levels):
            links, sizes = (Link("", cid, size),) * 1024, (size,) * 1024
            size *= 1024
            block = encode_node(
                Node(Kind.FILE, links, size_bytes=size, child_sizes=sizes)
            )
            cid = UNIXFS_V1_2025.node_cid(block)
            self.put(cid, block)
        return Link("", cid, size)

    def add_tree(
        self, files: Mapping[str, bytes], profile: Profile = UNIXFS_V1_2025
    ) -> CID:
        """Keep files under their relative names; the CID of their directory."""
        verify_paths(files)
        links = {}
        for name, data in files.items():
            root = self.add_bytes(data, profile)
            links[name] = Link("", root.cid, root.tsize)
        return build_tree(links, profile, self.put).cid
