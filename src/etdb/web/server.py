"""The HTTP server under the application: uvicorn, started and stopped here.

`serve` is for a process of its own and ends on Ctrl-C; `running` serves from a
thread for the length of a block. With a certificate either speaks https.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import signal
import socket
import ssl
import threading
from collections.abc import Callable, Iterator

import uvicorn
from starlette.types import ASGIApp

from etdb.errors import ConflictError, UnavailableError
from etdb.web.connection import Config, Greeted, Http1, Limits

GRACE_S = 1
"""How long answers under way may still take when the server is stopped."""


class _Server(uvicorn.Server):
    """A server that says when it answers, and nothing while it stops."""

    def __init__(
        self,
        app: ASGIApp,
        certificate: ssl.SSLContext | None,
        limits: Limits,
        on_ready: Callable[[], object],
    ) -> None:
        super().__init__(
            Config(
                app,
                limits,
                http=Greeted if certificate else Http1,
                ssl_context_factory=(lambda *_: certificate) if certificate else None,
                ws="none",
                log_config=None,
                access_log=False,
                server_header=False,
                timeout_graceful_shutdown=GRACE_S,
            )
        )
        self._on_ready = on_ready

    def run(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve until told to stop; answers cut short by that are no errors."""
        log = logging.getLogger("uvicorn.error")

        def is_told(_record: logging.LogRecord) -> bool:
            return not self.should_exit

        log.addFilter(is_told)
        try:
            super().run(sockets)
        finally:
            log.removeFilter(is_told)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, then tell."""
        await super().startup(sockets)
        if self.started:
            self._on_ready()


def serve(
    app: ASGIApp,
    host: str,
    port: int,
    on_ready: Callable[[str], object],
    *,
    certificate: ssl.SSLContext | None = None,
    limits: Limits | None = None,
) -> None:
    """Serve until SIGINT or SIGTERM, then return, whoever is still connected.

    `on_ready` is called with the address once it answers; port 0 takes a free
    one; with a certificate (`certificate.load_certificate`) it is an https
    address. Raises ConflictError where the port is in use, UnavailableError
    where the host cannot be listened on.
    """
    with _listening(host, port, certificate) as (sock, url), _ignoring_repeats():
        server = _Server(app, certificate, limits or Limits(), lambda: on_ready(url))
        server.run([sock])


@contextlib.contextmanager
def running(
    app: ASGIApp,
    host: str = "127.0.0.1",
    port: int = 0,
    *,
    certificate: ssl.SSLContext | None = None,
    limits: Limits | None = None,
) -> Iterator[str]:
    """Serve from a thread while the block lasts; gives the address."""
    ready = threading.Event()
    with _listening(host, port, certificate) as (sock, url):
        server = _Server(app, certificate, limits or Limits(), ready.set)

        def run() -> None:
            try:
                server.run([sock])
            finally:
                ready.set()

        thread = threading.Thread(target=run)
        thread.start()
        try:
            ready.wait()
            if not server.started:
                msg = "the server did not start"
                raise UnavailableError(msg)
            yield url
        finally:
            server.should_exit = True
            thread.join()


@contextlib.contextmanager
def _listening(
    host: str, port: int, certificate: ssl.SSLContext | None
) -> Iterator[tuple[socket.socket, str]]:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind((host, port))
            sock.listen(1024)
        except OSError as exc:
            raise _cannot_listen(host, port, exc) from exc
        name = f"[{host}]" if family == socket.AF_INET6 else host
        scheme = "https" if certificate else "http"
        yield sock, f"{scheme}://{name}:{sock.getsockname()[1]}"


def _cannot_listen(
    host: str, port: int, exc: OSError
) -> ConflictError | UnavailableError:
    if exc.errno == errno.EADDRINUSE:
        msg = f"port {port} of {host} is in use"
        return ConflictError(msg, hint="stop what uses it, or choose another --port")
    msg = f"cannot listen on {host}:{port}: {exc.strerror or exc}"
    return UnavailableError(msg)


@contextlib.contextmanager
def _ignoring_repeats() -> Iterator[None]:
    """Uvicorn raises the signal it stopped on once more; the stop was wanted."""
    wanted = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.signal(number, lambda *_: None) for number in wanted}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
