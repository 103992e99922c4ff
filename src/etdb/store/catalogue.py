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
from pathlib import Path
from typing import Any

from etdb.errors import ConflictError, NotFoundError
from etdb.identity import CID
from etdb.store import pieces, rows
from etdb.store.hashing import Hashed
from etdb.store.pieces import Piece, Unfinished
from etdb.store.rows import COLUMNS, Move, State, StoredFile, parse_file
from etdb.store.schema import prepare_schema, sql_errors, write_schema
from etdb.store.unixfs import Profile

__all__ = [
    "Catalogue",
    "Move",
    "Place",
    "Position",
    "State",
    "StoreStats",
    "StoredFile",
]

BUSY_TIMEOUT_S = 30.0
_PAGE = 8
_FILES_PAGE = 256


_PLACES = tuple(
    f"SELECT {value}, {COLUMNS} FROM {table} t"  # noqa: S608 - ours
    " JOIN files f ON f.id = t.file_id WHERE t.digest = ?"
    " AND t.file_id > ? AND f.state <> 'changed'"
    f" ORDER BY t.file_id LIMIT {_PAGE}"
    for table, value in (("chunks", "t.number, NULL"), ("nodes", "0, t.block"))
)
_FIRST_PLACES = (
    f"SELECT t.digest, t.number, {COLUMNS} FROM wanted"  # noqa: S608 - ours
    " JOIN chunks t ON t.digest = wanted.digest AND t.file_id ="
    " (SELECT min(c.file_id) FROM chunks c WHERE c.digest = wanted.digest)"
    " JOIN files f ON f.id = t.file_id WHERE f.state <> 'changed'"
)
_MARK = "UPDATE files SET state = ? WHERE id = ? AND path = ?"


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


