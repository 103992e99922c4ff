"""What visitors are told of a node, and what they are not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from etdb.web import schema, status

ServeSite = Callable[..., httpx.Client]

SECRET = "/home/lab/node/keys"
REORGANISED = f"block 90 was {'aa' * 32} and is {'bb' * 32}: more than 100 blocks"


def account(**changes: Any) -> dict[str, Any]:
    """All that a publishing node on FLO says of itself, and more."""
    ledger = {
        "id": "c0" * 32,
        "kind": "flo-main",
        "height": 2_783_000,
        "hash": "ab" * 32,
        "time": 1_773_600_000,
        "messages": 45_000,
        "first_height": 2_000_000,
        "tip_height": 2_783_156,
        "lag": 156,
        "problem": "",
        "password": SECRET,
    }
    pending = {
        "action": "edit",
        "sid": "yc2015-09-09-1",
        "record": "ab" * 32,
        "digest": "cd" * 32,
        "since": 1_773_600_000,
        "path": SECRET,
    }
    wallet = {
        "address": "FSyntheticWalletAddress",
        "balance_sat": 1_250_000_000,
        "immature_sat": 0,
        "read_height": 120,
        "fee_sat_per_kb": 10_000,
        "records_left": 1240,
        "key": SECRET,
    }
    return {
        "records": 12_757,
        "data_dir": SECRET,
        "ledgers": [ledger],
        "publishing": {"pending": [pending], "wallet": wallet, "journal": SECRET},
        **changes,
    }


def test_a_daemon_that_is_behind_its_network_is_told_of(
    serve_site: ServeSite,
) -> None:
    gap = "the daemon is still reading its network: block 3,100,000 of 8,200,000"
    behind = account()
    behind["ledgers"][0]["gap"] = gap
    behind["publishing"]["wallet"]["first_height"] = 2_600_000
    site = serve_site(status=lambda: behind)

    page = site.get("/status").text

    assert gap in page
    assert "2,600,000" in page
    assert site.get("/api/status").json()["ledgers"][0]["gap"] == gap
    assert gap not in serve_site(status=account).get("/status").text


def test_a_publishing_node_shows_lag_pending_and_balance(serve_site: ServeSite) -> None:
    text = serve_site(status=account).get("/status").text

    for shown in (
        "block 2,783,000 of 2,783,156, 156 behind",
        "edit yc2015-09-09-1, since 2026-03-15",
        "12.5 FLO",
        "about 1,240 more records",
        "Coins counted up to block",
        "0.0001 FLO",
        "FSyntheticWalletAddress",
        "2,000,000",
    ):
        assert shown in text, shown


def test_visitors_see_no_place_and_no_secret(serve_site: ServeSite) -> None:
    problem = f"cannot read {SECRET}/x at http://rpc:hunter2@127.0.0.1:7313"
    ledger = {**account()["ledgers"][0], "problem": problem}
    site = serve_site(status=lambda: account(ledgers=[ledger]))

    for path in ("/status", "/api/status"):
        text = site.get(path).text
        assert "cannot read x at http://127.0.0.1:7313" in text
        assert "/home/lab" not in text
        assert "hunter2" not in text
    assert "hunter2" in str(ledger)


def test_the_json_is_as_described(serve_site: ServeSite) -> None:
    answer = serve_site(status=account).get("/api/status").json()

    told = schema.StatusShape.model_validate(answer)

    assert told.ledgers[0].lag == 156
    assert told.publishing is not None
    assert told.publishing.wallet is not None
    assert told.publishing.wallet.records_left == 1240


def test_a_ledger_that_is_not_followed_says_why_with_both_hashes(
    serve_site: ServeSite,
) -> None:
    ledger = {**account()["ledgers"][0], "problem": REORGANISED}

    text = serve_site(status=lambda: account(ledgers=[ledger])).get("/status").text

    assert "not followed at the moment" in text
    assert "aa" * 32 in text
    assert "bb" * 32 in text


def test_a_node_without_a_wallet_shows_none(serve_site: ServeSite) -> None:
    publishing: dict[str, Any] = {"pending": [], "wallet": None}

    text = serve_site(status=lambda: account(publishing=publishing)).get("/status").text

    assert "Under way</dt><dd>0" in text
    assert "Balance" not in text


@pytest.mark.parametrize(
    ("ledger", "says"),
    [
        ({"height": None, "tip_height": None}, "nothing yet"),
        ({"height": None, "tip_height": 0}, "nothing yet of 0"),
        ({"height": 0, "tip_height": 0, "lag": 0}, "block 0, its last"),
        ({"height": 5, "tip_height": None, "lag": None}, "has not been asked"),
        ({"height": 5}, "has not been asked"),
        ({"height": 5, "tip_height": 7, "lag": 2}, "block 5 of 7, 2 behind"),
        ({"height": 5, "tip_height": 3, "lag": -2}, "the ledger ends at 3"),
    ],
)
def test_how_far_a_ledger_is_read(ledger: dict[str, Any], says: str) -> None:
    assert says in status.reading(ledger)


@pytest.mark.parametrize(
    ("amount_sat", "says"),
    [
        (0, "0 FLO"),
        (1, "0.00000001 FLO"),
        (150_000_000, "1.5 FLO"),
        (-100_000_000, "−1 FLO"),
        (123_456_000_000_000, "1,234,560 FLO"),
        (None, "unknown"),
    ],
)
def test_amounts_are_shown_as_people_read_them(
    amount_sat: int | None, says: str
) -> None:
    assert status.flo(amount_sat) == says


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        (
            "cannot use the index /a/b/index.sqlite: full",
            "cannot use the index index.sqlite: full",
        ),
        ("the chain in '/a/b/chain' ends", "the chain in 'chain' ends"),
        (
            "http://u:p@flo.example.org/rpc is down",
            "http://flo.example.org/rpc is down",
        ),
        ("1/2 of aa/bb", "1/2 of aa/bb"),
        ("", ""),
    ],
)
def test_places_are_left_out_of_what_is_said(said: str, shown: str) -> None:
    assert status.without_places(said) == shown
