"""A small signed dataset, gateways that serve it, and impatient clients."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from etdb.client.download import FileResult, download, plan
from etdb.client.filters import Selection
from etdb.client.sources import HttpSource, Source
from etdb.fetch import Limits
from etdb.identity import CID
from etdb.record.canonical import digest_of, parse_message_text
from etdb.record.oip042 import read_envelope
from etdb.store.unixfs import UNIXFS_V1_2025, Profile
from etdb.testing.gateway import FakeGateway, Fault
from etdb.testing.records import Author
from etdb.testing.store import MemoryStore

MIB = 1 << 20
QUICK = Limits(
    connect_s=5,
    silence_s=0.3,
    answer_s=1.0,
    attempts=3,
    backoff_s=0.01,
    retry_after_s=5,
)


@dataclass(frozen=True)
class Dataset:
    """Files in a store, and the record that names them."""

    store: MemoryStore
    files: Mapping[str, bytes]
    root: CID
    record: dict[str, Any]

    profile: Profile = UNIXFS_V1_2025

    def cid(self, name: str) -> CID:
        """The CID of one file."""
        return self.store.add_bytes(self.files[name], self.profile).cid


def record_of(text: str) -> dict[str, Any]:
    """As much of a record's dict as a client needs."""
    envelope = read_envelope(parse_message_text(text))
    return {
        "id": digest_of(envelope.action, envelope.body),
        "txid": "ab" * 32,
        "text": text,
        "artifact": envelope.body,
        "withdrawn": None,
        "anchors": [{"txid": "cd" * 32}],
    }


@pytest.fixture
def author() -> Author:
    return Author()


@pytest.fixture
def make_record(author: Author) -> Callable[[object], dict[str, Any]]:
    def make(root: object) -> dict[str, Any]:
        storage = {"network": "ipfs", "location": str(root), "files": []}
        return record_of(author.publish(author.artifact(storage=storage)))

    return make


@pytest.fixture
def make_dataset(
    make_record: Callable[[object], dict[str, Any]],
) -> Callable[..., Dataset]:
    def make(files: Mapping[str, bytes], profile: Profile = UNIXFS_V1_2025) -> Dataset:
        store = MemoryStore()
        root = store.add_tree(files, profile)
        return Dataset(store, files, root, make_record(root), profile)

    return make


@pytest.fixture(scope="session")
def files() -> dict[str, bytes]:
    noise = random.Random(7)  # synthetic
    return {
        "raw/ts 1.st": noise.randbytes(36 * MIB + 77),
        "rec/vol.rec": noise.randbytes(3 * MIB),
        "notes.txt": b"Synthetic.\n",
        "empty.dat": b"",
    }


@pytest.fixture
def dataset(make_dataset: Callable[..., Dataset], files: dict[str, bytes]) -> Dataset:
    return make_dataset(files)


@pytest.fixture
def limits() -> Limits:
    return QUICK


@dataclass(frozen=True)
class Getter:
    """`etdb get` without the command line."""

    dataset: Dataset
    folder: Path
    limits: Limits = QUICK

    @contextlib.contextmanager
    def serving(self, *faults: Fault) -> Iterator[tuple[FakeGateway, HttpSource]]:
        with (
            FakeGateway(self.dataset.store, faults=faults) as gateway,
            HttpSource(gateway.url, limits=self.limits) as source,
        ):
            yield gateway, source

    def get(self, *sources: Source, include: tuple[str, ...] = ()) -> list[FileResult]:
        wanted = plan(self.dataset.record, sources, self.folder, Selection(include))
        return download(wanted, sources).files

    def get_with(self, *faults: Fault) -> dict[str, FileResult]:
        with self.serving(*faults) as (_, source):
            return {result.name: result for result in self.get(source)}

    def on_disk(self) -> dict[str, bytes]:
        return {
            path.relative_to(self.folder).as_posix(): path.read_bytes()
            for path in sorted(self.folder.rglob("*"))
            if path.is_file() and ".etdb" not in path.parts
        }

    def of(self, dataset: Dataset) -> Getter:
        return replace(self, dataset=dataset)


@pytest.fixture
def getter(dataset: Dataset, tmp_path: Path) -> Getter:
    return Getter(dataset, tmp_path / "got")
