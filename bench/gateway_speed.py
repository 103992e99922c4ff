"""The gateway sending a whole file, every chunk hashed, against itself unhashed.

The other side is the same gateway over a source that reads the same bytes and
takes the disk's word for them. Both are taken by curl, in turn; the file is in
the page cache.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench import Figure, alternate, size_bytes
from etdb.cli import collect_rarely
from etdb.identity import CID
from etdb.store.inplace import InPlaceStore
from etdb.store.verified import iter_chunks
from etdb.testing.catalogue import MemoryCatalogue
from etdb.web.app import Site, create_app
from etdb.web.server import serve

NAME = "tilt-series.mrc"


class Unhashed:
    """The blocks of one file, its leaves straight from the disk."""

    def __init__(self, store: InPlaceStore, path: Path, cid: CID) -> None:
        self._store = store
        self._file = path.open("rb")
        chunks = iter_chunks(store, cid)
        self._places = {
            chunk.cid.digest: (chunk.size, chunk.offset) for chunk in chunks
        }

    def get_block(self, cid: CID) -> bytes:
        """The block, as the disk has it."""
        if cid.digest not in self._places:
            return self._store.get_block(cid)
        return os.pread(self._file.fileno(), *self._places[cid.digest])


def measure() -> list[Figure]:
    """Hashed against not hashed."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        path = folder / NAME
        with path.open("wb") as file:
            for start in range(0, size_bytes(), 1 << 24):
                file.write(os.urandom(min(1 << 24, size_bytes() - start)))
        with InPlaceStore.create(folder / "store.sqlite") as store:
            cid = store.add_file(path).cid
        with (
            _serving(folder, cid, "hashed") as ours,
            _serving(folder, cid, "") as plain,
        ):
            hashed, unhashed = alternate([lambda: _rate(ours), lambda: _rate(plain)])
    return [
        Figure(
            what="gateway, whole file, every chunk hashed",
            against="the same without the hash",
            ratio=hashed / unhashed,
            at_least=None,
            detail=f"{hashed / 1e6:,.0f} against {unhashed / 1e6:,.0f} MB/s",
        )
    ]


def _rate(url: str) -> float:
    """Bytes per second that curl takes."""
    started = time.perf_counter()
    subprocess.run(["curl", "-sSf", "-o", "/dev/null", url], check=True)
    return size_bytes() / (time.perf_counter() - started)


@contextmanager
def _serving(folder: Path, cid: CID, how: str) -> Iterator[str]:
    """A server in a process of its own; the file's address."""
    command = [sys.executable, "-m", "bench.gateway_speed"]
    command += [str(folder), str(cid), how]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield f"{process.stdout.readline().strip()}/ipfs/{cid}"
        finally:
            process.terminate()


def _serve(folder: Path, cid: CID, *, is_hashed: bool) -> None:
    collect_rarely()
    with InPlaceStore.open(folder / "store.sqlite") as store:
        source = store if is_hashed else Unhashed(store, folder / NAME, cid)
        site = Site(MemoryCatalogue(), source, "bench", "0", status=dict)
        serve(create_app(site), "127.0.0.1", 0, lambda url: print(url, flush=True))


if __name__ == "__main__":
    _serve(Path(sys.argv[1]), CID.parse(sys.argv[2]), is_hashed=sys.argv[3] == "hashed")
