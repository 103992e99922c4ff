"""Folders on disk as content: each file below, and the directories over them.

Names that begin with a dot are left out, as IPFS programs do; a symbolic link
stays a link and is not followed. No file is read here: whoever hands in `take`
says what a file becomes.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from etdb.errors import ConflictError
from etdb.identity import CID
from etdb.store.directory import build_directory
from etdb.store.openfiles import file_errors, stamp_of
from etdb.store.unixfs import Kind, Link, Node, Profile, encode_node, verify_name

Take = Callable[[Sequence[Path]], Iterable[Link]]
"""Files, all of one folder, to a link to each in the same order."""
Emit = Callable[[CID, bytes], None]


@dataclass(frozen=True)
class Survey:
    """What is to be read: a file, or folders with those above first."""

    path: Path
    folders: tuple[Path, ...]
    total_bytes: int


def survey(path: Path) -> Survey:
    """Look through a folder, or at a file, without reading.

    Raises NotFoundError, UnavailableError, and InvalidDataError for a name
    that cannot stand in a directory.
    """
    with file_errors(path):
        if not path.is_dir():
            return Survey(path, (), stamp_of(path).size_bytes)
    folders, total_bytes = [path], 0
    for folder in folders:
        with file_errors(folder):
            for entry in _list_entries(folder):
                verify_name(entry.name)
                if entry.is_dir(follow_symlinks=False):
                    folders.append(folder / entry.name)
                elif entry.is_file(follow_symlinks=False):
                    total_bytes += entry.stat(follow_symlinks=False).st_size
    return Survey(path, tuple(folders), total_bytes)


def build_content(found: Survey, take: Take, profile: Profile, emit: Emit) -> Link:
    """A nameless link to the content; blocks of directories go to `emit`.

    Raises as `take`, and ConflictError for folders that came meanwhile.
    """
    if not found.folders:
        (link,) = take([found.path])
        return link
    built: dict[Path, Link] = {}
    for folder in reversed(found.folders):
        links = list(_iter_links(folder, built, take, profile, emit))
        built[folder] = build_directory(links, profile, emit)
    return built[found.path]


def _iter_links(
    folder: Path, built: dict[Path, Link], take: Take, profile: Profile, emit: Emit
) -> Iterator[Link]:
    files: list[Path] = []
    for entry in _list_entries(folder):
        path = folder / entry.name
        if entry.is_symlink():
            yield _take_symlink(path, profile, emit)
        elif not entry.is_dir():
            files.append(path)
        elif path in built:
            yield _named(path, built.pop(path))
        else:
            msg = f"{path} was made while its folder was read"
            raise ConflictError(msg, hint="repeat when nothing writes there")
    for path, link in zip(files, take(files), strict=True):
        yield _named(path, link)


def _named(path: Path, link: Link) -> Link:
    return Link(path.name, link.cid, link.tsize)


def _take_symlink(path: Path, profile: Profile, emit: Emit) -> Link:
    with file_errors(path):
        target = os.fsencode(path.readlink())
    block = encode_node(Node(Kind.SYMLINK, data=target))
    cid = profile.node_cid(block)
    emit(cid, block)
    return Link(path.name, cid, len(block))


def _list_entries(folder: Path) -> list[os.DirEntry[str]]:
    with file_errors(folder), os.scandir(folder) as entries:
        return [entry for entry in entries if not entry.name.startswith(".")]
