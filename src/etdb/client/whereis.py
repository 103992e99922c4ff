"""Who holds a CID: candidates from people and routers, each of them asked.

A router's word is a hint. What counts is whether the block arrives and hashes
to its CID, and whether the first ones of its files do. A router's addresses
are a stranger's: only public ones are asked.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import StrEnum
from itertools import islice

from etdb.client.router import Hints, fetch_providers, is_url, place_of
from etdb.client.sources import HttpSource, Source
from etdb.errors import ContentMismatchError, EtdbError, NotFoundError
from etdb.fetch import LIMITS, Limits, redact
from etdb.identity import CID, DAG_PB
from etdb.store.unixfs import Kind, parse_node, verify_block
from etdb.store.verified import BlockSource, iter_chunks, iter_files
from etdb.store.walk import Checkable

REGISTER = "register"
"""Who told of a host that the register of a record's publisher names."""
_AT_ONCE = 8

MAX_FILES = 20
"""Files of a dataset that each place is asked for, one block of each."""
MAX_BLOCKS = 200
"""Blocks asked for in all, those of folders among them."""


class Holding(StrEnum):
    """What a place was found to have."""

    HAS = "has"
    PART = "part"
    """Some of the files that were asked for."""
    LACKS = "lacks"
    LIES = "lies"
    """It sends other bytes."""
    FAILS = "fails"


@dataclass(frozen=True)
class Holder:
    """Whether one place has the content."""

    name: str
    told_by: str
    """The router that named it; empty where a person did."""
    state: Holding
    error: EtdbError | None = None
    files_held: int = 0
    files_asked: int = 0
    """Of how many files a block was asked for; 0 where none was."""


def check_holder(
    source: Source, cid: CID, told_by: str = "", *, with_files: bool = False
) -> Holder:
    """Ask one source for the block of a CID, and perhaps for files below it.

    The nodes of a dataset are kept apart from its files: who has the first may
    have lost the second. Of at most `MAX_FILES` the first chunk is asked for.
    """
    asked = Checkable(_Asked(source))
    try:
        root = asked.get_block(cid)
        held, files = _count_files(asked, cid, root) if with_files else (0, 0)
    except NotFoundError as exc:
        return Holder(source.name, told_by, Holding.LACKS, exc)
    except ContentMismatchError as exc:
        return Holder(source.name, told_by, Holding.LIES, exc)
    except EtdbError as exc:
        return Holder(source.name, told_by, Holding.FAILS, exc)
    if held == files:
        return Holder(source.name, told_by, Holding.HAS, None, held, files)
    error = NotFoundError("file" if held == 0 else "other file", f"below {cid}")
    state = Holding.PART if held else Holding.LACKS
    return Holder(source.name, told_by, state, error, held, files)


class _EnoughError(Exception):
    """No more blocks are to be asked for."""


class _Asked:
    """Verified blocks of one source that nobody waits for; only so many."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._left = MAX_BLOCKS
        self._last: tuple[CID, bytes] | None = None

    def get_block(self, cid: CID) -> bytes:
        # A file's node is read for its kind, and at once again for its chunks.
        if self._last is not None and self._last[0] == cid:
            return self._last[1]
        if self._left == 0:
            raise _EnoughError
        self._left -= 1
        block = self._source.get_block(cid, may_wait=False)
        verify_block(cid, block)
        self._last = (cid, block)
        return block


def _count_files(source: BlockSource, cid: CID, root: bytes) -> tuple[int, int]:
    """(files that are there, files asked for)."""
    held = asked = 0
    try:
        for file in islice(_iter_below(source, cid, root), MAX_FILES):
            is_there = _has_first_chunk(source, file)
            held, asked = held + is_there, asked + 1
    except NotFoundError:
        asked += 1  # a part of a folder, and whatever stands in it
    except _EnoughError:
        pass
    return held, asked


def _iter_below(source: BlockSource, cid: CID, root: bytes) -> Iterator[CID]:
    """The files of a dataset; itself where it is one."""
    if cid.codec == DAG_PB and parse_node(root).kind in (Kind.DIRECTORY, Kind.SHARD):
        yield from (entry.cid for _, entry in iter_files(source, cid))
    else:
        yield cid


def _has_first_chunk(source: BlockSource, cid: CID) -> bool:
    try:
        chunks = iter_chunks(source, cid) if cid.codec == DAG_PB else ()
        first = next(iter(chunks), None)
        source.get_block(cid if first is None else first.cid)
    except NotFoundError:
        return False
    return True


def iter_holders(
    cid: CID, sources: Sequence[Source], hints: Hints, limits: Limits = LIMITS
) -> Iterator[Holder]:
    """Every candidate, asked for it; a router that fails is one, too."""
    asked = set()
    for source in sources:
        asked.add(place_of(source.name))
        yield check_holder(source, cid, with_files=True)
    named: list[tuple[str, Sequence[str]]] = [(REGISTER, hints.hosts(cid))]
    for router in hints.routers:
        try:
            named.append((redact(router), fetch_providers(router, cid, limits)))
        except EtdbError as exc:
            yield Holder(redact(router), "", Holding.FAILS, exc)
    told: dict[str, tuple[str, str]] = {}
    for told_by, urls in named:
        for url in filter(is_url, urls):
            if place_of(url) not in asked:
                told.setdefault(place_of(url), (url, told_by))
    yield from _ask_all(cid, list(told.values()), hints, limits)


def _ask_all(
    cid: CID, told: Sequence[tuple[str, str]], hints: Hints, limits: Limits
) -> Iterator[Holder]:
    def ask(url: str, told_by: str) -> Holder:
        is_public_only = not hints.may_be_private
        with HttpSource(url, limits=limits, is_public_only=is_public_only) as source:
            return check_holder(source, cid, told_by, with_files=True)

    with ThreadPoolExecutor(max_workers=_AT_ONCE) as pool:
        yield from pool.map(ask, *zip(*told, strict=True)) if told else ()
