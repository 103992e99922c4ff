"""The store over a lab's own disks: files are read where they lie.

Nothing is copied, moved or changed. Importing reads a file once and keeps its
digests; serving reads the chunk from the file and hashes it again, every time.
A file that is no longer what was hashed is stale: its blocks are not found
until it is imported again.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Self

from etdb.errors import (
    ConflictError,
    DamagedFileError,
    NotFoundError,
    UnavailableError,
)
from etdb.identity import CID, DAG_PB, IDENTITY, SHA2_256
from etdb.progress import Progress, Silent
from etdb.store.ahead import Chunk, ReadAhead
from etdb.store.catalogue import Catalogue, Place, State, StoredFile, StoreStats
from etdb.store.check import Check, Pace, Report
from etdb.store.content import Content, Tally
from etdb.store.directory import build_tree, verify_paths
from etdb.store.folder import build_content, survey
from etdb.store.importer import BATCH_FILES, Added, Disk, Importer
from etdb.store.located import MAX_LOCATED, Located
from etdb.store.openfiles import OpenFiles, changed, is_unchanged, stamp_of
from etdb.store.pieces import Unfinished
from etdb.store.unixfs import (
    UNIXFS_V1_2025,
    Link,
    Profile,
    chunk_block,
    parse_node,
)

__all__ = [
    "Added",
    "Content",
    "Disk",
    "Held",
    "InPlaceStore",
    "Pace",
    "Report",
    "State",
    "StoreStats",
    "StoredFile",
    "Tree",
]

_SILENT = Silent()
_DISK = Disk()


@dataclass(frozen=True)
class Tree:
    """An imported tree: its directory's CID and its files by their names."""

    root: CID
    files: Mapping[str, Added]
    total_bytes: int


@dataclass(frozen=True)
class Held:
    """What the store knows by one path or CID."""

    files: tuple[StoredFile, ...]
    directories: tuple[bytes, ...]
    """The digests of the directories' blocks."""
    unfinished: tuple[Unfinished, ...] = ()
    """Files there whose import was stopped; nothing is served of these."""


