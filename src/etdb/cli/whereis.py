"""`etdb whereis`: who holds a dataset, checked by asking."""

from __future__ import annotations

import contextlib
from typing import Annotated

import typer

from etdb.cli.options import FromOption, JsonOption, NodeOption, open_peer
from etdb.cli.show import IdArgument
from etdb.cli.sourcing import (
    GatewayOption,
    PrivateOption,
    RouterOption,
    hints_of,
    opened_finder,
)
from etdb.cli.terminal import SomeFailed, count, say, show_json, show_table
from etdb.client.record import dataset_of
from etdb.client.whereis import Holder, Holding, iter_holders
from etdb.errors import EtdbError
from etdb.identity import CID
from etdb.store.kubo import KuboStore

KUBO_SILENCE_S = 30.0


def whereis(
    record_id: IdArgument,
    gateway: GatewayOption = None,
    router: RouterOption = None,
    allow_private: PrivateOption = False,
    kubo: Annotated[
        str | None,
        typer.Option(metavar="URL", help="URL of a Kubo's RPC API, to ask it as well."),
    ] = None,
    source: FromOption = None,
    node: NodeOption = None,
    json: JsonOption = False,
) -> None:
    """List who holds a dataset, after asking each for it.

    Each is asked for the folder and for the beginnings of up to 20 files. Ends
    with status 9 where nobody has all of them.

    \b
    Examples:
        etdb whereis 3f2a9c --gateway https://ipfs.example.org
        etdb whereis 3f2a9c --router https://etdb.example.org --json
        etdb whereis 3f2a9c --kubo http://127.0.0.1:5001
    """
    with contextlib.ExitStack() as stack:
        peer = stack.enter_context(open_peer(node, source, record_id))
        cid = dataset_of(peer.catalogue.get_record(record_id))
        hints = hints_of(peer, router or [], allow_private=allow_private)
        finder = stack.enter_context(opened_finder(peer, gateway or [], hints))
        holders = list(iter_holders(cid, finder.given, hints))
        if kubo is not None:
            holders.append(_ask_kubo(kubo, cid))
    if json:
        show_json({"cid": str(cid), "holders": [_json(one) for one in holders]})
    else:
        show_table(("state", "who", "told by"), (_row(one) for one in holders))
        for one in holders:
            if one.error is not None and one.state in (Holding.LIES, Holding.FAILS):
                say(f"{one.name}: {one.error.message}")
    if not any(one.state is Holding.HAS for one in holders):
        is_part = any(one.state is Holding.PART for one in holders)
        say(f"nobody who was asked holds {'all of it' if is_part else 'it'}")
        raise SomeFailed


def _ask_kubo(url: str, cid: CID) -> Holder:
    with KuboStore(url, silence_s=KUBO_SILENCE_S) as store:
        try:
            is_held = store.is_pinned(cid)
        except EtdbError as exc:
            return Holder(store.name, "", Holding.FAILS, exc)
    return Holder(store.name, "", Holding.HAS if is_held else Holding.LACKS)


def _row(holder: Holder) -> tuple[str, str, str]:
    state = str(holder.state)
    if holder.state is Holding.PART:
        state += f" of it: {holder.files_held} of {count(holder.files_asked, 'file')}"
    return state, holder.name, holder.told_by


def _json(holder: Holder) -> dict[str, object]:
    return {
        "name": holder.name,
        "told_by": holder.told_by or None,
        "state": holder.state,
        "files_held": holder.files_held,
        "files_asked": holder.files_asked,
        "error": None if holder.error is None else holder.error.message,
    }
