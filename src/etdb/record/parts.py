"""Split a message over transactions, and join it again.

PROTOCOL R7. A part is `oip-mp(PART,MAX,ADDRESS,REFERENCE,SIGNATURE):DATA`; MAX
is the index of the last part, REFERENCE the txid of part 0. Which parts form a
set, and which of two counts, is decided where they are kept: in the index.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from etdb.errors import InvalidRecordError, InvalidSignatureError, NotAllowedError
from etdb.identity import Address, Txid
from etdb.record.canonical import MAX_TEXT_BYTES, PREFIX, encode_text, refuse
from etdb.record.signing import PrivateKey, verify_message

MAX_MESSAGE_BYTES = 1040
FIRST_DATA_BYTES = 840
NEXT_DATA_BYTES = 790
LAST_INDEX = 999
LAST_INDEX_WRITTEN = 899

_PREFIX = re.compile(r"(?:oip-mp|alexandria-media-multipart)\(")
_DECIMAL = re.compile(r"(?:0|[1-9][0-9]{0,2})\Z")
_REFERENCE = re.compile(r"[0-9a-f]{10,64}\Z")
_NO_REFERENCE = "0" * 64
"""What the older format wrote in part 0."""


@dataclass(frozen=True)
class Part:
    """One part of a message, as one transaction carries it."""

    index: int
    max: int
    """The index of the last part."""
    address: Address
    reference: str
    """The txid of part 0 or its first digits; of part 0 empty or 64 zeros."""
    signature: str
    data: str
    text: str


def parse_part(text: str) -> Part:
    """The part that a text is. Raises InvalidMessageError (R7).

    Both prefixes, and the header with the reference omitted or with a stray
    comma at its end.
    """
    encode_text(text)
    fields, data = _split_header(text)
    index, maximum = _parse_decimal(fields[0]), _parse_decimal(fields[1])
    if not 1 <= maximum <= LAST_INDEX or index > maximum:
        refuse("R7", f"part {index} of 0 to {maximum}")
    address, reference, signature = fields[2:]
    if index == 0:
        if reference not in {"", _NO_REFERENCE}:
            refuse("R7", "part 0 refers to another part")
    elif _REFERENCE.match(reference) is None:
        refuse("R7", "the reference is not 10 to 64 lower-case hex digits")
    return Part(index, maximum, Address(address), reference, signature, data, text)


def verify_part(part: Part) -> None:
    """Returns if the part's address signed it. Raises InvalidSignatureError (R7).

    Of part 0, some old clients signed another text than they wrote: with 64
    zeros for the empty reference, or without the `json:` they then put before.
    """
    signed = [_preimage(part, part.reference, part.data)]
    if part.index == 0:
        signed.append(_preimage(part, _NO_REFERENCE, part.data))
        signed.append(_preimage(part, part.reference, part.data.removeprefix(PREFIX)))
    if not any(_is_signed(part, text) for text in signed):
        msg = f"part {part.index} of {part.max} is not signed by {part.address[:60]}"
        raise InvalidSignatureError(msg, rule="R7")


def plan_chunks(text: str) -> list[str]:
    """The data of each transaction that carries a text; one alone has no header.

    Up to 1,040 bytes go in one; longer texts are cut between characters into at
    most 840 bytes and then 790 at a time. Raises InvalidRecordError where that
    makes more than 900.
    """
    rest = encode_text(text)
    if len(rest) <= MAX_MESSAGE_BYTES:
        return [text]
    chunks: list[str] = []
    limit = FIRST_DATA_BYTES
    while rest:
        end = _character_boundary(rest, limit)
        chunks.append(rest[:end].decode("utf-8"))
        rest = rest[end:]
        limit = NEXT_DATA_BYTES
    if len(chunks) > LAST_INDEX_WRITTEN + 1:
        msg = f"the record is too long: it takes {len(chunks)} parts, at most 900"
        raise InvalidRecordError(msg, rule="R7")
    return chunks


def encode_part(
    index: int, max: int, address: Address, reference: str, data: str, key: PrivateKey
) -> str:
    """The text of a part, signed. `reference` is empty for part 0.

    Raises NotAllowedError if the address is not the key's.
    """
    if not key.owns(address):
        msg = f"{address} is not an address of this key"
        raise NotAllowedError(msg, address=address)
    unsigned = Part(index, max, address, reference, "", data, "")
    signature = key.sign_message(_preimage(unsigned, reference, data))
    return f"oip-mp({index},{max},{address},{reference},{signature}):{data}"


def joins(part: Part, first_txid: Txid) -> bool:
    """Whether a later part belongs to the set that this transaction begins (R7).

    Its ADDRESS and MAX must be the set's too.
    """
    return part.index > 0 and first_txid.startswith(part.reference)


def join(parts: Sequence[Part]) -> str:
    """The text that a complete set carries, its parts in any order.

    An empty last part is one that the original publisher sent by mistake.
    Raises InvalidMessageError (R7) unless each index is there once, of one
    address and MAX, and the text is at most 1 MiB.
    """
    ordered = sorted(parts, key=lambda part: part.index)
    if not ordered or len({(part.max, part.address) for part in ordered}) != 1:
        refuse("R7", "the parts are not of one set")
    if [part.index for part in ordered] != list(range(ordered[0].max + 1)):
        refuse("R7", "the set of parts is not complete")
    text = "".join(part.data for part in ordered)
    if len(encode_text(text)) > MAX_TEXT_BYTES:
        refuse("R7", f"the joined text is longer than {MAX_TEXT_BYTES} bytes")
    return text


def _split_header(text: str) -> tuple[list[str], str]:
    prefix = _PREFIX.match(text)
    if prefix is None:
        refuse("R7", "not a part")
    header, mark, data = text[prefix.end() :].partition("):")
    fields = header.split(",")
    if len(fields) == 6 and fields[5] == "":
        del fields[5]
    if len(fields) == 4:
        fields.insert(3, "")
    if not mark or len(fields) != 5:
        refuse("R7", "the part's header has not 4 or 5 fields")
    return fields, data


def _parse_decimal(text: str) -> int:
    if _DECIMAL.match(text) is None:
        refuse("R7", f"not a part number: {text[:20]!r}")
    return int(text)


def _preimage(part: Part, reference: str, data: str) -> str:
    return f"{part.index}-{part.max}-{part.address}-{reference}-{data}"


def _is_signed(part: Part, text: str) -> bool:
    try:
        verify_message(part.address, part.signature, text)
    except InvalidSignatureError:
        return False
    return True


def _character_boundary(data: bytes, limit: int) -> int:
    end = min(limit, len(data))
    while end < len(data) and data[end] & 0xC0 == 0x80:
        end -= 1
    return end
