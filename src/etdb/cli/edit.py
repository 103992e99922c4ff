"""`etdb edit`: change fields of a published record."""

from __future__ import annotations

from typing import Annotated

import typer

from etdb.cli.options import JsonOption, NodeOption, YesOption, open_node
from etdb.cli.proposal import Wanted, make_statement
from etdb.cli.publish import parse_field
from etdb.cli.show import IdArgument
from etdb.publish.revision import Changes


def edit(
    record_id: IdArgument,
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="FIELD=VALUE", help="New value of a field; repeatable."
        ),
    ] = None,
    remove: Annotated[
        list[str] | None,
        typer.Option(metavar="FIELD", help="Field to remove; repeatable."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show the edit; sign and send nothing.")
    ] = False,
    yes: YesOption = False,
    node: NodeOption = None,
    json: JsonOption = False,
) -> None:
    """Edit a published record: a new version, which all nodes show from then on.

    The old versions stay on the ledger and can be seen. Fields have the names
    that `etdb publish --set` takes. Publishing the unchanged folder again does
    not take an edit back, but a later change of it is published from what stands
    in its dataset.toml: correct it there as well. To change files, publish the
    folder again.

    \b
    Examples:
        etdb edit 3f2a9c --set strain=PAO1 --set notes="ice too thick"
        etdb edit 3f2a9c --remove emdb --dry-run
    """
    removed = dict.fromkeys(remove or ())
    changes: Changes = {**dict(map(parse_field, set_ or ())), **removed}
    if not changes:
        msg = "say what to change: --set FIELD=VALUE or --remove FIELD"
        raise typer.BadParameter(msg)
    wanted = Wanted(
        action="edit",
        propose=lambda publisher: publisher.plan_edit(record_id, changes),
        question="Sign and send this edit, for ever?",
        record_id=record_id,
        is_dry=dry_run,
        assume_yes=yes,
        is_json=json,
    )
    with open_node(node) as opened, opened.publishing():
        make_statement(opened, wanted)
