"""Files whose import was stopped: what of them need not be hashed again.

Digests are kept in pieces while a large file is read. Nothing looks here for
blocks: only when the whole file is hashed do its chunks become the store's,
and its pieces go in the same transaction.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from etdb.store.hashing import DIGEST_BYTES
from etdb.store.openfiles import Stamp


@dataclass(frozen=True)
class Unfinished:
    """A file, as it was when its import under a profile began."""

    path: Path
    profile: str
    stamp: Stamp


@dataclass(frozen=True)
class Piece:
    """The digests of chunks that follow one another, from number `first` on."""

    file: Unfinished
    first: int
    digests: bytes


_COLUMNS = "path, profile, size_bytes, mtime_ns, ctime_ns, inode"
LIST = f"SELECT DISTINCT {_COLUMNS} FROM pieces"  # noqa: S608 - ours
FIND = (
    f"SELECT {_COLUMNS}, first, digests FROM pieces"  # noqa: S608 - ours
    " WHERE path = ? AND profile = ? ORDER BY first"
)


def parse_unfinished(row: Sequence[Any]) -> Unfinished:
    """The file of a row of `LIST`, or that a row of `FIND` begins with."""
    path, profile, *stamp = row[:6]
    return Unfinished(Path(os.fsdecode(path)), profile, Stamp(*stamp))


def join_pieces(file: Unfinished, rows: Iterable[Sequence[Any]]) -> bytes:
    """The digests from the start on that rows of `FIND` hold of this very file.

    Two programs that import one file at once leave pieces that overlap.
    """
    joined = bytearray()
    for row in rows:
        first, digests = row[6:]
        start = first * DIGEST_BYTES
        if parse_unfinished(row) != file:
            continue
        if start > len(joined):
            break
        joined += digests[len(joined) - start :]
    return bytes(joined)


def insert_piece(db: sqlite3.Connection, piece: Piece) -> None:
    """Keep a piece, in place of one that began at the same chunk."""
    file, stamp = piece.file, piece.file.stamp
    db.execute(
        f"INSERT OR REPLACE INTO pieces ({_COLUMNS}, first, digests)"  # noqa: S608 - ours
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (
            os.fsencode(file.path),
            file.profile,
            stamp.size_bytes,
            stamp.mtime_ns,
            stamp.ctime_ns,
            stamp.inode,
            piece.first,
            piece.digests,
        ),
    )


def delete_pieces(db: sqlite3.Connection, files: Iterable[tuple[Path, str]]) -> None:
    """Delete the pieces of the files at some paths, each under a profile."""
    db.executemany(
        "DELETE FROM pieces WHERE path = ? AND profile = ?",
        ((os.fsencode(path), profile) for path, profile in files),
    )
