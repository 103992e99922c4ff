"""dag-pb: a list of named links and a byte string, as protobuf.

Bytes in, bytes out. What the byte string means is `etdb.store.unixfs`'s
affair. Received bytes are kept and never encoded again: other writers leave
out what we always write.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from etdb.errors import InvalidDataError
from etdb.identity import CID, decode_varint, encode_varint

_VARINT, _BYTES = 0, 2


@dataclass(frozen=True)
class Link:
    """A link: name ("" between the nodes of a file), target and Tsize.

    `tsize` is the size in bytes of the blocks below, as the writer claims.
    """

    name: str
    cid: CID
    tsize: int | None


def encode_dagpb(links: Iterable[Link], data: bytes) -> bytes:
    """The block: every link, then the data, in the order given."""
    fields = [encode_bytes(2, _encode_link(link)) for link in links]
    return b"".join((*fields, encode_bytes(1, data)))


def _encode_link(link: Link) -> bytes:
    target = encode_bytes(1, link.cid.to_bytes())
    name = encode_bytes(2, link.name.encode("utf-8"))
    return target + name + encode_number(3, link.tsize or 0)


def encode_bytes(field: int, value: bytes) -> bytes:
    """One protobuf field of bytes."""
    size = len(value)
    if size < 0x80:
        return bytes((field << 3 | _BYTES, size)) + value
    return bytes((field << 3 | _BYTES,)) + encode_varint(size) + value


def encode_number(field: int, value: int) -> bytes:
    """One protobuf field of an unsigned integer."""
    return bytes((field << 3 | _VARINT,)) + encode_varint(value)


def parse_dagpb(block: bytes) -> tuple[tuple[Link, ...], bytes | None]:
    """(links, data) of a block; data is None where it is absent.

    Raises InvalidDataError for anything but links and at most one data.
    """
    links: list[Link] = []
    data: bytes | None = None
    for field, value in iter_fields(block):
        if field == 2 and isinstance(value, bytes):
            links.append(_parse_link(value))
        elif field == 1 and isinstance(value, bytes) and data is None:
            data = value
        else:
            msg = f"dag-pb node with an unexpected field {field}"
            raise InvalidDataError(msg)
    return tuple(links), data


def _parse_link(body: bytes) -> Link:
    cid: CID | None = None
    name, tsize = "", None
    for field, value in iter_fields(body):
        if field == 1 and isinstance(value, bytes) and cid is None:
            cid = CID.from_bytes(value)
        elif field == 2 and isinstance(value, bytes):
            name = _parse_name(value)
        elif field == 3 and isinstance(value, int):
            tsize = value
        else:
            msg = f"dag-pb link with an unexpected field {field}"
            raise InvalidDataError(msg)
    if cid is None:
        msg = "dag-pb link without a target"
        raise InvalidDataError(msg)
    return Link(name, cid, tsize)


def _parse_name(value: bytes) -> str:
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError as exc:
        msg = f"dag-pb link whose name is not UTF-8: {value[:80]!r}"
        raise InvalidDataError(msg) from exc


def iter_fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    """(number, value) of each protobuf field; integers and bytes only.

    Raises InvalidDataError.
    """
    position = 0
    while position < len(data):
        tag, position = decode_varint(data, position)
        value, position = decode_varint(data, position)
        field, wire = tag >> 3, tag & 7
        if wire == _VARINT:
            yield field, value
        elif wire == _BYTES and value <= len(data) - position:
            yield field, data[position : position + value]
            position += value
        else:
            msg = f"protobuf field {field} is cut off or of wire type {wire}"
            raise InvalidDataError(msg)
