"""What a CAR holds in memory at once does not depend on what links say."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import pytest

from etdb.errors import InvalidDataError
from etdb.identity import CID, DAG_CBOR, DAG_PB, RAW
from etdb.store.car import CarOptions
from etdb.store.dagpb import Link, encode_dagpb
from etdb.store.unixfs import MAX_BLOCK_BYTES
from etdb.store.walk import walk
from etdb.testing.store import MemoryStore
from etdb.web.jobs import UNIT_BYTES, car_jobs

LEAF = bytes(1 << 20)
LINKS = 40
EVERY = CarOptions(has_duplicates=True)


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


def kept(store: MemoryStore, codec: int, block: bytes) -> CID:
    cid = CID(1, codec, hashlib.sha256(block).digest())
    store.put(cid, block)
    return cid


def folder(store: MemoryStore, tsize: int | None) -> CID:
    """A directory of one large leaf under many names, each of a size that is said."""
    leaf = kept(store, RAW, LEAF)
    links = [Link(f"{number:05}", leaf, tsize) for number in range(LINKS)]
    return kept(store, DAG_PB, encode_dagpb(links, b"\x08\x01"))


def document(store: MemoryStore) -> CID:
    """The same as a dag-cbor list; its links say no sizes."""
    link = b"\xd8\x2a\x58\x25\x00" + kept(store, RAW, LEAF).to_bytes()
    return kept(store, DAG_CBOR, b"\x98" + bytes([LINKS]) + link * LINKS)


def sizes_of_jobs(store: MemoryStore, root: CID) -> Iterator[int]:
    for job in car_jobs(store, walk(store, root, ""), EVERY):
        yield sum(map(len, job()))


@pytest.mark.parametrize("tsize", [0, None, len(LEAF), 1 << 60])
def test_a_unit_is_small_whatever_a_directory_says(
    store: MemoryStore, tsize: int | None
) -> None:
    sizes = [*sizes_of_jobs(store, folder(store, tsize))]

    assert sum(sizes) > LINKS * len(LEAF)
    assert max(sizes) <= UNIT_BYTES + MAX_BLOCK_BYTES


def test_a_unit_is_small_for_a_document(store: MemoryStore) -> None:
    sizes = [*sizes_of_jobs(store, document(store))]

    assert sum(sizes) > LINKS * len(LEAF)
    assert max(sizes) <= UNIT_BYTES + MAX_BLOCK_BYTES


def test_links_that_say_far_too_little_end_the_car(store: MemoryStore) -> None:
    with pytest.raises(InvalidDataError, match="larger than the links"):
        list(sizes_of_jobs(store, folder(store, 1)))


def test_without_the_bound_all_of_it_would_be_one_unit(
    store: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("etdb.web.jobs.MAX_BLOCK_BYTES", 1 << 60)

    sizes = [*sizes_of_jobs(store, folder(store, 1))]

    assert max(sizes) > LINKS * len(LEAF)
