"""Keys, addresses, signed messages, and the two signatures of a record.

PROTOCOL B4-B6. FLO's signed messages are Bitcoin's under another magic: a
65-byte recoverable signature in base64. The content signature is the strict
form of it; the OIP 0.42 signature may have any form that old wallets wrote.
Which of the two a message needs is decided in `etdb.record.rules`.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NoReturn

import coincurve

from etdb.errors import (
    InvalidDataError,
    InvalidRecordError,
    InvalidSignatureError,
    NotAllowedError,
)
from etdb.identity import (
    CID,
    Address,
    Digest,
    decode_base58check,
    encode_address,
    parse_address,
)
from etdb.record.canonical import digest_of, encode_text

FLO_MAGIC = "Florincoin Signed Message:\n"
MAIN_P2PKH = 35
TEST_P2PKH = 115
TEST_VERSIONS = frozenset({TEST_P2PKH, 58, 198})
EARLIEST_TIMESTAMP = 1_600_000_000
LATEST_TIMESTAMP = 2**32 - 1

WIF_VERSIONS = {163: MAIN_P2PKH, 176: MAIN_P2PKH, 239: TEST_P2PKH}
"""What an exported key's version says of its address; 176 is how old wallets wrote."""
_HALF_ORDER = 0x7FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF5D576E7357A4501DDFE92F46681B20A0
_FIRST_COMPRESSED = 31
_FIRST_SCRIPT = 35


@dataclass(frozen=True)
class Coin:
    """How one coin signs messages: its magic and its address versions."""

    magic: str
    key_versions: frozenset[int]
    script_versions: frozenset[int]


FLO = Coin(FLO_MAGIC, frozenset({MAIN_P2PKH, TEST_P2PKH}), frozenset({94, 8, 198, 58}))


class PrivateKey:
    """A secp256k1 key. Its secret is in no repr and no error."""

    __slots__ = ("_key", "public_key")

    def __init__(self, key: coincurve.PrivateKey) -> None:
        self._key = key
        self.public_key: bytes = key.public_key.format()

    @classmethod
    def generate(cls) -> PrivateKey:
        """A new random key."""
        return cls(coincurve.PrivateKey())

    @classmethod
    def from_bytes(cls, secret: bytes) -> PrivateKey:
        """From 32 bytes. Raises InvalidDataError."""
        if len(secret) != 32:
            msg = f"a private key has 32 bytes, not {len(secret)}"
            raise InvalidDataError(msg)
        try:
            return cls(coincurve.PrivateKey(secret))
        except ValueError as exc:
            msg = "not a private key: zero, or beyond the curve's order"
            raise InvalidDataError(msg) from exc

    @classmethod
    def from_wif(cls, text: str) -> PrivateKey:
        """From a wallet's export of a compressed key. Raises InvalidDataError."""
        try:
            payload = decode_base58check(text)
        except InvalidDataError:
            msg = "not a private key in wallet import format"
            # The cause quotes what it was given, which may be a mistyped secret.
            raise InvalidDataError(msg) from None
        if len(payload) != 34 or payload[-1] != 1 or payload[0] not in WIF_VERSIONS:
            msg = "not a compressed FLO private key in wallet import format"
            raise InvalidDataError(msg)
        return cls.from_bytes(payload[1:-1])

    def to_bytes(self) -> bytes:
        """The secret, 32 bytes."""
        return self._key.secret

    def address(self, version: int = MAIN_P2PKH) -> Address:
        """The key's P2PKH address, `F…` by default, `o…` for TEST_P2PKH."""
        return encode_address(version, hash160(self.public_key))

    def owns(self, address: str) -> bool:
        """Whether this is the key of a P2PKH address of FLO."""
        return address in _addresses_of(self.public_key)

    def sign_message(self, text: str) -> str:
        """A signed message in the strict form of B5: 88 characters of base64."""
        digest = _message_hash(text, FLO_MAGIC)
        signature = self._key.sign_recoverable(digest, hasher=None)
        header = bytes([_FIRST_COMPRESSED + signature[64]])
        return base64.b64encode(header + signature[:64]).decode("ascii")

    def sign_hash(self, digest: bytes) -> bytes:
        """A DER signature with low S over 32 bytes, as transactions carry it."""
        return self._key.sign(digest, hasher=None)

    def __repr__(self) -> str:
        return f"PrivateKey({self.address()})"


