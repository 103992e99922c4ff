"""Edits: ours, which carry the whole new record, and the historical forms.

PROTOCOL B7, R4. An edit of ours is a 2019-style edit whose one operation
replaces the whole record, so old readers can apply it. The historical forms
are decoded to be shown and have no effect.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from etdb.identity import Address, Txid
from etdb.record.canonical import parse_json, refuse
from etdb.record.oip042 import Envelope, wrap_value
from etdb.record.signing import PrivateKey, timestamp_of

_TXID = re.compile(r"[0-9a-f]{64}\Z")
_ORDER_2018 = ("remove", "add", "replace", "move", "copy", "test")


@dataclass(frozen=True)
class OldEdit:
    """A historical edit, decoded: RFC 6902 operations on an old record."""

    txid: str
    """The transaction of the record it names."""
    operations: tuple[Mapping[str, Any], ...]


def replacement_of(edit: Mapping[str, Any]) -> dict[str, Any] | None:
    """The new artifact, if the body of an edit has the form of B7."""
    match edit.get("patch"):
        case [{"op": "replace", "path": "", "value": dict(body), **rest}] if not rest:
            return body
    return None


def wrap_edit(body: Mapping[str, Any], txid: Txid, key: PrivateKey) -> str:
    """The text of an edit around its signed new artifact (B7).

    `txid` is the record's first anchor; it, the time and the outer signature
    serve old readers only.
    """
    timestamp = timestamp_of(body)
    patch = [{"op": "replace", "path": "", "value": body}]
    return wrap_value(
        {
            "edit": {
                "artifact": {"txid": txid, "timestamp": timestamp, "patch": patch},
                "signature": key.sign_message(f"{txid}-{timestamp}"),
            }
        }
    )


def named_txid(body: Mapping[str, Any]) -> Txid | None:
    """The transaction of the record that a historical message is about (R4).

    Of its edit, deactivate or transfer; None where none is named.
    """
    named = body.get("txid", body.get("artifactID"))
    if not isinstance(named, str) or _TXID.match(named.lower()) is None:
        return None
    return Txid(named.lower())


def decode_old_edit(edit: Mapping[str, Any]) -> OldEdit:
    """A historical edit (R4), of 2018 or of 2019. Raises InvalidMessageError."""
    txid = edit.get("txid", edit.get("artifactID"))
    patch = edit.get("patch")
    if isinstance(patch, str):
        patch = parse_json(patch)
    if isinstance(patch, Mapping):
        patch = _operations_2018(patch)
    if not isinstance(txid, str) or not isinstance(patch, list):
        refuse("R4", "an edit without a record or a patch")
    if not all(isinstance(operation, Mapping) for operation in patch):
        refuse("R4", "an operation of the patch is not an object")
    return OldEdit(txid, tuple(patch))


@dataclass(frozen=True)
class OldPreimage:
    """What a historical edit, deactivate or transfer signs, and whose key does."""

    signer: Address
    text: str


def find_old_preimage(
    envelope: Envelope, publisher: Address | None
) -> OldPreimage | None:
    """The signed text of an old form (R4), as old readers put it together.

    Most leave out whose key signed: they say the record, and that has the
    `publisher`. None where nobody is named.
    """
    body = envelope.body
    record, timestamp = body.get("artifactID"), body.get("timestamp")
    signer: object = publisher or body.get("floAddress")
    match envelope.action, envelope.subject:
        case "transfer", _:
            signer = body.get("fromFloAddress")
            text = f"{record}-{body.get('toFloAddress')}-{signer}-{timestamp}"
        case "deactivate", "pub":
            signer = body.get("address")
            text = f"deactivate-{signer}-{timestamp}"
        case "edit", _ if "txid" in body:
            text = f"{body['txid']}-{timestamp}"
        case _:
            text = f"{record}-{signer}-{timestamp}"
    return OldPreimage(Address(signer), text) if isinstance(signer, str) else None


def _operations_2018(patch: Mapping[str, Any]) -> list[Any]:
    operations: list[Any] = []
    for name in _ORDER_2018:
        listed = patch.get(name, [])
        for given in listed if isinstance(listed, list) else [listed]:
            members = {"path": given} if isinstance(given, str) else given
            known = isinstance(members, Mapping)
            operations.append({"op": name, **members} if known else given)
    return operations
