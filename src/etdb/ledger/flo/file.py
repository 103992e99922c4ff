"""The blocks of an embedded chain on disk: one append-only file.

Knows where each block lies and that each follows the one before. What makes a
block valid is in `seal`; whose coins it moves, in `wallet`.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from etdb.durable import Log
from etdb.errors import DamagedFileError, InvalidDataError, NotFoundError
from etdb.ledger.base import Tip
from etdb.ledger.flo.block import HEADER_BYTES, FloBlock, Header
from etdb.ledger.flo.params import REGTEST

_FILE_NAME = "blocks.log"
_RESTORE = "the chain cannot be made again: restore its folder from a copy"


class _Head(NamedTuple):
    header: Header
    offset: int


class BlockFile:
    """Block 0 is regtest's and not in the file; every other block is one entry.

    Reading is thread-safe and sees what other processes have written; one
    process at a time may write. `torn_bytes` is what a crash had left at the
    end when the file was opened.
    """

    def __init__(self, folder: Path) -> None:
        self._log = Log(folder / _FILE_NAME)
        self._mutex = threading.Lock()
        genesis = REGTEST.genesis().header
        self._heads = [_Head(genesis, -1)]
        self.read_on()
        self.torn_bytes = self._log.torn_bytes

    def tip(self) -> Tip:
        """The last block that was read or written."""
        return Tip(len(self._heads) - 1, self._heads[-1].header.hash)

    def read_on(self) -> None:
        """Take in what other processes have written.

        Raises DamagedFileError where the file is damaged.
        """
        with self._mutex:
            while entries := self._log.read_new():
                for offset, entry in entries:
                    self._add(_parse_header(entry, self._log.path), offset)

    def append(self, blocks: Sequence[FloBlock]) -> None:
        """Write blocks that follow the tip, all of them or none, and sync.

        Raises UnavailableError where the disk refuses.
        """
        with self._mutex:
            offsets = self._log.append([block.encode() for block in blocks])
            for block, offset in zip(blocks, offsets, strict=True):
                self._add(block.header, offset)

    def cut(self) -> None:
        """Remove what a crash left at the end of the file."""
        with self._mutex:
            self._log.cut()

    def header(self, height: int) -> Header:
        """The header at a height. Raises NotFoundError."""
        return self._head(height).header

    def block(self, height: int) -> FloBlock:
        """The block at a height. Raises NotFoundError."""
        head = self._head(height)
        if height == 0:
            return REGTEST.genesis()
        return FloBlock.parse(self._log.read_at(head.offset))

    def _head(self, height: int) -> _Head:
        if height >= len(self._heads):
            self.read_on()
        if not 0 <= height < len(self._heads):
            raise NotFoundError("block at height", height)
        return self._heads[height]

    def _add(self, header: Header, offset: int) -> None:
        height = len(self._heads)
        if header.previous != self._heads[-1].header.hash_bytes:
            msg = f"{self._log.path}: block {height} does not follow the one before"
            raise DamagedFileError(msg, hint=_RESTORE, path=self._log.path)
        self._heads.append(_Head(header, offset))


def _parse_header(entry: bytes, path: Path) -> Header:
    try:
        return Header.parse(entry[:HEADER_BYTES])
    except InvalidDataError as exc:
        msg = f"{path} holds an entry that is no block"
        raise DamagedFileError(msg, hint=_RESTORE, path=path) from exc
