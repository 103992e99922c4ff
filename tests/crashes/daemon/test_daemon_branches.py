"""A FLO network that takes back what was settled, and a wallet of one big coin.

What is said again is said a second later, so that it would be something else.
"""

from __future__ import annotations

import contextlib
import time
from pathlib import Path

import pytest

from etdb.errors import EtdbError
from etdb.index import queries
from etdb.index.db import Index
from etdb.index.follow import follow
from etdb.lab.folder import read_dataset
from etdb.ledger.base import Ledger
from etdb.ledger.flo.block import COIN_SAT
from etdb.ledger.flo.params import REGTEST
from etdb.ledger.flo.tx import Transaction
from etdb.publish.journal import Journal
from etdb.testing.crash import (
    PUBLISHER,
    SCENARIOS,
    SIDS,
    Scenario,
    publish,
    resume,
    verify_at_rest,
    verify_said_once,
)
from etdb.testing.daemon import FakeDaemon
from etdb.testing.publishing import Killed, Watch, Watcher, ignore, open_publisher
from etdb.testing.restart import PUBLISH, SCRIPT, Open, list_open, verify

MANY = 16


@pytest.fixture
def daemon(poor_daemon: FakeDaemon) -> FakeDaemon:
    """A daemon of either kind: each test gives it coins as it needs them."""
    return poor_daemon


def publish_later(node: Path, ledger: Ledger) -> None:
    """`etdb publish` of both datasets, a second later."""
    with open_publisher(
        node, ledger, PUBLISHER, clock=lambda: time.time() + 1
    ) as publisher:
        folders = [node / "data" / sid for sid in SIDS]
        publisher.publish([publisher.plan(read_dataset(one)) for one in folders])


def settle(node: Path, daemon: FakeDaemon, opened: Open) -> None:
    """A block comes, and `etdb publish --resume` is run."""
    with daemon.using() as chain:
        chain.mine()
    with opened() as ledger:
        resume(node, ledger)
    assert list_open(node) == []


def begin(scenario: Scenario, node: Path, daemon: FakeDaemon, opened: Open) -> None:
    """The scenario's command is done, and settled."""
    with daemon.using() as chain:
        chain.fund(SCRIPT, coins=16)
    for run in (publish, scenario.run) if scenario.needs_records else (publish,):
        with opened() as ledger:
            run(node, ledger, Watcher())
        settle(node, daemon, opened)


def take_back(daemon: FakeDaemon, *, is_dropped: bool) -> None:
    """The last block falls out; what it held waits again, or is forgotten."""
    with daemon.using() as chain:
        chain.reorganise(1)
        for txid in list(chain.pool) if is_dropped else ():
            chain.drop(txid)
        assert is_dropped == (chain.pool == {})


@pytest.mark.parametrize("is_dropped", [False, True], ids=["waiting again", "dropped"])
@pytest.mark.parametrize("name", SCENARIOS)
def test_a_settled_statement_that_is_lost_stands_once_in_the_end(
    node: Path, daemon: FakeDaemon, opened: Open, name: str, *, is_dropped: bool
) -> None:
    scenario = SCENARIOS[name]
    begin(scenario, node, daemon, opened)
    kept = Journal(node / "journal").list_kept()
    take_back(daemon, is_dropped=is_dropped)

    with opened() as ledger, contextlib.suppress(EtdbError):
        if name == "publish":
            publish_later(node, ledger)
        else:
            scenario.run(node, ledger, Watcher())

    again = Journal(node / "journal").list_kept()
    assert [entry.transactions for entry in again] == [e.transactions for e in kept]
    settle(node, daemon, opened)
    verify(node, opened, scenario)


