"""Files of a record, from sources nobody trusts, to a folder on disk.

`plan` says what would be fetched; `download` fetches it. Each file is built
beside its place, every chunk hashed before it is written, and gets its name
when it is whole and on disk. There is no state to go wrong: what a stopped
download left behind is hashed again and gone on with.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from etdb.client.content import DatasetFile, list_files
from etdb.client.dag import Dag
from etdb.client.filters import Selection, roles_of
from etdb.client.folder import Folder, folded
from etdb.client.look import SourceLook, SourceState, Watch
from etdb.client.partial import FolderPlace, PartialFile, State
from etdb.client.record import dataset_of, version_of
from etdb.client.sources import Source
from etdb.client.transfer import Transfer
from etdb.durable import disk_errors
from etdb.errors import (
    ConflictError,
    EtdbError,
    InvalidDataError,
    NotFoundError,
    UnavailableError,
)
from etdb.identity import CID
from etdb.progress import Progress, Silent

NO_MATCH = "file matching"
"""The kind of what is not found where no file is wanted."""
_ALL = Selection()


@dataclass(frozen=True)
class DownloadPlan:
    """What a download would fetch, and what is there already."""

    record: Mapping[str, Any]
    folder: Path
    include: tuple[str, ...]
    files: tuple[DatasetFile, ...]
    have_bytes: int
    """Of files that stand there in their full length; not yet checked."""
    blocks: Mapping[CID, bytes]
    """The verified blocks that were fetched to know all this."""
    liars: Mapping[str, EtdbError] = field(default_factory=dict)
    """Sources that sent wrong blocks for it, by name."""

    @property
    def total_bytes(self) -> int:
        """The size of the files, those that are there already included."""
        return sum(file.size_bytes for file in self.files)


@dataclass(frozen=True)
class FileResult:
    """What became of one file."""

    name: str
    size_bytes: int
    state: State
    error: EtdbError | None = None
    sources: tuple[str, ...] = ()
    """Who gave what was fetched of it."""


@dataclass(frozen=True)
class Outcome:
    """What became of a download."""

    files: list[FileResult]
    sources: list[SourceLook]


def plan(
    record: Mapping[str, Any],
    sources: Sequence[Source],
    folder: Path,
    selection: Selection = _ALL,
) -> DownloadPlan:
    """What fetching a record's files into a folder would mean; writes nothing.

    The record's text and signatures and the dataset's directories are verified
    first. Raises InvalidDataError where they are not right, NotFoundError
    where no file matches, ConflictError where the folder holds a later version
    of the record, UnavailableError.
    """
    target = Folder(folder)
    root = dataset_of(record)
    _refuse_older(target, record)
    dag = Dag(target.blocks, sources)
    known = roles_of(record)
    files = tuple(
        file
        for file in list_files(dag, root)
        if selection.takes(file.name, known.get(file.name, ()))
    )
    if not files and selection != _ALL:
        raise NotFoundError(NO_MATCH, selection)
    kept = selection.as_include([file.name for file in files])
    have = sum(file.size_bytes for file in files if _is_full_length(target, file))
    return DownloadPlan(record, folder, kept, files, have, dag.held, dag.liars)


def _refuse_older(folder: Folder, record: Mapping[str, Any]) -> None:
    """A node that offers an older version may not know better, or may lie."""
    try:
        kept = folder.load().record
    except (NotFoundError, InvalidDataError):
        return
    held, offered = version_of(kept), version_of(record)
    if kept.get("id") == record.get("id") and held > offered:
        msg = f"{folder.path} holds version {held} of the record, not {offered}"
        raise ConflictError(msg, hint="ask another node, or choose another folder")


def _is_full_length(folder: Folder, file: DatasetFile) -> bool:
    try:
        return folder.place(file.name).stat().st_size == file.size_bytes
    except (EtdbError, OSError):
        return False


def download(
    plan: DownloadPlan,
    sources: Sequence[Source],
    progress: Progress | None = None,
    connections: int | None = None,
    watch: Watch | None = None,
) -> Outcome:
    """Fetch what is planned from one or more sources; the files in their order.

    `connections` are those to each source; None is one to each of several.
    `watch` may look at the transfer while it lasts; `progress` then hears only
    of the checks before it.

    A failure of one file is its result and stops no other. On return every
    file that is not `failed` is verified and on disk under its name. Raises
    only what concerns all of them: UnavailableError (no room, folder cannot be
    written) and ConflictError (in use, holds another record, or holds files of
    somebody else's under names that this one needs). When interrupted, the same
    call goes on.
    """
    folder = Folder(plan.folder)
    progress = progress or Silent()
    honest, lied = _without_liars(sources, plan.liars)
    given: list[SourceLook] = []
    with folder.claimed():
        is_ours = folder.has_download()
        if is_ours:
            folder.save(plan.record, plan.include)
        dag = Dag(folder.blocks, honest)
        dag.keep(plan.blocks)
        partials = [
            PartialFile(FolderPlace(folder, file.name), file) for file in plan.files
        ]
        _refuse_twins(folder, partials)
        _check_standing(dag, partials, progress, may_mend=is_ours)
        if not is_ours:
            _refuse_foreign(folder, partials)
            folder.save(plan.record, plan.include)
        wanted = [one for one in partials if one.state is State.WANTED]
        if wanted:
            verify_room(folder.path, wanted)
            heard = Silent() if watch else progress
            transfer = Transfer(dag, wanted, honest, heard, connections)
            with watch(transfer.look) if watch else contextlib.nullcontext():
                given = _run(transfer, wanted, heard)
        with contextlib.suppress(OSError):
            (folder.state / "partial").rmdir()
    return Outcome([_result(one) for one in partials], lied + given)


def _result(one: PartialFile) -> FileResult:
    return FileResult(
        one.file.name,
        one.file.size_bytes,
        one.state,
        one.error,
        tuple(one.given),
    )


def _without_liars(
    sources: Sequence[Source], liars: Mapping[str, EtdbError]
) -> tuple[Sequence[Source], list[SourceLook]]:
    """Whom to ask, and who is out already; a sole source stays."""
    honest = [source for source in sources if source.name not in liars]
    if not honest:
        return sources, []
    lied = [
        SourceLook(source.name, 0, SourceState.DROPPED, liars[source.name])
        for source in sources
        if source.name in liars
    ]
    return honest, lied


def _check_standing(
    dag: Dag, partials: Sequence[PartialFile], progress: Progress, *, may_mend: bool
) -> None:
    """Hash the files that are there already; only those of ours may be mended."""
    standing = [
        (one, place) for one in partials if (place := one.find_standing()) is not None
    ]
    if not standing:
        return
    total = sum(one.file.size_bytes for one, _ in standing)
    progress.begin("checking", total, "bytes")
    try:
        for one, place in standing:
            one.check_standing(dag, place, progress, may_mend=may_mend)
    finally:
        progress.end()


def _refuse_twins(folder: Folder, partials: Sequence[PartialFile]) -> None:
    """Of names that this disk takes for one, the first alone can be a file."""
    firsts: dict[str, PartialFile] = {}
    twins = []
    for one in partials:
        first = firsts.setdefault(folded(one.file.name), one)
        if first is not one:
            twins.append((one, first))
    if twins and folder.folds_names():
        for one, first in twins:
            msg = f"this disk takes {one.file.name!r} and {first.file.name!r} for one"
            one.fail(ConflictError(msg, hint="choose a folder on another disk"))


def _refuse_foreign(folder: Folder, partials: Sequence[PartialFile]) -> None:
    names = [one.file.name for one in partials if one.is_foreign]
    if names:
        shown = ", ".join(map(repr, names[:5])) + (" …" if len(names) > 5 else "")
        msg = f"{folder.path} is not from etdb get and holds other files named {shown}"
        raise ConflictError(msg, hint="choose another folder, or move them away")


def _run(
    transfer: Transfer, wanted: Sequence[PartialFile], progress: Progress
) -> list[SourceLook]:
    total = sum(one.file.size_bytes for one in wanted)
    progress.begin("fetching", total, "bytes")
    try:
        return transfer.run()
    finally:
        progress.end()


def verify_room_for(plans: Sequence[DownloadPlan], folder: Path) -> None:
    """Raises UnavailableError unless the disk has room for all that is missing."""
    missing = sum(plan.total_bytes - plan.have_bytes for plan in plans)
    missing -= sum(_left_over_bytes(plan) for plan in plans)
    verify_free(missing, folder)


def verify_free(missing: int, folder: Path) -> None:
    """Raises UnavailableError unless a folder, made or not, has room for so much."""
    place = next(
        path
        for path in (folder.absolute(), *folder.absolute().parents)
        if path.is_dir()
    )
    with disk_errors(place):
        free = shutil.disk_usage(place).free
    if missing > free:
        raise _no_room(missing, folder, free)


def _left_over_bytes(plan: DownloadPlan) -> int:
    found = 0
    for file in plan.files:
        with contextlib.suppress(OSError):
            place = Folder(plan.folder).partial(file.name)
            found += min(file.size_bytes, place.lstat().st_blocks * 512)
    return found


def _no_room(missing: int, folder: Path, free: int) -> UnavailableError:
    return UnavailableError(
        f"{missing} bytes are to be fetched and {folder} has room for {free}",
        hint="free some space or choose another folder, then repeat",
    )


def verify_room(folder: Path, partials: Sequence[PartialFile]) -> None:
    """Raises UnavailableError unless the disk has room for what is missing."""
    missing = 0
    with disk_errors(folder):
        for one in partials:
            with contextlib.suppress(FileNotFoundError):
                missing -= one.path.lstat().st_blocks * 512
            missing += one.file.size_bytes
        free = shutil.disk_usage(folder).free
    if missing > free:
        raise _no_room(missing, folder, free)
