"""B4, B5: signed messages, and the one form that content and blocks allow."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from etdb.errors import (
    InvalidDataError,
    InvalidSignatureError,
)
from etdb.identity import Digest, encode_address
from etdb.record.signing import (
    FLO_MAGIC,
    MAIN_P2PKH,
    TEST_P2PKH,
    Coin,
    PrivateKey,
    content_text,
    hash160,
    verify_content_signature,
    verify_message,
    verify_strict_message,
)

ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
KEY = PrivateKey.from_bytes(bytes(31) + b"\1")
ADDRESS = KEY.address()
DIGEST = Digest("0f" * 32)


def change(signature: str, alter: Callable[[bytearray], None]) -> str:
    raw = bytearray(base64.b64decode(signature))
    alter(raw)
    return base64.b64encode(raw).decode()


def with_high_s(signature: str) -> str:
    def alter(raw: bytearray) -> None:
        s = ORDER - int.from_bytes(raw[33:], "big")
        raw[33:] = s.to_bytes(32, "big")
        raw[0] = 31 + ((raw[0] - 31) ^ 1)

    return change(signature, alter)


def with_loose_base64(signature: str) -> str:
    digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    last = digits[digits.index(signature[-2]) ^ 1]
    return f"{signature[:-2]}{last}="


def with_uncompressed_header(signature: str) -> str:
    def alter(raw: bytearray) -> None:
        raw[0] -= 4

    return change(signature, alter)


def test_a_key_signs_what_its_address_verifies() -> None:
    signature = KEY.sign_message("text")

    assert len(signature) == 88
    verify_message(ADDRESS, signature, "text")
    verify_strict_message(ADDRESS, signature, "text")
    verify_message(KEY.address(TEST_P2PKH), signature, "text")


@given(st.binary(min_size=32, max_size=32), st.text(max_size=300))
def test_any_key_signs_in_the_strict_form_always_the_same(
    secret: bytes, text: str
) -> None:
    try:
        key = PrivateKey.from_bytes(secret)
        signature = key.sign_message(text)
    except InvalidDataError:
        return

    verify_strict_message(key.address(), signature, text)
    assert key.sign_message(text) == signature


@pytest.mark.parametrize("size", [0, 252, 253, 65535, 65536])
def test_texts_of_every_length_prefix_are_signed(size: int) -> None:
    text = "x" * size

    verify_message(ADDRESS, KEY.sign_message(text), text)
    with pytest.raises(InvalidSignatureError):
        verify_message(ADDRESS, KEY.sign_message(text), text + "x")


def test_a_text_that_utf8_cannot_hold_is_not_verified() -> None:
    with pytest.raises(InvalidSignatureError):
        verify_message(ADDRESS, KEY.sign_message("x"), "\ud800")


def test_a_high_s_is_refused_by_the_strict_form() -> None:
    malleated = with_high_s(KEY.sign_message("text"))

    with pytest.raises(InvalidSignatureError, match="high") as caught:
        verify_strict_message(ADDRESS, malleated, "text")

    assert caught.value.facts["rule"] == "B5"


def test_twin_the_old_form_takes_a_high_s() -> None:
    verify_message(ADDRESS, with_high_s(KEY.sign_message("text")), "text")


def test_base64_that_is_not_canonical_is_refused() -> None:
    loose = with_loose_base64(KEY.sign_message("text"))

    for verify in (verify_message, verify_strict_message):
        with pytest.raises(InvalidSignatureError, match="canonical"):
            verify(ADDRESS, loose, "text")


def test_twin_base64_itself_takes_four_spellings_of_a_signature() -> None:
    signature = KEY.sign_message("text")

    loose = with_loose_base64(signature)

    assert loose != signature
    assert base64.b64decode(loose, validate=True) == base64.b64decode(signature)


def test_the_header_of_an_uncompressed_key_is_refused_by_the_strict_form() -> None:
    signature = with_uncompressed_header(KEY.sign_message("text"))

    with pytest.raises(InvalidSignatureError, match="compressed"):
        verify_strict_message(ADDRESS, signature, "text")


def test_twin_the_old_form_takes_an_uncompressed_key() -> None:
    signature = with_uncompressed_header(KEY.sign_message("text"))
    whole_key = bytes.fromhex(
        "0479be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798"
        "483ada7726a3c4655da4fbfc0e1108a8fd17b448a68554199c47d08ffb10d4b8"
    )
    address = encode_address(MAIN_P2PKH, hash160(whole_key))

    verify_message(address, signature, "text")
    with pytest.raises(InvalidSignatureError):
        verify_message(ADDRESS, signature, "text")


@pytest.mark.parametrize("version", [0, 5, 36, 48, 58, 94, 8, 198, 111])
def test_a_key_signature_under_another_address_version_is_refused(version: int) -> None:
    address = encode_address(version, hash160(KEY.public_key))

    for verify in (verify_message, verify_strict_message):
        with pytest.raises(InvalidSignatureError, match="kind"):
            verify(address, KEY.sign_message("text"), "text")


def test_twin_the_same_hash_verifies_where_the_version_is_one_of_the_coins() -> None:
    address = encode_address(0, hash160(KEY.public_key))
    coin = Coin(FLO_MAGIC, frozenset({0}), frozenset())

    verify_message(address, KEY.sign_message("text"), "text", coin=coin)


def test_a_script_address_is_refused_by_the_strict_form() -> None:
    def alter(raw: bytearray) -> None:
        raw[0] += 4

    signature = change(KEY.sign_message("text"), alter)
    script = hash160(b"\x00\x14" + hash160(KEY.public_key))
    address = encode_address(94, script)

    verify_message(address, signature, "text")  # the twin
    with pytest.raises(InvalidSignatureError, match="compressed"):
        verify_strict_message(address, signature, "text")


@pytest.mark.parametrize(
    "signature",
    [None, 1, b"", "", "A", "é" * 88, "A" * 88, "A" * 87 + "=", "!" * 88, "A" * 92],
)
def test_what_is_no_signature_is_refused(signature: Any) -> None:
    with pytest.raises(InvalidSignatureError) as caught:
        verify_strict_message(ADDRESS, signature, "text")

    assert caught.value.facts["rule"] == "B5"


@pytest.mark.parametrize("header", [0, 26, 39, 255])
def test_an_unknown_header_is_refused(header: int) -> None:
    def alter(raw: bytearray) -> None:
        raw[0] = header

    with pytest.raises(InvalidSignatureError, match="header"):
        verify_message(ADDRESS, change(KEY.sign_message("text"), alter), "text")


@pytest.mark.parametrize("half", [slice(1, 33), slice(33, 65)])
@pytest.mark.parametrize("value", [0, ORDER, 2**256 - 1])
def test_values_off_the_curve_are_refused(half: slice, value: int) -> None:
    def alter(raw: bytearray) -> None:
        raw[half] = value.to_bytes(32, "big")

    with pytest.raises(InvalidSignatureError):
        verify_message(ADDRESS, change(KEY.sign_message("text"), alter), "text")


@pytest.mark.parametrize("address", ["", "F", "not an address", "é", "1" * 200])
def test_what_is_no_address_signed_nothing(address: str) -> None:
    with pytest.raises(InvalidSignatureError):
        verify_message(address, KEY.sign_message("text"), "text")


def test_the_text_signed_names_protocol_action_and_digest() -> None:
    assert content_text("publish", DIGEST) == f"etdb:1:publish:{DIGEST}"


@pytest.mark.parametrize("action", ["edit", "register", "deactivate", "Publish", ""])
def test_a_content_signature_of_one_action_is_none_of_another(action: str) -> None:
    signature = KEY.sign_message(content_text("publish", DIGEST))

    verify_content_signature(ADDRESS, signature, "publish", DIGEST)
    with pytest.raises(InvalidSignatureError) as caught:
        verify_content_signature(ADDRESS, signature, action, DIGEST)
    assert caught.value.facts["rule"] == "B4"


def test_twin_a_signature_over_the_digest_alone_would_serve_any_action() -> None:
    signature = KEY.sign_message(DIGEST)

    for _action in ("publish", "edit"):
        verify_strict_message(ADDRESS, signature, DIGEST)
