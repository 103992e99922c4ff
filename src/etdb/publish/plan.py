"""What publishing a dataset would do, decided before anything is signed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from etdb.errors import ConflictError, InvalidRecordError
from etdb.identity import CID, Address
from etdb.lab.folder import Dataset, missing_fields
from etdb.publish.artifact import Artifact
from etdb.record.oip042 import wrap_publish
from etdb.record.parts import plan_chunks

_PLACEHOLDER = "A" * 88  # PROTOCOL B5: every signature of ours has this length
_REFERENCE = "0" * 64


class PlanState(StrEnum):
    """How a dataset stands to what its publisher has already published."""

    NEW = "new"
    UNCHANGED = "unchanged"
    CHANGED = "changed"


@dataclass(frozen=True)
class Plan:
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
    state: PlanState
    existing: Mapping[str, Any] | None
    """The record dict of what is published under the same id, if anything."""
    changes: tuple[str, ...]
    warnings: tuple[str, ...]

    @property
    def size_bytes(self) -> int:
        """Of all files together."""
        return sum(row["fsize"] for row in self.artifact["storage"]["files"])


@dataclass(frozen=True)
class Cost:
    """What sending a message takes."""

    parts: int
    fee_sat: int


def estimate_cost(
    artifact: Artifact, timestamp: int, fee_sat: Callable[[int], int]
) -> Cost:
    """The cost of an artifact that is not yet signed; signatures have one length.

    Raises InvalidMessageError, InvalidRecordError where it could not be sent.
    """
    address = artifact["floAddress"]
    signed = artifact | {"timestamp": timestamp, "signature": _PLACEHOLDER}
    signed["details"] = signed["details"] | {"contentSignature": _PLACEHOLDER}
    chunks = plan_chunks(wrap_publish(signed))
    sizes = [len(text.encode()) for text in (_part_texts(chunks, address) or chunks)]
    return Cost(len(chunks), sum(fee_sat(size) for size in sizes))


def _part_texts(chunks: Sequence[str], address: Address) -> list[str]:
    """The texts of the parts, none where one message is enough."""
    last = len(chunks) - 1
    return [
        f"oip-mp({index},{last},{address},{_REFERENCE if index else ''},"
        f"{_PLACEHOLDER}):{chunk}"
        for index, chunk in enumerate(chunks)
        if last
    ]


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


def verify_publishable(plans: Sequence[Plan]) -> None:
    """Raises ConflictError for datasets that changed since they were published."""
    for plan in plans:
        if plan.state is PlanState.CHANGED:
            changes = "; ".join(plan.changes)
            msg = f"{plan.dataset.sid} is published and has changed: {changes}"
            raise ConflictError(
                msg,
                hint="an edit is needed; this version cannot make one",
                changes=list(plan.changes),
            )