@lru_cache(maxsize=64)
def _addresses_of(public_key: bytes) -> frozenset[Address]:
    """Every P2PKH address of a key on FLO: asked for with each part that is signed."""
    key_hash = hash160(public_key)
    return frozenset(encode_address(version, key_hash) for version in FLO.key_versions)


def hash160(data: bytes) -> bytes:
    """RIPEMD-160 of SHA-256: 20 bytes, as addresses hold."""
    return hashlib.new("ripemd160", hashlib.sha256(data).digest()).digest()


def verify_message(
    address: str, signature: str, text: str, *, coin: Coin = FLO
) -> None:
    """A signed message of any OIP-era form; returns if the address signed it.

    Keys compressed or not, P2PKH and P2SH-P2WPKH, either S; canonical base64.
    Raises InvalidSignatureError.
    """
    _verify(address, _decode_signature(signature), text, coin)


def verify_strict_message(address: str, signature: object, text: str) -> None:
    """A signed message of the one form that B5 allows, for content and blocks.

    P2PKH, compressed key, low S, canonical base64 of 88 characters, so that
    nobody else can write the same signature in another way. Raises
    InvalidSignatureError, `facts["rule"]` being B5 for the form and B4 for a
    signature of something else.
    """
    if not isinstance(signature, str):
        _refuse("B5", "the signature is not text")
    raw = _decode_signature(signature)
    if not _FIRST_COMPRESSED <= raw[0] < _FIRST_SCRIPT:
        _refuse("B5", f"signature header {raw[0]} is not of a compressed key")
    if int.from_bytes(raw[33:], "big") > _HALF_ORDER:
        _refuse("B5", "the signature's S is high")
    _verify(address, raw, text, FLO)


def content_text(action: str, digest: Digest) -> str:
    """The text that a content signature signs (B4)."""
    return f"etdb:1:{action}:{digest}"


def verify_content_signature(
    address: str, signature: object, action: str, digest: Digest
) -> None:
    """The content signature of a body (B4, B5). Raises InvalidSignatureError."""
    verify_strict_message(address, signature, content_text(action, digest))


def verify_old_signature(address: str, signature: object, preimage: str) -> None:
    """The OIP 0.42 signature of a body (B6). Raises InvalidSignatureError."""
    if not isinstance(signature, str):
        _refuse("B6", "there is no OIP 0.42 signature")
    verify_message(address, signature, preimage)


def old_preimage(action: str, body: Mapping[str, Any]) -> str:
    """What an OIP 0.42 signature of a body signs: not what the body says.

    `location-floAddress-timestamp` for publish and edit, with the alias or the
    artifactID in the place of the location for register and deactivate. Raises
    InvalidRecordError where one of them is of the wrong type.
    """
    if action in {"publish", "edit"}:
        storage = body.get("storage")
        subject = storage.get("location", "") if isinstance(storage, Mapping) else ""
    else:
        subject = body.get("alias" if action == "register" else "artifactID", "")
    timestamp = body.get("timestamp")
    if not isinstance(subject, str) or type(timestamp) is not int:
        msg = "the OIP 0.42 signature has no text: location or timestamp is wrong"
        raise InvalidRecordError(msg, rule="B6")
    return f"{subject}-{signer_of(body)}-{timestamp}"


def signer_of(body: Mapping[str, Any]) -> Address:
    """`floAddress`, as written. Raises InvalidRecordError (B5)."""
    address = body.get("floAddress")
    if not isinstance(address, str):
        msg = "floAddress is missing"
        raise InvalidRecordError(msg, rule="B5")
    return Address(address)


def timestamp_of(body: Mapping[str, Any]) -> int:
    """`timestamp` of a content-signed body, Unix seconds (B5).

    Raises InvalidRecordError unless it is an integer literal in range.
    """
    timestamp = body.get("timestamp")
    if (
        type(timestamp) is not int
        or not EARLIEST_TIMESTAMP <= timestamp <= LATEST_TIMESTAMP
    ):
        msg = "timestamp is not an integer of seconds from 1.6e9 to 2^32"
        raise InvalidRecordError(msg, rule="B5")
    return timestamp


def sign_body(action: str, body: Mapping[str, Any], key: PrivateKey) -> dict[str, Any]:
    """The body with both signatures (B3-B6), as `sign_with_digest`."""
    return sign_with_digest(action, body, key)[0]


