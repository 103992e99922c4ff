"""What one message proves, judged by itself (PROTOCOL R1).

`judge` never raises on any text: the answer is a Statement, a Rejection that
names the clause that was broken, or nothing for foreign texts. It remembers
nothing and knows no other message; what a set of them says is decided in
`etdb.record.standing`. Here is the order in which the clauses are asked; each
is a function of `etdb.record.clause`.

    >>> from etdb.identity import Txid
    >>> place = Place("flo", 1, 0, Txid("00" * 32), 0)
    >>> judge("json:{", place=place, ledger_kind=LedgerKind.FLO_MAIN).code
    'B1'
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from etdb.errors import InvalidDataError, InvalidMessageError
from etdb.identity import Address, Digest
from etdb.record.canonical import (
    digest_of,
    has_content_signature,
    parse_message_text,
)
from etdb.record.clause import (
    details_of,
    is_inside_fence,
    is_signed_by_parts,
    names_a_directory,
    parse_old_timestamp,
    parse_revision,
    parse_target,
    verify_content,
    verify_nothing_beside,
    verify_old,
    verify_old_too,
    verify_root,
    verify_signer_and_time,
)
from etdb.record.edits import replacement_of
from etdb.record.message import Kind, LedgerKind, Place, kind_of
from etdb.record.oip042 import Envelope, is_oip042, read_envelope
from etdb.record.parts import Part
from etdb.record.signing import signer_of, verify_alias
from etdb.record.statement import RecordClass, Rejection, Statement


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
    verify_root(body)
    if has_content_signature("publish", body):
        return _content_signed(envelope, heard)
    record_class = _old_class(verify_old(envelope), body, heard)
    return _statement(envelope, heard, record_class, digest_of("publish", body))


def _edit(envelope: Envelope, heard: _Heard) -> Statement:
    body = replacement_of(envelope.body)
    if body is None or not has_content_signature("edit", body):
        return _shown(envelope, heard)
    # The signature beside an edit serves old readers; ours do not look at it.
    ours = replace(envelope, body=body, signature_beside=None)
    statement = _content_signed(ours, heard)
    return replace(statement, revision=parse_revision(body))


def _register(envelope: Envelope, heard: _Heard) -> Statement:
    body = envelope.body
    if has_content_signature("register", body):
        return _content_signed(envelope, heard)
    verify_alias(body.get("alias"))
    record_class = _fenced_class(verify_old(envelope), heard)
    return _statement(envelope, heard, record_class, digest_of("register", body))


def _deactivate(envelope: Envelope, heard: _Heard) -> Statement:
    if not has_content_signature("deactivate", envelope.body):
        return _shown(envelope, heard)
    statement = _content_signed(envelope, heard)
    return replace(statement, target=parse_target(envelope.body))


def _shown(envelope: Envelope, heard: _Heard) -> Statement:
    """What has no effect (R4); nothing of it is verified."""
    body = envelope.body
    named = body.get("floAddress", body.get("fromFloAddress", body.get("address")))
    try:
        timestamp = parse_old_timestamp(body)
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
    action, body = envelope.action, envelope.body
    verify_nothing_beside(envelope)
    verify_signer_and_time(body)
    digest = verify_content(action, body)
    verify_old_too(action, body)
    return _statement(envelope, heard, RecordClass.A, digest)


def _old_class(
    address: Address, body: Mapping[str, object], heard: _Heard
) -> RecordClass:
    if is_signed_by_parts(address, heard.text, heard.parts):
        return RecordClass.B
    if not names_a_directory(body):
        return RecordClass.UNATTESTED
    return _fenced_class(address, heard)


def _fenced_class(address: Address, heard: _Heard) -> RecordClass:
    if is_inside_fence(address, heard.place.height, heard.ledger_kind):
        return RecordClass.C
    return RecordClass.UNATTESTED


def _statement(
    envelope: Envelope, heard: _Heard, record_class: RecordClass, digest: Digest
) -> Statement:
    body = envelope.body
    storage = body.get("storage")
    location = storage.get("location") if isinstance(storage, Mapping) else None
    sid = details_of(body).get("sid")
    return Statement(
        action=envelope.action,
        digest=digest,
        record_class=record_class,
        address=signer_of(body),
        timestamp=parse_old_timestamp(body),
        body=body,
        sid=sid if isinstance(sid, str) else None,
        location=location if isinstance(location, str) else None,
        text=heard.text,
    )
