"""A FLO daemon on loopback: a chain in Python behind real HTTP.

It speaks as flod or as fcoin does where they differ, and stricter than either
in what it takes for "raw". What a `Fault` names is what a client of a broken,
overloaded or dishonest daemon gets to see.

    with FakeDaemon() as daemon:
        Rpc(daemon.url, *LOGIN).call("getblockcount")
"""

from __future__ import annotations

import base64
import contextlib
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from typing import Any, Literal

from etdb.errors import InvalidDataError
from etdb.ledger.flo.block import COIN_SAT
from etdb.ledger.flo.fee import LEAST_SAT_PER_KB
from etdb.ledger.flo.tx import Transaction
from etdb.testing.loopback import LoopbackServer
from etdb.testing.mining import FloChain, RefusedError

Dialect = Literal["flod", "fcoin"]

LOGIN = ("flo", "not to be shown")
"""User and password."""
_SPACES = b" " * 65_536


@dataclass
class Fault:
    """What goes wrong with requests that call `method`; "" is any.

    `kind`: status (of number `at`, with an empty body), html (of status `at`),
    half (the body is cut, its length is not), torn (the connection ends in the
    body), garbage (`value`, or no text), bare (JSON of another shape), foreign
    (an answer to another id), twice (each answer twice), shuffled (a batch in
    another order), lost (done, and the connection ends), huge (`at` bytes),
    stalled (silence), warming (error -28), lie (results are `value`), refuse
    (error `at`, words `value`).
    """

    kind: str
    method: str = ""
    at: int = 0
    value: Any = None
    times: int = 1_000_000
    """How many requests are spoilt."""
    after: int = 0
    """How many are answered well before the first that is spoilt."""


class FakeDaemon(LoopbackServer):
    """Serves from a thread while the block lasts, at a free port."""

    def __init__(
        self, dialect: Dialect = "flod", chain: FloChain | None = None
    ) -> None:
        super().__init__(_Answer)
        self.dialect: Dialect = dialect
        self.chain = chain or FloChain(has_data_limit=dialect == "flod")
        self.faults: list[Fault] = []
        self.requests: list[list[str]] = []
        """The methods that each request called, in order."""
        self.lock = threading.RLock()
        """Hold it while the chain is used beside the running daemon."""
        self._undecided: list[Transaction] = []

    @contextlib.contextmanager
    def using(self) -> Iterator[FloChain]:
        """The chain, with all that was sent decided, while nothing is served."""
        with self.lock:
            self._decide()
            yield self.chain

    def find_fault(self, methods: list[str]) -> Fault | None:
        """The first fault with requests left to spoil."""
        with self.lock:
            self.requests.append(methods)
            for fault in self.faults:
                if fault.times <= 0 or (fault.method and fault.method not in methods):
                    continue
                if fault.after > 0:
                    fault.after -= 1
                    continue
                fault.times -= 1
                return fault
        return None

    def answer(self, method: str, params: list[Any]) -> Any:
        """The result of a call. Raises RefusedError."""
        calls: dict[str, Callable[..., Any]] = {
            "getblockcount": lambda: self.chain.tip().height,
            "getbestblockhash": lambda: self.chain.tip().hash,
            "getblockhash": self._block_hash,
            "getblock": self._block,
            "getrawmempool": self._mempool,
            "sendrawtransaction": self._send,
            "getnetworkinfo": self._network,
            "getmempoolinfo": self._mempool_info,
            "getblockchaininfo": self._standing,
        }
        if method not in calls:
            raise RefusedError(-32601, "Method not found")
        with self.lock:
            try:
                return calls[method](*params)
            except TypeError as exc:
                raise RefusedError(-1, f"{method}: wrong parameters") from exc

    def _block_hash(self, height: int) -> str:
        if not 0 <= height < len(self.chain.blocks):
            raise RefusedError(-8, "Block height out of range")
        return self.chain.blocks[height].header.hash

    def _block(self, block_hash: str, form: object = 1) -> object:
        block = self.chain.find_block(block_hash)
        if block is None:
            raise RefusedError(-5, "Block not found")
        if type(form) is not (bool if self.dialect == "fcoin" else int):
            raise RefusedError(-1, "JSON value is not of the expected type")
        return {"hash": block_hash} if form else block.encode().hex()

    def _mempool(self) -> list[str]:
        listed = list(self.chain.pool)
        self._decide()
        return [*listed]

    def _send(self, raw: str) -> str:
        try:
            transaction = Transaction.parse(bytes.fromhex(raw))
        except (ValueError, InvalidDataError) as exc:
            raise RefusedError(-22, "TX decode failed") from exc
        if self.dialect == "fcoin":
            self._undecided.append(transaction)
        else:
            self.chain.accept(transaction)
        return transaction.txid

    def _network(self) -> dict[str, Any]:
        """One kind always tells the least of its network."""
        is_set = self.dialect == "flod"
        rate = self.chain.sat_per_kb if is_set else LEAST_SAT_PER_KB
        return {"version": 1, "relayfee": rate / COIN_SAT}

    def _mempool_info(self) -> dict[str, Any]:
        rate = 0 if self.dialect == "flod" else self.chain.sat_per_kb
        return {"size": len(self.chain.pool), "mempoolminfee": rate / COIN_SAT}

    def _standing(self) -> dict[str, Any]:
        height = self.chain.tip().height
        time_s = self.chain.blocks[-1].header.time
        return {"blocks": height, "headers": height, "mediantime": time_s}

    def _decide(self) -> None:
        """Take or refuse what was sent: fcoin answers before it does."""
        for transaction in self._undecided:
            with contextlib.suppress(RefusedError):
                self.chain.accept(transaction)
        self._undecided.clear()


