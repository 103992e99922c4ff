"""One wallet's coins on a FLO network, found by reading its blocks.

An SQLite file that is derived and may be deleted: daemons of FLO keep coins of
their own keys only, and keys never leave this program. Besides the coins it
keeps our transactions of the last blocks whole, as a reorganisation that takes
them out may leave no other copy. How the coins are spent is in `wallet`.
"""

from __future__ import annotations

import bisect
import contextlib
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from etdb.errors import ConflictError, UnavailableError
from etdb.identity import BlockHash, Txid
from etdb.ledger.base import Tip
from etdb.ledger.flo.block import COINBASE_MATURITY, FloBlock, show_hash
from etdb.ledger.flo.coins import Coin
from etdb.ledger.flo.cointable import (
    LIMITS,
    Batch,
    Book,
    BookLimits,
    connect,
    find_book,
    prepare,
    sql_errors,
    undo,
    write,
)
from etdb.ledger.flo.tx import OutPoint, Transaction, TxOut
from etdb.progress import Progress, Silent

_MOST_ATTEMPTS = 10
_MOST_COINS = 20_000


class RawBlockReader(Protocol):
    """Where whole blocks come from."""

    def tip(self) -> Tip:
        """The last block now. Raises UnavailableError."""

    def iter_raw_blocks(self, first: int, last: int) -> Iterator[tuple[int, FloBlock]]:
        """The blocks of these heights, in order, each with its height.

        Ends early where the chain does. Raises UnavailableError.
        """


@dataclass(frozen=True)
class Balance:
    """What a wallet holds in blocks."""

    mature_sat: int
    """What the next block may spend."""
    immature_sat: int
    """What was mined less than 100 blocks ago."""
    coins: int


@dataclass(frozen=True)
class Spend:
    """Which transaction of a block spent a coin of ours."""

    txid: Txid
    height: int


