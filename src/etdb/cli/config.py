"""`etdb config`: which settings are in force."""

from __future__ import annotations

from etdb.cli.options import JsonOption, NodeOption, open_node
from etdb.cli.terminal import show_json, show_table
from etdb.settings import rows, toml_value


def config(node: NodeOption = None, json: JsonOption = False) -> None:
    """Show every setting with the value in force.

    \b
    Example:
        ETDB_SERVE_PORT=9000 etdb config --node ~/etdb
    """
    with open_node(node) as opened:
        values = {
            row.key: getattr(getattr(opened.settings, row.section), row.name)
            for row in rows()
        }
    if json:
        show_json(values)
        return
    show_table(
        ("setting", "value", "meaning"),
        ((row.key, toml_value(values[row.key]), row.sentence) for row in rows()),
    )
