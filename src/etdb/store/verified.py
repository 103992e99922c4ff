"""Walking content by CID: paths, listings, the chunks of a file.

Works over any `BlockSource`. Only `Verified` hashes; everything else here
takes its source's word and checks what a right hash cannot promise: names,
sizes that add up, bounded depth. Hand a source that cannot be trusted to
`Verified` first.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Protocol

from etdb.errors import ContentMismatchError, InvalidDataError, NotFoundError
from etdb.identity import CID, DAG_PB, RAW
from etdb.store.directory import HASH_BITS, MURMUR3, name_hash, slot_of
from etdb.store.unixfs import Kind, Link, Node, parse_node, verify_block, verify_name

MAX_DEPTH = 64
"""Nodes above a leaf."""

_FOLDERS = (Kind.DIRECTORY, Kind.SHARD)


class BlockSource(Protocol):
    """Gives the bytes of a CID."""

    def get_block(self, cid: CID) -> bytes:
        """The block. Raises NotFoundError, UnavailableError."""


class Verified:
    """A source that hashes again whatever another source gives."""

    def __init__(self, source: BlockSource) -> None:
        self._source = source

    def get_block(self, cid: CID) -> bytes:
        """The block; ContentMismatchError where the bytes are not the CID's."""
        block = self._source.get_block(cid)
        verify_block(cid, block)
        return block


@dataclass(frozen=True)
class Chunk:
    """A piece of a file: its block, and which bytes of the file it holds."""

    cid: CID
    offset: int
    size: int


@dataclass(frozen=True)
class Entry:
    """One name in a directory.

    `size_bytes` is a file's length as its directory (raw leaves) or its root
    block claims; None for directories and where the root block is not at hand.
    """

    name: str
    cid: CID
    size_bytes: int | None
    is_directory: bool


def resolve(source: BlockSource, root: CID, path: str) -> tuple[CID, tuple[CID, ...]]:
    """What a path below a root names, and every CID on the way, both ends in.

    Names are separated by "/"; empty ones are skipped. Raises NotFoundError.
    """
    current, passed = root, [root]
    for name in filter(None, path.split("/")):
        current = _find_entry(source, current, name, path).cid
        passed.append(current)
    return current, tuple(passed)


def _find_entry(source: BlockSource, directory: CID, name: str, path: str) -> Link:
    if directory.codec != DAG_PB:
        raise NotFoundError("file", path)
    node, depth = _load(source, directory), 0
    while node.kind is Kind.SHARD:
        slot = slot_of(name_hash(name), depth, _fanout(node, depth))
        link = _find_link(node.links, _prefix(node, slot), name)
        if link is None or len(link.name) > len(_prefix(node, slot)):
            break
        node, depth = _load(source, link.cid), depth + 1
    else:
        known = node.links if node.kind is Kind.DIRECTORY else ()
        link = _find_link(known, "", name)
    if link is None:
        raise NotFoundError("file", path)
    return link


def _find_link(links: Sequence[Link], prefix: str, name: str) -> Link | None:
    wanted = (prefix + name, prefix) if prefix else (name,)
    return next((link for link in links if link.name in wanted), None)


def iter_entries(
    source: BlockSource,
    directory: CID,
    verify: Callable[[str], None] = verify_name,
) -> Iterator[Entry]:
    """The entries of a directory, in its own order.

    Raises InvalidDataError for a name that is no file name or comes twice, or
    where the CID is not a directory. Who knows what to do with other names
    brings their own `verify`.
    """
    node = _load(source, directory)
    if node.kind not in _FOLDERS:
        msg = f"{directory} is not a directory"
        raise InvalidDataError(msg)
    links = (
        _iter_plain(node) if node.kind is Kind.DIRECTORY else _iter_shard(source, node)
    )
    for link in links:
        verify(link.name)
        yield _entry(source, link)


def _iter_plain(node: Node) -> Iterator[Link]:
    seen = set()
    for link in node.links:
        if link.name in seen:
            msg = f"two entries named {link.name[:80]!r} in one directory"
            raise InvalidDataError(msg)
        seen.add(link.name)
        yield link


