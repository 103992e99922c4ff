"""TAR: a file or a tree as one archive, planned piece by piece.

Names are those of the directories, checked; times, owners and modes are the
same for everybody, so that one CID gives one archive.
"""

from __future__ import annotations

import posixpath
import tarfile
from collections.abc import Iterator

from etdb.errors import InvalidDataError
from etdb.identity import CID, DAG_PB
from etdb.store.unixfs import Kind, parse_node
from etdb.store.verified import (
    BlockSource,
    Chunk,
    Entry,
    TreeLimits,
    file_size,
    iter_chunks,
    iter_entries,
)

_UNIT = 512
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


def _plan_folder(
    source: BlockSource, root: CID, limits: TreeLimits
) -> Iterator[bytes | Chunk]:
    todo: list[tuple[str, Iterator[Entry]]] = [(str(root), iter_entries(source, root))]
    count = 0
    while todo:
        folder, entries = todo[-1]
        entry = next(entries, None)
        if entry is None:
            todo.pop()
            continue
        count += 1
        if count > limits.entries or len(todo) > limits.depth:
            msg = f"too many entries, or folders too deep, at {folder[:80]!r}"
            raise InvalidDataError(msg)
        path = f"{folder}/{entry.name}"
        if entry.is_directory:
            yield _header(path, tarfile.DIRTYPE)
            todo.append((path, iter_entries(source, entry.cid)))
        else:
            yield from _plan_file(source, path, entry.cid)


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
