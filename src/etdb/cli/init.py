"""`etdb init`: make a node."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from etdb.cli.options import JsonOption
from etdb.cli.terminal import TerminalProgress, say, show_facts, show_json
from etdb.node import Node

DEFAULT_LAB = "Unnamed lab"
DEFAULT_LICENSE = "CC0-1.0"


def init(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="A new or an empty folder.")
    ],
    lab: Annotated[
        str | None, typer.Option(help="The lab's name, as records will say it.")
    ] = None,
    institution: Annotated[
        str, typer.Option(help="The institution, as records will say it.")
    ] = "",
    license: Annotated[
        str | None,
        typer.Option(help="SPDX id of the licence of what is published."),
    ] = None,
    test: Annotated[
        bool, typer.Option("--test", help="Keys of the test network (o… addresses).")
    ] = False,
    json: JsonOption = False,
) -> None:
    """Make a node: keys, its own chain, an index, a settings file.

    \b
    Example:
        etdb init ~/etdb --lab "Our lab" --license CC0-1.0
    """
    lab = _ask("The lab's name", lab, DEFAULT_LAB, "--lab")
    license_id = _ask("Licence (SPDX id)", license, DEFAULT_LICENSE, "--license")
    chosen = {"lab.name": lab, "lab.license": license_id}
    if institution:
        chosen["lab.institution"] = institution
    with Node.create(
        folder, chosen=chosen, is_test=test, progress=TerminalProgress()
    ) as node:
        facts = {
            "folder": str(node.folder),
            "lab": lab,
            "license": license_id,
            "publisher": node.ledger.address,
            "ledger": node.ledger.info.id,
            "height": node.ledger.tip().height,
        }
    if json:
        show_json(facts)
        return
    show_facts((label, str(value)) for label, value in facts.items())
    say("")
    say("The keys in this folder are all that proves who you are. Keep a copy now:")
    say(f"  etdb key backup FILE --node {folder}")
    say("Then publish a folder of data, and look at it:")
    say(f"  etdb publish PATH --node {folder}")
    say(f"  etdb serve --node {folder}")


def _ask(question: str, given: str | None, default: str, option: str) -> str:
    if given is not None:
        return given
    if sys.stdin.isatty():
        return str(typer.prompt(question, default=default, err=True))
    say(f"{question}: {default} (nobody to ask; set it with {option})")
    return default
