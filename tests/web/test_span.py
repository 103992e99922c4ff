from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from etdb.errors import InvalidDataError
from etdb.web.span import Span, parse_span

sizes = st.integers(0, 10**6)


@given(size=sizes, first=sizes, length=st.integers(0, 10**6))
def test_a_range_is_inside_the_file_or_refused(
    size: int, first: int, length: int
) -> None:
    header = f"bytes={first}-{first + length}"

    if first >= size:
        with pytest.raises(InvalidDataError):
            parse_span(header, size)
    else:
        expected = Span(first, min(first + length + 1, size), is_part=True)
        assert parse_span(header, size) == expected


@given(size=sizes, count=sizes)
def test_a_suffix_is_the_end_of_the_file_or_refused(size: int, count: int) -> None:
    if min(size, count) == 0:
        with pytest.raises(InvalidDataError):
            parse_span(f"bytes=-{count}", size)
    else:
        span = parse_span(f"bytes=-{count}", size)
        assert (span.size, span.stop) == (min(size, count), size)


@given(header=st.text())
def test_any_text_is_a_range_or_ignored(header: str) -> None:
    assert parse_span(header, 100) == Span(0, 100)


def test_no_header_is_the_whole_file() -> None:
    assert parse_span(None, 7) == Span(0, 7)
