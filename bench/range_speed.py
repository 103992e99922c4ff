"""How much is fetched to read one range of a large remote file.

A file of 4 GB, sparse on disk but for the middle, is served by etdb's own
gateway; every block and chunk that comes is counted.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from bench import Figure
from etdb.client.content import DatasetFile
from etdb.client.reader import open_remote
from etdb.client.sources import HttpSource
from etdb.client.supply import Supply
from etdb.identity import CID
from etdb.store.inplace import InPlaceStore
from etdb.store.verified import Chunk
from etdb.testing.catalogue import MemoryCatalogue
from etdb.web.app import Site, create_app
from etdb.web.server import running

SIZE_BYTES = 4_000_000_000
NOISE_AT, NOISE_BYTES = 2_000_000_000, 32_000_000
ASKED_BYTES = 1_000_000
NAME = "tomogram.mrc"


def measure() -> list[Figure]:
    """One range of 1 MB, of an odd beginning; a fresh connection and cache."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        path = folder / NAME
        with path.open("wb") as file:
            file.truncate(SIZE_BYTES)
            file.seek(NOISE_AT)
            file.write(os.urandom(NOISE_BYTES))
        with InPlaceStore.create(folder / "store.sqlite") as store:
            cid = store.add_tree({NAME: path}).files[NAME].cid
            site = Site(MemoryCatalogue(), store, "bench", "0", status=dict)
            with running(create_app(site)) as url:
                fetched, taken_s = _read(url, cid, path)
    return [
        Figure(
            what="one 1 MB range of a 4 GB file (file.open)",
            against="bytes fetched ÷ bytes asked, at most 4 (shown as 4 ÷ that)",
            ratio=4 * ASKED_BYTES / fetched,
            at_least=1.0,
            detail=f"{fetched / ASKED_BYTES:.2f} times what was asked,"
            f" in {1000 * taken_s:.0f} ms",
        )
    ]


def _read(url: str, cid: CID, path: Path) -> tuple[int, float]:
    """(bytes of blocks and ranges that came, seconds); the bytes are compared."""
    start = NOISE_AT + 11_500_321
    with HttpSource(url) as source:
        counted = _Counted([source])
        began = time.perf_counter()
        with open_remote(counted, DatasetFile(NAME, cid, SIZE_BYTES)) as file:
            file.seek(start)
            found = file.read(ASKED_BYTES)
        taken_s = time.perf_counter() - began
    with path.open("rb") as right:
        right.seek(start)
        assert found == right.read(ASKED_BYTES), "wrong bytes"
    return counted.size_bytes, taken_s


class _Counted(Supply):
    """Counts the blocks and chunks that come."""

    size_bytes = 0

    def get_block(self, cid: CID) -> bytes:
        block = super().get_block(cid)
        self.size_bytes += len(block)
        return block

    def iter_run(
        self, file: CID, run: Sequence[Chunk]
    ) -> Iterator[tuple[Chunk, bytes]]:
        for chunk, data in super().iter_run(file, run):
            self.size_bytes += len(data)
            yield chunk, data
