"""What holds of a record and its files, on disk or where they are served.

Works offline and believes nobody: the record's texts, its signatures, every
block of the dataset and every byte are hashed and checked again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from etdb.client.content import DatasetFile, is_whole, list_files, verify_served
from etdb.client.dag import Dag
from etdb.client.filters import is_included
from etdb.client.folder import Folder, Kept, find_mode
from etdb.client.record import (
    check_record,
    dataset_of,
    find_failed,
    verify_standing,
)
from etdb.client.sources import Source
from etdb.errors import (
    ContentMismatchError,
    EtdbError,
    InvalidDataError,
    NotFoundError,
)
from etdb.progress import Progress, Silent
from etdb.record.rules import Check


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


def check_folder(path: Path, progress: Progress | None = None) -> FolderReport:
    """Check a folder made by `etdb get` against its record, offline.

    Every byte is hashed again. Raises NotFoundError where the folder holds no
    download, InvalidDataError where what etdb keeps in it is damaged.
    """
    folder = Folder(path)
    kept = folder.load()
    checks = check_record(kept.record)
    files: tuple[FileCheck, ...] = ()
    if find_failed(kept.record, checks) is None:
        files = _check_files(folder, kept, progress or Silent())
    return FolderReport(kept.record, checks, files)


def check_remote(
    record: Mapping[str, Any], source: Source, progress: Progress | None = None
) -> FolderReport:
    """Check a record and every byte of its files where a source serves them.

    Nothing is kept. Raises NotAllowedError where it was withdrawn, and what the
    source raises for the dataset's directory.
    """
    verify_standing(record)
    checks = check_record(record)
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
