"""Connections that nobody can hold for ever: uvicorn's, with bounds.

How many there may be, how long a request may take to arrive, and how long a
client may leave untaken what waits for it. Over TLS a client chooses HTTP/2 or
HTTP/1.1 while it greets; an answer over HTTP/2 waits for its client's credit as
one over HTTP/1.1 waits for the socket.
"""

from __future__ import annotations

import asyncio
import logging
import os
import resource
import socket
import struct
import sys
from dataclasses import dataclass, field
from typing import Any, cast

import uvicorn
import zttp
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.http.zttp_h2_impl import ZttpH2Protocol
from uvicorn.server import ServerState

from etdb.web.joint import Joint

ALPN = ("h2", "http/1.1")
"""What is spoken over TLS, preferred first."""

MAX_CONNECTIONS = 2000

MAX_PARKED_BYTES = 256 * 1024
"""What may wait for the credit of an HTTP/2 client before more is asked for."""

_RESET = struct.pack("ii", 1, 0)
"""SO_LINGER: whatever is unsent is thrown away when the socket is closed."""

_log = logging.getLogger(__name__)


def _most_connections() -> int:
    """Half of the files that the process may open are left to the store."""
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    is_bounded = files != resource.RLIM_INFINITY
    return min(MAX_CONNECTIONS, files // 2) if is_bounded else MAX_CONNECTIONS


@dataclass(frozen=True)
class Limits:
    """What connections may cost; content has its own bounds (`stream.Slots`)."""

    connections: int = field(default_factory=_most_connections)
    """How many may be open, and how many requests under way on all of them."""
    request_s: float = 30
    """How long a request may take to arrive."""
    stall_s: float = 60
    """How long a client may take not one byte of what waits for it."""


class Config(uvicorn.Config):
    """uvicorn's settings, and the limits of its connections."""

    def __init__(self, app: ASGIApp, limits: Limits, **settings: Any) -> None:
        # One more than are let in: uvicorn counts the connection that asks.
        super().__init__(app, limit_concurrency=limits.connections + 1, **settings)
        self.limits = limits


class _Timer:
    """Calls once, a while after it was started, unless it is stopped."""

    def __init__(self) -> None:
        self._handle: asyncio.TimerHandle | None = None

    def start(self, after_s: float, call: Any, *arguments: Any) -> None:
        self.stop()
        loop = asyncio.get_running_loop()
        self._handle = loop.call_later(after_s, call, *arguments)

    @property
    def is_running(self) -> bool:
        return self._handle is not None

    def stop(self) -> None:
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None


class _Guarded:
    """What both kinds of connection have in common: bounds on their client."""

    config: uvicorn.Config
    transport: asyncio.Transport
    connections: set[Any]

    @property
    def limits(self) -> Limits:
        """What this connection is held to."""
        return cast("Config", self.config).limits

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Be one of the connections, unless there are enough."""
        self._arrival, self._taking = _Timer(), _Timer()
        self._is_refused = len(self.connections) >= self.limits.connections
        if self._is_refused:
            cast("asyncio.Transport", transport).abort()
            return
        super().connection_made(transport)  # type: ignore[misc]
        self._await_request()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait for nothing more."""
        self._arrival.stop()
        self._taking.stop()
        if not self._is_refused:
            super().connection_lost(exc)  # type: ignore[misc]

    def pause_writing(self) -> None:
        """The client takes less than there is: see that it takes something."""
        super().pause_writing()  # type: ignore[misc]
        self._watch()

    def resume_writing(self) -> None:
        """It did."""
        self._taking.stop()
        super().resume_writing()  # type: ignore[misc]

    def timeout_keep_alive_handler(self) -> None:
        """Close; what was said last may still lie here."""
        if self.transport.is_closing():
            return  # its client was faster, and reset it
        super().timeout_keep_alive_handler()  # type: ignore[misc]
        self._watch()

    def _await_request(self) -> None:
        if not self._arrival.is_running:
            after_s = self.limits.request_s
            self._arrival.start(after_s, self._drop, "sent no whole request")

    def _watch(self, before: tuple[int, bytes] | None = None) -> None:
        now = _taken(self.transport)
        if now == before:
            self._drop("takes nothing")
        else:
            self._taking.start(self.limits.stall_s, self._watch, now)

    def _drop(self, why: str) -> None:
        _log.info("a connection was dropped: its client %s", why)
        with _socket_of(self.transport) as sock:
            # Otherwise the kernel keeps what was not taken, for minutes.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self.transport.abort()


def _taken(transport: asyncio.Transport) -> tuple[int, bytes]:
    """Something that is not the same once the client has taken a byte.

    Under TLS the transport does not show what its socket still has to send;
    Linux counts what was acknowledged (bytes 120 to 128 of its tcp_info).
    """
    acknowledged = b""
    if sys.platform == "linux":
        with _socket_of(transport) as sock:
            told = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 128)
            acknowledged = told[120:]
    return transport.get_write_buffer_size(), acknowledged


