"""The tables of a coin book, and what SQLite's errors mean to us.

    book    one row: the script whose coins these are, the ledger, from where
    blocks  the hashes of the last blocks read, to find where a chain forked
    coins   every output of the script: where it was made and where spent
    own     whole transactions that spend them, of the last blocks and of blocks
            that were undone (no height then)

Hashes are in their internal byte order. Undoing a block deletes what it made
and frees what it spent; all else is as before.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

from etdb import durable
from etdb.errors import DamagedFileError
from etdb.ledger.base import Tip
from etdb.ledger.flo.block import COIN_SAT, FloBlock, show_hash
from etdb.ledger.flo.tx import OutPoint, Transaction

_APPLICATION_ID = 0x65746377
_VERSION = 1
_MAX_MONEY_SAT = 160_000_000 * COIN_SAT
"""More than all FLO there will ever be; what pays more is a daemon's mistake."""
_HINT = "delete it: it is made again from the ledger"

_TABLES = (
    "CREATE TABLE book (script BLOB NOT NULL, ledger TEXT NOT NULL,"
    " first_height INTEGER NOT NULL)",
    "CREATE TABLE blocks (height INTEGER PRIMARY KEY, hash BLOB NOT NULL)",
    """CREATE TABLE coins (
        txid BLOB NOT NULL,
        output INTEGER NOT NULL,
        value_sat INTEGER NOT NULL,
        height INTEGER NOT NULL,
        is_coinbase INTEGER NOT NULL,
        spent_height INTEGER,
        spent_by BLOB,
        PRIMARY KEY (txid, output)
    ) WITHOUT ROWID""",
    "CREATE INDEX coins_unspent ON coins (value_sat) WHERE spent_height IS NULL",
    "CREATE INDEX coins_by_spender ON coins (spent_by) WHERE spent_by IS NOT NULL",
    """CREATE TABLE own (
        number INTEGER PRIMARY KEY,
        txid BLOB NOT NULL UNIQUE,
        height INTEGER,
        seen_height INTEGER NOT NULL,
        raw BLOB NOT NULL
    )""",
    "CREATE INDEX own_by_height ON own (seen_height)",
    "CREATE INDEX own_undone ON own (number) WHERE height IS NULL",
    f"PRAGMA application_id = {_APPLICATION_ID}",
    f"PRAGMA user_version = {_VERSION}",
)


sql_errors = partial(durable.sql_errors, hint=_HINT)
"""SQLite's errors as ours."""


@dataclass(frozen=True)
class BookLimits:
    """How much of the chain is kept, and how much is read before it is written."""

    kept_blocks: int = 2_000
    """Hashes; a deeper reorganisation is read from the start."""
    batch_blocks: int = 500
    batch_transactions: int = 20_000


LIMITS = BookLimits()


class Book(NamedTuple):
    """Whose coins a file holds, on which ledger, and from which block on."""

    script: bytes
    ledger_id: str
    first_height: int

    def serves(self, wanted: Book) -> bool:
        """Whether what is wanted can be read from it."""
        is_same = self[:2] == wanted[:2]
        return is_same and self.first_height <= wanted.first_height


class Batch:
    """What some blocks in a row change of a book."""

    def __init__(
        self, base: Tip | None, first_height: int, limits: BookLimits = LIMITS
    ) -> None:
        self.limits = limits
        self.base = base
        self.tip = base
        self.first_height = first_height
        self.hashes: list[tuple[int, bytes]] = []
        self.made: dict[OutPoint, tuple[int, int, bool]] = {}
        """Value, height and whether it is a coinbase's, by outpoint."""
        self.spent: list[tuple[int, bytes, bytes, int]] = []
        """Height and transaction that spends, and the outpoint."""
        self.own: dict[bytes, tuple[int, bytes]] = {}
        """Height and bytes of those transactions, by id."""
        self._transactions = 0

    @property
    def is_full(self) -> bool:
        """Whether to write it: work is lost, and memory held, until then."""
        return (
            len(self.hashes) >= self.limits.batch_blocks
            or self._transactions >= self.limits.batch_transactions
        )

    def follows(self, height: int, block: FloBlock) -> bool:
        """Whether this block is the next."""
        if self.tip is None:
            return height == self.first_height
        previous = show_hash(block.header.previous)
        return height == self.tip.height + 1 and previous == self.tip.hash

    def add(self, height: int, block: FloBlock) -> None:
        """The next block; its coins are noted one by one."""
        self.tip = Tip(height, block.header.hash)
        self.hashes.append((height, block.header.hash_bytes))
        self._transactions += len(block.transactions)

    def make(
        self, transaction: Transaction, index: int, value_sat: int, is_coinbase: bool
    ) -> None:
        """The last block makes a coin of ours."""
        if value_sat <= _MAX_MONEY_SAT:
            outpoint = OutPoint(transaction.txid_bytes, index)
            row = (value_sat, self.hashes[-1][0], is_coinbase)
            self.made.setdefault(outpoint, row)

    def spend(self, transaction: Transaction, outpoint: OutPoint) -> None:
        """The last block spends a coin of ours."""
        height = self.hashes[-1][0]
        txid_bytes = transaction.txid_bytes
        self.spent.append((height, txid_bytes, *outpoint))
        self.own.setdefault(txid_bytes, (height, transaction.encode()))


