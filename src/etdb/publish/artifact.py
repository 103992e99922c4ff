"""The artifact that a dataset becomes, and how it differs from a published one.

OIP 0.42 as the original publisher wrote it, before anything is signed. It reads
no disk and asks no index.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from etdb.identity import CID, Address
from etdb.lab.folder import Dataset, LabFile
from etdb.record.change import MADE_FROM, list_changes
from etdb.record.model import Role
from etdb.record.oip042 import arrange

__all__ = ["MADE_FROM", "Artifact", "Hashed", "build_artifact", "list_changes"]

_FILE_ORDER = (
    Role.SNAPSHOT,
    Role.PREVIEW,
    Role.OTHER,
    Role.TILT_SERIES,
    Role.RECONSTRUCTION,
    Role.SUBVOLUME,
    Role.THUMBNAIL,
    Role.KEYIMG,
    Role.KEYMOV,
)

Artifact = dict[str, Any]


@dataclass(frozen=True)
class Hashed:
    """A file of a dataset, or a picture made of one, with its CID."""

    file: LabFile
    cid: CID


def build_artifact(
    dataset: Dataset, files: Sequence[Hashed], location: CID, address: Address
) -> Artifact:
    """The unsigned artifact without `timestamp`, in the order of the wire."""
    ordered = sorted(files, key=lambda hashed: _FILE_ORDER.index(hashed.file.role))
    info = {
        hashed.file.name: {"cid": str(hashed.cid)} | dict(hashed.file.facts)
        for hashed in ordered
    }
    return arrange(
        {
            "floAddress": address,
            "type": "research",
            "subtype": "tomogram",
            "info": dict(dataset.info),
            "details": dict(dataset.details) | {"fileInfo": info},
            "storage": {
                "network": "ipfs",
                "location": str(location),
                "files": [_file_row(hashed.file) for hashed in ordered],
            },
        }
    )


def _file_row(file: LabFile) -> dict[str, Any]:
    is_made = MADE_FROM in file.facts
    return {
        "software": file.software,
        "dname": None if is_made else PurePosixPath(file.name).name,
        "fname": file.name,
        "fsize": file.size_bytes,
        "type": "image" if file.role is Role.THUMBNAIL else "tomogram",
        "subtype": file.role.value,
        "cType": file.media_type,
        "fNotes": file.notes,
    }
