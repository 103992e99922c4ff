"""A publisher whose every effect can be watched, and stopped before or after.

The parts are the real ones, in a folder, opened as a restart opens them; only
the ledger is handed in. What stops it is whatever the watcher raises or does.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from etdb.identity import Address, BlockHash
from etdb.index.db import Index
from etdb.index.follow import follow
from etdb.lab.folder import read_dataset
from etdb.ledger.base import Block, Ledger, LedgerInfo, SignedTransaction, Tip
from etdb.publish.journal import Entry, Journal
from etdb.publish.outbox import Outbox, Published
from etdb.publish.plan import Plan
from etdb.publish.publisher import Publisher
from etdb.record.signing import PrivateKey
from etdb.store.inplace import InPlaceStore, Tree

Watch = Callable[[str], None]
"""Told of an effect, as "before send" and "after send"."""

Result = TypeVar("Result")

EFFECTS = ("store", "follow", "prepare", "open", "send", "replace", "close")
"""What a publisher does outside itself, as the watcher is told."""


def ignore(_point: str) -> None:
    """Watch without looking."""


class Killed(BaseException):
    """The process dies here: nothing may catch it."""


class Watcher:
    """Counts effects ("before send 1"); stops at the one it is told."""

    def __init__(
        self, stop_at: str = "", stop: Callable[[], None] | None = None
    ) -> None:
        self.seen: list[str] = []
        self._counts: Counter[str] = Counter()
        self._stop_at = stop_at
        self._stop = stop or _die

    def __call__(self, point: str) -> None:
        """Told of an effect by the publisher's parts."""
        self._counts[point] += 1
        name = f"{point} {self._counts[point]}"
        self.seen.append(name)
        if name == self._stop_at:
            self._stop()


def points(effects: Sequence[str]) -> list[str]:
    """Before and after each effect, in order."""
    return [f"{when} {effect}" for effect in effects for when in ("before", "after")]


def _die() -> None:
    raise Killed


@contextlib.contextmanager
def open_publisher(
    folder: Path,
    ledger: Ledger,
    key: PrivateKey,
    *,
    address: Address | None = None,
    watch: Watch = ignore,
    **options: Any,
) -> Iterator[Publisher]:
    """A publisher over a folder, which is made into a node's if it is new.

    `options` are further fields of its outbox.
    """
    with _open_index(folder, ledger) as index, _open_store(folder) as store:
        store.watch = watch
        outbox = Outbox(
            index=index,
            ledger=WatchedLedger(ledger, watch),
            journal=WatchedJournal(folder / "journal", watch),
            address=key.address() if address is None else address,
            follow=_watched(watch, "follow", lambda: follow(index, ledger)),
            writing=lambda _purpose: contextlib.nullcontext(),
            key=key,
            **options,
        )
        yield Publisher(outbox, store, derived=folder / "derived")


def plan(publisher: Publisher, folder: Path, **options: object) -> Plan:
    """What publishing a folder would come to."""
    return publisher.plan(read_dataset(folder, options=options))


def publish(publisher: Publisher, *folders: Path) -> list[Published]:
    """Plan datasets and publish them together."""
    return publisher.publish([plan(publisher, folder) for folder in folders])


def with_outbox(publisher: Publisher, **changes: Any) -> Publisher:
    """A publisher like another, but for these fields of its outbox."""
    return replace(publisher, outbox=replace(publisher.outbox, **changes))


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

    def open(self, entries: Sequence[Entry]) -> None:
        """As the journal's."""
        add = super().open
        _watched(self._watch, "open", lambda: add(entries))()

    def replace(self, entry: Entry) -> None:
        """As the journal's."""
        put = super().replace
        _watched(self._watch, "replace", lambda: put(entry))()

    def close(self, entries: Iterable[Entry]) -> None:
        """As the journal's."""
        remove = super().close
        _watched(self._watch, "close", lambda: remove(entries))()


class WatchedLedger:
    """A ledger that says when it prepares and sends."""

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

    def find_hash(self, height: int) -> BlockHash | None:
        """As the ledger's."""
        return self._ledger.find_hash(height)

    def iter_blocks(self, first: int, last: int) -> Iterator[Block]:
        """As the ledger's."""
        return self._ledger.iter_blocks(first, last)

    def raw_transaction(self, height: int, position: int) -> bytes:
        """As the ledger's."""
        return self._ledger.raw_transaction(height, position)

    def prepare(self, sizes_bytes: Sequence[int]) -> None:
        """As the ledger's."""
        _watched(self._watch, "prepare", lambda: self._ledger.prepare(sizes_bytes))()

    def fee_sat(self, size_bytes: int) -> int:
        """As the ledger's."""
        return self._ledger.fee_sat(size_bytes)

    def compose(self, data: bytes) -> SignedTransaction:
        """As the ledger's."""
        return self._ledger.compose(data)

    def send(self, transactions: Sequence[SignedTransaction]) -> None:
        """As the ledger's."""
        _watched(self._watch, "send", lambda: self._ledger.send(transactions))()


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