def connect(path: Path, wait_s: float) -> sqlite3.Connection:
    """Open the file, or make an empty one. Raises UnavailableError."""
    with sql_errors(path):
        return sqlite3.connect(
            path, timeout=wait_s, isolation_level=None, check_same_thread=False
        )


def prepare(path: Path, db: sqlite3.Connection, book: Book) -> Book:
    """Make the tables, and make them empty if they are of another book.

    What is kept may begin below. Raises DamagedFileError where the file is
    something else.
    """
    db.execute("PRAGMA journal_mode = WAL")
    # NORMAL: what a power cut takes is read from the ledger again.
    db.execute("PRAGMA synchronous = NORMAL")
    found = find_book(path, db)
    if found is not None and found.serves(book):
        return found
    db.execute("BEGIN IMMEDIATE")
    # Again: another process may have been faster.
    found = find_book(path, db)
    if found is not None and found.serves(book):
        db.execute("ROLLBACK")
        return found
    for statement in _TABLES if found is None else ():
        db.execute(statement)
    for table in ("book", "blocks", "coins", "own"):
        db.execute(f"DELETE FROM {table}")  # noqa: S608 - our own names
    db.execute("INSERT INTO book VALUES (?, ?, ?)", book)
    db.execute("COMMIT")
    return book


def find_book(path: Path, db: sqlite3.Connection) -> Book | None:
    """Whose coins are in the file; None in a new one. Raises DamagedFileError."""
    (application,) = db.execute("PRAGMA application_id").fetchone()
    (version,) = db.execute("PRAGMA user_version").fetchone()
    (tables,) = db.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    if not tables:
        return None
    row = None
    if (application, version) == (_APPLICATION_ID, _VERSION):
        row = db.execute("SELECT script, ledger, first_height FROM book").fetchone()
    if row is None:
        msg = f"{path} is no coin book of version {_VERSION}"
        raise DamagedFileError(msg, hint=_HINT, path=path)
    return Book(*row)


def write(db: sqlite3.Connection, batch: Batch) -> None:
    """Add what a batch of blocks changes, in the transaction that is open."""
    db.executemany("INSERT INTO blocks VALUES (?, ?)", batch.hashes)
    # Where a txid is there twice, the first counts: the chain is then not FLO's.
    db.executemany(
        "INSERT OR IGNORE INTO coins VALUES (?, ?, ?, ?, ?, NULL, NULL)",
        ((*outpoint, *row) for outpoint, row in batch.made.items()),
    )
    db.executemany(
        "UPDATE coins SET spent_height = ?, spent_by = ?"
        " WHERE txid = ? AND output = ? AND spent_height IS NULL",
        batch.spent,
    )
    # The number stays: what spends another's change comes after it.
    db.executemany(
        "INSERT INTO own (txid, height, seen_height, raw) VALUES (?1, ?2, ?2, ?3)"
        " ON CONFLICT (txid) DO UPDATE SET height = ?2, seen_height = ?2",
        ((txid_bytes, *row) for txid_bytes, row in batch.own.items()),
    )
    forgotten = batch.hashes[-1][0] - batch.limits.kept_blocks
    db.execute("DELETE FROM blocks WHERE height <= ?", (forgotten,))
    db.execute("DELETE FROM own WHERE seen_height <= ?", (forgotten,))


def undo(db: sqlite3.Connection, height: int) -> None:
    """Undo every block above a height, in the transaction that is open."""
    db.execute("DELETE FROM blocks WHERE height > ?", (height,))
    db.execute("DELETE FROM coins WHERE height > ?", (height,))
    db.execute(
        "UPDATE coins SET spent_height = NULL, spent_by = NULL WHERE spent_height > ?",
        (height,),
    )
    db.execute("UPDATE own SET height = NULL WHERE height > ?", (height,))
