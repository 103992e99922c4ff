"""A CAR holds the blocks that prove what a path names, in order, and no others."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from etdb.errors import EtdbError, InvalidDataError, NotFoundError
from etdb.identity import CID, DAG_CBOR, DAG_PB, IDENTITY, RAW, decode_varint
from etdb.store.car import ByteRange, CarOptions, Scope, encode_header, iter_car
from etdb.store.dagcbor import parse_dagcbor
from etdb.store.unixfs import (
    UNIXFS_V1_2025,
    Kind,
    Link,
    Node,
    Profile,
    ShardRule,
    encode_node,
)
from etdb.store.verified import BlockSource, Verified
from etdb.testing.car import CarFile
from etdb.testing.store import MemoryStore

TINY = Profile("tiny-64-w4", 64, 4, 1, True, ShardRule.BLOCK)
WRAPPED = Profile("tiny-wrapped", 64, 4, 0, False, ShardRule.BLOCK)
MIXED = "subdir-with-mixed-block-files.car"
DUPLICATES = "dir-with-duplicate-files.car"

Cars = Callable[[str], CarFile]


def _cids(
    source: BlockSource, root: CID, path: str = "", options: CarOptions | None = None
) -> list[CID]:
    """The CIDs of a CAR's sections; each block is hashed again."""
    data = b"".join(iter_car(Verified(source), root, path, options))
    size, at = decode_varint(data)
    at, found = at + size, []
    while at < len(data):
        size, start = decode_varint(data, at)
        cid, begin = CID.read(data, start)
        at = start + size
        assert hashlib.sha256(data[begin:at]).digest() == cid.digest
        found.append(cid)
    return found


def _short(cids: list[CID]) -> list[str]:
    return [cid.digest.hex()[:4] for cid in cids]


CHUNKS = ["9d6b", "fc23", "d4f8", "4b5e", "b29e"]


def _put(store: MemoryStore, block: bytes, codec: int = DAG_PB) -> CID:
    cid = CID(1, codec, hashlib.sha256(block).digest())
    store.put(cid, block)
    return cid


def test_the_header_names_the_root_and_is_read_by_others(tmp_path: Path) -> None:
    cid = CID(1, RAW, hashlib.sha256(b"").digest())
    path = tmp_path / "one.car"
    path.write_bytes(encode_header(cid))

    assert CarFile.read(path).roots == (cid,)


def test_the_path_comes_first_then_the_content(cars: Cars) -> None:
    car = cars(MIXED)
    root = car.roots[0]

    assert _short(_cids(car, root, "subdir/multiblock.txt")) == [
        *("67f2", "4d63", "c244"),
        *CHUNKS,
    ]
    assert _short(_cids(car, root, "/subdir/hello.txt/")) == ["67f2", "4d63", "a948"]


@pytest.mark.parametrize(
    ("scope", "path", "expected"),
    [
        (Scope.BLOCK, "subdir", ["67f2", "4d63"]),
        (Scope.ENTITY, "subdir", ["67f2", "4d63"]),
        (Scope.ALL, "subdir", ["67f2", "4d63", "aa03", "a948", "c244", *CHUNKS]),
        (Scope.BLOCK, "subdir/multiblock.txt", ["67f2", "4d63", "c244"]),
        (Scope.ENTITY, "subdir/multiblock.txt", ["67f2", "4d63", "c244", *CHUNKS]),
        (Scope.ENTITY, "subdir/ascii.txt", ["67f2", "4d63", "aa03"]),
    ],
)
def test_the_scope_decides_how_much_is_written(
    cars: Cars, scope: Scope, path: str, expected: list[str]
) -> None:
    car = cars(MIXED)

    assert _short(_cids(car, car.roots[0], path, CarOptions(scope))) == expected


@pytest.mark.parametrize(
    ("first", "last", "expected"),
    [
        (0, None, CHUNKS),
        (0, 0, CHUNKS[:1]),
        (512, 1023, CHUNKS[2:4]),
        (512, 1024, CHUNKS[2:]),
        (0, 9999, CHUNKS),
        (-5, None, CHUNKS[3:]),
        (-9999, -3, CHUNKS[:4]),
        (-9999, None, CHUNKS),
        (2000, None, []),
        (10, 5, []),
        (0, -9999, []),
    ],
)
def test_bytes_of_a_file_need_only_their_chunks(
    cars: Cars, first: int, last: int | None, expected: list[str]
) -> None:
    car = cars(MIXED)
    options = CarOptions(Scope.ENTITY, ByteRange(first, last))
    cids = _cids(car, car.roots[0], "subdir/multiblock.txt", options)

    assert _short(cids) == ["67f2", "4d63", "c244", *expected]


