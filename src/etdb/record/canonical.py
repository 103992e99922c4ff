"""What is signed: JSON within limits, its canonical form, its digest.

PROTOCOL B1-B3. A text outside the limits could be read differently by two
programs, so it is refused before anything in it is believed. Which keys a
message has, and what they mean, is not decided here.

    >>> canonical_bytes({"b": 1.0, "a": 1e-7})
    b'{"a":1e-7,"b":1}'
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any, NoReturn

import rfc8785

from etdb.errors import InvalidMessageError, InvalidRecordError
from etdb.identity import Digest

PREFIX = "json:"
MAX_TEXT_BYTES = 1 << 20
MAX_DEPTH = 64
NUMBER_LIMIT = 2**53
"""Magnitudes from here on are refused: doubles no longer tell them apart."""

_MAX_INTEGER_DIGITS = 16
"""A literal with more is at least 10^16; int() would take quadratic time."""

# Possessive, and a string that never ends is one token, so that the scan takes
# linear time whatever the text.
_STRUCTURE = re.compile(r'"(?:[^"\\]++|\\.)*+"?|[\[{]|[\]}]', re.DOTALL)
_ENCODER = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":"))
_SMALLEST_PLAIN = 1e-4
"""Python writes smaller numbers with an exponent, ES6 only from 1e-7 on down."""
_OBJECTS = (dict, Mapping)
"""The first is known at sight."""
_UNWRITABLE = re.compile("[\0\ud800-\udfff]")


def refuse(rule: str, reason: str) -> NoReturn:
    """Raise InvalidMessageError with the clause of PROTOCOL as `facts["rule"]`."""
    raise InvalidMessageError(reason, rule=rule)


def parse_message_text(text: str) -> dict[str, Any]:
    """The JSON object of a `json:` text (B1).

    Nothing may stand between the prefix and the value, nor after it. Raises
    InvalidMessageError, `facts["rule"]` being the clause that was broken.
    """
    if not text.startswith(PREFIX):
        refuse("B1", f"does not begin with {PREFIX!r}")
    _check_length(text)
    value = parse_json(text[len(PREFIX) :])
    if not isinstance(value, dict):
        refuse("B2", "the message is not a JSON object")
    return value


def parse_json(text: str) -> Any:
    """One JSON value under the limits of B1.

    Integer literals become int, all other numbers float. Raises
    InvalidMessageError.
    """
    _check_length(text)
    _check_depth(text)
    decoder = json.JSONDecoder(
        object_pairs_hook=_object,
        parse_int=_integer,
        parse_float=_real,
        parse_constant=_constant,
    )
    try:
        value, end = decoder.raw_decode(text)
    except json.JSONDecodeError as exc:
        reason = f"not JSON: {exc.msg} at character {exc.pos}"
        raise InvalidMessageError(reason, rule="B1") from exc
    if end != len(text):
        refuse("B1", f"text after the JSON value, at character {end}")
    if "\\u" in text:
        _check_strings(value)
    return value


def encode_text(text: str) -> bytes:
    """UTF-8. Raises InvalidMessageError on what UTF-8 cannot hold (B1).

    Bytes of a ledger that were not UTF-8, decoded with `surrogateescape`, are
    found here.
    """
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError as exc:
        reason = f"not UTF-8 at character {exc.start}"
        raise InvalidMessageError(reason, rule="B1") from exc


def canonical_bytes(value: object) -> bytes:
    """The RFC 8785 form. Raises InvalidRecordError on what JSON cannot hold."""
    try:
        return _ENCODER.encode(plain(value)).encode("utf-8")
    except (UnusualError, UnicodeEncodeError):
        return _slowly(value)


def _slowly(value: object) -> bytes:
    try:
        return rfc8785.dumps(value)  # type: ignore[arg-type]
    except ValueError as exc:
        msg = f"no canonical form: {exc}"
        raise InvalidRecordError(msg, rule="B1") from exc


def signature_holder(action: str, body: Mapping[str, Any]) -> Mapping[str, Any]:
    """The object in which the body's content signature stands or would (B3).

    `details` of an artifact, empty where there is none; else the body itself.
    """
    if action not in {"publish", "edit"}:
        return body
    details = body.get("details")
    return details if isinstance(details, Mapping) else {}


def has_content_signature(action: str, body: Mapping[str, Any]) -> bool:
    """Whether the body claims one, be it as wrong as it may."""
    return "contentSignature" in signature_holder(action, body)


def digest_of(action: str, body: Mapping[str, Any]) -> Digest:
    """The digest of a body under an action (B3). Raises InvalidRecordError.

    It leaves out the two signatures and nothing else, so it is the same before
    and after signing; an emptied `details` stays.
    """
    bare = {key: value for key, value in body.items() if key != "signature"}
    if has_content_signature(action, body):
        holder = dict(signature_holder(action, body))
        del holder["contentSignature"]
        if action in {"publish", "edit"}:
            bare["details"] = holder
        else:
            del bare["contentSignature"]
    return Digest(hashlib.sha256(canonical_bytes(bare)).hexdigest())


class UnusualError(Exception):
    """A value that `json` would not write as RFC 8785 does."""


def plain(value: object) -> object:
    """An equal value that `json`, which is fast, writes as RFC 8785 does.

    Names that sort alike by code points and by UTF-16, and numbers that Python
    and ES6 print alike. Raises UnusualError for all others.
    """
    if isinstance(value, str | bool) or value is None:
        return value
    if isinstance(value, _OBJECTS):
        return _plain_members(value)
    if isinstance(value, list | tuple):
        return [plain(member) for member in value]
    return _plain_number(value)


def _plain_members(value: Mapping[object, object]) -> dict[str, object]:
    found: dict[str, object] = {}
    for name, member in value.items():
        if not isinstance(name, str) or not name.isascii():
            raise UnusualError
        found[name] = plain(member)
    return found


def _plain_number(value: object) -> int | float:
    if isinstance(value, int | float) and abs(value) < NUMBER_LIMIT:
        if int(value) == value:
            return int(value)
        if abs(value) >= _SMALLEST_PLAIN:
            return value
    raise UnusualError


def _check_length(text: str) -> None:
    if len(encode_text(text)) > MAX_TEXT_BYTES:
        refuse("R7", f"longer than {MAX_TEXT_BYTES} bytes")


def _check_depth(text: str) -> None:
    if text.count("[") + text.count("{") <= MAX_DEPTH:
        return
    depth = 0
    for token in _STRUCTURE.finditer(text):
        mark = text[token.start()]
        if mark in "[{":
            depth += 1
        elif mark in "]}":
            depth -= 1
        if depth > MAX_DEPTH:
            refuse("B1", f"nested deeper than {MAX_DEPTH}")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        refuse("B1", "a name occurs twice in one object")
    return found


def _integer(literal: str) -> int:
    if len(literal.lstrip("-")) > _MAX_INTEGER_DIGITS:
        refuse("B1", "a number of magnitude 2^53 or more")
    number = int(literal)
    if abs(number) >= NUMBER_LIMIT:
        refuse("B1", "a number of magnitude 2^53 or more")
    return number


def _real(literal: str) -> float:
    number = float(literal)
    if abs(number) >= NUMBER_LIMIT:
        refuse("B1", "a number of magnitude 2^53 or more")
    return number


def _constant(literal: str) -> NoReturn:
    refuse("B1", f"{literal} is not a JSON number")


def _check_strings(value: Any) -> None:
    if isinstance(value, str):
        if _UNWRITABLE.search(value) is not None:
            refuse("B1", "a string with U+0000 or a lone surrogate")
    elif isinstance(value, dict):
        for name, member in value.items():
            _check_strings(name)
            _check_strings(member)
    elif isinstance(value, list):
        for member in value:
            _check_strings(member)