class _Answer(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: FakeDaemon

    def do_POST(self) -> None:
        """Answer one call or a batch, rightly or with the next fault."""
        fake = self.server
        body = self.rfile.read(int(self.headers["Content-Length"]))
        token = base64.b64encode(":".join(LOGIN).encode()).decode()
        if self.headers["Authorization"] != f"Basic {token}":
            self._send(401, b"")
            return
        request = json.loads(body)
        calls = request if isinstance(request, list) else [request]
        fault = fake.find_fault([call["method"] for call in calls])
        answers = [self._call(call, fault) for call in calls]
        status = 200
        if isinstance(request, list):
            answer: object = answers
        else:
            answer = answers[0]
            if answers[0]["error"] is not None and fake.dialect == "flod":
                status = 404 if answers[0]["error"]["code"] == -32601 else 500
        if fault is None or fault.kind in {"lie", "refuse"}:
            self._send(status, json.dumps(answer).encode())
        else:
            self._spoil(fault, answer)

    def _call(self, call: dict[str, Any], fault: Fault | None) -> dict[str, Any]:
        method, kind = call["method"], ""
        if fault is not None and fault.method in {"", method}:
            kind = fault.kind
        result = error = None
        try:
            result = self.server.answer(method, call["params"])
        except RefusedError as exc:
            error = {"code": exc.code, "message": exc.message}
        if fault is not None and kind == "lie":
            result, error = fault.value, None
        if fault is not None and kind == "refuse":
            result, error = None, {"code": fault.at, "message": fault.value}
        return {"result": result, "error": error, "id": call["id"]}

    def _spoil(self, fault: Fault, answer: Any) -> None:
        whole = json.dumps(answer).encode()
        half = whole[: len(whole) // 2]
        page = b"<html><h1>Service unavailable</h1></html>"
        plain: dict[str, tuple[Any, ...]] = {
            "status": (fault.at, b""),
            "html": (fault.at, page),
            "half": (200, half),
            "torn": (200, half, len(whole)),
            "garbage": (200, fault.value or b"\xff\xfe not JSON"),
            "bare": (200, b'"yes"'),
        }
        if fault.kind in plain:
            self._send(*plain[fault.kind])
        elif fault.kind == "huge":
            self._pour(fault.at)
        elif fault.kind in {"lost", "stalled"}:
            if fault.kind == "stalled":
                self.server.stopped.wait()
            self.close_connection = True
        else:
            self._send(200, json.dumps(_altered(fault.kind, answer)).encode())

    def _pour(self, size_bytes: int) -> None:
        self._send(200, b"", size_bytes)
        with contextlib.suppress(OSError):
            for _ in range(size_bytes // len(_SPACES)):
                self.wfile.write(_SPACES)

    def _send(self, status: int, body: bytes, size_bytes: int | None = None) -> None:
        size = len(body) if size_bytes is None else size_bytes
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(size))
        if size > len(body):
            self.send_header("Connection", "close")
            self.close_connection = True
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Keep quiet."""


def _altered(kind: str, answer: Any) -> Any:
    """An answer of another shape than was asked for."""
    if kind == "warming":
        error = {"code": -28, "message": "Loading block index..."}
        return {"result": None, "error": error, "id": None}
    answers = answer if isinstance(answer, list) else [answer]
    if kind == "foreign":
        answers = [one | {"id": one["id"] + 1_000_000} for one in answers]
    elif kind == "shuffled":
        answers = answers[::-1]
    elif kind == "twice":
        answers = [one for one in answers for _ in range(2)]
    else:
        msg = f"no fault {kind}"
        raise AssertionError(msg)
    return answers if isinstance(answer, list) or kind == "twice" else answers[0]
