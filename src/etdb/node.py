"""A node: the one place that builds its parts and hands them to each other.

A node is a folder. Its parts are opened when first used and closed together;
nothing else in the program opens an index, a store, a chain or a key.
"""

from __future__ import annotations

import contextlib
import shutil
import tempfile
import tomllib
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from importlib import metadata
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import platformdirs

from etdb import durable
from etdb.client.sources import StoreSource
from etdb.errors import (
    BrokenIndexError,
    ConfigError,
    ConflictError,
    EtdbError,
    InvalidDataError,
    NotFoundError,
)
from etdb.index import follow, queries
from etdb.index.db import Index, find_tip
from etdb.index.paging import Page
from etdb.ledger.flo.local import EmbeddedChain
from etdb.progress import Progress, Silent
from etdb.publish import keys
from etdb.publish.journal import Journal
from etdb.settings import FILE_NAME, Settings, load_settings, settings_file
from etdb.store.inplace import InPlaceStore
from etdb.web.site import Counts, Site

if TYPE_CHECKING:
    from etdb.publish.publisher import Publisher

WRITE_WAIT_S = 30.0
EMPTY_FOLDERS = ("journal", "derived", "locks")
"""May be empty, so that a copy of a node may come without them."""


def default_folder() -> Path:
    """The platform's folder for a user's data."""
    return platformdirs.user_data_path("etdb")


def keys_folder(folder: Path) -> Path:
    """Where a node keeps its keys."""
    return folder / "keys"


class LocalCatalogue:
    """A node's own index, asked as another node would be."""

    def __init__(self, index: Index) -> None:
        self._index = index

    def search(
        self,
        query: str = "",
        *,
        sort: str = "newest",
        limit: int = 20,
        after: str | None = None,
    ) -> dict[str, Any]:
        """One page: count, total, results, next."""
        page = queries.search(self._index, query, sort=sort, limit=limit, after=after)
        return {
            "count": len(page.results),
            "total": page.total,
            "results": page.results,
            "next": page.next,
        }

    def get_record(self, record_id: str) -> dict[str, Any]:
        """The record of an id, whole."""
        return queries.get_record(self._index, record_id)


class SiteCatalogue:
    """A node's index as its web site asks it."""

    sorts = queries.SORTS

    def __init__(self, index: Index) -> None:
        self._index = index

    def search(self, query: str, *, sort: str, limit: int, after: str | None) -> Page:
        """One page of summaries."""
        return queries.search(self._index, query, sort=sort, limit=limit, after=after)

    def get_record(self, id_text: str) -> dict[str, Any]:
        """The record of an id, whole."""
        return queries.get_record(self._index, id_text)

    def list_rejected(self, *, limit: int, after: str | None) -> Page:
        """Messages that the rules refused, newest first."""
        return queries.list_rejected(self._index, limit=limit, after=after)

    def count(self) -> Counts:
        """How many tilt series, species and labs there are."""
        found = queries.count(self._index)
        return Counts(found["records"], found["species"], found["labs"])


