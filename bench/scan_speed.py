"""Scanning a FLO network through a daemon's RPC, against what must be done.

Each transaction carries a text of a published record's size, and whether its
signature covers that text is checked. So the least that scanning can cost is
one signature check for each; the other reference reads the same answers over
HTTP and throws them away. The daemon is a process that repeats canned answers.
"""

from __future__ import annotations

import contextlib
import gc
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import coincurve
import urllib3

from bench import Figure, alternate
from etdb.ledger.flo.block import FloBlock
from etdb.ledger.flo.daemon import DaemonLedger
from etdb.ledger.flo.params import REGTEST
from etdb.ledger.flo.rpc import Rpc
from etdb.testing.mining import FIRST_BLOCKS, FloChain

BLOCKS = 20
TEXTS = 700
TEXT_BYTES = 1_000
AT_LEAST = 0.25


def measure() -> list[Figure]:
    """Transactions with floData each second, from the daemon to the texts."""
    chain = FloChain()
    for number in range(BLOCKS):
        chain.mine(*(_text(number, place) for place in range(TEXTS)))
    with _canned(chain.blocks) as url, _kept_out_of_the_way():
        ours, signatures, reading = alternate(
            [
                lambda: _scan_rate(url),
                _signature_rate,
                lambda: _reading_rate(url, chain.blocks[FIRST_BLOCKS + 1 :]),
            ]
        )
    what = f"scan {BLOCKS * TEXTS:,} texts of {TEXT_BYTES:,} bytes by RPC"
    rates = f"{ours:,.0f} against {signatures:,.0f} and {reading:,.0f} transactions/s"
    return [
        Figure(what, "one signature check each", ours / signatures, AT_LEAST, rates),
        Figure(what, "reading the answers only", ours / reading, None, rates),
    ]


@contextlib.contextmanager
def _kept_out_of_the_way() -> Iterator[None]:
    """The chain made here is not what a scanner's collector goes through."""
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


def _text(number: int, place: int) -> bytes:
    return f"json:{number}:{place}:".encode().ljust(TEXT_BYTES, b"x")


@contextlib.contextmanager
def _canned(blocks: list[FloBlock]) -> Iterator[str]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "blocks")
        path.write_text(
            "".join(f"{one.header.hash} {one.encode().hex()}\n" for one in blocks)
        )
        command = [sys.executable, "-m", "bench.canned_daemon", str(path)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            try:
                yield f"http://127.0.0.1:{int(process.stdout.readline())}"
            finally:
                process.terminate()


def _scan_rate(url: str) -> float:
    with DaemonLedger.open(Rpc(url), REGTEST) as ledger:
        started = time.perf_counter()
        blocks = ledger.iter_blocks(FIRST_BLOCKS + 1, ledger.tip().height)
        texts = sum(len(block.carried) for block in blocks)
        taken_s = time.perf_counter() - started
    assert texts == BLOCKS * TEXTS
    return texts / taken_s


def _signature_rate() -> float:
    """One key and one signature, checked again and again by one thread."""
    key = coincurve.PrivateKey(b"\x01" * 32)
    digest = b"\x02" * 32
    signature = key.sign(digest, hasher=None)
    started = time.perf_counter()
    for _ in range(BLOCKS * TEXTS):
        assert key.public_key.verify(signature, digest, hasher=None)
    return BLOCKS * TEXTS / (time.perf_counter() - started)


def _reading_rate(url: str, blocks: list[FloBlock]) -> float:
    calls = [
        {"id": number, "method": "getblock", "params": [block.header.hash, False]}
        for number, block in enumerate(blocks)
    ]
    with urllib3.PoolManager() as pool:
        started = time.perf_counter()
        for call in calls:
            pool.request("POST", url, body=json.dumps([call]))
        return BLOCKS * TEXTS / (time.perf_counter() - started)
