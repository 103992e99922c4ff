"""Real programs of others, started on loopback and free ports."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import pytest
import urllib3

from etdb.errors import UnavailableError
from etdb.identity import Txid
from etdb.ledger.flo.block import COIN_SAT, FloBlock
from etdb.ledger.flo.tx import Transaction
from etdb.testing.mining import FloChain, RefusedError
from etdb.testing.npm import install

HERE = Path(__file__).resolve().parent
CACHE = HERE.parent.parent / ".cache"
API_KEY = "test"

Obtain = Callable[[Callable[[], Path]], Path]


@dataclass(frozen=True)
class Fcoin:
    """fcoin's RPC on regtest."""

    pool: urllib3.HTTPConnectionPool

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.pool.port}"

    @property
    def login(self) -> tuple[str, str]:
        return "x", API_KEY

    def call(self, method: str, *params: object) -> Any:
        """A call's result; AssertionError with the daemon's words otherwise."""
        answer = self.pool.request(
            "POST",
            "/",
            body=json.dumps({"method": method, "params": params}),
            headers=urllib3.make_headers(basic_auth=f"x:{API_KEY}"),
        ).json()
        assert answer["error"] is None, answer["error"]
        return answer["result"]


@pytest.fixture(scope="session")
def obtain() -> Obtain:
    """Get a program; where that cannot be, fail in CI and skip elsewhere."""

    def obtain(get: Callable[[], Path]) -> Path:
        try:
            return get()
        except UnavailableError as error:
            said = f"{error.message}; {error.hint}" if error.hint else error.message
            if os.environ.get("CI") == "true":
                pytest.fail(said)
            pytest.skip(said)

    return obtain


@pytest.fixture(scope="session")
def fcoin_folder(obtain: Obtain) -> Path:
    """fcoin, JavaScript only."""
    return obtain(lambda: install(HERE / "fcoin", CACHE))


@pytest.fixture
def fcoin(fcoin_folder: Path, tmp_path: Path) -> Iterator[Fcoin]:
    """A new fcoin node that holds nothing but regtest's first block."""
    port, wallet_port, peer_port = free_ports(3)
    command = [
        "node",
        f"--require={HERE / 'fcoin' / 'js_only.js'}",
        "node_modules/fcoin/bin/node",
        "--network=regtest",
        "--memory=true",
        f"--prefix={tmp_path / 'fcoin'}",
        "--listen=false",
        "--max-outbound=1",
        "--http-host=127.0.0.1",
        f"--http-port={port}",
        f"--port={peer_port}",
        "--wallet-http-host=127.0.0.1",
        f"--wallet-http-port={wallet_port}",
        f"--api-key={API_KEY}",
        f"--wallet-api-key={API_KEY}",
        "--log-level=info",
    ]
    environment = {**os.environ, "NODE_BACKEND": "js"}
    with subprocess.Popen(
        command,
        cwd=fcoin_folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        said = Listener(process.stdout)
        try:
            said.wait_for("Node is loaded")
            with urllib3.HTTPConnectionPool("127.0.0.1", port, timeout=60) as pool:
                yield Fcoin(pool)
        finally:
            process.terminate()
            said.join()


class Listener:
    """Reads all a program says, so that it never blocks on a full pipe."""

    def __init__(self, stream: IO[str] | None) -> None:
        assert stream is not None
        self._stream = stream
        self._lines: list[str] = []
        self._changed = threading.Condition()
        self._is_over = False
        self._thread = threading.Thread(target=self._listen)
        self._thread.start()

    def wait_for(self, words: str) -> None:
        """Return when a line holds these words; fail when none will."""
        with self._changed:
            self._changed.wait_for(
                lambda: self._is_over or words in "".join(self._lines), timeout=60
            )
            said = "".join(self._lines)
        assert words in said, said

    def join(self) -> None:
        """Return when the program has said its last."""
        self._thread.join(timeout=60)

    def _listen(self) -> None:
        for line in self._stream:
            with self._changed:
                self._lines.append(line)
                self._changed.notify_all()
        with self._changed:
            self._is_over = True
            self._changed.notify_all()


def free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [item.getsockname()[1] for item in sockets]
    for item in sockets:
        item.close()
    return ports


class Miner:
    """fcoin's blocks, mined beside it in the same order."""

    def __init__(self, fcoin: Fcoin) -> None:
        self._fcoin = fcoin
        self.chain = FloChain(has_data_limit=False)
        self._submit(self.chain.blocks[1:])

    def mine(self, *texts: str | bytes, said: bytes = b"") -> FloBlock:
        """What fcoin's mempool holds, and these texts."""
        raws = [self._fcoin.call("getrawtransaction", t, False) for t in self.pool()]
        waiting = [Transaction.parse(bytes.fromhex(raw)) for raw in raws]
        while waiting:
            # In no order: a child may come before what it spends.
            left = [tx for tx in waiting if not self._is_taken(tx)]
            assert len(left) < len(waiting)
            waiting = left
        block = self.chain.mine(*texts, said=said)
        self._submit([block])
        return block

    def pool(self) -> set[Txid]:
        return {*self._fcoin.call("getrawmempool")}

    def add(self, *transactions: Transaction) -> None:
        self._submit([self.chain.add(transactions)])

    def fund(self, script: bytes, coins: int, value_sat: int = COIN_SAT) -> None:
        self._submit([self.chain.fund(script, value_sat, coins)])

    def reorganise(self, depth: int) -> None:
        self._submit(self.chain.reorganise(depth))

    def _is_taken(self, transaction: Transaction) -> bool:
        try:
            self.chain.accept(transaction)
        except RefusedError:
            return False
        return True

    def _submit(self, blocks: list[FloBlock]) -> None:
        for block in blocks:
            assert self._fcoin.call("submitblock", block.encode().hex()) is None
        assert self._fcoin.call("getbestblockhash") == self.chain.tip().hash


@pytest.fixture
def miner(fcoin: Fcoin) -> Miner:
    return Miner(fcoin)
