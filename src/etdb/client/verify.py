"""What holds of a record, and of a folder that was downloaded.

Works offline and believes nobody: the record's text, its signatures, every
block of the dataset and every byte on disk are hashed and checked again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from etdb.client.content import DatasetFile, is_whole, list_files, verify_served
from etdb.client.dag import Dag
from etdb.client.filters import is_included
from etdb.client.folder import Folder, Kept, find_mode
from etdb.client.sources import Source
from etdb.errors import (
    ContentMismatchError,
    EtdbError,
    InvalidDataError,
    InvalidRecordError,
    InvalidSignatureError,
    NotFoundError,
)
from etdb.identity import CID
from etdb.progress import Progress, Silent
from etdb.record.canonical import (
    digest_of,
    has_content_signature,
    parse_message_text,
)
from etdb.record.oip042 import Envelope, read_envelope
from etdb.record.report import Check, verify_report

CONTENT = "content signature"
"""The check that records of the original publisher cannot pass."""


class FileState(StrEnum):
    """What became of a file since it was signed."""

    OK = "ok"
    MISSING = "missing"
    CHANGED = "changed"
    EXTRA = "extra"
    """On disk, and not of the dataset."""
    LEFT_OUT = "left out"
    """Of the dataset, and never asked for (`--include`)."""
    UNPROVEN = "unproven"
    """What it must be is not known here; a further `etdb get` mends that."""


@dataclass(frozen=True)
class FileCheck:
    """One file, what became of it, and details where there are any."""

    name: str
    state: FileState
    says: str = ""


@dataclass(frozen=True)
class FolderReport:
    """What holds of a record and its files, on disk or where they are served."""

    record: dict[str, Any]
    checks: tuple[Check, ...]
    """Of the record: its digest and each signature."""
    files: tuple[FileCheck, ...]

    @property
    def holds(self) -> bool:
        """Whether every check holds and every file asked for is right."""
        good = {FileState.OK, FileState.LEFT_OUT, FileState.EXTRA}
        return find_failed(self.record, self.checks) is None and all(
            file.state in good for file in self.files
        )


def verify_record(record: Mapping[str, Any]) -> tuple[Check, ...]:
    """What holds of a record by its text alone: its id, and each signature.

    Never raises on what a record says.
    """
    try:
        envelope = _read_text(record)
    except InvalidDataError as exc:
        return (Check("record id", holds=False, says=exc.message),)
    digest = digest_of(envelope.action, envelope.body)
    says = f"the digest of the text is {digest}"
    if digest != record.get("id"):
        says += f", not {record.get('id')}"
    shown = record.get("artifact")
    body = shown if isinstance(shown, Mapping) else envelope.body
    return (
        Check("record id", holds=digest == record.get("id"), says=says),
        *verify_report(body, record["text"]),
    )


def find_failed(record: Mapping[str, Any], checks: Sequence[Check]) -> Check | None:
    """The first check because of which a record is not to be believed.

    A content signature that fails is one; that there is none, as in records of
    the original publisher, is not (PROTOCOL B6, R3).
    """
    for check in checks:
        if not check.holds and (check.name != CONTENT or _is_content_signed(record)):
            return check
    return None


def dataset_of(record: Mapping[str, Any]) -> CID:
    """The CID of a record's files, from its text once that is verified.

    Raises InvalidSignatureError where a check fails, InvalidRecordError where
    the text names no CID.
    """
    failed = find_failed(record, verify_record(record))
    if failed is not None:
        msg = f"record {record.get('id')} is not to be believed: {failed.name}: "
        raise InvalidSignatureError(msg + failed.says, check=failed.name)
    storage = _read_text(record).body.get("storage")
    location = storage.get("location") if isinstance(storage, Mapping) else None
    if not isinstance(location, str):
        msg = f"record {record.get('id')} names no files"
        raise InvalidRecordError(msg)
    return CID.parse(location)


def _is_content_signed(record: Mapping[str, Any]) -> bool:
    envelope = _read_text(record)
    return has_content_signature(envelope.action, envelope.body)


def _read_text(record: Mapping[str, Any]) -> Envelope:
    """The publish of a record. Raises InvalidDataError."""
    text = record.get("text")
    if not isinstance(text, str):
        msg = "it was withdrawn" if record.get("withdrawn") else "it has no text"
        msg = f"record {record.get('id')}: {msg}"
        raise InvalidRecordError(msg)
    envelope = read_envelope(parse_message_text(text))
    if envelope.action != "publish":
        msg = f"its text is a message to {envelope.action}, not to publish"
        raise InvalidRecordError(msg)
    return envelope


def verify_folder(path: Path, progress: Progress | None = None) -> FolderReport:
    """Check a folder made by `etdb get` against its record, offline.

    Every byte is hashed again. Raises NotFoundError where the folder holds no
    download, InvalidDataError where what etdb keeps in it is damaged.
    """
    folder = Folder(path)
    kept = folder.load()
    checks = verify_record(kept.record)
    files: tuple[FileCheck, ...] = ()
    if find_failed(kept.record, checks) is None:
        files = _check_files(folder, kept, progress or Silent())
    return FolderReport(kept.record, checks, files)


def verify_remote(
    record: Mapping[str, Any], source: Source, progress: Progress | None = None
) -> FolderReport:
    """Check a record and every byte of its files where a source serves them.

    Nothing is kept. Raises what the source raises for the dataset's directory.
    """
    checks = verify_record(record)
    if find_failed(record, checks) is not None:
        return FolderReport(dict(record), checks, ())
    progress = progress or Silent()
    dag = Dag(None, [source])
    files = list_files(dag, dataset_of(record))
    progress.begin("verifying", sum(file.size_bytes for file in files), "bytes")
    try:
        found = [_check_served(source, dag, file, progress) for file in files]
    finally:
        progress.end()
    return FolderReport(dict(record), checks, tuple(found))


def _check_served(
    source: Source, dag: Dag, file: DatasetFile, progress: Progress
) -> FileCheck:
    try:
        if file.problem is not None:
            raise file.problem
        verify_served(source, dag, file, progress)
    except NotFoundError as exc:
        return FileCheck(file.name, FileState.MISSING, exc.message)
    except ContentMismatchError as exc:
        return FileCheck(file.name, FileState.CHANGED, exc.message)
    except EtdbError as exc:
        return FileCheck(file.name, FileState.UNPROVEN, exc.message)
    return FileCheck(file.name, FileState.OK)


def _check_files(
    folder: Folder, kept: Kept, progress: Progress
) -> tuple[FileCheck, ...]:
    dag = Dag(folder.blocks)
    files = list_files(dag, dataset_of(kept.record))
    progress.begin("verifying", sum(file.size_bytes for file in files), "bytes")
    try:
        found = [_check_file(folder, dag, kept, file, progress) for file in files]
    finally:
        progress.end()
    known = {file.name for file in files}
    extra = [
        FileCheck(name, FileState.EXTRA)
        for name in folder.iter_names()
        if name not in known
    ]
    return (*found, *extra)


def _check_file(
    folder: Folder, dag: Dag, kept: Kept, file: DatasetFile, progress: Progress
) -> FileCheck:
    if file.problem is not None:
        return FileCheck(file.name, FileState.UNPROVEN, file.problem.message)
    try:
        path = folder.place(file.name)
        if find_mode(path) is None:
            wanted = is_included(file.name, kept.include)
            return FileCheck(
                file.name, FileState.MISSING if wanted else FileState.LEFT_OUT
            )
        is_right = is_whole(dag, file, path, progress)
    except (NotFoundError, InvalidDataError) as exc:
        return FileCheck(file.name, FileState.UNPROVEN, exc.message)
    except EtdbError as exc:
        return FileCheck(file.name, FileState.CHANGED, exc.message)
    return FileCheck(file.name, FileState.OK if is_right else FileState.CHANGED)
