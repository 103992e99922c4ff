"""What was verified about a record, and what was not, in sentences.

Pure. The checks themselves are made in `record.rules` and come with the record
dict; this says what they mean to a reader (PROTOCOL R3, R8, R10).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from etdb.record.message import Coverage, LedgerKind
from etdb.web import past, text

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
        "publisher's is not proved: this is the first message on its ledger that "
        "carries this signature, and no more is known.",
    ),
    "unattested": (
        "Not attested",
        "Its signature covers at most the address of the files and the time, and may "
        "have been copied from another message: nothing proves that the named "
        "publisher said this. It is kept because it stands on the ledger, and is "
        "never listed as the publisher's.",
    ),
}
_EDITED = (
    "Signed, metadata and files",
    "What is shown is version {number}, an edit: every field of it and the address of "
    "its files are covered by the signature of {signer}, who may edit this record. "
    "That there is no later version is known only as far as this node has read its "
    "ledgers.",
)
_UNKNOWN_CLASS = ("Not judged", "This node has no verdict on this record.")

_TIMES: Mapping[str, str] = {
    LedgerKind.EMBEDDED: (
        "The time is what the publisher's own ledger says; nobody else vouches for it."
    ),
    LedgerKind.FLO_REGTEST: "The time is that of a test ledger and proves nothing.",
    LedgerKind.FLO_TEST: "The time is that of a test ledger and proves little.",
}


_COVERAGES: Mapping[str, str] = {
    Coverage.OMITTED: (
        "is carried by an unsigned comment: the signatures of the transaction "
        "leave the text out. Authorship rests on the record's signature."
    ),
    Coverage.UNKNOWN: (
        "is carried by a transaction of which it is not known whether its signatures "
        "cover the text. "
        "Authorship rests on the record's signature."
    ),
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
    """The record's class in a few words; of an edit, which is always signed."""
    if is_attested(record) and past.edit_count(record):
        return _EDITED[0]
    return _CLASSES.get(str(record.get("class")), _UNKNOWN_CLASS)[0]


def signer(record: Record) -> str:
    """The address that signed what is shown: of an edit it may be an heir."""
    publisher = str(record["publisher"]["address"])
    if not past.edit_count(record):
        return publisher
    return str(record.get("artifact", {}).get("floAddress") or publisher)


def is_attested(record: Record) -> bool:
    """Whether a signature of the publisher stands behind the record."""
    return record.get("class") in {"A", "B", "C"}


def findings(record: Record) -> tuple[Finding, ...]:
    """What held, what failed, then what nobody verified."""
    found = [*_signed(record)]
    found += [_checked(record, check) for check in record.get("checks", ())]
    what = "Its first version" if past.edit_count(record) else "It"
    found += _anchored(record.get("anchor"), what)
    found.append(
        Finding(
            True,
            "Whatever this node serves of the files is hashed again on every read; "
            "a file that changed is refused.",
        )
    )
    return (*found, *_not_verified(record))


def _signed(record: Record) -> Iterator[Finding]:
    """What the signatures of the version shown cover, and of the first one."""
    says = _CLASSES.get(str(record.get("class")), _UNKNOWN_CLASS)[1]
    edits = past.edit_count(record)
    if edits:
        says_edited = _EDITED[1].format(number=edits + 1, signer=signer(record))
        yield Finding(True, says_edited)
        says = f"Of the first version: {says[:1].lower()}{says[1:]}"
    yield Finding(is_attested(record), says)


def _checked(record: Record, check: Mapping[str, Any]) -> Finding:
    """A check's outcome; that an old record has no content signature is no fault.

    A content signature that is there and wrong is refused, not kept (B6).
    """
    is_absent = check["name"] == "content signature" and record["class"] != "A"
    holds = True if check["holds"] else None if is_absent else False
    name = str(check["name"])
    return Finding(holds, f"{name[:1].upper()}{name[1:]}: {check['says']}")


def _anchored(anchor: Mapping[str, Any] | None, what: str) -> Iterator[Finding]:
    if anchor is None:
        yield Finding(False, f"{what} stands on no ledger that this node follows.")
        return
    moment = text.moment(anchor["time"])
    place = f"block {anchor['height']:,} of ledger {text.short(anchor['ledger'])}"
    yield Finding(True, f"{what} stands in {place}, {moment}.")
    uncovered = _COVERAGES.get(str(anchor.get("coverage")))
    if uncovered:
        yield Finding(None, f"{what} {uncovered}")


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
