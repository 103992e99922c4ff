"""Which bytes of a file a Range header asks for (RFC 9110, section 14)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from etdb.errors import InvalidDataError

MAX_SPANS = 32

_SPEC = re.compile(r"(\d{1,18})?-(\d{1,18})?\Z", re.ASCII)


@dataclass(frozen=True)
class Span:
    """Bytes [start, stop) of a file."""

    start: int
    stop: int

    @property
    def size(self) -> int:
        """How many bytes."""
        return self.stop - self.start


def parse_spans(header: str | None, size: int) -> tuple[Span, ...]:
    """The ranges of a header; none where the whole file is to be sent.

    As the RFC allows, a header is ignored that is no list of byte ranges, that
    names more than `MAX_SPANS`, or that asks for more bytes than there are.
    Raises InvalidDataError where every range lies outside the file.
    """
    unit, _, listed = (header or "").partition("=")
    specs = [_SPEC.match(part.strip()) for part in listed.split(",", MAX_SPANS)]
    known = [_bounds(spec, size) for spec in specs if spec is not None]
    if unit.strip().lower() != "bytes" or len(known) < len(specs) or None in known:
        return ()
    inside = tuple(span for span in known if span is not None and span.size > 0)
    if not inside:
        msg = f"the range lies outside the file's {size} bytes"
        raise InvalidDataError(msg)
    is_fair = sum(span.size for span in inside) <= size
    return inside if is_fair and len(specs) <= MAX_SPANS else ()


def _bounds(spec: re.Match[str], size: int) -> Span | None:
    """The part of the file that a range names, maybe empty; None for no range."""
    first, last = spec.groups()
    if first is None:
        return None if last is None else Span(max(0, size - int(last)), size)
    start = int(first)
    if last is None:
        return Span(start, size)
    return None if int(last) < start else Span(start, min(int(last) + 1, size))