def _iter_shard(
    source: BlockSource, node: Node, above: tuple[int, ...] = ()
) -> Iterator[Link]:
    """Entries below a shard reached by the slots `above`.

    A name must hash to the slots it stands in and slots must rise, so no name
    comes twice and no shard can be reused elsewhere in the tree.
    """
    fanout, last = _fanout(node, len(above)), -1
    if above and not node.links:
        msg = "HAMT shard without entries"
        raise InvalidDataError(msg)
    for link in node.links:
        slot, name = _split_name(node, link)
        if slot <= last:
            msg = f"HAMT slot {link.name[:80]!r} is out of order"
            raise InvalidDataError(msg)
        last, path = slot, (*above, slot)
        if not name:
            yield from _iter_shard(source, _load_shard(source, link, fanout), path)
        elif _slots(name, len(path), fanout) != path:
            msg = f"HAMT entry {name[:80]!r} stands in the wrong place"
            raise InvalidDataError(msg)
        else:
            yield Link(name, link.cid, link.tsize)


def _slots(name: str, depth: int, fanout: int) -> tuple[int, ...]:
    hashed = name_hash(name)
    return tuple(slot_of(hashed, level, fanout) for level in range(depth))


def _load_shard(source: BlockSource, link: Link, fanout: int) -> Node:
    node = _load(source, link.cid)
    if node.kind is not Kind.SHARD or node.fanout != fanout:
        msg = f"{link.cid} is not a shard of its directory"
        raise InvalidDataError(msg)
    return node


def _fanout(node: Node, depth: int) -> int:
    fanout = node.fanout or 0
    is_power = fanout.bit_count() == 1 and 8 <= fanout <= 1024
    if node.hash_code != MURMUR3 or not is_power:
        msg = f"HAMT with hash {node.hash_code} and fanout {node.fanout}"
        raise InvalidDataError(msg)
    if (fanout.bit_length() - 1) * (depth + 1) > HASH_BITS:
        msg = f"HAMT deeper than its {HASH_BITS}-bit hash"
        raise InvalidDataError(msg)
    return fanout


def _prefix(node: Node, slot: int) -> str:
    width = len(f"{(node.fanout or 0) - 1:X}")
    return f"{slot:0{width}X}"


def _split_name(node: Node, link: Link) -> tuple[int, str]:
    width = len(_prefix(node, 0))
    digits, name = link.name[:width], link.name[width:]
    if len(digits) < width or not set(digits) <= set("0123456789ABCDEF"):
        msg = f"HAMT link without its slot: {link.name[:80]!r}"
        raise InvalidDataError(msg)
    return int(digits, 16), name


def _entry(source: BlockSource, link: Link) -> Entry:
    if link.cid.codec == RAW:
        return Entry(link.name, link.cid, link.tsize, is_directory=False)
    if link.cid.codec != DAG_PB:
        return Entry(link.name, link.cid, None, is_directory=False)
    try:
        node = _load(source, link.cid)
    except NotFoundError:
        return Entry(link.name, link.cid, None, is_directory=False)
    if node.kind in _FOLDERS:
        return Entry(link.name, link.cid, None, is_directory=True)
    return Entry(link.name, link.cid, _size(node), is_directory=False)


@dataclass(frozen=True)
class TreeLimits:
    """How much of a tree is listed: a small DAG can claim to hold any number."""

    entries: int = 1_000_000
    depth: int = 64
    node_bytes: int = 512 * 1024 * 1024
    """Blocks loaded to learn names, kinds and sizes."""


def iter_files(
    source: BlockSource, root: CID, limits: TreeLimits | None = None
) -> Iterator[tuple[str, Entry]]:
    """(path, entry) of every file of a tree, folder by folder.

    Raises InvalidDataError as `iter_entries`, and where a limit is passed.
    """
    limits = limits or TreeLimits()
    counted = _Counted(source, limits.node_bytes)
    folders, count = [("", root)], 0
    while folders:
        path, folder = folders.pop()
        for entry in iter_entries(counted, folder):
            count += 1
            if count > limits.entries or path.count("/") >= limits.depth:
                msg = f"too many entries, or folders too deep, at {path[:80]!r}"
                raise InvalidDataError(msg)
            if entry.is_directory:
                folders.append((f"{path}{entry.name}/", entry.cid))
            else:
                yield path + entry.name, entry


