"""js-oip 2.5.1 publishes through a real FLO node, and is read for what it proves.

Its RPC wallet wants a daemon that holds keys; fcoin's wallet is another program
that it does not ask. The calls of a wallet are answered here, from the blocks
that fcoin holds, and all others by fcoin.
"""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any, Protocol

import httpx
import pytest

from etdb.identity import encode_base58check
from etdb.index.db import Index
from etdb.index.follow import follow
from etdb.index.history import list_versions
from etdb.index.oip.oipd import OipIndex
from etdb.index.queries import get_record, search
from etdb.ledger.flo.block import COIN_SAT, FloBlock
from etdb.ledger.flo.daemon import DaemonLedger
from etdb.ledger.flo.params import REGTEST
from etdb.ledger.flo.rpc import Rpc
from etdb.ledger.flo.script import pay_to
from etdb.ledger.flo.tx import Transaction
from etdb.record.signing import TEST_P2PKH, PrivateKey, hash160
from etdb.testing.catalogue import MemoryCatalogue
from etdb.testing.loopback import LoopbackServer
from etdb.testing.mining import FloChain
from etdb.testing.records import DIRECTORY
from etdb.testing.store import MemoryStore
from etdb.web.app import Site, create_app
from etdb.web.server import running

KEY = PrivateKey.from_bytes(b"\x09" * 32)
ADDRESS = KEY.address(TEST_P2PKH)
SCRIPT = pay_to(hash160(KEY.public_key))
WIF = encode_base58check(b"\xef" + KEY.to_bytes() + b"\x01")
FUNDS_SAT = 20 * COIN_SAT
PATIENCE_S = 30
FILE = {"fname": "a.mrc", "fsize": 4, "type": "tomogram", "subtype": "tiltSeries"}


class Package(Protocol):
    def run(self, script: str, asked: dict[str, Any]) -> Any: ...


class Fcoin(Protocol):
    @property
    def url(self) -> str: ...

    @property
    def login(self) -> tuple[str, str]: ...

    def call(self, method: str, *params: object) -> Any: ...


class Wallet:
    """A daemon with a wallet, as far as js-oip asks for one."""

    def __init__(self, fcoin: Fcoin) -> None:
        self._fcoin = fcoin
        self._mutex = threading.Lock()
        self.asked: list[str] = []
        self.sent: list[Transaction] = []

    def answer(self, method: str, params: Sequence[Any]) -> Any:
        with self._mutex:
            self.asked.append(method)
            if method == "importprivkey":
                assert params[0] == WIF
                return None
            if method == "listunspent":
                assert params[2] == [ADDRESS]
                return list(self._iter_unspent())
            if method == "getpeerinfo":
                return [{"id": 0, "addr": "127.0.0.1:17412"}]
            if method == "sendrawtransaction":
                self.sent.append(Transaction.parse(bytes.fromhex(params[0])))
            return self._fcoin.call(method, *params)

    def _iter_unspent(self) -> Iterator[dict[str, Any]]:
        """The address's coins that fcoin's blocks make and do not spend."""
        tip = self._fcoin.call("getblockcount")
        coins: dict[tuple[bytes, int], dict[str, Any]] = {}
        for height in range(1, tip + 1):
            block_hash = self._fcoin.call("getblockhash", height)
            raw = self._fcoin.call("getblock", block_hash, False)
            for transaction in FloBlock.parse(bytes.fromhex(raw)).transactions:
                for spent in transaction.inputs:
                    coins.pop(spent.outpoint, None)
                for number, output in enumerate(transaction.outputs):
                    if output.script == SCRIPT:
                        coins[transaction.txid_bytes, number] = {
                            "txid": transaction.txid,
                            "vout": number,
                            "address": ADDRESS,
                            "amount": output.value_sat / COIN_SAT,
                            "confirmations": tip - height + 1,
                        }
        yield from coins.values()


