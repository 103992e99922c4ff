"""Where a command takes bytes from: the node asked, gateways, and who is found."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Annotated

import typer

from etdb.cli.options import Peer
from etdb.client.finder import Finder
from etdb.client.router import Hints, is_url
from etdb.client.sources import HttpSource, Source
from etdb.errors import InvalidDataError

GatewayOption = Annotated[
    list[str] | None,
    typer.Option(
        "--gateway",
        metavar="URL",
        help="IPFS gateway to take bytes from as well; repeatable.",
    ),
]
RouterOption = Annotated[
    list[str] | None,
    typer.Option(
        "--router",
        metavar="URL",
        help="Router to ask who else has the dataset; repeatable.",
    ),
]
PrivateOption = Annotated[
    bool,
    typer.Option(
        "--allow-private", help="Ask private addresses too, where others name them."
    ),
]


def hints_of(peer: Peer, routers: Sequence[str], *, allow_private: bool) -> Hints:
    """Whom to ask: the routers given, then those that the peer knows."""
    known = peer.hints
    _verify_urls(routers)
    return replace(
        known,
        routers=tuple(dict.fromkeys((*routers, *known.routers))),
        may_be_private=known.may_be_private or allow_private,
    )


@contextlib.contextmanager
def opened_finder(
    peer: Peer,
    gateways: Sequence[str] = (),
    hints: Hints | None = None,
    connections: int = 2,
) -> Iterator[Finder]:
    """The peer's source, the gateways given and those of the settings; and more.

    More are found for each dataset, as `hints` say, or else the peer's own.
    """
    sources: list[Source] = [peer.source]
    _verify_urls((*gateways, *peer.gateways))
    with contextlib.ExitStack() as stack:
        for url in dict.fromkeys((*gateways, *peer.gateways)):
            found = stack.enter_context(HttpSource(url, connections=connections))
            if found.name not in {source.name for source in sources}:
                sources.append(found)
        yield stack.enter_context(
            Finder(sources, hints or peer.hints, connections=connections)
        )


def _verify_urls(urls: Sequence[str]) -> None:
    for url in urls:
        if not is_url(url):
            msg = f"not a URL of http or https: {url[:200]!r}"
            raise InvalidDataError(msg, hint="such as https://ipfs.example.org")
