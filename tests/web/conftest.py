"""A site on loopback, with files on disk and records in memory."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from etdb.store.inplace import InPlaceStore, Tree
from etdb.testing.catalogue import MemoryCatalogue
from etdb.testing.store import MemoryStore
from etdb.web.app import Site, create_app
from etdb.web.server import running

ServeSite = Callable[..., httpx.Client]

CONTENTS = {
    "tomogram.mrc": bytes(range(251)) * 21_000 + b"end",
    "notes.txt": "Größe: 4 Å\n".encode(),
    "empty.bin": b"",
    "page.html": b"<script>document.title = 'ran'</script>",
    "program.js": b"document.title = 'ran'",
    "raw/tilt series #1 50%.mrc": bytes(1000),
    "raw/Penín\u00adsula?.txt": b"spain",
}


@pytest.fixture(scope="module")
def serve_site() -> Iterator[ServeSite]:
    """Serve a site of given parts; a client that talks to it."""
    with contextlib.ExitStack() as stack:

        def serve(**parts: Any) -> httpx.Client:
            known: dict[str, Any] = {
                "catalogue": MemoryCatalogue(),
                "store": MemoryStore(),
                "name": "Test lab",
                "version": "0",
                "status": dict,
                **parts,
            }
            url = stack.enter_context(running(create_app(Site(**known))))
            return stack.enter_context(httpx.Client(base_url=url, timeout=20))

        yield serve


@pytest.fixture(scope="module")
def lab_files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A dataset's files: of several chunks, of one, of none; odd names too."""
    folder = tmp_path_factory.mktemp("lab")
    files = {}
    for name, content in CONTENTS.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        files[name] = path
    return files


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[InPlaceStore]:
    """A store on disk."""
    path = tmp_path_factory.mktemp("store") / "store.sqlite"
    with InPlaceStore.create(path) as opened:
        yield opened


@pytest.fixture(scope="module")
def tree(store: InPlaceStore, lab_files: dict[str, Path]) -> Tree:
    """The dataset, imported."""
    return store.add_tree(lab_files)


@pytest.fixture(scope="module")
def gateway(serve_site: ServeSite, store: InPlaceStore, tree: Tree) -> httpx.Client:
    """A client of a gateway that holds the dataset."""
    return serve_site(store=store)
