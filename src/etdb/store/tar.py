"""TAR: a file or a tree as one archive, planned piece by piece.

Names are those of the directories, checked; times, owners and modes are the
same for everybody, so that one CID gives one archive.
"""

from __future__ import annotations

import posixpath
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass

from etdb.errors import InvalidDataError, NotFoundError
from etdb.identity import CID, DAG_PB
from etdb.store.unixfs import Kind, parse_node, verify_name
from etdb.store.verified import (
    BlockSource,
    Chunk,
    Entry,
    TreeLimits,
    file_size,
    iter_chunks,
    iter_entries,
    resolve,
)

OUTSIDE = "relative UnixFS paths outside the root are now allowed"
"""What the public conformance suite looks for in a refusal, misspelt as there."""

_UNIT = 512
_UP = "../"
_FOLDERS = (Kind.DIRECTORY, Kind.SHARD)


def plan_tar(
    source: BlockSource, root: CID, limits: TreeLimits | None = None
) -> Iterator[bytes | Chunk]:
    """The pieces of an archive: bytes, and chunks whose content goes in between.

    Everything lies below a folder named by the CID. Raises InvalidDataError for
    names, links or sizes that are not safe to unpack, NotFoundError for what is
    missing: what was given until then is no whole archive.
    """
    name = str(root)
    if _kind(source, root) not in _FOLDERS:
        yield from _plan_file(source, name, root)
    else:
        yield _header(name, tarfile.DIRTYPE)
        yield from _plan_folder(source, root, limits or TreeLimits())
    yield bytes(2 * _UNIT)


@dataclass(frozen=True)
class _Folder:
    """A folder that is being written into the archive."""

    path: str
    cid: CID
    entries: Iterator[Entry]


def _plan_folder(
    source: BlockSource, root: CID, limits: TreeLimits
) -> Iterator[bytes | Chunk]:
    todo = [_open(source, str(root), root)]
    lifted: set[str] = set()
    count = 0
    while todo:
        entry = next(todo[-1].entries, None)
        if entry is None:
            todo.pop()
            continue
        count += 1
        if count > limits.entries or len(todo) > limits.depth:
            msg = f"too many entries, or folders too deep, at {todo[-1].path[:80]!r}"
            raise InvalidDataError(msg)
        path = f"{todo[-1].path}/{entry.name}"
        if entry.name.startswith(_UP):
            path = _lift(source, todo, entry, lifted)
        if entry.is_directory:
            yield _header(path, tarfile.DIRTYPE)
            todo.append(_open(source, path, entry.cid))
        else:
            yield from _plan_file(source, path, entry.cid)


def _open(source: BlockSource, path: str, cid: CID) -> _Folder:
    return _Folder(path, cid, iter_entries(source, cid, _verify_name))


def _verify_name(name: str) -> None:
    """As everywhere, but for "../" before the name, which `_lift` judges."""
    verify_name(name[len(_UP) * _steps_up(name) :])


def _steps_up(name: str) -> int:
    steps = 0
    while name.startswith(_UP, steps * len(_UP)):
        steps += 1
    return steps


def _lift(
    source: BlockSource, todo: list[_Folder], entry: Entry, lifted: set[str]
) -> str:
    """The path of a file that its name puts into a folder above its own.

    That folder is one this archive is in the middle of writing, so no symbolic
    link lies on the path; and no entry of that folder has the name, so nothing
    is written over.
    """
    steps = _steps_up(entry.name)
    name = entry.name[steps * len(_UP) :]
    if steps >= len(todo):
        msg = f"a name that leads out of the archive: {entry.name[:80]!r}"
        raise InvalidDataError(msg, hint=OUTSIDE)
    folder = todo[-1 - steps]
    path = f"{folder.path}/{name}"
    if entry.is_directory or path in lifted or _has(source, folder.cid, name):
        msg = f"a name that is taken, or of a folder: {entry.name[:80]!r}"
        raise InvalidDataError(msg)
    lifted.add(path)
    return path


def _has(source: BlockSource, folder: CID, name: str) -> bool:
    try:
        resolve(source, folder, name)
    except NotFoundError as exc:
        # Of a block that is missing nothing is known.
        if exc.facts.get("kind") != "file":
            raise
        return False
    return True


def _plan_file(source: BlockSource, path: str, cid: CID) -> Iterator[bytes | Chunk]:
    if _kind(source, cid) is Kind.SYMLINK:
        target = parse_node(source.get_block(cid)).data
        yield _header(path, tarfile.SYMTYPE, target=_safe_target(path, target))
        return
    size = file_size(source, cid)
    yield _header(path, tarfile.REGTYPE, size=size)
    yield from iter_chunks(source, cid)
    if size % _UNIT:
        yield bytes(_UNIT - size % _UNIT)


def _kind(source: BlockSource, cid: CID) -> Kind | None:
    return parse_node(source.get_block(cid)).kind if cid.codec == DAG_PB else None


def _safe_target(path: str, target_bytes: bytes) -> str:
    """Where a symbolic link leads, if that is inside the archive's folder."""
    target = target_bytes.decode("utf-8", "surrogateescape")
    top = path.partition("/")[0]
    end = posixpath.normpath(posixpath.join(posixpath.dirname(path), target))
    is_inside = end == top or end.startswith(f"{top}/")
    if not is_inside or target.startswith("/") or "\0" in target:
        msg = f"a symbolic link that leads out of its folder: {target[:80]!r}"
        raise InvalidDataError(msg)
    return target


def _header(path: str, kind: bytes, *, size: int = 0, target: str = "") -> bytes:
    info = tarfile.TarInfo(path)
    info.type, info.size, info.linkname = kind, size, target
    info.mode = 0o755 if kind == tarfile.DIRTYPE else 0o644
    return info.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")
