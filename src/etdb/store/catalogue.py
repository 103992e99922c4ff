"""The store's SQLite file: which file holds which chunk.

Rows in, rows out; the files themselves are never touched here. Several
processes may have it open: WAL, short write transactions, readers that never
wait. The tables are in `etdb.store.schema`.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from etdb.errors import ConflictError, NotFoundError
from etdb.identity import CID
from etdb.store.hashing import Hashed
from etdb.store.openfiles import Stamp
from etdb.store.schema import sql_errors, verify_schema, write_schema
from etdb.store.unixfs import Profile, parse_node

BUSY_TIMEOUT_S = 30.0
_PAGE = 8


class State(StrEnum):
    """What was last seen of a file on disk."""

    PRESENT = "present"
    MISSING = "missing"
    """Not there; it is looked for again at every read, as disks come back."""
    CHANGED = "changed"
    """Other bytes than were hashed; nothing is read until the next import."""


@dataclass(frozen=True)
class StoredFile:
    """One row of `files`."""

    id: int
    path: Path
    chunk_bytes: int
    is_raw: bool
    stamp: Stamp
    root_bytes: bytes
    tsize: int
    state: State


_COLUMNS = (
    "f.id, f.path, f.chunk_bytes, f.is_raw, f.size_bytes, f.mtime_ns, f.ctime_ns,"
    " f.inode, f.root, f.tsize, f.state"
)


@dataclass(frozen=True)
class Place:
    """Where a block is: chunk `number` of a file, or `node` beside the file."""

    file: StoredFile
    number: int
    node: bytes | None


@dataclass(frozen=True)
class StoreStats:
    """How much a store holds; duplicates count as often as they are there."""

    files: int
    bytes: int
    stale_files: int
    chunks: int


class Catalogue:
    """The open SQLite file. Thread-safe; errors are ours."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._reader = self._connect(BUSY_TIMEOUT_S)
        self._writer = self._connect(BUSY_TIMEOUT_S)
        # Readers leave notes, and must not wait for an import to finish.
        self._marker = self._connect(0.0)
        self._read_lock = threading.Lock()
        self._write_lock = threading.Lock()
        self._mark_lock = threading.Lock()

    @classmethod
    def create(cls, path: Path) -> Catalogue:
        """Make a new file. Raises ConflictError where there is one."""
        if path.exists():
            msg = f"{path} is already there"
            raise ConflictError(msg)
        write_schema(path)
        return cls(path)

    @classmethod
    def open(cls, path: Path) -> Catalogue:
        """Open a file that `create` made.

        Raises NotFoundError, and BrokenIndexError for any other file.
        """
        if not path.exists():
            raise NotFoundError("store", path)
        catalogue = cls(path)
        try:
            verify_schema(path, catalogue._reader)
        except BaseException:
            catalogue.close()
            raise
        return catalogue

    def close(self) -> None:
        """Close the file; wait for a transaction that is under way."""
        with self._read_lock, self._write_lock, self._mark_lock:
            for connection in (self._reader, self._writer, self._marker):
                connection.close()

    def _connect(self, timeout_s: float) -> sqlite3.Connection:
        with sql_errors(self._path):
            connection = sqlite3.connect(
                self._path,
                timeout=timeout_s,
                isolation_level=None,
                check_same_thread=False,
            )
            # FULL: a record that is signed for ever must find its files again.
            connection.execute("PRAGMA synchronous = FULL")
        return connection

    def find_file(self, path: Path, profile: Profile) -> StoredFile | None:
        """The file at a path, as it was imported under a profile."""
        found = self._files("path = ? AND profile = ?", os.fsencode(path), profile.name)
        return found[0] if found else None

    def list_twins(self, stamp: Stamp, profile: Profile) -> list[StoredFile]:
        """Unchanged files whose stamp agrees but for the ctime."""
        return self._files(
            "inode = ? AND size_bytes = ? AND mtime_ns = ? AND profile = ?"
            " AND state <> 'changed'",
            stamp.inode,
            stamp.size_bytes,
            stamp.mtime_ns,
            profile.name,
        )

    def list_by_root(self, cid: CID) -> list[StoredFile]:
        """Files whose whole content has this CID."""
        return self._files("root = ? AND state <> 'changed'", cid.to_bytes())

    def list_stale(self) -> list[StoredFile]:
        """Files that were missing or changed when last looked at."""
        return self._files("state <> 'present' ORDER BY path")

    def stats(self) -> StoreStats:
        """Sums over all files."""
        (row,) = self._read(
            "SELECT count(*), coalesce(sum(size_bytes), 0),"
            " coalesce(sum(state <> 'present'), 0), coalesce(sum("
            " max(1, (size_bytes + chunk_bytes - 1) / chunk_bytes)), 0) FROM files"
        )
        return StoreStats(*row)

    def _files(self, condition: str, *values: object) -> list[StoredFile]:
        sql = f"SELECT {_COLUMNS} FROM files f WHERE {condition}"  # noqa: S608 - ours
        return [_parse_file(row) for row in self._read(sql, *values)]

    def iter_places(self, digest: bytes) -> Iterator[Place]:
        """Every place of a block in files not known to have changed.

        Read a few at a time: a blank chunk may be in every file there is.
        """
        for table, value in (("chunks", "t.number, NULL"), ("nodes", "0, t.block")):
            sql = (
                f"SELECT {value}, {_COLUMNS} FROM {table} t"  # noqa: S608 - ours
                " JOIN files f ON f.id = t.file_id WHERE t.digest = ?"
                " AND t.file_id > ? AND f.state <> 'changed'"
                f" ORDER BY t.file_id LIMIT {_PAGE}"
            )
            last = 0
            while rows := self._read(sql, digest, last):
                for number, block, *columns in rows:
                    yield Place(_parse_file(columns), number, block)
                    last = columns[0]

    def find_directory(self, digest: bytes) -> bytes | None:
        """The block of a directory or shard."""
        rows = self._read("SELECT block FROM directories WHERE digest = ?", digest)
        return rows[0][0] if rows else None

    def has_chunk(self, file: StoredFile, digest: bytes) -> bool:
        """Whether a file held a chunk when it was hashed."""
        sql = "SELECT 1 FROM chunks WHERE digest = ? AND file_id = ?"
        return bool(self._read(sql, digest, file.id))

    def save_files(
        self, files: Sequence[tuple[Path, Hashed]], profile: Profile
    ) -> None:
        """Keep what hashing gave, replacing what was at the same paths."""
        with self._writing() as db:
            for path, hashed in files:
                _delete_file(db, path, profile)
                _insert_file(db, path, profile, hashed)

    def save_directories(self, blocks: Sequence[tuple[CID, bytes]]) -> None:
        """Keep the blocks of directories."""
        with self._writing() as db:
            db.executemany(
                "INSERT OR IGNORE INTO directories VALUES (?, ?)",
                ((cid.digest, block) for cid, block in blocks),
            )

    def move(
        self, file: StoredFile, path: Path, profile: Profile, ctime_ns: int
    ) -> None:
        """Give a file that was found elsewhere its new path."""
        with self._writing() as db:
            _delete_file(db, path, profile)
            db.execute(
                "UPDATE files SET path = ?, ctime_ns = ?, state = 'present'"
                " WHERE id = ?",
                (os.fsencode(path), ctime_ns, file.id),
            )

    def mark(self, file: StoredFile, state: State) -> None:
        """Note what was seen of a file, unless it was imported or moved since.

        Raises UnavailableError at once while another process writes.
        """
        if file.state is state:
            return
        with self._mark_lock, sql_errors(self._path):
            self._marker.execute(
                "UPDATE files SET state = ? WHERE id = ? AND path = ?",
                (state, file.id, os.fsencode(file.path)),
            )

    def _read(self, sql: str, *values: object) -> list[Any]:
        with self._read_lock, sql_errors(self._path):
            return self._reader.execute(sql, values).fetchall()

    @contextlib.contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        with self._write_lock, sql_errors(self._path):
            self._writer.execute("BEGIN IMMEDIATE")
            try:
                yield self._writer
                self._writer.execute("COMMIT")
            except BaseException:
                if self._writer.in_transaction:
                    self._writer.execute("ROLLBACK")
                raise


