"""A node: the one place that builds its parts and hands them to each other.

A node is a folder. Its parts are opened when first used and closed together;
nothing else in the program opens an index, a store, a chain or a key.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from functools import cached_property
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from etdb import durable, network
from etdb.client.sources import StoreSource
from etdb.errors import EtdbError, NotFoundError
from etdb.identity import Address
from etdb.index import follow, queries
from etdb.index.catalogue import IndexCatalogue
from etdb.index.db import Index, find_tip
from etdb.index.followed import FollowedLedgers, verify_whole
from etdb.ledger.base import Ledger, LedgerReader
from etdb.ledger.flo.local import EmbeddedChain
from etdb.newnode import EMPTY_FOLDERS, make_folder
from etdb.progress import Progress, Silent
from etdb.publish import keys
from etdb.publish.journal import Journal
from etdb.settings import (
    FILE_NAME,
    Settings,
    chosen_settings,
    listed,
    load_settings,
)
from etdb.store.inplace import InPlaceStore
from etdb.web.site import Site

if TYPE_CHECKING:
    from etdb.ledger.flo.daemon import DaemonLedger, DaemonStatus
    from etdb.publish.publisher import Publisher

WRITE_WAIT_S = 30.0
_SOON_BLOCKS = 10_000
"""Looking for coins in more than these is not done in passing."""


def keys_folder(folder: Path) -> Path:
    """Where a node keeps its keys."""
    return folder / "keys"


class Node:
    """An open node. Use as a context manager."""

    def __init__(self, folder: Path, settings: Settings) -> None:
        self.folder = folder
        self.settings = settings
        self._resources = contextlib.ExitStack()
        self._seen: DaemonStatus | None = None

    @classmethod
    def create(
        cls,
        folder: Path,
        *,
        chosen: Mapping[str, str | int | bool],
        is_test: bool = False,
        progress: Progress | None = None,
    ) -> Node:
        """Make a node in a new or empty folder; it appears whole or not at all.

        `chosen` are settings to write, keyed like `lab.name`; `is_test` makes
        keys of the test network. Raises ConflictError naming what is there.
        """
        folder = folder.resolve()
        settings = chosen_settings(chosen)
        make_folder(
            folder,
            chosen,
            daemon=network.find_daemon(settings.ledger),
            is_test=is_test,
            progress=progress or Silent(),
        )
        return cls.open(folder, environ={})

    @classmethod
    def open(
        cls,
        folder: Path,
        *,
        environ: Mapping[str, str],
        flags: Mapping[str, str | int | bool | None] | None = None,
    ) -> Node:
        """Open the node in a folder. Raises NotFoundError, ConfigError."""
        if not (folder / FILE_NAME).is_file():
            raise NotFoundError("node in", folder, hint=f"make one: etdb init {folder}")
        settings = load_settings(folder, environ=environ, flags=flags)
        with durable.disk_errors(folder):
            for name in EMPTY_FOLDERS:
                (folder / name).mkdir(exist_ok=True)
        return cls(folder, settings)

    def __enter__(self) -> Node:
        return self

    def __exit__(self, *_: object) -> None:
        self._resources.close()

    @cached_property
    def chain(self) -> EmbeddedChain | None:
        """The node's own chain, to be read; None where it has none."""
        folder = self.folder / "chain"
        if self.settings.ledger.kind != "embedded" and not folder.exists():
            return None
        return EmbeddedChain.open(folder, publisher=None, wallet=None)

    @cached_property
    def daemon(self) -> DaemonLedger | None:
        """The FLO daemon and our wallet on its network; None where none is set."""
        if self.settings.ledger.kind != "flo":
            return None
        daemon = network.open_daemon(
            self.folder, self.settings.ledger, self.keys.wallet
        )
        return self._resources.enter_context(daemon)

    @property
    def ledgers(self) -> list[LedgerReader]:
        """All that are read, the one that is published on last."""
        return [ledger for ledger in (self.chain, self.daemon) if ledger is not None]

    @property
    def ledger(self) -> LedgerReader:
        """The one that is published on, to be read."""
        return self.ledgers[-1]

    @cached_property
    def keys(self) -> keys.Keys:
        """Both keys. Raises as `load_keys` does."""
        return keys.load_keys(keys_folder(self.folder))

    @property
    def address(self) -> Address:
        """The publisher's, as records say it."""
        return self.keys.address if self.chain is None else self.chain.address

    @property
    def wallet_address(self) -> Address | None:
        """Where coins for the FLO daemon's network go; None without one."""
        if self.daemon is None:
            return None
        return network.address_on(self.settings.ledger, self.keys.wallet)

    @cached_property
    def index(self) -> Index:
        """What the ledgers say, in SQL."""
        infos = [ledger.info for ledger in self.ledgers]
        index = Index.open(self.folder / "index.sqlite", infos)
        return self._resources.enter_context(index)

    @cached_property
    def followed(self) -> FollowedLedgers:
        """The index and all that it is made from."""
        return FollowedLedgers(self.index, self.ledgers, self.writing)

    @cached_property
    def store(self) -> InPlaceStore:
        """The files that this node can give."""
        store = InPlaceStore.open(self.folder / "store.sqlite")
        return self._resources.enter_context(store)

    def publisher(self) -> Publisher:
        """What publishes into this node. Hold `publishing` while it is used."""
        from etdb.publish.outbox import Outbox  # noqa: PLC0415 - needed to publish
        from etdb.publish.publisher import Publisher  # noqa: PLC0415 - loads numpy

        if not (self.folder / "store.sqlite").exists():
            # It can be lost: publishing reads the files again.
            InPlaceStore.create(self.folder / "store.sqlite").close()
        outbox = Outbox(
            index=self.index,
            ledger=self._writable_ledger(),
            journal=Journal(self.folder / "journal"),
            follow=self.follow,
            # A daemon's chain is nobody's file: sending locks nothing here.
            writing=self.writing if self.daemon is None else _no_lock,
            address=self.keys.address,
            key=self.keys.publisher,
            confirmations=self.settings.ledger.confirmations if self.daemon else 1,
            max_fee_factor=self.settings.ledger.max_fee_factor,
        )
        return Publisher(
            outbox,
            self.store,
            derived=self.folder / "derived",
            threads=self.settings.store.threads,
        )

    def _writable_ledger(self) -> Ledger:
        if self.daemon is not None:
            return self.daemon
        self._verify_chain_is_whole()
        with self.writing("opening the chain"):
            return EmbeddedChain.open(
                self.folder / "chain",
                publisher=self.keys.publisher,
                wallet=self.keys.wallet,
            )

    def defaults(self) -> dict[str, object]:
        """What records say of the lab unless told otherwise, by search word."""
        said = asdict(self.settings.lab)
        said["lab"] = said.pop("name")
        return {key: value for key, value in said.items() if value}

    def site(self) -> Site:
        """What the web server serves."""
        from etdb.index.oip.oipd import OipIndex  # noqa: PLC0415 - loads luqum

        return Site(
            catalogue=self.catalogue,
            store=self.store,
            name=self.settings.lab.name or "etdb",
            version=metadata.version("etdb"),
            status=self.status,
            banner=self.settings.serve.banner,
            addresses=listed(self.settings.serve.addresses),
            hosts=self.catalogue.list_hosts,
            follow=lambda stop: self.follow(stop=stop),
            oip=OipIndex(self.index, self._raw_transaction),
        )

    def _raw_transaction(self, ledger_id: str, height: int, position: int) -> bytes:
        for ledger in self.ledgers:
            if ledger.info.id == ledger_id:
                return ledger.raw_transaction(height, position)
        raise NotFoundError("ledger", ledger_id)

    def look(self) -> None:
        """Ask every ledger how far it is; what goes wrong is in `status`."""
        self.followed.look()
        self._look_for_coins(math.inf)

    def status(self) -> dict[str, Any]:
        """What the node holds and how far it has read, as JSON values.

        Of the ledgers it says what was last known; `look` asks them.
        """
        stats = self.store.stats()
        held = queries.status(self.index)
        return {
            "lab": self.settings.lab.name,
            "publisher": self.address,
            **held,
            "ledgers": [self._ledger_status(one) for one in held["ledgers"]],
            "publishing": self._publishing_status(),
            "torn_bytes": self.torn_bytes,
            "files": stats.files,
            "file_bytes": stats.bytes,
            "stale_files": [str(path) for path in self.store.list_stale()],
        }

    def _ledger_status(self, held: dict[str, Any]) -> dict[str, Any]:
        seen = self._seen if held["id"] == self.ledger.info.id else None
        return network.ledger_facts(held, self.followed.known(held["id"]), seen)

    def _publishing_status(self) -> dict[str, Any]:
        pending = [
            {
                "action": entry.action,
                "sid": entry.sid,
                "record": entry.record_id,
                "digest": entry.digest,
                "since": entry.timestamp,
            }
            for entry in Journal(self.folder / "journal").list_open()
        ]
        return {"pending": pending, "wallet": network.wallet_facts(self._seen)}

    @property
    def torn_bytes(self) -> int:
        """What a crash had left at the end of the own chain when it was opened."""
        return 0 if self.chain is None else self.chain.torn_bytes

    def check_index(self, progress: Progress) -> list[str]:
        """Differences between the index and one built from the ledgers now.

        The own chain is verified first. Raises InvalidDataError where its
        work, roots or block signatures are wrong.
        """
        if self.chain is not None:
            self.chain.verify()
        self.follow()
        with self.writing("checking the index"):
            return follow.check(self.index, self.ledgers, progress=progress)

    def rebuild_index(self, progress: Progress) -> list[dict[str, Any]]:
        """Build the index anew from the ledgers; what it then holds of each."""
        path = self.folder / "index.sqlite"
        # An index that can no longer be read is no witness.
        if self._is_index_readable():
            self._verify_chain_is_whole()
        with self.writing("rebuilding the index"):
            follow.rebuild(path, self.ledgers, progress=progress)
        ledgers: list[dict[str, Any]] = queries.status(self.index)["ledgers"]
        return ledgers

    @property
    def catalogue(self) -> IndexCatalogue:
        """The records, as another node would be asked for them."""
        return IndexCatalogue(self.index)

    @property
    def source(self) -> StoreSource:
        """The bytes, as another node would be asked for them."""
        return StoreSource(self.store, f"the node in {self.folder}")

    def writing(self, purpose: str) -> contextlib.AbstractContextManager[None]:
        """Hold the node's write lock; waits up to 30 s, naming the holder."""
        path = self.folder / "locks" / "write.lock"
        return durable.lock(path, purpose, wait_s=WRITE_WAIT_S)

    def follow(
        self,
        progress: Progress | None = None,
        stop: Callable[[], bool] | None = None,
    ) -> int:
        """Read what is new on the ledgers into the index; how many blocks."""
        self._verify_chain_is_whole()
        applied = self.followed.follow(progress, stop)
        if applied or self._seen is None or self._seen.gap:
            self._look_for_coins(_SOON_BLOCKS)
        return applied

    def _look_for_coins(self, most_blocks: float) -> None:
        """Ask the daemon; count the wallet's coins, unless that takes long."""
        if self.daemon is None:
            return
        with contextlib.suppress(EtdbError):
            status = self.daemon.status()
            if status.count_unread() <= most_blocks:
                self.daemon.settle()
                status = self.daemon.status()
            self._seen = status

    def catch_up(self, progress: Progress) -> int:
        """Follow, and look for the wallet's coins; how many blocks were new."""
        applied = self.follow(progress)
        if self.daemon is not None:
            self.daemon.settle(progress)
        return applied

    def _is_index_readable(self) -> bool:
        try:
            with self.index.read() as connection:
                find_tip(connection, self.ledger.info.id)
        except EtdbError:
            return False
        return True

    def _verify_chain_is_whole(self) -> None:
        """Nobody writes this chain but the node, and nothing is taken from it."""
        if self.chain is not None:
            verify_whole(self.index, self.chain, self.folder / "chain")

    @contextlib.contextmanager
    def publishing(self) -> Iterator[None]:
        """Be the one publisher of this node. Raises ConflictError at once."""
        with durable.lock(self.folder / "locks" / "publish.lock", "etdb publish"):
            yield

    def serve(self, on_ready: Callable[[str], None]) -> None:
        """Serve pages, API and files until stopped."""
        from etdb.serving import serve_site  # noqa: PLC0415 - loads FastAPI

        with durable.lock(self.folder / "locks" / "serve.lock", "etdb serve"):
            # A daemon may be down, and a first scan takes hours: the site
            # follows while it serves.
            self._verify_chain_is_whole()
            serve_site(self.site(), self.folder, self.settings.serve, on_ready)


def _no_lock(_purpose: str) -> contextlib.AbstractContextManager[None]:
    return contextlib.nullcontext()
