"""What a message says once the rules have accepted it, and why they did not.

Plain values: they are made by `etdb.record.verdict` and ordered by
`etdb.record.standing`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from etdb.identity import Address, Digest


class RecordClass(StrEnum):
    """What a statement's signatures cover (R3, R4), the best first."""

    A = "A"
    """Content-signed: all of it."""
    B = "B"
    """All of it, by the signatures of its parts."""
    C = "C"
    """Location, address and time only; fenced."""
    UNATTESTED = "unattested"
    """As C, outside the fence: never listed as the publisher's."""
    SHOWN = "shown"
    """An old-form edit, deactivate or transfer: without effect."""


@dataclass(frozen=True)
class Rejection:
    """A message that the rules refuse, and the clause of PROTOCOL that does."""

    code: str
    reason: str


@dataclass(frozen=True)
class Revision:
    """`details.revision` of an edit (R5)."""

    of: Digest
    """The record's id: the digest of its root."""
    number: int
    previous: Digest


@dataclass(frozen=True, kw_only=True)
class Statement:
    """What one accepted message says; equal in action and digest is the same (R2)."""

    action: str
    """publish, edit, register, deactivate or transfer."""
    digest: Digest
    record_class: RecordClass
    address: Address | None
    """The signer; of messages that are only shown, who they name, if anybody."""
    timestamp: int
    """Unix seconds, as signed; the block's time where a shown message has none."""
    body: dict[str, Any]
    revision: Revision | None = None
    """Of edits that count."""
    target: Digest | None = None
    """The record that a deactivate withdraws, if it counts."""
    sid: str | None = None
    location: str | None = None
    text: str
    """Verbatim: all that is verified or sent again."""
