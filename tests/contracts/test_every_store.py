"""What every store promises, whatever it keeps its blocks in."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from etdb.errors import NotFoundError
from etdb.identity import CID, DAG_PB, IDENTITY, RAW
from etdb.store.inplace import InPlaceStore
from etdb.store.unixfs import UNIXFS_V0_2015, UNIXFS_V1_2025, Profile, verify_block
from etdb.store.verified import (
    BlockSource,
    Verified,
    file_size,
    iter_chunks,
    iter_files,
    read_chunk,
    resolve,
)
from etdb.testing.store import MemoryStore

FILES = {
    "empty.txt": b"",
    "key image.jpg": b"jpeg",
    "raw/ts.st": bytes(range(256)) * 10_000,
    "raw/ü/名前.mrc": b"volume",
}


@dataclass(frozen=True)
class Filled:
    """A store that holds FILES as one tree."""

    source: BlockSource
    root: CID
    profile: Profile


def _in_memory(profile: Profile, folder: Path) -> Iterator[Filled]:
    store = MemoryStore()
    yield Filled(store, store.add_tree(FILES, profile), profile)


def _verified(profile: Profile, folder: Path) -> Iterator[Filled]:
    store = MemoryStore()
    yield Filled(Verified(store), store.add_tree(FILES, profile), profile)


def _in_place(profile: Profile, folder: Path) -> Iterator[Filled]:
    for name, data in FILES.items():
        path = folder / "lab" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    files = {name: folder / "lab" / name for name in FILES}
    with InPlaceStore.create(folder / "store.sqlite") as store:
        yield Filled(store, store.add_tree(files, profile=profile).root, profile)


Fill = Callable[[Profile, Path], Iterator[Filled]]


@pytest.fixture(params=[_in_memory, _verified, _in_place])
def fill(request: pytest.FixtureRequest) -> Fill:
    chosen: Fill = request.param
    return chosen


@pytest.fixture(params=[UNIXFS_V1_2025, UNIXFS_V0_2015], ids=lambda p: p.name)
def filled(
    fill: Fill, request: pytest.FixtureRequest, tmp_path: Path
) -> Iterator[Filled]:
    yield from fill(request.param, tmp_path)


class TestEveryStore:
    def test_it_gives_the_files_back(self, filled: Filled) -> None:
        source = filled.source

        found = {
            name: b"".join(read_chunk(source, c) for c in iter_chunks(source, e.cid))
            for name, e in iter_files(source, filled.root)
        }

        assert found == FILES

    def test_it_knows_their_sizes(self, filled: Filled) -> None:
        for name, data in FILES.items():
            cid, _ = resolve(filled.source, filled.root, name)

            assert file_size(filled.source, cid) == len(data)

    def test_all_stores_agree_on_the_cid(self, filled: Filled) -> None:
        assert filled.root == MemoryStore().add_tree(FILES, filled.profile)

    def test_blocks_are_bytes_of_their_cid(self, filled: Filled) -> None:
        block = filled.source.get_block(filled.root)

        assert type(block) is bytes
        verify_block(filled.root, block)

    def test_the_codec_of_a_cid_does_not_matter(self, filled: Filled) -> None:
        as_raw = CID(1, RAW, filled.root.digest)

        assert filled.source.get_block(as_raw) == filled.source.get_block(filled.root)

    def test_what_it_does_not_hold_is_not_found(self, filled: Filled) -> None:
        for cid in (
            CID(1, RAW, hashlib.sha256(b"unknown").digest()),
            CID(1, DAG_PB, bytes(32)),
            CID(1, RAW, bytes(64), 0x13),
        ):
            with pytest.raises(NotFoundError):
                filled.source.get_block(cid)

    def test_identity_cids_need_no_keeping(self, filled: Filled) -> None:
        assert filled.source.get_block(CID(1, RAW, b"abc", IDENTITY)) == b"abc"

    def test_threads_may_share_it(self, filled: Filled) -> None:
        cid, _ = resolve(filled.source, filled.root, "raw/ts.st")
        chunks = list(iter_chunks(filled.source, cid)) * 10

        with ThreadPoolExecutor(4) as pool:
            data = pool.map(lambda chunk: read_chunk(filled.source, chunk), chunks)

        assert b"".join(data) == FILES["raw/ts.st"] * 10


@pytest.mark.parametrize("fill", [_in_memory, _in_place])
def test_a_store_says_what_it_has(fill: Fill, tmp_path: Path) -> None:
    for filled in fill(UNIXFS_V1_2025, tmp_path):
        store = filled.source

        assert isinstance(store, MemoryStore | InPlaceStore)
        small, _ = resolve(store, filled.root, "key image.jpg")
        large, _ = resolve(store, filled.root, "raw/ts.st")
        assert all(store.has(cid) for cid in (filled.root, small, large))
        assert store.has(CID(1, RAW, b"abc", IDENTITY))
        assert not store.has(CID(1, RAW, bytes(32)))
