"""A folder with a journal and a wallet, opened anew on a daemon of any behaviour."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

from etdb.ledger.flo.coinbook import CoinBook
from etdb.ledger.flo.daemon import DaemonLedger
from etdb.ledger.flo.delivery import Pace
from etdb.ledger.flo.params import REGTEST, Params
from etdb.ledger.flo.rpc import Rpc
from etdb.ledger.flo.script import pay_to
from etdb.publish.journal import Entry, Journal
from etdb.record.signing import hash160
from etdb.testing.crash import (
    SCENARIOS,
    WALLET,
    Scenario,
    resume,
    verify_at_rest,
    verify_said_once,
)
from etdb.testing.daemon import LOGIN, FakeDaemon

SCRIPT = pay_to(hash160(WALLET.public_key))
PUBLISH = SCENARIOS["publish"]

Open = Callable[[], AbstractContextManager[DaemonLedger]]
"""Opens the ledger as a new process does."""


@contextlib.contextmanager
def open_ledger(
    node: Path, daemon: FakeDaemon, network: Params = REGTEST, password: str = LOGIN[1]
) -> Iterator[DaemonLedger]:
    """The daemon's network, with the coins that the folder knows of."""
    coins = CoinBook.open(node / "coins.sqlite", SCRIPT, network.info(0).id)
    is_silent = any(fault.kind == "stalled" for fault in daemon.faults)
    rpc = Rpc(daemon.url, LOGIN[0], password, timeout_s=0.5 if is_silent else 30)
    pace = Pace(0.3)
    with DaemonLedger.open(rpc, network, coins=coins, key=WALLET, pace=pace) as ledger:
        yield ledger


def list_open(node: Path) -> list[Entry]:
    """What the folder's journal still has to see through."""
    return Journal(node / "journal").list_open()


def see_through(node: Path, daemon: FakeDaemon, opened: Open) -> None:
    """Blocks come, and `etdb publish --resume` is run after each."""
    for _ in range(4):
        with daemon.using() as chain:
            chain.mine()
        with opened() as ledger:
            resume(node, ledger)
        if not list_open(node):
            return
    msg = "something is open after four blocks"
    raise AssertionError(msg)


def verify(node: Path, opened: Open, scenario: Scenario = PUBLISH) -> None:
    """Everything is on the ledger once, and nothing is left to do."""
    with opened() as ledger:
        verify_said_once(scenario, ledger, node.parent)
        verify_at_rest(node, ledger)