def sign_with_digest(
    action: str, body: Mapping[str, Any], key: PrivateKey
) -> tuple[dict[str, Any], Digest]:
    """The body with both signatures (B3-B6), and its digest; it says the same.

    Signatures that it already has are replaced. Raises NotAllowedError if
    floAddress is not the key's, InvalidRecordError if the body cannot be signed.
    """
    address = signer_of(body)
    if not key.owns(address):
        msg = f"floAddress {address} is not an address of this key"
        raise NotAllowedError(msg, address=address, key=str(key.address()))
    timestamp_of(body)
    if action == "register":
        verify_alias(body.get("alias"))
    signed = {name: value for name, value in body.items() if name != "signature"}
    holder = signed
    if action in {"publish", "edit"}:
        holder = signed["details"] = _details_to_sign(body)
    digest = digest_of(action, signed)
    holder["contentSignature"] = key.sign_message(content_text(action, digest))
    signed["signature"] = key.sign_message(old_preimage(action, signed))
    return signed, digest


def _details_to_sign(body: Mapping[str, Any]) -> dict[str, Any]:
    details = body.get("details", {})
    if not isinstance(details, Mapping):
        msg = "details is not an object"
        raise InvalidRecordError(msg, rule="B3")
    return dict(details)


def verify_alias(alias: object) -> None:
    """An alias whose old signature cannot pass as another's (R4).

    A CID, 64 hex digits or `deactivate` would make the signature one of a
    publish, an edit or a withdrawal. Raises InvalidRecordError.
    """
    if not isinstance(alias, str) or not alias:
        msg = "there is no alias"
        raise InvalidRecordError(msg, rule="R4")
    is_location = CID.find(alias) is not None
    if alias == "deactivate" or _is_hex64(alias) or is_location:
        msg = "the alias could pass as a location, a transaction or an action"
        raise InvalidRecordError(msg, rule="R4")


def _is_hex64(text: str) -> bool:
    return len(text) == 64 and all(c in "0123456789abcdefABCDEF" for c in text)


def _refuse(rule: str, reason: str) -> NoReturn:
    raise InvalidSignatureError(reason, rule=rule)


def _decode_signature(signature: str) -> bytes:
    try:
        raw = base64.b64decode(signature, validate=True)
    except (binascii.Error, ValueError) as exc:
        raise InvalidSignatureError("the signature is not base64", rule="B5") from exc
    if len(raw) != 65:
        _refuse("B5", f"the signature has {len(raw)} bytes, not 65")
    # The last digit has two unused bits: four spellings of the same bytes.
    if base64.b64encode(raw).decode("ascii") != signature:
        _refuse("B5", "the signature's base64 is not canonical")
    return raw


def _verify(address: str, signature: bytes, text: str, coin: Coin) -> None:
    header = signature[0]
    if not 27 <= header < 39:
        _refuse("B5", f"signature header {header} is unknown")
    try:
        claimed = parse_address(address)
        digest = _message_hash(text, coin.magic)
    except InvalidDataError as exc:
        raise InvalidSignatureError(exc.message, rule="B5") from exc
    recoverable = signature[1:] + bytes([(header - 27) & 3])
    try:
        key = coincurve.PublicKey.from_signature_and_message(
            recoverable, digest, hasher=None
        )
    except ValueError as exc:
        raise InvalidSignatureError("no key could sign so", rule="B4") from exc
    if header < _FIRST_SCRIPT:
        versions = coin.key_versions
        found = hash160(key.format(compressed=header >= _FIRST_COMPRESSED))
    else:
        versions = coin.script_versions
        found = hash160(b"\x00\x14" + hash160(key.format()))
    if claimed.version not in versions:
        _refuse("B5", f"{address} is no address for a signature of this kind")
    if claimed.hash160 != found:
        _refuse("B4", f"{address} did not sign this")


def _message_hash(text: str, magic: str) -> bytes:
    data = _counted(magic.encode("ascii")) + _counted(encode_text(text))
    return hashlib.sha256(hashlib.sha256(data).digest()).digest()


def _counted(data: bytes) -> bytes:
    size = len(data)
    if size < 0xFD:
        return bytes([size]) + data
    if size <= 0xFFFF:
        return b"\xfd" + struct.pack("<H", size) + data
    return b"\xfe" + struct.pack("<I", size) + data
