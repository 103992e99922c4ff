"""The primitive forms of FLO's serialization: numbers and counted bytes.

What they make up is in `tx` and `block`.
"""

from __future__ import annotations

import hashlib
import struct
from typing import Any

from etdb.errors import InvalidDataError

_U16 = struct.Struct("<H")
_U32 = struct.Struct("<I")
_I32 = struct.Struct("<i")
_U64 = struct.Struct("<Q")
_LONG_FORMS = (_U16, _U32, _U64)
_LEAST_LONG = (0xFD, 0x1_0000, 0x1_0000_0000)
"""What a CompactSize of 2, 4, 8 further bytes is needed for."""


def sha256d(data: bytes) -> bytes:
    """SHA-256 of SHA-256: ids, merkle nodes and signed digests."""
    return hashlib.sha256(hashlib.sha256(data).digest()).digest()


def encode_compact(number: int) -> bytes:
    """A CompactSize, in its one shortest form."""
    if number < 0xFD:
        return bytes((number,))
    if number <= 0xFFFF:
        return b"\xfd" + _U16.pack(number)
    if number <= 0xFFFF_FFFF:
        return b"\xfe" + _U32.pack(number)
    return b"\xff" + _U64.pack(number)


def encode_bytes(data: bytes) -> bytes:
    """Bytes behind their length."""
    return encode_compact(len(data)) + data


class Cursor:
    """Reads one value after the other; InvalidDataError past the end."""

    __slots__ = ("data", "position")

    def __init__(self, data: bytes, position: int = 0) -> None:
        self.data = data
        self.position = position

    def take(self, size: int) -> bytes:
        """The next `size` bytes."""
        end = self.position + size
        if end > len(self.data):
            raise self._cut_off(size, "bytes")
        taken = self.data[self.position : end]
        self.position = end
        return taken

    def read(self, form: struct.Struct) -> tuple[Any, ...]:
        """The values of a fixed form."""
        try:
            values = form.unpack_from(self.data, self.position)
        except struct.error:
            raise self._cut_off(form.size, "bytes") from None
        self.position += form.size
        return values

    def u32(self) -> int:
        """An unsigned 32-bit number."""
        return int(self.read(_U32)[0])

    def i32(self) -> int:
        """A signed 32-bit number."""
        return int(self.read(_I32)[0])

    def u64(self) -> int:
        """An unsigned 64-bit number."""
        return int(self.read(_U64)[0])

    def compact(self) -> int:
        """A CompactSize; other than the shortest form is refused."""
        try:
            first = self.data[self.position]
        except IndexError:
            raise self._cut_off(1, "bytes") from None
        self.position += 1
        if first < 0xFD:
            return first
        number = int(self.read(_LONG_FORMS[first - 0xFD])[0])
        if number < _LEAST_LONG[first - 0xFD]:
            msg = f"CompactSize {number} is not in its shortest form"
            raise InvalidDataError(msg)
        return number

    def counted(self) -> bytes:
        """Bytes behind their length."""
        return self.take(self.compact())

    def count(self, least_bytes: int) -> int:
        """How many items follow, each of at least so many bytes."""
        number = self.compact()
        if number * least_bytes > len(self.data) - self.position:
            raise self._cut_off(number, "items")
        return number

    def verify_end(self, what: str) -> None:
        """Nothing may follow. Raises InvalidDataError."""
        rest = len(self.data) - self.position
        if rest:
            msg = f"{rest} bytes after a {what}"
            raise InvalidDataError(msg)

    def _cut_off(self, number: int, unit: str) -> InvalidDataError:
        where = f"byte {self.position} of {len(self.data)}"
        msg = f"cut off: {number} {unit} announced at {where}"
        return InvalidDataError(msg)


def encode_i32(number: int) -> bytes:
    """A signed 32-bit number."""
    return _I32.pack(number)


def encode_u32(number: int) -> bytes:
    """An unsigned 32-bit number."""
    return _U32.pack(number)


def encode_u64(number: int) -> bytes:
    """An unsigned 64-bit number."""
    return _U64.pack(number)
