"""Where a command takes bytes from: the node asked, and gateways beside it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Annotated

import typer

from etdb.cli.options import Peer
from etdb.client.sources import HttpSource, Source

GatewayOption = Annotated[
    list[str] | None,
    typer.Option(
        "--gateway",
        metavar="URL",
        help="Take bytes from this IPFS gateway, too; repeatable.",
    ),
]


@contextlib.contextmanager
def opened_sources(
    peer: Peer, gateways: Sequence[str], connections: int = 2
) -> Iterator[list[Source]]:
    """The peer's source, then the gateways given and those of the settings."""
    sources: list[Source] = [peer.source]
    with contextlib.ExitStack() as stack:
        for url in dict.fromkeys((*gateways, *peer.gateways)):
            found = HttpSource(url, connections=connections)
            if found.name in {source.name for source in sources}:
                found.close()
                continue
            sources.append(stack.enter_context(found))
        yield sources
