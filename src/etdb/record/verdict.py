"""What one message proves, judged by itself (PROTOCOL B2-B8, R1, R3, R4).

`judge` never raises on any text: the answer is a Statement, a Rejection that
names the clause that was broken, or nothing for foreign texts. It remembers
nothing and knows no other message; what a set of them says is decided in
`etdb.record.standing`.

    >>> from etdb.identity import Txid
    >>> place = Place("flo", 1, 0, Txid("00" * 32), 0)
    >>> judge("json:{", place=place, ledger_kind=LedgerKind.FLO_MAIN).code
    'B1'
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from etdb.errors import InvalidDataError, InvalidMessageError
from etdb.identity import Address, Digest, parse_address, parse_digest
from etdb.record.canonical import (
    digest_of,
    has_content_signature,
    parse_message_text,
    refuse,
    signature_holder,
)
from etdb.record.edits import replacement_of
from etdb.record.message import Kind, LedgerKind, Place, kind_of
from etdb.record.oip042 import Envelope, is_oip042, read_envelope
from etdb.record.parts import Part, join, verify_part
from etdb.record.signing import (
    LATEST_TIMESTAMP,
    TEST_VERSIONS,
    old_preimage,
    signer_of,
    timestamp_of,
    verify_alias,
    verify_content_signature,
    verify_old_signature,
)
from etdb.record.statement import RecordClass, Rejection, Revision, Statement

LAST_OLD_HEIGHT = 6_000_000
"""The fence of R3-C: old records count on FLO main up to here."""

_FIRST_MILLISECONDS = 10**11
"""Old timestamps from here on are milliseconds: as seconds, the year 5138."""


@dataclass(frozen=True)
class _Heard:
    text: str
    place: Place
    ledger_kind: LedgerKind
    parts: Sequence[Part]


def judge(
    text: str, *, place: Place, ledger_kind: LedgerKind, parts: Sequence[Part] = ()
) -> Statement | Rejection | None:
    """What a message says, by itself (R1); None for what is not addressed to us.

    `parts` are those that carried the text, if it came in parts; a text that is
    itself a part is not a message. Bytes that are not UTF-8 are to be decoded
    with `surrogateescape`. Never raises on any text.
    """
    if kind_of(text) is not Kind.JSON:
        return None
    heard = _Heard(text, place, ledger_kind, parts)
    try:
        value = parse_message_text(text)
        if not is_oip042(value):
            return None
        envelope = read_envelope(value)
        return _ACTIONS[envelope.action](envelope, heard)
    except InvalidDataError as exc:
        return Rejection(str(exc.facts.get("rule", "R1")), exc.message)


def _publish(envelope: Envelope, heard: _Heard) -> Statement:
    body = envelope.body
    if "revision" in _details(body):
        refuse("R5", "a publish with details.revision: only an edit has one")
    if has_content_signature("publish", body):
        return _content_signed(envelope, heard)
    address = _verify_old(envelope)
    digest = digest_of(envelope.action, envelope.body)
    return _statement(envelope, heard, _old_class(address, heard), digest)


def _edit(envelope: Envelope, heard: _Heard) -> Statement:
    body = replacement_of(envelope.body)
    if body is None or not has_content_signature("edit", body):
        return _shown(envelope, heard)
    # The signature beside an edit serves old readers; ours do not look at it.
    ours = replace(envelope, body=body, signature_beside=None)
    statement = _content_signed(ours, heard)
    return replace(statement, revision=_revision(body))


def _register(envelope: Envelope, heard: _Heard) -> Statement:
    body = envelope.body
    if has_content_signature("register", body):
        return _content_signed(envelope, heard)
    verify_alias(body.get("alias"))
    fenced = _inside_fence(_verify_old(envelope), heard)
    record_class = RecordClass.C if fenced else RecordClass.UNATTESTED
    digest = digest_of("register", body)
    return _statement(envelope, heard, record_class, digest)


def _deactivate(envelope: Envelope, heard: _Heard) -> Statement:
    if not has_content_signature("deactivate", envelope.body):
        return _shown(envelope, heard)
    statement = _content_signed(envelope, heard)
    with _clause("B8"):
        target = parse_digest(str(envelope.body.get("digest")))
    return replace(statement, target=target)


def _shown(envelope: Envelope, heard: _Heard) -> Statement:
    body = envelope.body
    named = body.get("floAddress", body.get("fromFloAddress", body.get("address")))
    try:
        timestamp = _old_timestamp(body)
    except InvalidMessageError:
        timestamp = heard.place.time
    return Statement(
        action=envelope.action,
        digest=digest_of(envelope.action, body),
        record_class=RecordClass.SHOWN,
        address=Address(named) if isinstance(named, str) else None,
        timestamp=timestamp,
        body=body,
        text=heard.text,
    )


_ACTIONS: Mapping[str, Callable[[Envelope, _Heard], Statement]] = {
    "publish": _publish,
    "edit": _edit,
    "register": _register,
    "deactivate": _deactivate,
    "transfer": _shown,
}


def _content_signed(envelope: Envelope, heard: _Heard) -> Statement:
    if envelope.signature_beside is not None:
        refuse("B2", "a signature beside a content-signed body")
    digest = digest_of(envelope.action, envelope.body)
    _verify_signatures(envelope.action, envelope.body, digest)
    return _statement(envelope, heard, RecordClass.A, digest)


def _verify_signatures(action: str, body: Mapping[str, Any], digest: Digest) -> None:
    """Both signatures of a content-signed body (B3-B6), and the time it claims."""
    address = signer_of(body)
    timestamp_of(body)
    signature = signature_holder(action, body).get("contentSignature")
    verify_content_signature(address, signature, action, digest)
    if action != "deactivate":
        preimage = old_preimage(action, body)
        with _clause("B6"):
            verify_old_signature(address, body.get("signature"), preimage)


def _verify_old(envelope: Envelope) -> Address:
    body = envelope.body
    signature = body.get("signature", envelope.signature_beside)
    with _clause("R3"):
        address = signer_of(body)
        preimage = old_preimage(envelope.action, body)
        verify_old_signature(address, signature, preimage)
        _old_timestamp(body)
    return address


def _statement(
    envelope: Envelope, heard: _Heard, record_class: RecordClass, digest: Digest
) -> Statement:
    body = envelope.body
    storage = body.get("storage")
    location = storage.get("location") if isinstance(storage, Mapping) else None
    sid = _details(body).get("sid")
    return Statement(
        action=envelope.action,
        digest=digest,
        record_class=record_class,
        address=signer_of(body),
        timestamp=_old_timestamp(body),
        body=body,
        sid=sid if isinstance(sid, str) else None,
        location=location if isinstance(location, str) else None,
        text=heard.text,
    )


def _old_class(address: Address, heard: _Heard) -> RecordClass:
    if _is_signed_by_parts(address, heard):
        return RecordClass.B
    return RecordClass.C if _inside_fence(address, heard) else RecordClass.UNATTESTED


def _is_signed_by_parts(address: Address, heard: _Heard) -> bool:
    for part in heard.parts:
        whole_reference = part.index == 0 or len(part.reference) == 64
        if part.address != address or not whole_reference:
            return False
    try:
        for part in heard.parts:
            verify_part(part)
        return join(heard.parts) == heard.text
    except InvalidDataError:
        return False


def _inside_fence(address: Address, heard: _Heard) -> bool:
    if heard.ledger_kind is LedgerKind.FLO_MAIN:
        return heard.place.height <= LAST_OLD_HEIGHT
    if heard.ledger_kind is LedgerKind.EMBEDDED:
        return False
    return parse_address(address).version in TEST_VERSIONS


def _details(body: Mapping[str, Any]) -> Mapping[str, Any]:
    details = body.get("details")
    return details if isinstance(details, Mapping) else {}


def _old_timestamp(body: Mapping[str, Any]) -> int:
    timestamp = body.get("timestamp")
    if type(timestamp) is not int:
        refuse("R3", "the timestamp is not an integer")
    if timestamp >= _FIRST_MILLISECONDS:
        timestamp //= 1000
    if not 0 < timestamp <= LATEST_TIMESTAMP:
        refuse("R3", "the timestamp is out of range")
    return timestamp


def _revision(body: Mapping[str, Any]) -> Revision:
    given = _details(body).get("revision")
    if not isinstance(given, Mapping):
        refuse("R5", "an edit without details.revision")
    number: Any = given.get("number")
    if type(number) not in {int, float} or number < 2 or number % 1:
        refuse("R5", "revision.number is not a whole number from 2 on")
    with _clause("R5"):
        return Revision(
            of=parse_digest(str(given.get("of"))),
            number=int(number),
            previous=parse_digest(str(given.get("previous"))),
        )


@contextmanager
def _clause(rule: str) -> Iterator[None]:
    try:
        yield
    except InvalidDataError as exc:
        raise InvalidMessageError(exc.message, rule=rule) from exc
