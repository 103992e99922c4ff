"""What an answer's content is read by: jobs in order, each for a thread.

A job reads about `UNIT_BYTES` and hashes it. Which jobs there are is planned
as they are taken, from the nodes above the content.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import TypeVar

from etdb.errors import InvalidDataError
from etdb.identity import CID
from etdb.store.car import (
    CarBlock,
    CarOptions,
    encode_header,
    iter_blocks,
    read_section,
)
from etdb.store.tar import plan_tar
from etdb.store.unixfs import MAX_BLOCK_BYTES
from etdb.store.verified import BlockSource, Chunk, iter_chunks, read_chunk
from etdb.store.walk import Walk, located
from etdb.web.span import Span

UNIT_BYTES = 1 << 20
"""How much one job reads: large enough to pay for a thread's hop."""
PLANNED_JOBS = 16
"""How many are planned at once, and what they read is looked up."""

SMALL_JOBS = 2
"""An answer of so few jobs is no stream: a block, a small file, a page of one."""

_SMALL_BYTES = 64 * 1024

_T = TypeVar("_T")
_B = TypeVar("_B", bound=Chunk | CarBlock)

Job = Callable[[], list[bytes]]
"""Reads some pieces; called in a thread."""


@dataclass(frozen=True)
class Begun:
    """What is read for an answer; the first pieces of it may have been."""

    first: list[bytes]
    planned: list[Job]
    later: Iterator[Job] | None
    """None where nothing follows what is planned."""
    pieces: int
    """So many are to be there before the answer begins."""
    is_small: bool

    @property
    def is_whole(self) -> bool:
        """Whether there is no more than the first pieces."""
        return not self.planned and self.later is None


def begin(jobs: Iterator[Job], pieces: int = 1, *, may_stream: bool = True) -> Begun:
    """Read the first pieces, if there are any; in a thread.

    What cannot be given raises here, before any header is sent. Of a stream
    nothing is read unless it `may_stream`: there could be no slot for it.
    """
    planned = take_planned(jobs)
    later = jobs if len(planned) == PLANNED_JOBS else None
    is_small = len(planned) <= SMALL_JOBS
    first: list[bytes] = []
    while planned and len(first) < pieces and (is_small or may_stream):
        first += planned.pop(0)()
    return Begun(first, planned, later, pieces, is_small)


def file_jobs(source: BlockSource, cid: CID, span: Span) -> Iterator[Job]:
    """The bytes of a file in a span."""
    chunks = iter_chunks(source, cid, span.start, span.stop)
    for near, unit in _iter_located(source, _grouped(chunks, lambda one: one.size)):
        yield partial(_read_chunks, near, unit, span)


def car_jobs(source: BlockSource, end: Walk, options: CarOptions) -> Iterator[Job]:
    """A CAR of what a path names."""
    yield literal(encode_header(end.cid))
    blocks = iter_blocks(source, end, options)
    for near, unit in _iter_located(source, _grouped(blocks, _car_bytes)):
        yield partial(_read_sections, near, unit)


def tar_jobs(source: BlockSource, cid: CID) -> Iterator[Job]:
    """A TAR of a file or a directory."""
    for unit in _grouped(plan_tar(source, cid), _tar_bytes):
        yield partial(_read_tar, source, unit)


def literal(data: bytes) -> Job:
    """A job that is done."""
    return lambda: [data]


def take_planned(jobs: Iterator[Job]) -> list[Job]:
    """The next jobs; fewer than `PLANNED_JOBS` are the last."""
    return [*islice(jobs, PLANNED_JOBS)]


def _iter_located(
    source: BlockSource, units: Iterator[list[_B]]
) -> Iterator[tuple[BlockSource, list[_B]]]:
    """Units with a source for each, looked up as many at once as are planned."""
    while some := [*islice(units, PLANNED_JOBS)]:
        near = located(source, [item.cid for unit in some for item in unit])
        for unit in some:
            yield near, unit


def _read_chunks(source: BlockSource, unit: list[Chunk], span: Span) -> list[bytes]:
    return [_cut(chunk, read_chunk(source, chunk), span) for chunk in unit]


def _read_sections(source: BlockSource, unit: list[CarBlock]) -> list[bytes]:
    return _joined(_iter_sections(source, unit))


def _iter_sections(source: BlockSource, unit: list[CarBlock]) -> Iterator[bytes]:
    """The pieces of some blocks, which are to be as small as their links say."""
    size_bytes = 0
    for block in unit:
        for piece in read_section(source, block):
            size_bytes += len(piece)
            yield piece
        if size_bytes > UNIT_BYTES + MAX_BLOCK_BYTES:
            msg = f"blocks above {block.cid} are larger than the links to them say"
            raise InvalidDataError(msg, hint="ask for its blocks one by one")


def _read_tar(source: BlockSource, unit: list[bytes | Chunk]) -> list[bytes]:
    return _joined(
        piece if isinstance(piece, bytes) else read_chunk(source, piece)
        for piece in unit
    )


def _car_bytes(block: CarBlock) -> int:
    """What it counts for in a unit: where no link says its size, for the most."""
    return block.size_bytes or MAX_BLOCK_BYTES


def _grouped(items: Iterable[_T], size_of: Callable[[_T], int]) -> Iterator[list[_T]]:
    """Neighbours together, up to about `UNIT_BYTES`."""
    unit: list[_T] = []
    total = 0
    for item in items:
        size = size_of(item)
        if unit and total + size > UNIT_BYTES:
            yield unit
            unit, total = [], 0
        unit.append(item)
        total += size
    if unit:
        yield unit


def _tar_bytes(piece: bytes | Chunk) -> int:
    return len(piece) if isinstance(piece, bytes) else piece.size


def _joined(pieces: Iterable[bytes]) -> list[bytes]:
    """Small pieces joined: each piece costs a write; large ones stay uncopied."""
    out: list[bytes] = []
    small: list[bytes] = []
    for piece in pieces:
        if len(piece) <= _SMALL_BYTES:
            small.append(piece)
            continue
        if small:
            out.append(b"".join(small))
            small = []
        out.append(piece)
    if small:
        out.append(b"".join(small))
    return out


def _cut(chunk: Chunk, data: bytes, span: Span) -> bytes:
    """What of a chunk lies in the span; the same bytes, uncopied, if all does."""
    first = max(0, span.start - chunk.offset)
    last = min(chunk.size, span.stop - chunk.offset)
    return data if (first, last) == (0, chunk.size) else data[first:last]
