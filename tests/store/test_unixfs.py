"""UnixFS nodes, chunks, names, and the check of a block against its CID."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from etdb.errors import ContentMismatchError, InvalidDataError
from etdb.identity import CID, DAG_PB, IDENTITY, RAW
from etdb.store.dagpb import encode_dagpb
from etdb.store.unixfs import (
    MAX_BLOCK_BYTES,
    PROFILES,
    UNIXFS_V0_2015,
    UNIXFS_V1_2025,
    Kind,
    Link,
    Node,
    chunk_block,
    chunk_digest,
    encode_node,
    parse_node,
    verify_block,
    verify_name,
)

SIZES = st.integers(0, 2**62)


@given(
    st.builds(
        Node,
        st.sampled_from(Kind),
        st.just(()),
        st.binary(max_size=50),
        st.none() | SIZES,
        st.lists(SIZES, max_size=4).map(tuple),
        st.none() | SIZES,
        st.none() | SIZES,
    )
)
def test_a_node_is_read_as_it_was_written(node: Node) -> None:
    assert parse_node(encode_node(node)) == node


@given(st.binary(max_size=300))
def test_any_bytes_are_a_node_or_refused(block: bytes) -> None:
    try:
        parse_node(block)
    except InvalidDataError:
        return


def test_packed_sizes_of_other_writers_are_read() -> None:
    block = encode_dagpb([], bytes.fromhex("0802" + "1805" + "22020203"))

    assert parse_node(block).child_sizes == (2, 3)


def test_fields_we_do_not_know_are_passed_over() -> None:
    mode_and_mtime = "38a403" + "42020801"
    block = encode_dagpb([], bytes.fromhex("0802" + "1800" + mode_and_mtime))

    assert parse_node(block) == Node(Kind.FILE, size_bytes=0)


@pytest.mark.parametrize(
    "block",
    [
        pytest.param(b"", id="no data"),
        pytest.param(encode_dagpb([], b""), id="no type"),
        pytest.param(encode_dagpb([], b"\x08\x06"), id="unknown type"),
        pytest.param(encode_dagpb([], b"\x08"), id="cut off"),
        pytest.param(bytes(MAX_BLOCK_BYTES + 1), id="over 2 MiB"),
    ],
)
def test_what_is_not_unixfs_is_refused(block: bytes) -> None:
    with pytest.raises(InvalidDataError):
        parse_node(block)


@pytest.mark.parametrize("size", [0, 1, 127, 128, 20_000, 262_144])
def test_a_wrapped_chunk_is_the_node_of_a_small_file(size: int) -> None:
    data = bytes(size)

    block = chunk_block(data, is_raw=False)

    assert block == encode_node(Node(Kind.FILE, data=data, size_bytes=size))
    assert chunk_digest(data, UNIXFS_V0_2015) == hashlib.sha256(block).digest()
    assert UNIXFS_V0_2015.leaf_bytes(size) == len(block)


def test_a_raw_chunk_is_its_bytes() -> None:
    assert chunk_block(b"abc", is_raw=True) == b"abc"
    assert chunk_digest(b"abc", UNIXFS_V1_2025) == hashlib.sha256(b"abc").digest()


def test_profiles_are_found_by_name() -> None:
    assert PROFILES["unixfs-v1-2025"] is UNIXFS_V1_2025
    assert len(PROFILES) == 4


def test_a_right_block_passes() -> None:
    verify_block(CID(1, RAW, hashlib.sha256(b"abc").digest()), b"abc")
    verify_block(CID(1, RAW, b"abc", IDENTITY), b"abc")


@given(st.binary(min_size=1, max_size=64), st.data())
def test_any_flipped_bit_is_found(block: bytes, data: st.DataObject) -> None:
    cid = CID(1, DAG_PB, hashlib.sha256(block).digest())
    bit = data.draw(st.integers(0, len(block) * 8 - 1))
    wrong = bytearray(block)
    wrong[bit // 8] ^= 1 << bit % 8

    with pytest.raises(ContentMismatchError) as caught:
        verify_block(cid, bytes(wrong))

    assert caught.value.facts["cid"] == str(cid)


def test_an_identity_cid_is_checked_too() -> None:
    with pytest.raises(ContentMismatchError):
        verify_block(CID(1, RAW, b"abc", IDENTITY), b"xyz")


def test_a_hash_function_we_do_not_know_is_refused() -> None:
    sha2_512 = CID(1, RAW, bytes(64), 0x13)

    with pytest.raises(InvalidDataError, match="0x13"):
        verify_block(sha2_512, b"abc")


@pytest.mark.parametrize(
    "name", ["a", "...", " ", "a\nb", "é", "名前", "-rf", "C:", "\\", '"', "a..b"]
)
def test_unusual_names_are_names(name: str) -> None:
    verify_name(name)


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "/", "a\0b", "\udcff"])
def test_names_that_leave_a_folder_are_refused(name: str) -> None:
    with pytest.raises(InvalidDataError):
        verify_name(name)


def test_links_keep_their_order() -> None:
    links = tuple(Link(name, CID(1, RAW, bytes(32)), 1) for name in "ba")

    assert parse_node(encode_node(Node(Kind.DIRECTORY, links))).links == links
