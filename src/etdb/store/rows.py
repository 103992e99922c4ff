"""One file in the store's SQLite file: its row, its chunks, its nodes.

Called within a transaction of `etdb.store.catalogue`, which alone decides when
one begins and ends.
"""

from __future__ import annotations

import functools
import itertools
import os
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from etdb.errors import ConflictError
from etdb.identity import CID
from etdb.store.hashing import DIGEST_BYTES, Hashed
from etdb.store.openfiles import Stamp
from etdb.store.pieces import delete_pieces
from etdb.store.unixfs import Profile, parse_node

SORTED_CHUNKS = 65_536
"""How many chunks of one file are put in order before they are inserted."""

_LOOKUP = 256
_ROWS = 64
COLUMNS = (
    "f.id, f.path, f.profile, f.chunk_bytes, f.is_raw, f.size_bytes, f.mtime_ns,"
    " f.ctime_ns, f.inode, f.root, f.tsize, f.state"
)

Chunk = tuple[bytes, int, int]
"""A row of `chunks`: digest, file, number."""


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
    profile: str
    chunk_bytes: int
    is_raw: bool
    stamp: Stamp
    root_bytes: bytes
    tsize: int
    state: State


@dataclass(frozen=True)
class Move:
    """A file found under another path, with the ctime that it has there."""

    file: StoredFile
    path: Path
    ctime_ns: int


# Whoever takes a file block by block comes by the same row again and again.
@functools.lru_cache(maxsize=64)
def parse_file(row: tuple[Any, ...]) -> StoredFile:
    """The file of a row of `COLUMNS`."""
    file_id, path, profile, chunk_bytes, is_raw, size, mtime, ctime, inode = row[:9]
    root, tsize, state = row[9:]
    return StoredFile(
        id=file_id,
        path=Path(os.fsdecode(path)),
        profile=profile,
        chunk_bytes=chunk_bytes,
        is_raw=bool(is_raw),
        stamp=Stamp(size, mtime, ctime, inode),
        root_bytes=root,
        tsize=tsize,
        state=State(state),
    )


def delete_at(db: sqlite3.Connection, paths: Sequence[Path], profile: Profile) -> None:
    """Delete the files at some paths, where there are any."""
    for start in range(0, len(paths), _LOOKUP):
        some = [os.fsencode(path) for path in paths[start : start + _LOOKUP]]
        marks = ",".join("?" * len(some))
        found = db.execute(
            f"SELECT id, root FROM files WHERE path IN ({marks}) AND profile = ?",  # noqa: S608 - question marks
            (*some, profile.name),
        ).fetchall()
        for file_id, root_bytes in found:
            delete_file(db, file_id, root_bytes)


def delete_file(db: sqlite3.Connection, file_id: int, root_bytes: bytes) -> None:
    """Delete a file with its chunks and nodes."""
    blocks = dict(
        db.execute("SELECT digest, block FROM nodes WHERE file_id = ?", (file_id,))
    )
    # Its nodes list its chunks: no index of chunks by file is needed.
    linked = {
        link.cid.digest for block in blocks.values() for link in parse_node(block).links
    }
    digests = linked - blocks.keys() if blocks else {CID.from_bytes(root_bytes).digest}
    db.executemany(
        "DELETE FROM chunks WHERE digest = ? AND file_id = ?",
        ((digest, file_id) for digest in digests),
    )
    db.execute("DELETE FROM nodes WHERE file_id = ?", (file_id,))
    db.execute("DELETE FROM files WHERE id = ?", (file_id,))


def move_file(db: sqlite3.Connection, move: Move, profile: Profile) -> None:
    """Give a file its new path, in place of what was there.

    Raises ConflictError where another process has forgotten the file.
    """
    delete_at(db, [move.path], profile)
    done = db.execute(
        "UPDATE files SET path = ?, ctime_ns = ?, state = 'present' WHERE id = ?",
        (os.fsencode(move.path), move.ctime_ns, move.file.id),
    )
    if done.rowcount != 1:
        msg = f"{move.file.path} was imported by another program at the same time"
        raise ConflictError(msg, hint="repeat when it is done")


def insert_files(
    db: sqlite3.Connection, files: Sequence[tuple[Path, Hashed]], profile: Profile
) -> None:
    """Insert files, each at a path of its own, in place of what was there."""
    # First, so that the chunks take over their pages of the SQLite file.
    delete_pieces(db, [(path, profile.name) for path, hashed in files if hashed.nodes])
    delete_at(db, [path for path, _ in files], profile)
    first_id = _next_id(db)
    _insert_rows(
        db,
        "INSERT INTO files (id, path, profile, chunk_bytes, is_raw, size_bytes,"
        " mtime_ns, ctime_ns, inode, root, tsize)",
        (
            (first_id + index, os.fsencode(path), *_values(hashed, profile))
            for index, (path, hashed) in enumerate(files)
        ),
    )
    single: list[Chunk] = []
    for file_id, (_, hashed) in enumerate(files, first_id):
        if len(hashed.chunk_digests) == DIGEST_BYTES:
            single.append((hashed.chunk_digests, file_id, 0))
            continue
        for chunks in _iter_sorted(hashed, file_id):
            _insert_chunks(db, chunks)
        db.executemany(
            "INSERT INTO nodes VALUES (?, ?, ?)",
            ((file_id, digest, block) for digest, block in hashed.nodes),
        )
    single.sort()
    _insert_chunks(db, single)


def _next_id(db: sqlite3.Connection) -> int:
    """An id that no file has had; the transaction keeps other writers away."""
    row = db.execute("SELECT seq FROM sqlite_sequence WHERE name = 'files'").fetchone()
    return 1 if row is None else int(row[0]) + 1


def _values(hashed: Hashed, profile: Profile) -> tuple[object, ...]:
    stamp, root = hashed.stamp, hashed.root
    return (
        profile.name,
        profile.chunk_bytes,
        profile.raw_leaves,
        stamp.size_bytes,
        stamp.mtime_ns,
        stamp.ctime_ns,
        stamp.inode,
        root.cid.to_bytes(),
        root.tsize,
    )


def _iter_sorted(hashed: Hashed, file_id: int) -> Iterator[list[Chunk]]:
    """The chunks of a file in the order of the table, some at a time.

    A table filled in its own order is written once and keeps its pages full.
    """
    chunks: list[Chunk] = []
    for number, digest in enumerate(hashed.iter_digests()):
        chunks.append((digest, file_id, number))
        if len(chunks) == SORTED_CHUNKS:
            yield sorted(chunks)
            chunks = []
    yield sorted(chunks)


def _insert_chunks(db: sqlite3.Connection, chunks: Iterable[Chunk]) -> None:
    # A chunk that repeats within its file is kept once.
    _insert_rows(db, "INSERT OR IGNORE INTO chunks", chunks)


def _insert_rows(
    db: sqlite3.Connection, into: str, rows: Iterable[tuple[object, ...]]
) -> None:
    """Many rows with each statement, which itself costs as much as one of them."""
    remaining = iter(rows)
    while some := [*itertools.islice(remaining, _ROWS)]:
        marks = f"({','.join('?' * len(some[0]))})"
        sql = f"{into} VALUES {','.join([marks] * len(some))}"
        db.execute(sql, [*itertools.chain.from_iterable(some)])
