"""FLO transactions: Bitcoin's, with floData as the very last field.

Serialization, ids and what a legacy signature signs (flo reference §2). The
floData belongs to the txid. Which signatures are good is in `script`.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from etdb.errors import InvalidDataError
from etdb.identity import Txid
from etdb.ledger.flo.wire import (
    Cursor,
    encode_bytes,
    encode_compact,
    encode_i32,
    encode_u32,
    encode_u64,
    sha256d,
)

SIGHASH_ALL = 1
_SIGHASH_NONE = 2
_SIGHASH_SINGLE = 3
_ANYONE_CAN_PAY = 0x80
OMIT_FLO_DATA = 0x40
"""Never hashed: the old wallets' form of a signature, without floData."""

FINAL_SEQUENCE = 0xFFFFFFFF
_OUTPOINT = struct.Struct("<32sI")
_LEAST_INPUT_BYTES = 41
_LEAST_OUTPUT_BYTES = 9
_OP_CODESEPARATOR = 0xAB
_OP_PUSHDATA = {0x4C: 1, 0x4D: 2, 0x4E: 4}


class OutPoint(NamedTuple):
    """One output of an earlier transaction."""

    txid_bytes: bytes
    output: int

    def encode(self) -> bytes:
        """36 bytes."""
        return self.txid_bytes + encode_u32(self.output)


COINBASE_OUTPOINT = OutPoint(bytes(32), 0xFFFFFFFF)


class TxIn(NamedTuple):
    """What a transaction spends, and the script that may."""

    outpoint: OutPoint
    script: bytes
    sequence: int = FINAL_SEQUENCE

    def encode(self) -> bytes:
        """Outpoint, script, sequence."""
        return (
            self.outpoint.encode()
            + encode_bytes(self.script)
            + encode_u32(self.sequence)
        )


class TxOut(NamedTuple):
    """An amount in satoshis and the script that guards it."""

    value_sat: int
    script: bytes

    def encode(self) -> bytes:
        """Amount, script."""
        return encode_u64(self.value_sat) + encode_bytes(self.script)


