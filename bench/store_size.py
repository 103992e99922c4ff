"""How large the store grows, against Kubo's filestore at chunks of 1 MiB.

The file is sparse but for a number in each chunk, so that no two are alike: a
store keeps a chunk that repeats only once, and would look smaller than it is.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from bench import Figure
from etdb.store.inplace import InPlaceStore
from etdb.store.unixfs import UNIXFS_V1_2025

TB = 10**12
KUBO_BYTES_PER_TB = 146e6
"""Kubo 0.42's filestore, measured at the same chunks with a path of 9 bytes."""
LIMIT_BYTES_PER_TB = 100e6


def measure() -> list[Figure]:
    """One file, a fiftieth of a terabyte unless ETDB_BENCH_SPARSE_GB says else."""
    size = int(os.environ.get("ETDB_BENCH_SPARSE_GB", "20")) * 10**9
    with tempfile.TemporaryDirectory() as name:
        path = Path(name, "tilt-series.mrc")
        _write_sparse(path, size)
        per_tb = _store_bytes(Path(name, "store.sqlite"), path) * TB / size
    return [
        Figure(
            what=f"store's size, measured on {size / 1e9:g} GB",
            against="Kubo's filestore, 146 MB per TB",
            ratio=KUBO_BYTES_PER_TB / per_tb,
            at_least=KUBO_BYTES_PER_TB / LIMIT_BYTES_PER_TB,
            detail=f"{per_tb / 1e6:.0f} MB per TB",
        )
    ]


def _write_sparse(path: Path, size: int) -> None:
    with path.open("wb") as file:
        file.truncate(size)
        for number in range(-(-size // UNIXFS_V1_2025.chunk_bytes)):
            file.seek(number * UNIXFS_V1_2025.chunk_bytes)
            file.write(number.to_bytes(8, "big"))


def _store_bytes(database: Path, path: Path) -> int:
    """What importing adds to an empty store, once all of it is in one file."""
    InPlaceStore.create(database).close()
    empty = database.stat().st_size
    with InPlaceStore.open(database) as store:
        store.add_file(path)
    return database.stat().st_size - empty
