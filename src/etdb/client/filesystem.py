"""`etdb://ID/path` for fsspec: a record's files as a file system to read from.

    import fsspec

    with fsspec.open("etdb://3f2a9c41/rec/tomogram.mrc",
                     node="https://etdb.example.org") as file:
        header = file.read(1024)

`node` is the node to ask; fsspec also takes it from the environment, as
FSSPEC_ETDB_NODE. Every byte is verified as by `File.open`. Needs the extra
`etdb[fsspec]`.
"""

from __future__ import annotations

import io
from typing import Any

from fsspec.spec import AbstractFileSystem  # type: ignore[import-untyped]

from etdb.client.remote import Client, File, Record
from etdb.errors import NotFoundError


class EtdbFileSystem(AbstractFileSystem):  # type: ignore[misc]  # untyped
    """Read-only; the first part of a path is a record's id, or its beginning.

    What is not there is FileNotFoundError, as everywhere in fsspec; every
    other failure is an `EtdbError`.
    """

    protocol = "etdb"
    root_marker = ""

    def __init__(self, node: str, **options: Any) -> None:
        super().__init__(node=node, **options)
        self._client = Client(node)
        self._records: dict[str, Record] = {}

    def ls(self, path: str, detail: bool = True, **_: Any) -> list[Any]:
        """What stands in a folder; FileNotFoundError where there is none."""
        record_id, name = self._split(path)
        found = self._entries(record_id, name)
        if not found:
            raise FileNotFoundError(path)
        entries = [found[key] for key in sorted(found)]
        return entries if detail else [entry["name"] for entry in entries]

    def info(self, path: str, **_: Any) -> dict[str, Any]:
        """Of a file its name, size, role and CID; of a folder its name."""
        record_id, name = self._split(path)
        file = self._find(record_id, name)
        if file is not None:
            return _file_entry(record_id, file)
        if not self._entries(record_id, name):
            raise FileNotFoundError(path)
        return _folder_entry(f"{record_id}/{name}".rstrip("/"))

    def cat_file(
        self, path: str, start: int | None = None, end: int | None = None, **_: Any
    ) -> bytes:
        """The bytes of a file from `start` to `end`; less than 0 is from its end."""
        with self._open(path) as file:
            size = file.seek(0, io.SEEK_END)
            first, last, _step = slice(start, end).indices(size)
            file.seek(first)
            return bytes(file.read(max(0, last - first)))

    def _open(self, path: str, mode: str = "rb", **_: Any) -> io.BufferedReader:
        if mode != "rb":
            msg = "records cannot be written to"
            raise OSError(msg)
        file = self._find(*self._split(path))
        if file is None:
            raise FileNotFoundError(path)
        return file.open()

    def _split(self, path: str) -> tuple[str, str]:
        record_id, _, name = self._strip_protocol(path).strip("/").partition("/")
        if not record_id:
            msg = "etdb:// must be followed by a record's id"
            raise FileNotFoundError(msg)
        return record_id, name

    def _files(self, record_id: str) -> tuple[File, ...]:
        if record_id not in self._records:
            try:
                self._records[record_id] = self._client.get_record(record_id)
            except NotFoundError as exc:
                raise FileNotFoundError(str(exc)) from exc
        return self._records[record_id].files

    def _find(self, record_id: str, name: str) -> File | None:
        return next((f for f in self._files(record_id) if f.name == name), None)

    def _entries(self, record_id: str, name: str) -> dict[str, dict[str, Any]]:
        """What stands in a folder, or the file of that name."""
        prefix = f"{name}/" if name else ""
        found: dict[str, dict[str, Any]] = {}
        for file in self._files(record_id):
            if file.name == name:
                return {name: _file_entry(record_id, file)}
            if not file.name.startswith(prefix):
                continue
            part, _, below = file.name[len(prefix) :].partition("/")
            full = f"{record_id}/{prefix}{part}"
            found[part] = _folder_entry(full) if below else _file_entry(record_id, file)
        return found


def _file_entry(record_id: str, file: File) -> dict[str, Any]:
    return {
        "name": f"{record_id}/{file.name}",
        "size": file.size_bytes,
        "type": "file",
        "role": file.role,
        "cid": file.cid,
    }


def _folder_entry(name: str) -> dict[str, Any]:
    return {"name": name, "size": 0, "type": "directory"}