@dataclass(frozen=True)
class Position:
    """How far a check came: to a file, and to the first chunk not yet checked."""

    file_id: int = 0
    number: int = 0


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

        Raises NotFoundError, and DamagedFileError for any other file.
        """
        if not path.exists():
            raise NotFoundError("store", path)
        catalogue = cls(path)
        try:
            prepare_schema(path, catalogue._writer)
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
        return self.find_files([path], profile).get(path)

    def find_files(
        self, paths: Sequence[Path], profile: Profile
    ) -> dict[Path, StoredFile]:
        """The files that are known at some hundred paths, as `find_file`."""
        marks = _marks(len(paths))
        found = self._files(
            f"path IN ({marks}) AND profile = ?",
            *map(os.fsencode, paths),
            profile.name,
        )
        return {file.path: file for file in found}

    def list_twins(
        self, inodes: Sequence[int], profile: Profile
    ) -> dict[int, list[StoredFile]]:
        """Unchanged files by their inodes, of some hundred of these."""
        marks = _marks(len(inodes))
        twins: dict[int, list[StoredFile]] = {}
        for file in self._files(
            f"inode IN ({marks}) AND profile = ? AND state <> 'changed'",
            *inodes,
            profile.name,
        ):
            twins.setdefault(file.stamp.inode, []).append(file)
        return twins

    def list_by_root(self, cid: CID, *, is_served: bool = True) -> list[StoredFile]:
        """Files whose whole content has this CID; also changed ones if told to."""
        condition = "root = ? AND state <> 'changed'" if is_served else "root = ?"
        return self._files(condition, cid.to_bytes())

    def list_below(self, path: Path) -> list[StoredFile]:
        """The file at a path, or all that are in the folder there."""
        name = os.fsencode(path)
        # "0" is the character that follows "/".
        below = (name.rstrip(b"/") + b"/", name.rstrip(b"/") + b"0")
        return self._files(
            "path = ? OR (path >= ? AND path < ?) ORDER BY path", name, *below
        )

    def iter_files(self, first_id: int = 0) -> Iterator[StoredFile]:
        """Every file from an id on, in the order of their ids."""
        while files := self._files(
            f"f.id >= ? ORDER BY f.id LIMIT {_FILES_PAGE}", first_id
        ):
            yield from files
            first_id = files[-1].id + 1

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
        sql = f"SELECT {COLUMNS} FROM files f WHERE {condition}"  # noqa: S608 - ours
        return [parse_file(row) for row in self._read(sql, *values)]

    def iter_places(self, digest: bytes) -> Iterator[Place]:
        """Every place of a block in files not known to have changed.

        Read a few at a time: a blank chunk may be in every file there is.
        """
        for sql in _PLACES:
            last = 0
            while rows := self._read(sql, digest, last):
                for number, block, *columns in rows:
                    yield Place(parse_file(tuple(columns)), number, block)
                    last = columns[0]

    def find_chunks(self, digests: Sequence[bytes]) -> dict[bytes, Place]:
        """One place of each of some hundred chunks; none where that is in doubt."""
        if not digests:
            return {}
        marks = ",".join(["(?)"] * len(digests))
        sql = f"WITH wanted (digest) AS (VALUES {marks}) {_FIRST_PLACES}"
        return {
            digest: Place(parse_file(tuple(columns)), number, None)
            for digest, number, *columns in self._read(sql, *digests)
        }

    def find_directory(self, digest: bytes) -> bytes | None:
        """The block of a directory or shard."""
        rows = self._read("SELECT block FROM directories WHERE digest = ?", digest)
        return rows[0][0] if rows else None

    def has_chunk(self, file: StoredFile, digest: bytes) -> bool:
        """Whether a file held a chunk when it was hashed."""
        sql = "SELECT 1 FROM chunks WHERE digest = ? AND file_id = ?"
        return bool(self._read(sql, digest, file.id))

    def find_node(self, file: StoredFile, digest: bytes) -> bytes | None:
        """The block of a node above the chunks of a file."""
        rows_found = self._read(
            "SELECT block FROM nodes WHERE digest = ? AND file_id = ?", digest, file.id
        )
        return rows_found[0][0] if rows_found else None

    def save_files(
        self,
        files: Sequence[tuple[Path, Hashed]],
        profile: Profile,
        moves: Sequence[Move] = (),
    ) -> None:
        """Keep what hashing gave, replacing what was at the same paths.

        Moves come first: what is saved may stand where a moved file was.
        """
        with self._writing() as db:
            for move in moves:
                rows.move_file(db, move, profile)
            # Of a path that is given twice, the last one counts.
            rows.insert_files(db, list(dict(files).items()), profile)

    def find_digests(self, file: Unfinished) -> bytes:
        """The digests of a file's first chunks, where its import was stopped."""
        found = self._read(pieces.FIND, os.fsencode(file.path), file.profile)
        return pieces.join_pieces(file, found)

    def save_piece(self, piece: Piece) -> None:
        """Keep digests of a file that is still being hashed."""
        with self._writing() as db:
            pieces.insert_piece(db, piece)

    def list_unfinished(self, path: Path = Path("/")) -> list[Unfinished]:
        """Files at or below a path that are being hashed, or were when stopped."""
        found = map(pieces.parse_unfinished, self._read(pieces.LIST))
        return [file for file in found if file.path.is_relative_to(path)]

    def drop_unfinished(self, files: Sequence[tuple[Path, str]]) -> None:
        """Delete what is kept of files by their paths and profiles."""
        with self._writing() as db:
            pieces.delete_pieces(db, files)

    def forget(
        self,
        files: Sequence[StoredFile],
        directories: Sequence[bytes] = (),
        unfinished: Sequence[Unfinished] = (),
    ) -> None:
        """Delete what is known of files, and the directories of these digests."""
        with self._writing() as db:
            for file in files:
                rows.delete_file(db, file.id, file.root_bytes)
            pieces.delete_pieces(db, [(file.path, file.profile) for file in files])
            halves = [(file.path, file.profile) for file in unfinished]
            pieces.delete_pieces(db, halves)
            db.executemany(
                "DELETE FROM directories WHERE digest = ?",
                ((digest,) for digest in directories),
            )

    def save_directories(self, blocks: Sequence[tuple[CID, bytes]]) -> None:
        """Keep the blocks of directories."""
        with self._writing() as db:
            db.executemany(
                "INSERT OR IGNORE INTO directories VALUES (?, ?)",
                ((cid.digest, block) for cid, block in blocks),
            )

    def mark(self, file: StoredFile, state: State) -> None:
        """Note what was seen of a file, unless it was imported or moved since.

        Raises UnavailableError at once while another process writes.
        """
        if file.state is state:
            return
        with self._mark_lock, sql_errors(self._path):
            self._marker.execute(_MARK, (state, file.id, os.fsencode(file.path)))

    def note(self, file: StoredFile, state: State) -> None:
        """As `mark`, but waits for other processes."""
        if file.state is not state:
            with self._writing() as db:
                db.execute(_MARK, (state, file.id, os.fsencode(file.path)))

    def find_position(self) -> Position:
        """Where the last check was interrupted; the start if it was not."""
        found = self._read("SELECT file_id, number FROM check_position")
        return Position(*found[0]) if found else Position()

    def save_position(self, position: Position | None) -> None:
        """Note how far a check has come; None is to the end."""
        with self._writing() as db:
            db.execute("DELETE FROM check_position")
            if position is not None:
                db.execute(
                    "INSERT INTO check_position VALUES (?, ?)",
                    (position.file_id, position.number),
                )

    def bytes_from(self, file_id: int) -> int:
        """The sizes of all files from an id on, added up."""
        ((total,),) = self._read(
            "SELECT coalesce(sum(size_bytes), 0) FROM files WHERE id >= ?", file_id
        )
        return int(total)

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


def _marks(count: int) -> str:
    return ",".join("?" * count)