@dataclass(frozen=True)
class Transaction:
    """One transaction; version 1 has no floData field."""

    version: int
    inputs: tuple[TxIn, ...]
    outputs: tuple[TxOut, ...]
    lock_time: int = 0
    flo_data: bytes = b""
    witness: tuple[tuple[bytes, ...], ...] = ()

    @classmethod
    def parse(cls, data: bytes) -> Transaction:
        """From its bytes, whole. Raises InvalidDataError."""
        cursor = Cursor(data)
        transaction = cls.read(cursor)
        cursor.verify_end("transaction")
        return transaction

    @classmethod
    def read(cls, cursor: Cursor) -> Transaction:
        """The next of several. Raises InvalidDataError."""
        start = cursor.position
        version = cursor.i32()
        marker = cursor.data[cursor.position : cursor.position + 2]
        has_witness = marker == b"\x00\x01"
        if has_witness:
            cursor.take(2)
        count = cursor.count(_LEAST_INPUT_BYTES)
        inputs = tuple([_read_input(cursor) for _ in range(count)])
        count = cursor.count(_LEAST_OUTPUT_BYTES)
        outputs = tuple([_read_output(cursor) for _ in range(count)])
        witness = tuple(_read_stack(cursor) for _ in inputs) if has_witness else ()
        if has_witness and not any(witness):
            msg = "transaction announces a witness and has none"
            raise InvalidDataError(msg)
        lock_time = cursor.u32()
        flo_data = cursor.counted() if version >= 2 else b""
        transaction = cls(version, inputs, outputs, lock_time, flo_data, witness)
        if not has_witness:
            # Numbers have one form, so these are the bytes that it encodes to.
            read = cursor.data[start : cursor.position]
            transaction.__dict__["_stripped"] = read
        return transaction

    def encode(self) -> bytes:
        """The bytes as they are sent and stored."""
        if not self.witness:
            return self._stripped
        stacks = [
            encode_compact(len(stack)) + b"".join(map(encode_bytes, stack))
            for stack in self.witness
        ]
        return b"".join(
            (
                encode_i32(self.version),
                b"\x00\x01",
                _encode_items(self.inputs),
                _encode_items(self.outputs),
                *stacks,
                self._tail,
            )
        )

    @cached_property
    def _stripped(self) -> bytes:
        return b"".join(
            (
                encode_i32(self.version),
                _encode_items(self.inputs),
                _encode_items(self.outputs),
                self._tail,
            )
        )

    @property
    def _tail(self) -> bytes:
        flo_data = encode_bytes(self.flo_data) if self.version >= 2 else b""
        return encode_u32(self.lock_time) + flo_data

    @property
    def size_bytes(self) -> int:
        """Without witness."""
        return len(self._stripped)

    @cached_property
    def txid_bytes(self) -> bytes:
        """The id in its internal byte order; floData included, no witness."""
        return sha256d(self._stripped)

    @property
    def txid(self) -> Txid:
        """The id as people see it."""
        return Txid(self.txid_bytes[::-1].hex())

    @property
    def is_coinbase(self) -> bool:
        """Whether it makes new coins instead of spending old ones."""
        return len(self.inputs) == 1 and self.inputs[0].outpoint == COINBASE_OUTPOINT

    def sighash(self, index: int, script_code: bytes, hash_type: int) -> bytes:
        """The 32 bytes that a legacy signature of one input signs.

        With OMIT_FLO_DATA in `hash_type`, floData is left out. SINGLE without
        an output of that index signs the number one, as in Bitcoin.
        """
        if self._signs_one(index, hash_type):
            return (1).to_bytes(32, "little")
        is_omitted = self.version < 2 or hash_type & OMIT_FLO_DATA
        return sha256d(
            b"".join(
                (
                    encode_i32(self.version),
                    self._signed_inputs(index, script_code, hash_type),
                    _encode_items(self._signed_outputs(index, hash_type & 0x1F)),
                    encode_u32(self.lock_time),
                    b"" if is_omitted else encode_bytes(self.flo_data),
                    encode_u32(hash_type & ~OMIT_FLO_DATA),
                )
            )
        )

    def is_data_signed(self, index: int, hash_type: int) -> bool:
        """Whether a signature of this hash type depends on the floData at all."""
        return not (
            self.version < 2
            or hash_type & OMIT_FLO_DATA
            or self._signs_one(index, hash_type)
        )

    def _signs_one(self, index: int, hash_type: int) -> bool:
        return hash_type & 0x1F == _SIGHASH_SINGLE and index >= len(self.outputs)

    def _signed_inputs(self, index: int, code: bytes, hash_type: int) -> bytes:
        item = self.inputs[index]
        own = TxIn(item.outpoint, _without_separators(code), item.sequence).encode()
        if hash_type & _ANYONE_CAN_PAY:
            return b"\x01" + own
        is_all = hash_type & 0x1F not in {_SIGHASH_NONE, _SIGHASH_SINGLE}
        parts = [
            item.outpoint.encode()
            + b"\0"
            + (encode_u32(item.sequence) if is_all else b"\0\0\0\0")
            for item in self.inputs
        ]
        parts[index] = own
        return encode_compact(len(parts)) + b"".join(parts)

    def _signed_outputs(self, index: int, kind: int) -> Sequence[TxOut]:
        if kind == _SIGHASH_NONE:
            return ()
        if kind == _SIGHASH_SINGLE:
            blank = TxOut(0xFFFFFFFFFFFFFFFF, b"")
            return (*[blank] * index, self.outputs[index])
        return self.outputs


def _encode_items(items: Sequence[TxIn] | Sequence[TxOut]) -> bytes:
    return encode_compact(len(items)) + b"".join([item.encode() for item in items])


def _read_input(cursor: Cursor) -> TxIn:
    outpoint = OutPoint(*cursor.read(_OUTPOINT))
    return TxIn(outpoint, cursor.counted(), cursor.u32())


def _read_output(cursor: Cursor) -> TxOut:
    return TxOut(cursor.u64(), cursor.counted())


def _read_stack(cursor: Cursor) -> tuple[bytes, ...]:
    return tuple(cursor.counted() for _ in range(cursor.count(1)))


def _without_separators(script: bytes) -> bytes:
    """The script without OP_CODESEPARATOR, as legacy signatures sign it."""
    if _OP_CODESEPARATOR not in script:
        return script
    kept, position = bytearray(), 0
    while position < len(script):
        end = _end_of_operation(script, position)
        if end > len(script):
            return bytes(kept + script[position:])
        if script[position] != _OP_CODESEPARATOR:
            kept += script[position:end]
        position = end
    return bytes(kept)


def _end_of_operation(script: bytes, position: int) -> int:
    code = script[position]
    if code < 0x4C:
        return position + 1 + code
    width = _OP_PUSHDATA.get(code, 0)
    size = int.from_bytes(script[position + 1 : position + 1 + width], "little")
    return position + 1 + width + size