class CoinBook:
    """The open file; a `CoinSource` and a context manager. Thread-safe."""

    def __init__(
        self,
        path: Path,
        book: Book,
        db: sqlite3.Connection,
        limits: BookLimits = LIMITS,
    ) -> None:
        self._path = path
        self._book = book
        self._script = book.script
        self._db = db
        self._limits = limits
        self._mutex = threading.RLock()

    @classmethod
    def open(
        cls,
        path: Path,
        script: bytes,
        ledger_id: str,
        first_height: int = 0,
        *,
        wait_s: float = 30.0,
        limits: BookLimits = LIMITS,
    ) -> CoinBook:
        """The coins that `script` guards on a ledger, from a height on.

        Makes the file where there is none, and empties it where it is of another
        script or ledger, or begins above `first_height`. Raises UnavailableError
        where it stays locked for `wait_s` or the disk refuses, DamagedFileError
        where it is damaged or something else.
        """
        wanted = Book(script, ledger_id, first_height)
        db = connect(path, wait_s)
        try:
            with sql_errors(path):
                return cls(path, prepare(path, db, wanted), db, limits)
        except BaseException:
            db.close()
            raise

    def close(self) -> None:
        """Close the file; wait for a batch that is being written."""
        with self._mutex:
            self._db.close()

    def __enter__(self) -> CoinBook:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def first_height(self) -> int:
        """Where it begins: coins made below are not in it."""
        return self._book.first_height

    def tip(self) -> Tip | None:
        """The last block that was read, if any was."""
        rows = self._read(
            "SELECT height, hash FROM blocks ORDER BY height DESC LIMIT 1"
        )
        return _tip_of(rows[0]) if rows else None

    def sync(self, reader: RawBlockReader, progress: Progress | None = None) -> None:
        """Read on to the reader's tip; undo blocks that are no longer there.

        Each batch is one transaction: what is killed goes on where it was, and
        several processes may do this at once. Raises UnavailableError, also
        where the reader's blocks never fit together.
        """
        listener = progress or Silent()
        attempts, highest = 0, -1
        while attempts < _MOST_ATTEMPTS:
            tip, read = reader.tip(), self.tip()
            if read == tip or (read is None and tip.height < self._book.first_height):
                return
            self._read_on(reader, tip.height, read, listener)
            reached = self.tip()
            if reached == tip:
                return
            if reached is not None and reached.height > highest:
                attempts, highest = 0, reached.height
            attempts += 1
            self._undo_to_fork(reader, tip.height)
        msg = f"the blocks below {tip.height} change faster than they can be read"
        raise UnavailableError(msg, hint="wait a while, then repeat")

    def balance(self) -> Balance:
        """What the coins of all blocks that were read come to."""
        tip = self.tip()
        youngest = 1 + (tip.height if tip else 0) - COINBASE_MATURITY
        ((count, total_sat, immature_sat),) = self._read(
            "SELECT count(*), coalesce(sum(value_sat), 0), coalesce(sum("
            " value_sat * (is_coinbase AND height > ?)), 0)"
            " FROM coins WHERE spent_height IS NULL",
            youngest,
        )
        return Balance(total_sat - immature_sat, immature_sat, count)

    def find(self, outpoint: OutPoint) -> Coin | None:
        """The coin, if it is ours and no block spends it."""
        rows = self._read(
            "SELECT value_sat, height, is_coinbase FROM coins"
            " WHERE txid = ? AND output = ? AND spent_height IS NULL",
            *outpoint,
        )
        return self._coin(*rows[0]) if rows else None

    def find_spend(self, outpoint: OutPoint) -> Spend | None:
        """What spent a coin of ours, if a block holds such a transaction."""
        rows = self._read(
            "SELECT spent_by, spent_height FROM coins"
            " WHERE txid = ? AND output = ? AND spent_height IS NOT NULL",
            *outpoint,
        )
        return Spend(Txid(show_hash(rows[0][0])), rows[0][1]) if rows else None

    def find_height(self, txid: Txid) -> int | None:
        """The block of a transaction that pays to us or spends a coin of ours."""
        txid_bytes = bytes.fromhex(txid)[::-1]
        rows = self._read(
            "SELECT height FROM coins WHERE txid = ?1"
            " UNION ALL SELECT spent_height FROM coins WHERE spent_by = ?1 LIMIT 1",
            txid_bytes,
        )
        return rows[0][0] if rows else None

    def iter_own(self, script: bytes) -> Iterator[tuple[OutPoint, Coin]]:
        """The coins that no block spends, the greatest first, at most 20,000."""
        if script != self._script:
            return
        with self._mutex, sql_errors(self._path):
            self._verify_ours()
        rows = self._read(
            "SELECT txid, output, value_sat, height, is_coinbase FROM coins"
            " WHERE spent_height IS NULL ORDER BY value_sat DESC, txid, output LIMIT ?",
            _MOST_COINS,
        )
        for txid_bytes, output, *rest in rows:
            yield OutPoint(txid_bytes, output), self._coin(*rest)

    def list_undone(self) -> Sequence[Transaction]:
        """Our transactions that a reorganisation took out and no block has since.

        In an order in which they can be sent again; those whose coins were
        spent otherwise are left out.
        """
        listed: dict[bytes, Transaction] = {}
        sql = "SELECT raw FROM own WHERE height IS NULL ORDER BY number"
        for (raw,) in self._read(sql):
            transaction = Transaction.parse(raw)
            if all(
                item.outpoint.txid_bytes in listed or self.find(item.outpoint)
                for item in transaction.inputs
            ):
                listed[transaction.txid_bytes] = transaction
        return list(listed.values())

    def _read_on(
        self, reader: RawBlockReader, last: int, read: Tip | None, progress: Progress
    ) -> None:
        """Read blocks for as long as each follows the one before."""
        first = self._book.first_height if read is None else read.height + 1
        progress.begin("looking for coins", max(0, last - first + 1), "blocks")
        try:
            batch = Batch(read, first, self._limits)
            for height, block in reader.iter_raw_blocks(first, last):
                if not batch.follows(height, block):
                    break
                with self._mutex, sql_errors(self._path):
                    self._note(batch, height, block)
                if batch.is_full:
                    if not self._write(batch):
                        return
                    progress.advance(len(batch.hashes))
                    batch = Batch(batch.tip, first, self._limits)
            if self._write(batch):
                progress.advance(len(batch.hashes))
        finally:
            progress.end()

    def _note(self, batch: Batch, height: int, block: FloBlock) -> None:
        batch.add(height, block)
        for transaction in block.transactions:
            is_coinbase = transaction.is_coinbase
            if not is_coinbase:
                for item in transaction.inputs:
                    if item.outpoint in batch.made or self._has(item.outpoint):
                        batch.spend(transaction, item.outpoint)
            for index, output in enumerate(transaction.outputs):
                if output.script == self._script:
                    batch.make(transaction, index, output.value_sat, is_coinbase)

    def _has(self, outpoint: OutPoint) -> bool:
        sql = "SELECT 1 FROM coins WHERE txid = ? AND output = ?"
        return self._db.execute(sql, outpoint).fetchone() is not None

    def _write(self, batch: Batch) -> bool:
        """Whether it was written: not where another process has moved the tip."""
        if not batch.hashes:
            return True
        with self._writing() as db:
            if self.tip() != batch.base:
                return False
            write(db, batch)
        return True

    def _undo_to_fork(self, reader: RawBlockReader, highest: int) -> None:
        """Undo what the reader's chain does not hold.

        Where none of the hashes that are kept is in it, all is read again.
        """
        kept = [
            _tip_of(row)
            for row in self._read("SELECT height, hash FROM blocks ORDER BY height")
        ]
        while kept and kept[-1].height > highest:
            kept.pop()
        number = _count_shared(kept, reader)
        with self._writing() as db:
            undo(db, kept[number - 1].height if number else self._book.first_height - 1)

    def _verify_ours(self) -> None:
        """Another process may have begun the file anew, for another key."""
        if find_book(self._path, self._db) != self._book:
            msg = f"{self._path} is now the coin book of another wallet"
            raise ConflictError(msg, hint="start this program again")

    def _coin(self, value_sat: int, height: int, is_coinbase: int) -> Coin:
        return Coin(TxOut(value_sat, self._script), height, bool(is_coinbase))

    def _read(self, sql: str, *values: object) -> list[Any]:
        with self._mutex, sql_errors(self._path):
            return self._db.execute(sql, values).fetchall()

    @contextlib.contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        with self._mutex, sql_errors(self._path):
            self._db.execute("BEGIN IMMEDIATE")
            try:
                self._verify_ours()
                yield self._db
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise


def _tip_of(row: Sequence[Any]) -> Tip:
    height, hash_bytes = row
    return Tip(height, BlockHash(show_hash(hash_bytes)))


def _count_shared(kept: Sequence[Tip], reader: RawBlockReader) -> int:
    """How many of these blocks, from the first, the reader's chain holds.

    Most reorganisations are a block or two deep: the last are asked first.
    """
    step, low = 1, len(kept)
    while low > 0 and not _holds(reader, kept[low - 1]):
        low, step = max(0, low - step), step * 2
    high = min(len(kept), low + step // 2)
    return bisect.bisect_left(
        range(high), True, lo=low, key=lambda number: not _holds(reader, kept[number])
    )


def _holds(reader: RawBlockReader, tip: Tip) -> bool:
    blocks = reader.iter_raw_blocks(tip.height, tip.height)
    return any(block.header.hash == tip.hash for _, block in blocks)
