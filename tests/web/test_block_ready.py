"""Blocks that the store has read ahead: the same answers, without asking a thread."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import httpx
import pytest

from etdb.errors import NotFoundError
from etdb.identity import CID
from etdb.store.ahead import FRESH_S
from etdb.store.inplace import InPlaceStore
from etdb.store.verified import iter_chunks
from etdb.testing.store import MemoryStore

ServeSite = Callable[..., httpx.Client]

BLOCK = bytes(range(256)) * 40


class Ready:
    """A source that has blocks in memory, and whose disk has none."""

    def __init__(self, blocks: Mapping[CID, bytes]) -> None:
        self._blocks = blocks

    def get_block(self, cid: CID) -> bytes:
        raise NotFoundError("chunk", cid)

    def find_ready(self, cid: CID) -> bytes | None:
        return self._blocks.get(cid)


@pytest.fixture(scope="module")
def cid() -> CID:
    return MemoryStore().add_bytes(BLOCK).cid


@pytest.fixture(scope="module")
def in_memory(serve_site: ServeSite, cid: CID) -> httpx.Client:
    return serve_site(store=Ready({cid: BLOCK}))


@pytest.fixture(scope="module")
def on_disk(serve_site: ServeSite) -> httpx.Client:
    store = MemoryStore()
    store.add_bytes(BLOCK)
    return serve_site(store=store)


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize(
    ("query", "headers"),
    [
        ("?format=raw", {}),
        ("/?format=raw", {}),
        ("?format=raw&filename=chunk.bin", {}),
        ("", {"Accept": "application/vnd.ipld.raw"}),
        ("?format=raw", {"Range": "bytes=3-9"}),
        ("?format=raw", {"Range": "bytes=1-2,4-5"}),
        ("?format=raw", {"Range": "bytes=99999-"}),
        ("?format=raw", {"If-None-Match": "*"}),
        ("?format=raw", {"Cache-Control": "only-if-cached"}),
    ],
)
def test_a_block_in_memory_is_answered_as_one_on_disk(
    in_memory: httpx.Client,
    on_disk: httpx.Client,
    cid: CID,
    method: str,
    query: str,
    headers: dict[str, str],
) -> None:
    ready, read = (
        site.request(method, f"/ipfs/{cid}{query}", headers=headers)
        for site in (in_memory, on_disk)
    )

    assert ready.status_code == read.status_code != 404
    assert _settled(ready) == _settled(read)


def _settled(answer: httpx.Response) -> tuple[dict[str, str], bytes]:
    """Headers and body; the boundary between parts is drawn anew each time."""
    headers = {name: value for name, value in answer.headers.items() if name != "date"}
    kind = headers.pop("content-type", "")
    boundary = kind.partition("boundary=")[2].encode() or b"no parts"
    return headers, answer.content.replace(boundary, b"boundary")


@pytest.mark.parametrize("rest", ["", "?format=car", "?format=tar", "/name?format=raw"])
def test_only_a_block_asked_for_by_its_own_cid_is_looked_for_in_memory(
    in_memory: httpx.Client, cid: CID, rest: str
) -> None:
    assert in_memory.get(f"/ipfs/{cid}{rest}").status_code == 404


def test_a_file_taken_block_by_block_is_given_from_memory_for_a_moment(
    serve_site: ServeSite, tmp_path: Path
) -> None:
    path = tmp_path / "tilt-series.mrc"
    path.write_bytes(os.urandom(5 * 1024 * 1024))
    now_s = [1000.0]
    with InPlaceStore.create(tmp_path / "store.sqlite") as store:
        store._ahead._clock = lambda: now_s[0]
        gateway = serve_site(store=store)
        chunks = [chunk.cid for chunk in iter_chunks(store, store.add_file(path).cid)]

        def take(cid: CID) -> httpx.Response:
            return gateway.get(f"/ipfs/{cid}?format=raw")

        for cid in chunks[:2]:
            assert take(cid).status_code == 200
        while not all(begun.read.done() for begun in store._ahead._begun.values()):
            time.sleep(0.001)
        path.unlink()

        for cid in chunks[2:4]:
            assert hashlib.sha256(take(cid).content).digest() == cid.digest
        now_s[0] += 2 * FRESH_S
        assert take(chunks[4]).status_code == 404
