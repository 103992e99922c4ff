"""The CID of a file or a folder, with nothing kept of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from etdb.identity import CID
from etdb.progress import Progress, Silent
from etdb.store.folder import build_content, survey
from etdb.store.hashing import Hasher
from etdb.store.unixfs import UNIXFS_V1_2025, Link, Profile

_SILENT = Silent()


@dataclass(frozen=True)
class Content:
    """A file, or a folder with all that is below it, under one CID.

    `new_files` were not known by their CIDs before.
    """

    cid: CID
    files: int
    new_files: int
    total_bytes: int


class Tally:
    """Counts files while the CID above them is not known yet."""

    def __init__(self) -> None:
        self._files = 0
        self._new_files = 0
        self._bytes = 0

    def count(self, size_bytes: int, *, is_new: bool) -> None:
        """One more file."""
        self._files += 1
        self._new_files += is_new
        self._bytes += size_bytes

    def content(self, cid: CID) -> Content:
        """All that was counted, under its CID."""
        return Content(cid, self._files, self._new_files, self._bytes)


def hash_path(
    path: Path,
    profile: Profile = UNIXFS_V1_2025,
    progress: Progress = _SILENT,
    threads: int = 2,
) -> Content:
    """The CID of a file or folder. Errors as `InPlaceStore.add`."""
    found = survey(path)
    tally, hasher = Tally(), Hasher(threads)

    def take(paths: Sequence[Path]) -> Iterator[Link]:
        for each in paths:
            root = hasher.hash_file(each, profile, progress).root
            tally.count(root.size_bytes, is_new=True)
            yield Link("", root.cid, root.tsize)

    progress.begin("hashing", found.total_bytes, "bytes")
    try:
        link = build_content(found, take, profile, _forget)
    finally:
        hasher.close()
        progress.end()
    return tally.content(link.cid)


def _forget(cid: CID, block: bytes) -> None:
    """Take a block that nobody will ask for."""
