"""`etdb status`: what a node holds."""

from __future__ import annotations

from datetime import UTC, datetime

from etdb.cli.options import JsonOption, NodeOption, open_node
from etdb.cli.terminal import human_size, show_facts, show_json


def status(node: NodeOption = None, json: JsonOption = False) -> None:
    """Say what this node holds and how far it has read its ledger.

    \b
    Example:
        etdb status --node ~/etdb
    """
    with open_node(node) as opened:
        facts = opened.status()
    if json:
        show_json(facts)
    else:
        show_facts(_lines("", facts))


def _lines(label: str, value: object) -> list[tuple[str, str]]:
    if isinstance(value, dict):
        return [
            line
            for key, item in value.items()
            for line in _lines(f"{label} {key}".strip().replace("_", " "), item)
        ]
    if isinstance(value, list):
        name = label.removesuffix("s")
        return [
            line
            for number, item in enumerate(value, 1)
            for line in _lines(f"{name} {number}" if len(value) > 1 else name, item)
        ]
    return [(label, _text(label, value))]


def _text(label: str, value: object) -> str:
    if value is None:
        return "unknown"
    if isinstance(value, int) and label.endswith("time"):
        return f"{datetime.fromtimestamp(value, UTC):%Y-%m-%d %H:%M:%S} UTC"
    if isinstance(value, int) and label.endswith("bytes"):
        return human_size(value)
    return str(value)