def _socket_of(transport: asyncio.Transport) -> socket.socket:
    """A second handle of a connection's socket, to be closed."""
    return socket.socket(fileno=os.dup(transport.get_extra_info("socket").fileno()))


class Http1(_Guarded, HttpToolsProtocol):
    """A connection that speaks HTTP/1.1."""

    def on_headers_complete(self) -> None:
        """A request begins: its answer goes out in as few packets as may be."""
        before = self.cycle
        super().on_headers_complete()
        if self.cycle is not before:
            self.cycle.transport = cast("Any", Joint(self.transport))

    def data_received(self, data: bytes) -> None:
        """Read; from its first byte on, a request has to arrive in time."""
        super().data_received(data)
        if self.cycle is None or self.cycle.response_complete:
            self._await_request()

    def on_message_complete(self) -> None:
        """The request is there."""
        self._arrival.stop()
        super().on_message_complete()


class Http2(_Guarded, ZttpH2Protocol):
    """A connection that speaks HTTP/2.

    uvicorn hands over whatever an application gives, and zttp keeps what the
    client's credit does not cover. Here an answer waits until that is gone.
    """

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Greet."""
        self._credit = asyncio.Event()
        super().connection_made(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """Nobody waits for credit any more."""
        super().connection_lost(exc)
        self._credit.set()

    def pause_writing(self) -> None:
        """Read no more either: what is read may have to be replied to."""
        super().pause_writing()
        self.flow.pause_reading()

    def resume_writing(self) -> None:
        """Read on."""
        super().resume_writing()
        self.resume_reading_if_idle()

    def resume_reading_if_idle(self) -> None:
        """Read on, unless the client does not take what it was told."""
        if not self.flow.write_paused:
            super().resume_reading_if_idle()

    def data_received(self, data: bytes) -> None:
        """Read; without a request on it a connection is not kept for long."""
        super().data_received(data)
        if not self.cycles:
            self._await_request()

    def flush(self) -> None:
        """Send what there is credit for, and tell those who wait for that."""
        super().flush()
        self._credit.set()
        self._credit = asyncio.Event()

    def handle_request(self, event: zttp.Request) -> None:
        """Answer a request, at the pace of its client."""
        self._arrival.stop()
        stream = self.conn.stream(event.stream_id)
        # What the request that is made of the event will be answered by.
        self.app = cast("Any", _Paced(self, stream, self.config.loaded_app))
        super().handle_request(event)

    async def wait_until_taken(self, stream: zttp.Stream, most_bytes: int) -> None:
        """Wait until no more than this is parked; reset a stream that stands still."""
        loop, parked, by = asyncio.get_running_loop(), sys.maxsize, 0.0
        while not self.transport.is_closing():
            now_parked = stream.pending_bytes or 0
            if now_parked <= most_bytes:
                return
            if now_parked < parked:
                parked, by = now_parked, loop.time() + self.limits.stall_s
            try:
                async with asyncio.timeout_at(by):
                    await self._credit.wait()
            except TimeoutError:
                self.give_up(stream, "takes nothing")
                return

    def give_up(self, stream: zttp.Stream, why: str) -> None:
        """Reset one stream; the others go on."""
        _log.info("a stream was reset: its client %s", why)
        cycle = self.cycles.get(stream.stream_id)
        if cycle is not None:
            cycle.abort_stream()
            cycle.message_event.set()


class _Paced:
    """The application for one stream: takes and gives as the client does."""

    def __init__(self, connection: Http2, stream: zttp.Stream, app: Any) -> None:
        self._connection = connection
        self._stream = stream
        self._app: ASGIApp = app
        self._is_whole = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        loop = asyncio.get_running_loop()
        by = loop.time() + self._connection.limits.request_s

        async def receive_in_time() -> Message:
            try:
                async with asyncio.timeout_at(None if self._is_whole else by):
                    message = await receive()
            except TimeoutError:
                self._connection.give_up(self._stream, "sent no whole request")
                return {"type": "http.disconnect"}
            self._is_whole = not message.get("more_body", False)
            return message

        async def send_in_turn(message: Message) -> None:
            if message["type"] != "http.response.body":
                await send(message)
            elif message.get("more_body", False):
                await send(message)
                await self._connection.wait_until_taken(self._stream, MAX_PARKED_BYTES)
            else:
                # A stream that is ended is forgotten, with what is parked for it.
                await send({**message, "more_body": True})
                await self._connection.wait_until_taken(self._stream, 0)
                await send({**message, "body": b""})

        await self._app(scope, receive_in_time, send_in_turn)


class Greeted(asyncio.Protocol):
    """A connection over TLS, of which ALPN says what it speaks."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        self._parts: tuple[Any, ...] = (config, server_state, app_state, _loop)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Hand over to who speaks it."""
        known = cast("asyncio.Transport", transport)
        spoken = known.get_extra_info("ssl_object").selected_alpn_protocol()
        protocol = (Http2 if spoken == "h2" else Http1)(*self._parts)
        known.set_protocol(protocol)
        protocol.connection_made(known)
