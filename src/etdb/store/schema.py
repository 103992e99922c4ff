"""The tables of the store's SQLite file, and what SQLite's errors mean to us.

    files        one row per file and profile: where it lies, its stamp when it
                 was hashed, how it was cut, its root
    chunks       the digest of each chunk of a file, once per file; its bytes
                 are at number x chunk_bytes, wrapped in dag-pb unless is_raw
    nodes        the dag-pb blocks above the chunks of a file
    directories  the blocks of imported trees
    check_position  one row while a check of the files is unfinished: the file
                 it had come to, and the first of its chunks not yet checked
    pieces       digests of files that are not wholly hashed yet, end to end: of
                 the chunks from number `first` on

Digests are the 32 bytes of SHA-256 over the block; roots are binary CIDs; paths
are bytes, as file names need not be text. Chunks are not indexed by file: a
file's nodes list them.
"""

from __future__ import annotations

import contextlib
import sqlite3
from functools import partial
from pathlib import Path

from etdb import durable
from etdb.errors import DamagedFileError, UnavailableError

APPLICATION_ID = 0x65746462
SCHEMA_VERSION = 1

_ADDED_TABLES = (
    """CREATE TABLE IF NOT EXISTS check_position (
        file_id INTEGER NOT NULL,
        number INTEGER NOT NULL
    )""",
    """CREATE TABLE IF NOT EXISTS pieces (
        path BLOB NOT NULL,
        profile TEXT NOT NULL,
        size_bytes INTEGER NOT NULL,
        mtime_ns INTEGER NOT NULL,
        ctime_ns INTEGER NOT NULL,
        inode INTEGER NOT NULL,
        first INTEGER NOT NULL,
        digests BLOB NOT NULL,
        UNIQUE (path, profile, first)
    )""",
)
"""Made where they are wanting: stores without them are of the same version."""

_STATEMENTS = (
    "PRAGMA journal_mode = WAL",
    "BEGIN IMMEDIATE",
    # AUTOINCREMENT: the id of a file that is gone never means another.
    """CREATE TABLE files (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        path BLOB NOT NULL,
        profile TEXT NOT NULL,
        chunk_bytes INTEGER NOT NULL,
        is_raw INTEGER NOT NULL,
        size_bytes INTEGER NOT NULL,
        mtime_ns INTEGER NOT NULL,
        ctime_ns INTEGER NOT NULL,
        inode INTEGER NOT NULL,
        root BLOB NOT NULL,
        tsize INTEGER NOT NULL,
        state TEXT NOT NULL DEFAULT 'present'
            CHECK (state IN ('present', 'missing', 'changed')),
        UNIQUE (path, profile)
    )""",
    "CREATE INDEX files_by_root ON files (root)",
    "CREATE INDEX files_by_inode ON files (inode)",
    """CREATE TABLE chunks (
        digest BLOB NOT NULL,
        file_id INTEGER NOT NULL,
        number INTEGER NOT NULL,
        PRIMARY KEY (digest, file_id)
    ) WITHOUT ROWID""",
    """CREATE TABLE nodes (
        file_id INTEGER NOT NULL,
        digest BLOB NOT NULL,
        block BLOB NOT NULL
    )""",
    "CREATE INDEX nodes_by_digest ON nodes (digest)",
    "CREATE INDEX nodes_by_file ON nodes (file_id)",
    "CREATE TABLE directories (digest BLOB PRIMARY KEY, block BLOB NOT NULL)",
    *_ADDED_TABLES,
    f"PRAGMA application_id = {APPLICATION_ID}",
    f"PRAGMA user_version = {SCHEMA_VERSION}",
    "COMMIT",
)


_MAKE_AGAIN = "move it away and publish again: files are read anew"

sql_errors = partial(durable.sql_errors, hint=_MAKE_AGAIN)
"""SQLite's errors as ours."""


def write_schema(path: Path) -> None:
    """Make the tables in a new file; nothing is left where that fails."""
    try:
        with sql_errors(path):
            connection = sqlite3.connect(path, isolation_level=None)
            with contextlib.closing(connection):
                for statement in _STATEMENTS:
                    connection.execute(statement)
    except UnavailableError:
        path.unlink(missing_ok=True)
        raise


def prepare_schema(path: Path, connection: sqlite3.Connection) -> None:
    """Make what tables are wanting in an older store.

    Raises DamagedFileError for a file that is no store of this version.
    """
    with sql_errors(path):
        (application,) = connection.execute("PRAGMA application_id").fetchone()
        (version,) = connection.execute("PRAGMA user_version").fetchone()
    if (application, version) != (APPLICATION_ID, SCHEMA_VERSION):
        msg = f"{path} is no store of version {SCHEMA_VERSION}"
        raise DamagedFileError(msg, hint=_MAKE_AGAIN, path=path)
    with sql_errors(path):
        for statement in _ADDED_TABLES:
            connection.execute(statement)
