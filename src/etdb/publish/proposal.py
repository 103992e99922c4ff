"""An edit, a withdrawal or a name, shown before it is signed.

What the rules would refuse, or what would change nothing, is refused here:
nobody should pay for it, and it would stand on the ledger for ever.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from etdb.address import may_be_public
from etdb.errors import ConflictError, InvalidDataError, NotAllowedError
from etdb.identity import Address
from etdb.index import queries
from etdb.index.db import Index
from etdb.index.register import find_signed_body
from etdb.index.statement import get_root
from etdb.publish.artifact import Artifact, list_changes
from etdb.publish.compose import Cost
from etdb.publish.draft import Draft
from etdb.publish.revision import Changes, change_fields, next_version, read_changes
from etdb.record.oip042 import arrange
from etdb.record.rules import signers_of
from etdb.record.signing import EARLIEST_TIMESTAMP, verify_alias

MAX_ALIAS_CHARACTERS = 100
MAX_GATEWAYS = 10
MAX_URL_CHARACTERS = 200


@dataclass(frozen=True, kw_only=True)
class Proposed:
    """One statement about a record or about oneself; nothing is signed."""

    draft: Draft
    changes: tuple[str, ...]
    """What it changes, a line each, for people."""
    title: str
    """Of the record; of a registration the name."""


@dataclass(frozen=True, kw_only=True)
class Proposal(Proposed):
    """What is proposed, and what it costs."""

    cost: Cost


def propose_edit(
    index: Index, address: Address, record_id: str, changes: Changes
) -> Proposed:
    """Some fields of a record said otherwise (R5).

    Raises ConflictError where nothing would change, and what
    `verify_editable` and `read_changes` raise.
    """
    record = queries.get_record(index, record_id)
    verify_editable(index, record, address)
    _verify_shape(record["artifact"])
    artifact = change_fields(record["artifact"], read_changes(changes))
    return propose_version(record, artifact, address)


def propose_version(
    record: Mapping[str, Any], artifact: Artifact, address: Address
) -> Proposed:
    """A record said anew, whole. Raises ConflictError where nothing changes."""
    after = arrange(next_version(artifact, record, address))
    differences = tuple(list_changes(record["artifact"], after))
    if not differences:
        msg = f"record {record['id'][:12]} says so already: nothing would change"
        raise ConflictError(msg)
    draft = Draft(
        action="edit",
        body=after,
        record_id=record["id"],
        first_txid=record["txid"],
        previous=record["versions"][-1]["id"],
        after_timestamp=record["timestamp"],
        sid=_sid(record),
        cid=str(after["storage"].get("location", "")),
        file_count=len(after["storage"].get("files", [])),
    )
    return Proposed(draft=draft, changes=differences, title=str(record["title"] or ""))


def propose_withdrawal(
    index: Index, address: Address, record_id: str, why: str
) -> Proposed:
    """A record taken back for good (B8, R6).

    Raises ConflictError where it is withdrawn already, NotAllowedError where it
    is not ours to withdraw, InvalidDataError without a reason.
    """
    record = queries.get_record(index, record_id)
    verify_signer(index, record, address)
    _verify_standing(record)
    reason = why.strip()
    if not reason:
        msg = "a withdrawal without a reason"
        raise InvalidDataError(msg, hint='say it: --why "…"')
    body = {
        "artifactID": record["txid"],
        "floAddress": address,
        "digest": record["id"],
        "timestamp": 0,
        "reason": reason,
    }
    draft = Draft(
        action="deactivate",
        body=body,
        record_id=record["id"],
        first_txid=record["txid"],
        sid=_sid(record),
        cid=record["cid"] or "",
        file_count=record["file_count"],
        after_timestamp=EARLIEST_TIMESTAMP,
    )
    return Proposed(
        draft=draft,
        changes=(f"withdrawn for good: {reason}",),
        title=str(record["title"] or ""),
    )


def propose_registration(
    index: Index,
    address: Address,
    alias: str,
    url: str | None = None,
    gateways: Sequence[str] | None = None,
) -> Proposed:
    """What an address says of itself: its name, its site, who has its files (R6).

    None leaves URL or gateways as they are; empty takes them away. Raises
    InvalidRecordError for an alias that could pass as something else (R4),
    InvalidDataError for one that is too long and for what is no https URL,
    ConflictError where nothing would change.
    """
    verify_alias(alias)
    is_short = len(alias) <= MAX_ALIAS_CHARACTERS
    if not is_short or alias != alias.strip() or not alias.isprintable():
        msg = (
            f"a name is one line of at most {MAX_ALIAS_CHARACTERS} characters, "
            "no space around"
        )
        raise InvalidDataError(msg)
    old = find_signed_body(index, address) or {}
    info = dict(_mapping(old.get("info")))
    if url is not None:
        info["url"] = _https(url) if url else None
    if gateways is not None:
        info["gateways"] = _gateways(gateways)
    info = {name: said for name, said in info.items() if said}
    body = {"alias": alias, "floAddress": address, "timestamp": 0}
    body |= {"info": info} if info else {}
    changes = _registered_changes(old, body)
    if not changes:
        msg = f"{address} is registered so already: nothing would change"
        raise ConflictError(msg)
    after = old.get("timestamp", EARLIEST_TIMESTAMP)
    draft = Draft(action="register", body=body, after_timestamp=after)
    return Proposed(draft=draft, changes=changes, title=alias)


def verify_editable(index: Index, record: Mapping[str, Any], address: Address) -> None:
    """Whether this address can edit a record at all.

    Raises NotAllowedError where it is not ours to edit, ConflictError where it
    is withdrawn, InvalidDataError where nobody can edit it.
    """
    if record["class"] not in ("A", "B"):
        msg = f"record {record['id'][:12]} is of class {record['class']}"
        raise InvalidDataError(
            msg, hint="only records whose signatures cover what they say are edited"
        )
    verify_signer(index, record, address)
    _verify_standing(record)


def verify_signer(index: Index, record: Mapping[str, Any], address: Address) -> None:
    """Whether R5 lets this address speak about a record. Raises NotAllowedError."""
    with index.read() as connection:
        root, _ = get_root(connection, record["id"])
    if address in signers_of(root):
        return
    owner = record["publisher"]["address"]
    msg = f"record {record['id'][:12]} was published by {owner}, not by {address}"
    raise NotAllowedError(
        msg, hint="only its publisher, and heirs that its first version names, may"
    )


def _verify_standing(record: Mapping[str, Any]) -> None:
    if record["withdrawn"] is not None:
        msg = f"record {record['id'][:12]} is withdrawn, which is for good"
        raise ConflictError(msg, hint="publish the dataset anew")


def _verify_shape(artifact: Mapping[str, Any]) -> None:
    """Raises InvalidDataError for a record that is not built like ours."""
    storage = artifact.get("storage")
    is_good = isinstance(storage, Mapping) and all(
        isinstance(artifact.get(name, {}), Mapping) for name in ("info", "details")
    )
    files = _mapping(storage).get("files", [])
    is_good = is_good and isinstance(files, list)
    if not is_good or not all(isinstance(row, Mapping) for row in files):
        msg = "the record is not built as ours are: it cannot be edited by fields"
        raise InvalidDataError(msg)


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _sid(record: Mapping[str, Any]) -> str:
    return str(record["details"].get("sid") or "")


def _https(url: str) -> str:
    try:
        parts = urlsplit(url)
        is_elsewhere = may_be_public(parts.hostname or "")
        is_good = parts.scheme == "https" and is_elsewhere and parts.port != 0
    except ValueError:
        is_good = False
    is_plain = url.isprintable() and " " not in url
    if not is_good or not is_plain or len(url) > MAX_URL_CHARACTERS:
        msg = f"not an https URL that others could open: {url[:80]!r}"
        raise InvalidDataError(msg)
    return url


def _gateways(urls: Sequence[str]) -> list[str]:
    listed = [_https(url) for url in dict.fromkeys(urls) if url]
    if len(listed) > MAX_GATEWAYS:
        msg = f"{len(listed)} gateways; at most {MAX_GATEWAYS} can be named"
        raise InvalidDataError(msg)
    return listed


def _registered_changes(
    old: Mapping[str, Any], new: Mapping[str, Any]
) -> tuple[str, ...]:
    before, after = _registered_facts(old), _registered_facts(new)
    return tuple(
        f"{label}: {before[label]} → {after[label]}"
        for label in after
        if before[label] != after[label]
    )


def _registered_facts(body: Mapping[str, Any]) -> dict[str, str]:
    said = _mapping(body.get("info"))
    gateways = said.get("gateways")
    listed = gateways if isinstance(gateways, list) else []
    return {
        "name": str(body.get("alias") or "none"),
        "url": str(said.get("url") or "none"),
        "gateways": ", ".join(map(str, listed)) or "none",
    }
