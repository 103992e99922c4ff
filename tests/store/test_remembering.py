"""A block that was just given is not read again, and every answer reads anew."""

from __future__ import annotations

import pytest

from etdb.errors import NotFoundError
from etdb.identity import CID
from etdb.store.verified import file_size, iter_chunks, read_chunk
from etdb.store.walk import Remembering
from etdb.testing.store import MemoryStore


class CountingStore(MemoryStore):
    """Notes what is asked for."""

    def __init__(self) -> None:
        self.asked: list[CID] = []
        super().__init__(self.asked.append)


@pytest.fixture
def store() -> CountingStore:
    return CountingStore()


def test_a_file_of_one_block_is_read_once_for_all_that_is_asked_of_it(
    store: CountingStore,
) -> None:
    cid = store.add_bytes(b"mdoc").cid
    source = Remembering(store)

    assert file_size(source, cid) == 4
    (chunk,) = iter_chunks(source, cid)
    assert read_chunk(source.locate([chunk.cid]), chunk) == b"mdoc"
    assert store.asked == [cid]


def test_without_it_the_block_is_read_three_times(store: CountingStore) -> None:
    cid = store.add_bytes(b"mdoc").cid

    assert file_size(store, cid) == 4
    (chunk,) = iter_chunks(store, cid)
    assert read_chunk(store, chunk) == b"mdoc"
    assert store.asked == [cid] * 3


def test_only_the_last_block_is_remembered(store: CountingStore) -> None:
    one, two = (store.add_bytes(data).cid for data in (b"one", b"two"))
    source = Remembering(store)

    for cid, data in ((one, b"one"), (two, b"two"), (one, b"one")):
        assert source.get_block(cid) == data
    assert store.asked == [one, two, one]


def test_the_next_answer_does_not_see_what_the_last_one_read(
    store: CountingStore,
) -> None:
    cid = store.add_bytes(b"mdoc").cid
    assert Remembering(store).get_block(cid) == b"mdoc"
    store.drop(cid)

    with pytest.raises(NotFoundError):
        Remembering(store).get_block(cid)


def test_what_is_located_is_read_where_it_lies(store: CountingStore) -> None:
    one, two = (store.add_bytes(data).cid for data in (b"one", b"two"))
    source = Remembering(store)
    source.get_block(one)

    near = source.locate([one, two])

    assert near.get_block(two) == b"two"
    assert source.get_block(one) == b"one"
    assert store.asked == [one, two]
