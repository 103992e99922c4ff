"""Keys and their addresses."""

from __future__ import annotations

import pytest

from etdb.errors import InvalidDataError
from etdb.identity import encode_base58check
from etdb.record.signing import TEST_P2PKH, PrivateKey, hash160

ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
KEY = PrivateKey.from_bytes(bytes(31) + b"\1")
ADDRESS = KEY.address()


def test_addresses_begin_with_f_on_main_and_o_on_test_networks() -> None:
    assert ADDRESS.startswith("F")
    assert KEY.address(TEST_P2PKH).startswith("o")


def test_a_key_owns_its_two_addresses_and_no_other() -> None:
    other = PrivateKey.from_bytes(bytes(31) + b"\2").address()

    assert KEY.owns(ADDRESS)
    assert KEY.owns(KEY.address(TEST_P2PKH))
    assert not KEY.owns(other)
    assert not KEY.owns(KEY.address(0))


def test_generated_keys_differ_and_survive_bytes() -> None:
    key, other = PrivateKey.generate(), PrivateKey.generate()

    assert key.to_bytes() != other.to_bytes()
    assert PrivateKey.from_bytes(key.to_bytes()).address() == key.address()
    assert len(key.public_key) == 33


def test_the_secret_is_in_no_repr() -> None:
    key = PrivateKey.from_bytes(b"secret--" * 4)

    assert repr(key) == str(key) == f"PrivateKey({key.address()})"
    assert not hasattr(key, "__dict__")


@pytest.mark.parametrize("version", [163, 176, 239])
def test_a_key_is_read_from_a_wallets_export(version: int) -> None:
    wif = encode_base58check(bytes([version]) + KEY.to_bytes() + b"\1")

    assert PrivateKey.from_wif(wif).address() == ADDRESS


@pytest.mark.parametrize(
    "payload",
    [
        bytes([163]) + bytes(31) + b"\1",
        bytes([163]) + bytes(31) + b"\1\2",
        bytes([128]) + bytes(31) + b"\1\1",
        bytes([163]) + bytes(32) + b"\1",
        b"",
    ],
)
def test_another_export_is_refused_without_quoting_it(payload: bytes) -> None:
    wif = encode_base58check(payload)

    with pytest.raises(InvalidDataError) as caught:
        PrivateKey.from_wif(wif)

    assert wif not in str(caught.value)


def test_a_mistyped_export_is_refused_without_quoting_it() -> None:
    wif = encode_base58check(bytes([163]) + KEY.to_bytes() + b"\1")
    mistyped = wif[:-1] + ("1" if wif[-1] != "1" else "2")

    with pytest.raises(InvalidDataError) as caught:
        PrivateKey.from_wif(mistyped)

    assert mistyped not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    "secret", [b"", bytes(31), bytes(33), bytes(32), ORDER.to_bytes(32, "big")]
)
def test_what_is_no_secret_makes_no_key(secret: bytes) -> None:
    with pytest.raises(InvalidDataError):
        PrivateKey.from_bytes(secret)


def test_a_transactions_hash_is_signed_in_der_with_low_s() -> None:
    der = KEY.sign_hash(bytes(32))

    s_at = 4 + der[3] + 2
    assert der[0] == 0x30
    assert int.from_bytes(der[s_at:], "big") <= ORDER // 2


def test_hash160_is_ripemd160_of_sha256() -> None:
    assert hash160(b"").hex() == "b472a266d0bd89c13706a4132ccfb16f7c3b9fcb"