class Node:
    """An open node. Use as a context manager."""

    def __init__(self, folder: Path, settings: Settings) -> None:
        self.folder = folder
        self.settings = settings
        self._resources = contextlib.ExitStack()

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
        _verify_settings(chosen)
        with durable.disk_errors(folder):
            _refuse_occupied(folder)
            folder.parent.mkdir(parents=True, exist_ok=True)
            building = Path(tempfile.mkdtemp(prefix=".etdb-init-", dir=folder.parent))
            try:
                _build(building, chosen, is_test=is_test, progress=progress or Silent())
                building.chmod(0o755)
                building.replace(folder)
            except BaseException:
                shutil.rmtree(building, ignore_errors=True)
                raise
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
        if settings.ledger.kind != "embedded":
            msg = (
                f"ledger.kind is {settings.ledger.kind!r}; this version knows: embedded"
            )
            raise ConfigError(msg)
        with durable.disk_errors(folder):
            for name in EMPTY_FOLDERS:
                (folder / name).mkdir(exist_ok=True)
        return cls(folder, settings)

    def __enter__(self) -> Node:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._resources.close()

    @cached_property
    def ledger(self) -> EmbeddedChain:
        """The embedded chain, to be read."""
        return EmbeddedChain.open(self.folder / "chain", publisher=None, wallet=None)

    @cached_property
    def index(self) -> Index:
        """What the ledger says, in SQL."""
        index = Index.open(self.folder / "index.sqlite", [self.ledger.info])
        return self._resources.enter_context(index)

    @cached_property
    def store(self) -> InPlaceStore:
        """The files that this node can give."""
        store = InPlaceStore.open(self.folder / "store.sqlite")
        return self._resources.enter_context(store)

    def publisher(self) -> Publisher:
        """What publishes into this node. Hold `publishing` while it is used."""
        from etdb.publish.publisher import Publisher  # noqa: PLC0415 - loads numpy

        self._verify_chain_is_whole()
        held = keys.load_keys(keys_folder(self.folder))
        if not (self.folder / "store.sqlite").exists():
            # It can be lost: publishing reads the files again.
            InPlaceStore.create(self.folder / "store.sqlite").close()
        with self.writing("opening the chain"):
            ledger = EmbeddedChain.open(
                self.folder / "chain", publisher=held.publisher, wallet=held.wallet
            )
        return Publisher(
            index=self.index,
            ledger=ledger,
            store=self.store,
            journal=Journal(self.folder / "journal"),
            derived=self.folder / "derived",
            address=held.address,
            follow=self.follow,
            writing=self.writing,
            key=held.publisher,
            threads=self.settings.store.threads,
        )

    def defaults(self) -> dict[str, object]:
        """What records say of the lab unless told otherwise, by search word."""
        lab = self.settings.lab
        said = {
            "lab": lab.name,
            "institution": lab.institution,
            "license": lab.license,
        }
        return {key: value for key, value in said.items() if value}

    def site(self) -> Site:
        """What the web server serves."""
        return Site(
            catalogue=SiteCatalogue(self.index),
            store=self.store,
            name=self.settings.lab.name or "etdb",
            version=metadata.version("etdb"),
            status=self.status,
            banner=self.settings.serve.banner,
            follow=self.follow,
        )

    def status(self) -> dict[str, Any]:
        """What the node holds and how far it has read, as JSON values."""
        stats = self.store.stats()
        journal = Journal(self.folder / "journal")
        return {
            "lab": self.settings.lab.name,
            "publisher": self.ledger.address,
            **queries.status(self.index),
            "chain_height": self.ledger.tip().height,
            "torn_bytes": self.ledger.torn_bytes,
            "unfinished_publications": len(journal.list_open()),
            "files": stats.files,
            "file_bytes": stats.bytes,
            "stale_files": [str(path) for path in self.store.list_stale()],
        }

    def check_index(self, progress: Progress) -> list[str]:
        """Differences between the index and one built from the ledger now.

        The chain itself is verified first. Raises InvalidDataError where its
        work, roots or block signatures are wrong.
        """
        self.ledger.verify()
        self.follow()
        with self.writing("checking the index"):
            return follow.check(self.index, [self.ledger], progress=progress)

    def rebuild_index(self, progress: Progress) -> int:
        """Build the index anew from the ledger; the height it reaches."""
        path = self.folder / "index.sqlite"
        # An index that can no longer be read is no witness.
        if self._is_index_readable():
            self._verify_chain_is_whole()
        with self.writing("rebuilding the index"):
            follow.rebuild(path, [self.ledger], progress=progress)
        return self.ledger.tip().height

    @property
    def catalogue(self) -> LocalCatalogue:
        """The records, as another node would be asked for them."""
        return LocalCatalogue(self.index)

    @property
    def source(self) -> StoreSource:
        """The bytes, as another node would be asked for them."""
        return StoreSource(self.store, f"the node in {self.folder}")

    def writing(self, purpose: str) -> contextlib.AbstractContextManager[None]:
        """Hold the node's write lock; waits up to 30 s, naming the holder."""
        path = self.folder / "locks" / "write.lock"
        return durable.lock(path, purpose, wait_s=WRITE_WAIT_S)

    def follow(self, progress: Progress | None = None) -> int:
        """Read what is new on the ledger into the index; blocks read."""
        self._verify_chain_is_whole()
        if queries.is_at(self.index, self.ledger.info.id, self.ledger.tip()):
            return 0
        with self.writing("following the ledger"):
            return follow.follow(self.index, self.ledger, progress=progress or Silent())

    def _is_index_readable(self) -> bool:
        try:
            with self.index.read() as connection:
                find_tip(connection, self.ledger.info.id)
        except EtdbError:
            return False
        return True

    def _verify_chain_is_whole(self) -> None:
        """Nobody writes this chain but the node, and nothing is taken from it.

        A chain that ends before what the index has read has lost blocks to a
        damaged disk; going on from there would be equivocation (PROTOCOL R8).
        """
        with self.index.read() as connection:
            read = find_tip(connection, self.ledger.info.id)
        # Read second: another process may be writing both.
        tip = self.ledger.tip()
        if read is not None and read.height > tip.height:
            msg = (
                f"the chain in {self.folder / 'chain'} ends at block {tip.height},"
                f" and block {read.height} was read from it before"
            )
            raise BrokenIndexError(msg, hint="restore the folder from a copy")

    @contextlib.contextmanager
    def publishing(self) -> Iterator[None]:
        """Be the one publisher of this node. Raises ConflictError at once."""
        with durable.lock(self.folder / "locks" / "publish.lock", "etdb publish"):
            yield

    def serve(self, on_ready: Callable[[str], None]) -> None:
        """Serve pages, API and files until stopped."""
        from etdb.web.app import create_app  # noqa: PLC0415 - loads FastAPI
        from etdb.web.server import serve  # noqa: PLC0415 - loads uvicorn

        with durable.lock(self.folder / "locks" / "serve.lock", "etdb serve"):
            self.follow()
            chosen = self.settings.serve
            serve(create_app(self.site()), chosen.host, chosen.port, on_ready)


