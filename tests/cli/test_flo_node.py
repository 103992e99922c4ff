"""A node that publishes through a FLO daemon, from `init` to withdrawal."""

from __future__ import annotations

import html
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import mrcfile  # type: ignore[import-untyped]
import numpy as np
import pytest

from etdb.identity import encode_base58check
from etdb.ledger.flo.script import pay_to
from etdb.publish.keys import load_keys
from etdb.record.signing import PrivateKey, hash160
from etdb.testing.daemon import LOGIN, FakeDaemon, Fault

FLO_SAT = 100_000_000


@pytest.fixture
def daemon(request: pytest.FixtureRequest) -> Iterator[FakeDaemon]:
    with FakeDaemon(getattr(request, "param", "flod")) as running:
        yield running


@pytest.fixture
def flo(etdb: Any, daemon: FakeDaemon, tmp_path: Path) -> Any:
    """The command line with a node of that daemon; its wallet is empty."""
    etdb.environ["ETDB_LEDGER_CONFIRMATIONS"] = "1"
    user, password = LOGIN
    file = tmp_path / "password"
    file.write_text(f"{password}\n")
    address = ("--flo", daemon.url, "--flo-network", "regtest")
    login = ("--flo-user", user, "--flo-password-file", file)
    etdb.ok("init", etdb.node, "--test", "--lab", "Test lab", *address, *login)
    return etdb


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    folder = tmp_path / "data" / "ts1"
    folder.mkdir(parents=True)
    with mrcfile.new(folder / "cell.rec") as file:
        file.set_data(np.zeros((4, 16, 16), np.int8))
    (folder / "dataset.toml").write_text('species = "S"\ndate = 2026-03-14\n')
    return folder


def fund(node: Path, daemon: FakeDaemon) -> None:
    wallet = load_keys(node / "keys").wallet
    with daemon.using() as chain:
        chain.fund(pay_to(hash160(wallet.public_key)), FLO_SAT, 4)


def mine(daemon: FakeDaemon) -> None:
    with daemon.using() as chain:
        chain.mine()


def test_without_coins_nothing_is_sent_and_the_address_to_pay_is_said(
    flo: Any, dataset: Path
) -> None:
    wallet = flo.ok("ledger", "status", "--json").json["publishing"]["wallet"]

    done = flo.run("publish", dataset, "--yes")

    assert done.status == 5
    assert wallet["address"] in done.errors
    assert wallet["balance_sat"] == wallet["records_left"] == 0
    assert flo.ok("status", "--json").json["publishing"]["pending"] == []


def test_following_says_how_far_it_came_and_goes_on_from_there(
    flo: Any, daemon: FakeDaemon
) -> None:
    before = flo.ok("ledger", "status", "--json").json["ledgers"][0]
    first = flo.ok("ledger", "follow").output
    mine(daemon)
    second = flo.ok("ledger", "follow").output
    after = flo.ok("ledger", "status", "--json").json["ledgers"][0]

    assert (before["height"], before["tip_height"]) == (None, 110)
    assert first.startswith("111 new blocks")
    assert second.startswith("1 new block\n")
    assert "block 111 of 111" in second
    assert (after["height"], after["lag"]) == (111, 0)


def test_status_says_that_the_network_is_on_another_branch(
    flo: Any, daemon: FakeDaemon
) -> None:
    flo.ok("ledger", "follow")
    with daemon.using() as chain:
        ours = chain.blocks[100].header.hash
        chain.reorganise(20)
        theirs = chain.blocks[100].header.hash

    for command in (("status",), ("ledger", "status")):
        said = flo.ok(*command).output
        assert "10 blocks deep" in said
        assert str(ours) in said
        assert str(theirs) in said


@pytest.mark.parametrize("daemon", ["flod", "fcoin"], indirect=True)
def test_a_record_is_on_its_way_until_a_block_holds_it(
    flo: Any, daemon: FakeDaemon, dataset: Path
) -> None:
    fund(flo.node, daemon)

    first = flo.ok("publish", dataset, "--yes", "--json").json
    again = flo.ok("publish", dataset, "--yes", "--json").json
    dry = flo.ok("publish", "--resume", "--dry-run")
    status = flo.ok("ledger", "status", "--json").json
    mine(daemon)
    finished = flo.ok("publish", "--resume", "--json").json
    last = flo.ok("publish", dataset, "--yes", "--json").json

    assert first["outcome"] == again["outcome"] == "sent"
    assert first["id"] == again["id"] == finished["id"] == last["id"]
    assert [one["sid"] for one in status["publishing"]["pending"]] == ["ts1"]
    assert status["publishing"]["wallet"]["records_left"] > 10_000
    assert "ts1: begun by an earlier run" in dry.errors
    assert finished["outcome"] == "published"
    assert last["outcome"] == "present"
    assert flo.ok("search", "--json").json["total"] == 1