def _parse_file(row: Sequence[Any]) -> StoredFile:
    file_id, path, chunk_bytes, is_raw, size, mtime, ctime, inode = row[:8]
    root, tsize, state = row[8:]
    return StoredFile(
        id=file_id,
        path=Path(os.fsdecode(path)),
        chunk_bytes=chunk_bytes,
        is_raw=bool(is_raw),
        stamp=Stamp(size, mtime, ctime, inode),
        root_bytes=root,
        tsize=tsize,
        state=State(state),
    )


def _delete_file(db: sqlite3.Connection, path: Path, profile: Profile) -> None:
    row = db.execute(
        "SELECT id, root FROM files WHERE path = ? AND profile = ?",
        (os.fsencode(path), profile.name),
    ).fetchone()
    if row is None:
        return
    file_id, root = row
    blocks = dict(
        db.execute("SELECT digest, block FROM nodes WHERE file_id = ?", (file_id,))
    )
    # Its nodes list its chunks: no index of chunks by file is needed.
    linked = {
        link.cid.digest for block in blocks.values() for link in parse_node(block).links
    }
    digests = linked - blocks.keys() if blocks else {CID.from_bytes(root).digest}
    db.executemany(
        "DELETE FROM chunks WHERE digest = ? AND file_id = ?",
        ((digest, file_id) for digest in digests),
    )
    db.execute("DELETE FROM nodes WHERE file_id = ?", (file_id,))
    db.execute("DELETE FROM files WHERE id = ?", (file_id,))


def _insert_file(
    db: sqlite3.Connection, path: Path, profile: Profile, hashed: Hashed
) -> None:
    stamp = hashed.stamp
    file_id = db.execute(
        "INSERT INTO files (path, profile, chunk_bytes, is_raw, size_bytes, mtime_ns,"
        " ctime_ns, inode, root, tsize) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            os.fsencode(path),
            profile.name,
            profile.chunk_bytes,
            profile.raw_leaves,
            stamp.size_bytes,
            stamp.mtime_ns,
            stamp.ctime_ns,
            stamp.inode,
            hashed.root.cid.to_bytes(),
            hashed.root.tsize,
        ),
    ).lastrowid
    db.executemany(
        "INSERT OR IGNORE INTO chunks VALUES (?, ?, ?)",
        ((digest, file_id, n) for n, digest in enumerate(hashed.iter_digests())),
    )
    db.executemany(
        "INSERT INTO nodes VALUES (?, ?, ?)",
        ((file_id, digest, block) for digest, block in hashed.nodes),
    )
