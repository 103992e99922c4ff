"""`etdb withdraw`: take a published record back, for good."""

from __future__ import annotations

from typing import Annotated

import typer

from etdb.cli.options import JsonOption, NodeOption, YesOption, open_node
from etdb.cli.proposal import Wanted, make_statement
from etdb.cli.show import IdArgument


def withdraw(
    record_id: IdArgument,
    why: Annotated[
        str, typer.Option(metavar="REASON", help="Reason, for everybody to read.")
    ],
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Show the withdrawal; sign and send nothing."),
    ] = False,
    yes: YesOption = False,
    node: NodeOption = None,
    json: JsonOption = False,
) -> None:
    """Withdraw a record. This is for good, on every ledger.

    The record is gone from search on every node and is kept at its address with
    the reason; nothing brings it back. Its text stays on the ledger. The dataset
    can be published again, as another record.

    \b
    Examples:
        etdb withdraw 3f2a9c --why "wrong sample"
        etdb withdraw 3f2a9c --why "published by mistake" --yes
    """
    wanted = Wanted(
        action="deactivate",
        propose=lambda publisher: publisher.plan_withdrawal(record_id, why),
        question="Withdraw this record for good, on every ledger?",
        record_id=record_id,
        is_dry=dry_run,
        assume_yes=yes,
        is_json=json,
    )
    with open_node(node) as opened, opened.publishing():
        make_statement(opened, wanted)
