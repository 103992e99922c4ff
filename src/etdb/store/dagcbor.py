"""dag-cbor: documents with links in them, read so that paths can pass through.

Bytes in, values out; nothing here writes any. Maps have text keys, links are
tag 42, lengths are definite, as the format demands.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any

from etdb.errors import InvalidDataError
from etdb.identity import CID

MAX_DEPTH = 128
"""Lists and maps inside one another."""

_LINK_TAG = 42
_SIMPLE = {20: False, 21: True, 22: None}


def parse_dagcbor(block: bytes) -> Any:
    """The document: dict, list, str, bytes, int, float, bool, None and CID.

    Raises InvalidDataError.
    """
    value, end = _read(block, 0, 0)
    if end != len(block):
        raise _broken("bytes after its end")
    return value


def iter_links(value: Any) -> Iterator[CID]:
    """Every link in a document, in the order they stand."""
    if isinstance(value, CID):
        yield value
    elif isinstance(value, dict):
        for inner in value.values():
            yield from iter_links(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from iter_links(inner)


def find_value(value: Any, name: str) -> Any:
    """What a name leads to in a map, or a number in a list. Raises KeyError."""
    if isinstance(value, dict):
        return value[name]
    if isinstance(value, list) and name.isascii() and name.isdecimal():
        position = int(name[:10])
        if position < len(value):
            return value[position]
    raise KeyError(name)


def _read(block: bytes, start: int, depth: int) -> tuple[Any, int]:
    if depth > MAX_DEPTH:
        raise _broken("too deep")
    major, number, at = _read_head(block, start)
    if major == 0:
        return number, at
    if major == 1:
        return -1 - number, at
    if major in (2, 3):
        return _read_text(block, at, number, is_text=major == 3)
    if major in (4, 5):
        read = _read_list if major == 4 else _read_map
        return read(block, at, number, depth)
    if major == 6:
        return _read_link(block, at, number, depth)
    return _read_simple(block, start, at, number)


def _read_head(block: bytes, start: int) -> tuple[int, int, int]:
    """(major type, its number, the position after it)."""
    head = block[start : start + 1]
    if not head:
        raise _broken("it is cut off")
    major, small = head[0] >> 5, head[0] & 0x1F
    if small < 24:
        return major, small, start + 1
    size = 1 << (small - 24)
    digits = block[start + 1 : start + 1 + size]
    if small > 27 or len(digits) < size:
        raise _broken("it is cut off, or a length is indefinite")
    return major, int.from_bytes(digits, "big"), start + 1 + size


def _read_text(
    block: bytes, start: int, size: int, *, is_text: bool
) -> tuple[str | bytes, int]:
    if size > len(block) - start:
        raise _broken("it is cut off")
    data = block[start : start + size]
    if not is_text:
        return data, start + size
    try:
        return data.decode("utf-8"), start + size
    except UnicodeDecodeError as exc:
        raise _broken("text that is not UTF-8") from exc


def _read_list(block: bytes, at: int, count: int, depth: int) -> tuple[list[Any], int]:
    values = []
    for _ in range(count):
        value, at = _read(block, at, depth + 1)
        values.append(value)
    return values, at


def _read_map(
    block: bytes, at: int, count: int, depth: int
) -> tuple[dict[str, Any], int]:
    values: dict[str, Any] = {}
    for _ in range(count):
        key, at = _read(block, at, depth + 1)
        if not isinstance(key, str) or key in values:
            raise _broken("a key that is no text, or comes twice")
        values[key], at = _read(block, at, depth + 1)
    return values, at


def _read_link(block: bytes, at: int, tag: int, depth: int) -> tuple[CID, int]:
    value, at = _read(block, at, depth + 1)
    if tag != _LINK_TAG or not isinstance(value, bytes) or value[:1] != b"\0":
        raise _broken("a tag that is no link")
    return CID.from_bytes(value[1:]), at


def _read_simple(
    block: bytes, start: int, at: int, number: int
) -> tuple[float | bool | None, int]:
    size = at - start
    if size == 9:
        return struct.unpack(">d", block[start + 1 : at])[0], at
    if size == 1 and number in _SIMPLE:
        return _SIMPLE[number], at
    raise _broken("a simple value that the format does not have")


def _broken(why: str) -> InvalidDataError:
    return InvalidDataError(f"broken dag-cbor document: {why}")
