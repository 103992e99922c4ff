"""Commands stopped at every effect: afterwards each statement stands once.

The table is `etdb.testing.crash`: every effect of every command that writes.
Each is stopped before and after, by a death (an exception that nobody may
catch) and by an error: before it, it was not done; after it, it was done and
the reply was lost.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from etdb.errors import EtdbError, UnavailableError
from etdb.ledger.base import Ledger
from etdb.publish.journal import Journal
from etdb.record.parts import parse_part
from etdb.testing.crash import (
    EFFECTS,
    SCENARIOS,
    SIDS,
    Scenario,
    count_parts,
    publish,
    resume,
    verify_at_rest,
    verify_said_once,
)
from etdb.testing.ledger import MemoryLedger
from etdb.testing.pool import PoolLedger, fail_nth
from etdb.testing.publishing import Killed, Watcher, points

Start = Callable[[Scenario, MemoryLedger], Any]

STOPS: dict[str, BaseException] = {
    "killed": Killed(),
    "failed": UnavailableError("no answer"),
}
DONE = "after close 1"
SHARED = points(("prepare 1", "open 1", "send 1", "follow 4", "follow 5"))
"""Before these, a shared ledger is as any other; nothing is closed at once."""


PARTS = 4
"""Of both records together."""


def all_points() -> list[tuple[str, str]]:
    return [
        (scenario.name, point)
        for scenario in SCENARIOS.values()
        for point in points(scenario.effects)
    ]


def stop_by(error: BaseException) -> Callable[[], None]:
    def stop() -> None:
        raise error

    return stop


def run_again(scenario: Scenario, node: Path, ledger: Ledger, point: str = "") -> None:
    """The same command once more; what is done already, it says."""
    is_done = point == DONE and scenario.needs_records
    with pytest.raises(EtdbError) if is_done else contextlib.nullcontext():
        scenario.run(node, ledger, Watcher())


def see_through(node: Path, ledger: PoolLedger) -> None:
    """Blocks come, and `etdb publish --resume` is run after each."""
    for _ in range(4):
        ledger.deliver()
        if not Journal(node / "journal").list_open():
            return
        resume(node, ledger)
    pytest.fail("something is open after four blocks")


@pytest.mark.parametrize("scenario", SCENARIOS.values(), ids=SCENARIOS)
def test_the_table_names_every_effect_of_a_command(
    node: Path, start: Start, scenario: Scenario
) -> None:
    ledger = start(scenario, MemoryLedger())
    watcher = Watcher()

    scenario.run(node, ledger, watcher)

    assert watcher.seen == points(scenario.effects)
    assert {effect.split()[0] for effect in scenario.effects} <= set(EFFECTS)


@pytest.mark.parametrize("how", STOPS)
@pytest.mark.parametrize(("name", "point"), all_points())
def test_a_command_stopped_anywhere_ends_with_each_statement_once(
    node: Path, start: Start, tmp_path: Path, name: str, point: str, how: str
) -> None:
    scenario, error = SCENARIOS[name], STOPS[how]
    ledger = start(scenario, MemoryLedger())
    with pytest.raises(type(error)):
        scenario.run(node, ledger, Watcher(point, stop_by(error)))

    run_again(scenario, node, ledger, point)

    verify_said_once(scenario, ledger, tmp_path)
    verify_at_rest(node, ledger)
    assert set(count_parts(ledger).values()) == {1}


@pytest.mark.parametrize("point", points(("follow 1", "send 1", "follow 2", "close 1")))
def test_a_resumed_run_stopped_anywhere_ends_with_each_statement_once(
    node: Path, start: Start, tmp_path: Path, point: str
) -> None:
    scenario = SCENARIOS["publish"]
    ledger = start(scenario, MemoryLedger())
    for stopped_at in ("before send 1", point):
        with pytest.raises(Killed):
            scenario.run(node, ledger, Watcher(stopped_at))

    scenario.run(node, ledger, Watcher())

    verify_said_once(scenario, ledger, tmp_path)
    verify_at_rest(node, ledger)


@pytest.mark.parametrize("mines_first", [False, True], ids=["then mined", "mined"])
@pytest.mark.parametrize(
    ("name", "point"),
    [(name, point) for name, point in all_points() if point in SHARED],
)
def test_a_stop_on_a_shared_ledger_leaves_each_statement_once(
    node: Path,
    start: Start,
    tmp_path: Path,
    name: str,
    point: str,
    *,
    mines_first: bool,
) -> None:
    scenario = SCENARIOS[name]
    ledger = start(scenario, PoolLedger())
    with pytest.raises(Killed):
        scenario.run(node, ledger, Watcher(point))
    ledger.restart()
    if mines_first:
        ledger.deliver()

    with contextlib.suppress(EtdbError):
        scenario.run(node, ledger, Watcher())
    see_through(node, ledger)

    verify_said_once(scenario, ledger, tmp_path)
    verify_at_rest(node, ledger)
    assert set(count_parts(ledger).values()) == {1}


@pytest.mark.parametrize("is_applied", [False, True], ids=["not done", "reply lost"])
@pytest.mark.parametrize("number", range(1, PARTS + 1))
def test_a_stop_at_each_transaction_of_a_group_leaves_each_record_once(
    node: Path, start: Start, tmp_path: Path, number: int, *, is_applied: bool
) -> None:
    scenario = SCENARIOS["publish"]
    ledger = start(scenario, PoolLedger())
    ledger.effect = fail_nth("send", number, Killed(), is_applied=is_applied)
    with pytest.raises(Killed):
        publish(node, ledger)
    ledger.restart()

    publish(node, ledger)

    waiting = Journal(node / "journal").list_open()
    assert ledger.pool == [tx for entry in waiting for tx in entry.transactions]
    assert len(ledger.pool) == PARTS
    see_through(node, ledger)
    verify_said_once(scenario, ledger, tmp_path)


@pytest.mark.parametrize("point", points(("send 1", "send 2", "replace 1")))
def test_a_stop_while_a_set_is_composed_anew_leaves_each_record_once(
    node: Path, start: Start, tmp_path: Path, point: str
) -> None:
    scenario = SCENARIOS["publish"]
    ledger = start(scenario, PoolLedger())
    publish(node, ledger)
    ledger.snatch(0)
    ledger.deliver()
    ledger.restart()
    with pytest.raises(Killed):
        publish(node, ledger, Watcher(point))
    ledger.restart()

    publish(node, ledger)

    see_through(node, ledger)
    verify_said_once(scenario, ledger, tmp_path)
    verify_at_rest(node, ledger)


class HalfLedger(MemoryLedger):
    """Takes the first transactions of its first group, then fails."""

    def __init__(self, taken: int) -> None:
        super().__init__()
        self._taken: int | None = taken

    def send(self, transactions: Any) -> None:
        """As it can."""
        taken, self._taken = self._taken, None
        super().send(transactions[:taken])
        if taken is not None:
            msg = "cut off"
            raise UnavailableError(msg)


class ForgetfulJournal(Journal):
    """Writes nothing down."""

    def open(self, entries: Any) -> None:
        """Forget them."""


def first_parts(ledger: Ledger) -> int:
    return sum(parse_part(text).index == 0 for text in count_parts(ledger).elements())


@pytest.mark.parametrize("taken", [1, 2, 3])
def test_a_group_that_was_taken_in_part_is_completed_by_the_same_transactions(
    node: Path, start: Start, tmp_path: Path, taken: int
) -> None:
    scenario = SCENARIOS["publish"]
    ledger = start(scenario, HalfLedger(taken))
    with pytest.raises(UnavailableError):
        publish(node, ledger)

    publish(node, ledger)

    verify_said_once(scenario, ledger, tmp_path)
    assert first_parts(ledger) == len(SIDS)


def test_without_the_journal_it_would_be_sent_anew(
    node: Path, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = start(SCENARIOS["publish"], HalfLedger(taken=1))
    monkeypatch.setattr(Journal, "open", ForgetfulJournal.open)
    with pytest.raises(UnavailableError):
        publish(node, ledger)

    publish(node, ledger)

    assert first_parts(ledger) == len(SIDS) + 1
