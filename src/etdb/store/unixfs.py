"""UnixFS: what the bytes of a file, a directory or a shard are.

Bytes in, bytes out; no disk and no network. The layout of large files is in
`etdb.store.tree`, that of directories in `etdb.store.directory`.

    >>> encode_node(Node(Kind.DIRECTORY)).hex()
    '0a020801'
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, IntEnum
from types import MappingProxyType

from etdb.errors import ContentMismatchError, InvalidDataError
from etdb.identity import (
    CID,
    DAG_PB,
    IDENTITY,
    RAW,
    SHA2_256,
    decode_varint,
    encode_varint,
)
from etdb.store.dagpb import (
    Link,
    encode_bytes,
    encode_dagpb,
    encode_number,
    iter_fields,
    parse_dagpb,
)

__all__ = [
    "KUBO_CID_V1_RAW_LEAVES",
    "KUBO_NOCOPY_V0",
    "MAX_BLOCK_BYTES",
    "PROFILES",
    "UNIXFS_V0_2015",
    "UNIXFS_V1_2025",
    "Kind",
    "Link",
    "Node",
    "Profile",
    "ShardRule",
    "chunk_block",
    "chunk_digest",
    "encode_node",
    "parse_node",
    "verify_block",
    "verify_name",
]

MAX_BLOCK_BYTES = 2 * 1024 * 1024
"""The largest block any IPFS implementation accepts."""


class ShardRule(Enum):
    """What is compared with 262,144 bytes to decide that a directory is a HAMT."""

    LINKS = "links"
    """The sum of len(name) + len(CID)."""
    BLOCK = "block"
    """The directory's whole dag-pb block."""


@dataclass(frozen=True)
class Profile:
    """How content becomes blocks; two profiles give one file two CIDs.

    Chunks are `chunk_bytes` long, nodes have up to `width` children. Where
    `raw_leaves` is false a chunk is wrapped in a dag-pb node. `cid_version` is
    that of nodes and directories; a raw leaf is always version 1.
    """

    name: str
    chunk_bytes: int
    width: int
    cid_version: int
    raw_leaves: bool
    shard_rule: ShardRule

    def node_cid(self, block: bytes) -> CID:
        """The CID of a dag-pb block under this profile."""
        return CID(self.cid_version, DAG_PB, hashlib.sha256(block).digest())

    def leaf_cid(self, digest: bytes) -> CID:
        """The CID of a chunk by the SHA-256 of its block."""
        if self.raw_leaves:
            return CID(1, RAW, digest)
        return CID(self.cid_version, DAG_PB, digest)

    def leaf_bytes(self, size_bytes: int) -> int:
        """The length of the block of a chunk of `size_bytes`."""
        if self.raw_leaves:
            return size_bytes
        head, tail = _wrapper(size_bytes)
        return len(head) + size_bytes + len(tail)


UNIXFS_V1_2025 = Profile("unixfs-v1-2025", 1 << 20, 1024, 1, True, ShardRule.BLOCK)
"""IPIP-499's profile of 2026: what etdb publishes."""
UNIXFS_V0_2015 = Profile("unixfs-v0-2015", 1 << 18, 174, 0, False, ShardRule.LINKS)
"""Kubo's default: CIDs that begin with Qm."""
KUBO_CID_V1_RAW_LEAVES = Profile(
    "kubo-cid-v1-raw-leaves", 1 << 18, 174, 1, True, ShardRule.LINKS
)
"""`ipfs add --cid-version=1`."""
KUBO_NOCOPY_V0 = Profile("kubo-nocopy-v0", 1 << 18, 174, 0, True, ShardRule.LINKS)
"""`ipfs add --nocopy`: version 0 over raw leaves, as ETDB-Caltech published."""

PROFILES: Mapping[str, Profile] = MappingProxyType(
    {
        profile.name: profile
        for profile in (
            UNIXFS_V1_2025,
            UNIXFS_V0_2015,
            KUBO_CID_V1_RAW_LEAVES,
            KUBO_NOCOPY_V0,
        )
    }
)


class Kind(IntEnum):
    """The type of a UnixFS node, as it stands on the wire."""

    RAW = 0
    DIRECTORY = 1
    FILE = 2
    METADATA = 3
    SYMLINK = 4
    SHARD = 5
    """One node of a HAMT directory."""


@dataclass(frozen=True)
class Node:
    """One parsed node.

    `data` is content of a file, the target of a symbolic link or the bitfield
    of a shard; `size_bytes` the length of the file below, `child_sizes` that
    of each link's part of it; `hash_code` and `fanout` are a shard's.
    """

    kind: Kind
    links: tuple[Link, ...] = ()
    data: bytes = b""
    size_bytes: int | None = None
    child_sizes: tuple[int, ...] = ()
    hash_code: int | None = None
    fanout: int | None = None


