"""A gateway on loopback that answers rightly, or wrongly on demand.

A real HTTP server with real sockets: what a `Fault` names is what a client of
a broken or dishonest gateway gets to see. Serves raw blocks and single ranges
of files from any source of blocks, and fixed JSON answers beside them.

    with FakeGateway(store, faults=[Fault("cut", on=str(cid), at=1000)]) as gateway:
        urllib.request.urlopen(f"{gateway.url}/ipfs/{cid}")
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import urlsplit

from etdb.errors import NotFoundError
from etdb.identity import CID
from etdb.store.verified import BlockSource, file_size, iter_chunks, read_chunk
from etdb.testing.loopback import LoopbackServer

PIECE_BYTES = 64 * 1024
_BURST_S = 0.1


@dataclass
class Fault:
    """What goes wrong with answers whose URL contains `on`.

    `kind`: lie (one bit differs), stall (silence), drip (a byte a time), cut
    (the connection ends), from byte `at` of the answer on; more (`at` bytes
    follow the last one); shift (the range begins a byte late), whole (the range
    is ignored); status (of number `at`), redirect (to `to`); chunked (nothing
    is wrong, but the length is not said before); trailer, length (chunked, and
    what follows the bytes, or says how many more there are, never ends).
    """

    kind: str
    on: str = ""
    at: int = 0
    times: int = 1_000_000
    """How many answers are spoilt."""
    headers: Mapping[str, str] = field(default_factory=dict)
    to: str = ""


class FakeGateway(LoopbackServer):
    """Serves from a thread while the block lasts, at a free port."""

    def __init__(
        self,
        blocks: BlockSource,
        *,
        faults: Sequence[Fault] = (),
        rate_bytes_s: float | None = None,
        answers: Mapping[str, Any] | None = None,
    ) -> None:
        """`answers`: JSON values by path; `rate_bytes_s`: of all answers in sum."""
        super().__init__(_Answer)
        self.blocks = blocks
        self.faults = list(faults)
        self.answers = dict(answers or {})
        self.requests: list[str] = []
        """Path, query and range of every request, in order."""
        self.lock = threading.Lock()
        self._rate_bytes_s = rate_bytes_s
        self._next_s = time.monotonic()

    def find_fault(self, url: str) -> Fault | None:
        """The first fault with answers left to spoil."""
        with self.lock:
            for fault in self.faults:
                if fault.on in url and fault.times > 0:
                    fault.times -= 1
                    return fault
        return None

    def pace(self, size_bytes: int) -> None:
        """Wait until so many bytes may leave."""
        if self._rate_bytes_s is None:
            return
        with self.lock:
            now = time.monotonic()
            # Time spent on preparing an answer is not lost for the rate.
            earliest = max(now - _BURST_S, self._next_s)
            self._next_s = earliest + size_bytes / self._rate_bytes_s
            wait_s = self._next_s - now
        self.stopped.wait(wait_s)


class _Answer(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1
    server: FakeGateway

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        """One answer, spoilt if a fault says so."""
        gateway = self.server
        asked = self.headers.get("Range", "")
        with gateway.lock:
            gateway.requests.append(f"{self.path} {asked}".rstrip())
        fault = gateway.find_fault(self.path) or Fault("none")
        if fault.kind in ("status", "redirect"):
            status = fault.at if fault.kind == "status" else 302
            location = {"Location": fault.to} if fault.to else {}
            self._send(status, {**fault.headers, **location}, iter([b"sorry"]), 5)
            return
        try:
            self._serve(fault, asked)
        except NotFoundError:
            self._send(404, {}, iter([b"none"]), 4)

    def _serve(self, fault: Fault, asked: str) -> None:
        gateway = self.server
        url = urlsplit(self.path)
        if self.path in gateway.answers or url.path in gateway.answers:
            found = gateway.answers.get(self.path, gateway.answers.get(url.path))
            status, value = found if isinstance(found, tuple) else (200, found)
            data = json.dumps(value).encode()
            self._send(status, {}, iter([data]), len(data), fault)
            return
        if not url.path.startswith("/ipfs/"):
            raise NotFoundError("page", url.path)
        cid = CID.parse(url.path.removeprefix("/ipfs/"))
        if "format=raw" in url.query:
            block = gateway.blocks.get_block(cid)
            self._send(200, {}, iter([block]), len(block), fault)
            return
        self._serve_file(cid, fault, asked)

    def _serve_file(self, cid: CID, fault: Fault, asked: str) -> None:
        size = file_size(self.server.blocks, cid)
        if not asked or fault.kind == "whole":
            self._send(200, {}, self._pieces(cid, 0, size), size, fault)
            return
        first, _, last = asked.removeprefix("bytes=").partition("-")
        start, stop = int(first), min(int(last) + 1, size)
        if fault.kind == "shift":
            start, stop = start + 1, min(stop + 1, size)
        headers = {"Content-Range": f"bytes {start}-{stop - 1}/{size}"}
        self._send(206, headers, self._pieces(cid, start, stop), stop - start, fault)

    def _pieces(self, cid: CID, start: int, stop: int) -> Iterator[bytes]:
        blocks = self.server.blocks
        for chunk in iter_chunks(blocks, cid, start, stop):
            data = memoryview(read_chunk(blocks, chunk))
            part = data[max(0, start - chunk.offset) : stop - chunk.offset]
            for at in range(0, len(part), PIECE_BYTES):
                yield bytes(part[at : at + PIECE_BYTES])

    def _send(
        self,
        status: int,
        headers: Mapping[str, str],
        pieces: Iterator[bytes],
        size: int,
        fault: Fault | None = None,
    ) -> None:
        fault = fault or Fault("none")
        is_endless = fault.kind == "more"
        self.send_response_only(status)
        for name, value in {**headers, **fault.headers}.items():
            self.send_header(name, value)
        if is_endless:
            self.send_header("Connection", "close")
        elif fault.kind in _ENDS:
            self.send_header("Transfer-Encoding", "chunked")
            pieces = _chunked(pieces, _ENDS[fault.kind], self.server.stopped)
        else:
            self.send_header("Content-Length", str(size))
        self.end_headers()
        sent = 0
        for piece in pieces:
            self.server.pace(len(piece))
            if not self._send_piece(piece, sent, fault):
                self.close_connection = True
                return
            self.wfile.flush()
            sent += len(piece)
        if is_endless:
            self.wfile.write(b"\0" * (fault.at or 1))

    def _send_piece(self, piece: bytes, sent: int, fault: Fault) -> bool:
        """Whether the answer goes on."""
        place = fault.at - sent
        if fault.kind not in ("lie", "stall", "cut", "drip") or not (
            0 <= place < len(piece)
        ):
            self.wfile.write(piece)
            return True
        self.wfile.write(piece[:place])
        self.wfile.flush()
        if fault.kind == "lie":
            self.wfile.write(bytes([piece[place] ^ 1]) + piece[place + 1 :])
            return True
        if fault.kind == "drip":
            for byte in piece[place:]:
                self.wfile.write(bytes([byte]))
                self.wfile.flush()
                if self.server.stopped.wait(0.01):
                    break
        if fault.kind == "stall":
            self.server.stopped.wait()
        return False


_ENDS = {"chunked": b"0\r\n\r\n", "trailer": b"0\r\nX-More: ", "length": b"0"}
"""What follows the last byte of a chunked answer, by fault."""


def _chunked(
    pieces: Iterator[bytes], end: bytes, stopped: threading.Event
) -> Iterator[bytes]:
    """Pieces as HTTP/1.1 frames them where no length is said."""
    for piece in filter(None, pieces):
        yield b"%x\r\n%b\r\n" % (len(piece), piece)
    yield end
    while not end.endswith(b"\r\n") and not stopped.wait(0.05):
        yield b"0"
