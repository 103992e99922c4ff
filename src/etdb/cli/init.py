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
    flo: Annotated[
        str | None,
        typer.Option(
            metavar="URL", help="RPC address of the FLO daemon to publish through."
        ),
    ] = None,
    flo_network: Annotated[
        str, typer.Option(help="The daemon's network: main, test or regtest.")
    ] = "main",
    flo_user: Annotated[str, typer.Option(help="The user of the daemon's RPC.")] = "",
    flo_password_file: Annotated[
        str, typer.Option(metavar="FILE", help="File with the password of that user.")
    ] = "",
    json: JsonOption = False,
) -> None:
    """Make a node: keys, its own chain, an index, a settings file.

    With --flo it has no chain of its own: it reads and writes that of FLO.

    \b
    Examples:
        etdb init ~/etdb --lab "Our lab" --license CC0-1.0
        etdb init ~/etdb --flo http://127.0.0.1:7313 --flo-user flo \\
            --flo-password-file ~/.flo-password
    """
    lab = _ask("The lab's name", lab, DEFAULT_LAB, "--lab")
    license_id = _ask("Licence (SPDX id)", license, DEFAULT_LICENSE, "--license")
    chosen = {"lab.name": lab, "lab.license": license_id}
    if institution:
        chosen["lab.institution"] = institution
    if flo is not None:
        password_file = flo_password_file and str(Path(flo_password_file).resolve())
        chosen |= {
            "ledger.kind": "flo",
            "ledger.network": flo_network,
            "ledger.url": flo,
            "ledger.user": flo_user,
            "ledger.password_file": password_file,
        }
    with Node.create(
        folder, chosen=chosen, is_test=test, progress=TerminalProgress()
    ) as node:
        facts = _facts(node)
    if json:
        show_json(facts)
        return
    show_facts((label, str(value)) for label, value in facts.items())
    _say_next_steps(folder, needs_coins="wallet" in facts)


def _facts(node: Node) -> dict[str, object]:
    facts: dict[str, object] = {
        "folder": str(node.folder),
        "lab": node.settings.lab.name,
        "license": node.settings.lab.license,
        "publisher": node.address,
        "ledger": node.ledger.info.id,
    }
    if node.chain is not None:
        facts["height"] = node.chain.tip().height
    if node.wallet_address is not None:
        facts["wallet"] = node.wallet_address
    return facts


def _say_next_steps(folder: Path, *, needs_coins: bool) -> None:
    say("")
    say("The keys in this folder are all that proves who you are. Keep a copy now:")
    say(f"  etdb key backup FILE --node {folder}")
    if needs_coins:
        say("Send FLO to the wallet; a record costs far less than a hundredth of one:")
        say(f"  etdb ledger status --node {folder}")
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
