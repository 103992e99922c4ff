"""A remote file to read from like a local one; every byte verified first.

What is fetched are whole chunks, at most 2 MiB each, because less cannot be
checked. Reading on in order fetches ahead, as much again as was read in order
before; reading here and there fetches nothing that was not asked for.
"""

from __future__ import annotations

import io
from collections import OrderedDict
from collections.abc import Iterator
from typing import TYPE_CHECKING

from etdb.client.content import DatasetFile, is_raw
from etdb.client.supply import Supply
from etdb.errors import InvalidDataError
from etdb.identity import CID
from etdb.store.unixfs import MAX_BLOCK_BYTES
from etdb.store.verified import Chunk, chunk_data, file_size, iter_chunks

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

CACHE_BYTES = 64 * 1024 * 1024
"""Of the blocks and chunks that were used last, kept for each open file."""
MIN_CACHE_BYTES = 8 * MAX_BLOCK_BYTES
AHEAD_BYTES = 8 * 1024 * 1024
"""At most fetched before it is asked for."""
BUFFER_BYTES = 64 * 1024


def open_remote(
    supply: Supply, file: DatasetFile, *, cache_bytes: int = CACHE_BYTES
) -> io.BufferedReader:
    """A seekable binary file to read from; its `raw` is a `RemoteFile`.

    Raises what is wrong with the file's first block.
    """
    return io.BufferedReader(RemoteFile(supply, file, cache_bytes), BUFFER_BYTES)


class RemoteFile(io.RawIOBase):
    """One file of a dataset, fetched where it is read; for one thread at a time.

    Reading raises ContentMismatchError, NotFoundError or UnavailableError and
    gives no byte that is not right; the same read may be tried again.
    """

    def __init__(self, supply: Supply, file: DatasetFile, cache_bytes: int) -> None:
        if file.problem is not None:
            raise file.problem
        self.name = file.name
        self.size_bytes = file.size_bytes
        self._cid = file.cid
        self._blocks = _Recent(supply, max(cache_bytes, MIN_CACHE_BYTES))
        self._supply = supply
        self._position = 0
        self._last_end = -1
        self._in_order_bytes = 0
        if file_size(self._blocks, file.cid) != file.size_bytes:
            msg = f"{file.name!r} is not the {file.size_bytes} bytes its folder says"
            raise InvalidDataError(msg)

    def readable(self) -> bool:
        """Yes, and nothing else can be done with it."""
        return True

    def seekable(self) -> bool:
        """Yes; seeking fetches nothing."""
        return True

    def tell(self) -> int:
        """The position of the next byte."""
        self._refuse_closed()
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        """Move, also beyond the end; ValueError for a place before the start."""
        self._refuse_closed()
        origins = {
            io.SEEK_SET: 0,
            io.SEEK_CUR: self._position,
            io.SEEK_END: self.size_bytes,
        }
        if whence not in origins or origins[whence] + offset < 0:
            msg = f"cannot seek to {offset} from {whence}"
            raise ValueError(msg)
        self._position = origins[whence] + offset
        return self._position

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        """Fill the buffer; a small one at most to the end of a chunk."""
        self._refuse_closed()
        view = memoryview(buffer).cast("B")
        view = view[: max(0, self.size_bytes - self._position)]
        if not view:
            return 0
        is_small = len(view) <= BUFFER_BYTES
        count = self._fill(view, is_small=is_small)
        self._position += count
        self._last_end = self._position
        self._in_order_bytes += count
        return count

    def _refuse_closed(self) -> None:
        if self.closed:
            raise ValueError("the file is closed")

    def _fill(self, view: memoryview, *, is_small: bool) -> int:
        if self._position != self._last_end:
            self._in_order_bytes = 0
        start = self._position
        stop = start + (1 if is_small else len(view))
        ahead = stop + min(self._in_order_bytes, AHEAD_BYTES)
        filled = 0
        for chunk in iter_chunks(self._blocks, self._cid, start, stop):
            data = self._get_data(chunk, ahead)
            part = data[start + filled - chunk.offset :][: len(view) - filled]
            view[filled : filled + len(part)] = part
            filled += len(part)
        return filled

    def _get_data(self, chunk: Chunk, ahead: int) -> bytes:
        """The bytes of a chunk; what is fetched for it goes on until `ahead`."""
        if not is_raw(chunk):
            return chunk_data(chunk.cid, self._blocks.get_block(chunk.cid))
        data = self._blocks.find(chunk.cid)
        if data is None:
            run = tuple(self._iter_missing(chunk, ahead))
            for fetched, fresh in self._supply.iter_run(self._cid, run):
                self._blocks.keep(fetched.cid, fresh)
            data = self._blocks.find(chunk.cid)
        assert data is not None, "a run is smaller than what is kept"
        return data

    def _iter_missing(self, first: Chunk, ahead: int) -> Iterator[Chunk]:
        """Adjoining chunks that have to be fetched, half of what is kept at most."""
        left_bytes = self._blocks.capacity_bytes // 2
        stop = max(ahead, first.offset + first.size)
        for chunk in iter_chunks(self._blocks, self._cid, first.offset, stop):
            if chunk.size > MAX_BLOCK_BYTES:
                msg = f"a chunk of {chunk.size} bytes in {self.name!r}"
                raise InvalidDataError(msg)
            left_bytes -= chunk.size
            is_here = self._blocks.find(chunk.cid) is not None
            if left_bytes < 0 or is_here or not is_raw(chunk):
                return
            yield chunk


class _Recent:
    """Verified blocks, of which those used last are kept."""

    def __init__(self, supply: Supply, capacity_bytes: int) -> None:
        self.capacity_bytes = capacity_bytes
        self._supply = supply
        self._kept: OrderedDict[CID, bytes] = OrderedDict()
        self._size_bytes = 0

    def get_block(self, cid: CID) -> bytes:
        block = self.find(cid)
        if block is None:
            block = self._supply.get_block(cid)
            self.keep(cid, block)
        return block

    def find(self, cid: CID) -> bytes | None:
        block = self._kept.get(cid)
        if block is not None:
            self._kept.move_to_end(cid)
        return block

    def keep(self, cid: CID, block: bytes) -> None:
        self._size_bytes += len(block) - len(self._kept.pop(cid, b""))
        self._kept[cid] = block
        while self._size_bytes > self.capacity_bytes:
            _, dropped = self._kept.popitem(last=False)
            self._size_bytes -= len(dropped)
