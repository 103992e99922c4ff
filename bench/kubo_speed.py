"""Importing and serving, against a real Kubo on the same bytes in the same run.

Kubo is built from the module that the tests pin it by; it talks to nobody.
Both sides run in turn; files are in the page cache. Downloads are curl's.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench import Figure, alternate, size_bytes
from etdb.cli import collect_rarely
from etdb.identity import CID
from etdb.store.inplace import InPlaceStore
from etdb.store.verified import iter_chunks
from etdb.testing.catalogue import MemoryCatalogue
from etdb.testing.kubo import Kubo, build_kubo
from etdb.web.app import Site, create_app
from etdb.web.server import serve

ROOT = Path(__file__).resolve().parent.parent
PROFILE = "unixfs-v1-2025"
FILESTORE = {"Experimental": {"FilestoreEnabled": True}}
NAME = "tilt-series.mrc"
SMALL_FILES = 20_000
SMALL_BYTES = 4_000
CLIENTS = 4


def measure() -> list[Figure]:
    """Import, then serve."""
    collect_rarely()
    program = build_kubo(ROOT / "tests" / "interop" / "ipfs" / "kubo", ROOT / ".cache")
    with tempfile.TemporaryDirectory() as name:
        base = Path(name)
        path = base / NAME
        with path.open("wb") as file:
            for start in range(0, size_bytes(), 1 << 24):
                file.write(os.urandom(min(1 << 24, size_bytes() - start)))
        return [
            _import_file(program, base, path),
            _import_small(program, base),
            *_gateway(program, base, path),
        ]


def _figure(
    what: str, against: str, rates: Sequence[float], at_least: float | None
) -> Figure:
    ours, theirs = rates
    return Figure(
        what=what,
        against=against,
        ratio=ours / theirs,
        at_least=at_least,
        detail=f"{ours / 1e6:,.0f} against {theirs / 1e6:,.0f} MB/s",
    )


def _import_file(program: Path, base: Path, path: Path) -> Figure:
    rates = alternate(
        [
            lambda: size_bytes() / _our_import({"": path}),
            lambda: size_bytes() / _their_import(program, base, path),
        ]
    )
    against = "Kubo add --nocopy, 1 MiB chunks"
    what = f"import {size_bytes() / 1e9:g} GB, 2 threads"
    return _figure(what, against, rates, 2.0)


def _import_small(program: Path, base: Path) -> Figure:
    folder = base / "small"
    folder.mkdir()
    paths = {
        name: folder / name for name in map("{:05}.mrc".format, range(SMALL_FILES))
    }
    for path in paths.values():
        path.write_bytes(os.urandom(SMALL_BYTES))
    total = SMALL_FILES * SMALL_BYTES
    rates = alternate(
        [
            lambda: total / _our_import(paths),
            lambda: total / _their_import(program, base, folder),
        ],
        rounds=3,
    )
    what = f"import {SMALL_FILES:,} files of {SMALL_BYTES:,} bytes"
    return _figure(what, "Kubo add -r --nocopy", rates, 5.0)


def _our_import(files: dict[str, Path]) -> float:
    """Seconds until every digest is on disk, in an empty store."""
    with (
        tempfile.TemporaryDirectory() as folder,
        InPlaceStore.create(Path(folder, "store.sqlite")) as store,
    ):
        started = time.perf_counter()
        if "" in files:
            store.add_file(files[""], threads=2)
        else:
            store.add_tree(files, threads=2)
        return time.perf_counter() - started


def _their_import(program: Path, base: Path, path: Path) -> float:
    """Seconds that `ipfs add --nocopy` takes, in an empty repository.

    It takes by reference only what lies beside its repository.
    """
    repo = base / f"repo-{time.monotonic_ns()}"
    kubo = Kubo.create(program, repo, profile=PROFILE, settings=FILESTORE)
    started = time.perf_counter()
    kubo.run("add", "-r", "-Q", "--nocopy", path)
    return time.perf_counter() - started


@dataclass(frozen=True)
class Sides:
    """The same file behind our gateway and behind Kubo's."""

    cid: CID
    blocks: Sequence[CID]
    ours: str
    theirs: str

    def rates(self, take: Callable[[str], float]) -> list[float]:
        """Bytes per second from each."""
        return alternate([lambda: take(self.ours), lambda: take(self.theirs)])

    def path(self, url: str) -> float:
        """One client takes the file."""
        return _taken([[f"{url}/ipfs/{self.cid}"]])

    def path_by_many(self, url: str) -> float:
        """Several clients take the file at once."""
        return _taken([[f"{url}/ipfs/{self.cid}"]] * CLIENTS)

    def car(self, url: str) -> float:
        """One client takes all blocks in one stream."""
        return _taken([[f"{url}/ipfs/{self.cid}?format=car"]])

    def raw(self, url: str) -> float:
        """One client takes block after block."""
        return _taken([[f"{url}/ipfs/{cid}?format=raw" for cid in self.blocks]])


