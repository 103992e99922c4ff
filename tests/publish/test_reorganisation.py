"""A branch that takes back what was settled: afterwards all of it stands once.

What is said again is said a second later, so that it would be something else.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from etdb.errors import ConflictError
from etdb.index import queries
from etdb.index.db import Index
from etdb.index.follow import follow
from etdb.index.schema import messages
from etdb.ledger.base import Carried, LedgerInfo
from etdb.publish.plan import PlanState
from etdb.publish.publisher import Outcome, Published, Publisher
from etdb.record.message import LedgerKind
from etdb.record.signing import PrivateKey
from etdb.testing.ledger import MemoryLedger
from etdb.testing.pool import PoolLedger
from etdb.testing.publishing import open_publisher, plan, publish, with_outbox

Make = Callable[..., Path]
Say = Callable[[Publisher], Published]

LIMIT = 3
"""The deepest reorganisation of the ledgers here."""


class KeepingPool(PoolLedger):
    """What falls out of a block waits in the pool again, as daemons do it."""

    def reorganise(
        self, depth: int, branch: Sequence[Sequence[str | bytes]] = ()
    ) -> tuple[Carried, ...]:
        """As any pool; then what fell out is taken again."""
        raws = [self._blocks[-1 - number].carried for number in range(depth)]
        ours = [one for carried in reversed(raws) for one in carried]
        kept = [self.sent[one.txid] for one in ours]
        dropped = super().reorganise(depth, branch)
        for transaction in kept:
            self._take(transaction)
        return dropped

    def _take(self, transaction: Any) -> None:
        super()._take(transaction)
        self.sent[transaction.txid] = transaction

    def __init__(self) -> None:
        self.sent: dict[str, Any] = {}
        super().__init__()


@pytest.fixture(params=[PoolLedger, KeepingPool], ids=["dropped", "waiting again"])
def pool(request: pytest.FixtureRequest) -> PoolLedger:
    """A shared ledger that names how deep it is reorganised at most."""
    made: PoolLedger = request.param()
    made.info = LedgerInfo("memory", LedgerKind.FLO_REGTEST, 0, LIMIT)
    return made


@pytest.fixture
def lab(node: Path, pool: PoolLedger, key: PrivateKey) -> Iterator[Publisher]:
    """A publisher on it whose clock is a second later each time it is read."""
    ticks = itertools.count(int(time.time()))
    with open_publisher(node, pool, key, clock=lambda: next(ticks)) as opened:
        yield opened


def settle(publisher: Publisher, pool: PoolLedger) -> None:
    pool.deliver()
    publisher.resume()
    assert publisher.outbox.journal.list_open() == []


def count_said(pool: PoolLedger, tmp_path: Path) -> dict[str, int]:
    """How many statements of each action stand on the ledger."""
    with Index.create(tmp_path / "fresh.sqlite", [pool.info]) as fresh:
        follow(fresh, pool)
        with fresh.read() as connection:
            said = select(messages.c.action, func.count()).group_by(messages.c.action)
            return {action: count for action, count in connection.execute(said)}


def record_id(publisher: Publisher) -> str:
    record = queries.find_by_sid(publisher.index, publisher.address, "vc-1")
    assert record is not None
    return str(record["id"])


def edit(publisher: Publisher) -> Published:
    found = publisher.plan_edit(record_id(publisher), {"strain": "PAO1"})
    return publisher.send(found)


def withdraw(publisher: Publisher) -> Published:
    return publisher.send(publisher.plan_withdrawal(record_id(publisher), "wrong"))


def register(publisher: Publisher) -> Published:
    return publisher.send(publisher.plan_register("A lab"))


STATEMENTS: dict[str, Say] = {
    "edit": edit,
    "deactivate": withdraw,
    "register": register,
}


def test_a_settled_record_that_is_lost_is_not_published_twice(
    lab: Publisher, pool: PoolLedger, dataset: Path, tmp_path: Path
) -> None:
    (first,) = publish(lab, dataset)
    settle(lab, pool)
    sent = [tx for entry in lab.outbox.journal.list_kept() for tx in entry.transactions]
    pool.reorganise(1)

    assert plan(lab, dataset).state is PlanState.SENT
    (again,) = publish(lab, dataset)

    assert (again.id, again.outcome) == (first.id, Outcome.SENT)
    assert pool.pool == sent
    assert len(lab.outbox.journal.list_open()) == 1
    settle(lab, pool)
    assert count_said(pool, tmp_path) == {"publish": 1}


def test_once_forgotten_it_would_be_published_twice_or_not_at_all(
    lab: Publisher, pool: PoolLedger, dataset: Path, tmp_path: Path
) -> None:
    (first,) = publish(lab, dataset)
    settle(lab, pool)
    lab.outbox.journal.close(lab.outbox.journal.list_kept())
    pool.reorganise(1)

    assert lab.resume() == []
    assert plan(lab, dataset).state is PlanState.NEW
    assert publish(lab, dataset)[0].id != first.id

    settle(lab, pool)
    is_kept = isinstance(pool, KeepingPool)
    assert count_said(pool, tmp_path) == {"publish": 2 if is_kept else 1}


@pytest.mark.parametrize("action", STATEMENTS)
def test_a_settled_statement_that_is_lost_is_sent_again(
    lab: Publisher, pool: PoolLedger, dataset: Path, tmp_path: Path, action: str
) -> None:
    say = STATEMENTS[action]
    publish(lab, dataset)
    settle(lab, pool)
    first = say(lab)
    settle(lab, pool)
    pool.reorganise(1)
    lab.outbox.follow()

    with pytest.raises(ConflictError, match="on its way"):
        say(lab)
    (again,) = lab.resume()

    assert (again.action, again.txid) == (action, first.txid)
    assert again.outcome is Outcome.SENT
    settle(lab, pool)
    assert count_said(pool, tmp_path) == {"publish": 1, action: 1}


@pytest.mark.parametrize("action", STATEMENTS)
def test_a_forgotten_statement_would_be_said_twice_or_not_at_all(
    lab: Publisher, pool: PoolLedger, dataset: Path, tmp_path: Path, action: str
) -> None:
    say = STATEMENTS[action]
    publish(lab, dataset)
    settle(lab, pool)
    first = say(lab)
    settle(lab, pool)
    lab.outbox.journal.close(lab.outbox.journal.list_kept())
    pool.reorganise(1)
    assert lab.resume() == []

    assert say(lab).txid != first.txid
    settle(lab, pool)

    is_kept = isinstance(pool, KeepingPool)
    assert count_said(pool, tmp_path)[action] == (2 if is_kept else 1)


def test_what_is_settled_holds_up_nothing(
    lab: Publisher, pool: PoolLedger, dataset: Path, tmp_path: Path
) -> None:
    publish(lab, dataset)
    settle(lab, pool)

    assert len(lab.outbox.journal.list_kept()) == 1
    assert lab.resume() == []
    assert lab.wait() == []
    assert plan(lab, dataset).state is PlanState.UNCHANGED
    assert publish(lab, dataset)[0].outcome is Outcome.PRESENT
    for say in (register, edit, withdraw):
        say(lab)
        settle(lab, pool)
    assert plan(lab, dataset).state is PlanState.NEW
    assert count_said(pool, tmp_path) == {
        "publish": 1,
        "edit": 1,
        "deactivate": 1,
        "register": 1,
    }


def test_it_is_forgotten_when_no_reorganisation_reaches_it(
    lab: Publisher, pool: PoolLedger, dataset: Path
) -> None:
    publish(lab, dataset)
    settle(lab, pool)
    for _ in range(LIMIT - 1):
        pool.deliver()
        lab.resume()
        assert len(lab.outbox.journal.list_kept()) == 1

    pool.deliver()

    assert lab.resume() == []
    assert lab.outbox.journal.list_kept() == []


def test_on_a_ledger_that_stays_it_is_forgotten_at_once(
    lab: Publisher, pool: PoolLedger, dataset: Path
) -> None:
    pool.info = LedgerInfo("memory", LedgerKind.FLO_REGTEST, 0, None)
    publish(lab, dataset)
    settle(lab, pool)

    assert lab.outbox.journal.list_kept() == []


def test_more_confirmations_than_the_limit_are_waited_for(
    lab: Publisher, pool: PoolLedger, dataset: Path
) -> None:
    patient = with_outbox(lab, confirmations=LIMIT + 3)
    publish(patient, dataset)
    for _ in range(LIMIT + 2):
        pool.deliver()
        patient.resume()
        assert len(patient.outbox.journal.list_open()) == 1
    pool.deliver()
    patient.resume()

    assert patient.outbox.journal.list_kept() == []


def test_a_branch_that_goes_through_a_record_and_its_edit_takes_back_both(
    lab: Publisher, pool: PoolLedger, dataset: Path, tmp_path: Path
) -> None:
    publish(lab, dataset)
    settle(lab, pool)
    edit(lab)
    settle(lab, pool)
    pool.reorganise(2)

    assert plan(lab, dataset).state is PlanState.SENT
    assert publish(lab, dataset)[0].outcome is Outcome.SENT

    assert {entry.action for entry in lab.outbox.journal.list_open()} == {
        "publish",
        "edit",
    }
    settle(lab, pool)
    assert count_said(pool, tmp_path) == {"publish": 1, "edit": 1}


def test_a_lost_record_whose_coin_is_spent_otherwise_is_composed_anew(
    lab: Publisher, pool: PoolLedger, dataset: Path, tmp_path: Path
) -> None:
    (first,) = publish(lab, dataset)
    settle(lab, pool)
    pool.reorganise(1)
    if not pool.pool:
        lab.resume()
    pool.snatch(0)
    pool.deliver()

    (again,) = publish(lab, dataset)

    assert (again.id, again.outcome) == (first.id, Outcome.SENT)
    assert again.txid != first.txid
    settle(lab, pool)
    assert count_said(pool, tmp_path) == {"publish": 1}


def test_what_is_settled_on_another_ledger_holds_up_nothing_here(
    lab: Publisher, pool: PoolLedger, dataset: Path, node: Path, key: PrivateKey
) -> None:
    publish(lab, dataset)
    settle(lab, pool)
    other = MemoryLedger("another", max_reorg_blocks=LIMIT)
    with Index.create(node / "other.sqlite", [other.info]) as index:
        moved = with_outbox(
            lab, ledger=other, index=index, follow=lambda: follow(index, other)
        )

        assert moved.resume() == []
        assert plan(moved, dataset).state is PlanState.NEW
        assert publish(moved, dataset)[0].outcome is Outcome.PUBLISHED
    assert len(lab.outbox.journal.list_kept()) == 2


def test_on_a_ledger_that_mines_at_once_it_is_in_a_block_again_at_once(
    node: Path, key: PrivateKey, dataset: Path
) -> None:
    ledger = MemoryLedger(max_reorg_blocks=LIMIT)
    with open_publisher(node, ledger, key) as lab:
        (first,) = publish(lab, dataset)
        ledger.reorganise(1)

        (again,) = lab.resume()

        assert again == first
        assert lab.resume() == []