@contextlib.contextmanager
def serving(wallet: Wallet) -> Iterator[int]:
    """Over HTTP on loopback; the port."""

    class Answer(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            told = {"result": wallet.answer(asked["method"], asked["params"])}
            body = json.dumps({**told, "error": None, "id": asked["id"]}).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Nothing is written."""

    with LoopbackServer(Answer) as server:
        yield server.server_port


@dataclass(frozen=True)
class Network:
    """fcoin with coins for js-oip, and what mines for it."""

    fcoin: Fcoin
    chain: FloChain
    wallet: Wallet
    port: int

    def mine(self) -> None:
        """A block of what js-oip sent, which fcoin must have taken before."""
        waiting = {transaction.txid for transaction in self.wallet.sent}
        deadline = time.monotonic() + PATIENCE_S
        while set(self.fcoin.call("getrawmempool")) != waiting:
            assert time.monotonic() < deadline, "fcoin does not take them"
        self.submit(self.chain.add(self.wallet.sent))
        self.wallet.sent.clear()
        assert self.fcoin.call("getrawmempool") == []

    def submit(self, block: FloBlock) -> None:
        assert self.fcoin.call("submitblock", block.encode().hex()) is None


@pytest.fixture
def network(fcoin: Fcoin) -> Iterator[Network]:
    chain, wallet = FloChain(), Wallet(fcoin)
    with serving(wallet) as port:
        network = Network(fcoin, chain, wallet, port)
        for block in [*chain.blocks[1:], chain.fund(SCRIPT, FUNDS_SAT)]:
            network.submit(block)
        yield network


@pytest.fixture
def ledger(fcoin: Fcoin) -> Iterator[DaemonLedger]:
    with DaemonLedger.open(Rpc(fcoin.url, *fcoin.login), REGTEST) as opened:
        yield opened


@pytest.fixture
def index(ledger: DaemonLedger, tmp_path: Path) -> Iterator[Index]:
    with Index.create(tmp_path / "index.sqlite", [ledger.info]) as opened:
        yield opened


@pytest.fixture
def oip_url(index: Index, ledger: DaemonLedger) -> Iterator[str]:
    """What js-oip asks for records."""

    def raw_transaction(_ledger: str, height: int, position: int) -> bytes:
        return ledger.raw_transaction(height, position)

    site = Site(
        catalogue=MemoryCatalogue(),
        store=MemoryStore(),
        name="Test lab (synthetic)",
        version="0",
        status=dict,
        oip=OipIndex(index, raw_transaction),
    )
    with running(create_app(site)) as url:
        yield f"{url}/oip"


@pytest.fixture
def publish(js_oip: Package, network: Network, oip_url: str) -> Callable[..., Any]:
    """What js-oip says of what it published, after it was mined."""

    def run(**asked: object) -> Any:
        rpc = {"host": "127.0.0.1", "port": network.port}
        known = {"wif": WIF, "rpc": rpc, "oipdURL": oip_url}
        told = js_oip.run("publish.js", {**known, **asked})
        assert told["success"] is True, told
        network.mine()
        return told

    return run


def artifact(notes: str) -> dict[str, Any]:
    details = {"speciesName": "Vibrio cholerae", "date": 1577836800, "artNotes": notes}
    return {
        "type": "research",
        "subtype": "tomogram",
        "info": {"title": "Synthetic", "description": "By js-oip", "tags": "etdb"},
        "details": details,
        "storage": {"network": "ipfs", "location": DIRECTORY, "files": [FILE]},
    }


def test_a_record_in_one_transaction_is_of_class_c(
    publish: Callable[..., Any], network: Network, index: Index, ledger: DaemonLedger
) -> None:
    """Its signature covers place, address and time: on regtest the earliest counts."""
    told = publish(artifact=artifact("short"))
    follow(index, ledger)

    assert network.wallet.asked == [
        "importprivkey",
        "listunspent",
        "sendrawtransaction",
    ]
    (txid,) = told["txids"]
    record = get_record(index, txid)
    assert record["class"] == "C"
    assert record["artifact"] == told["record"]["artifact"]
    assert record["publisher"]["address"] == ADDRESS
    assert record["anchor"]["coverage"] == "covered", "js-oip signs its floData"
    assert [found["id"] for found in search(index).results] == [record["id"]]


def test_a_record_in_parts_is_of_class_b_and_js_oip_reads_it_back(
    publish: Callable[..., Any],
    index: Index,
    ledger: DaemonLedger,
    js_oip: Package,
    oip_url: str,
) -> None:
    """Its parts refer to part 0 by 64 digits, so they are signed over the text."""
    told = publish(artifact=artifact("ice too thick at the border, and " * 60))
    follow(index, ledger)

    first = told["txids"][0]
    record = get_record(index, first)
    assert len(told["txids"]) > 3
    assert record["class"] == "B"
    assert record["artifact"] == told["record"]["artifact"]
    calls = [("getArtifact", first), ("getMultiparts", first[:10], 100)]
    found, parts = js_oip.run("call.js", {"url": oip_url, "calls": calls})
    assert found["artifact"]["class"] == "ResearchTomogram"
    assert found["artifact"]["json"]["artifact"] == told["record"]["artifact"]
    assert [part["json"]["meta"]["txid"] for part in parts["multiparts"]] == [
        *told["txids"]
    ]


def test_its_edit_is_shown_and_changes_nothing(
    publish: Callable[..., Any],
    index: Index,
    ledger: DaemonLedger,
    oip_url: str,
) -> None:
    """An edit of 2019 signs the record's txid and a time, not what it changes."""
    (txid,) = publish(artifact=artifact("short"))["txids"]
    follow(index, ledger)

    told = publish(txid=txid, strain="K12")
    follow(index, ledger)

    assert told["record"]["artifact"]["details"]["strain"] == "K12"
    assert "strain" not in get_record(index, txid)["artifact"]["details"]
    (old,) = list_versions(index, txid)["old"]
    assert old["txid"] == told["txids"][0]
    assert 'add /details/strain: "K12"' in old["says"]
    url = f"{oip_url}/oip042/edit/get/{told['txids'][0]}"
    (edit,) = httpx.get(url).json()["results"]
    assert edit["edit"]["txid"] == edit["meta"]["originalTxid"] == txid
    assert (edit["meta"]["completed"], edit["meta"]["invalid"]) == (False, True)
