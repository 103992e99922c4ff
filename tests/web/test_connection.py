"""An answer's head leaves with what follows it, and never waits for it."""

from __future__ import annotations

import asyncio
import http.client
import socket
import threading
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from starlette.types import Message, Receive, Scope, Send
from uvicorn.server import ServerState

from etdb.testing.loop import run_alone
from etdb.web.connection import Config, Http1, Limits
from etdb.web.server import running

BODY = b"x" * 1000
REQUEST = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


class Site:
    """An application that gives its body when it is told to."""

    def __init__(self) -> None:
        self.gives = threading.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            return
        await send(_start())
        await asyncio.to_thread(self.gives.wait)
        await send({"type": "http.response.body", "body": BODY})


class Wire(asyncio.Transport):
    """Keeps what was written, each call apart."""

    def __init__(self) -> None:
        super().__init__()
        self.writes: list[bytes] = []
        self.is_closed = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.writes.append(bytes(data))

    def is_closing(self) -> bool:
        return self.is_closed

    def close(self) -> None:
        self.is_closed = True

    def pause_reading(self) -> None:
        """Nothing is read but what a test hands over."""

    def resume_reading(self) -> None:
        """Likewise."""


@pytest.fixture
def site() -> Iterator[Site]:
    site = Site()
    yield site
    site.gives.set()


def _start() -> Message:
    headers = [(b"content-length", str(len(BODY)).encode())]
    return {"type": "http.response.start", "status": 200, "headers": headers}


async def _whole(scope: Scope, receive: Receive, send: Send) -> None:
    await send(_start())
    await send({"type": "http.response.body", "body": BODY})


def _written(request: bytes) -> Wire:
    """What a connection writes in answer to bytes."""

    async def answer() -> Wire:
        config = Config(_whole, Limits(), http=Http1, ws="none", log_config=None)
        config.load()
        state, wire = ServerState(), Wire()
        connection = Http1(config, state, {})
        connection.connection_made(wire)
        connection.data_received(request)
        while state.tasks:
            await asyncio.gather(*state.tasks)
        # What is left to be written is written before the loop goes on.
        await asyncio.sleep(0)
        connection.connection_lost(None)
        return wire

    return run_alone(answer())


def test_head_and_body_are_one_write() -> None:
    (answer,) = _written(REQUEST).writes

    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert answer.endswith(b"\r\n\r\n" + BODY)


def test_a_head_alone_is_written_too() -> None:
    (answer,) = _written(REQUEST.replace(b"GET", b"HEAD")).writes

    assert answer.endswith(b"content-length: 1000\r\n\r\n")


def test_a_head_is_written_before_the_connection_is_closed() -> None:
    wire = _written(b"HEAD / HTTP/1.0\r\nHost: x\r\n\r\n")

    assert len(wire.writes) == 1
    assert wire.is_closed


def test_answers_to_several_requests_keep_their_order() -> None:
    wire = _written(REQUEST.replace(b"GET", b"HEAD") + REQUEST)

    first, second = wire.writes
    assert BODY not in first
    assert second.endswith(BODY)


def test_a_client_that_reset_its_connection_is_not_waited_for() -> None:
    async def leave() -> Wire:
        config = Config(_whole, Limits(), http=Http1, ws="none", log_config=None)
        config.load()
        connection, wire = Http1(config, ServerState(), {}), Wire()
        connection.connection_made(wire)
        wire.close()
        connection.connection_lost(ConnectionResetError())
        # uvicorn stops this timer only where a client says goodbye.
        connection.timeout_keep_alive_handler()
        return wire

    assert run_alone(leave()).writes == []


def test_a_head_does_not_wait_for_its_body(site: Site) -> None:
    with running(site) as url:
        client = http.client.HTTPConnection(urlsplit(url).netloc, timeout=20)
        client.request("GET", "/")
        # Returns as soon as the head is there.
        answer = client.getresponse()
        site.gives.set()

        assert answer.read() == BODY
        client.close()


def test_a_client_that_leaves_at_once_breaks_nothing(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    with running(site) as url:
        address = urlsplit(url)
        for _ in range(20):
            with socket.create_connection((address.hostname, address.port)) as sock:
                sock.sendall(REQUEST)
        site.gives.set()

    assert [record for record in caplog.records if record.levelname == "ERROR"] == []
