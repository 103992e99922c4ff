"""Content paths: what a path below a CID names, and every block on the way.

Directories are walked by `verified.resolve`; here are the rest of what public
content holds, dag-cbor documents, and the shards that a walk passes.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from etdb.errors import InvalidDataError, NotFoundError
from etdb.identity import CID, DAG_CBOR, IDENTITY, SHA2_256
from etdb.store.dagcbor import find_value, parse_dagcbor
from etdb.store.verified import BlockSource, resolve


@dataclass(frozen=True)
class Walk:
    """Where a path ends.

    `passed` are the CIDs of the root, of each name's target and of the end;
    `above` the blocks that prove it, shards included, without the end's own.
    `inside` are the names that remain within the last document.
    """

    cid: CID
    passed: tuple[CID, ...]
    above: tuple[CID, ...]
    inside: tuple[str, ...] = ()


@runtime_checkable
class Locating(Protocol):
    """A source that looks many blocks up at once."""

    def locate(self, cids: Sequence[CID]) -> BlockSource:
        """A source of the same blocks that gives these sooner."""


def located(source: BlockSource, cids: Sequence[CID]) -> BlockSource:
    """The source with these blocks looked up at once, where it can do that."""
    return source.locate(cids) if isinstance(source, Locating) else source


@runtime_checkable
class ReadingOn(Protocol):
    """A source that reads on where blocks are asked for one by one."""

    def find_ready(self, cid: CID) -> bytes | None:
        """The block, if it is in memory; waits for nothing."""


class Checkable:
    """A source that is asked only for CIDs whose bytes can be checked.

    Stores look a digest up; which function it is of, they take on trust.
    """

    def __init__(self, source: BlockSource) -> None:
        self._source = source

    def get_block(self, cid: CID) -> bytes:
        """The block; InvalidDataError for a hash function we do not have."""
        verify_hash_known(cid)
        if cid.hash_code == IDENTITY:
            return cid.digest
        return self._source.get_block(cid)

    def locate(self, cids: Sequence[CID]) -> Checkable:
        """The same, these blocks looked up at once where the source can."""
        return Checkable(located(self._source, cids))


class Remembering:
    """A source that does not read a block again that it has just given.

    What a path names is asked for several times before it is sent: for its
    kind, its size, its chunks. It is for one answer; for the next, everything is
    read and hashed anew. Thread-safe.
    """

    def __init__(self, source: BlockSource) -> None:
        self._source = source
        self._last: tuple[CID, bytes] | None = None

    def get_block(self, cid: CID) -> bytes:
        """The block."""
        last = self._last
        if last is None or last[0] != cid:
            last = self._last = (cid, self._source.get_block(cid))
        return last[1]

    def locate(self, cids: Sequence[CID]) -> BlockSource:
        """A source of these blocks, looked up at once where that can be done."""
        if self._last is not None and [self._last[0]] == [*cids]:
            return self
        return located(self._source, cids)


def verify_hash_known(cid: CID) -> None:
    """Refuse a CID whose content cannot be checked. Raises InvalidDataError."""
    if cid.hash_code not in (SHA2_256, IDENTITY):
        msg = f"{cid} uses hash function {cid.hash_code:#x}, which is not supported"
        raise InvalidDataError(msg)


class Recorder:
    """A source that remembers what it gave, until that is taken."""

    def __init__(self, source: BlockSource) -> None:
        self._source = source
        self._given: deque[tuple[CID, bytes]] = deque()

    def get_block(self, cid: CID) -> bytes:
        """The block."""
        block = self._source.get_block(cid)
        self._given.append((cid, block))
        return block

    def take(self) -> Iterator[tuple[CID, bytes]]:
        """What was given since, in order."""
        while self._given:
            yield self._given.popleft()


def walk(source: BlockSource, root: CID, path: str) -> Walk:
    """Follow names separated by "/"; empty ones are skipped.

    Raises NotFoundError for what is not there, InvalidDataError for a node on
    the way that is broken.
    """
    recorder = Recorder(source)
    names = deque(filter(None, path.split("/")))
    current, passed, above = root, [root], []
    inside: tuple[str, ...] = ()
    while names and not inside:
        if current.codec == DAG_CBOR:
            target, inside = _pass_document(recorder, current, names, path)
        else:
            target = _pass_directory(recorder, current, names.popleft(), path)
        if inside:
            break
        above += [cid for cid, _ in recorder.take()]
        current = target
        passed.append(current)
    return Walk(current, tuple(passed), tuple(above), inside)


def _pass_directory(source: BlockSource, directory: CID, name: str, path: str) -> CID:
    try:
        return resolve(source, directory, name)[0]
    except NotFoundError as exc:
        if exc.facts.get("kind") == "file":
            raise NotFoundError("file", path) from exc
        raise


def _pass_document(
    source: BlockSource, document: CID, names: deque[str], path: str
) -> tuple[CID, tuple[str, ...]]:
    """The first link on the way, or the names that stay within the document."""
    value, taken = parse_dagcbor(source.get_block(document)), []
    while names:
        taken.append(names.popleft())
        value = _get_value(value, taken[-1], path)
        if isinstance(value, CID):
            return value, ()
    return document, tuple(taken)


def _get_value(value: Any, name: str, path: str) -> Any:
    try:
        return find_value(value, name)
    except KeyError as exc:
        raise NotFoundError("file", path) from exc
