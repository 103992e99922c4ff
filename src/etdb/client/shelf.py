"""The folder of an `etdb-downloads`: DIR/<location>/<display name>.

Beside the files stand `metadata.json` and the manifest, a line for each file
that is whole. The manifest is the original's, and so may have been written by
it, which checked nothing: what it lists is hashed before it is believed.
"""

from __future__ import annotations

import contextlib
import json
import os
import threading
import unicodedata
from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from etdb import durable
from etdb.client.folder import find_stat, folded
from etdb.client.remote import File
from etdb.client.saving import FilePlace, save_unless_there
from etdb.durable import disk_errors
from etdb.errors import ConflictError
from etdb.identity import CID

MANIFEST = ".etdb-downloads.manifest.txt"
METADATA = "metadata.json"
MAX_NAME_BYTES = 200
MAX_MANIFEST_BYTES = 256 * 1024 * 1024


@dataclass(frozen=True)
class Item:
    """One file, and where on the shelf it belongs."""

    location: str
    name: str
    file: File

    @property
    def line(self) -> str:
        """What the manifest says of it."""
        escaped = self.file.name.replace("\\", "\\\\")
        escaped = escaped.replace("\n", "\\n").replace("\r", "\\r")
        return f"{self.location} : {escaped}"


class Shelf:
    """A folder, made when it is first written to; `fetch` by any thread."""

    def __init__(self, path: Path, connections: int | None = None) -> None:
        """`connections`: to each source for each file; None is as many as it likes."""
        self.path = path
        self._connections = connections
        self._lock = threading.Lock()
        self._listed = _read_lines(path / MANIFEST)
        self._placed: dict[str, dict[str, str]] = {}
        """By location, the name of each file on the shelf, and its own name."""

    def place(self, location: str, files: Sequence[File]) -> list[Item]:
        """A name for each file of a record, safe and its alone.

        It is the display name where that is one and no other file has it. A
        file that another record has placed there already is left out.
        """
        # Listed under its CID's one spelling, so that no text makes a folder.
        folder = str(CID.parse(location))
        placed = self._placed.setdefault(folder, {})
        items = []
        for file in files:
            if file.name in placed.values():
                continue
            name = _own_name(file, placed)
            placed[folded(name)] = file.name
            items.append(Item(folder, name, file))
        return items

    def is_listed(self, item: Item) -> bool:
        """Whether the manifest says that it was fetched, and a file stands there."""
        place = self.path / item.location / item.name
        return item.line in self._listed and place.is_file()

    def missing_bytes(self, items: Sequence[Item]) -> int:
        """How much of these is on no disk yet, as far as sizes tell."""
        missing = 0
        for item in items:
            place = FilePlace(self.path / item.location / item.name, item.file.content)
            found = find_stat(place.path)
            if found is None or found.st_size != item.file.size_bytes:
                half = find_stat(place.partial)
                there = 0 if half is None else half.st_blocks * 512
                missing += max(0, item.file.size_bytes - there)
        return missing

    @contextlib.contextmanager
    def claimed(self) -> Iterator[None]:
        """Make the folder and hold it. Raises ConflictError where another does."""
        with disk_errors(self.path):
            self.path.mkdir(parents=True, exist_ok=True)
        with durable.lock(self.path / ".etdb-downloads.lock", "etdb-downloads"):
            yield

    def write_metadata(self, records: Sequence[dict[str, Any]]) -> None:
        """Keep the selected records beside their files."""
        data = json.dumps(list(records), ensure_ascii=False, indent=1)
        durable.write_bytes(self.path / METADATA, data.encode("utf-8", "replace"))

    def fetch(self, item: Item) -> str:
        """Have the file whole and right in its place: "done" or "present".

        Raises ConflictError where another file stands there that the manifest
        does not list, and what `save_unless_there` raises.
        """
        folder = self.path / item.location
        with disk_errors(folder):
            folder.mkdir(exist_ok=True)
        place = folder / item.name
        if folder.is_symlink():
            msg = f"something else is in the way of {str(folder)!r}"
            raise ConflictError(msg, hint="move it away, then repeat")
        is_new = save_unless_there(
            item.file.supply,
            item.file.content,
            place,
            may_mend=item.line in self._listed,
            connections=self._connections,
        )
        self._list(item)
        return "done" if is_new else "present"

    def _list(self, item: Item) -> None:
        with self._lock:
            if item.line in self._listed:
                return
            path = self.path / MANIFEST
            flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW
            with disk_errors(path):
                handle = os.open(path, flags | os.O_CLOEXEC, 0o644)
                try:
                    os.write(handle, f"{item.line}\n".encode("utf-8", "replace"))
                finally:
                    os.close(handle)
            self._listed.add(item.line)


def _read_lines(path: Path) -> set[str]:
    with disk_errors(path, "read"):
        try:
            with path.open("rb") as file:
                data = file.read(MAX_MANIFEST_BYTES)
        except FileNotFoundError:
            return set()
        except NotADirectoryError:
            msg = f"{str(path.parent)!r} should be a folder and is a file"
            raise ConflictError(msg, hint="choose another --directory") from None
    # What follows the last line's end was cut off by a crash.
    return {line.rstrip("\r") for line in data.decode("utf-8", "replace").split("\n")}


def _own_name(file: File, taken: Container[str]) -> str:
    """The first of its names that is safe and free."""
    last = file.name.rpartition("/")[2]
    for name in (file.display_name or last, last):
        if _is_safe(name) and folded(name) not in taken:
            return name
    safe = "".join(c if _is_plain(c) else "_" for c in file.name)
    stem = _cut(safe.lstrip(".") or "file", MAX_NAME_BYTES - 20)
    number = 1
    while folded(name := f"{number}-{stem}") in taken:
        number += 1
    return name


def _is_safe(name: str) -> bool:
    is_short = 0 < len(name.encode("utf-8", "replace")) <= MAX_NAME_BYTES
    return (
        is_short
        and not name.startswith(".")
        and name == name.strip()
        and not name.endswith(".")
        and all(map(_is_plain, name))
    )


def _is_plain(character: str) -> bool:
    """Neither a separator on any system nor invisible."""
    return character not in '/\\:*?"<>|' and unicodedata.category(character)[0] != "C"


def _cut(text: str, limit_bytes: int) -> str:
    return text.encode("utf-8")[-limit_bytes:].decode("utf-8", "ignore")
