"""`etdb whereis`: who holds a dataset, checked by asking."""

from __future__ import annotations

import contextlib
from typing import Annotated

import typer

from etdb.cli.options import FromOption, JsonOption, NodeOption, open_peer
from etdb.cli.show import IdArgument
from etdb.cli.sourcing import GatewayOption, opened_sources
from etdb.cli.terminal import SomeFailed, say, show_json, show_table
from etdb.client.record import dataset_of
from etdb.client.whereis import Holder, iter_holders


def whereis(
    record_id: IdArgument,
    gateway: GatewayOption = None,
    router: Annotated[
        list[str] | None,
        typer.Option(metavar="URL", help="A router to ask for more; repeatable."),
    ] = None,
    allow_private: Annotated[
        bool,
        typer.Option(help="Also ask private addresses that a router names."),
    ] = False,
    source: FromOption = None,
    node: NodeOption = None,
    json: JsonOption = False,
) -> None:
    """Say who holds a dataset, after asking each for it.

    \b
    Examples:
        etdb whereis 3f2a9c --gateway https://ipfs.example.org
        etdb whereis 3f2a9c --router https://etdb.example.org --json
    """
    with contextlib.ExitStack() as stack:
        peer = stack.enter_context(open_peer(node, source, record_id))
        cid = dataset_of(peer.catalogue.get_record(record_id))
        sources = stack.enter_context(opened_sources(peer, gateway or []))
        holders = list(
            iter_holders(cid, sources, router or [], may_be_private=allow_private)
        )
    if json:
        show_json({"cid": str(cid), "holders": [_json(one) for one in holders]})
    else:
        show_table(("state", "who", "told by"), (_row(one) for one in holders))
        for one in holders:
            if one.error is not None and one.state != "lacks":
                say(f"{one.name}: {one.error.message}")
    if not any(one.state == "has" for one in holders):
        say("nobody who was asked holds it")
        raise SomeFailed


def _row(holder: Holder) -> tuple[str, str, str]:
    return holder.state, holder.name, holder.told_by


def _json(holder: Holder) -> dict[str, object]:
    return {
        "name": holder.name,
        "told_by": holder.told_by or None,
        "state": holder.state,
        "error": None if holder.error is None else holder.error.message,
    }
