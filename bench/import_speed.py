"""Importing a large file, against OpenSSL hashing one hot buffer.

Both sides run in turn, with as many threads here as processes there. The file
is in the page cache: what is measured is hashing, reading and keeping digests,
not the disk.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from pathlib import Path

from bench import Figure, alternate, size_bytes
from etdb.store.inplace import InPlaceStore

OPENSSL_SECONDS = 1
OPENSSL_BYTES = 262_144
AT_LEAST = {1: 0.78, 2: 0.75}


def measure() -> list[Figure]:
    """One thread against one process, two against two."""
    with tempfile.TemporaryDirectory() as name:
        path = Path(name, "tilt-series.mrc")
        _write(path, size_bytes())
        return [_figure(path, threads) for threads in AT_LEAST]


def _figure(path: Path, threads: int) -> Figure:
    ours, openssl = alternate(
        [lambda: _import_rate(path, threads), lambda: _openssl_rate(threads)]
    )
    noun = ("thread", "process") if threads == 1 else ("threads", "processes")
    return Figure(
        what=f"import {path.stat().st_size / 1e9:g} GB, {threads} {noun[0]}",
        against=f"openssl speed SHA-256, {threads} {noun[1]}",
        ratio=ours / openssl,
        at_least=AT_LEAST[threads],
        detail=f"{ours / 1e6:,.0f} against {openssl / 1e6:,.0f} MB/s",
    )


def _write(path: Path, size: int) -> None:
    piece = 1 << 24
    with path.open("wb") as file:
        for start in range(0, size, piece):
            file.write(os.urandom(min(piece, size - start)))


def _import_rate(path: Path, threads: int) -> float:
    """Bytes per second into an empty store, until the digests are on disk."""
    with (
        tempfile.TemporaryDirectory() as folder,
        InPlaceStore.create(Path(folder, "store.sqlite")) as store,
    ):
        started = time.perf_counter()
        added = store.add_file(path, threads=threads)
        return added.size_bytes / (time.perf_counter() - started)


def _openssl_rate(processes: int) -> float:
    """Bytes per second, in the wall-clock time of all processes together."""
    command = ["openssl", "speed", "-mr", "-elapsed", "-evp", "sha256"]
    command += ["-seconds", str(OPENSSL_SECONDS), "-bytes", str(OPENSSL_BYTES)]
    if processes > 1:
        command += ["-multi", str(processes)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    (line,) = (text for text in done.stdout.splitlines() if text.startswith("+F:"))
    return float(line.split(":")[-1])
