"""`etdb status`: what a node holds, how far it reads, what it sends."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from etdb.cli.options import JsonOption, NodeOption, open_node
from etdb.cli.terminal import human_size, show_facts, show_json
from etdb.ledger.flo.fee import show_flo

_AMOUNT = re.compile(r" sat(?= per kb|$)")


def status(node: NodeOption = None, json: JsonOption = False) -> None:
    """Show what this node holds, how far it has read its ledgers, what it sends.

    \b
    Example:
        etdb status --node ~/etdb
    """
    with open_node(node) as opened:
        opened.look()
        facts = opened.status()
    if json:
        show_json(facts)
    else:
        show_facts(list_lines(facts))


def list_lines(value: object, label: str = "") -> list[tuple[str, str]]:
    """Label and text of every value in what a node says of itself."""
    if isinstance(value, dict):
        return [
            line
            for key, item in value.items()
            for line in list_lines(item, f"{label} {key}".strip().replace("_", " "))
        ]
    if isinstance(value, list):
        name = label.removesuffix("s")
        numbered = [
            (f"{name} {number}" if len(value) > 1 else name, item)
            for number, item in enumerate(value, 1)
        ]
        lines = [line for name, item in numbered for line in list_lines(item, name)]
        return lines or [(label, "none")]
    if isinstance(value, int) and _AMOUNT.search(label):
        return [(_AMOUNT.sub("", label), show_flo(value))]
    return [(label, _text(label, value))]


def _text(label: str, value: object) -> str:
    if value is None:
        return "none" if label.endswith("wallet") else "unknown"
    if isinstance(value, int) and label.endswith(("time", "since")):
        return f"{datetime.fromtimestamp(value, UTC):%Y-%m-%d %H:%M:%S} UTC"
    if isinstance(value, int) and label.endswith("bytes"):
        return human_size(value)
    return str(value)
