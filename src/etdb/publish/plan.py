"""What publishing a dataset would do, decided before anything is signed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from etdb.errors import ConflictError, InvalidRecordError
from etdb.identity import CID
from etdb.lab.folder import Dataset, missing_fields
from etdb.publish.artifact import Artifact


class PlanState(StrEnum):
    """How a dataset stands to what its publisher has already published."""

    NEW = "new"
    UNCHANGED = "unchanged"
    CHANGED = "changed"
    """Publishing it makes an edit of the record."""
    SENT = "sent"
    """Something about it is on its way: nothing more is sent until that stands."""


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """An artifact beside what its publisher has already published."""

    state: PlanState
    existing: Mapping[str, Any] | None
    """The record dict of what is published under the same id, if anything."""
    changes: tuple[str, ...] = ()
    """What an edit would change, a line each."""


@dataclass(frozen=True, kw_only=True)
class Plan(Comparison):
    """A dataset hashed and compared; nothing is signed."""

    dataset: Dataset
    artifact: Artifact
    """The artifact as it would be signed, but for timestamp and signatures."""
    cids: Mapping[str, CID]
    """Of every file by name, pictures of ours included."""
    cid: CID
    """Of the directory that holds them."""
    parts: int
    """Transactions that the message takes."""
    fee_sat: int
    warnings: tuple[str, ...]

    @property
    def size_bytes(self) -> int:
        """Of all files together."""
        return sum(row["fsize"] for row in self.artifact["storage"]["files"])


def verify_complete(dataset: Dataset) -> None:
    """Raises InvalidRecordError listing every mandatory field that is missing."""
    missing = missing_fields(dataset)
    if missing:
        named = ", ".join(f"{one.field} ({one.option})" for one in missing)
        msg = f"{dataset.path} cannot be published without: {named}"
        raise InvalidRecordError(
            msg, missing=[{"field": m.field, "option": m.option} for m in missing]
        )


def verify_distinct(datasets: Sequence[Dataset]) -> None:
    """Raises ConflictError where two datasets have the same id (sid)."""
    seen: dict[str, Dataset] = {}
    for dataset in datasets:
        other = seen.setdefault(dataset.sid, dataset)
        if other is not dataset:
            msg = f"{other.path} and {dataset.path} have the same id {dataset.sid!r}"
            raise ConflictError(msg, hint="give one of them another with --sid")
