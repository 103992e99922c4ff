"""Over TLS: HTTP/1.1 and HTTP/2, whole files, ranges, cuts, ends."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import select
import signal
import socket
import ssl
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from etdb.identity import CID, RAW
from etdb.testing.catalogue import MemoryCatalogue
from etdb.testing.certificate import make_certificate
from etdb.testing.http2 import Http2Client
from etdb.testing.loop import run_alone
from etdb.testing.store import MemoryStore
from etdb.web import connection
from etdb.web.app import Site, create_app
from etdb.web.certificate import load_certificate
from etdb.web.connection import Limits
from etdb.web.server import running

CHUNKS = [hashlib.shake_256(bytes([number])).digest(1 << 20) for number in range(6)]
CONTENT = b"".join(CHUNKS) + b"end"
VERSIONS = {True: "HTTP/2", False: "HTTP/1.1"}


class CountingStore(MemoryStore):
    """Counts the chunks that are read; says when there are many."""

    def __init__(self) -> None:
        self.chunks_read = 0
        self.many = threading.Event()
        super().__init__(self._count)
        self.file = self.add_chunks([*CHUNKS, b"end"]).cid
        self.large = self.add_chunks([CHUNKS[0]] * 64).cid

    def _count(self, cid: CID) -> None:
        self.chunks_read += cid.codec == RAW
        if self.chunks_read > 60:
            self.many.set()


@dataclass(frozen=True)
class Tls:
    """A certificate, as the server and as a client have it."""

    path: Path
    server: ssl.SSLContext
    client: ssl.SSLContext


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Tls:
    folder = tmp_path_factory.mktemp("tls")
    path, _ = make_certificate(folder)
    server = load_certificate(folder, "cert.pem", "key.pem")
    assert server is not None
    return Tls(path, server, ssl.create_default_context(cafile=path))


@pytest.fixture
def store() -> CountingStore:
    return CountingStore()


@contextlib.contextmanager
def serving(
    tls: Tls, store: MemoryStore, limits: Limits | None = None, max_streams: int = 128
) -> Iterator[str]:
    site = Site(
        catalogue=MemoryCatalogue(),
        store=store,
        name="Lab",
        version="0",
        status=dict,
        max_streams=max_streams,
    )
    app = create_app(site)
    with running(app, certificate=tls.server, limits=limits) as url:
        yield url


@pytest.fixture(params=[*VERSIONS], ids=[*VERSIONS.values()])
def client(
    request: pytest.FixtureRequest, tls: Tls, store: CountingStore
) -> Iterator[httpx.Client]:
    with (
        serving(tls, store) as url,
        httpx.Client(
            base_url=url, verify=tls.client, http2=request.param, timeout=30
        ) as client,
    ):
        yield client
        assert client.get("/about").http_version == VERSIONS[request.param]


def test_a_file_comes_whole_in_ranges_and_as_its_head(
    client: httpx.Client, store: CountingStore
) -> None:
    path = f"/ipfs/{store.file}"

    assert client.get(path).content == CONTENT
    part = client.get(path, headers={"Range": "bytes=1048570-3145730"})
    assert (part.status_code, part.content) == (206, CONTENT[1048570:3145731])
    several = client.get(path, headers={"Range": "bytes=0-3,-3"})
    assert several.status_code == 206
    assert b"\r\n\r\nend\r\n" in several.content
    head = client.head(path)
    assert head.headers["content-length"] == str(len(CONTENT))
    etag = {"If-None-Match": head.headers["etag"]}
    assert client.get(path, headers=etag).status_code == 304
    assert client.get("/ipfs/nonsense").status_code == 400


def test_many_at_once_on_one_connection(
    client: httpx.Client, store: CountingStore, tls: Tls
) -> None:
    path = f"/ipfs/{store.file}"
    is_http2 = client.get("/about").http_version == "HTTP/2"

    # Threads that share a client's HTTP/2 connection mix up its streams.
    async def get_all() -> list[bytes]:
        async with httpx.AsyncClient(
            base_url=client.base_url, verify=tls.client, http2=is_http2, timeout=30
        ) as other:
            answers = await asyncio.gather(*(other.get(path) for _ in range(8)))
        return [answer.content for answer in answers]

    assert [content == CONTENT for content in run_alone(get_all())] == [True] * 8


@pytest.mark.parametrize("query", ["", "?format=car", "?format=tar"])
def test_a_block_missing_in_the_middle_is_a_failure_not_an_end(
    client: httpx.Client, store: CountingStore, query: str
) -> None:
    store.drop(CID(1, RAW, hashlib.sha256(CHUNKS[5]).digest()))
    got = b""
    with (
        pytest.raises(httpx.RemoteProtocolError),
        client.stream("GET", f"/ipfs/{store.file}{query}") as answer,
    ):
        assert answer.status_code == 200
        for piece in answer.iter_raw():
            got += piece

    assert CHUNKS[0] in got
    if not query:
        assert CONTENT.startswith(got)
    # Over HTTP/2 the connection lives on.
    assert client.get("/about").status_code == 200


def test_the_address_is_https_and_routers_are_told_so(
    client: httpx.Client, store: CountingStore
) -> None:
    provider = client.get(f"/routing/v1/providers/{store.file}").json()["Providers"][0]

    assert provider["Addrs"] == [f"/ip4/127.0.0.1/tcp/{client.base_url.port}/tls/http"]


async def echo(request: Request) -> PlainTextResponse:
    return PlainTextResponse(await request.body())


ECHO = Starlette(routes=[Route("/", echo, methods=["POST"])])


def test_the_body_of_a_request_arrives(tls: Tls) -> None:
    body = bytes(range(256)) * 2000
    with running(ECHO, certificate=tls.server) as url:
        for http2 in VERSIONS:
            with httpx.Client(verify=tls.client, http2=http2) as client:
                assert client.post(url, content=body).content == body
                assert client.post(url).content == b""


def test_a_body_that_never_ends_is_given_up(tls: Tls) -> None:
    with (
        running(ECHO, certificate=tls.server, limits=Limits(request_s=0.2)) as url,
        Http2Client.connected(url, tls.path) as client,
    ):
        stream = client.ask("/", method="POST", ends=False)

        client.read_until(lambda: stream in client.resets)


def test_streams_without_credit_are_few_and_are_reset(
    tls: Tls, store: CountingStore
) -> None:
    path = f"/ipfs/{store.large}"
    with (
        serving(tls, store, Limits(stall_s=2), max_streams=4) as url,
        Http2Client.connected(url, tls.path) as reader,
        httpx.Client(verify=tls.client, http2=True, timeout=30) as honest,
    ):
        streams = [reader.ask(path) for _ in range(20)]
        reader.read_until(lambda: len(reader.statuses) == len(streams))
        assert sorted(reader.statuses.values()) == ["200"] * 4 + ["503"] * 16
        assert honest.get(f"{url}/about").status_code == 200
        served = {stream for stream in streams if reader.statuses[stream] == "200"}
        reader.read_until(lambda: served <= reader.resets)
        # What was read ahead for each of them, of 64.
        assert store.chunks_read <= 4 * 10
        assert len(honest.get(url + path).content) == 64 << 20


def test_without_the_wait_for_credit_whole_files_would_be_held(
    tls: Tls, store: CountingStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "_Paced", lambda _connection, _stream, app: app)
    with (
        serving(tls, store) as url,
        Http2Client.connected(url, tls.path) as reader,
    ):
        reader.ask(f"/ipfs/{store.large}")

        assert store.many.wait(30)


@pytest.mark.parametrize("offered", [["h2"], ["http/1.1"]])
def test_who_reads_nothing_at_all_is_dropped(
    tls: Tls, store: CountingStore, offered: list[str]
) -> None:
    context = ssl.create_default_context(cafile=tls.path)
    context.set_alpn_protocols(offered)
    with (
        serving(tls, store, Limits(stall_s=0.5)) as url,
        socket.socket() as plain,
    ):
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        host, _, port = url.removeprefix("https://").partition(":")
        plain.connect((host, int(port)))
        with context.wrap_socket(plain, server_hostname=host) as reader:
            if offered == ["h2"]:
                Http2Client(reader, credit_bytes=2**30).ask(f"/ipfs/{store.large}")
            else:
                head = f"GET /ipfs/{store.large} HTTP/1.1\r\nHost: x\r\n\r\n"
                reader.sendall(head.encode())
            poll = select.poll()
            poll.register(reader, select.POLLHUP | select.POLLERR)
            assert poll.poll(20_000)


PINGS_BYTES = 64 << 20
"""More than the kernel's buffers hold."""


