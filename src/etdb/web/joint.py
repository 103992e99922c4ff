"""How the pieces of an answer over HTTP/1.1 come to its socket."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from typing import Any

LARGE_BYTES = 64 * 1024
"""From here on a piece takes as long to write as it is worth not to hold up others."""


class Joint:
    """Where an answer is written: its head leaves with what follows at once.

    Alone the head is a system call and a packet more, and wakes its client twice.

    A large piece is handed to the socket from here. uvloop holds the interpreter
    while it writes, a third as long as a hash of the same bytes takes, and no
    thread could read or hash the next ones meanwhile.
    """

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._head = b""
        self._is_begun = False
        self._is_plain = transport.get_extra_info("ssl_object") is None

    def write(self, data: bytes) -> None:
        """Keep what is written first until there is more, or nothing else to do."""
        if self._is_begun:
            self._send(data)
        else:
            self._is_begun, self._head = True, data
            asyncio.get_running_loop().call_soon(self._send)

    def close(self) -> None:
        """Close, once everything is sent."""
        self._send()
        self._transport.close()

    def is_closing(self) -> bool:
        """As the transport's."""
        return self._transport.is_closing()

    def _send(self, data: bytes = b"") -> None:
        head, self._head = self._head, b""
        if self._transport.is_closing():
            return
        pieces: Sequence[Any] = [*filter(None, (head, data))]
        if len(data) >= LARGE_BYTES and self._is_free():
            pieces = _untaken(self._transport.get_extra_info("socket"), pieces)
        if pieces:
            self._transport.writelines(pieces)

    def _is_free(self) -> bool:
        """Whether bytes given to the socket itself come after all earlier ones."""
        return self._is_plain and not self._transport.get_write_buffer_size()


def _untaken(sock: Any, pieces: Sequence[bytes]) -> list[memoryview]:
    """What of the pieces a socket has no room for now; it never waits."""
    try:
        taken = os.writev(sock.fileno(), pieces)
    except OSError:
        taken = 0  # full or broken: the transport finds out which
    left = []
    for piece in pieces:
        if taken < len(piece):
            left.append(memoryview(piece)[taken:])
        taken = max(0, taken - len(piece))
    return left
