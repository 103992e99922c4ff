"""Addresses within the site, and the commands that fetch a dataset.

Pure. Names come from a ledger and are hostile: they are percent-encoded in
addresses and quoted in commands, and a name that is not safe to type gets
neither (PROTOCOL says nothing about names; `text.is_plain_name` does).
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

from etdb.web import text

Record = Mapping[str, Any]


@dataclass(frozen=True)
class Recipe:
    """One way to get a dataset: a heading, a sentence, lines to copy."""

    key: str
    title: str
    says: str
    code: str


def record_url(record: Record) -> str:
    """The page of a record."""
    return f"/records/{quote(str(record['id']), safe='')}"


def history_url(record: Record) -> str:
    """The page of a record's history."""
    return f"{record_url(record)}/history"


def file_url(root: str, name: str, *, download: bool = False) -> str:
    """A file of a dataset on this site's gateway."""
    query = "?download=true" if download else ""
    return f"/ipfs/{quote(root, safe='')}/{quote(name)}{query}"


def cid_url(cid: str, name: str = "") -> str:
    """Content by its own CID; `name` tells the gateway its type."""
    query = f"?{urlencode({'filename': name})}" if name else ""
    return f"/ipfs/{quote(cid, safe='')}{query}"


def list_url(**state: object) -> str:
    """The list of records in a state; empty parts are left out."""
    kept = {key: str(value) for key, value in state.items() if value}
    return f"/records?{urlencode(kept)}" if kept else "/records"


def key_image(record: Record, size: str) -> str:
    """The address of a key image (large, medium, small), or ""."""
    names = record.get("key_image") or {}
    name, root = names.get(size), record.get("cid")
    if not name or not root or not text.is_plain_name(str(name)):
        return ""
    return file_url(str(root), str(name))


def recipes(record: Record, site_url: str) -> tuple[Recipe, ...]:
    """How to get a dataset without this page, each way ready to copy."""
    page = site_url.rstrip("/") + record_url(record)
    return (
        Recipe(
            "etdb",
            "etdb get",
            "Every chunk is checked against its address; stopped at any moment, "
            "the same command goes on where it was.",
            f"etdb get {shlex.quote(page)}",
        ),
        Recipe(
            "browser",
            "Browser",
            "Use the download links below. A browser checks no hashes; etdb get does.",
            "",
        ),
        Recipe(
            "curl",
            "curl",
            "Continues where it was and fails on errors; for a file that is whole "
            "it reports 416 and changes nothing. curl checks no hashes; etdb get does.",
            _curl(record, site_url),
        ),
        Recipe(
            "python",
            "Python",
            "The same as etdb get, from a program; every byte is checked.",
            _python(record, site_url),
        ),
    )


def _curl(record: Record, site_url: str) -> str:
    root, lines = record.get("cid"), []
    for file in record["files"]:
        name = str(file["name"] or "")
        if not root or not text.is_plain_name(name):
            continue
        address = site_url.rstrip("/") + file_url(str(root), name)
        target = shlex.quote(f"./{name}" if name.startswith("-") else name)
        folders = "--create-dirs " if "/" in name else ""
        lines.append(f"curl -fL -C - {folders}-o {target} {shlex.quote(address)}")
    return "\n".join(lines)


def _python(record: Record, site_url: str) -> str:
    record_id = str(record["id"])
    return f"""\
import etdb

with etdb.Client({site_url.rstrip("/")!r}) as client:
    record = client.get_record({record_id!r})
    for result in record.download({record_id[:12]!r}):
        print(result.state, result.name)
"""
