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


class CandidateShape(Shape):
    """One of the records that an ambiguous id may mean."""

    id: str
    title: str | None
    publisher: str
    record_class: str = Field(alias="class")


class AnchorShape(Shape):
    """Where a statement stands on a ledger; time in Unix seconds."""

    ledger: str
    ledger_kind: str
    height: int
    position: int
    txid: str
    time: int


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
    artifact: dict[str, Any] = Field(description="the parsed body")
    anchors: list[AnchorShape]
    checks: list[CheckShape]
    versions: list[VersionShape]
    other: dict[str, Any] = Field(description="fields without a name of their own")


class WithdrawnRecordShape(Shape):
    """A withdrawn record shows that it is withdrawn, and nothing else."""

    id: str
    txid: str
    publisher: PublisherShape
    anchors: list[AnchorShape]
    withdrawn: WithdrawnShape


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
