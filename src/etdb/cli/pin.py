"""`etdb pin`: have another store hold what this node holds."""

from __future__ import annotations

from typing import Annotated

import typer

from etdb.cli.options import JsonOption, NodeOption, follow_if_possible, open_node
from etdb.cli.show import IdArgument
from etdb.cli.terminal import TerminalProgress, count, show, show_json
from etdb.client.record import dataset_of
from etdb.store.kubo import KuboStore


def pin(
    record_id: IdArgument,
    kubo: Annotated[
        str,
        typer.Option("--kubo", metavar="URL", help="URL of the Kubo's RPC API."),
    ],
    node: NodeOption = None,
    json: JsonOption = False,
) -> None:
    """Make a Kubo hold and pin a dataset of this node.

    Files that the Kubo can read where they lie are given to it by reference,
    if its filestore is on; of others it gets a copy. Stopped at any moment, the
    same command goes on: a file that the Kubo has is not sent again.

    \b
    Examples:
        etdb pin 3f2a9c --kubo http://127.0.0.1:5001
    """
    with open_node(node) as own, KuboStore(kubo) as store:
        follow_if_possible(own)
        record = own.catalogue.get_record(record_id)
        root = dataset_of(record)
        held = store.hold(own.store, root, own.store.path_of, TerminalProgress())
    if json:
        show_json(
            {
                "id": record["id"],
                "cid": str(root),
                "kubo": store.name,
                "referred": held.referred,
                "copied": held.copied,
                "present": held.present,
            }
        )
        return
    total = held.referred + held.copied + held.present
    show(
        f"{store.name} holds {root}: {count(total, 'file')},"
        f" {held.referred} by reference, {held.copied} copied,"
        f" {held.present} there before"
    )
