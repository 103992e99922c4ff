"""`etdb cat`: a file of a dataset, or some of its bytes, to standard output."""

from __future__ import annotations

import re
import sys
from typing import Annotated
from urllib.parse import unquote

import typer

from etdb.cli.options import FromOption, NodeOption, open_peer
from etdb.cli.sourcing import GatewayOption, opened_finder
from etdb.client.content import iter_bytes
from etdb.client.dag import Dag
from etdb.client.record import dataset_of
from etdb.errors import InvalidDataError

_FILE_URL = re.compile(r"([^:]+://.+?/records/[^/]+)/(.+)")
_RANGE = re.compile(r"([0-9]{1,18})?-([0-9]{1,18})?")


def cat(
    what: Annotated[
        str,
        typer.Argument(
            metavar="ID/PATH",
            help="A record's id, or its page's URL, and a file's name.",
        ),
    ],
    span: Annotated[
        str | None,
        typer.Option(
            "--range",
            metavar="A-B",
            help="Bytes A to B, both included; A- from A on, -N the last N.",
        ),
    ] = None,
    gateway: GatewayOption = None,
    source: FromOption = None,
    node: NodeOption = None,
) -> None:
    """Print a file, or part of it; every byte is verified before it is printed.

    \b
    Examples:
        etdb cat 3f2a9c/notes.txt
        etdb cat 3f2a9c/rec/vol.rec --range 0-1023 | xxd
        etdb cat https://etdb.example.org/records/3f2a9c41/notes.txt
    """
    record_id, name = parse_file(what)
    first, last = parse_range(span)
    with (
        open_peer(node, source, record_id) as peer,
        opened_finder(peer, gateway or []) as finder,
    ):
        root = dataset_of(peer.catalogue.get_record(record_id))
        dag = Dag(None, finder.sources_for(root), finder.liars)
        for data in iter_bytes(dag, root, name, first, last):
            sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()


def parse_file(what: str) -> tuple[str, str]:
    """(the record's id or the URL of its page, the file's name).

    In a URL the name is percent-encoded, and `?` and `#` end it. Raises
    InvalidDataError.
    """
    if "://" in what:
        found = _FILE_URL.fullmatch(re.split("[?#]", what)[0])
        record_id, name = (found[1], unquote(found[2])) if found else ("", "")
        hint = "give it as http://NODE/records/ID/PATH"
    else:
        record_id, _, name = what.partition("/")
        hint = "give it as ID/PATH; see `etdb show ID`"
    if not record_id or not name:
        msg = f"no file of a record is named in {what[:200]!r}"
        raise InvalidDataError(msg, hint=hint)
    return record_id, name


def parse_range(text: str | None) -> tuple[int, int | None]:
    """(first, last) as `--range` gives them; a negative first is from the end.

    Raises InvalidDataError.
    """
    if text is None:
        return 0, None
    found = _RANGE.fullmatch(text.strip())
    if found is None or found.groups() == (None, None):
        msg = f"not a range of bytes: {text[:60]!r}"
        raise InvalidDataError(msg, hint="give it as 0-1023, 1024- or -512")
    first, last = (None if part is None else int(part) for part in found.groups())
    if first is None:
        assert last is not None
        if last == 0:
            raise InvalidDataError("the last 0 bytes are none")
        return -last, None
    if last is not None and last < first:
        msg = f"the range {text!r} ends before it begins"
        raise InvalidDataError(msg)
    return first, last
