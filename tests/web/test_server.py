"""The server says when it answers and stops at once when it is told to."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.responses import PlainTextResponse

from etdb.errors import ConflictError, UnavailableError
from etdb.web.server import running, serve

PROGRAM = """
    import asyncio
    from starlette.applications import Starlette
    from starlette.responses import StreamingResponse
    from starlette.routing import Route
    from etdb.web.server import serve

    async def endless(request):
        async def pieces():
            while True:
                yield b"x" * 65536
                await asyncio.sleep(0.01)
        return StreamingResponse(pieces())

    serve(Starlette(routes=[Route("/", endless)]), "127.0.0.1", 0,
          lambda url: print(url, flush=True))
    print("stopped", flush=True)
"""


@pytest.fixture
def program(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    path = tmp_path / "program.py"
    path.write_text(textwrap.dedent(PROGRAM))
    with subprocess.Popen(
        [sys.executable, str(path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        yield process
        process.kill()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_it_promptly_with_connections_open(
    program: subprocess.Popen[str], number: signal.Signals
) -> None:
    assert program.stdout is not None
    assert program.stderr is not None
    port = int(program.stdout.readline().rpartition(":")[2])
    with (
        socket.create_connection(("127.0.0.1", port)) as reading,
        socket.create_connection(("127.0.0.1", port)),
    ):
        reading.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert reading.recv(100).startswith(b"HTTP/1.1 200")
        started = time.monotonic()
        program.send_signal(number)
        status = program.wait(20)

    assert status == 0
    assert program.stdout.read() == "stopped\n"
    assert program.stderr.read() == ""
    assert time.monotonic() - started < 5


def test_a_port_in_use_is_named() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]

        with pytest.raises(ConflictError, match=str(port)):
            serve(PlainTextResponse(), "127.0.0.1", port, lambda _: None)


def test_a_host_that_is_not_ours_is_refused() -> None:
    with (
        pytest.raises(UnavailableError, match="cannot listen"),
        running(PlainTextResponse(), "192.0.2.1"),
    ):
        pass


def test_it_serves_from_a_thread_while_the_block_lasts() -> None:
    with running(PlainTextResponse("here")) as url:
        host, port = url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port))) as client:
            client.sendall(b"GET / HTTP/1.0\r\n\r\n")
            assert client.makefile("rb").read().endswith(b"here")

    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((host, int(port)))