def _taken(clients: Sequence[Sequence[str]]) -> float:
    """Bytes of files per second, all clients together; each is a curl."""
    started = time.perf_counter()
    running = []
    for urls in clients:
        config = "".join(f'url = "{url}"\noutput = /dev/null\n' for url in urls)
        process = subprocess.Popen(["curl", "-sSf", "-K", "-"], stdin=subprocess.PIPE)
        assert process.stdin is not None
        process.stdin.write(config.encode())
        process.stdin.close()
        running.append(process)
    assert [process.wait() for process in running] == [0] * len(running)
    return len(clients) * size_bytes() / (time.perf_counter() - started)


def _gateway(program: Path, base: Path, path: Path) -> list[Figure]:
    with InPlaceStore.create(base / "store.sqlite") as store:
        cid = store.add_file(path).cid
        blocks = [chunk.cid for chunk in iter_chunks(store, cid)]
    kubo = Kubo.create(program, base / "served", profile=PROFILE)
    assert kubo.run("add", "-Q", path) == str(cid)
    figures = []
    with _serving(base) as ours:
        kubo.configure({"Datastore": {"HashOnRead": True}})
        with kubo.running():
            sides = Sides(cid, blocks, ours, kubo.gateway_url)
            rates = sides.rates(sides.path)
            figures.append(_figure("gateway, file", "Kubo that hashes too", rates, 1.2))
        kubo.configure({"Datastore": {"HashOnRead": False}})
        with kubo.running():
            sides = Sides(cid, blocks, ours, kubo.gateway_url)
            for what, take, at_least in (
                ("gateway, file", sides.path, 0.95),
                (f"gateway, file, {CLIENTS} clients", sides.path_by_many, None),
                ("gateway, CAR", sides.car, 2.0),
                ("gateway, raw blocks", sides.raw, 1.0),
            ):
                rates = sides.rates(take)
                figures.append(
                    _figure(what, "Kubo that does not hash", rates, at_least)
                )
            figures.append(_pinning(kubo, base, sides))
    return figures


def _pinning(served: Kubo, base: Path, sides: Sides) -> Figure:
    """Kubo fetches the file from us over HTTP, and from Kubo over bitswap."""
    by_http = {"Routing": {"Type": "delegated", "DelegatedRouters": [sides.ours]}}
    peers = served.run("id", "-f", "<addrs>").split()

    def pinned(settings: Mapping[str, Any], peers: Sequence[str]) -> float:
        """Bytes per second, into an empty repository."""
        with tempfile.TemporaryDirectory(dir=base) as folder:
            kubo = Kubo.create(
                served.program, Path(folder, "repo"), profile=PROFILE, settings=settings
            )
            with kubo.running():
                for peer in peers:
                    kubo.run("swarm", "connect", peer)
                started = time.perf_counter()
                kubo.run("pin", "add", sides.cid)
                return size_bytes() / (time.perf_counter() - started)

    rates = alternate(
        [lambda: pinned(by_http, ()), lambda: pinned({}, peers[:1])], rounds=3
    )
    return _figure("Kubo pins a file over HTTP", "from Kubo, by bitswap", rates, None)


@contextmanager
def _serving(base: Path) -> Iterator[str]:
    """Our gateway in a process of its own; its address."""
    command = [sys.executable, "-m", "bench.kubo_speed", str(base)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.terminate()


def _serve(base: Path) -> None:
    collect_rarely()
    with InPlaceStore.open(base / "store.sqlite") as store:
        site = Site(MemoryCatalogue(), store, "bench", "0", status=dict)
        serve(create_app(site), "127.0.0.1", 0, lambda url: print(url, flush=True))


if __name__ == "__main__":
    _serve(Path(sys.argv[1]))
