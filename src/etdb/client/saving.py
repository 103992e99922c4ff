"""One file of a dataset, fetched to any path on disk.

Built beside its place, every chunk hashed before it is written; it gets its
name when it is whole and on disk. What a stopped call left behind is hashed
again and gone on with. Whole records are `etdb.client.download`'s.
"""

from __future__ import annotations

import hashlib
import stat
from dataclasses import dataclass
from pathlib import Path

from etdb.client.content import DatasetFile
from etdb.client.dag import Dag
from etdb.client.download import verify_room
from etdb.client.folder import find_mode
from etdb.client.look import liars_of
from etdb.client.partial import PartialFile, State
from etdb.client.supply import Supply
from etdb.client.transfer import Transfer
from etdb.errors import ConflictError
from etdb.progress import Progress, Silent


@dataclass(frozen=True)
class FilePlace:
    """A path of somebody's choice; the file is built beside it."""

    path: Path
    file: DatasetFile

    @property
    def partial(self) -> Path:
        """One for each file that is to stand at each path."""
        whose = hashlib.sha256(
            f"{self.file.cid.to_v1()} {self.path.name}".encode(
                "utf-8", "surrogateescape"
            )
        ).hexdigest()
        return self.path.with_name(f".etdb-{whose[:32]}.part")

    def find(self) -> Path:
        """Raises ConflictError where it is neither free nor a plain file."""
        mode = find_mode(self.path)
        if mode is not None and not stat.S_ISREG(mode):
            msg = f"something else is in the way of {str(self.path)!r}"
            raise ConflictError(msg, hint="move it away, then repeat")
        return self.path

    def make(self) -> Path:
        """What stands there is replaced; the folder is the caller's."""
        return self.path


def save(
    supply: Supply,
    file: DatasetFile,
    path: Path,
    progress: Progress | None = None,
) -> None:
    """Fetch a file; what stands at the path is replaced when it is whole.

    Raises ContentMismatchError, NotFoundError, UnavailableError (also where
    the disk refuses), and then nothing at the path has changed.
    """
    dag = Dag(None, supply.sources, supply.liars)
    _fetch(supply, dag, PartialFile(FilePlace(path, file), file), progress)


def save_unless_there(
    supply: Supply,
    file: DatasetFile,
    path: Path,
    *,
    may_mend: bool,
    connections: int | None = None,
) -> bool:
    """As `save`; a file that is there and right is kept, and False is returned.

    Of a wrong one what is right is not fetched again. `connections` are those
    to each source, as of `Transfer`. Raises ConflictError where it is not to be
    mended.
    """
    dag = Dag(None, supply.sources, supply.liars)
    partial = PartialFile(FilePlace(path, file), file)
    standing = partial.find_standing()
    if standing is not None:
        partial.check_standing(dag, standing, Silent(), may_mend=may_mend)
    if partial.is_foreign:
        msg = f"{str(path)!r} is another file, of somebody's own"
        raise ConflictError(msg, hint="move it away, then repeat")
    if partial.state is State.PRESENT:
        return False
    _fetch(supply, dag, partial, connections=connections)
    return True


def _fetch(
    supply: Supply,
    dag: Dag,
    partial: PartialFile,
    progress: Progress | None = None,
    connections: int | None = None,
) -> None:
    if partial.error is None:
        verify_room(partial.path.parent, [partial])
        progress = progress or Silent()
        progress.begin(
            f"fetching {partial.file.name}", partial.file.size_bytes, "bytes"
        )
        try:
            transfer = Transfer(dag, [partial], supply.sources, progress, connections)
            given = transfer.run()
        finally:
            progress.end()
        supply.liars.update(liars_of(given))
    if partial.error is not None:
        raise partial.error
