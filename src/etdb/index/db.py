"""The index file: made, opened, read and written; not what stands in it.

SQLite in WAL mode. Any number of threads and processes read, each transaction
from one state of the index; one writes. Who may write at a time is settled by
the node's write lock; a second writer here waits up to 30 s.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import sqlalchemy
from sqlalchemy import event, select
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.exc import DBAPIError, OperationalError

from etdb import durable
from etdb.errors import (
    ConflictError,
    DamagedFileError,
    EtdbError,
    InvalidDataError,
    NotFoundError,
    UnavailableError,
)
from etdb.identity import BlockHash
from etdb.index.schema import (
    APPLICATION_ID,
    SCHEMA_VERSION,
    blocks,
    create_tables,
    ledgers,
)
from etdb.ledger.base import LedgerInfo, Tip
from etdb.record.message import LedgerKind

MAX_HEIGHT = 2**63 - 1
_WRITER_CACHE_KIB = 64 * 1024
_CHECKPOINT_PAGES = 16_000
"""Of 4 KiB: pages that several transactions change are written back once."""
_BUSY_TIMEOUT_MS = 30_000
_REBUILD = "run `etdb index rebuild`"


class Index:
    """One index file, open; thread-safe; a context manager."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._readers = _engine(path, is_writer=False)
        self._writers = _engine(path, is_writer=True)

    @classmethod
    def create(cls, path: Path, ledger_infos: Sequence[LedgerInfo]) -> Index:
        """A new, empty index of these ledgers.

        Raises ConflictError where a file is already, UnavailableError.
        """
        if path.exists():
            msg = f"{path} is there already"
            raise ConflictError(msg, hint=_REBUILD)
        index = cls(path)
        try:
            with index.write() as connection:
                create_tables(connection)
                _add_ledgers(connection, ledger_infos)
        except EtdbError:
            index.close()
            raise
        return index

    @classmethod
    def open(cls, path: Path, ledger_infos: Sequence[LedgerInfo]) -> Index:
        """The index at a path, of these ledgers.

        Those that it does not hold yet are added, empty. Raises NotFoundError,
        DamagedFileError, and ConflictError where it holds others or holds one
        from another height on.
        """
        if not path.exists():
            raise NotFoundError("index", path, hint=_REBUILD)
        index = cls(path)
        try:
            with index.read() as connection:
                _verify_schema(connection, path)
                new = _new_ledgers(connection, path, ledger_infos)
            if new:
                with index.write() as connection:
                    _add_ledgers(connection, new)
        except EtdbError:
            index.close()
            raise
        return index

    @contextlib.contextmanager
    def read(self) -> Iterator[Connection]:
        """A connection that sees one state of the index and cannot write."""
        with _translated(self.path), self._readers.begin() as connection:
            yield connection

    @contextlib.contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction: kept whole when the block ends, undone on any error."""
        with _translated(self.path), self._writers.begin() as connection:
            yield connection

    def close(self) -> None:
        """Close every connection that is not in use."""
        self._readers.dispose()
        self._writers.dispose()

    def __enter__(self) -> Index:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def find_tip(connection: Connection, ledger_id: str) -> Tip | None:
    """The last block of a ledger that the index holds; None before the first."""
    return find_held(connection, ledger_id, MAX_HEIGHT)


def find_held(connection: Connection, ledger_id: str, height: int) -> Tip | None:
    """The last block up to a height that the index holds; None before the first.

    The index forgets empty blocks, so this may be one far below.
    """
    row = connection.execute(
        select(blocks.c.height, blocks.c.hash)
        .where(blocks.c.ledger == ledger_id, blocks.c.height <= height)
        .order_by(blocks.c.height.desc())
        .limit(1)
    ).one_or_none()
    return None if row is None else Tip(row.height, BlockHash(row.hash))


def get_ledger(connection: Connection, ledger_id: str) -> LedgerInfo:
    """What the index knows of a ledger. Raises NotFoundError."""
    for info in list_ledgers(connection):
        if info.id == ledger_id:
            return info
    raise NotFoundError("ledger in the index", ledger_id)


def list_ledgers(connection: Connection) -> list[LedgerInfo]:
    """The ledgers of the index, by id."""
    rows = connection.execute(select(ledgers).order_by(ledgers.c.id))
    return [LedgerInfo(row.id, LedgerKind(row.kind), row.first_height) for row in rows]


def verify_file(index: Index) -> list[str]:
    """What is wrong with the file itself, and with its full text; none if sound."""
    found: list[str] = []
    for pragma in ("quick_check", "foreign_key_check"):
        with index.read() as connection:
            rows = connection.exec_driver_sql(f"PRAGMA {pragma}").all()
            found += [f"{pragma}: {row}" for row in rows if tuple(row) != ("ok",)]
    try:
        with index.write() as connection:
            connection.exec_driver_sql(
                "INSERT INTO records_fts (records_fts, rank) "
                "VALUES ('integrity-check', 1)"
            )
    except DamagedFileError:
        found.append("the full text is not that of the records")
    return found


def replace_index(new: Path, path: Path) -> None:
    """Put the content of a closed index file in the place of another's.

    One transaction of the old file, so that those who have it open go on with
    the new content; a file that SQLite cannot read is replaced as a file.
    Durable on return. Raises UnavailableError.
    """
    with _translated(path), contextlib.closing(sqlite3.connect(new)) as source:
        source.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        try:
            _copy(source, path)
        except sqlite3.OperationalError:
            raise
        except sqlite3.DatabaseError:
            for suffix in ("", "-wal", "-shm"):
                Path(f"{path}{suffix}").unlink(missing_ok=True)
            _copy(source, path)
    durable.sync_folder(path.parent)


def _copy(source: sqlite3.Connection, path: Path) -> None:
    timeout_s = _BUSY_TIMEOUT_MS / 1000
    with contextlib.closing(sqlite3.connect(path, timeout=timeout_s)) as target:
        target.execute("PRAGMA journal_mode = WAL")
        target.execute("PRAGMA synchronous = FULL")
        source.backup(target)


def _engine(path: Path, *, is_writer: bool) -> Engine:
    engine = sqlalchemy.create_engine(
        sqlalchemy.URL.create("sqlite", database=str(path)),
        max_overflow=-1,
        connect_args={"isolation_level": None, "timeout": _BUSY_TIMEOUT_MS / 1000},
    )
    begin = "BEGIN IMMEDIATE" if is_writer else "BEGIN"

    @event.listens_for(engine, "connect")
    def _set_up(raw: Any, _record: object) -> None:
        cursor = raw.cursor()
        cursor.execute("PRAGMA foreign_keys = ON")
        cursor.execute("PRAGMA synchronous = NORMAL")
        if is_writer:
            cursor.execute("PRAGMA journal_mode = WAL")
            cursor.execute(f"PRAGMA cache_size = -{_WRITER_CACHE_KIB}")
            cursor.execute(f"PRAGMA wal_autocheckpoint = {_CHECKPOINT_PAGES}")
        else:
            cursor.execute("PRAGMA query_only = ON")
        cursor.close()

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        connection.exec_driver_sql(begin)

    return engine


def _verify_schema(connection: Connection, path: Path) -> None:
    application = connection.exec_driver_sql("PRAGMA application_id").scalar()
    version = connection.exec_driver_sql("PRAGMA user_version").scalar()
    if (application, version) != (APPLICATION_ID, SCHEMA_VERSION):
        msg = f"{path} is not an index of this version (schema {SCHEMA_VERSION})"
        raise DamagedFileError(msg, hint=_REBUILD, path=path, found=version)


def _new_ledgers(
    connection: Connection, path: Path, wanted: Sequence[LedgerInfo]
) -> list[LedgerInfo]:
    """Those that the index does not hold yet. Raises ConflictError."""
    held = {info.id: info for info in list_ledgers(connection)}
    other = [info for info in held.values() if info not in wanted]
    if other:
        msg = (
            f"{path} is the index of another network: it holds {_names(other)}, "
            f"and the settings say {_names(wanted)}"
        )
        raise ConflictError(msg, hint=_REBUILD)
    return [info for info in wanted if info.id not in held]


def _add_ledgers(connection: Connection, infos: Sequence[LedgerInfo]) -> None:
    rows = [
        {"id": info.id, "kind": info.kind.value, "first_height": info.first_height}
        for info in infos
    ]
    if rows:
        # Another process may be adding the same.
        connection.execute(insert(ledgers).on_conflict_do_nothing(), rows)


def _names(infos: Sequence[LedgerInfo]) -> str:
    return ", ".join(_name(info) for info in infos) or "none"


def _name(info: LedgerInfo) -> str:
    start = f" from block {info.first_height}" if info.first_height else ""
    return f"{info.kind.value} {info.id[:16]}{start}"


@contextlib.contextmanager
def _translated(path: Path) -> Iterator[None]:
    """Let SQLite's errors out as ours: corrupt is broken, the rest may pass."""
    try:
        yield
    except UnicodeEncodeError as exc:
        msg = "a value that is not Unicode text cannot be looked up"
        raise InvalidDataError(msg, value=repr(exc.object)[:100]) from exc
    except (OperationalError, sqlite3.OperationalError) as exc:
        msg = f"cannot use the index {path}: {getattr(exc, 'orig', exc)}"
        raise UnavailableError(
            msg, hint="free some space or wait for the other writer, then repeat"
        ) from exc
    except (DBAPIError, sqlite3.Error) as exc:
        msg = f"the index {path} is broken: {getattr(exc, 'orig', exc)}"
        raise DamagedFileError(msg, hint=_REBUILD, path=path) from exc
