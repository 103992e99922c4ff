"""`etdb ledger`: the ledgers that this node reads, and the one it writes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from etdb.cli.options import SHOWN_BLOCKS, JsonOption, NodeOption, open_node
from etdb.cli.terminal import TerminalProgress, count, show, show_facts, show_json
from etdb.ledger.flo.fee import show_flo


def status(node: NodeOption = None, json: JsonOption = False) -> None:
    """Show how far each ledger is read, what is on its way, and what it costs.

    Asks the ledgers. Of a FLO daemon also the wallet: the address to send coins
    to, the balance, and for how many more records it lasts.

    \b
    Examples:
        etdb ledger status --node ~/etdb
        etdb ledger status --json
    """
    with open_node(node) as opened:
        opened.look()
        told = opened.status()
    facts = {key: told[key] for key in ("ledgers", "publishing")}
    if json:
        show_json(facts)
        return
    for ledger in facts["ledgers"]:
        show_facts(_ledger_facts(ledger))
        show("")
    show_facts(_publishing_facts(facts["publishing"]))


def follow(node: NodeOption = None) -> None:
    """Read the ledgers up to now; what is stopped goes on where it was.

    The first time on a FLO network this takes hours, mostly of empty blocks.
    `etdb serve` does the same while it serves.

    \b
    Example:
        etdb ledger follow --node ~/etdb
    """
    with open_node(node) as opened:
        applied = opened.catch_up(TerminalProgress(SHOWN_BLOCKS))
        ledgers = opened.status()["ledgers"]
    show(count(applied, "new block"))
    for ledger in ledgers:
        show_facts(_ledger_facts(ledger))


def _ledger_facts(ledger: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    yield "ledger", f"{ledger['kind']} {ledger['id']}"
    height, tip = ledger["height"], ledger["tip_height"]
    read = "nothing" if height is None else f"block {height:,}"
    yield "read up to", read if tip is None else f"{read} of {tip:,}"
    if ledger["lag"]:
        yield "behind by", count(ledger["lag"], "block")
    if ledger["time"] is not None:
        yield "last block", f"{datetime.fromtimestamp(ledger['time'], UTC):%F %T} UTC"
    yield "messages", f"{ledger['messages']:,}"
    if ledger["problem"]:
        yield "problem", ledger["problem"]
    if ledger["gap"]:
        yield "publishing waits", ledger["gap"]


def _publishing_facts(publishing: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    yield "on their way", count(len(publishing["pending"]), "message")
    for entry in publishing["pending"]:
        since = datetime.fromtimestamp(entry["since"], UTC)
        subject = entry["sid"] or entry["record"][:12]
        what = f"{entry['action']} of {subject}" if subject else entry["action"]
        yield "", f"{what}, since {since:%F %T} UTC"
    wallet = publishing["wallet"]
    if wallet is None:
        return
    yield "wallet", wallet["address"]
    yield "balance", show_flo(wallet["balance_sat"])
    if wallet["first_height"]:
        yield "coins counted", f"from block {wallet['first_height']:,}"
    if wallet["immature_sat"]:
        yield "not yet mature", show_flo(wallet["immature_sat"])
    yield "fee", f"{wallet['fee_sat_per_kb']:,} satoshis per kB"
    yield "lasts for", f"about {count(wallet['records_left'], 'more record')}"
