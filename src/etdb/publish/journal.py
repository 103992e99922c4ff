"""Publications that were begun and are not yet in the index.

One file each, whole before the first transaction is sent: it holds every
signed transaction, so that whoever finds it can finish the work by sending
them again. It is no history: what is done is removed.
"""

from __future__ import annotations

import contextlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from etdb import durable
from etdb.errors import BrokenIndexError, UnavailableError
from etdb.identity import Address, Digest, Txid
from etdb.ledger.base import SignedTransaction

_SUFFIX = ".json"
_VERSION = 1


@dataclass(frozen=True)
class Entry:
    """One publication: what it says, by which transactions, on which ledger."""

    ledger: str
    """Id of the ledger that the transactions were made for."""
    timestamp: int
    position: int
    """Its place among those begun at the same time; coins depend on it."""
    digest: Digest
    address: Address
    sid: str
    cid: str
    files: int
    transactions: tuple[SignedTransaction, ...]
    """In the order of the message's parts."""

    @property
    def txid(self) -> Txid:
        """The transaction that people name the record by."""
        return self.transactions[0].txid


class Journal:
    """A folder of open publications. One writer at a time (take a lock)."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def open(self, entry: Entry) -> None:
        """Write an entry; it is on disk on return. Raises UnavailableError."""
        durable.write_bytes(self._path(entry), _encode(entry))

    def list_open(self) -> list[Entry]:
        """What is unfinished, oldest first. Raises BrokenIndexError."""
        entries = []
        for path in sorted(self._folder.glob(f"*{_SUFFIX}")):
            # Whoever only looks holds no lock: an entry may be closed meanwhile.
            with contextlib.suppress(FileNotFoundError):
                entries.append(_load(path))
        return entries

    def close(self, entry: Entry) -> None:
        """Forget an entry that is done; closing it twice is harmless."""
        try:
            self._path(entry).unlink(missing_ok=True)
            durable.sync_folder(self._folder)
        except OSError as exc:
            msg = f"cannot clear the journal in {self._folder}: {exc.strerror}"
            raise UnavailableError(msg) from exc

    def _path(self, entry: Entry) -> Path:
        """Named so that names in order are entries in order."""
        name = f"{entry.timestamp:010d}-{entry.position:06d}-{entry.digest[:16]}"
        return self._folder / (name + _SUFFIX)


def _encode(entry: Entry) -> bytes:
    plain = {"etdb-journal": _VERSION} | asdict(entry)
    plain["transactions"] = [
        {"txid": tx.txid, "raw": tx.raw.hex(), "fee_sat": tx.fee_sat}
        for tx in entry.transactions
    ]
    return json.dumps(plain, indent=1).encode()


def _load(path: Path) -> Entry:
    try:
        plain: dict[str, Any] = json.loads(path.read_bytes())
        version = plain.pop("etdb-journal")
        transactions = tuple(
            SignedTransaction(tx["txid"], bytes.fromhex(tx["raw"]), tx["fee_sat"])
            for tx in plain.pop("transactions")
        )
        entry = Entry(**plain, transactions=transactions)
    except FileNotFoundError:
        raise
    except OSError as exc:
        msg = f"cannot read {path}: {exc.strerror}"
        raise UnavailableError(msg) from exc
    except (ValueError, TypeError, KeyError, AttributeError) as exc:
        raise _unreadable(path) from exc
    if version != _VERSION:
        raise _unreadable(path)
    return entry


def _unreadable(path: Path) -> BrokenIndexError:
    msg = f"{path} is not a journal entry that this version can read"
    return BrokenIndexError(
        msg, hint="restore it from a copy; it holds unfinished work"
    )
