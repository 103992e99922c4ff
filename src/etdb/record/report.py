"""What a verbatim text proves, check by check, for people to read.

Unlike `etdb.record.verdict` it does not stop at the first thing that fails,
and decides nothing: pages, `etdb show` and `etdb verify` print it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from etdb.errors import InvalidDataError
from etdb.record.canonical import (
    canonical_bytes,
    digest_of,
    has_content_signature,
    parse_message_text,
    refuse,
    signature_holder,
)
from etdb.record.edits import replacement_of
from etdb.record.oip042 import Envelope, read_envelope
from etdb.record.signing import (
    old_preimage,
    signer_of,
    verify_content_signature,
    verify_old_signature,
)


@dataclass(frozen=True)
class Check:
    """One thing that was checked, whether it holds, and what that says."""

    name: str
    holds: bool
    says: str


def check_body(body: Mapping[str, Any], text: str) -> tuple[Check, ...]:
    """What holds of a record that somebody shows as `body`, signed as `text`.

    Checks: `text` (B1, B2), `fields` (the body is the text's), `content
    signature` (B4, B5), `OIP 0.42 signature` (B6). Never raises on any text.
    """
    try:
        said = _read(text)
    except InvalidDataError as exc:
        return (Check("text", False, exc.message),)
    return (
        Check("text", True, f"one {said.action}, readable in one way only"),
        run_check("fields", lambda: _compare(body, said)),
        run_check("content signature", lambda: _content(said)),
        run_check("OIP 0.42 signature", lambda: _old(said)),
    )


def _read(text: str) -> Envelope:
    envelope = read_envelope(parse_message_text(text))
    new = replacement_of(envelope.body) if envelope.action == "edit" else None
    if new is None:
        return envelope
    return Envelope("edit", "artifact", new, None)


def run_check(name: str, verify: Callable[[], str]) -> Check:
    """A check and what it says; it holds unless it raises InvalidDataError."""
    try:
        return Check(name, True, verify())
    except InvalidDataError as exc:
        return Check(name, False, exc.message)


def _compare(body: Mapping[str, Any], said: Envelope) -> str:
    if canonical_bytes(dict(body)) != canonical_bytes(said.body):
        refuse("B2", "what is shown is not what the text says")
    return "what is shown is what the text says"


def _content(said: Envelope) -> str:
    if not has_content_signature(said.action, said.body):
        refuse("B4", "there is none: the signature below does not cover the metadata")
    signature = signature_holder(said.action, said.body)["contentSignature"]
    address, digest = signer_of(said.body), digest_of(said.action, said.body)
    verify_content_signature(address, signature, said.action, digest)
    return f"{address} signed all of it: {said.action} {digest}"


def _old(said: Envelope) -> str:
    address = signer_of(said.body)
    signature = said.body.get("signature", said.signature_beside)
    preimage = old_preimage(said.action, said.body)
    verify_old_signature(address, signature, preimage)
    return f"{address} signed {preimage}"
