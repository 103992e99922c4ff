"""Values of a query that can be compared: numbers, sizes, dates. Pure.

A value stands for a span, both ends included: `2015` is every second of that
year, `1.5GB` one number of bytes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from types import MappingProxyType

from etdb.errors import InvalidDataError
from etdb.index.fields import FieldKind

_NUMBER = re.compile(
    r"[+-]?(?:\d{1,20}(?:\.\d{0,20})?|\.\d{1,20})(?:[eE][+-]?\d{1,3})?\Z"
)
_SIZE = re.compile(r"(?P<number>.*?)\s*(?P<unit>[kKMGTP]i?B|[kKMGTP]|B|)\Z", re.DOTALL)
_DATE = re.compile(r"(?P<year>\d{4})(?:-(?P<month>\d\d)(?:-(?P<day>\d\d))?)?\Z")
_POWERS = MappingProxyType({unit: power for power, unit in enumerate("BKMGTP")})
_LIMIT = 1e300


@dataclass(frozen=True)
class Span:
    """From first to last, both included; None is open."""

    first: float | None
    last: float | None


def parse_span(kind: FieldKind, text: str) -> Span:
    """The span of one value. Raises InvalidDataError, saying what is expected."""
    return _PARSERS[kind](text.replace("\N{MINUS SIGN}", "-"))


def parse_range(kind: FieldKind, text: str) -> Span:
    """The span of `a..b`, `a..`, `..b` or one value. Raises InvalidDataError."""
    low, dots, high = text.partition("..")
    if not dots:
        return parse_span(kind, text)
    if not low and not high:
        msg = "a range needs a value before or after its dots"
        raise InvalidDataError(msg)
    first = parse_span(kind, low).first if low else None
    last = parse_span(kind, high).last if high else None
    if first is not None and last is not None and first > last:
        msg = f"the range {text[:60]} ends before it begins"
        raise InvalidDataError(msg)
    return Span(first, last)


def _number(text: str) -> Span:
    if _NUMBER.match(text) is None:
        msg = f"{text[:40]!r} is not a number"
        raise InvalidDataError(msg)
    value = max(-_LIMIT, min(_LIMIT, float(text)))
    return Span(value, value)


def _size(text: str) -> Span:
    found = _SIZE.match(text)
    assert found is not None, "the pattern matches any text"
    unit = found["unit"]
    base = 1024 if "i" in unit else 1000
    power = _POWERS[unit[:1].upper() or "B"]
    try:
        count = _number(found["number"]).first
    except InvalidDataError as exc:
        msg = (
            f"{text[:40]!r} is not a size: write bytes, or a number with kB, MB, GB, TB"
        )
        raise InvalidDataError(msg) from exc
    assert count is not None, "a number has both ends"
    return Span(count * base**power, count * base**power)


def _date(text: str) -> Span:
    found = _DATE.match(text)
    if found is None:
        msg = f"{text[:40]!r} is not a date: write 2015, 2015-09 or 2015-09-09"
        raise InvalidDataError(msg)
    year, month, day = (found[name] for name in ("year", "month", "day"))
    try:
        start = datetime(int(year), int(month or 1), int(day or 1), tzinfo=UTC)
        after = _after(start, month, day)
    except (ValueError, OverflowError) as exc:
        msg = f"there is no date {text}"
        raise InvalidDataError(msg) from exc
    return Span(start.timestamp(), after.timestamp() - 1)


def _after(start: datetime, month: str | None, day: str | None) -> datetime:
    if day:
        return start + timedelta(days=1)
    if month:
        return (start + timedelta(days=31)).replace(day=1)
    return (start + timedelta(days=366)).replace(month=1, day=1)


_PARSERS: Mapping[FieldKind, Callable[[str], Span]] = MappingProxyType(
    {FieldKind.NUMBER: _number, FieldKind.SIZE: _size, FieldKind.DATE: _date}
)