@pytest.mark.parametrize("is_dropped", [False, True], ids=["waiting again", "dropped"])
@pytest.mark.parametrize("poor_daemon", ["flod"], indirect=True)
def test_once_forgotten_it_would_be_published_twice_or_never_sent_again(
    node: Path, daemon: FakeDaemon, opened: Open, *, is_dropped: bool
) -> None:
    begin(PUBLISH, node, daemon, opened)
    journal = Journal(node / "journal")
    journal.close(journal.list_kept())
    take_back(daemon, is_dropped=is_dropped)

    with opened() as ledger:
        resume(node, ledger)
        assert (daemon.chain.pool == {}) == is_dropped
        publish_later(node, ledger)

    settle(node, daemon, opened)
    with opened() as ledger, contextlib.ExitStack() as expecting:
        if not is_dropped:
            expecting.enter_context(pytest.raises(AssertionError, match="'publish': 4"))
        verify_said_once(PUBLISH, ledger, node.parent)


@pytest.mark.parametrize("poor_daemon", ["flod"], indirect=True)
def test_it_is_forgotten_when_no_reorganisation_reaches_it(
    node: Path, daemon: FakeDaemon, opened: Open
) -> None:
    begin(PUBLISH, node, daemon, opened)
    for _ in range(REGTEST.max_reorg_blocks - 1):
        settle(node, daemon, opened)
    assert len(Journal(node / "journal").list_kept()) == len(SIDS)

    settle(node, daemon, opened)

    assert Journal(node / "journal").list_kept() == []


def list_fan_outs(transactions: list[Transaction]) -> list[Transaction]:
    """What splits coins of ours among ourselves."""
    return [
        tx
        for tx in transactions
        if len(tx.outputs) > 1 and {output.script for output in tx.outputs} == {SCRIPT}
    ]


def publish_many(
    node: Path, ledger: Ledger, watch: Watch = ignore, later_s: int = 0
) -> None:
    """Publish so many that one coin's chain of transactions would be too long."""
    with open_publisher(
        node, ledger, PUBLISHER, watch=watch, clock=lambda: time.time() + later_s
    ) as publisher:
        made = publisher.plan(read_dataset(node / "data" / SIDS[0])).artifact
        details = dict(made["details"])
        publisher.publish_artifacts(
            [
                {**made, "details": {**details, "sid": f"s{number}"}}
                for number in range(MANY)
            ]
        )


def count_records(ledger: Ledger, folder: Path) -> list[int]:
    """How many anchors each record has, to who reads it from its beginning."""
    with Index.create(folder / "fresh.sqlite", [ledger.info]) as fresh:
        follow(fresh, ledger)
        found = queries.search(fresh, "", limit=100).results
        return [len(queries.get_record(fresh, one["id"])["anchors"]) for one in found]


@pytest.mark.parametrize("fate", ["waits", "is mined", "is dropped"])
@pytest.mark.parametrize("point", ["after prepare 1", "before send 1"])
def test_a_stop_after_the_coins_were_split_leaves_each_record_once(
    node: Path, daemon: FakeDaemon, opened: Open, point: str, fate: str
) -> None:
    with daemon.using() as chain:
        chain.fund(SCRIPT, value_sat=5 * COIN_SAT, coins=1)
    with opened() as ledger, pytest.raises(Killed):
        publish_many(node, ledger, Watcher(point))
    with daemon.using() as chain:
        (fan_out,) = list_fan_outs(list(chain.pool.values()))
        if fate == "is mined":
            chain.mine()
        elif fate == "is dropped":
            chain.drop(fan_out.txid)

    with opened() as ledger:
        publish_many(node, ledger, later_s=1)
    settle(node, daemon, opened)

    with opened() as ledger:
        assert count_records(ledger, node.parent) == [1] * MANY
        verify_at_rest(node, ledger)
    with daemon.using() as chain:
        mined = [tx for block in chain.blocks for tx in block.transactions[1:]]
        split = [tx.txid for tx in list_fan_outs(mined)]
        # What was signed on coins that are gone is composed anew of the big one.
        is_needless = (point, fate) == ("before send 1", "is dropped")
        assert split == ([] if is_needless else [fan_out.txid])
