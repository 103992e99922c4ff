"""Statements that were begun and could still be lost from their ledger.

One file for each group that was opened together, whole before the first
transaction is sent: it holds every signed transaction, so that whoever finds it
can finish the work by sending them again, and every text, so that it can be
composed anew where a coin was lost. What is settled is kept, marked so, for as
long as a reorganisation could undo it. It is no history: what no reorganisation
reaches is removed.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from etdb import durable
from etdb.errors import DamagedFileError, UnavailableError
from etdb.identity import Address, Digest, Txid
from etdb.ledger.base import SignedTransaction

_SUFFIX = ".json"
_VERSION = 3

Stamp = tuple[int, int, int]


@dataclass(frozen=True)
class Entry:
    """One statement: what it says, by which transactions, on which ledger."""

    ledger: str
    """Id of the ledger that the transactions were made for."""
    timestamp: int
    position: int
    """Its place among all that are open; coins depend on it."""
    action: str
    """publish, edit, deactivate or register."""
    digest: Digest
    record_id: str
    """Of the record it is about: of a publish its digest, of a register none."""
    address: Address
    sid: str
    cid: str
    file_count: int
    text: str
    """The message, verbatim: whatever carries it, it is the same statement."""
    transactions: tuple[SignedTransaction, ...]
    """In the order of the message's parts."""
    is_settled: bool = False
    """Whether, when last looked at, its block was deep enough to be reported."""
    begun_sat: int = 0
    """What it cost when it was begun, where it was composed anew since."""

    @property
    def txid(self) -> Txid:
        """The transaction that people name the statement by."""
        return self.transactions[0].txid

    @property
    def agreed_sat(self) -> int:
        """What whoever began it knew that it costs."""
        return self.begun_sat or sum(tx.fee_sat for tx in self.transactions)

    @property
    def key(self) -> tuple[str, Digest]:
        """What it is among all statements (PROTOCOL R2)."""
        return self.action, self.digest


class Journal:
    """A folder of open statements. One writer at a time (take a lock)."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._read: dict[Path, tuple[Stamp, tuple[Entry, ...]]] = {}

    def open(self, entries: Sequence[Entry]) -> None:
        """Write entries as one group; on return they are on disk, all or none.

        Raises UnavailableError.
        """
        if entries:
            first = entries[0]
            name = f"{first.position:010d}-{first.digest[:16]}{_SUFFIX}"
            self._write(self._folder / name, entries)

    def list_open(self) -> list[Entry]:
        """What is on its way, in the order it was begun. Raises DamagedFileError.

        As it was marked last: what a reorganisation took back since then is
        listed when whoever publishes has seen that.
        """
        return [entry for entry in self.list_kept() if not entry.is_settled]

    def list_kept(self) -> list[Entry]:
        """What is on its way, and what is settled and could still be lost.

        In the order it was begun. Raises DamagedFileError.
        """
        return sorted(
            (entry for group in self._groups().values() for entry in group),
            key=lambda entry: (entry.position, entry.timestamp, entry.digest),
        )

    def replace(self, entry: Entry) -> None:
        """Put another way to send a statement in the place of the one there."""
        self.mark([entry])

    def mark(self, entries: Sequence[Entry]) -> None:
        """Put these in the place of those there that say the same."""
        anew = {entry.key: entry for entry in entries}
        for path, group in self._groups().items() if anew else ():
            marked = tuple(anew.get(entry.key, entry) for entry in group)
            if marked != group:
                self._write(path, marked)

    def close(self, entries: Iterable[Entry]) -> None:
        """Forget entries that are done; closing one twice is harmless."""
        done = {entry.key for entry in entries}
        try:
            for path, group in self._groups().items():
                rest = [entry for entry in group if entry.key not in done]
                if rest and len(rest) < len(group):
                    self._write(path, rest)
                elif not rest:
                    path.unlink(missing_ok=True)
            durable.sync_folder(self._folder)
        except OSError as exc:
            msg = f"cannot clear the journal in {self._folder}: {exc.strerror}"
            raise UnavailableError(msg) from exc

    def _write(self, path: Path, entries: Sequence[Entry]) -> None:
        lines = [json.dumps({"etdb-journal": _VERSION}), *map(_encode, entries)]
        durable.write_bytes(path, ("\n".join(lines) + "\n").encode())
        self._read[path] = (_stamp(path), tuple(entries))

    def _groups(self) -> dict[Path, tuple[Entry, ...]]:
        """Every file's entries; what has not changed is not read again."""
        found: dict[Path, tuple[Stamp, tuple[Entry, ...]]] = {}
        for path in sorted(self._folder.glob(f"*{_SUFFIX}")):
            # Whoever only looks holds no lock: a file may go meanwhile.
            with contextlib.suppress(FileNotFoundError):
                stamp = _stamp(path)
                known = self._read.get(path)
                is_known = known is not None and known[0] == stamp
                found[path] = known if is_known and known else (stamp, _load(path))
        self._read = found
        return {path: entries for path, (_, entries) in found.items()}


def _stamp(path: Path) -> Stamp:
    found = path.stat()
    return found.st_mtime_ns, found.st_size, found.st_ino


def _encode(entry: Entry) -> str:
    plain = vars(entry) | {
        "transactions": [
            {"txid": tx.txid, "raw": tx.raw.hex(), "fee_sat": tx.fee_sat}
            for tx in entry.transactions
        ]
    }
    return json.dumps(plain)


def _load(path: Path) -> tuple[Entry, ...]:
    try:
        head, *lines = path.read_text("utf-8").splitlines()
        if json.loads(head)["etdb-journal"] == _VERSION and lines:
            return tuple(_decode(json.loads(line)) for line in lines)
    except FileNotFoundError:
        raise
    except OSError as exc:
        msg = f"cannot read {path}: {exc.strerror}"
        raise UnavailableError(msg) from exc
    except (ValueError, TypeError, KeyError, AttributeError) as exc:
        raise _unreadable(path) from exc
    raise _unreadable(path)


def _decode(plain: dict[str, Any]) -> Entry:
    transactions = tuple(
        SignedTransaction(tx["txid"], bytes.fromhex(tx["raw"]), tx["fee_sat"])
        for tx in plain.pop("transactions")
    )
    if not transactions:
        msg = "an entry without transactions"
        raise ValueError(msg)
    return Entry(**plain, transactions=transactions)


def _unreadable(path: Path) -> DamagedFileError:
    msg = f"{path} is not a journal entry that this version can read"
    return DamagedFileError(
        msg, hint="restore it from a copy; it holds unfinished work", path=path
    )