class InPlaceStore:
    """Files by CID, from where they lie. Thread-safe; a context manager.

    Several processes may have one store open.
    """

    def __init__(self, catalogue: Catalogue, disk: Disk) -> None:
        self._catalogue = catalogue
        self._disk = disk
        self._open_files = OpenFiles()
        self._ahead = ReadAhead(self._read_chunk)

    @classmethod
    def create(cls, path: Path, disk: Disk = _DISK) -> Self:
        """Make an empty store in a new SQLite file.

        Raises ConflictError where there is a file, UnavailableError where the
        disk refuses.
        """
        return cls(Catalogue.create(path), disk)

    @classmethod
    def open(cls, path: Path, disk: Disk = _DISK) -> Self:
        """Open a store that `create` made.

        Raises NotFoundError, and DamagedFileError for a file that is no store.
        """
        return cls(Catalogue.open(path), disk)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the SQLite file and every open file."""
        self._ahead.close()
        self._open_files.close()
        self._catalogue.close()

    def add_file(
        self,
        path: Path,
        *,
        profile: Profile = UNIXFS_V1_2025,
        progress: Progress = _SILENT,
        threads: int = 2,
    ) -> Added:
        """Import one file; nothing is read if it is known and unchanged.

        On return its digests are on disk. Raises ConflictError naming the file
        if it changes meanwhile, NotFoundError, InvalidDataError for what is no
        regular file, UnavailableError for what cannot be read or kept.
        """
        return self._import({"": path}, profile, progress, threads)[""]

    def add_tree(
        self,
        files: Mapping[str, Path],
        *,
        profile: Profile = UNIXFS_V1_2025,
        progress: Progress = _SILENT,
        threads: int = 2,
    ) -> Tree:
        """Import files and keep the directory of them under the given names.

        Names are relative with "/" between folders, and need not be the
        files' own. Files already hashed stay so if a later one fails. Errors
        as `add_file`, and InvalidDataError for an unfit name.
        """
        verify_paths(files)
        added = self._import(files, profile, progress, threads)
        blocks: list[tuple[CID, bytes]] = []
        root = build_tree(
            {name: Link("", file.cid, file.tsize) for name, file in added.items()},
            profile,
            lambda cid, block: blocks.append((cid, block)),
        )
        self._catalogue.save_directories(blocks)
        return Tree(root.cid, added, sum(file.size_bytes for file in added.values()))

    def add(
        self,
        path: Path,
        *,
        profile: Profile = UNIXFS_V1_2025,
        progress: Progress = _SILENT,
        threads: int = 2,
    ) -> Content:
        """Import a file or a whole folder as it is, but for names with a dot first.

        Folders of any number of files take the memory of the largest one's
        list. What was hashed before an error stays known. Errors as `add_file`.
        """
        found = survey(path.absolute())
        tally = Tally()
        blocks: list[tuple[CID, bytes]] = []

        def emit(cid: CID, block: bytes) -> None:
            blocks.append((cid, block))
            if len(blocks) == BATCH_FILES:
                self._save_directories(blocks)

        progress.begin("hashing", found.total_bytes, "bytes")
        try:
            with Importer(
                self._catalogue, self._disk, profile, progress, threads
            ) as importer:

                def take(paths: Sequence[Path]) -> Iterator[Link]:
                    for file in importer.add_all(paths):
                        tally.count(file.size_bytes, is_new=file.is_new)
                        yield Link("", file.cid, file.tsize)

                link = build_content(found, take, profile, emit)
        finally:
            progress.end()
        self._save_directories(blocks)
        return tally.content(link.cid)

    def get_block(self, cid: CID, known: Place | None = None) -> bytes:
        """The block, hashed again; the place that is known is tried first.

        Raises NotFoundError, also where the file it was in has changed, and
        UnavailableError where that file cannot be read just now.
        """
        if cid.hash_code == IDENTITY:
            return cid.digest
        trouble: UnavailableError | None = None
        for place in self._iter_places(cid, known):
            try:
                return self._read(place, cid, is_alone=known is None)
            except NotFoundError:
                self._mark(place.file, State.MISSING)
            except ConflictError:
                self._mark(place.file, State.CHANGED)
            except UnavailableError as exc:
                trouble = exc
        if trouble is not None:
            raise trouble
        return self._get_directory(cid)

    def find_ready(self, cid: CID) -> bytes | None:
        """The block, if it was read ahead and hashed just now; waits for no disk."""
        return self._ahead.find(cid.digest) if cid.hash_code == SHA2_256 else None

    def locate(self, cids: Sequence[CID]) -> Located:
        """The store with these blocks looked up: one by one costs half a hash each."""
        digests = dict.fromkeys(cid.digest for cid in cids)
        some = [*islice(digests, MAX_LOCATED)]
        return Located(self.get_block, self._catalogue.find_chunks(some))

    def has(self, cid: CID) -> bool:
        """Whether `get_block` would look for it on disk; the disk is not asked."""
        if cid.hash_code == IDENTITY:
            return True
        if next(self._iter_places(cid), None) is not None:
            return True
        return self._catalogue.find_directory(cid.digest) is not None

    def path_of(self, cid: CID) -> Path | None:
        """Where a whole file of this CID lies, if it is unchanged."""
        for file in self._catalogue.list_by_root(cid):
            with contextlib.suppress(NotFoundError, ConflictError, UnavailableError):
                _verify_unchanged(file)
                return file.path
        return None

    def stats(self) -> StoreStats:
        """How much the store holds."""
        return self._catalogue.stats()

    def list_stale(self) -> list[Path]:
        """Files that were missing or changed when last asked for."""
        return [file.path for file in self._catalogue.list_stale()]

    def iter_files(self) -> Iterator[StoredFile]:
        """Every file that is known, in the order of import."""
        return self._catalogue.iter_files()

    def find_held(self, what: Path | CID) -> Held:
        """The files at or below a path, or those that a CID names.

        Of a directory's CID these are all files in it, wherever they lie.
        """
        if isinstance(what, Path):
            path = what.absolute()
            unfinished = tuple(self._catalogue.list_unfinished(path))
            return Held(tuple(self._catalogue.list_below(path)), (), unfinished)
        files: dict[int, StoredFile] = {}
        directories: dict[bytes, None] = {}
        waiting = [what]
        while waiting:
            cid = waiting.pop()
            block = None
            if cid.codec == DAG_PB and cid.digest not in directories:
                block = self._catalogue.find_directory(cid.digest)
            if block is not None:
                directories[cid.digest] = None
                waiting += [link.cid for link in parse_node(block).links]
            else:
                found = self._catalogue.list_by_root(cid, is_served=False)
                files |= {file.id: file for file in found}
        return Held(tuple(files.values()), tuple(directories))

    def forget(self, held: Held) -> None:
        """Know no longer of these files; they stay as they are on disk."""
        self._catalogue.forget(held.files, held.directories, held.unfinished)

    def check(
        self,
        *,
        pace: Pace | None = None,
        is_resumed: bool = False,
        progress: Progress = _SILENT,
    ) -> Report:
        """Hash every file again, and note which are no longer what they were.

        An interrupted check leaves its place, from which one that is resumed
        goes on.
        """
        read_into = self._disk.read_into
        check = Check(self._catalogue, read_into, pace or Pace(), progress)
        return check.run(is_resumed=is_resumed)

    def _iter_places(self, cid: CID, known: Place | None = None) -> Iterator[Place]:
        if cid.hash_code != SHA2_256:
            return iter(())
        return chain(filter(None, [known]), self._catalogue.iter_places(cid.digest))

    def _read(self, place: Place, cid: CID, *, is_alone: bool) -> bytes:
        """The block there; one that `is_alone` may be followed by its neighbour."""
        file = place.file
        if place.node is not None:
            _verify_unchanged(file)
            block = place.node
            _verify_kept(cid, block)
        else:
            read = self._ahead.read if is_alone else self._read_chunk
            chunk = read(file, place.number)
            if chunk.digest != cid.digest:
                raise changed(file.path)
            block = chunk.block
        self._mark(file, State.PRESENT)
        return block

    def _read_chunk(self, file: StoredFile, number: int) -> Chunk:
        offset = number * file.chunk_bytes
        size = min(file.chunk_bytes, file.stamp.size_bytes - offset)
        data = self._open_files.read(file.path, file.stamp, offset, size)
        block = chunk_block(data, is_raw=file.is_raw)
        return Chunk(block, hashlib.sha256(block).digest())

    def _get_directory(self, cid: CID) -> bytes:
        block = self._catalogue.find_directory(cid.digest)
        if block is None:
            raise NotFoundError("chunk", cid)
        _verify_kept(cid, block)
        return block

    def _save_directories(self, blocks: list[tuple[CID, bytes]]) -> None:
        self._catalogue.save_directories(blocks)
        blocks.clear()

    def _mark(self, file: StoredFile, state: State) -> None:
        # The answer does not depend on the note: the next read sees it again.
        with contextlib.suppress(UnavailableError):
            self._catalogue.mark(file, state)

    def _import(
        self,
        files: Mapping[str, Path],
        profile: Profile,
        progress: Progress,
        threads: int,
    ) -> dict[str, Added]:
        paths = {name: path.absolute() for name, path in files.items()}
        seen = {path: stamp_of(path) for path in paths.values()}
        total_bytes = sum(seen[path].size_bytes for path in paths.values())
        progress.begin("hashing", total_bytes, "bytes")
        try:
            with Importer(
                self._catalogue, self._disk, profile, progress, threads
            ) as importer:
                added = importer.add_all(paths.values(), seen)
                return dict(zip(paths, added, strict=True))
        finally:
            progress.end()


def _verify_unchanged(file: StoredFile) -> None:
    if not is_unchanged(file.path, file.stamp):
        raise changed(file.path)


def _verify_kept(cid: CID, block: bytes) -> None:
    if hashlib.sha256(block).digest() != cid.digest:
        msg = f"the store holds other bytes for {cid}"
        raise DamagedFileError(
            msg, hint="move store.sqlite away and publish again: files are read anew"
        )
