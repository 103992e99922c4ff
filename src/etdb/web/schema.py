"""The shape of the API's answers, for its description and for tests.

Answers are the plain dicts of the index; these models describe them and are
never in their way. Units stand in the names, as everywhere.
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field


class Shape(BaseModel):
    """A described object: nothing undescribed belongs to it."""

    model_config = ConfigDict(extra="forbid")


class PublisherShape(Shape):
    """Who signed."""

    address: str
    name: str | None


class FileShape(Shape):
    """One file of a dataset; its bytes are at /ipfs/{record's cid}/{name}."""

    name: str | None
    display_name: str | None
    size_bytes: int | None
    role: str
    media_type: str | None
    software: str | None
    notes: str | None
    cid: str | None
    facts: dict[str, Any] = Field(description="per-file facts, wire names, in Å")


class KeyImageShape(Shape):
    """File names of the key image: 1024, 512 and 160 pixels."""

    large: str | None
    medium: str | None
    small: str | None


class AnchorShape(Shape):
    """Where a statement stands on a ledger; time in Unix seconds."""

    ledger: str
    ledger_kind: str
    height: int
    position: int
    txid: str
    time: int
    coverage: str = Field(
        description="whether the transaction's own signatures cover the text: "
        "covered, omitted or unknown"
    )


class WithdrawnShape(Shape):
    """Who withdrew the record, and when (Unix seconds)."""

    by: str
    time: int
    reason: str | None


class CheckShape(Shape):
    """One check this node made."""

    name: str
    holds: bool
    says: str


class VersionShape(Shape):
    """One version of a record; number 1 is the first."""

    id: str
    number: int
    timestamp: int
    txid: str | None = Field(description="of the message that carries it")


class RecordShape(Shape):
    """One dataset's description, as lists give it."""

    id: str = Field(description="digest of the first version")
    txid: str
    cid: str | None = Field(description="the directory of the files")
    record_class: str = Field(alias="class", description="A, B, C or unattested")
    title: str | None
    description: str | None
    tags: str | None
    publisher: PublisherShape
    timestamp: int | None
    published: str | None
    details: dict[str, Any] = Field(
        description="fields by name, unit in the name; absent means not stated; "
        "`acquired` is the date as YYYY-MM-DD"
    )
    files: list[FileShape]
    size_bytes: int
    file_count: int
    key_image: KeyImageShape
    anchor: AnchorShape | None
    withdrawn: WithdrawnShape | None


class FullRecordShape(RecordShape):
    """One dataset's description with its text and what was checked."""

    text: str = Field(description="the signed text, verbatim")
    root_text: str | None = Field(
        description="of an edited record the text of its first version, whose "
        "digest is the id and which names who may edit it"
    )
    artifact: dict[str, Any] = Field(description="the parsed body")
    anchors: list[AnchorShape]
    checks: list[CheckShape]
    versions: list[VersionShape] = Field(
        description="from the first to the current one, at most the newest 100"
    )
    other: dict[str, Any] = Field(description="fields without a name of their own")


class WithdrawnRecordShape(Shape):
    """A withdrawn record shows that it is withdrawn, and nothing else."""

    id: str
    txid: str
    publisher: PublisherShape
    anchors: list[AnchorShape]
    withdrawn: WithdrawnShape


class SignedShape(AnchorShape):
    """A message about a record: who signed it, when, and where it stands."""

    by: str
    by_name: str | None = Field(description="what that address calls itself")
    timestamp: int = Field(description="Unix seconds, as signed")
    published: str | None


class PastVersionShape(SignedShape):
    """One version of a record, and what it changed."""

    id: str
    number: int
    previous: str | None
    record_class: str = Field(alias="class")
    state: str = Field(
        description="root, superseded, current, fork, pending (its ancestors are "
        "unseen) or refused; a record that was never edited is current"
    )
    changes: list[str] | None = Field(description="null where nothing was compared")


class WithdrawalShape(SignedShape):
    """The withdrawal that counts."""

    reason: str | None


class OldFormShape(AnchorShape):
    """A historical edit, deactivate or transfer: decoded, without effect."""

    action: str
    by: str | None = Field(description="whom it names, which is not verified")
    timestamp: int
    says: str


class HistoryShape(Shape):
    """What became of a record."""

    id: str
    current: str = Field(description="digest of the current version")
    count: int = Field(description="accepted versions, forks included")
    versions: list[PastVersionShape] = Field(
        description="the oldest first; if there are more than 200, the newest"
    )
    is_cut: bool
    pending: int
    refused: int = Field(description="edits and withdrawals without effect")
    withdrawn: WithdrawalShape | None
    old: list[OldFormShape]
    old_count: int


class WithdrawnHistoryShape(Shape):
    """Of a withdrawn record nothing is shown but that it is."""

    id: str
    withdrawn: WithdrawalShape


class ListShape(Shape):
    """A page of a list; `next` is the token for `after`, None at the end."""

    count: int
    total: int
    next: str | None


class RecordListShape(ListShape):
    """Records that match."""

    results: list[RecordShape]


class RejectedShape(Shape):
    """A message the rules refused; `code` is the rule's number."""

    ledger: str
    height: int
    position: int
    txid: str
    time: int
    code: str
    reason: str


class RejectedListShape(ListShape):
    """Messages the rules refused."""

    results: list[RejectedShape]


class ErrorBodyShape(Shape):
    """What went wrong; `code` is stable."""

    code: str
    message: str
    details: dict[str, Any]


class ErrorShape(Shape):
    """The one error shape."""

    error: ErrorBodyShape


class LedgerStatusShape(Shape):
    """A ledger, and how far it was read."""

    id: str
    kind: str
    height: int | None = Field(description="the last block that was read")
    hash: str | None
    time: int | None = Field(description="of that block, Unix seconds")
    messages: int
    first_height: int = Field(0, description="nothing below it is read")
    tip_height: int | None = Field(None, description="the ledger's own last block")
    lag: int | None = Field(None, description="blocks still to be read")
    problem: str = Field("", description="why it is not followed at the moment")
    gap: str = Field(
        "",
        description="how far its daemon still is from its network's end, in words; "
        "until then nothing is published",
    )


class PendingShape(Shape):
    """A message that this node has signed and that is not on its ledger yet."""

    action: str
    sid: str | None
    record: str | None
    digest: str | None
    since: int
    is_sent: bool | None = Field(None, description="whether it is on its way")


class WalletShape(Shape):
    """What a node pays its ledger with; 100,000,000 sat are 1 FLO."""

    address: str
    balance_sat: int
    immature_sat: int
    first_height: int = Field(0, description="coins are counted from here on")
    read_height: int | None = Field(None, description="coins are counted up to here")
    fee_sat_per_kb: int
    records_left: int | None = Field(description="records that the balance pays for")


class PublishingShape(Shape):
    """What a node is about to publish, and with what."""

    pending: list[PendingShape]
    wallet: WalletShape | None


class StatusShape(Shape):
    """What a node holds, and how far it follows its ledgers."""

    name: str
    version: str
    follow_problem: str
    lab: str | None = None
    publisher: str | None = None
    records: int | None = None
    species: int | None = None
    labs: int | None = None
    withdrawn: int | None = None
    unattested: int | None = None
    rejected: int | None = None
    files: int | None = None
    file_bytes: int | None = None
    stale_files: list[str] = []
    torn_bytes: int | None = None
    ledgers: list[LedgerStatusShape] = []
    publishing: PublishingShape | None = None
