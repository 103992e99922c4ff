"""Any Range header gives parts of the file, all of it, or a refusal."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from etdb.errors import InvalidDataError
from etdb.web.span import MAX_SPANS, Span, parse_spans

sizes = st.integers(0, 10**6)

_numbers = st.integers(0, 10**20).map(str) | st.just("") | st.just("٣")
_specs = st.builds(lambda first, last: f"{first}-{last}", _numbers, _numbers)
_lists = st.lists(_specs | st.text(max_size=5), max_size=40).map(",".join)


@given(size=sizes, first=sizes, length=st.integers(0, 10**6))
def test_a_range_is_inside_the_file_or_refused(
    size: int, first: int, length: int
) -> None:
    header = f"bytes={first}-{first + length}"

    if first >= size:
        with pytest.raises(InvalidDataError):
            parse_spans(header, size)
    else:
        expected = Span(first, min(first + length + 1, size))
        assert parse_spans(header, size) == (expected,)


@given(size=sizes, count=sizes)
def test_a_suffix_is_the_end_of_the_file_or_refused(size: int, count: int) -> None:
    if min(size, count) == 0:
        with pytest.raises(InvalidDataError):
            parse_spans(f"bytes=-{count}", size)
    else:
        (span,) = parse_spans(f"bytes=-{count}", size)
        assert (span.size, span.stop) == (min(size, count), size)


@given(ranges=_lists, size=sizes)
@example(ranges=",".join(["0-0"] * 33), size=100)
@example(ranges="0-,0-", size=100)
def test_any_list_of_ranges_is_bounded(ranges: str, size: int) -> None:
    try:
        spans = parse_spans(f"bytes={ranges}", size)
    except InvalidDataError:
        return

    assert len(spans) <= MAX_SPANS
    assert sum(span.size for span in spans) <= size
    assert all(0 <= span.start < span.stop <= size for span in spans)


def test_several_ranges_come_in_the_order_asked_for() -> None:
    spans = parse_spans("bytes=8-9, 0-1 ,-1, 500-", 100)

    assert spans == (Span(8, 10), Span(0, 2), Span(99, 100))


@given(header=st.text())
def test_any_text_is_ignored(header: str) -> None:
    assert parse_spans(header, 100) == ()


@pytest.mark.parametrize(
    "header", [None, "bytes=0-1,x", "bytes=5-2", "bytes=0-1,5-2", "bytes=٣-٤"]
)
def test_what_is_no_list_of_ranges_is_the_whole_file(header: str | None) -> None:
    assert parse_spans(header, 7) == ()
