"""Identities as people see them: transaction ids, addresses, digests, CIDs.

Parse, print, compare; nothing else. Raw bytes of the ledger's ids live only in
`etdb.ledger`.

    >>> str(CID.parse("QmUNLLsPACCz1vLxQVkXqqLX5R1X345qqfHbsf67hvA3Nn").to_v1())
    'bafybeiczsscdsbs7ffqz55asqdf3smv6klcw3gofszvwlyarci47bgf354'
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import NewType

from etdb.errors import InvalidDataError

Txid = NewType("Txid", str)
BlockHash = NewType("BlockHash", str)
Digest = NewType("Digest", str)
Address = NewType("Address", str)

_HEX64 = re.compile(r"[0-9a-f]{64}\Z")
_BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"

RAW = 0x55
DAG_PB = 0x70
DAG_CBOR = 0x71
IDENTITY = 0x00
SHA2_256 = 0x12
_ONE_BYTE = tuple(bytes([number]) for number in range(0x80))


def parse_block_hash(text: str) -> BlockHash:
    """A block hash: 64 lower-case hex digits. Raises InvalidDataError."""
    return BlockHash(_parse_hex64("block hash", text))


def parse_digest(text: str) -> Digest:
    """A record digest: 64 lower-case hex digits. Raises InvalidDataError."""
    return Digest(_parse_hex64("digest", text))


def _parse_hex64(kind: str, text: str) -> str:
    if _HEX64.match(text) is None:
        msg = f"not a {kind}: {text[:80]!r} (64 lower-case hex digits expected)"
        raise InvalidDataError(msg)
    return text


@dataclass(frozen=True)
class AddressParts:
    """What an address says: the network's version byte and a 20-byte hash."""

    version: int
    hash160: bytes


@lru_cache(maxsize=1024)
def parse_address(text: str) -> AddressParts:
    """The parts of a base58check address. Raises InvalidDataError."""
    payload = decode_base58check(text)
    if len(payload) != 21:
        msg = f"not an address: {text[:60]!r} holds {len(payload)} bytes, not 21"
        raise InvalidDataError(msg)
    return AddressParts(payload[0], payload[1:])


def encode_address(version: int, hash160: bytes) -> Address:
    """The address of a 20-byte hash under a version byte."""
    return Address(encode_base58check(bytes([version]) + hash160))


def encode_base58check(payload: bytes) -> str:
    """Base58 of the payload and its 4-byte double SHA-256 checksum."""
    return encode_base58(payload + _checksum(payload))


def decode_base58check(text: str) -> bytes:
    """The payload of a base58check text. Raises InvalidDataError."""
    data = decode_base58(text)
    payload, check = data[:-4], data[-4:]
    if len(data) < 5 or _checksum(payload) != check:
        msg = f"wrong base58 checksum: {text[:60]!r}"
        raise InvalidDataError(msg)
    return payload


def _checksum(payload: bytes) -> bytes:
    return hashlib.sha256(hashlib.sha256(payload).digest()).digest()[:4]


def encode_base58(data: bytes) -> str:
    """Base58 (Bitcoin alphabet); leading zero bytes become leading ones."""
    number = int.from_bytes(data, "big")
    digits = ""
    while number:
        number, rest = divmod(number, 58)
        digits = _BASE58[rest] + digits
    zeros = len(data) - len(data.lstrip(b"\0"))
    return "1" * zeros + digits


