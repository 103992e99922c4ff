"""What any text on a ledger is, and what of it verifies, for people to read.

Nothing is decided here: `explain` asks the same functions as a node does and
says what came back, for every sort of ledger. It never raises on any text.

    >>> explain("p64:AA==").says
    'OIP 5 (protobuf): foreign, no rule reads it'
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from etdb.errors import InvalidDataError
from etdb.identity import Address, Txid
from etdb.record.canonical import (
    digest_of,
    has_content_signature,
    parse_message_text,
)
from etdb.record.clause import LAST_OLD_HEIGHT
from etdb.record.edits import decode_old_edit, find_old_preimage, replacement_of
from etdb.record.message import Kind, LedgerKind, Place, kind_of
from etdb.record.oip042 import Envelope, is_oip042, read_envelope
from etdb.record.parts import Part, join, joins, parse_part, verify_part
from etdb.record.report import Check, check_body, run_check
from etdb.record.signing import verify_old_signature
from etdb.record.statement import RecordClass, Rejection, Statement
from etdb.record.verdict import judge

_LEDGERS = (
    (f"flo-main up to height {LAST_OLD_HEIGHT:,}", LedgerKind.FLO_MAIN, 0),
    ("flo-main above it", LedgerKind.FLO_MAIN, LAST_OLD_HEIGHT + 1),
    ("flo-test", LedgerKind.FLO_TEST, 0),
    ("flo-regtest", LedgerKind.FLO_REGTEST, 0),
    ("embedded chain", LedgerKind.EMBEDDED, 0),
)
_FOREIGN = (
    (r"\Z", "no floData at all"),
    ("g?p64:", "OIP 5 (protobuf)"),
    (r"(text:)?\s*(alexandria|oip)-historian-", "a historian's data point"),
    ("text:", "a note"),
    (r'\s*\{\s*"oip-041"', "OIP 0.41"),
    (r'\s*\{\s*"alexandria-[a-z]+"', "Alexandria, the oldest OIP"),
    (r"[A-Za-z0-9+/]{87}=\Z", "a signature by itself, as a block's coinbase has (R8)"),
    ('json:{"oip-041"', "OIP 0.41"),
    ("json:", "JSON without the key oip042"),
)
_MEANS = {
    RecordClass.A: "class A: signed over all it says",
    RecordClass.B: "class B: signed over all it says, by its parts",
    RecordClass.C: "class C: signed over location, address and time only; counts where"
    " it is the earliest of these three and no class A or B says the same",
    RecordClass.UNATTESTED: "unattested: found by its id, never listed",
    RecordClass.SHOWN: "decoded, no effect (R4)",
}
_MAX_SHOWN_CHARACTERS = 200


@dataclass(frozen=True)
class Outcome:
    """What a node would make of a text on one sort of ledger."""

    ledger: str
    verdict: str
    """A class, `rejected` or `ignored`."""
    says: str


@dataclass(frozen=True)
class Explanation:
    """One text, explained."""

    kind: str
    """publish, edit, register, deactivate, transfer, part, chain, json, foreign."""
    says: str
    size_bytes: int
    facts: Mapping[str, Any] = field(default_factory=dict)
    """By label, in the order to show them; values that JSON holds."""
    checks: tuple[Check, ...] = ()
    outcomes: tuple[Outcome, ...] = ()


@dataclass(frozen=True)
class Joined:
    """Parts of one address and MAX, and what they carry."""

    indexes: tuple[int, ...]
    says: str
    message: Explanation | None
    """Of the joined text, where the parts join."""


def explain(
    text: str, *, parts: Sequence[Part] = (), publisher: Address | None = None
) -> Explanation:
    """What one text is. Bytes that are not UTF-8: see `judge`.

    `parts` are those that carried it; `publisher` is whom to check the old
    forms against that do not name who signed them.
    """
    match kind_of(text):
        case Kind.PART:
            return _explain_part(text)
        case Kind.CHAIN:
            return _explain_chain(text)
        case Kind.JSON:
            return _explain_json(text, parts, publisher)
        case _:
            return _explain_foreign(text)


def explain_parts(
    carried: Sequence[tuple[str, Txid | None]], *, publisher: Address | None = None
) -> list[Joined]:
    """What the parts among some texts say together.

    Each comes with the txid of its transaction, if that is known. Parts are
    put together by address and MAX, and by the txid of part 0 where known.
    """
    sets: dict[tuple[Address, int], list[tuple[Part, Txid | None]]] = {}
    for text, txid in carried:
        try:
            part = parse_part(text)
        except InvalidDataError:
            continue
        sets.setdefault((part.address, part.max), []).append((part, txid))
    return [_join(found, publisher) for found in sets.values()]


def _join(
    found: Sequence[tuple[Part, Txid | None]], publisher: Address | None
) -> Joined:
    parts = [part for part, _ in found]
    indexes = tuple(sorted(part.index for part in parts))
    try:
        for part in parts:
            verify_part(part)
        _verify_references(found)
        text = join(parts)
    except InvalidDataError as exc:
        missing = sorted(set(range(parts[0].max + 1)) - set(indexes))
        lacks = f"; missing: {', '.join(map(str, missing[:20]))}" if missing else ""
        return Joined(indexes, f"not joined: {exc.message}{lacks}", None)
    says = f"{len(parts)} parts of {parts[0].address} join to {_size(text)} bytes"
    return Joined(indexes, says, explain(text, parts=parts, publisher=publisher))


def _verify_references(found: Sequence[tuple[Part, Txid | None]]) -> None:
    first = next((txid for part, txid in found if part.index == 0), None)
    for part, _ in found:
        if first is not None and part.index and not joins(part, first):
            msg = f"part {part.index} refers to {part.reference}, not to {first}"
            raise InvalidDataError(msg)


def _explain_part(text: str) -> Explanation:
    size = _size(text)
    try:
        part = parse_part(text)
    except InvalidDataError as exc:
        refused = _everywhere("rejected", f"R7: {exc.message}")
        header = Check("header", False, exc.message)
        return Explanation(
            "part", "a part that breaks R7", size, {}, (header,), refused
        )
    check = run_check("part signature", lambda: _part_signature(part))
    facts = {
        "part": f"index {part.index}; the last is {part.max}",
        "address": part.address,
        "reference": part.reference,
        "data": f"{_size(part.data)} bytes: {_shorten(part.data)}",
    }
    says = f"part {part.index + 1} of {part.max + 1} of a message"
    if not check.holds:
        outcomes = _everywhere("rejected", f"R7: {check.says}")
    elif part.index == 0:
        outcomes = _everywhere("part", "begins the set that its own txid names")
    else:
        outcomes = _everywhere(
            "part",
            f"joins each set of {part.address} with MAX {part.max} whose part-0 txid"
            f" begins with {part.reference}, before it or after",
        )
    return Explanation("part", says, size, facts, (check,), outcomes)


def _part_signature(part: Part) -> str:
    verify_part(part)
    return f"{part.address} signed this part"


def _explain_chain(text: str) -> Explanation:
    names = ("mark", "version", "address", "random", "previous", "height", "hash")
    values = [_shorten(value) for value in text.split(":", 8)]
    facts = dict(zip(names[1:], values[1:], strict=False)) if len(values) > 4 else {}
    says = "the coinbase of block 1 of an embedded chain (R8): whose it is"
    if text.startswith("etdb:1:"):
        facts, says = {}, "the text of a block's signature (R8)"
    ignored = _everywhere("ignored", "checked with its block's header, never a message")
    return Explanation("chain", says, _size(text), facts, (), ignored)


def _explain_foreign(text: str) -> Explanation:
    named = next((what for mark, what in _FOREIGN if re.match(mark, text)), "")
    says = f"{named or 'nothing that is known here'}: foreign, no rule reads it"
    facts = {"text": _shorten(text)}
    ignored = _everywhere("ignored", "not addressed to us")
    return Explanation("foreign", says, _size(text), facts, (), ignored)


def _explain_json(
    text: str, parts: Sequence[Part], publisher: Address | None
) -> Explanation:
    outcomes = tuple(_outcome(text, parts, *ledger) for ledger in _LEDGERS)
    try:
        value = parse_message_text(text)
        if not is_oip042(value):
            return _explain_foreign(text)
        envelope = read_envelope(value)
    except InvalidDataError as exc:
        check = Check("text", False, exc.message)
        says = f"a message that breaks {exc.facts.get('rule', 'B1')}"
        return Explanation("json", says, _size(text), {}, (check,), outcomes)
    body = envelope.body
    if envelope.action == "edit":
        body = replacement_of(body) or body
    is_ours = envelope.action != "transfer" and has_content_signature(
        envelope.action, body
    )
    is_old_form = not is_ours and envelope.action not in {"publish", "register"}
    if is_old_form:
        facts, checks = _old_form(envelope, publisher)
    else:
        facts = _statement_facts(envelope.action, body)
        checks = tuple(c for c in check_body(body, text) if c.name != "fields")
        if envelope.action == "deactivate":
            checks = checks[:2]
    says = f"{'a historical' if not is_ours else 'a content-signed'} {envelope.action}"
    return Explanation(envelope.action, says, _size(text), facts, checks, outcomes)


def _outcome(
    text: str, parts: Sequence[Part], ledger: str, kind: LedgerKind, height: int
) -> Outcome:
    place = Place(ledger, height, 0, Txid("0" * 64), 0)
    match judge(text, place=place, ledger_kind=kind, parts=parts):
        case Rejection(code, reason):
            return Outcome(ledger, "rejected", f"{code}: {reason}")
        case Statement(record_class=record_class, action=action):
            says = _MEANS[record_class]
            if action == "edit" and record_class is RecordClass.A:
                says += "; pending until its record and all versions before are seen"
            return Outcome(ledger, record_class.value, says)
    return Outcome(ledger, "ignored", "not addressed to us")


def _statement_facts(action: str, body: Mapping[str, Any]) -> dict[str, Any]:
    details = body.get("details")
    storage = body.get("storage")
    inner = details if isinstance(details, Mapping) else {}
    facts: dict[str, Any] = {
        "digest": digest_of(action, body),
        "signer": body.get("floAddress"),
        "timestamp": body.get("timestamp"),
        "location": storage.get("location") if isinstance(storage, Mapping) else None,
        "sid": inner.get("sid"),
        "revision": inner.get("revision"),
        "heirs": inner.get("heirs"),
        "alias": body.get("alias"),
        "withdraws": body.get("digest") if action == "deactivate" else None,
        "reason": body.get("reason") if action == "deactivate" else None,
    }
    return {name: value for name, value in facts.items() if value is not None}


def _old_form(
    envelope: Envelope, publisher: Address | None
) -> tuple[dict[str, Any], tuple[Check, ...]]:
    """Facts and checks of what is decoded and has no effect (R4)."""
    body = envelope.body
    names = ("txid", "artifactID", "address", "fromFloAddress", "toFloAddress")
    facts = {name: body[name] for name in (*names, "timestamp") if name in body}
    checks: list[Check] = []
    if envelope.action == "edit":
        try:
            facts["operations"] = list(decode_old_edit(body).operations)
        except InvalidDataError as exc:
            checks.append(Check("patch", False, exc.message))
    preimage = find_old_preimage(envelope, publisher)
    if preimage is None:
        facts["signature"] = "not checked: the message does not name who signed it"
    else:
        signature = body.get("signature", envelope.signature_beside)
        checks.append(
            run_check(
                "historical signature",
                lambda: _old_signature(preimage.signer, signature, preimage.text),
            )
        )
    return facts, tuple(checks)


def _old_signature(signer: Address, signature: object, preimage: str) -> str:
    verify_old_signature(signer, signature, preimage)
    return f"{signer} signed {preimage}, which does not cover what it changes"


def _everywhere(verdict: str, says: str) -> tuple[Outcome, ...]:
    return tuple(Outcome(ledger, verdict, says) for ledger, _, _ in _LEDGERS)


def _shorten(text: str) -> str:
    shown = text[:_MAX_SHOWN_CHARACTERS].encode("utf-8", "backslashreplace").decode()
    return shown + ("…" if len(text) > _MAX_SHOWN_CHARACTERS else "")


def _size(text: str) -> int:
    try:
        return len(text.encode("utf-8", "surrogateescape"))
    except UnicodeEncodeError:
        return len(text.encode("utf-8", "surrogatepass"))
