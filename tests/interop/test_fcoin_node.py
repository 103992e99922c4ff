"""A lab's node on a real FLO node: published, edited, withdrawn, reorganised."""

from __future__ import annotations

import html
from pathlib import Path
from typing import Any

import httpx
import mrcfile  # type: ignore[import-untyped]
import numpy as np
import pytest

from etdb.ledger.flo.script import pay_to
from etdb.publish.keys import load_keys
from etdb.record.signing import hash160


@pytest.fixture
def lab(etdb: Any, fcoin: Any, miner: Any, tmp_path: Path) -> Any:
    """The command line with a node of fcoin, and coins in its wallet."""
    etdb.environ["ETDB_LEDGER_CONFIRMATIONS"] = "1"
    user, password = fcoin.login
    file = tmp_path / "password"
    file.write_text(f"{password}\n")
    address = ("--flo", fcoin.url, "--flo-network", "regtest")
    login = ("--flo-user", user, "--flo-password-file", file)
    etdb.ok("init", etdb.node, "--test", "--lab", "Test lab", *address, *login)
    wallet = load_keys(etdb.node / "keys").wallet
    miner.fund(pay_to(hash160(wallet.public_key)), 4)
    return etdb


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    folder = tmp_path / "data" / "ts1"
    folder.mkdir(parents=True)
    with mrcfile.new(folder / "cell.rec") as file:
        file.set_data(np.zeros((4, 16, 16), np.int8))
    (folder / "dataset.toml").write_text('species = "S"\ndate = 2026-03-14\n')
    return folder


def test_a_record_lives_and_is_withdrawn_on_fcoins_chain(
    lab: Any, miner: Any, dataset: Path
) -> None:
    record_id = lab.ok("publish", dataset, "--yes", "--json").json["id"]
    assert lab.ok("search", "--json").json["total"] == 0
    miner.mine()
    assert lab.ok("publish", "--resume", "--json").json["outcome"] == "published"
    lab.ok("edit", record_id, "--set", "strain=PAO1", "--yes")
    miner.mine()
    lab.ok("publish", "--resume")
    assert lab.ok("show", record_id, "--json").json["details"]["strain"] == "PAO1"

    miner.reorganise(3)
    assert lab.run("show", record_id).status == 4
    miner.mine()
    miner.reorganise(9)
    miner.mine()
    assert lab.ok("show", record_id, "--json").json["details"]["strain"] == "PAO1"

    lab.ok("withdraw", record_id, "--why", "synthetic", "--yes")
    miner.mine()
    lab.ok("publish", "--resume")
    assert lab.ok("search", "--json").json["total"] == 0
    shown = lab.ok("show", record_id, "--json").json
    assert shown["withdrawn"]["reason"] == "synthetic"
    assert lab.ok("index", "check", "--json").json["differences"] == []
    assert lab.ok("ledger", "status", "--json").json["publishing"]["pending"] == []


def test_the_status_page_shows_a_node_following_fcoins_chain(
    lab: Any, miner: Any, dataset: Path
) -> None:
    lab.ok("publish", dataset, "--yes")
    with lab.serving() as url, httpx.Client(base_url=url, timeout=30) as site:
        miner.mine()
        height = miner.chain.tip().height
        for _ in range(1000):
            status = site.get("/api/status").json()
            (ledger,), wallet = status["ledgers"], status["publishing"]["wallet"]
            if ledger["height"] == height and wallet["read_height"] == height:
                break
        page = html.unescape(site.get("/status").text)

    assert ledger["kind"] == "flo-regtest"
    assert (ledger["tip_height"], ledger["lag"], ledger["problem"]) == (height, 0, "")
    assert wallet["records_left"] > 1_000
    assert str(height) in page
    assert "FLO" in page
