"""One file from three sources at once, each held to 50 MB/s.

First all three are honest, against the 150 MB/s they have together. Then one
of them lies and one dies half-way: the bytes must be right all the same, and
the rate no less than what the honest one gives alone.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from bench import Figure, size_bytes
from bench.get_speed import NAME, memory_folder, record_of, serving_process
from etdb.client.download import download, plan
from etdb.client.sources import HttpSource
from etdb.store.inplace import InPlaceStore
from etdb.testing.gateway import FakeGateway, Fault

RATE_BYTES_S = 50_000_000
MAX_BYTES = 300_000_000
ROUNDS = 3
ANSWERS_OF_THE_DYING = 9


def measure() -> list[Figure]:
    """Three honest sources; then one honest, one lying, one dying."""
    size = min(size_bytes(), MAX_BYTES)
    with tempfile.TemporaryDirectory(dir=memory_folder(3 * size)) as name:
        folder = Path(name)
        path = folder / NAME
        digest = _fill(path, size)
        with InPlaceStore.create(folder / "store.sqlite") as store:
            root = store.add_tree({NAME: path}).root
        measured = [
            (kinds, _measure(folder, record_of(root), kinds, digest))
            for kinds in (("honest",) * 3, ("lying", "dying", "honest"))
        ]
    return [
        _figure("get from 3 sources of 50 MB/s", "150 MB/s", size, measured[0][1], 3),
        _figure(
            "the same, one lying and one dying half-way",
            "the honest one's 50 MB/s",
            size,
            measured[1][1],
            1,
        ),
    ]


def _figure(what: str, against: str, size: int, taken_s: float, count: int) -> Figure:
    rate = size / taken_s
    ratio = rate / (count * RATE_BYTES_S)
    return Figure(what, against, ratio, 0.9, f"{rate / 1e6:,.0f} MB/s")


def _fill(path: Path, size: int) -> bytes:
    hashed = hashlib.sha256()
    with path.open("wb") as file:
        for start in range(0, size, 1 << 24):
            data = os.urandom(min(1 << 24, size - start))
            hashed.update(data)
            file.write(data)
    return hashed.digest()


def _measure(
    folder: Path, record: dict[str, Any], kinds: Sequence[str], digest: bytes
) -> float:
    """The best of some rounds, in seconds; new servers for each."""
    target = folder / "got"
    taken = []
    for _ in range(ROUNDS):
        shutil.rmtree(target, ignore_errors=True)
        with _sources(folder / "store.sqlite", kinds) as sources:
            started = time.perf_counter()
            outcome = download(plan(record, sources, target), sources)
            taken.append(time.perf_counter() - started)
        assert [file.state for file in outcome.files] == ["done"], outcome
        with (target / NAME).open("rb") as file:
            assert hashlib.file_digest(file, "sha256").digest() == digest
    return sorted(taken)[len(taken) // 2]


@contextmanager
def _sources(store: Path, kinds: Sequence[str]) -> Iterator[list[HttpSource]]:
    with ExitStack() as stack:
        urls = [
            stack.enter_context(
                serving_process("bench.sources_speed", str(store), kind)
            )
            for kind in kinds
        ]
        yield [stack.enter_context(HttpSource(url)) for url in urls]


def _serve(path: Path, kind: str) -> None:
    faults = {
        "honest": [],
        "lying": [Fault("none", on="format=raw"), Fault("lie", at=1 << 20)],
        "dying": [
            Fault("none", on="/ipfs/", times=ANSWERS_OF_THE_DYING),
            Fault("status", at=503),
        ],
    }[kind]
    with (
        InPlaceStore.open(path) as store,
        FakeGateway(store, faults=faults, rate_bytes_s=RATE_BYTES_S) as gateway,
    ):
        print(gateway.url, flush=True)
        threading.Event().wait()


if __name__ == "__main__":
    _serve(Path(sys.argv[1]), sys.argv[2])
