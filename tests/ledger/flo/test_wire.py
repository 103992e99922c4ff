"""CompactSize and what is cut off."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from etdb.errors import InvalidDataError
from etdb.ledger.flo.wire import Cursor, encode_bytes, encode_compact


@given(st.integers(0, 2**64 - 1))
def test_a_compact_size_reads_back(number: int) -> None:
    cursor = Cursor(encode_compact(number))

    assert cursor.compact() == number
    cursor.verify_end("number")


@pytest.mark.parametrize(
    ("number", "size_bytes"),
    [(0xFC, 1), (0xFD, 3), (0xFFFF, 3), (0x10000, 5), (0xFFFFFFFF, 5), (2**32, 9)],
)
def test_a_compact_size_is_as_short_as_can_be(number: int, size_bytes: int) -> None:
    assert len(encode_compact(number)) == size_bytes


@pytest.mark.parametrize("data", ["fdfc00", "feffff0000", "ffffffffff00000000"])
def test_a_longer_form_of_a_number_is_refused(data: str) -> None:
    with pytest.raises(InvalidDataError, match="shortest"):
        Cursor(bytes.fromhex(data)).compact()


@pytest.mark.parametrize("size", range(5))
def test_counted_bytes_that_are_cut_off_are_refused(size: int) -> None:
    data = encode_bytes(b"four")[:size]

    with pytest.raises(InvalidDataError, match="cut off"):
        Cursor(data).counted()


def test_more_items_than_there_are_bytes_for_are_refused_unread() -> None:
    data = encode_compact(2**40)

    with pytest.raises(InvalidDataError, match="cut off"):
        Cursor(data).count(1)


def test_bytes_after_the_end_are_refused() -> None:
    with pytest.raises(InvalidDataError, match="1 bytes after a block"):
        Cursor(b"x").verify_end("block")
