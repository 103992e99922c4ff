"""An HTTP/2 client that takes only what flow control forces on it."""

from __future__ import annotations

import contextlib
import socket
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import Event, ResponseReceived, StreamReset
from h2.settings import SettingCodes

FIRST_CREDIT = 65_535
"""What either side may send of a stream, and of all, before more is granted."""


class Http2Client:
    """One connection; it never grants credit beyond what it says at first."""

    def __init__(self, sock: ssl.SSLSocket, credit_bytes: int = FIRST_CREDIT) -> None:
        self.sock = sock
        self.statuses: dict[int, str] = {}
        """By stream, of those that were answered."""
        self.resets: set[int] = set()
        """The streams that the server gave up."""
        self._connection = H2Connection(H2Configuration(header_encoding=None))
        window: dict[SettingCodes | int, int] = {
            SettingCodes.INITIAL_WINDOW_SIZE: credit_bytes
        }
        self._connection.local_settings.update(window)
        self._connection.initiate_connection()
        if credit_bytes > FIRST_CREDIT:
            self._connection.increment_flow_control_window(credit_bytes - FIRST_CREDIT)
        self._flush()

    @classmethod
    @contextlib.contextmanager
    def connected(cls, url: str, certificate: Path) -> Iterator[Http2Client]:
        """A connection to a server that shows this certificate."""
        context = ssl.create_default_context(cafile=certificate)
        context.set_alpn_protocols(["h2"])
        parts = urlsplit(url)
        with (
            socket.create_connection((parts.hostname, parts.port), timeout=30) as plain,
            context.wrap_socket(plain, server_hostname=parts.hostname) as sock,
        ):
            yield cls(sock)

    def ask(self, path: str, *, method: str = "GET", ends: bool = True) -> int:
        """Send a request; its stream."""
        stream = self._connection.get_next_available_stream_id()
        head = {":method": method, ":scheme": "https", ":authority": "x", ":path": path}
        self._connection.send_headers(stream, [*head.items()], end_stream=ends)
        self._flush()
        return stream

    def read_until(self, is_enough: Callable[[], bool]) -> None:
        """Read into `statuses` and `resets` until those are enough."""
        while not is_enough():
            data = self.sock.recv(65536)
            assert data, "the server hung up"
            for event in self._connection.receive_data(data):
                self._note(event)
            self._flush()

    def _note(self, event: Event) -> None:
        if isinstance(event, ResponseReceived) and event.stream_id:
            head = dict(event.headers or [])
            self.statuses[event.stream_id] = head[b":status"].decode()
        elif isinstance(event, StreamReset) and event.stream_id:
            self.resets.add(event.stream_id)

    def ping_until_blocked(self, most_bytes: int, patience_s: float = 2) -> int:
        """Send pings and read no reply until no more is taken; how many bytes were."""
        for _ in range(1000):
            self._connection.ping(bytes(8))
        pings, sent = memoryview(self._connection.data_to_send()), 0
        self.sock.settimeout(patience_s)
        with contextlib.suppress(TimeoutError):
            while sent < most_bytes:
                self.sock.sendall(pings)
                sent += len(pings)
        return sent

    def _flush(self) -> None:
        self.sock.sendall(self._connection.data_to_send())
