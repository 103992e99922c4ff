"""A gateway that holds the public suite's fixtures, and what their blocks are."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest

from etdb.errors import NotFoundError
from etdb.identity import CID, DAG_CBOR, DAG_PB
from etdb.store.dagcbor import parse_dagcbor
from etdb.store.unixfs import Kind, Link, Node, encode_node, parse_node
from etdb.store.verified import Verified
from etdb.testing.car import CarFile, read_store
from etdb.testing.store import MemoryStore

ServeSite = Callable[..., httpx.Client]
Fixture = Callable[[str], CarFile]
Blocks = Callable[[str, httpx.Response, Sequence[str]], list[str]]


@pytest.fixture(scope="module")
def public(serve_site: ServeSite, all_cars: list[Path]) -> httpx.Client:
    """A client of a gateway that holds every fixture."""
    return serve_site(store=Verified(read_store(all_cars)))


@pytest.fixture(scope="module")
def fixture(cars: Fixture) -> Fixture:
    """One of the suite's CAR files by its name."""
    return lambda name: cars(f"{name}.car")


@pytest.fixture(scope="module")
def blocks(fixture: Fixture) -> Blocks:
    """What the blocks of a CAR are, in the words of what they should be.

    A block is called by its path from the fixture's root, a chunk by that of
    its file and a number ("a.txt#2"), a shard by its slot ("/1F"); "?" is one
    that should not be there, hashed again each.
    """

    def blocks(name: str, answer: httpx.Response, expected: Sequence[str]) -> list[str]:
        assert answer.status_code == 200
        known: defaultdict[bytes, set[str]] = defaultdict(set)
        car = fixture(name)
        for called, cid in _iter_named(car, car.roots[0], ""):
            known[cid.digest].add(called)
        found = []
        for index, (cid, block) in enumerate(CarFile(answer.content).iter_blocks()):
            assert hashlib.sha256(block).digest() == cid.digest
            wanted = expected[index] if index < len(expected) else None
            is_right = wanted is not None and wanted in known[cid.digest]
            found.append(str(wanted) if is_right else "?")
        return found

    return blocks


def _iter_named(car: CarFile, cid: CID, path: str) -> Iterator[tuple[str, CID]]:
    yield path, cid
    for name, target in _iter_links(car, cid, path):
        yield from _iter_named(car, target, name)


def _iter_links(car: CarFile, cid: CID, path: str) -> Iterator[tuple[str, CID]]:
    try:
        block = car.get_block(cid)
    except NotFoundError:
        return
    if cid.codec == DAG_CBOR:
        yield from _iter_values(parse_dagcbor(block), path)
    if cid.codec != DAG_PB:
        return
    node = parse_node(block)
    above = path.rpartition("/")[0] if path.startswith("/") else path
    for number, link in enumerate(node.links):
        if node.kind is Kind.FILE:
            yield f"{path}#{number}", link.cid
        elif node.kind is not Kind.SHARD:
            yield _join(path, link.name), link.cid
        else:
            yield _join(above, link.name[2:]) or f"/{link.name}", link.cid


def _iter_values(value: Any, path: str) -> Iterator[tuple[str, CID]]:
    if isinstance(value, CID):
        yield path, value
    elif isinstance(value, Mapping):
        for key, below in value.items():
            yield from _iter_values(below, _join(path, str(key)))


def _join(path: str, name: str) -> str:
    return f"{path}/{name}".strip("/")


@pytest.fixture(scope="module")
def either_order(serve_site: ServeSite) -> httpx.Client:
    """A client of a gateway with one file in a directory and in a shard.

    Each of the two is there twice: with the data after its links, as most
    write it, and before them.
    """
    store = MemoryStore()
    link = Link("hello.txt", store.add_bytes(b"hello\n").cid, 6)
    named = Link("DFhello.txt", link.cid, 6)
    bits = (1 << 0xDF).to_bytes(28, "big")
    shard = Node(Kind.SHARD, (named,), bits, hash_code=0x22, fanout=256)
    for node in (Node(Kind.DIRECTORY, (link,)), shard):
        block = encode_node(node)
        links, data = block[: 2 + block[1]], block[2 + block[1] :]
        for either in (links + data, data + links):
            digest = hashlib.sha256(either).digest()
            store.put(CID(1, DAG_PB, digest), either)
    return serve_site(store=Verified(store))
