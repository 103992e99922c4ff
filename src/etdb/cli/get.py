"""`etdb get`: fetch a record's files, each byte checked against the record."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from etdb.cli.options import FromOption, JsonOption, NodeOption, YesOption, open_peer
from etdb.cli.show import IdArgument
from etdb.cli.terminal import (
    SomeFailed,
    TerminalProgress,
    clean,
    confirm,
    count,
    human_size,
    say,
    show,
    show_json,
    show_table,
)
from etdb.client.download import DownloadPlan, FileResult, download, plan


def get(
    record_id: IdArgument,
    folder: Annotated[
        Path | None,
        typer.Option("-o", "--output", metavar="DIR", help="Default: the lab's id."),
    ] = None,
    include: Annotated[
        list[str] | None,
        typer.Option(metavar="GLOB", help="Only files whose names match."),
    ] = None,
    source: FromOption = None,
    yes: YesOption = False,
    node: NodeOption = None,
    json: JsonOption = False,
) -> None:
    """Fetch a dataset's files and verify every byte.

    A file appears under its name when it is whole and right. Stopped at any
    moment, the same command goes on where it was; what is already there is
    checked, not fetched again.

    \b
    Examples:
        etdb get 3f2a9c
        etdb get 3f2a9c -o data/vc --include '*.rec' --include '*.mdoc'
        etdb get https://etdb.example.org/records/3f2a9c41
    """
    with open_peer(node, source, record_id) as peer:
        record = peer.catalogue.get_record(record_id)
        target = folder or Path(
            _folder_name(record["details"].get("sid"), record["id"])
        )
        planned = plan(record, [peer.source], target, include or [])
        _announce(planned, peer.name)
        missing = planned.total_bytes - planned.have_bytes
        if missing > peer.ask_above_bytes and not confirm(
            f"Fetch {human_size(missing)}?", assume_yes=yes
        ):
            say("nothing was fetched")
            return
        results = download(planned, [peer.source], TerminalProgress())
    _report(target, results, is_json=json)


def _folder_name(sid: str | None, record_id: str) -> str:
    """A folder's name that no record can choose badly."""
    safe = "".join(c if c.isalnum() or c in "-_." else "_" for c in clean(sid or ""))
    return safe.lstrip(".")[:100] or record_id[:12]


def _announce(planned: DownloadPlan, origin: str) -> None:
    files = count(len(planned.files), "file")
    total = human_size(planned.total_bytes)
    say(f"{files}, {total}, from {origin} to {planned.folder}")
    if planned.have_bytes:
        say(f"{human_size(planned.have_bytes)} of them are there and will be checked")


def _report(target: Path, results: list[FileResult], *, is_json: bool) -> None:
    failed = [result for result in results if result.error is not None]
    if is_json:
        files = [
            {
                "name": result.name,
                "size_bytes": result.size_bytes,
                "state": result.state,
                "error": None if result.error is None else result.error.message,
            }
            for result in results
        ]
        show_json({"folder": str(target), "files": files, "failed": len(failed)})
    else:
        show_table(
            ("state", "size", "name"),
            ((r.state, human_size(r.size_bytes), r.name) for r in results),
        )
        for result in failed:
            assert result.error is not None
            say(f"failed: {result.name}: {result.error.message}")
    if failed:
        say(f"{len(failed)} of {count(len(results), 'file')} failed; repeat to go on")
        raise SomeFailed
    if not is_json:
        show(f"all {count(len(results), 'file')} verified in {target}")
