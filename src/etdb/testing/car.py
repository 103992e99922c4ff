"""Reading CAR files of version 1, in which public test data comes.

The whole file is held in memory. A file that is cut is refused, unless that is
between two blocks, where the format cannot tell; blocks are not hashed, so
that `Verified` has something to do.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from etdb.errors import InvalidDataError, NotFoundError
from etdb.identity import CID, decode_varint
from etdb.store.dagcbor import parse_dagcbor
from etdb.testing.store import MemoryStore


class CarFile:
    """The blocks of a CAR, by CID."""

    def __init__(self, data: bytes) -> None:
        size, start = decode_varint(data)
        _verify_fits(start + size, len(data))
        self.roots = _parse_roots(data[start : start + size])
        self._blocks: dict[bytes, bytes] = {}
        self._sections: list[tuple[CID, bytes]] = []
        position = start + size
        while position < len(data):
            size, start = decode_varint(data, position)
            position = start + size
            _verify_fits(position, len(data))
            cid, begin = CID.read(data, start)
            _verify_fits(begin, position)
            self._blocks[cid.digest] = data[begin:position]
            self._sections.append((cid, data[begin:position]))

    @classmethod
    def read(cls, path: Path) -> CarFile:
        """One that lies on disk. Raises InvalidDataError."""
        try:
            return cls(path.read_bytes())
        except InvalidDataError as exc:
            msg = f"{path.name}: {exc.message}"
            raise InvalidDataError(msg) from exc

    def get_block(self, cid: CID) -> bytes:
        """The block. Raises NotFoundError."""
        if cid.digest not in self._blocks:
            raise NotFoundError("chunk", cid)
        return self._blocks[cid.digest]

    def iter_blocks(self) -> Iterator[tuple[CID, bytes]]:
        """Every section, under the CID it stands in the file with."""
        return iter(self._sections)


def read_store(paths: Iterable[Path]) -> MemoryStore:
    """A store that holds the blocks of CAR files."""
    store = MemoryStore()
    for path in paths:
        for cid, block in CarFile.read(path).iter_blocks():
            store.put(cid, block)
    return store


def _verify_fits(end: int, limit: int) -> None:
    if end > limit:
        msg = f"a CAR file that is cut: {end} bytes expected, {limit} there"
        raise InvalidDataError(msg)


def _parse_roots(header: bytes) -> tuple[CID, ...]:
    value = parse_dagcbor(header)
    if not isinstance(value, dict) or value.get("version") != 1:
        msg = "not a CAR file of version 1"
        raise InvalidDataError(msg)
    return tuple(value.get("roots") or ())
