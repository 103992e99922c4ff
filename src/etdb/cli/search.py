"""`etdb search`: find records."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from etdb.cli.options import FromOption, JsonOption, NodeOption, open_peer
from etdb.cli.terminal import count, human_size, say, show_json, show_table


def search(
    query: Annotated[
        list[str] | None, typer.Argument(help="Words, phrases, field:value …")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=200, help="Results on a page.")] = 20,
    after: Annotated[
        str | None,
        typer.Option(help="Token of the next page: `next` of the page before."),
    ] = None,
    sort: Annotated[
        str,
        typer.Option(
            help="Order: newest, oldest, acquired, species, microscopist, size, title."
        ),
    ] = "newest",
    source: FromOption = None,
    node: NodeOption = None,
    json: JsonOption = False,
) -> None:
    """Find records by words and fields.

    \b
    Examples:
        etdb search flagellum
        etdb search 'species:"Vibrio cholerae" tilt_min<=-60 date:2015..2018'
        etdb search '(chemoreceptor OR magnetosome) -software:raptor'
        etdb search --from https://etdb.example.org phage
    """
    unknown = [word for word in query or [] if word.startswith("--")]
    if unknown:
        msg = f"no such option: {unknown[0]}"
        raise typer.BadParameter(msg)
    text = " ".join(query or [])
    with open_peer(node, source) as peer:
        page = peer.catalogue.search(text, sort=sort, limit=limit, after=after)
    if json:
        show_json(page)
        return
    show_table(
        ("id", "acquired", "species", "title", "size"),
        (_row(record) for record in page["results"]),
    )
    say(f"{page['count']} of {count(page['total'], 'record')}")
    if page["next"]:
        say(f"more: repeat with --after {page['next']}")


def _row(record: dict[str, Any]) -> tuple[str, ...]:
    details = record["details"]
    return (
        record["id"][:12],
        details.get("acquired") or "",
        details.get("species") or "",
        record["title"] or "",
        human_size(record["size_bytes"]),
    )
