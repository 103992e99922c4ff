"""Ids as people see them: parsed, printed, compared."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from etdb.errors import InvalidDataError
from etdb.identity import (
    CID,
    DAG_CBOR,
    DAG_PB,
    IDENTITY,
    RAW,
    decode_base58,
    decode_base58check,
    decode_varint,
    encode_address,
    encode_base58,
    encode_base58check,
    encode_varint,
    parse_address,
    parse_block_hash,
    parse_digest,
)

V0 = "QmUNLLsPACCz1vLxQVkXqqLX5R1X345qqfHbsf67hvA3Nn"
V1 = "bafybeiczsscdsbs7ffqz55asqdf3smv6klcw3gofszvwlyarci47bgf354"
PUBLISHER = "FTSTq8xx8yWUKJA5E3bgXLzZqqG9V6dvnr"


@pytest.mark.parametrize("parse", [parse_block_hash, parse_digest])
def test_ids_are_64_lower_case_hex_digits(parse: object) -> None:
    assert callable(parse)
    assert parse("0a" * 32) == "0a" * 32
    for text in ("", "0a" * 31, "0A" * 32, "0a" * 33, "0a" * 32 + "\n", "0g" * 32):
        with pytest.raises(InvalidDataError):
            parse(text)


def test_the_original_publishers_address_is_version_35() -> None:
    parts = parse_address(PUBLISHER)

    assert parts.version == 35
    assert parts.hash160.hex() == "ed0a33ce62c8ce6f1ca60e79dfbcdf4d8a9a4740"
    assert encode_address(parts.version, parts.hash160) == PUBLISHER


@given(st.integers(0, 255), st.binary(min_size=20, max_size=20))
def test_addresses_are_printed_and_parsed(version: int, hash160: bytes) -> None:
    parts = parse_address(encode_address(version, hash160))

    assert (parts.version, parts.hash160) == (version, hash160)


@given(st.integers(0, len(PUBLISHER) - 1), st.characters())
def test_an_address_with_a_changed_character_is_refused(at: int, other: str) -> None:
    text = PUBLISHER[:at] + other + PUBLISHER[at + 1 :]

    if text != PUBLISHER:
        with pytest.raises(InvalidDataError):
            parse_address(text)


@pytest.mark.parametrize("payload", [b"", b"\x23" * 20, b"\x23" * 22])
def test_a_payload_of_another_length_is_no_address(payload: bytes) -> None:
    with pytest.raises(InvalidDataError):
        parse_address(encode_base58check(payload))


@given(st.binary(min_size=1, max_size=80))
def test_base58_is_decoded_to_what_was_encoded(data: bytes) -> None:
    assert decode_base58(encode_base58(data)) == data
    assert decode_base58check(encode_base58check(data)) == data


@pytest.mark.parametrize("text", ["", "0", "O", "l", "é", "1" * 129])
def test_what_is_not_base58_is_refused(text: str) -> None:
    with pytest.raises(InvalidDataError):
        decode_base58(text)


@given(st.integers(0, 2**63 - 1))
def test_varints_are_decoded_to_what_was_encoded(number: int) -> None:
    data = encode_varint(number)

    assert decode_varint(b"x" + data + b"y", 1) == (number, len(data) + 1)


@pytest.mark.parametrize("data", [b"", b"\x80", b"\x80" * 9 + b"\1"])
def test_varints_that_do_not_end_are_refused(data: bytes) -> None:
    with pytest.raises(InvalidDataError):
        decode_varint(data)


def test_a_cid_is_the_same_content_in_both_versions() -> None:
    cid = CID.parse(V0)

    assert (cid.version, cid.codec) == (0, DAG_PB)
    assert str(cid) == V0
    assert str(cid.to_v1()) == V1
    assert CID.parse(V1) == cid.to_v1()


def test_a_cid_is_read_in_every_base() -> None:
    cid = CID.parse(V1)
    data = cid.to_bytes()

    for text in (
        V1,
        "B" + V1[1:].upper(),
        "z" + encode_base58(data),
        "f" + data.hex(),
    ):
        assert CID.parse(text) == cid


@given(
    st.sampled_from([RAW, DAG_PB, DAG_CBOR, 0x300000]),
    st.binary(min_size=32, max_size=32),
)
def test_cids_are_printed_and_parsed(codec: int, digest: bytes) -> None:
    cid = CID(1, codec, digest)

    assert CID.find(str(cid)) == CID.parse(str(cid)) == cid
    assert CID.from_bytes(cid.to_bytes()) == cid
    assert CID.parse(str(CID(0, DAG_PB, digest))).digest == digest


def test_an_identity_cid_carries_its_content() -> None:
    cid = CID(1, RAW, b"hello", IDENTITY)

    assert CID.find(str(cid)) == CID.parse(str(cid)) == cid


def test_a_cid_is_read_from_the_middle() -> None:
    cid = CID.parse(V1)

    assert CID.read(b"xx" + cid.to_bytes() + b"yy", 2) == (cid, 2 + 36)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Q",
        V0[:-1],
        V0 + "a",
        V0.replace("Q", "O"),
        V1[:-1],
        V1 + "a",
        "b" + V1[1:].upper(),
        "B" + V1[1:],
        "b1",
        "bé",
        "Bé",
        "b\u0131",
        "f",
        "f0",
        "fzz",
        "f 01551220",
        "z",
        "m" + V1[1:],
        f"/ipfs/{V0}",
        V0 + "\n",
        " " + V1,
    ],
)
def test_what_is_no_cid_is_refused(text: str) -> None:
    with pytest.raises(InvalidDataError):
        CID.parse(text)
    assert CID.find(text) is None


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x12\x20",
        b"\x12\x20" + bytes(31),
        b"\x12\x20" + bytes(33),
        b"\0\x70\x12\x20" + bytes(32),
        b"\2\x70\x12\x20" + bytes(32),
        b"\1\x70\x12\x1f" + bytes(31),
        b"\1\x70\0\x81\1" + bytes(129),
        b"\1\x70\x12\x20" + bytes(32) + b"\0",
    ],
)
def test_bytes_that_are_no_cid_are_refused(data: bytes) -> None:
    with pytest.raises(InvalidDataError):
        CID.from_bytes(data)


@given(st.text() | st.text().map(lambda text: "b" + text.lower()))
def test_parsing_a_cid_raises_nothing_else_on_any_text(text: str) -> None:
    try:
        cid = CID.parse(text)
    except InvalidDataError:
        return
    assert CID.find(str(cid)) == CID.parse(str(cid)) == cid
