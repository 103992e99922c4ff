"""`etdb index`: prove the index against the ledgers, or build it again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from etdb.cli.options import JsonOption, NodeOption, open_node
from etdb.cli.terminal import TerminalProgress, count, show, show_json
from etdb.errors import DamagedFileError


def check(node: NodeOption = None, json: JsonOption = False) -> None:
    """Build a second index from the ledgers and compare every row with the first.

    \b
    Example:
        etdb index check --node ~/etdb
    """
    with open_node(node) as opened:
        differences = opened.check_index(TerminalProgress())
        ledgers = opened.status()["ledgers"]
    if json:
        show_json({"ledgers": ledgers, "differences": differences})
    for difference in [] if json else differences:
        show(difference)
    if differences:
        msg = f"the index differs from the ledger in {count(len(differences), 'place')}"
        hint = "mend it: etdb index rebuild"
        raise DamagedFileError(msg, hint=hint, path=opened.index.path)
    if not json:
        show(f"the index says what the ledger says, up to {_heights(ledgers)}")


def rebuild(node: NodeOption = None) -> None:
    """Throw the index away and build it again from the ledger.

    Nothing is lost: the index holds nothing that the ledger does not.

    \b
    Example:
        etdb index rebuild --node ~/etdb
    """
    with open_node(node) as opened:
        ledgers = opened.rebuild_index(TerminalProgress())
    show(f"index rebuilt up to {_heights(ledgers)}")


def _heights(ledgers: Sequence[Mapping[str, Any]]) -> str:
    """The block that each ledger was read up to, in words."""
    many = len(ledgers) > 1
    return ", ".join(
        f"block {ledger['height']}" + (f" of {ledger['kind']}" if many else "")
        for ledger in ledgers
    )
