"""A statement before it is signed, and the text that it becomes.

PROTOCOL B2-B8: whatever the action, the text carries both signatures and is
written here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from etdb.errors import InvalidRecordError, UnavailableError
from etdb.identity import Address, Digest, Txid
from etdb.publish.compose import PLACEHOLDER, Cost, cost_of
from etdb.record.edits import wrap_edit
from etdb.record.oip042 import arrange, wrap, wrap_publish, wrap_value
from etdb.record.signing import (
    EARLIEST_TIMESTAMP,
    LATEST_TIMESTAMP,
    PrivateKey,
    sign_with_digest,
)

_ARTIFACTS = frozenset({"publish", "edit"})
_SUBJECTS = {"deactivate": "artifact", "register": "pub"}


@dataclass(frozen=True, kw_only=True)
class Draft:
    """What is to be said, but for the time and the signatures."""

    action: str
    """publish, edit, deactivate or register."""
    body: Mapping[str, Any]
    """In the order of the wire, without what is unknown; `timestamp` is replaced."""
    record_id: str = ""
    """Of the record it is about; empty where it makes one, or is about none."""
    first_txid: str = ""
    """The record's first anchor: old readers name it so."""
    previous: str = ""
    """Of an edit, the version that it replaces."""
    after_timestamp: int = 0
    """Its own timestamp must be later."""
    sid: str = ""
    cid: str = ""
    file_count: int = 0

    @property
    def address(self) -> Address:
        """Who is to sign it."""
        return Address(self.body["floAddress"])

    def timestamp(self, now: float) -> int:
        """The time it is to be signed at: now, or just after what it follows."""
        return max(int(now), self.after_timestamp + 1)


def draft_artifact(artifact: Mapping[str, Any], address: Address) -> Draft:
    """What publishes an unsigned artifact with a `details.sid`.

    Raises InvalidRecordError for one that is not built like that.
    """
    details, storage = artifact.get("details"), artifact.get("storage")
    sid = details.get("sid") if isinstance(details, Mapping) else None
    if not isinstance(sid, str) or not sid or not isinstance(storage, Mapping):
        msg = "an artifact without details.sid or storage"
        raise InvalidRecordError(msg)
    return Draft(
        action="publish",
        body=arrange({"floAddress": address, "timestamp": 0, **artifact}),
        sid=sid,
        cid=str(storage.get("location", "")),
        file_count=len(storage.get("files", ())),
    )


@dataclass(frozen=True)
class Signed:
    """A statement as it is sent."""

    draft: Draft
    timestamp: int
    digest: Digest
    text: str


def sign(draft: Draft, now: float, key: PrivateKey) -> Signed:
    """The text of a draft, with both signatures.

    Raises NotAllowedError if floAddress is not the key's, InvalidRecordError and
    InvalidMessageError for what cannot be signed or read again, UnavailableError
    where the clock is too far off (B5).
    """
    timestamp = draft.timestamp(now)
    if not EARLIEST_TIMESTAMP <= timestamp <= LATEST_TIMESTAMP:
        msg = f"the time is {timestamp} s after 1970, at which nothing can be signed"
        raise UnavailableError(msg, hint="set this computer's clock, then repeat")
    body, digest = sign_with_digest(
        draft.action, {**draft.body, "timestamp": timestamp}, key
    )
    if draft.action == "publish":
        text = wrap_publish(body)
    elif draft.action == "edit":
        text = wrap_edit(body, Txid(draft.first_txid), key)
    else:
        text = wrap(draft.action, _SUBJECTS[draft.action], body)
    return Signed(draft, timestamp, digest, text)


def estimate_cost(draft: Draft, now: float, fee_sat: Callable[[int], int]) -> Cost:
    """What sending a draft will take; nothing is signed.

    Raises InvalidMessageError, InvalidRecordError where it could not be sent.
    """
    timestamp = min(draft.timestamp(now), LATEST_TIMESTAMP)
    body = {**draft.body, "timestamp": timestamp, "signature": PLACEHOLDER}
    if draft.action not in _ARTIFACTS:
        body["contentSignature"] = PLACEHOLDER
        text = wrap(draft.action, _SUBJECTS[draft.action], body)
        return cost_of(text, draft.address, fee_sat)
    body["details"] = {**body["details"], "contentSignature": PLACEHOLDER}
    text = wrap_publish(body)
    if draft.action == "edit":
        text = _edit_text(body, draft.first_txid, timestamp)
    return cost_of(text, draft.address, fee_sat)


def _edit_text(body: Mapping[str, Any], txid: str, timestamp: int) -> str:
    patch = [{"op": "replace", "path": "", "value": body}]
    outer = {"txid": txid, "timestamp": timestamp, "patch": patch}
    return wrap_value({"edit": {"artifact": outer, "signature": PLACEHOLDER}})
