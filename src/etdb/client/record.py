"""What the texts of a record prove by themselves; nobody is believed.

A record that was never edited is the text that published it. Of an edited one
the current text and the first are needed: the first gives the id, and says who
may edit (PROTOCOL R5). That there is no later version, and no withdrawal, no
text can prove.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from etdb.errors import (
    InvalidDataError,
    InvalidRecordError,
    InvalidSignatureError,
    NotAllowedError,
)
from etdb.identity import CID, Txid
from etdb.record.canonical import (
    digest_of,
    has_content_signature,
    parse_message_text,
)
from etdb.record.edits import replacement_of
from etdb.record.message import LedgerKind, Place
from etdb.record.oip042 import Envelope, read_envelope
from etdb.record.rules import (
    Check,
    Rejection,
    Statement,
    check_body,
    judge,
    signers_of,
)
from etdb.record.signing import LATEST_TIMESTAMP

RECORD_ID = "record id"
HISTORY = "history"
"""The check that an edit is one of this record, by somebody who may."""
CONTENT = "content signature"
"""The check that records of the original publisher cannot pass."""
NOT_KNOWN = "whether there is a later version or a withdrawal: no text can prove it"

_NOWHERE = Place("", 0, 0, Txid("00" * 32), 0)


def check_record(record: Mapping[str, Any]) -> tuple[Check, ...]:
    """What holds of a record by its texts alone: its id, and each signature.

    Never raises on what a record says.
    """
    try:
        said = _read_text(record)
    except InvalidDataError as exc:
        return (Check(RECORD_ID, holds=False, says=exc.message),)
    shown = record.get("artifact")
    body = shown if isinstance(shown, Mapping) else said.body
    first = (
        _check_edited(record)
        if said.action == "edit"
        else (_check_id(record, digest_of(said.action, said.body)),)
    )
    return (*first, *check_body(body, record["text"]))


def verify_standing(record: Mapping[str, Any]) -> None:
    """Raises NotAllowedError where a record, or its history, is withdrawn."""
    withdrawn = record.get("withdrawn")
    if withdrawn is None:
        return
    told = withdrawn if isinstance(withdrawn, Mapping) else {}
    seconds = told.get("timestamp", told.get("time"))
    msg = f"record {record.get('id')} was withdrawn by {told.get('by')}"
    if isinstance(seconds, int) and 0 <= seconds <= LATEST_TIMESTAMP:
        msg += f" on {datetime.fromtimestamp(seconds, UTC):%Y-%m-%d}"
    reason = told.get("reason")
    says = f"the reason given: {reason[:500]}" if isinstance(reason, str) else ""
    raise NotAllowedError(msg, hint=says or "no reason was given")


def find_failed(record: Mapping[str, Any], checks: Sequence[Check]) -> Check | None:
    """The first check because of which a record is not to be believed.

    A content signature that fails is one; that there is none, as in records of
    the original publisher, is not (PROTOCOL B6, R3).
    """
    for check in checks:
        if not check.holds and (check.name != CONTENT or _is_content_signed(record)):
            return check
    return None


def body_of(record: Mapping[str, Any]) -> Mapping[str, Any]:
    """What a record's text says, once that is verified.

    Raises NotAllowedError where it was withdrawn, InvalidSignatureError where a
    check fails.
    """
    verify_standing(record)
    failed = find_failed(record, check_record(record))
    if failed is not None:
        msg = f"record {record.get('id')} is not to be believed: {failed.name}: "
        raise InvalidSignatureError(msg + failed.says, check=failed.name)
    return _read_text(record).body


def dataset_of(record: Mapping[str, Any]) -> CID:
    """The CID of a record's files, from its text once that is verified.

    Raises as body_of, and InvalidRecordError where the text names no CID.
    """
    storage = body_of(record).get("storage")
    location = storage.get("location") if isinstance(storage, Mapping) else None
    if not isinstance(location, str):
        msg = f"record {record.get('id')} names no files"
        raise InvalidRecordError(msg)
    return CID.parse(location)


def version_of(record: Mapping[str, Any]) -> int:
    """Which version a record's text says it is; 1 for all but edits."""
    try:
        revision = _judge(record.get("text"), "edit").revision
    except InvalidRecordError:
        return 1
    return 1 if revision is None else revision.number


def _check_id(record: Mapping[str, Any], digest: str, whose: str = "") -> Check:
    says = f"the digest of the {whose}text is {digest}"
    if digest != record.get("id"):
        says += f", not {record.get('id')}"
    return Check(RECORD_ID, holds=digest == record.get("id"), says=says)


def _check_edited(record: Mapping[str, Any]) -> tuple[Check, ...]:
    """Whether the first version is the record's, and the edit one of it (R5)."""
    try:
        root = _judge(record.get("root_text"), "publish")
    except InvalidRecordError as exc:
        return (Check(RECORD_ID, holds=False, says=f"first version: {exc.message}"),)
    identity = _check_id(record, root.digest, "first version's ")
    try:
        says = _verify_edit(root, _judge(record["text"], "edit"))
    except InvalidRecordError as exc:
        return (identity, Check(HISTORY, holds=False, says=exc.message))
    return (identity, Check(HISTORY, holds=True, says=says))


def _verify_edit(root: Statement, edit: Statement) -> str:
    """Which version an edit is, and by whom. Raises InvalidRecordError."""
    revision = edit.revision
    if revision is None:
        raise InvalidRecordError("an edit without a content signature has no effect")
    if revision.of != root.digest:
        msg = f"it is an edit of record {revision.of}"
        raise InvalidRecordError(msg)
    if edit.address not in signers_of(root):
        msg = f"{edit.address} may not edit the record"
        raise InvalidRecordError(msg)
    if (revision.number == 2) != (revision.previous == root.digest):
        msg = f"number {revision.number} does not follow {revision.previous}"
        raise InvalidRecordError(msg)
    between = revision.number - 2
    says = f"version {revision.number}, by {edit.address}, who may edit the record"
    return f"{says}; {between} between it and the first not seen" if between else says


def _judge(text: object, action: str) -> Statement:
    """What a text says, wherever it stands. Raises InvalidRecordError."""
    if not isinstance(text, str):
        raise InvalidRecordError("its text is not given")
    judged = judge(text, place=_NOWHERE, ledger_kind=LedgerKind.EMBEDDED)
    if isinstance(judged, Statement) and judged.action == action:
        return judged
    reason = judged.reason if isinstance(judged, Rejection) else f"it is no {action}"
    raise InvalidRecordError(reason)


def _is_content_signed(record: Mapping[str, Any]) -> bool:
    said = _read_text(record)
    return has_content_signature(said.action, said.body)


def _read_text(record: Mapping[str, Any]) -> Envelope:
    """What the current text says: a publish, or the artifact of an edit (B7).

    Raises InvalidDataError.
    """
    text = record.get("text")
    if not isinstance(text, str):
        msg = f"record {record.get('id')}: it has no text"
        raise InvalidRecordError(msg)
    envelope = read_envelope(parse_message_text(text))
    new = replacement_of(envelope.body) if envelope.action == "edit" else None
    if new is not None:
        return Envelope("edit", envelope.subject, new, None)
    if envelope.action != "publish":
        msg = f"its text is a message to {envelope.action}, not to publish"
        raise InvalidRecordError(msg)
    return envelope
