"""`etdb get`: fetch records' files, each byte checked against its record."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from etdb.cli.fetching import show_fetching
from etdb.cli.got import report, show_plans
from etdb.cli.options import (
    FromOption,
    JsonOption,
    NodeOption,
    Peer,
    YesOption,
    given_path,
    open_peer,
)
from etdb.cli.sourcing import (
    GatewayOption,
    PrivateOption,
    RouterOption,
    hints_of,
    opened_finder,
)
from etdb.cli.terminal import (
    TerminalProgress,
    clean,
    confirm,
    count,
    human_size,
    say,
)
from etdb.client.catalogue import iter_results
from etdb.client.download import (
    NO_MATCH,
    DownloadPlan,
    Outcome,
    download,
    plan,
    verify_room_for,
)
from etdb.client.filters import Selection, verify_roles
from etdb.client.finder import Finder
from etdb.client.folder import Folder
from etdb.client.look import Watch, liars_of
from etdb.client.record import dataset_of
from etdb.client.sources import Source
from etdb.errors import (
    EtdbError,
    InvalidDataError,
    NotFoundError,
)
from etdb.progress import Silent

MAX_NAME_BYTES = 200


@dataclass(frozen=True)
class _Wish:
    """What was asked for on the command line."""

    folder: Path | None
    selection: Selection

    def plan(
        self, record: dict[str, Any], finder: Finder, folder: Path
    ) -> DownloadPlan:
        """The plan of one record."""
        sources = finder.sources_for(dataset_of(record))
        return plan(record, sources, folder, self.selection)


def get(
    record_id: Annotated[
        str | None,
        typer.Argument(metavar="ID", help="A record's id, its beginning, or its URL."),
    ] = None,
    folder: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            metavar="DIR",
            help="Folder to fetch into; without it, one named after the lab's id.",
            parser=given_path,
        ),
    ] = None,
    include: Annotated[
        list[str] | None,
        typer.Option(
            metavar="GLOB", help="Files whose names match, no others; repeatable."
        ),
    ] = None,
    exclude: Annotated[
        list[str] | None,
        typer.Option(
            metavar="GLOB", help="Files to leave out, by their names; repeatable."
        ),
    ] = None,
    role: Annotated[
        list[str] | None,
        typer.Option(
            "--type",
            "--role",
            metavar="ROLE",
            help="Files of this role, no others: reconstruction …; repeatable.",
        ),
    ] = None,
    query: Annotated[
        str | None,
        typer.Option(help="Query as of `etdb search`; every record found is fetched."),
    ] = None,
    gateway: GatewayOption = None,
    router: RouterOption = None,
    allow_private: PrivateOption = False,
    connections: Annotated[
        int | None,
        typer.Option("-j", "--jobs", min=1, max=16, help="Connections to each source."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would be fetched, and stop.")
    ] = False,
    source: FromOption = None,
    yes: YesOption = False,
    node: NodeOption = None,
    json: JsonOption = False,
) -> None:
    """Fetch a dataset's files, or those of a query, and verify every byte.

    A file appears under its name when it is whole and right. Stopped at any
    moment, the same command goes on where it was; what is already there is
    checked, not fetched again. With several sources each gives what it can; one
    that sends wrong bytes is named and not asked again.

    \b
    Examples:
        etdb get 3f2a9c
        etdb get 3f2a9c -o data/vc --include '*.rec' --include '*.mdoc'
        etdb get 3f2a9c --gateway https://ipfs.example.org --type reconstruction
        etdb get --query 'species:"Vibrio cholerae"' --type tiltSeries -o data
        etdb get https://etdb.example.org/records/3f2a9c41
    """
    if (record_id is None) == (query is None):
        raise typer.BadParameter("give either a record's id or --query")
    verify_roles(role or ())
    selection = Selection(tuple(include or ()), tuple(exclude or ()), tuple(role or ()))
    wish = _Wish(folder, selection)
    with contextlib.ExitStack() as stack:
        peer = stack.enter_context(open_peer(node, source, record_id or ""))
        hints = hints_of(peer, router or [], allow_private=allow_private)
        finder = stack.enter_context(
            opened_finder(peer, gateway or [], hints, connections or 2)
        )
        troubles: dict[str, EtdbError] = {}
        if query is None:
            plans = [_plan_one(peer, finder, str(record_id), wish)]
        else:
            plans = _plan_query(peer, finder, query, wish, troubles)
        _announce(plans, finder)
        if dry_run:
            show_plans(plans, troubles, is_json=json)
            return
        if not _agreed(plans, peer, folder or Path(), assume_yes=yes):
            return
        outcomes = _fetch_all(
            plans, finder, connections, troubles, None if json else show_fetching
        )
    report(outcomes, troubles, is_json=json, is_query=query is not None)


def _plan_one(peer: Peer, finder: Finder, record_id: str, wish: _Wish) -> DownloadPlan:
    record = peer.catalogue.get_record(record_id)
    return wish.plan(record, finder, wish.folder or Path(folder_name(record)))


def _plan_query(
    peer: Peer,
    finder: Finder,
    query: str,
    wish: _Wish,
    troubles: dict[str, EtdbError],
) -> list[DownloadPlan]:
    """A plan for each record found; why some have none goes to `troubles`."""
    parent = wish.folder or Path()
    plans: list[DownloadPlan] = []
    names: set[str] = set()
    for found in list(iter_results(peer.catalogue, query)):
        name = folder_name(found)
        if name.casefold() in names or _holds_another(parent / name, found["id"]):
            name = f"{_cut(name)}_{found['id'][:12]}"
        names.add(name.casefold())
        try:
            record = peer.catalogue.get_record(found["id"])
            plans.append(wish.plan(record, finder, parent / name))
        except EtdbError as exc:
            if exc.facts.get("kind") == NO_MATCH:
                say(f"nothing from {found['id'][:12]}: {exc.message}")
                continue
            troubles[found["id"]] = exc
    if not plans and not troubles:
        raise NotFoundError("record with files for the query", query)
    return plans


def folder_name(record: dict[str, Any]) -> str:
    """A folder's name that no record can choose badly."""
    sid = record["details"].get("sid") or ""
    safe = "".join(c if c.isalnum() or c in "-_." else "_" for c in clean(sid))
    return _cut(safe.lstrip(".")) or str(record["id"])[:12]