def decode_base58(text: str) -> bytes:
    """The bytes of a base58 text of at most 128 characters."""
    if not 0 < len(text) <= 128:
        msg = f"not base58: {len(text)} characters"
        raise InvalidDataError(msg)
    number = 0
    for character in text:
        value = _BASE58.find(character)
        if value < 0:
            msg = f"not base58: {text[:60]!r}"
            raise InvalidDataError(msg)
        number = number * 58 + value
    zeros = len(text) - len(text.lstrip("1"))
    return b"\0" * zeros + number.to_bytes((number.bit_length() + 7) // 8, "big")


def encode_varint(number: int) -> bytes:
    """Unsigned LEB128, as multiformats and protobuf write it."""
    if 0 <= number <= 0x7F:
        return _ONE_BYTE[number]
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def decode_varint(data: bytes, start: int = 0) -> tuple[int, int]:
    """(number, position after it); at most 9 bytes. Raises InvalidDataError."""
    number = shift = 0
    for position in range(start, min(len(data), start + 9)):
        byte = data[position]
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number, position + 1
        shift += 7
    msg = "varint is cut off or longer than 9 bytes"
    raise InvalidDataError(msg)


@dataclass(frozen=True)
class CID:
    """The address of content in IPFS (multiformats CID, versions 0 and 1).

    `hash_code` is a multihash function code; only sha2-256 content can be
    verified here, and identity carries its content inside.
    """

    version: int
    codec: int
    digest: bytes
    hash_code: int = SHA2_256

    @classmethod
    def parse(cls, text: str) -> CID:
        """From text in base58btc, base32 or base16. Raises InvalidDataError."""
        try:
            return cls.from_bytes(_decode_multibase(text))
        except (binascii.Error, UnicodeError) as exc:
            msg = f"not a CID: {text[:80]!r}"
            raise InvalidDataError(msg) from exc

    @classmethod
    def find(cls, text: str) -> CID | None:
        """As `parse`; None for what is no CID."""
        try:
            return cls.parse(text)
        except InvalidDataError:
            return None

    @classmethod
    def from_bytes(cls, data: bytes) -> CID:
        """From its binary form, whole. Raises InvalidDataError."""
        cid, end = cls.read(data, 0)
        if end != len(data):
            msg = f"{len(data) - end} bytes after a CID"
            raise InvalidDataError(msg)
        return cid

    @classmethod
    def read(cls, data: bytes, start: int) -> tuple[CID, int]:
        """(CID, position after it) from the middle of a byte string."""
        if data[start : start + 2] == b"\x12\x20":
            version, codec, position = 0, DAG_PB, start
        else:
            version, position = decode_varint(data, start)
            codec, position = decode_varint(data, position)
        if version not in (0, 1) or (version == 0 and position != start):
            msg = f"CID version {version} is unknown"
            raise InvalidDataError(msg)
        hash_code, position = decode_varint(data, position)
        size, position = decode_varint(data, position)
        digest = data[position : position + size]
        if len(digest) != size or size > 128 or (size != 32 and hash_code == SHA2_256):
            msg = "CID with a digest of the wrong length"
            raise InvalidDataError(msg)
        return cls(version, codec, bytes(digest), hash_code), position + size

    def to_bytes(self) -> bytes:
        """The binary form, as it stands in dag-pb links and CARs."""
        size = len(self.digest)
        return _prefix(self.version, self.codec, self.hash_code, size) + self.digest

    def to_v1(self) -> CID:
        """The same content under version 1."""
        return CID(1, self.codec, self.digest, self.hash_code)

    def __str__(self) -> str:
        if self.version == 0:
            return encode_base58(self.to_bytes())
        text = base64.b32encode(self.to_bytes()).decode("ascii")
        return "b" + text.lower().rstrip("=")


@lru_cache(maxsize=64)
def _prefix(version: int, codec: int, hash_code: int, size: int) -> bytes:
    """What stands before the digest in a CID's binary form."""
    numbers = (hash_code, size) if version == 0 else (version, codec, hash_code, size)
    return b"".join(map(encode_varint, numbers))


def _decode_multibase(text: str) -> bytes:
    if not text.isascii():
        msg = f"not a CID: {text[:80]!r}"
        raise InvalidDataError(msg)
    if len(text) == 46 and text.startswith("Qm"):
        return decode_base58(text)
    base, body = text[:1], text[1:]
    if base == "b" and body == body.lower():
        return base64.b32decode(body.upper() + "=" * (-len(body) % 8))
    if base == "B" and body == body.upper():
        return base64.b32decode(body + "=" * (-len(body) % 8))
    if base == "z":
        return decode_base58(body)
    if base == "f":
        return bytes.fromhex(_hex_only(body))
    msg = f"not a CID: {text[:80]!r}"
    raise InvalidDataError(msg)


def _hex_only(text: str) -> str:
    if re.fullmatch(r"(?:[0-9a-f]{2})+", text) is None:
        msg = f"not a CID: 'f{text[:80]}'"
        raise InvalidDataError(msg)
    return text
