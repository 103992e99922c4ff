"""`etdb status` says numbers as people read them."""

from __future__ import annotations

from etdb.cli.status import list_lines


def test_ledgers_wallet_and_pending_are_lines() -> None:
    lines = dict(
        list_lines(
            {
                "ledgers": [
                    {"kind": "flo-main", "height": 5, "lag": 0, "tip_height": None},
                    {"kind": "embedded", "time": 1_773_600_000},
                ],
                "publishing": {
                    "pending": [{"action": "edit", "since": 1_773_600_000}],
                    "wallet": {
                        "balance_sat": 1_250_000_000,
                        "fee_sat_per_kb": 10_000,
                        "records_left": 1240,
                    },
                },
            }
        )
    )

    assert lines == {
        "ledger 1 kind": "flo-main",
        "ledger 1 height": "5",
        "ledger 1 lag": "0",
        "ledger 1 tip height": "unknown",
        "ledger 2 kind": "embedded",
        "ledger 2 time": "2026-03-15 18:40:00 UTC",
        "publishing pending action": "edit",
        "publishing pending since": "2026-03-15 18:40:00 UTC",
        "publishing wallet balance": "12.5 FLO",
        "publishing wallet fee per kb": "0.0001 FLO",
        "publishing wallet records left": "1240",
    }


def test_what_is_not_there_is_said_not_to_be() -> None:
    lines = dict(list_lines({"publishing": {"pending": [], "wallet": None}}))

    assert lines == {"publishing pending": "none", "publishing wallet": "none"}
