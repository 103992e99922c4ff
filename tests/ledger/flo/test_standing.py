"""A daemon that is still reading its network is read, and nothing is sent by it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from etdb.errors import UnavailableError
from etdb.ledger.base import SignedTransaction
from etdb.ledger.flo.coinbook import CoinBook
from etdb.ledger.flo.daemon import DaemonLedger
from etdb.ledger.flo.delivery import Pace
from etdb.ledger.flo.params import MAIN, REGTEST, Params
from etdb.ledger.flo.rpc import Refusal, Rpc
from etdb.ledger.flo.script import pay_to
from etdb.ledger.flo.standing import (
    MOST_AGE_S,
    MOST_BLOCKS_BEHIND,
    find_gap,
)
from etdb.record.message import LedgerKind
from etdb.record.signing import PrivateKey, hash160
from etdb.testing.daemon import LOGIN, FakeDaemon, Fault

KEY = PrivateKey.from_bytes(b"\x05" * 32)
SCRIPT = pay_to(hash160(KEY.public_key))
NOW_S = 1_773_600_000.0
DONE = {"blocks": 8_200_000, "headers": 8_200_000, "mediantime": int(NOW_S) - 200}
BEHIND = DONE | {"blocks": 3_100_000}
STALE = DONE | {"mediantime": int(NOW_S - MOST_AGE_S) - 1}
FIRST = DONE | {"initialblockdownload": True}
TEST_OF_REGTEST = replace(REGTEST, kind=LedgerKind.FLO_TEST)
"""Regtest's chain taken for a network that has miners."""

Open = Callable[..., DaemonLedger]


@pytest.mark.parametrize(
    ("account", "said"),
    [
        (BEHIND, "block 3,100,000 of 8,200,000"),
        (STALE, "block 8,200,000 of 2026-03-15 16:39 UTC is its last"),
        (FIRST, "block 8,200,000"),
    ],
)
def test_what_is_not_at_the_end_is_said(account: object, said: str) -> None:
    assert said in find_gap(account, MAIN, NOW_S)


@pytest.mark.parametrize(
    "account",
    [
        DONE,
        DONE | {"blocks": DONE["headers"] - MOST_BLOCKS_BEHIND},
        DONE | {"mediantime": int(NOW_S - MOST_AGE_S)},
        DONE | {"mediantime": int(NOW_S) + 7_000},
        DONE | {"initialblockdownload": False},
        {"blocks": 5},
        {"blocks": "many", "headers": 10**9},
        {"blocks": 5, "headers": None, "mediantime": -1},
        {"blocks": 5, "mediantime": 10**30},
        {},
        None,
        [],
        Refusal(-32601, "Method not found"),
    ],
)
def test_what_is_at_the_end_or_does_not_say_is_believed(account: object) -> None:
    assert find_gap(account, MAIN, NOW_S) == ""


def test_blocks_of_regtest_may_be_of_any_age() -> None:
    for account in (STALE, FIRST):
        assert find_gap(account, REGTEST, NOW_S) == ""
        assert find_gap(account, TEST_OF_REGTEST, NOW_S) != ""
    assert find_gap(BEHIND, REGTEST, NOW_S) != ""


@pytest.fixture(params=["flod", "fcoin"])
def daemon(request: pytest.FixtureRequest) -> Iterator[FakeDaemon]:
    with FakeDaemon(request.param) as running:
        running.chain.fund(SCRIPT, coins=16)
        yield running


@pytest.fixture
def opened(daemon: FakeDaemon, tmp_path: Path) -> Iterator[Open]:
    with contextlib.ExitStack() as stack:

        def open_ledger(network: Params, age_s: float) -> DaemonLedger:
            """`age_s` is how long ago the last block came."""
            coins = CoinBook.open(tmp_path / "coins", SCRIPT, network.info(0).id)
            now_s = daemon.chain.blocks[-1].header.time + age_s
            ledger = DaemonLedger.open(
                Rpc(daemon.url, *LOGIN),
                network,
                coins=coins,
                key=KEY,
                pace=Pace(0.3, now=lambda: now_s),
            )
            return stack.enter_context(ledger)

        yield open_ledger


def send(ledger: DaemonLedger) -> SignedTransaction:
    ledger.prepare([1])
    sent = ledger.compose(b"x")
    ledger.send([sent])
    return sent


def verify_nothing_is_sent(ledger: DaemonLedger, daemon: FakeDaemon) -> str:
    """Though it is read; the sentence that says why."""
    sent = ledger.compose(b"x")
    with pytest.raises(UnavailableError, match="still reading") as caught:
        ledger.prepare([1])
    assert "etdb ledger status" in caught.value.hint
    with pytest.raises(UnavailableError, match="still reading"):
        ledger.send([sent])
    assert daemon.chain.pool == {}
    ledger.settle()
    assert ledger.status().wallet is not None
    assert ledger.block(111).height == 111
    return ledger.status().gap


def test_beside_headers_far_ahead_nothing_is_sent(
    daemon: FakeDaemon, opened: Open
) -> None:
    ledger = opened(REGTEST, 0)
    daemon.faults = [Fault("lie", "getblockchaininfo", value=BEHIND)]

    gap = verify_nothing_is_sent(ledger, daemon)

    assert "3,100,000 of 8,200,000" in gap
    daemon.faults = []
    assert ledger.status().gap == ""
    assert send(ledger).txid in daemon.chain.pool


def test_where_the_last_block_is_old_nothing_is_sent(
    daemon: FakeDaemon, opened: Open
) -> None:
    ledger = opened(TEST_OF_REGTEST, MOST_AGE_S + 1)

    gap = verify_nothing_is_sent(ledger, daemon)

    assert "block 111 of 2023-" in gap


@pytest.mark.parametrize(
    ("network", "age_s"), [(TEST_OF_REGTEST, MOST_AGE_S), (REGTEST, 10**9)]
)
def test_where_it_is_young_or_of_regtest_all_is_sent(
    daemon: FakeDaemon, opened: Open, network: Params, age_s: float
) -> None:
    assert send(opened(network, age_s)).txid in daemon.chain.pool


@pytest.mark.parametrize("answer", [None, [], "main", {"blocks": {}}])
def test_a_daemon_that_does_not_say_is_used(
    daemon: FakeDaemon, opened: Open, answer: Any
) -> None:
    daemon.faults = [Fault("lie", "getblockchaininfo", value=answer)]

    assert send(opened(TEST_OF_REGTEST, 10**9)).txid in daemon.chain.pool