def test_an_edit_that_a_run_finishes_hides_no_error_of_the_next(
    flo: Any, daemon: FakeDaemon, dataset: Path
) -> None:
    fund(flo.node, daemon)
    record_id = flo.ok("publish", dataset, "--yes", "--json").json["id"]
    mine(daemon)
    edit = ("edit", record_id, "--yes", "--set")
    for changes, status, said in (
        ("strain=PAO1", 0, "on its way"),
        ("strain=PAO1", 0, "now the current version"),
        ("strain=PAO2", 0, "on its way"),
        ("strian=PAO3", 3, "'strain'"),
    ):
        done = flo.run(*edit, changes)
        told = f"{done.output}{done.errors}"
        assert (done.status, said in told) == (status, True), told
        mine(daemon)

    shown = flo.ok("show", record_id, "--json").json
    assert shown["details"]["strain"] == "PAO2"


def test_edited_withdrawn_and_reorganised_the_index_equals_one_built_anew(
    flo: Any, daemon: FakeDaemon, dataset: Path
) -> None:
    fund(flo.node, daemon)
    record_id = flo.ok("publish", dataset, "--yes", "--json").json["id"]
    mine(daemon)
    flo.ok("publish", "--resume")
    flo.ok("edit", record_id, "--set", "strain=PAO1", "--yes")
    mine(daemon)
    flo.ok("publish", "--resume")
    with daemon.using() as chain:
        chain.reorganise(3)

    assert flo.run("show", record_id).status == 4
    mine(daemon)
    assert flo.ok("show", record_id, "--json").json["details"]["strain"] == "PAO1"
    flo.ok("withdraw", record_id, "--why", "synthetic", "--yes")
    mine(daemon)
    flo.ok("publish", "--resume")

    assert flo.ok("search", "--json").json["total"] == 0
    shown = flo.ok("show", record_id, "--json").json
    assert shown["withdrawn"]["reason"] == "synthetic"
    assert flo.ok("index", "check", "--json").json["differences"] == []


def test_while_the_daemon_reads_its_network_it_is_said_and_nothing_is_sent(
    flo: Any, daemon: FakeDaemon, dataset: Path
) -> None:
    fund(flo.node, daemon)
    account = {"blocks": 3_100_000, "headers": 8_200_000}
    daemon.faults.append(Fault("lie", "getblockchaininfo", value=account))

    done = flo.run("publish", dataset, "--yes")
    shown = flo.ok("ledger", "status").output
    (ledger,) = flo.ok("ledger", "status", "--json").json["ledgers"]

    assert done.status == 5
    assert "block 3,100,000 of 8,200,000" in done.errors
    assert "block 3,100,000 of 8,200,000" in shown
    assert ledger["gap"] in shown
    assert ledger["problem"] == ""
    assert flo.ok("status", "--json").json["publishing"]["pending"] == []
    daemon.faults.clear()
    flo.ok("publish", dataset, "--yes")
    assert flo.ok("ledger", "status", "--json").json["ledgers"][0]["gap"] == ""


def test_coins_below_the_first_record_are_found_where_the_settings_say(
    flo: Any, daemon: FakeDaemon, tmp_path: Path
) -> None:
    owner = PrivateKey.from_bytes(b"\x09" * 32)
    with daemon.using() as chain:
        chain.fund(pay_to(hash160(owner.public_key)), FLO_SAT, 4)
    mine(daemon)
    dumped = tmp_path / "dumped.txt"
    dumped.write_text(encode_base58check(b"\xef" + owner.to_bytes() + b"\x01"))
    flo.environ["ETDB_LEDGER_COINS_HEIGHT"] = "112"

    done = flo.ok("key", "import", dumped, "--wallet", "--replace")
    before = flo.ok("ledger", "status", "--json").json["publishing"]["wallet"]
    flo.environ["ETDB_LEDGER_COINS_HEIGHT"] = "0"
    flo.ok("ledger", "follow")
    after = flo.ok("ledger", "status", "--json").json["publishing"]["wallet"]

    assert "below block 112" in done.errors
    assert "ledger.coins_height" in done.errors
    assert (before["first_height"], before["balance_sat"]) == (112, 0)
    assert (after["first_height"], after["balance_sat"]) == (0, 4 * FLO_SAT)


def test_a_site_goes_on_while_the_daemon_is_away(
    flo: Any, daemon: FakeDaemon, dataset: Path
) -> None:
    fund(flo.node, daemon)
    flo.ok("publish", dataset, "--yes")
    mine(daemon)
    with flo.serving() as url, httpx.Client(base_url=url) as site:
        wait_until(lambda: site.get("/api/records").json()["total"] == 1)
        page = site.get("/status").text
        assert str(daemon.chain.tip().height) in page

        daemon.faults.append(Fault("status", at=503))
        wait_until(lambda: ledger_of(site)["problem"] != "")

        assert site.get("/api/records").json()["total"] == 1
        assert ledger_of(site)["problem"] in html.unescape(site.get("/status").text)


def ledger_of(site: httpx.Client) -> dict[str, Any]:
    ledger: dict[str, Any] = site.get("/api/status").json()["ledgers"][0]
    return ledger


def wait_until(is_so: Callable[[], bool]) -> None:
    for _ in range(2000):
        if is_so():
            return
    pytest.fail("it never came to be")
