"""Clients that ask and never take: what they cost is bounded, and passes."""

from __future__ import annotations

import contextlib
import select
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from etdb.errors import UnavailableError
from etdb.identity import CID, RAW
from etdb.testing.catalogue import MemoryCatalogue
from etdb.testing.store import MemoryStore
from etdb.web.app import Site, create_app
from etdb.web.connection import Limits
from etdb.web.server import running
from etdb.web.stream import SMALL_PER_STREAM, Slots

CHUNK = bytes(1 << 20)
CHUNKS = 64
READERS = 200
STREAMS = 32
MOST_PER_STREAM = 20
"""Chunks read for a client that takes none: some are ours, some the kernel's."""


class CountingStore(MemoryStore):
    """Counts the chunks that are read."""

    def __init__(self) -> None:
        self.chunks_read = 0
        super().__init__(self._count)
        self.large = self.add_chunks([CHUNK] * CHUNKS).cid

    def _count(self, cid: CID) -> None:
        self.chunks_read += cid.codec == RAW


@contextlib.contextmanager
def serving(store: MemoryStore, limits: Limits, **parts: Any) -> Iterator[str]:
    site = Site(
        catalogue=MemoryCatalogue(),
        store=store,
        name="Lab",
        version="0",
        status=dict,
        **parts,
    )
    with running(create_app(site), limits=limits) as url:
        yield url


def connect(url: str) -> socket.socket:
    """A connection whose own buffer takes next to nothing."""
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.settimeout(30)
    host, _, port = url.partition("://")[2].rpartition(":")
    client.connect((host, int(port)))
    return client


def ask(url: str, path: str) -> socket.socket:
    client = connect(url)
    client.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    return client


def status_of(client: socket.socket) -> str:
    head = b""
    while len(head) < len(b"HTTP/1.1 200"):
        head += client.recv(12 - len(head))
    return head[9:].decode()


def is_dropped(client: socket.socket, within_s: float) -> bool:
    """Whether the other side hung up, taken or not what it sent before."""
    poll = select.poll()
    poll.register(client, select.POLLHUP | select.POLLERR | select.POLLRDHUP)
    return bool(poll.poll(within_s * 1000))


def statuses_of_readers(store: CountingStore, max_streams: int) -> list[str]:
    """What many readers are told who then read nothing; an honest one is served."""
    path = f"/ipfs/{store.large}"
    with (
        serving(store, Limits(), max_streams=max_streams) as url,
        contextlib.ExitStack() as stack,
    ):
        readers = [stack.enter_context(ask(url, path)) for _ in range(READERS)]
        statuses = [status_of(reader) for reader in readers]
        if "503" in statuses:
            assert store.chunks_read <= STREAMS * MOST_PER_STREAM
            assert httpx.get(f"{url}/about").status_code == 200
            block = httpx.get(f"{url}{path}?format=raw")
            assert block.status_code == 200
            refusal = httpx.get(url + path)
            assert refusal.headers["retry-after"] == "5"
            assert refusal.json()["error"]["code"] == "unavailable"
        for reader in readers:
            reader.close()
        # Each try is a request that the server answers; slots come back meanwhile.
        tries = (httpx.get(url + path, timeout=30) for _ in range(1000))
        served = next(answer for answer in tries if answer.status_code == 200)
        assert served.content == CHUNK * CHUNKS
    return statuses


@pytest.mark.slow
def test_readers_that_take_nothing_are_held_to_a_number_of_streams() -> None:
    statuses = statuses_of_readers(CountingStore(), STREAMS)

    assert sorted(statuses) == ["200"] * STREAMS + ["503"] * (READERS - STREAMS)


@pytest.mark.slow
def test_without_the_bound_every_one_of_them_would_be_read_for() -> None:
    store = CountingStore()

    assert statuses_of_readers(store, max_streams=10**6) == ["200"] * READERS
    assert store.chunks_read > STREAMS * MOST_PER_STREAM