class _Counted:
    """A source that gives up to `budget_bytes` of blocks."""

    def __init__(self, source: BlockSource, budget_bytes: int) -> None:
        self._source = source
        self._left_bytes = budget_bytes

    def get_block(self, cid: CID) -> bytes:
        block = self._source.get_block(cid)
        self._left_bytes -= len(block)
        if self._left_bytes < 0:
            msg = "the nodes of this tree are too large together"
            raise InvalidDataError(msg)
        return block


def file_size(source: BlockSource, cid: CID) -> int:
    """The length of a file in bytes, as its root block says.

    Raises InvalidDataError where the CID is not a file.
    """
    return _size(_load(source, cid))


def _size(node: Node) -> int:
    """The length of a file's part below a node; its sizes must add up."""
    if node.kind not in (Kind.FILE, Kind.RAW, Kind.SYMLINK):
        msg = f"not a file but a {node.kind.name.lower()}"
        raise InvalidDataError(msg)
    total = len(node.data) + sum(node.child_sizes)
    if len(node.links) != len(node.child_sizes) or node.size_bytes not in (None, total):
        msg = f"file node whose sizes do not add up to {node.size_bytes} bytes"
        raise InvalidDataError(msg)
    return total


def iter_chunks(
    source: BlockSource, cid: CID, start: int = 0, stop: int | None = None
) -> Iterator[Chunk]:
    """The chunks that hold bytes [start, stop) of a file, in order.

    Every dag-pb node in the range is loaded and its sizes are checked, so that
    a wrapped chunk is as long as it says; of a raw chunk nothing is loaded, and
    its size is its parent's claim until its bytes hash to its CID (or
    `read_chunk`). An empty file has no chunks. Raises InvalidDataError where
    sizes do not add up, NotFoundError for a missing node.
    """
    root = _load(source, cid)
    todo = [(Chunk(cid, 0, _size(root)), 0)]
    while todo:
        part, depth = todo.pop()
        if _is_outside(part, start, stop):
            continue
        if part.cid.codec == RAW:
            yield part
            continue
        node = root if depth == 0 else _load(source, part.cid)
        if _size(node) != part.size or depth > MAX_DEPTH:
            msg = f"{part.cid} is not the {part.size} bytes its parent says"
            raise InvalidDataError(msg)
        own = Chunk(part.cid, part.offset, len(node.data))
        if not _is_outside(own, start, stop):
            yield own
        children = _children(node, part.offset + own.size, start, stop)
        todo += [(child, depth + 1) for child in children][::-1]


def _is_outside(part: Chunk, start: int, stop: int | None) -> bool:
    is_before = part.offset + part.size <= start
    return part.size == 0 or is_before or (stop is not None and part.offset >= stop)


def _children(node: Node, offset: int, start: int, stop: int | None) -> Iterator[Chunk]:
    """Those with bytes in [start, stop): a node has a thousand, a range needs few."""
    sizes, links = node.child_sizes, node.links
    offsets = [*accumulate(sizes, initial=offset)]
    first = max(0, bisect_right(offsets, start) - 1)
    after = len(links) if stop is None else bisect_left(offsets, stop, hi=len(links))
    for number in range(first, after):
        if sizes[number]:
            yield Chunk(links[number].cid, offsets[number], sizes[number])


def chunk_data(cid: CID, block: bytes) -> bytes:
    """The bytes of the file that a chunk's block holds itself."""
    return block if cid.codec == RAW else _parse(cid, block).data


def read_chunk(source: BlockSource, chunk: Chunk) -> bytes:
    """The bytes of a chunk. ContentMismatchError where their number is wrong."""
    data = chunk_data(chunk.cid, source.get_block(chunk.cid))
    if len(data) != chunk.size:
        raise ContentMismatchError(
            cid=chunk.cid, found=f"{len(data)} bytes instead of {chunk.size}"
        )
    return data


def _load(source: BlockSource, cid: CID) -> Node:
    return _parse(cid, source.get_block(cid))


def _parse(cid: CID, block: bytes) -> Node:
    if cid.codec == RAW:
        return Node(Kind.RAW, data=block)
    if cid.codec == DAG_PB:
        return parse_node(block)
    msg = f"{cid} is neither a file nor a directory (codec {cid.codec:#x})"
    raise InvalidDataError(msg)
