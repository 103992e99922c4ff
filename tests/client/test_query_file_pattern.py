"""Regular expressions in bounded time, against Python's own."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from etdb.client.pattern import MAX_TEXT_CHARACTERS, Pattern
from etdb.errors import InvalidDataError

ATOMS = st.sampled_from(
    ["a", "b", ".", "[ab]", "[^a]", r"\d", r"\w", r"\W", r"\.", "[a-c0]", "é", ""]
)
PATTERNS = st.recursive(
    ATOMS,
    lambda inner: st.one_of(
        st.tuples(inner, inner).map("".join),
        st.tuples(inner, inner).map(lambda two: f"(?:{two[0]}|{two[1]})"),
        st.tuples(
            inner, st.sampled_from(["*", "+", "?", "{2}", "{1,3}", "{0,2}?", "{2,}"])
        ).map(lambda two: f"({two[0]}){two[1]}"),
        inner.map(lambda one: f"^{one}"),
        inner.map(lambda one: rf"{one}\b"),
        inner.map(lambda one: rf"{one}$"),
    ),
    max_leaves=6,
)
TEXTS = st.text("ab0. éc", max_size=8)


@given(PATTERNS, TEXTS)
def test_it_finds_what_python_finds(pattern: str, text: str) -> None:
    try:
        ours = Pattern(pattern)
    except InvalidDataError as exc:
        assert "too large" in exc.message
        return

    assert ours.is_in(text) == bool(re.search(pattern, text, re.ASCII))


@pytest.mark.parametrize(
    "pattern", ["(a+)+$", "^(a|a)*$", "^(a*)*b$", "(a|aa)+$", "(.*a){12}$"]
)
def test_patterns_that_take_others_for_ever_are_done_at_once(pattern: str) -> None:
    assert not Pattern(pattern).is_in("a" * 2_000 + "!")


@pytest.mark.parametrize(
    "pattern",
    [
        *("(", ")", "[", "[a", "*", "+a", "?", "a**", "(?=a)", "(?<!a)", "(?<n>a)"),
        *(r"(a)\1", r"\p{L}", "\\", "[b-a]", r"[\d-z]", "a{3,2}", "^*", "(" * 30),
        *("(a{100}){100}", "((((((){400}){400}){400}){400}){400}){400}", "a" * 1001),
    ],
)
def test_what_is_no_pattern_is_refused(pattern: str) -> None:
    with pytest.raises(InvalidDataError, match="regular expression"):
        Pattern(pattern)


@pytest.mark.parametrize(
    ("pattern", "text", "expected"),
    [
        ("a{x", "a{x", True),
        ("[]", "a", False),
        ("[^]", "a", True),
        (r"[\d\-x]+y", "-3xy", True),
        (r"\x41\u00e9\t", "Aé\t", True),
        ("a.b", "a\nb", False),
        (r"\S\s\S", "a\u00a0b", True),
        (r"[\D]", "5", False),
        ("", "", True),
        ("a|", "b", True),
        ("b-", "ab-", True),
        ("[a-]", "-", True),
    ],
)
def test_the_notation_is_javascript_s(pattern: str, text: str, expected: bool) -> None:
    assert Pattern(pattern).is_in(text) is expected


def test_of_a_long_text_the_beginning_is_looked_at() -> None:
    text = "a" * MAX_TEXT_CHARACTERS

    assert Pattern("a$").is_in(text)
    assert not Pattern("b").is_in(text + "b")
