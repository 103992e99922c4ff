"""A publisher whose every effect can be watched, and stopped before or after.

The parts are the real ones, in a folder, opened as a restart opens them; only
the ledger is handed in. What stops it is whatever the watcher raises or does.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from etdb.identity import Address, Txid
from etdb.index.db import Index
from etdb.index.follow import follow
from etdb.ledger.base import Block, Ledger, LedgerInfo, SignedTransaction, Tip
from etdb.publish.journal import Entry, Journal
from etdb.publish.publisher import Publisher
from etdb.record.signing import PrivateKey
from etdb.store.inplace import InPlaceStore, Tree

Watch = Callable[[str], None]
"""Told of an effect, as "before send" and "after send"."""

Result = TypeVar("Result")

EFFECTS = ("store", "follow", "open", "send", "close")


def ignore(_point: str) -> None:
    """Watch without looking."""


@contextlib.contextmanager
def open_publisher(
    folder: Path,
    ledger: Ledger,
    key: PrivateKey,
    *,
    address: Address | None = None,
    watch: Watch = ignore,
) -> Iterator[Publisher]:
    """A publisher over a folder, which is made into a node's if it is new."""
    with _open_index(folder, ledger) as index, _open_store(folder) as store:
        store.watch = watch
        yield Publisher(
            index=index,
            ledger=WatchedLedger(ledger, watch),
            store=store,
            journal=WatchedJournal(folder / "journal", watch),
            derived=folder / "derived",
            address=key.address() if address is None else address,
            follow=_watched(watch, "follow", lambda: follow(index, ledger)),
            writing=lambda _purpose: contextlib.nullcontext(),
            key=key,
        )


class WatchedStore(InPlaceStore):
    """A store that says when it imports."""

    watch: Watch = staticmethod(ignore)

    def add_tree(self, files: Mapping[str, Path], **options: Any) -> Tree:
        """As the store's."""
        add = super().add_tree
        return _watched(self.watch, "store", lambda: add(files, **options))()


class WatchedJournal(Journal):
    """A journal that says when it writes."""

    def __init__(self, folder: Path, watch: Watch) -> None:
        super().__init__(folder)
        self._watch = watch

    def open(self, entry: Entry) -> None:
        """As the journal's."""
        add = super().open
        _watched(self._watch, "open", lambda: add(entry))()

    def close(self, entry: Entry) -> None:
        """As the journal's."""
        remove = super().close
        _watched(self._watch, "close", lambda: remove(entry))()


class WatchedLedger:
    """A ledger that says when it sends."""

    def __init__(self, ledger: Ledger, watch: Watch) -> None:
        self._ledger = ledger
        self._watch = watch

    @property
    def info(self) -> LedgerInfo:
        """As the ledger's."""
        return self._ledger.info

    def tip(self) -> Tip:
        """As the ledger's."""
        return self._ledger.tip()

    def block(self, height: int) -> Block:
        """As the ledger's."""
        return self._ledger.block(height)

    def iter_blocks(self, first: int, last: int) -> Iterator[Block]:
        """As the ledger's."""
        return self._ledger.iter_blocks(first, last)

    def raw_transaction(self, height: int, position: int) -> bytes:
        """As the ledger's."""
        return self._ledger.raw_transaction(height, position)

    def prepare(self, sizes_bytes: Sequence[int]) -> None:
        """As the ledger's."""
        self._ledger.prepare(sizes_bytes)

    def fee_sat(self, size_bytes: int) -> int:
        """As the ledger's."""
        return self._ledger.fee_sat(size_bytes)

    def compose(self, data: bytes) -> SignedTransaction:
        """As the ledger's."""
        return self._ledger.compose(data)

    def send(self, transactions: Sequence[SignedTransaction]) -> None:
        """As the ledger's."""
        _watched(self._watch, "send", lambda: self._ledger.send(transactions))()

    def find_height(self, txid: Txid) -> int | None:
        """As the ledger's."""
        return self._ledger.find_height(txid)


def _watched(
    watch: Watch, effect: str, do: Callable[[], Result]
) -> Callable[[], Result]:
    def done() -> Result:
        watch(f"before {effect}")
        result = do()
        watch(f"after {effect}")
        return result

    return done


def _open_index(folder: Path, ledger: Ledger) -> Index:
    path = folder / "index.sqlite"
    if path.exists():
        return Index.open(path, [ledger.info])
    return Index.create(path, [ledger.info])


def _open_store(folder: Path) -> WatchedStore:
    for name in ("journal", "derived"):
        (folder / name).mkdir(exist_ok=True)
    path = folder / "store.sqlite"
    return WatchedStore.open(path) if path.exists() else WatchedStore.create(path)
