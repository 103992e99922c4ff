"""`etdb status`: what a node holds."""

from __future__ import annotations

from etdb.cli.options import JsonOption, NodeOption, open_node
from etdb.cli.terminal import show_facts, show_json


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


def _lines(prefix: str, value: object) -> list[tuple[str, str]]:
    if isinstance(value, dict):
        return [
            line
            for key, item in value.items()
            for line in _lines(f"{prefix} {key}".strip().replace("_", " "), item)
        ]
    if isinstance(value, list):
        return [
            line
            for number, item in enumerate(value, 1)
            for line in _lines(f"{prefix} {number}" if len(value) > 1 else prefix, item)
        ]
    return [(prefix, "unknown" if value is None else str(value))]