def pings_taken(tls: Tls) -> int:
    with (
        running(ECHO, certificate=tls.server) as url,
        Http2Client.connected(url, tls.path) as client,
    ):
        return client.ping_until_blocked(PINGS_BYTES)


def test_replies_that_nobody_reads_are_not_piled_up(tls: Tls) -> None:
    assert pings_taken(tls) < PINGS_BYTES


def test_if_it_read_on_they_would_be(tls: Tls, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(connection.Http2, "pause_writing")

    assert pings_taken(tls) >= PINGS_BYTES


PROGRAM = """
    import sys
    from pathlib import Path
    from etdb.testing.catalogue import MemoryCatalogue
    from etdb.testing.store import MemoryStore
    from etdb.web.app import Site, create_app
    from etdb.web.certificate import load_certificate
    from etdb.web.server import serve

    store = MemoryStore()
    print(store.add_chunks([bytes(1 << 20)] * 256).cid, flush=True)
    site = Site(catalogue=MemoryCatalogue(), store=store, name="Lab", version="0",
                status=dict)
    certificate = load_certificate(Path(sys.argv[1]), "cert.pem", "key.pem")
    serve(create_app(site), "127.0.0.1", 0, lambda url: print(url, flush=True),
          certificate=certificate)
    print("stopped", flush=True)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("http2", [*VERSIONS], ids=[*VERSIONS.values()])
def test_a_signal_stops_it_with_a_download_under_way(
    tls: Tls, tmp_path: Path, number: signal.Signals, http2: bool
) -> None:
    path = tmp_path / "program.py"
    path.write_text(textwrap.dedent(PROGRAM))
    with (
        subprocess.Popen(
            [sys.executable, str(path), str(tls.path.parent)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process,
        httpx.Client(verify=tls.client, http2=http2, timeout=30) as client,
    ):
        assert process.stdout is not None
        assert process.stderr is not None
        cid, url = (process.stdout.readline().strip() for _ in range(2))
        with client.stream("GET", f"{url}/ipfs/{cid}") as answer:
            pieces = answer.iter_raw()
            next(pieces)
            started = time.monotonic()
            process.send_signal(number)
            status = process.wait(20)
            took_s = time.monotonic() - started
            with pytest.raises(httpx.HTTPError):
                list(pieces)

        assert process.stdout.read() == "stopped\n"
        assert process.stderr.read() == ""
    assert status == 0
    assert took_s < 5
