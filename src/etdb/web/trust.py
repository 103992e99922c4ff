"""What was verified about a record, and what was not, in sentences.

Pure. The checks themselves are made in `record.rules` and come with the record
dict; this says what they mean to a reader (PROTOCOL R3, R8, R10).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from etdb.record.message import LedgerKind
from etdb.web import text

Record = Mapping[str, Any]

_CLASSES: Mapping[str, tuple[str, str]] = {
    "A": (
        "Signed, metadata and files",
        "Every field of this record and the address of its files are covered by "
        "the publisher's signature.",
    ),
    "B": (
        "Signed in parts, metadata and files",
        "A record of the original form whose parts are each signed by the "
        "publisher: the signatures cover every field.",
    ),
    "C": (
        "Signed, files only",
        "A record of the original form: the signature covers the address of the "
        "files and the time, but not the metadata. That the metadata are the "
        "publisher's is known only from their place on the ledger.",
    ),
    "unattested": (
        "Not attested",
        "Nothing proves that the named publisher said this. It is kept because it "
        "stands on the ledger, and is never listed as the publisher's.",
    ),
}
_UNKNOWN_CLASS = ("Not judged", "This node has no verdict on this record.")

_TIMES: Mapping[str, str] = {
    LedgerKind.EMBEDDED: (
        "The time is what the publisher's own ledger says; nobody else vouches for it."
    ),
    LedgerKind.FLO_REGTEST: "The time is that of a test ledger and proves nothing.",
    LedgerKind.FLO_TEST: "The time is that of a test ledger and proves little.",
}


@dataclass(frozen=True)
class Finding:
    """One sentence and its mark: held, failed, or (None) not verified."""

    holds: bool | None
    says: str

    @property
    def mark(self) -> str:
        """The mark's word: held, failed, open."""
        return {True: "held", False: "failed", None: "open"}[self.holds]


def verdict(record: Record) -> str:
    """The record's class in a few words."""
    return _CLASSES.get(str(record.get("class")), _UNKNOWN_CLASS)[0]


def is_attested(record: Record) -> bool:
    """Whether a signature of the publisher stands behind the record."""
    return record.get("class") in {"A", "B", "C"}


def findings(record: Record) -> tuple[Finding, ...]:
    """What held, what failed, then what nobody verified."""
    says = _CLASSES.get(str(record.get("class")), _UNKNOWN_CLASS)[1]
    found = [Finding(is_attested(record), says)]
    found += [_checked(record, check) for check in record.get("checks", ())]
    found.append(_anchored(record.get("anchor")))
    found.append(
        Finding(
            True,
            "Whatever this node serves of the files is hashed again on every read; "
            "a file that changed is refused.",
        )
    )
    return (*found, *_not_verified(record))


def _checked(record: Record, check: Mapping[str, Any]) -> Finding:
    """A check's outcome; that an old record has no content signature is no fault.

    A content signature that is there and wrong is refused, not kept (B6).
    """
    is_absent = check["name"] == "content signature" and record["class"] != "A"
    holds = True if check["holds"] else None if is_absent else False
    name = str(check["name"])
    return Finding(holds, f"{name[:1].upper()}{name[1:]}: {check['says']}")


def _anchored(anchor: Mapping[str, Any] | None) -> Finding:
    if anchor is None:
        return Finding(False, "It stands on no ledger that this node follows.")
    moment = text.moment(anchor["time"])
    place = f"block {anchor['height']:,} of ledger {text.short(anchor['ledger'])}"
    return Finding(True, f"It stands in {place}, {moment}.")


def _not_verified(record: Record) -> tuple[Finding, ...]:
    anchor = record.get("anchor") or {}
    time = _TIMES.get(str(anchor.get("ledger_kind")), "")
    address = record["publisher"]["address"]
    sentences = (
        time,
        f"Who holds the key of {address} is not verified: a name is what the key's "
        "holder says.",
        "What the fields say of the specimen and the microscope is the publisher's "
        "word. Check what matters with the depositor.",
    )
    return tuple(Finding(None, sentence) for sentence in sentences if sentence)
