"""The folder a dataset is downloaded into, and what etdb keeps in it.

Files stand under the names the dataset gives them and nowhere else: no name,
and no symbolic link found on the way, leads out of the folder. `.etdb/` holds
the record, the blocks that describe the dataset, and files not yet whole.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import stat
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from etdb import durable
from etdb.durable import disk_errors
from etdb.errors import (
    ConflictError,
    InvalidDataError,
    NotFoundError,
    UnavailableError,
)

STATE_FOLDER = ".etdb"
MAX_RECORD_BYTES = 32 * 1024 * 1024


@dataclass(frozen=True)
class Kept:
    """What `.etdb/record.json` says: the record, and which files were wanted."""

    record: dict[str, Any]
    include: tuple[str, ...]
    """Globs of every `get` into this folder; empty means all files."""


@dataclass(frozen=True)
class Folder:
    """A target folder."""

    path: Path

    @property
    def state(self) -> Path:
        """Where etdb keeps what is its own."""
        return self.path / STATE_FOLDER

    @property
    def blocks(self) -> Path:
        """Where the dataset's describing blocks are kept."""
        return self.state / "dag"

    def partial(self, name: str) -> Path:
        """Where a file is built until it is whole and verified."""
        digest = hashlib.sha256(name.encode("utf-8")).hexdigest()
        return self.state / "partial" / digest[:32]

    @contextlib.contextmanager
    def claimed(self) -> Iterator[None]:
        """Make the folder and hold it; one `get` at a time writes into it.

        Raises ConflictError naming the holder, UnavailableError.
        """
        lock = self.state / "lock"
        with contextlib.ExitStack() as held:
            with disk_errors(self.path):
                self.path.mkdir(parents=True, exist_ok=True)
                for folder in (self.state, self.blocks, self.state / "partial"):
                    _make_folder(folder)
                if lock.is_symlink():
                    raise _in_the_way(lock, "a file")
                held.enter_context(durable.lock(lock, "etdb get"))
            yield

    def place(self, name: str) -> Path:
        """Where a file of the dataset stands.

        Raises InvalidDataError for a name that would leave the folder or
        reach `.etdb`, ConflictError where something else is in the way.
        """
        verify_name(name)
        path = self.path
        for part in name.split("/")[:-1]:
            path = path / part
            mode = find_mode(path)
            if mode is not None and not stat.S_ISDIR(mode):
                raise _in_the_way(path, "a folder")
        path = self.path / name
        mode = find_mode(path)
        if mode is not None and not stat.S_ISREG(mode):
            raise _in_the_way(path, "a file")
        return path

    def make_place(self, name: str) -> Path:
        """As `place`, with the folders above the file made."""
        place = self.place(name)
        with disk_errors(place):
            place.parent.mkdir(parents=True, exist_ok=True)
        return place

    def load(self) -> Kept:
        """What an earlier `get` kept. Raises NotFoundError, InvalidDataError."""
        path = self.state / "record.json"
        try:
            with path.open("rb") as file:
                data = file.read(MAX_RECORD_BYTES)
        except FileNotFoundError:
            hint = "only folders made by `etdb get` can be verified"
            raise NotFoundError("download in", self.path, hint=hint) from None
        except NotADirectoryError:
            raise _in_the_way(self.path, "a folder") from None
        except OSError as exc:
            msg = f"cannot read {path}: {exc.strerror}"
            raise UnavailableError(msg) from exc
        try:
            kept = json.loads(data)
            return Kept(dict(kept["record"]), tuple(map(str, kept["include"])))
        except (ValueError, TypeError, KeyError, RecursionError) as exc:
            msg = f"{path} is damaged"
            raise InvalidDataError(msg, hint="repeat `etdb get`") from exc

    def folds_names(self) -> bool:
        """Whether the disk takes names for one that differ in case or accents' form.

        Asked of the folder's own state, which must be there.
        """
        probe = self.state / "Ä-probe"
        others = ("ä-probe", unicodedata.normalize("NFD", probe.name))
        with disk_errors(probe):
            probe.touch()
            try:
                return any((self.state / other).exists() for other in others)
            finally:
                probe.unlink()

    def has_download(self) -> bool:
        """Whether an earlier `get` has begun to write into this folder."""
        return (self.state / "record.json").is_file()

    def save(self, record: Mapping[str, Any], include: Sequence[str]) -> None:
        """Keep the record, and which of its files were asked for in all.

        Raises ConflictError where the folder holds another record.
        """
        try:
            kept = self.load()
        except (NotFoundError, InvalidDataError):
            kept = Kept(dict(record), tuple(include))
        if kept.record.get("id") != record.get("id"):
            msg = f"{self.path} holds record {kept.record.get('id')}"
            raise ConflictError(msg, hint="choose another folder")
        wanted = sorted({*kept.include, *include}) if kept.include and include else []
        data = json.dumps({"record": dict(record), "include": wanted}, indent=1)
        durable.write_bytes(self.state / "record.json", data.encode("utf-8"))

    def iter_names(self) -> Iterator[str]:
        """Every file and link on disk, by its posix name, without `.etdb`."""
        for parent, folders, files in os.walk(self.path):
            here = Path(parent)
            if here == self.path and STATE_FOLDER in folders:
                folders.remove(STATE_FOLDER)
            links = [name for name in folders if (here / name).is_symlink()]
            for name in sorted(files + links):
                yield (here / name).relative_to(self.path).as_posix()


def verify_name(name: str) -> None:
    """Raises InvalidDataError unless the name stays inside, outside `.etdb`."""
    parts = name.split("/")
    if (
        "\0" in name
        or any(part in {"", ".", ".."} for part in parts)
        or parts[0].casefold() == STATE_FOLDER
    ):
        msg = f"a dataset may not name a file {name!r}"
        raise InvalidDataError(msg)


def folded(name: str) -> str:
    """Equal for names that some file system takes for one."""
    return unicodedata.normalize("NFKC", name).casefold()


def find_mode(path: Path) -> int | None:
    """The mode of what stands at a path, links not followed; None if nothing."""
    found = find_stat(path)
    return None if found is None else found.st_mode


def find_stat(path: Path) -> os.stat_result | None:
    """What the disk says of a path, links not followed; None if nothing is there."""
    with disk_errors(path):
        try:
            return path.lstat()
        except (FileNotFoundError, NotADirectoryError):
            return None


def _make_folder(path: Path) -> None:
    path.mkdir(exist_ok=True)
    if path.is_symlink():
        raise _in_the_way(path, "a folder")


def _in_the_way(path: Path, wanted: str) -> ConflictError:
    what = "a symbolic link" if path.is_symlink() else "something else"
    msg = f"{str(path)!r} should be {wanted} and is {what}"
    return ConflictError(msg, hint="move it away, then repeat")
