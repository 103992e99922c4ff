"""Options that several commands share, and what they open."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from etdb.cli.terminal import TerminalProgress, say
from etdb.client.catalogue import Catalogue, NodeCatalogue
from etdb.client.router import NOBODY, Hints
from etdb.client.sources import HttpSource, Source
from etdb.errors import (
    ConflictError,
    InvalidDataError,
    NotAllowedError,
    UnavailableError,
)
from etdb.settings import GetSettings, default_folder, listed, load_settings

if TYPE_CHECKING:
    from etdb.node import Node


def given_path(word: str) -> Path:
    """The path of an argument. An empty one, as of an unset variable, is none.

    `Path` would take it for the folder one is in. Raises typer.BadParameter.
    """
    if not word:
        raise typer.BadParameter("an empty path; for the folder you are in write .")
    return Path(word)


NodeOption = Annotated[
    Path | None,
    typer.Option(
        "--node",
        parser=given_path,
        envvar="ETDB_NODE",
        metavar="DIR",
        help="The node's folder; without it, the platform's data folder.",
    ),
]
FromOption = Annotated[
    str | None,
    typer.Option(
        "--from", metavar="URL", help="URL of the node to ask, instead of your own."
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


def open_node(
    folder: Path | None, flags: Mapping[str, str | int | bool | None] | None = None
) -> Node:
    """The node of `--node`. Raises NotFoundError where there is none."""
    from etdb.node import Node  # noqa: PLC0415 - loads SQLAlchemy; not for another's

    return Node.open(folder or default_folder(), environ=os.environ, flags=flags)


def verify_not_own(node: Node, path: Path) -> None:
    """Refuse what holds the node's own files, its keys among them.

    What a node holds it gives to anybody. Raises InvalidDataError.
    """
    own, given = node.folder.resolve(), path.resolve()
    below = own.relative_to(given).parts if own.is_relative_to(given) else (".",)
    # Names that begin with a dot are never held.
    is_around = not any(name.startswith(".") for name in below)
    if is_around or given.is_relative_to(own):
        msg = f"{path} holds files of the node itself: its keys would be given away"
        raise InvalidDataError(msg, hint=f"keep data out of {own}")


SHOWN_BLOCKS = 2_000
"""Following fewer takes no time worth a word."""
_FAR_BEHIND_BLOCKS = 50_000


def follow_if_possible(node: Node) -> None:
    """Read what is new; of a ledger that cannot be reached, say so and go on.

    A node that is far behind is not made to wait for hours.
    """
    try:
        lag = node.followed.lag()
        if lag > _FAR_BEHIND_BLOCKS:
            say(f"warning: the index is {lag:,} blocks behind; go on with them:")
            say("  etdb ledger follow")
            return
        node.follow(TerminalProgress(SHOWN_BLOCKS))
    except (UnavailableError, NotAllowedError, ConflictError) as error:
        say(f"warning: what is newest may be missing: {error.message}")


@dataclass(frozen=True)
class Peer:
    """Whom to ask about records, and where to take bytes from."""

    name: str
    catalogue: Catalogue
    source: Source
    ask_above_bytes: int
    gateways: tuple[str, ...] = ()
    """From the settings: where to take bytes from as well."""
    hints: Hints = NOBODY
    """Whom to ask who else has a dataset."""


@contextlib.contextmanager
def open_peer(
    folder: Path | None, url: str | None, record_id: str = ""
) -> Iterator[Peer]:
    """The node at a URL (given, or that of a record's page), or one's own."""
    if url is None and "://" in record_id:
        url = record_id
    if url is not None:
        settings = load_settings(folder or default_folder(), environ=os.environ)
        with NodeCatalogue(url) as asked, HttpSource(asked.url) as source:
            hints = Hints(routers=(*listed(settings.get.routers), asked.url))
            yield _peer(asked.url, asked, source, settings.get, hints)
        return
    with open_node(folder) as node:
        follow_if_possible(node)
        chosen, catalogue = node.settings.get, node.catalogue
        hints = Hints(tuple(listed(chosen.routers)), catalogue.list_hosts)
        yield _peer(str(node.folder), catalogue, node.source, chosen, hints)


def _peer(
    name: str,
    catalogue: Catalogue,
    source: Source,
    chosen: GetSettings,
    hints: Hints,
) -> Peer:
    return Peer(
        name,
        catalogue,
        source,
        ask_above_bytes=chosen.ask_above_gb * 10**9,
        gateways=tuple(listed(chosen.gateways)),
        hints=replace(hints, may_be_private=chosen.allow_private),
    )
