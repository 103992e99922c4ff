"""`etdb register`: say on the ledger who an address is."""

from __future__ import annotations

from typing import Annotated

import typer

from etdb.cli.options import JsonOption, NodeOption, YesOption, open_node
from etdb.cli.proposal import Wanted, make_statement
from etdb.cli.terminal import UsageError


def register(
    name: Annotated[
        str | None,
        typer.Option(
            metavar="ALIAS", help="Lab's name; without it, the one in the settings."
        ),
    ] = None,
    url: Annotated[
        str | None,
        typer.Option(metavar="URL", help="Lab's site, https; empty removes it."),
    ] = None,
    gateway: Annotated[
        list[str] | None,
        typer.Option(
            metavar="URL",
            help="Node that has the files, https; empty removes all; repeatable.",
        ),
    ] = None,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Show the registration; sign and send nothing."),
    ] = False,
    yes: YesOption = False,
    node: NodeOption = None,
    json: JsonOption = False,
) -> None:
    """Register this node's address: its name, its site, who has its files.

    The newest registration counts. What is not said stays as it is registered.

    \b
    Examples:
        etdb register
        etdb register --name "Our lab" --url https://lab.example.org
        etdb register --gateway https://etdb.example.org
    """
    with open_node(node) as opened, opened.publishing():
        alias = opened.settings.lab.name if name is None else name
        if name is None and not alias:
            msg = "the lab has no name in the node's settings"
            raise UsageError(msg, hint='give one: etdb register --name "…"')
        wanted = Wanted(
            action="register",
            propose=lambda publisher: publisher.plan_register(alias, url, gateway),
            question="Sign and send this registration, for ever?",
            is_dry=dry_run,
            assume_yes=yes,
            is_json=json,
        )
        make_statement(opened, wanted)
