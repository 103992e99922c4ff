"""Large pieces go to the socket itself, in their order, and none is lost."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Iterator

import pytest

from etdb.testing.loop import run_alone
from etdb.web.joint import LARGE_BYTES, Joint

HEAD = b"HTTP/1.1 200 OK\r\n\r\n"
PIECE = os.urandom(8 * 1024 * 1024)


class Wire(asyncio.Transport):
    """A transport over a socket that nobody empties; keeps what it was given."""

    def __init__(self, sock: socket.socket, *, is_tls: bool = False) -> None:
        super().__init__({"socket": sock, "ssl_object": object() if is_tls else None})
        self.given = b""
        self.is_closed = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.given += bytes(data)

    def get_write_buffer_size(self) -> int:
        return len(self.given)

    def is_closing(self) -> bool:
        return self.is_closed

    def close(self) -> None:
        self.is_closed = True


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.setblocking(False)
        theirs.setblocking(False)
        yield ours, theirs


def arrived(theirs: socket.socket) -> bytes:
    """What is in the socket by now."""
    found = bytearray()
    try:
        while data := theirs.recv(1 << 20):
            found += data
    except BlockingIOError:
        pass
    return bytes(found)


def write(wire: Wire, *pieces: bytes) -> None:
    """An answer of these pieces, and its end."""

    async def answer() -> None:
        joint = Joint(wire)
        for piece in pieces:
            joint.write(piece)
        joint.close()

    run_alone(answer())


def test_what_the_socket_has_room_for_is_not_left_to_the_transport(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    wire = Wire(pair[0])
    piece = PIECE[:LARGE_BYTES]

    write(wire, HEAD, piece)

    assert arrived(pair[1]) == HEAD + piece
    assert wire.given == b""


def test_what_it_has_no_room_for_is(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    wire = Wire(pair[0])

    write(wire, HEAD, PIECE)

    taken = arrived(pair[1])
    assert 0 < len(taken) < len(PIECE)
    assert taken + wire.given == HEAD + PIECE


def test_a_piece_does_not_overtake_what_the_transport_still_has(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    wire = Wire(pair[0])

    write(wire, HEAD, PIECE, PIECE[::-1], PIECE[:LARGE_BYTES])

    taken = arrived(pair[1])
    assert taken + wire.given == HEAD + PIECE + PIECE[::-1] + PIECE[:LARGE_BYTES]


def test_without_looking_it_would(
    pair: tuple[socket.socket, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Joint, "_is_free", lambda _self: True)
    wire = Wire(pair[0])

    async def answer() -> bytes:
        joint = Joint(wire)
        joint.write(HEAD)
        joint.write(PIECE)
        before = arrived(pair[1])
        joint.write(PIECE[::-1])
        return before + arrived(pair[1])

    taken = run_alone(answer())

    assert (HEAD + PIECE).startswith(taken) is False


@pytest.mark.parametrize(
    ("is_tls", "size"), [(True, LARGE_BYTES), (False, LARGE_BYTES - 1)]
)
def test_under_tls_and_for_small_pieces_the_transport_writes(
    pair: tuple[socket.socket, socket.socket], *, is_tls: bool, size: int
) -> None:
    wire = Wire(pair[0], is_tls=is_tls)

    write(wire, HEAD, PIECE[:size])

    assert arrived(pair[1]) == b""
    assert wire.given == HEAD + PIECE[:size]


def test_a_connection_that_is_gone_is_for_the_transport_to_find(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    wire = Wire(pair[0])
    pair[1].close()

    write(wire, HEAD, PIECE)

    assert wire.given == HEAD + PIECE


def test_nothing_is_written_to_a_connection_that_is_closing(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    wire = Wire(pair[0])
    wire.close()

    write(wire, HEAD, PIECE)

    assert arrived(pair[1]) + wire.given == b""
