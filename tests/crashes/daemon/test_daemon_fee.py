"""A daemon that asks for more than what stands signed in the journal pays."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from etdb.errors import UnavailableError
from etdb.ledger.base import SignedTransaction
from etdb.ledger.flo.daemon import DaemonLedger
from etdb.ledger.flo.fee import show_flo
from etdb.ledger.flo.tx import OutPoint, Transaction
from etdb.publish.journal import Entry
from etdb.testing.crash import count_parts, resume
from etdb.testing.daemon import FakeDaemon
from etdb.testing.mining import RefusedError
from etdb.testing.publishing import Killed, Watcher
from etdb.testing.restart import (
    PUBLISH,
    SCRIPT,
    Open,
    list_open,
    open_ledger,
    see_through,
    verify,
)


def begin_before_a_rise(
    node: Path, daemon: FakeDaemon, opened: Open, times: int
) -> list[Entry]:
    """What is in the journal, and not sent, as the daemon asks for more."""
    with opened() as ledger, pytest.raises(Killed):
        PUBLISH.run(node, ledger, Watcher("before send 1"))
    daemon.chain.sat_per_kb *= times
    return list_open(node)


def fee_sat(entry: Entry) -> int:
    return sum(tx.fee_sat for tx in entry.transactions)


def spent_by(transactions: Iterable[SignedTransaction]) -> set[OutPoint]:
    parsed = [Transaction.parse(tx.raw) for tx in transactions]
    return {item.outpoint for tx in parsed for item in tx.inputs}


def test_a_fee_that_became_too_low_is_raised_and_the_same_is_said_once(
    node: Path, daemon: FakeDaemon, opened: Open
) -> None:
    before = begin_before_a_rise(node, daemon, opened, 5)

    with opened() as ledger:
        resume(node, ledger)

    after = list_open(node)
    for old, new in zip(before, after, strict=True):
        assert (new.text, new.digest) == (old.text, old.digest)
        assert fee_sat(new) == pytest.approx(5 * fee_sat(old), rel=0.01)
        assert new.agreed_sat == fee_sat(old)
    see_through(node, daemon, opened)
    verify(node, opened)
    with opened() as ledger:
        assert set(count_parts(ledger).values()) == {1}


@pytest.mark.parametrize("poor_daemon", ["flod"], indirect=True)
def test_what_paid_too_little_can_never_be_mined_besides(
    node: Path, daemon: FakeDaemon, opened: Open
) -> None:
    before = begin_before_a_rise(node, daemon, opened, 5)

    with opened() as ledger:
        resume(node, ledger)

    for old, new in zip(before, list_open(node), strict=True):
        assert spent_by(old.transactions) <= spent_by(new.transactions)
    # Another node still has the old ones, and relays for less.
    daemon.chain.sat_per_kb //= 5
    olds = [Transaction.parse(tx.raw) for entry in before for tx in entry.transactions]
    with daemon.using() as chain:
        for old_transaction in olds:
            with pytest.raises(RefusedError):
                chain.accept(old_transaction)


def test_a_fee_that_rose_while_it_was_sent_is_paid(
    node: Path, daemon: FakeDaemon, opened: Open
) -> None:
    def ask_for_more() -> None:
        daemon.chain.sat_per_kb *= 3

    with opened() as ledger:
        PUBLISH.run(node, ledger, Watcher("before send 1", ask_for_more))
    see_through(node, daemon, opened)

    verify(node, opened)


def test_a_stop_while_the_fee_is_raised_leaves_each_statement_once(
    node: Path, daemon: FakeDaemon, opened: Open
) -> None:
    begin_before_a_rise(node, daemon, opened, 5)
    with opened() as ledger, pytest.raises(Killed):
        resume(node, ledger, Watcher("before send 3"))

    see_through(node, daemon, opened)

    verify(node, opened)
    with opened() as ledger:
        assert set(count_parts(ledger).values()) == {1}


def test_with_one_coin_a_fee_is_raised_too(node: Path) -> None:
    with FakeDaemon() as daemon:
        daemon.chain.fund(SCRIPT, coins=1)

        def opened() -> AbstractContextManager[DaemonLedger]:
            return open_ledger(node, daemon)

        begin_before_a_rise(node, daemon, opened, 5)
        with opened() as ledger:
            resume(node, ledger)
        see_through(node, daemon, opened)

        verify(node, opened)


@pytest.mark.parametrize("rises", [(1000,), (5, 5)])
def test_a_fee_far_above_what_was_agreed_to_is_not_paid(
    node: Path, daemon: FakeDaemon, opened: Open, rises: tuple[int, ...]
) -> None:
    (agreed, *_) = begin_before_a_rise(node, daemon, opened, 1)
    for times in rises[:-1]:
        daemon.chain.sat_per_kb *= times
        with opened() as ledger:
            resume(node, ledger)
        with daemon.using() as chain:
            for txid in list(chain.pool):
                chain.drop(txid)
    daemon.chain.sat_per_kb *= rises[-1]
    before = list_open(node)

    with opened() as ledger, pytest.raises(UnavailableError) as caught:
        resume(node, ledger)

    assert show_flo(agreed.agreed_sat) in caught.value.message
    assert show_flo(int(str(caught.value.facts["asked_sat"]))) in caught.value.message
    assert "etdb publish --resume" in caught.value.hint
    assert list_open(node) == before
    daemon.chain.sat_per_kb = 1_000
    with opened() as ledger:
        resume(node, ledger)
    see_through(node, daemon, opened)
    verify(node, opened)
