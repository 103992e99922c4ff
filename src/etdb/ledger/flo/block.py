"""FLO blocks: header, proof of work, merkle root, subsidy.

What makes a chain of them an embedded one is in `seal`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from etdb.errors import InvalidDataError
from etdb.identity import BlockHash
from etdb.ledger.flo.tx import COINBASE_OUTPOINT, Transaction, TxIn, TxOut
from etdb.ledger.flo.wire import (
    Cursor,
    encode_compact,
    encode_i32,
    encode_u32,
    sha256d,
)

BLOCK_VERSION = 0x20000000
COIN_SAT = 100_000_000
HEADER_BYTES = 80
COINBASE_MATURITY = 100
_LEAST_TRANSACTION_BYTES = 10
_SUBSIDY_SAT = 100 * COIN_SAT


@dataclass(frozen=True)
class Header:
    """What proof of work is done over; hashes in their internal byte order."""

    version: int
    previous: bytes
    root: bytes
    time: int
    bits: int
    nonce: int

    @classmethod
    def parse(cls, data: bytes) -> Header:
        """From exactly 80 bytes. Raises InvalidDataError."""
        cursor = Cursor(data)
        header = cls.read(cursor)
        cursor.verify_end("block header")
        return header

    @classmethod
    def read(cls, cursor: Cursor) -> Header:
        """The next 80 bytes. Raises InvalidDataError."""
        return cls(
            version=cursor.i32(),
            previous=cursor.take(32),
            root=cursor.take(32),
            time=cursor.u32(),
            bits=cursor.u32(),
            nonce=cursor.u32(),
        )

    def encode(self) -> bytes:
        """80 bytes."""
        return b"".join(
            (
                encode_i32(self.version),
                self.previous,
                self.root,
                encode_u32(self.time),
                encode_u32(self.bits),
                encode_u32(self.nonce),
            )
        )

    @cached_property
    def hash_bytes(self) -> bytes:
        """The block's id in its internal byte order."""
        return sha256d(self.encode())

    @property
    def hash(self) -> BlockHash:
        """The block's id as people see it."""
        return BlockHash(show_hash(self.hash_bytes))

    @property
    def has_work(self) -> bool:
        """Whether scrypt of the header meets the target its bits announce."""
        data = self.encode()
        work = hashlib.scrypt(data, salt=data, n=1024, r=1, p=1, dklen=32)
        return int.from_bytes(work, "little") <= target_of(self.bits)


@dataclass(frozen=True)
class FloBlock:
    """A header and its transactions, the coinbase first."""

    header: Header
    transactions: tuple[Transaction, ...]

    @classmethod
    def parse(cls, data: bytes) -> FloBlock:
        """From its bytes, whole. Raises InvalidDataError."""
        cursor = Cursor(data)
        header = Header.read(cursor)
        count = cursor.count(_LEAST_TRANSACTION_BYTES)
        transactions = tuple([Transaction.read(cursor) for _ in range(count)])
        cursor.verify_end("block")
        if not transactions:
            msg = f"block {header.hash} has no transactions"
            raise InvalidDataError(msg)
        return cls(header, transactions)

    def encode(self) -> bytes:
        """Header, count, transactions."""
        return b"".join(
            (
                self.header.encode(),
                encode_compact(len(self.transactions)),
                *(transaction.encode() for transaction in self.transactions),
            )
        )

    def merkle_root(self) -> bytes:
        """What the header's root must be."""
        return merkle_root([item.txid_bytes for item in self.transactions])


def show_hash(hash_bytes: bytes) -> str:
    """A hash as people see it: hex of the reversed bytes."""
    return hash_bytes[::-1].hex()


def merkle_root(hashes: Sequence[bytes]) -> bytes:
    """The root of a tree of txids; an odd last one is paired with itself."""
    level = list(hashes)
    while len(level) > 1:
        if len(level) % 2:
            level.append(level[-1])
        pairs = zip(level[::2], level[1::2], strict=True)
        level = [sha256d(left + right) for left, right in pairs]
    return level[0]


def target_of(bits: int) -> int:
    """The greatest hash, as a number, that the compact form allows."""
    exponent, mantissa = bits >> 24, bits & 0x007FFFFF
    if bits & 0x00800000:
        return 0
    shift = 8 * (exponent - 3)
    return mantissa << shift if shift >= 0 else mantissa >> -shift


def mine(header: Header) -> Header:
    """The header with the smallest nonce that meets its target.

    On regtest every second nonce does; not for the targets of other networks.
    """
    mined = replace(header, nonce=0)
    while not mined.has_work:
        mined = replace(mined, nonce=mined.nonce + 1)
    return mined


def subsidy_sat(height: int, halving_blocks: int) -> int:
    """What a block's coinbase may make anew, besides the fees."""
    halvings = height // halving_blocks
    return _SUBSIDY_SAT >> halvings if halvings < 64 else 0


def coinbase(height: int, output: TxOut, flo_data: bytes = b"") -> Transaction:
    """The first transaction of a block; its script pushes the height (BIP34)."""
    script = _push_number(height) + b"\x00"
    return Transaction(2, (TxIn(COINBASE_OUTPOINT, script),), (output,), 0, flo_data)


def _push_number(number: int) -> bytes:
    """A positive number as a script pushes it in the fewest bytes."""
    if number <= 16:
        return bytes([0x50 + number])
    data = number.to_bytes(number.bit_length() // 8 + 1, "little")
    return bytes([len(data)]) + data
