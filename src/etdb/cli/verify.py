"""`etdb verify`: hash everything again and say what holds."""

from __future__ import annotations

from typing import Annotated

import typer

from etdb.cli.options import (
    FromOption,
    JsonOption,
    NodeOption,
    given_path,
    open_peer,
)
from etdb.cli.terminal import (
    SomeFailed,
    TerminalProgress,
    say,
    show,
    show_json,
)
from etdb.client.record import NOT_KNOWN
from etdb.client.verify import FolderReport, check_folder, check_remote


def verify(
    what: Annotated[
        str,
        typer.Argument(
            metavar="ID|FOLDER",
            help="Record by id or URL, or a folder that `etdb get` made.",
        ),
    ],
    source: FromOption = None,
    node: NodeOption = None,
    json: JsonOption = False,
) -> None:
    """Check a fetched folder, or a record and its files where they are served.

    A folder is checked offline, from what `etdb get` kept in it. For a record
    every byte is read from the node, hashed, and thrown away.

    \b
    Examples:
        etdb verify data/vc
        etdb verify 3f2a9c --from https://etdb.example.org
    """
    folder = given_path(what)
    if source is None and folder.is_dir():
        report = check_folder(folder, TerminalProgress())
    else:
        with open_peer(node, source, what) as peer:
            record = peer.catalogue.get_record(what)
            report = check_remote(record, peer.source, TerminalProgress())
    _print(report, is_json=json)
    if not report.holds:
        say("not everything holds")
        raise SomeFailed


def _print(report: FolderReport, *, is_json: bool) -> None:
    if is_json:
        show_json(
            {
                "id": report.record.get("id"),
                "holds": report.holds,
                "not_known": NOT_KNOWN,
                "checks": [
                    {"name": check.name, "holds": check.holds, "says": check.says}
                    for check in report.checks
                ],
                "files": [
                    {"name": file.name, "state": file.state.value, "says": file.says}
                    for file in report.files
                ],
            }
        )
        return
    show(f"record {report.record.get('id')}")
    for check in report.checks:
        show(f"  {'holds' if check.holds else 'FAILS'}  {check.name}: {check.says}")
    show(f"  not known  {NOT_KNOWN}")
    for file in report.files:
        says = f": {file.says}" if file.says else ""
        show(f"  {file.state.value:<9} {file.name}{says}")
