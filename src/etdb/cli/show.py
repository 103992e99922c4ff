"""`etdb show`: everything one record says, and what of it holds."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from etdb.cli.history import moment, show_history
from etdb.cli.options import FromOption, JsonOption, NodeOption, open_peer
from etdb.cli.terminal import (
    count,
    human_size,
    show,
    show_facts,
    show_json,
    show_table,
)
from etdb.record.message import Coverage
from etdb.record.model import FIELDS, FieldSpec

_UNCOVERED = {
    Coverage.OMITTED: "an unsigned comment",
    Coverage.UNKNOWN: "a transaction whose signatures may leave the text out",
}

IdArgument = Annotated[
    str,
    typer.Argument(
        metavar="ID",
        help="A record's id or txid, 6 or more digits of it, or its page's URL.",
    ),
]


def show_record(
    record_id: IdArgument,
    versions: Annotated[
        bool,
        typer.Option(
            "--versions", help="Show its history: versions, edits, withdrawal."
        ),
    ] = False,
    source: FromOption = None,
    node: NodeOption = None,
    json: JsonOption = False,
) -> None:
    """Show a record: fields with units, files, signatures; or its history.

    \b
    Examples:
        etdb show 3f2a9c
        etdb show 3f2a9c --versions
        etdb show https://etdb.example.org/records/3f2a9c41
    """
    with open_peer(node, source, record_id) as peer:
        ask = peer.catalogue.list_versions if versions else peer.catalogue.get_record
        told = ask(record_id)
    if json:
        show_json(told)
    elif versions:
        show_history(told)
    else:
        show_told(told)


def show_told(record: dict[str, Any]) -> None:
    """A record for people; of a withdrawn one only that it is."""
    if record.get("withdrawn") is not None:
        show_facts(_withdrawn_facts(record))
        return
    show_facts(_facts(record))
    show("")
    show_table(
        ("role", "size", "cid", "name"),
        (
            (
                file["role"],
                human_size(file["size_bytes"]),
                file["cid"] or "",
                file["name"],
            )
            for file in record["files"]
        ),
    )
    show("")
    for check in record["checks"]:
        verdict = "holds" if check["holds"] else "FAILS"
        show(f"{verdict}  {check['name']}: {check['says']}")


def field_text(spec: FieldSpec, value: object) -> str:
    """A field's value as people read it: dates as days, numbers with units."""
    if spec.name == "date" and isinstance(value, int):
        with contextlib.suppress(ValueError, OverflowError, OSError):
            return datetime.fromtimestamp(value, UTC).date().isoformat()
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return f"{value} {spec.unit}".rstrip()


def _withdrawn_facts(record: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Of a withdrawn record that it is; what it said is in `--json`."""
    withdrawn = record["withdrawn"]
    yield "id", record["id"]
    yield "txid", record["txid"]
    yield "publisher", _publisher(record)
    yield "withdrawn", moment(withdrawn["time"])
    yield "by", withdrawn["by"]
    yield "reason", withdrawn["reason"] or "none was given"


def _publisher(record: dict[str, Any]) -> str:
    publisher = record["publisher"]
    return " ".join(filter(None, (publisher["name"], publisher["address"])))


def _history(record: dict[str, Any]) -> str:
    """`2 edits, the last signed 2026-03-14 09:26 UTC`, or that there is none."""
    versions = record.get("versions") or []
    last = versions[-1] if isinstance(versions, list) and versions else None
    if not isinstance(last, dict) or not isinstance(last.get("number"), int):
        return "unknown"
    if last["number"] == 1:
        return "never edited"
    edits = count(last["number"] - 1, "edit")
    return f"{edits}, the last signed {moment(last.get('timestamp'))}"


def _facts(record: dict[str, Any]) -> Iterator[tuple[str, str]]:
    anchor = record["anchor"]
    yield "id", record["id"]
    yield "txid", record["txid"]
    yield "title", record["title"] or ""
    yield "description", record["description"] or ""
    for spec in FIELDS:
        value = record["details"].get(spec.name)
        if value is not None:
            yield spec.label, field_text(spec, value)
    yield "publisher", _publisher(record)
    yield "class", record["class"]
    yield "signed at", record["published"]
    yield "history", _history(record)
    yield "block", f"{anchor['height']} of {anchor['ledger']} ({anchor['ledger_kind']})"
    carrier = _UNCOVERED.get(anchor.get("coverage"))
    if carrier is not None:
        yield "carried by", f"{carrier}; authorship rests on the record's signature"
    yield "CID", record["cid"] or ""
    yield "size", human_size(record["size_bytes"])
