from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from etdb.web.media import BYTES, disposition, is_viewable, type_of


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("x.JPG", "image/jpeg"),
        ("x.st.mdoc", "text/plain; charset=utf-8"),
        ("x.js", "text/plain; charset=utf-8"),
        ("x.mp4", "video/mp4"),
        ("x.mrc", BYTES),
        ("jpg", BYTES),
        ("", BYTES),
        ("x.exe", BYTES),
    ],
)
def test_the_type_is_that_of_a_safe_ending(name: str, expected: str) -> None:
    assert type_of(name) == expected


def test_what_is_plain_bytes_is_not_viewable() -> None:
    assert is_viewable("x.png")
    assert not is_viewable("x.mrc")


@given(name=st.text())
def test_any_name_makes_a_header_of_one_line(name: str) -> None:
    header = disposition(name, is_attachment=False)

    assert header.isascii()
    assert header.isprintable()
    assert header.count('"') == 2


def test_a_name_is_given_exactly_and_without_its_folder() -> None:
    header = disposition("raw/Größe.mrc", is_attachment=True)

    expected = (
        "attachment; filename=\"Gr__e.mrc\"; filename*=UTF-8''Gr%C3%B6%C3%9Fe.mrc"
    )
    assert header == expected
