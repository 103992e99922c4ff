"""Reading CAR files of version 1, in which public test data comes.

The whole file is held in memory. A file that is cut is refused, unless that is
between two blocks, where the format cannot tell; blocks are not hashed, so
that `Verified` has something to do.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from etdb.errors import InvalidDataError, NotFoundError
from etdb.identity import CID, decode_varint

_ROOTS = b"\xa2eroots"
_ROOT_HEAD = 5
"""Tag 42, a byte string, its length, a zero byte; then the CID."""


class CarFile:
    """The blocks of a CAR file, by CID."""

    def __init__(self, path: Path) -> None:
        data = path.read_bytes()
        size, start = decode_varint(data)
        _verify_fits(start + size, data)
        self.roots = _parse_roots(data[start : start + size])
        self._blocks: dict[bytes, bytes] = {}
        self._sections: list[tuple[CID, bytes]] = []
        position = start + size
        while position < len(data):
            size, start = decode_varint(data, position)
            position = start + size
            _verify_fits(position, data)
            cid, begin = CID.read(data[:position], start)
            self._blocks[cid.digest] = data[begin:position]
            self._sections.append((cid, data[begin:position]))

    def get_block(self, cid: CID) -> bytes:
        """The block. Raises NotFoundError."""
        if cid.digest not in self._blocks:
            raise NotFoundError("chunk", cid)
        return self._blocks[cid.digest]

    def iter_blocks(self) -> Iterator[tuple[CID, bytes]]:
        """Every block, under the CID it stands in the file with."""
        return iter(self._sections)


def _verify_fits(end: int, data: bytes) -> None:
    if end > len(data):
        msg = f"a CAR file that is cut: {end} bytes expected, {len(data)} there"
        raise InvalidDataError(msg)


def _parse_roots(header: bytes) -> tuple[CID, ...]:
    assert header.startswith(_ROOTS)
    roots, position = [], len(_ROOTS) + 1
    for _ in range(header[len(_ROOTS)] & 0x1F):
        cid, position = CID.read(header, position + _ROOT_HEAD)
        roots.append(cid)
    return tuple(roots)