def encode_node(node: Node) -> bytes:
    """The dag-pb block of a node, links in the order given."""
    data = bytearray(encode_number(1, node.kind))
    if node.data:
        data += encode_bytes(2, node.data)
    if node.size_bytes is not None:
        data += encode_number(3, node.size_bytes)
    for size in node.child_sizes:
        data += encode_number(4, size)
    if node.hash_code is not None:
        data += encode_number(5, node.hash_code)
    if node.fanout is not None:
        data += encode_number(6, node.fanout)
    return encode_dagpb(node.links, bytes(data))


# One request for a range asks for the same root several times.
@functools.lru_cache(maxsize=8)
def parse_node(block: bytes) -> Node:
    """The node of a dag-pb block.

    Raises InvalidDataError for more than 2 MiB, and for what is not UnixFS.
    """
    if len(block) > MAX_BLOCK_BYTES:
        msg = f"block of {len(block)} bytes; the limit is {MAX_BLOCK_BYTES}"
        raise InvalidDataError(msg)
    links, data = parse_dagpb(block)
    if data is None:
        msg = "dag-pb node without UnixFS data"
        raise InvalidDataError(msg)
    numbers: dict[int, int] = {}
    content, sizes = b"", []
    for field, value in iter_fields(data):
        if field == 4:
            sizes += [value] if isinstance(value, int) else _parse_packed(value)
        elif field == 2 and isinstance(value, bytes):
            content = value
        elif isinstance(value, int):
            numbers[field] = value
    return Node(
        kind=_parse_kind(numbers.get(1)),
        links=links,
        data=content,
        size_bytes=numbers.get(3),
        child_sizes=tuple(sizes),
        hash_code=numbers.get(5),
        fanout=numbers.get(6),
    )


def _parse_packed(value: bytes) -> list[int]:
    numbers, position = [], 0
    while position < len(value):
        number, position = decode_varint(value, position)
        numbers.append(number)
    return numbers


def _parse_kind(number: int | None) -> Kind:
    try:
        return Kind(-1 if number is None else number)
    except ValueError as exc:
        msg = f"UnixFS node of unknown type {number}"
        raise InvalidDataError(msg) from exc


def chunk_digest(data: bytes | memoryview, profile: Profile) -> bytes:
    """SHA-256 of the block of one chunk, without building the block."""
    if profile.raw_leaves:
        return hashlib.sha256(data).digest()
    head, tail = _wrapper(len(data))
    found = hashlib.sha256(head)
    found.update(data)
    found.update(tail)
    return found.digest()


def chunk_block(data: bytes, *, is_raw: bool) -> bytes:
    """The block of one chunk: the bytes themselves, or wrapped in dag-pb."""
    if is_raw:
        return data
    head, tail = _wrapper(len(data))
    return b"".join((head, data, tail))


def _wrapper(size_bytes: int) -> tuple[bytes, bytes]:
    tail = encode_number(3, size_bytes)
    inner = encode_number(1, Kind.FILE)
    if size_bytes > 0:
        # The field's tag and length; its content is the chunk.
        inner += b"\x12" + encode_varint(size_bytes)
    total = len(inner) + size_bytes + len(tail)
    return b"\x0a" + encode_varint(total) + inner, tail


def verify_block(cid: CID, block: bytes) -> None:
    """Hash a block again.

    Raises ContentMismatchError where it is not the CID's, InvalidDataError for
    a hash function other than sha2-256 and identity.
    """
    if cid.hash_code == IDENTITY:
        found = block
    elif cid.hash_code == SHA2_256:
        found = hashlib.sha256(block).digest()
    else:
        msg = f"{cid} uses hash function {cid.hash_code:#x}, which is not supported"
        raise InvalidDataError(msg)
    if found != cid.digest:
        raise ContentMismatchError(cid=cid, found=hashlib.sha256(block).hexdigest())


def verify_name(name: str) -> None:
    """Refuse a name in a directory that could leave it. Raises InvalidDataError."""
    if name in ("", ".", "..") or "/" in name or "\0" in name:
        msg = f"not a file name: {name[:80]!r}"
        raise InvalidDataError(msg)
    try:
        name.encode("utf-8")
    except UnicodeEncodeError as exc:
        msg = f"a file name that is not unicode: {name[:80]!r}"
        raise InvalidDataError(msg, hint="rename the file") from exc