def _verify_settings(chosen: Mapping[str, str | int | bool]) -> None:
    try:
        tomllib.loads(settings_file(chosen).encode().decode())
    except (UnicodeError, tomllib.TOMLDecodeError) as exc:
        msg = "a name or licence with characters that no settings file can hold"
        raise InvalidDataError(msg) from exc


def _refuse_occupied(folder: Path) -> None:
    if folder.is_dir():
        names = sorted(path.name for path in folder.iterdir())
        if not names:
            return
        shown = ", ".join(names[:5]) + (" …" if len(names) > 5 else "")
        msg = f"{folder} is not empty: it holds {shown}"
        raise ConflictError(msg, hint="name a new or an empty folder")
    if folder.exists():
        msg = f"{folder} is a file"
        raise ConflictError(msg, hint="name a new or an empty folder")


def _build(
    folder: Path,
    chosen: Mapping[str, str | int | bool],
    *,
    is_test: bool,
    progress: Progress,
) -> None:
    for name in ("keys", "chain", *EMPTY_FOLDERS):
        (folder / name).mkdir()
    held = keys.create_keys(folder / "keys", is_test=is_test)
    chain = EmbeddedChain.create(
        folder / "chain",
        publisher=held.publisher,
        wallet=held.wallet,
        address=held.address,
        progress=progress,
    )
    with Index.create(folder / "index.sqlite", [chain.info]) as index:
        follow.follow(index, chain, progress=progress)
    InPlaceStore.create(folder / "store.sqlite").close()
    durable.write_bytes(folder / FILE_NAME, settings_file(chosen).encode())
