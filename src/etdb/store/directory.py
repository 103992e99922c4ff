"""Directories: a sorted list of links, or a HAMT where that grows too large.

Builds blocks; walking them is `etdb.store.verified`'s. The HAMT: murmur3
x64-128 of the name, its first 64 bits from the most significant, `fanout`
slots a node; a link's name is the slot in upper-case hex, followed by the
entry's name, or alone for the shard below.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

import mmh3

from etdb.errors import InvalidDataError
from etdb.identity import CID
from etdb.store.unixfs import (
    Kind,
    Link,
    Node,
    Profile,
    ShardRule,
    encode_node,
    verify_name,
)

SHARD_THRESHOLD_BYTES = 262_144
FANOUT = 256
MURMUR3 = 0x22
HASH_BITS = 64


def name_hash(name: str) -> int:
    """The 64 bits that place a name in a HAMT."""
    return mmh3.hash64(name.encode("utf-8"), signed=False)[0]


def slot_of(hashed: int, depth: int, fanout: int) -> int:
    """The slot at a depth; the root's depth is 0. `fanout` is a power of two."""
    bits = fanout.bit_length() - 1
    return hashed >> (HASH_BITS - bits * (depth + 1)) & (fanout - 1)


def build_directory(
    entries: Iterable[Link], profile: Profile, emit: Callable[[CID, bytes], None]
) -> Link:
    """A nameless link to the directory of these entries; its blocks go to `emit`.

    Raises InvalidDataError for a name that is no file name or is given twice.
    """
    ordered = sorted(entries, key=lambda link: link.name.encode("utf-8", "replace"))
    for index, link in enumerate(ordered):
        verify_name(link.name)
        if index > 0 and ordered[index - 1].name == link.name:
            msg = f"two entries named {link.name[:80]!r} in one directory"
            raise InvalidDataError(msg)
    # The block holds what the links weigh: a large one need not be made to know it.
    if _links_weight(ordered) <= SHARD_THRESHOLD_BYTES:
        block = encode_node(Node(Kind.DIRECTORY, tuple(ordered)))
        is_links = profile.shard_rule is ShardRule.LINKS
        if is_links or len(block) <= SHARD_THRESHOLD_BYTES:
            return _emit_node(block, ordered, profile, emit)
    hashed = [(name_hash(link.name), link) for link in ordered]
    return build_shard(hashed, 0, profile, emit)


def verify_paths(names: Iterable[str]) -> None:
    """Refuse relative paths that cannot stand in one tree together.

    Raises InvalidDataError for a part that is no file name, and for a name
    that is a file's and a folder's.
    """
    files = set(names)
    for path in files:
        for part in path.split("/"):
            verify_name(part)
        folder = path.rpartition("/")[0]
        while folder:
            if folder in files:
                msg = f"{folder[:80]!r} is both a file and a folder"
                raise InvalidDataError(msg)
            folder = folder.rpartition("/")[0]


def build_tree(
    files: Mapping[str, Link], profile: Profile, emit: Callable[[CID, bytes], None]
) -> Link:
    """A nameless link to nested directories, from links by relative path.

    The paths must have passed `verify_paths`.
    """
    folders: dict[str, list[Link]] = {"": []}
    for path, link in files.items():
        folder, _, name = path.rpartition("/")
        folders.setdefault(folder, []).append(Link(name, link.cid, link.tsize))
        while folder:
            folder = folder.rpartition("/")[0]
            folders.setdefault(folder, [])
    top = folders.pop("")
    for folder in sorted(folders, key=lambda path: -path.count("/")):
        built = build_directory(folders[folder], profile, emit)
        above, _, name = folder.rpartition("/")
        parent = folders[above] if above else top
        parent.append(Link(name, built.cid, built.tsize))
    return build_directory(top, profile, emit)


def _links_weight(entries: Sequence[Link]) -> int:
    return sum(
        len(link.name.encode("utf-8")) + len(link.cid.to_bytes()) for link in entries
    )


def build_shard(
    entries: Sequence[tuple[int, Link]],
    depth: int,
    profile: Profile,
    emit: Callable[[CID, bytes], None],
) -> Link:
    """A nameless link to the HAMT of entries, each with the hash of its name.

    `depth` is the number of shards above. Raises InvalidDataError where two
    names have one hash.
    """
    if depth * 8 >= HASH_BITS:
        names = ", ".join(repr(link.name[:40]) for _, link in entries[:2])
        msg = f"names that collide in all 64 bits of their hash: {names}"
        raise InvalidDataError(msg)
    slots: dict[int, list[tuple[int, Link]]] = {}
    for hashed, link in entries:
        slots.setdefault(slot_of(hashed, depth, FANOUT), []).append((hashed, link))
    links, bitfield = [], 0
    for slot in sorted(slots):
        bitfield |= 1 << slot
        inside = slots[slot]
        if len(inside) == 1:
            child = inside[0][1]
        else:
            child = build_shard(inside, depth + 1, profile, emit)
        links.append(Link(f"{slot:02X}{child.name}", child.cid, child.tsize))
    block = encode_node(
        Node(
            Kind.SHARD,
            tuple(links),
            data=bitfield.to_bytes((bitfield.bit_length() + 7) // 8, "big"),
            hash_code=MURMUR3,
            fanout=FANOUT,
        )
    )
    return _emit_node(block, links, profile, emit)


def _emit_node(
    block: bytes,
    links: Sequence[Link],
    profile: Profile,
    emit: Callable[[CID, bytes], None],
) -> Link:
    cid = profile.node_cid(block)
    emit(cid, block)
    return Link("", cid, len(block) + sum(link.tsize or 0 for link in links))