def test_small_answers_have_slots_of_their_own() -> None:
    slots = Slots(1)
    with contextlib.ExitStack() as stack:
        stack.enter_context(slots.held(is_small=False))
        with pytest.raises(UnavailableError), slots.held(is_small=False):
            pass
        for _ in range(SMALL_PER_STREAM):
            stack.enter_context(slots.held(is_small=True))
        with pytest.raises(UnavailableError), slots.held(is_small=True):
            pass
    with slots.held(is_small=False), slots.held(is_small=True):
        pass


def test_who_takes_nothing_is_dropped_and_another_gets_the_slot() -> None:
    store = CountingStore()
    path = f"/ipfs/{store.large}"
    patient = Limits(stall_s=3600)
    with (
        serving(store, patient, max_streams=1) as patient_url,
        serving(store, Limits(stall_s=0.3), max_streams=1) as url,
        ask(patient_url, path) as kept,
        ask(url, path) as reader,
    ):
        assert status_of(kept) == status_of(reader) == "200"
        assert is_dropped(reader, within_s=20)
        assert not is_dropped(kept, within_s=0)
        tries = (httpx.get(url + path, timeout=30) for _ in range(1000))
        assert next(answer for answer in tries if answer.status_code == 200)
        assert httpx.get(patient_url + path).status_code == 503


@pytest.mark.slow
def test_who_takes_little_is_not_dropped() -> None:
    store = CountingStore()
    with serving(store, Limits(stall_s=1.5)) as url:
        words = ("-sf", "--limit-rate", "2M", "-r", "0-11999999", "-o", "/dev/null")
        curl = subprocess.run(
            ["curl", *words, "-w", "%{size_download}", f"{url}/ipfs/{store.large}"],
            capture_output=True,
            text=True,
            check=True,
        )

    assert curl.stdout == "12000000"


@pytest.mark.parametrize("head", [b"", b"GET / HTTP/1.1\r\nHost: x\r\n"])
def test_a_request_has_to_arrive_in_time(head: bytes) -> None:
    store = MemoryStore()
    with (
        serving(store, Limits(request_s=3600)) as patient_url,
        serving(store, Limits(request_s=0.2)) as url,
        connect(patient_url) as kept,
        connect(url) as idle,
    ):
        kept.sendall(head)
        idle.sendall(head)
        assert is_dropped(idle, within_s=20)
        assert not is_dropped(kept, within_s=0)
        kept.sendall(b"" if head else b"GET / HTTP/1.1\r\nHost: x\r\n")
        kept.sendall(b"\r\n")
        assert status_of(kept) == "200"


def test_a_second_request_on_a_connection_has_to_arrive_too() -> None:
    with (
        serving(MemoryStore(), Limits(request_s=0.2)) as url,
        ask(url, "/ipfs/bafkqaaa") as client,
    ):
        assert status_of(client) == "200"
        client.sendall(b"GET / HTTP/1.1\r\n")
        assert is_dropped(client, within_s=4)


def test_connections_are_so_many_and_no_more() -> None:
    with (
        serving(MemoryStore(), Limits(connections=3)) as url,
        contextlib.ExitStack() as stack,
    ):
        path = "/ipfs/bafkqaaa"
        open_ones = [stack.enter_context(connect(url)) for _ in range(2)]
        asking = stack.enter_context(ask(url, path))
        assert status_of(asking) == "200"
        assert is_dropped(stack.enter_context(connect(url)), within_s=20)
        assert not any(is_dropped(client, within_s=0) for client in open_ones)


def test_the_setting_is_the_number_of_streams(lab: Any, tmp_path: Path) -> None:
    large = tmp_path / "large.mrc"
    with large.open("wb") as file:
        file.truncate(CHUNKS << 20)
    cid = lab.ok("cid", large).output.split()[0]
    lab.ok("store", "add", large)
    lab.environ["ETDB_SERVE_MAX_STREAMS"] = "1"
    with (
        lab.serving() as url,
        ask(url, f"/ipfs/{cid}") as first,
    ):
        assert status_of(first) == "200"
        with ask(url, f"/ipfs/{cid}") as second:
            assert status_of(second) == "503"
