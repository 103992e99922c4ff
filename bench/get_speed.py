"""Downloading a large file with every chunk verified, against `curl -o`.

Both take the same file from the same server, in turn: once from etdb's own
gateway at full speed, once from a server that gives 100 MB/s to either. Files
lie in memory where the system has a place for that: `get` waits until each
file is on disk and curl does not, and the disk is not what is measured.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench import Figure, alternate, size_bytes
from etdb.client.download import download, plan
from etdb.client.sources import HttpSource
from etdb.identity import CID
from etdb.record.canonical import digest_of, parse_message_text
from etdb.record.oip042 import read_envelope
from etdb.store.inplace import InPlaceStore
from etdb.testing.catalogue import MemoryCatalogue
from etdb.testing.gateway import FakeGateway
from etdb.testing.records import Author
from etdb.web.app import Site, create_app
from etdb.web.server import serve

HELD_BYTES_S = 100_000_000
HELD_MAX_BYTES = 300_000_000
NAME = "tilt-series.mrc"


def measure() -> list[Figure]:
    """At full speed, and with both held to 100 MB/s."""
    full = _compare(size_bytes(), is_held=False)
    held = _compare(min(size_bytes(), HELD_MAX_BYTES), is_held=True)
    return [
        _figure("get, verified, from one source", full, 0.9),
        _figure("the same, both held to 100 MB/s", held, 0.95),
    ]


def _figure(what: str, rates: list[float], at_least: float) -> Figure:
    ours, curl = rates
    return Figure(
        what=what,
        against="curl -o from the same server",
        ratio=ours / curl,
        at_least=at_least,
        detail=f"{ours / 1e6:,.0f} against {curl / 1e6:,.0f} MB/s",
    )


def _compare(size: int, *, is_held: bool) -> list[float]:
    with tempfile.TemporaryDirectory(dir=memory_folder(3 * size)) as name:
        folder = Path(name)
        path = folder / NAME
        with path.open("wb") as file:
            for start in range(0, size, 1 << 24):
                file.write(os.urandom(min(1 << 24, size - start)))
        with InPlaceStore.create(folder / "store.sqlite") as store:
            tree = store.add_tree({NAME: path})
        record, file_cid = record_of(tree.root), tree.files[NAME].cid
        words = [str(folder / "store.sqlite"), *(["held"] if is_held else [])]
        with serving_process("bench.get_speed", *words) as url:
            return alternate(
                [
                    lambda: size / _get(record, url, folder / "got"),
                    lambda: size / _curl(f"{url}/ipfs/{file_cid}", folder / "got"),
                ],
                rounds=3 if is_held else 9,
            )


def memory_folder(size: int) -> Path | None:
    """A file system in memory with so much room; None for the usual place."""
    memory = Path("/dev/shm")
    if memory.is_dir() and shutil.disk_usage(memory).free > size:
        return memory
    return None


def record_of(root: CID) -> dict[str, Any]:
    """A signed record of a dataset."""
    author = Author()
    storage = {"network": "ipfs", "location": str(root), "files": []}
    text = author.publish(author.artifact(storage=storage))
    body = read_envelope(parse_message_text(text)).body
    return {"id": digest_of("publish", body), "text": text}


def _get(record: dict[str, Any], url: str, folder: Path) -> float:
    """Seconds of a whole download, from the record to the last rename."""
    shutil.rmtree(folder, ignore_errors=True)
    started = time.perf_counter()
    with HttpSource(url) as source:
        results = download(plan(record, [source], folder), [source]).files
    taken = time.perf_counter() - started
    assert [result.state for result in results] == ["done"], results
    return taken


def _curl(url: str, folder: Path) -> float:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    started = time.perf_counter()
    subprocess.run(["curl", "-sSf", "-o", folder / NAME, url], check=True)
    return time.perf_counter() - started


@contextmanager
def serving_process(module: str, *words: str) -> Iterator[str]:
    """A server in a process of its own; its address."""
    command = [sys.executable, "-m", module, *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.terminate()


def _serve(path: Path, *, is_held: bool) -> None:
    with InPlaceStore.open(path) as store:
        if is_held:
            with FakeGateway(store, rate_bytes_s=HELD_BYTES_S) as gateway:
                print(gateway.url, flush=True)
                threading.Event().wait()
        site = Site(MemoryCatalogue(), store, "bench", "0", status=dict)
        serve(create_app(site), "127.0.0.1", 0, lambda url: print(url, flush=True))


if __name__ == "__main__":
    _serve(Path(sys.argv[1]), is_held="held" in sys.argv[2:])
