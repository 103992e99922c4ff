"""CAR, version 1: the blocks of a DAG in one stream, for whoever checks them.

The blocks on the path come first, then the content depth-first, in the order
of its links. What is written is decided block by block: nothing is collected
but, where duplicates are left out, the CIDs that were sent.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from etdb.errors import InvalidDataError
from etdb.identity import CID, DAG_CBOR, DAG_PB, IDENTITY, RAW, encode_varint
from etdb.store.dagcbor import find_value, iter_links, parse_dagcbor
from etdb.store.dagpb import parse_dagpb
from etdb.store.unixfs import Kind, parse_node
from etdb.store.verified import BlockSource, file_size, iter_chunks
from etdb.store.walk import Checkable, Recorder, Walk, walk

MAX_DEPTH = 256
"""Nodes below one another, folders and parts of files alike."""

MAX_REMEMBERED = 1 << 19
"""CIDs kept in memory to leave out duplicates: about 60 MB, half a TB of files."""


class Scope(StrEnum):
    """How much of what a path names is written."""

    BLOCK = "block"
    ENTITY = "entity"
    """A whole file, the listing of a directory, one document."""
    ALL = "all"


@dataclass(frozen=True)
class ByteRange:
    """Which bytes of a file: both ends in, negative from its end, None: the end."""

    first: int
    last: int | None


@dataclass(frozen=True)
class CarOptions:
    """What a CAR is to hold."""

    scope: Scope = Scope.ALL
    byte_range: ByteRange | None = None
    """Ignored for what is not a file."""
    has_duplicates: bool = False
    most_remembered: int = MAX_REMEMBERED
    """Where duplicates are left out: raises beyond so many blocks."""


@dataclass(frozen=True)
class CarBlock:
    """A block to write. `block` is None where it has yet to be read.

    `size_bytes` is then only what its parent claims.
    """

    cid: CID
    block: bytes | None
    size_bytes: int


_Expand = Callable[[CID, bytes], Iterator[tuple[CID, int]]]
"""The links below a block: (target, claimed size)."""


def iter_car(
    source: BlockSource, root: CID, path: str = "", options: CarOptions | None = None
) -> Iterator[bytes]:
    """The pieces of a CAR, header first.

    Raises NotFoundError at the first block that is missing, and whatever else
    the source raises: what was given until then is no whole CAR.
    """
    source = Checkable(source)
    end = walk(source, root, path)
    yield encode_header(end.cid)
    for item in iter_blocks(source, end, options or CarOptions()):
        yield from read_section(source, item)


def encode_header(root: CID) -> bytes:
    """The header of a CAR with one root."""
    link = b"\0" + root.to_bytes()
    size = len(link)
    head = b"\x58" + bytes([size]) if size < 256 else b"\x59" + size.to_bytes(2, "big")
    body = b"\xa2eroots\x81\xd8\x2a" + head + link + b"gversion\x01"
    return encode_varint(len(body)) + body


def read_section(source: BlockSource, item: CarBlock) -> list[bytes]:
    """One section: what stands before the block, and the block."""
    block = item.block
    if block is None:
        block = source.get_block(item.cid)
    cid = item.cid.to_bytes()
    return [encode_varint(len(cid) + len(block)) + cid, block]


def iter_blocks(
    source: BlockSource, end: Walk, options: CarOptions
) -> Iterator[CarBlock]:
    """The blocks of a CAR in their order. Raises as `iter_car`."""
    source, sent = Checkable(source), _Sent(options)
    for cid in end.above:
        if sent.add(cid):
            block = source.get_block(cid)
            yield CarBlock(cid, block, len(block))
    is_part = options.byte_range is not None and options.scope is not Scope.BLOCK
    if options.byte_range and is_part and _is_file(source, end.cid):
        for item in _iter_range(source, end.cid, options.byte_range):
            if sent.add(item.cid):
                yield item
        return
    yield from _iter_dag(source, end.cid, _rule(source, end, options.scope), sent)


class _Sent:
    """Says which blocks are to be sent."""

    def __init__(self, options: CarOptions) -> None:
        self._known: set[bytes] | None = None if options.has_duplicates else set()
        self._most = options.most_remembered

    def is_known(self, cid: CID) -> bool:
        return self._known is not None and cid.to_bytes() in self._known

    def add(self, cid: CID) -> bool:
        """Whether to send this one; it is remembered."""
        if cid.hash_code == IDENTITY or self.is_known(cid):
            return False
        if self._known is not None:
            if len(self._known) >= self._most:
                msg = f"more than {self._most} different blocks in one CAR"
                raise InvalidDataError(msg, hint="ask with dups=y, or for parts")
            self._known.add(cid.to_bytes())
        return True


def _rule(source: BlockSource, end: Walk, scope: Scope) -> _Expand:
    """How to go on below the end of the path."""
    if scope is Scope.BLOCK:
        return _no_links
    if end.inside:
        return _links_at(end) if scope is Scope.ALL else _no_links
    if scope is Scope.ALL:
        return _links
    if end.cid.codec != DAG_PB:
        return _no_links
    kind = _find_kind(source, end.cid)
    if kind is Kind.SHARD:
        return _subshards
    return _links if kind in (Kind.FILE, Kind.RAW) else _no_links


def _find_kind(source: BlockSource, cid: CID) -> Kind | None:
    """What a dag-pb node is; None for one that is not UnixFS."""
    try:
        return parse_node(source.get_block(cid)).kind
    except InvalidDataError:
        return None


def _is_file(source: BlockSource, cid: CID) -> bool:
    if cid.codec == RAW:
        return True
    files = (Kind.FILE, Kind.RAW)
    return cid.codec == DAG_PB and _find_kind(source, cid) in files


def _no_links(_cid: CID, _block: bytes) -> Iterator[tuple[CID, int]]:
    return iter(())


def _links(cid: CID, block: bytes) -> Iterator[tuple[CID, int]]:
    if cid.codec == DAG_PB:
        return ((link.cid, link.tsize or 0) for link in parse_dagpb(block)[0])
    if cid.codec == DAG_CBOR:
        return ((link, 0) for link in iter_links(parse_dagcbor(block)))
    if cid.codec == RAW:
        return iter(())
    msg = f"{cid} is of codec {cid.codec:#x}, whose links are not known here"
    raise InvalidDataError(msg, hint="ask with dag-scope=block")


def _links_at(end: Walk) -> _Expand:
    """Links below a value inside the last document, and all below those."""

    def expand(cid: CID, block: bytes) -> Iterator[tuple[CID, int]]:
        if cid != end.cid:
            return _links(cid, block)
        value = parse_dagcbor(block)
        for name in end.inside:
            value = find_value(value, name)
        return ((link, 0) for link in iter_links(value))

    return expand


def _subshards(_cid: CID, block: bytes) -> Iterator[tuple[CID, int]]:
    """The shards below a shard: links named by their slot alone."""
    node = parse_node(block)
    digits = len(f"{(node.fanout or 1) - 1:X}")
    for link in node.links:
        if len(link.name) == digits and link.cid.codec == DAG_PB:
            yield link.cid, 0


def _iter_dag(
    source: BlockSource, root: CID, expand: _Expand, sent: _Sent
) -> Iterator[CarBlock]:
    todo: list[Iterator[tuple[CID, int]]] = [iter([(root, 0)])]
    while todo:
        cid, size = next(todo[-1], (None, 0))
        if cid is None:
            todo.pop()
            continue
        if sent.is_known(cid):
            continue
        # The root is read now, so that nothing is promised where it is missing.
        is_leaf = cid.codec == RAW and cid != root
        block = None if is_leaf else source.get_block(cid)
        if sent.add(cid):
            yield CarBlock(cid, block, size if block is None else len(block))
        if block is not None:
            todo.append(expand(cid, block))
        if len(todo) > MAX_DEPTH:
            msg = f"more than {MAX_DEPTH} nodes below one another at {cid}"
            raise InvalidDataError(msg)


def _iter_range(source: BlockSource, cid: CID, wanted: ByteRange) -> Iterator[CarBlock]:
    """The fewest blocks that prove some bytes of a file, its root at least."""
    size = file_size(source, cid)
    start, stop = _clamp(wanted, size)
    loaded = Recorder(source)
    root = loaded.get_block(cid)
    (_,) = loaded.take()
    yield CarBlock(cid, root, len(root))
    if start >= stop:
        return
    for chunk in iter_chunks(loaded, cid, start, stop):
        yield from _taken(loaded, cid)
        if chunk.cid.codec == RAW and chunk.cid != cid:
            yield CarBlock(chunk.cid, None, chunk.size)
    yield from _taken(loaded, cid)


def _taken(loaded: Recorder, root: CID) -> Iterator[CarBlock]:
    for cid, block in loaded.take():
        if cid != root:
            yield CarBlock(cid, block, len(block))


def _clamp(wanted: ByteRange, size: int) -> tuple[int, int]:
    """Bytes [start, stop) of a file of that size."""
    start = wanted.first if wanted.first >= 0 else max(0, size + wanted.first)
    if wanted.last is None:
        return start, size
    last = wanted.last if wanted.last >= 0 else size + wanted.last
    return start, min(last + 1, size)