def test_bytes_of_a_directory_are_all_of_its_listing(cars: Cars) -> None:
    car = cars(MIXED)
    options = CarOptions(Scope.ENTITY, ByteRange(0, 3))

    assert _short(_cids(car, car.roots[0], "", options)) == ["67f2"]


def test_a_missing_block_outside_the_range_is_not_missed(cars: Cars) -> None:
    car = cars("file-3k-and-3-blocks-missing-block.car")
    root = car.roots[0]

    first = _cids(car, root, "", CarOptions(Scope.ENTITY, ByteRange(0, 1023)))
    last = _cids(car, root, "", CarOptions(Scope.ENTITY, ByteRange(2048, None)))

    assert (_short(first), _short(last)) == (["99fd", "0ea9"], ["99fd", "79a7"])
    with pytest.raises(NotFoundError):
        _cids(car, root)


@pytest.mark.parametrize("profile", [TINY, WRAPPED])
@given(
    size=st.integers(0, 3000), first=st.integers(0, 3000), length=st.integers(1, 999)
)
def test_any_range_is_proven_by_what_is_written(
    profile: Profile, size: int, first: int, length: int
) -> None:
    data = (b"".join(number.to_bytes(2, "big") for number in range(1500)))[:size]
    store = MemoryStore()
    root = store.add_bytes(data, profile).cid
    span = ByteRange(first, first + length - 1)
    cids = set(_cids(store, root, "", CarOptions(Scope.ENTITY, span, True)))
    whole = _cids(store, root, "", CarOptions(Scope.ENTITY))

    leaves = [data[at : at + 64] for at in range(first // 64 * 64, size, 64)]
    count = -(-(first % 64 + length) // 64) if first < size else 0
    wanted = {store.add_bytes(leaf, profile).cid for leaf in leaves[:count]}
    assert root in cids
    assert wanted <= cids <= set(whole)


def test_duplicates_are_left_out_or_written_each_time(cars: Cars) -> None:
    car = cars(DUPLICATES)
    root = car.roots[0]
    once = ["e23c", "aa03", "a948", "c244", *CHUNKS]

    assert _short(_cids(car, root)) == once
    twice = _cids(car, root, "", CarOptions(has_duplicates=True))
    assert _short(twice) == ["e23c", "aa03", *once[1:]]


def test_leaving_out_duplicates_has_a_bound() -> None:
    store = MemoryStore()
    data = b"".join(number.to_bytes(2, "big") for number in range(1500))
    root = store.add_bytes(data, TINY).cid

    with pytest.raises(InvalidDataError, match="more than 10 different"):
        _cids(store, root, "", CarOptions(most_remembered=10))
    assert len(_cids(store, root, "", CarOptions(has_duplicates=True))) > 10


def test_a_path_in_a_hamt_shows_only_the_shards_walked(cars: Cars) -> None:
    car = cars("single-layer-hamt-with-multi-block-files.car")
    root = car.roots[0]

    cids = _cids(car, root, "470.txt")
    listing = _cids(car, root, "", CarOptions(Scope.ENTITY))

    assert cids[0] == root
    assert len(cids) == 1 + 1 + 1 + len(CHUNKS)
    assert set(cids[:2]) <= set(listing)
    assert len(listing) > 100
    assert not {cid.codec for cid in listing} - {DAG_PB}


def test_a_document_is_passed_through_by_its_names(cars: Cars) -> None:
    car = cars("dag-cbor-traversal.car")
    root = car.roots[0]
    one = CarOptions(Scope.ENTITY)

    assert _short(_cids(car, root)) == ["32e5", "dd02", "042d"]
    assert _short(_cids(car, root, "", one)) == ["32e5"]
    assert _short(_cids(car, root, "foo/link", one)) == ["32e5", "dd02"]
    assert _short(_cids(car, root, "foo/link/bar")) == ["32e5", "dd02", "042d"]
    assert _short(_cids(car, root, "foo/object")) == ["32e5"]
    for missing in ("none", "foo/object/none", "foo/link/bar/hello/x"):
        with pytest.raises(NotFoundError):
            _cids(car, root, missing)


def test_a_document_below_a_directory_links_to_files(cars: Cars) -> None:
    car = cars("dir-with-dag-cbor-with-links.car")
    root = car.roots[0]

    whole = _cids(car, root, "document")
    part = _cids(car, root, "document/files/multiblock")

    assert _short(whole) == ["1af7", "78e4", "a948", "c244", *CHUNKS]
    assert _short(part) == ["1af7", "78e4", "c244", *CHUNKS]
    entity = CarOptions(Scope.ENTITY)
    assert _short(_cids(car, root, "document", entity)) == ["1af7", "78e4"]
    inside = _cids(car, root, "document/files")
    assert _short(inside) == _short(whole)


def test_identity_cids_are_read_and_never_written() -> None:
    store = MemoryStore()
    leaf = store.add_bytes(b"leaf").cid
    inner = encode_node(Node(Kind.DIRECTORY, (Link("leaf", leaf, 4),)))
    inline = CID(1, DAG_PB, inner, IDENTITY)
    text = CID(1, RAW, b"inside", IDENTITY)
    links = (Link("dir", inline, None), Link("text", text, None))
    root = _put(store, encode_node(Node(Kind.DIRECTORY, links)))

    assert _cids(store, text, "", CarOptions(has_duplicates=True)) == []
    assert _cids(store, root) == [root, leaf]
    assert _cids(store, root, "dir/leaf") == [root, leaf]


def test_a_block_missing_in_the_middle_is_an_error_after_what_was_right() -> None:
    store = MemoryStore()
    data = b"".join(number.to_bytes(2, "big") for number in range(1500))
    root = store.add_bytes(data, TINY).cid
    store.drop(CID(1, RAW, hashlib.sha256(data[1280:1344]).digest()))
    got: list[bytes] = []

    with pytest.raises(NotFoundError):
        got.extend(iter_car(store, root))

    assert len(got) > 20


def test_a_tree_of_one_block_repeated_is_streamed_not_collected() -> None:
    store = MemoryStore()
    cid = _put(store, encode_node(Node(Kind.DIRECTORY)))
    for _ in range(60):
        links = (Link("a", cid, None), Link("b", cid, None))
        cid = _put(store, encode_node(Node(Kind.DIRECTORY, links)))

    assert len(_cids(store, cid)) == 61
    endless = iter_car(store, cid, "", CarOptions(has_duplicates=True))
    assert sum(len(next(endless)) for _ in range(1000)) > 1000


def test_nodes_too_deep_are_refused() -> None:
    store = MemoryStore()
    cid = _put(store, encode_node(Node(Kind.DIRECTORY)))
    for _ in range(300):
        cid = _put(store, encode_node(Node(Kind.DIRECTORY, (Link("a", cid, None),))))

    with pytest.raises(InvalidDataError, match="below one another"):
        _cids(store, cid)


def test_an_unknown_codec_is_refused_but_its_block_is_given() -> None:
    store = MemoryStore()
    cid = _put(store, b'{"a":1}', codec=0x0129)

    with pytest.raises(InvalidDataError, match="0x129"):
        _cids(store, cid)
    assert _cids(store, cid, "", CarOptions(Scope.BLOCK)) == [cid]


def test_a_hash_that_cannot_be_checked_is_refused() -> None:
    store = MemoryStore()
    digest = store.add_bytes(b"content").cid.digest
    blake = CID(1, RAW, digest, 0xB220)

    with pytest.raises(InvalidDataError, match="not supported"):
        list(iter_car(store, blake))
    assert store.get_block(blake) == b"content"


@pytest.mark.parametrize("bitfield", [b"", b"\xff" * 32, b"\x01", b"\0" * 900])
def test_the_bitfield_of_a_shard_decides_nothing(bitfield: bytes) -> None:
    store = MemoryStore()
    leaf = store.add_bytes(b"leaf").cid
    shard = Node(Kind.SHARD, (), bitfield, hash_code=0x22, fanout=256)
    below = _put(store, encode_node(shard))
    links = (Link("00", below, None), Link("01name", leaf, None))
    top = Node(Kind.SHARD, links, bitfield, hash_code=0x22, fanout=256)
    root = _put(store, encode_node(top))

    assert _cids(store, root, "", CarOptions(Scope.ENTITY)) == [root, below]


@given(st.binary(max_size=200))
def test_any_bytes_are_a_document_or_refused(block: bytes) -> None:
    with contextlib.suppress(EtdbError):
        parse_dagcbor(block)


@pytest.mark.parametrize(
    "block",
    [
        *(b"", b"\x18", b"\x62a", b"\x01\x01", b"\xfc", b"\xbf\xff", b"\x61\xff"),
        *(b"\x81" * 500, b"\x9b" + b"\xff" * 8, b"\xd8\x2a\x41\x01"),
        b"\xa2\x61a\x01\x61a\x02",
    ],
)
def test_a_broken_document_is_refused(block: bytes) -> None:
    with pytest.raises(InvalidDataError):
        parse_dagcbor(block)


def test_a_document_has_every_kind_of_value() -> None:
    link = UNIXFS_V1_2025.node_cid(b"")
    head = b"\xd8\x2a\x58\x25\0" + link.to_bytes()
    body = b"\x88\x01\x20\x61a\x41b\xf4\xf6\xfb\x3f\xf0\0\0\0\0\0\0" + head

    assert parse_dagcbor(body) == [1, -1, "a", b"b", False, None, 1.0, link]
    assert CID(1, DAG_CBOR, link.digest).codec == DAG_CBOR
