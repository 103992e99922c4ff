"""The artifact that a dataset becomes, and how it differs from a published one.

OIP 0.42 as the original publisher wrote it, before anything is signed. It reads
no disk and asks no index.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from etdb.identity import CID, Address
from etdb.lab.folder import Dataset, LabFile
from etdb.record.model import Role
from etdb.record.oip042 import arrange

MADE_FROM = "madeFrom"
"""In fileInfo: the file that a picture of ours was made from."""

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
_NOT_COMPARED = frozenset({"contentSignature", "revision", "fileInfo"})
_MAX_SHOWN = 60

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


def list_changes(published: Mapping[str, Any], planned: Mapping[str, Any]) -> list[str]:
    """What a plan says otherwise than a published artifact, one line each.

    Left out are what differs each time or follows from the rest: timestamp,
    signatures, revision, location and pictures of ours.
    """
    old, new = dict(_facts(published)), dict(_facts(planned))
    changes = []
    for subject in {**new, **old}:
        if subject not in old:
            changes.append(f"{subject}: added")
        elif subject not in new:
            changes.append(f"{subject}: removed")
        else:
            changes += _differences(subject, old[subject], new[subject])
    return changes


def _facts(artifact: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """(subject, value); of a file the value is a dict of all that is said."""
    details = _mapping(artifact.get("details"))
    for section in (_mapping(artifact.get("info")), details):
        for name, value in section.items():
            if name not in _NOT_COMPARED:
                yield name, _plain(value)
    for name in ("type", "subtype", "payment"):
        if name in artifact:
            yield name, _plain(artifact[name])
    about = _mapping(details.get("fileInfo"))
    for row in _mapping(artifact.get("storage")).get("files") or []:
        facts = _mapping(about.get(row.get("fname")))
        if MADE_FROM not in facts:
            yield f"file {row.get('fname')}", _plain({**row, **facts})


def _differences(subject: str, old: Any, new: Any) -> Iterator[str]:
    if not (isinstance(old, dict) and isinstance(new, dict)):
        if old != new:
            yield f"{subject}: {_short(old)} → {_short(new)}"
        return
    if old.get("cid") != new.get("cid"):
        yield f"{subject}: other content"
        return
    for name in {**old, **new}:
        if old.get(name) != new.get(name):
            yield f"{subject}: {name} {_short(old.get(name))} → {_short(new.get(name))}"


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _plain(value: object) -> Any:
    """As a parsed text has it, so that tuples and lists compare alike."""
    return json.loads(json.dumps(value))


def _short(value: object) -> str:
    text = "unknown" if value is None else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _MAX_SHOWN else text[: _MAX_SHOWN - 1] + "…"
