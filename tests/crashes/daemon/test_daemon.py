"""The same commands on a FLO network, through a daemon that may do anything."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest

from etdb.errors import (
    ConflictError,
    EtdbError,
    NotAllowedError,
    UnavailableError,
)
from etdb.index import queries
from etdb.index.db import Index
from etdb.ledger.flo.daemon import DaemonLedger
from etdb.ledger.flo.params import REGTEST, TEST
from etdb.ledger.flo.rpc import Rpc
from etdb.testing.crash import (
    SCENARIOS,
    SIDS,
    STRAIN,
    WALLET,
    Scenario,
    count_parts,
    edit,
    make_datasets,
    publish,
    resume,
)
from etdb.testing.daemon import LOGIN, FakeDaemon, Fault
from etdb.testing.publishing import Killed, Watcher, points
from etdb.testing.restart import (
    PUBLISH,
    SCRIPT,
    Open,
    list_open,
    open_ledger,
    see_through,
    verify,
)

POINTS = points(("prepare 1", "open 1", "send 1", "follow 4", "follow 5"))


def mine(daemon: FakeDaemon, *texts: str) -> None:
    with daemon.using() as chain:
        chain.mine(*texts)


def begin(scenario: Scenario, node: Path, daemon: FakeDaemon, opened: Open) -> None:
    if scenario.needs_records:
        with opened() as ledger:
            publish(node, ledger)
        see_through(node, daemon, opened)


CASES = [
    (name, point, is_mined)
    for name in ("publish", "edit", "withdraw")
    for point in POINTS
    for is_mined in (False, True)
    if point.split(" ", 1)[1] in SCENARIOS[name].effects
    and (name == "publish" or not is_mined)
]


@pytest.mark.parametrize(("name", "point", "is_mined"), CASES)
@pytest.mark.parametrize("poor_daemon", ["flod"], indirect=True)
def test_a_stop_anywhere_leaves_each_statement_once(
    node: Path,
    daemon: FakeDaemon,
    opened: Open,
    name: str,
    point: str,
    *,
    is_mined: bool,
) -> None:
    scenario = SCENARIOS[name]
    begin(scenario, node, daemon, opened)
    with opened() as ledger, pytest.raises(Killed):
        scenario.run(node, ledger, Watcher(point))
    if is_mined:
        mine(daemon)

    with opened() as ledger, contextlib.suppress(EtdbError):
        scenario.run(node, ledger, Watcher())
    see_through(node, daemon, opened)

    verify(node, opened, scenario)
    with opened() as ledger:
        assert set(count_parts(ledger).values()) == {1}


def test_a_record_is_on_its_way_until_a_block_holds_it(
    node: Path, daemon: FakeDaemon, opened: Open
) -> None:
    for _ in range(2):
        with opened() as ledger:
            publish(node, ledger)
        assert len(list_open(node)) == len(SIDS)

    see_through(node, daemon, opened)

    verify(node, opened)


FAULTS: dict[str, tuple[Fault, type[EtdbError]]] = {
    "401": (Fault("status", at=401), NotAllowedError),
    "403": (Fault("status", at=403), NotAllowedError),
    "500": (Fault("status", at=500), UnavailableError),
    "HTML": (Fault("html", at=200), UnavailableError),
    "HTML of 503": (Fault("html", at=503), UnavailableError),
    "half a body": (Fault("half"), UnavailableError),
    "a body cut off": (Fault("torn"), UnavailableError),
    "no JSON": (Fault("garbage"), UnavailableError),
    "another's answer": (Fault("foreign"), UnavailableError),
    "reply lost": (Fault("lost"), UnavailableError),
    "silence": (Fault("stalled"), UnavailableError),
    "still starting": (Fault("warming"), UnavailableError),
}


@pytest.mark.parametrize("method", ["sendrawtransaction", ""])
@pytest.mark.parametrize("kind", FAULTS)
@pytest.mark.parametrize("poor_daemon", ["flod"], indirect=True)
def test_whatever_the_daemon_answers_the_next_run_goes_on(
    node: Path, daemon: FakeDaemon, opened: Open, kind: str, method: str
) -> None:
    fault, error = FAULTS[kind]
    spoilt = Fault(fault.kind, method, fault.at, fault.value)
    daemon.faults = [spoilt]
    with opened() as ledger, pytest.raises(error) as caught:
        publish(node, ledger)
    assert caught.value.message
    assert LOGIN[1] not in f"{caught.value.message} {caught.value.hint}"
    assert ("etdb publish --resume" in caught.value.hint) == bool(method)
    assert len(list_open(node)) in ((0,) if not method else (len(SIDS),))
    daemon.faults = []

    with opened() as ledger:
        publish(node, ledger)
    see_through(node, daemon, opened)

    verify(node, opened)


def test_a_daemon_that_is_down_is_said_and_nothing_is_lost(
    node: Path, daemon: FakeDaemon, opened: Open
) -> None:
    with opened() as ledger, pytest.raises(Killed):
        PUBLISH.run(node, ledger, Watcher("before send 1"))
    with FakeDaemon() as other:
        url = other.url
    with (
        DaemonLedger.open(Rpc(url, *LOGIN), REGTEST) as gone,
        pytest.raises(UnavailableError),
    ):
        resume(node, gone)
    assert len(list_open(node)) == len(SIDS)

    with opened() as ledger:
        resume(node, ledger)
    see_through(node, daemon, opened)

    verify(node, opened)


@pytest.mark.parametrize("poor_daemon", ["flod"], indirect=True)
def test_a_wrong_password_publishes_nothing(node: Path, daemon: FakeDaemon) -> None:
    with (
        open_ledger(node, daemon, password="wrong") as ledger,
        pytest.raises(NotAllowedError) as caught,
    ):
        publish(node, ledger)

    assert "ledger.password_file" in caught.value.hint
    assert list_open(node) == []


@pytest.mark.parametrize("poor_daemon", ["flod"], indirect=True)
def test_a_daemon_of_another_network_gets_nothing(
    node: Path, daemon: FakeDaemon
) -> None:
    with (
        open_ledger(node, daemon, TEST) as ledger,
        pytest.raises(ConflictError, match="not of flo-test"),
    ):
        publish(node, ledger)

    assert list_open(node) == []
    assert daemon.chain.pool == {}


def test_beside_a_daemon_that_is_still_reading_nothing_is_published_again(
    node: Path, tmp_path: Path, daemon: FakeDaemon, opened: Open
) -> None:
    """Its blocks end before the records that a lost node has published."""
    with opened() as ledger:
        publish(node, ledger)
    see_through(node, daemon, opened)
    anew = tmp_path / "restored"
    anew.mkdir()
    make_datasets(anew)
    account = {"blocks": 111, "headers": 8_200_000, "mediantime": 1_700_000_000}
    with FakeDaemon(daemon.dialect) as other:
        other.chain.fund(SCRIPT, coins=16)
        other.faults = [Fault("lie", "getblockchaininfo", value=account)]
        with (
            open_ledger(anew, other) as ledger,
            pytest.raises(UnavailableError, match="block 111 of 8,200,000"),
        ):
            publish(anew, ledger)
        assert list_open(anew) == []
        assert other.chain.pool == {}

        # Without its word they would be.
        other.faults = []
        with open_ledger(anew, other) as ledger:
            publish(anew, ledger)
        assert {entry.sid for entry in list_open(anew)} == {*SIDS}

    verify(node, opened)


def test_without_coins_it_is_said_where_to_send_them(node: Path) -> None:
    with FakeDaemon() as daemon, open_ledger(node, daemon) as ledger:
        with pytest.raises(UnavailableError) as caught:
            publish(node, ledger)

        assert str(WALLET.address(REGTEST.address_version)) in caught.value.hint
        assert list_open(node) == []
        daemon.chain.fund(SCRIPT, coins=2)
        publish(node, ledger)
        see_through(node, daemon, lambda: open_ledger(node, daemon))
        verify(node, lambda: open_ledger(node, daemon))


def test_part_0_changed_in_form_and_mined_is_composed_anew(
    node: Path, daemon: FakeDaemon, opened: Open
) -> None:
    with opened() as ledger:
        publish(node, ledger)
    first = list_open(node)[0]
    with daemon.using() as chain:
        chain.steal(first.txid)

    with opened() as ledger:
        resume(node, ledger)

    (again,) = [entry for entry in list_open(node) if entry.key == first.key]
    assert (again.text, again.digest) == (first.text, first.digest)
    assert again.txid != first.txid
    see_through(node, daemon, opened)
    verify(node, opened)


def test_a_later_part_changed_in_form_and_mined_is_as_good(
    node: Path, daemon: FakeDaemon, opened: Open
) -> None:
    with opened() as ledger:
        publish(node, ledger)
    with daemon.using() as chain:
        chain.steal(list_open(node)[0].transactions[-1].txid)

    see_through(node, daemon, opened)

    verify(node, opened)
    with opened() as ledger:
        assert set(count_parts(ledger).values()) == {1}


def test_a_changed_form_that_still_waits_does_not_hold_up_the_record(
    node: Path, daemon: FakeDaemon, opened: Open
) -> None:
    with opened() as ledger:
        publish(node, ledger)
    with daemon.using() as chain:
        chain.swap(list_open(node)[0].txid)

    # One kind of daemon does not say why it keeps something else.
    is_mute = daemon.dialect == "fcoin"
    with (
        opened() as ledger,
        pytest.raises(UnavailableError) if is_mute else contextlib.nullcontext(),
    ):
        resume(node, ledger)
    see_through(node, daemon, opened)

    verify(node, opened)


def test_a_copy_that_others_mined_first_is_the_record(
    node: Path, daemon: FakeDaemon, opened: Open
) -> None:
    with opened() as ledger, pytest.raises(Killed):
        PUBLISH.run(node, ledger, Watcher("before send 1"))
    mine(daemon, *(entry.text for entry in list_open(node)))

    with opened() as ledger:
        resume(node, ledger)

    assert list_open(node) == []
    with opened() as ledger:
        assert set(count_parts(ledger)) == set()
    verify(node, opened)


def test_what_a_restarted_daemon_forgot_is_sent_again(
    node: Path, daemon: FakeDaemon, opened: Open
) -> None:
    with opened() as ledger:
        publish(node, ledger)
    with daemon.using() as chain:
        for txid in list(chain.pool):
            chain.drop(txid)
        assert chain.pool == {}

    with opened() as ledger:
        resume(node, ledger)

    with daemon.using() as chain:
        sent = [tx.txid for entry in list_open(node) for tx in entry.transactions]
        assert list(chain.pool) == sent
    see_through(node, daemon, opened)
    verify(node, opened)


def test_an_edit_on_its_way_outlives_a_reorganisation(
    node: Path, daemon: FakeDaemon, opened: Open
) -> None:
    begin(SCENARIOS["edit"], node, daemon, opened)
    with opened() as ledger:
        edit(node, ledger)
    with daemon.using() as chain:
        chain.reorganise(1)

    see_through(node, daemon, opened)

    verify(node, opened, SCENARIOS["edit"])
    with opened() as ledger, Index.open(node / "index.sqlite", [ledger.info]) as index:
        assert queries.search(index, f"strain:{STRAIN}").total == 1
