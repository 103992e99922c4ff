"""The quick way to the canonical form gives what the slow one gives."""

from __future__ import annotations

from typing import Any

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from etdb.errors import InvalidRecordError
from etdb.record import canonical
from etdb.record.canonical import canonical_bytes

EDGES = [
    0.0,
    -0.0,
    5.0,
    -60.0,
    1e-4,
    9.999e-5,
    1e-7,
    5e-324,
    0.1 + 0.2,
    1.7976931348623157e308,
    2.0**53,
    2.0**53 - 1,
    -(2.0**53) + 1,
    1e16,
    123456789.125,
    2**53 - 1,
    -(2**53) + 1,
]

numbers = st.one_of(
    st.sampled_from(EDGES),
    st.floats(allow_nan=False, allow_infinity=False),
    st.integers(-(2**53) + 1, 2**53 - 1),
)
values = st.recursive(
    st.one_of(st.none(), st.booleans(), numbers, st.text()),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(st.text(), inner, max_size=4)
    ),
    max_leaves=20,
)


@given(values)
def test_any_value_is_written_as_rfc_8785_says(value: Any) -> None:
    assert canonical_bytes(value) == rfc8785.dumps(value)


@pytest.mark.parametrize("number", EDGES)
def test_edges_of_what_python_and_es6_print_alike(number: float) -> None:
    assert canonical_bytes([number]) == rfc8785.dumps([number])


@pytest.mark.parametrize("character", [*map(chr, range(0x80)), "é", "\u2028", "😀"])
def test_every_character_is_escaped_alike(character: str) -> None:
    assert canonical_bytes([character]) == rfc8785.dumps([character])


def test_names_are_ordered_by_utf_16() -> None:
    value = {"\U0001f600": 1, "\ufb33": 2, "a": 3, "B": 4}

    assert canonical_bytes(value) == rfc8785.dumps(value)
    assert list(value) != sorted(value), "so that the order could be missed"


@pytest.mark.parametrize(
    "value", [float("nan"), float("inf"), 2**53, {1: 2}, "\ud800", {"\udfff": 1}, {1}]
)
def test_what_has_no_canonical_form_is_refused(value: Any) -> None:
    with pytest.raises(InvalidRecordError):
        canonical_bytes(value)


@pytest.mark.parametrize("value", [{"a": [1, 2.5, "x", None, True]}, [1.0]])
def test_the_usual_values_take_the_quick_way(
    value: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def slowly(_: object) -> bytes:
        raise AssertionError

    monkeypatch.setattr(canonical, "_slowly", slowly)

    assert canonical_bytes(value) == rfc8785.dumps(value)
