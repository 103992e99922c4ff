"""Which bytes of a file a Range header asks for (RFC 9110, section 14)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from etdb.errors import InvalidDataError

_SPEC = re.compile(r"(\d{1,18})?-(\d{1,18})?\Z")


@dataclass(frozen=True)
class Span:
    """Bytes [start, stop) of a file; `is_part` says that they were asked for."""

    start: int
    stop: int
    is_part: bool = False

    @property
    def size(self) -> int:
        """How many bytes."""
        return self.stop - self.start


def parse_span(header: str | None, size: int) -> Span:
    """The first range of a header; the whole file where there is none.

    A header that is no byte range is ignored, as the RFC says. Raises
    InvalidDataError where the range lies outside the file.
    """
    unit, _, ranges = (header or "").partition("=")
    spec = _SPEC.match(ranges.split(",")[0].strip())
    whole = Span(0, size)
    if unit.strip().lower() != "bytes" or spec is None:
        return whole
    first, last = spec.groups()
    if first is None:
        return whole if last is None else _suffix(int(last), size)
    start = int(first)
    stop = size if last is None else min(int(last) + 1, size)
    if last is not None and int(last) < start:
        return whole
    return _checked(Span(start, stop, is_part=True), size)


def _suffix(count: int, size: int) -> Span:
    return _checked(Span(max(0, size - count), size, is_part=True), size)


def _checked(span: Span, size: int) -> Span:
    if span.size <= 0:
        msg = f"the range lies outside the file's {size} bytes"
        raise InvalidDataError(msg)
    return span