def _cut(name: str) -> str:
    """So much of a name that it fits with an id behind it: file systems count bytes."""
    return name.encode()[:MAX_NAME_BYTES].decode("utf-8", "ignore")


def _holds_another(folder: Path, record_id: str) -> bool:
    """Whether an earlier run fetched another record into a folder."""
    try:
        return bool(Folder(folder).load().record.get("id") != record_id)
    except (NotFoundError, InvalidDataError):
        return False


def _announce(plans: Sequence[DownloadPlan], finder: Finder) -> None:
    files = count(sum(len(one.files) for one in plans), "file")
    total = human_size(sum(one.total_bytes for one in plans))
    names = [source.name for one in plans for source in _sources_of(one, finder)]
    origin = ", ".join(dict.fromkeys(names))
    target = plans[0].folder if len(plans) == 1 else count(len(plans), "folder")
    say(f"{files}, {total}, from {origin} to {target}")
    have = sum(one.have_bytes for one in plans)
    if have:
        say(f"{human_size(have)} of them are there and will be checked")


def _sources_of(plan: DownloadPlan, finder: Finder) -> list[Source]:
    return finder.sources_for(dataset_of(plan.record))


def _agreed(
    plans: Sequence[DownloadPlan], peer: Peer, folder: Path, *, assume_yes: bool
) -> bool:
    verify_room_for(plans, folder)
    missing = sum(one.total_bytes - one.have_bytes for one in plans)
    if missing <= peer.ask_above_bytes or confirm(
        f"Fetch {human_size(missing)}?", assume_yes=assume_yes
    ):
        return True
    say("nothing was fetched")
    return False


def _fetch_all(
    plans: Sequence[DownloadPlan],
    finder: Finder,
    connections: int | None,
    troubles: dict[str, EtdbError],
    watch: Watch | None,
) -> list[tuple[DownloadPlan, Outcome]]:
    """Record by record; what concerns one of several stops no other.

    Without a `watch` nothing is shown.
    """
    outcomes = []
    for one in plans:
        sources = _sources_of(one, finder)
        try:
            progress = TerminalProgress() if watch else Silent()
            outcome = download(one, sources, progress, connections, watch)
        except EtdbError as exc:
            if len(plans) == 1:
                raise
            troubles[str(one.record["id"])] = exc
            continue
        outcomes.append((one, outcome))
        finder.liars.update(liars_of(outcome.sources))
    return outcomes
