"""The clauses of PROTOCOL that judge one message, a clause a function.

Each takes what one message says and where it stands, and remembers nothing.
Those that `verify_` return if their clause holds and raise InvalidDataError
with its number as `facts["rule"]` if not. In which order they are asked is in
`etdb.record.verdict`; those about a set of messages are in
`etdb.record.standing`. What is signed (B1 to B5) is next to the bytes it is
about: `canonical`, `oip042`, `signing`, `edits`, and R7 in `parts`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from etdb.errors import InvalidDataError, InvalidMessageError
from etdb.identity import CID, Address, Digest, parse_address, parse_digest
from etdb.record.canonical import digest_of, refuse, signature_holder
from etdb.record.message import LedgerKind
from etdb.record.oip042 import Envelope
from etdb.record.parts import Part, join, verify_part
from etdb.record.signing import (
    LATEST_TIMESTAMP,
    TEST_VERSIONS,
    old_preimage,
    signer_of,
    timestamp_of,
    verify_content_signature,
    verify_old_signature,
)
from etdb.record.statement import Revision

LAST_OLD_HEIGHT = 6_000_000
"""The fence of R3-C: old records count on FLO main up to here."""

_FIRST_MILLISECONDS = 10**11
"""Old timestamps from here on are milliseconds: as seconds, the year 5138."""


def verify_nothing_beside(envelope: Envelope) -> None:
    """A content-signed body has its signatures inside (B2)."""
    if envelope.signature_beside is not None:
        refuse("B2", "a signature beside a content-signed body")


def verify_signer_and_time(body: Mapping[str, Any]) -> Address:
    """Whose a content-signed body is, and that its time is one (B5)."""
    address = signer_of(body)
    timestamp_of(body)
    return address


def verify_content(action: str, body: Mapping[str, Any]) -> Digest:
    """The signer signed this action with this digest (B4, in the form of B5)."""
    digest = digest_of(action, body)
    signature = signature_holder(action, body).get("contentSignature")
    verify_content_signature(signer_of(body), signature, action, digest)
    return digest


def verify_old_too(action: str, body: Mapping[str, Any]) -> None:
    """A content-signed body carries the signature of OIP 0.42 as well (B6).

    But for a deactivate, which no old reader ever applied.
    """
    if action == "deactivate":
        return
    preimage = old_preimage(action, body)
    with clause("B6"):
        verify_old_signature(signer_of(body), body.get("signature"), preimage)


def parse_target(body: Mapping[str, Any]) -> Digest:
    """The record that a deactivate withdraws (B8)."""
    with clause("B8"):
        return parse_digest(str(body.get("digest")))


def verify_old(envelope: Envelope) -> Address:
    """Whose an old publish or register is: the one signature it has (R3)."""
    body = envelope.body
    signature = body.get("signature", envelope.signature_beside)
    with clause("R3"):
        address = signer_of(body)
        preimage = old_preimage(envelope.action, body)
        verify_old_signature(address, signature, preimage)
        parse_old_timestamp(body)
    return address


def parse_old_timestamp(body: Mapping[str, Any]) -> int:
    """The time of an old body in Unix seconds, where it was one (R3)."""
    timestamp = body.get("timestamp")
    if type(timestamp) is not int:
        refuse("R3", "the timestamp is not an integer")
    if timestamp >= _FIRST_MILLISECONDS:
        timestamp //= 1000
    if not 0 < timestamp <= LATEST_TIMESTAMP:
        refuse("R3", "the timestamp is out of range")
    return timestamp


def is_signed_by_parts(address: Address, text: str, parts: Sequence[Part]) -> bool:
    """Whether these parts carry the text and its publisher signed each (R3-B)."""
    if not has_whole_references(parts) or {part.address for part in parts} != {address}:
        return False
    try:
        for part in parts:
            verify_part(part)
        return join(parts) == text
    except InvalidDataError:
        return False


def has_whole_references(parts: Sequence[Part]) -> bool:
    """Whether every later part names its part 0 with all 64 digits (R3-B).

    With fewer, parts of two messages of one publisher can be made to join.
    """
    return all(part.index == 0 or len(part.reference) == 64 for part in parts)


def is_inside_fence(address: Address, height: int, kind: LedgerKind) -> bool:
    """Whether a bare old signature counts on this ledger at all (R3-C)."""
    if kind is LedgerKind.FLO_MAIN:
        return height <= LAST_OLD_HEIGHT
    if kind is LedgerKind.EMBEDDED:
        return False
    return parse_address(address).version in TEST_VERSIONS


def names_a_directory(body: Mapping[str, Any]) -> bool:
    """Whether an old publish signs a location, not the subject of another (R3-C).

    An alias of a register, a txid of a deactivate or edit, and `deactivate` are
    signed in the same form; a location is a CID, and none of those may be (R4).
    """
    storage = body.get("storage")
    location = storage.get("location") if isinstance(storage, Mapping) else None
    return isinstance(location, str) and CID.find(location) is not None


def verify_root(body: Mapping[str, Any]) -> None:
    """A publish has no `details.revision`, whatever its value (R5)."""
    if "revision" in details_of(body):
        refuse("R5", "a publish with details.revision: only an edit has one")


def parse_revision(body: Mapping[str, Any]) -> Revision:
    """Which version of which record an edit is (R5)."""
    given = details_of(body).get("revision")
    if not isinstance(given, Mapping):
        refuse("R5", "an edit without details.revision")
    number: Any = given.get("number")
    if type(number) not in {int, float} or number < 2 or number % 1:
        refuse("R5", "revision.number is not a whole number from 2 on")
    with clause("R5"):
        return Revision(
            of=parse_digest(str(given.get("of"))),
            number=int(number),
            previous=parse_digest(str(given.get("previous"))),
        )


def details_of(body: Mapping[str, Any]) -> Mapping[str, Any]:
    """`details` of an artifact, empty where there are none."""
    details = body.get("details")
    return details if isinstance(details, Mapping) else {}


@contextmanager
def clause(rule: str) -> Iterator[None]:
    """Name the clause that what fails inside breaks."""
    try:
        yield
    except InvalidDataError as exc:
        raise InvalidMessageError(exc.message, rule=rule) from exc
