from __future__ import annotations

import doctest
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from etdb.errors import InvalidDataError
from etdb.index import search
from etdb.index.fields import ALL_FIELDS, FieldKind, find_field
from etdb.index.search import (
    And,
    Compare,
    Expression,
    Has,
    Is,
    Match,
    Not,
    Or,
    parse,
)
from etdb.index.span import parse_range
from etdb.record.model import FIELDS

A, B, C = (Match(None, word) for word in "abc")


def day(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


def between(field: str, low: float, high: float) -> Expression:
    return And((Compare(field, ">=", low), Compare(field, "<=", high)))


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", And(())),
        ("   \t\n", And(())),
        ("a", A),
        ("a b", And((A, B))),
        ("a AND b", And((A, B))),
        ("a OR b c", Or((A, And((B, C))))),
        ("(a OR b) c", And((Or((A, B)), C))),
        ("a (b c)", And((A, And((B, C))))),
        ("-a", Not(A)),
        ("NOT a b", And((Not(A), B))),
        ("-(a OR b)", Not(Or((A, B)))),
        ("--a", Not(Not(A))),
        ("a-b", Match(None, "a-b")),
        ("and or not", And(tuple(Match(None, word) for word in ("and", "or", "not")))),
        ('"AND"', Match(None, "AND")),
        ("chol*", Match(None, "chol", is_prefix=True)),
        ('"outer mem"*', Match(None, "outer mem", is_prefix=True)),
        (r'"say \"hi\" \\"', Match(None, r'say "hi" \\'.replace(r"\\", "\\"))),
        ('species:"Vibrio cholerae"', Match("species", "Vibrio cholerae")),
        ("species:chol*", Match("species", "chol", is_prefix=True)),
        ("SPECIES:a", Match("species", "a")),
        ("speciesName=a", Match("species", "a")),
        ("tilt_min<=-60", Compare("tilt_min_deg", "<=", -60.0)),
        ("tilt_min:<=-60", Compare("tilt_min_deg", "<=", -60.0)),
        ("tilt_min:−60", Compare("tilt_min_deg", "=", -60.0)),
        ("dose>1e2", Compare("dose_e_per_a2", ">", 100.0)),
        ("dose:100..200", between("dose_e_per_a2", 100, 200)),
        ("dose:-8.5..-8", between("dose_e_per_a2", -8.5, -8)),
        ("dose:100..", And((Compare("dose_e_per_a2", ">=", 100),))),
        ("dose:..100", And((Compare("dose_e_per_a2", "<=", 100),))),
        ("dose:5..5", Compare("dose_e_per_a2", "=", 5)),
        ("size>1.5GB", Compare("size_bytes", ">", 1.5e9)),
        ("size<1KiB", Compare("size_bytes", "<", 1024)),
        ("size:5", Compare("size_bytes", "=", 5)),
        ('size>"2 TB"', Compare("size_bytes", ">", 2e12)),
        ("date:2015", between("date", day("2015-01-01"), day("2016-01-01") - 1)),
        ("date:2016-02", between("date", day("2016-02-01"), day("2016-03-01") - 1)),
        ("date:2015-12", between("date", day("2015-12-01"), day("2016-01-01") - 1)),
        ("date:2015-09-09", between("date", day("2015-09-09"), day("2015-09-10") - 1)),
        ("date:2015..2018", between("date", day("2015-01-01"), day("2019-01-01") - 1)),
        ("date>2015", Compare("date", ">", day("2016-01-01") - 1)),
        ("date>=2015", Compare("date", ">=", day("2015-01-01"))),
        ("date<2015", Compare("date", "<", day("2015-01-01"))),
        ("date<=2015", Compare("date", "<=", day("2016-01-01") - 1)),
        ("acquired<=2015", Compare("date", "<=", day("2016-01-01") - 1)),
        ("published>=2020", Compare("timestamp", ">=", day("2020-01-01"))),
        ("has:strain", Has("strain")),
        ("-has:dosage", Not(Has("dose_e_per_a2"))),
        ("id:ABC", Is("id", "abc")),
        ("txid:00ff", Is("txid", "00ff")),
        ("class:a", Is("class", "A")),
        ("publisher:oTYd", Is("publisher", "oTYd")),
        ("10:30", Match(None, "10:30")),
        (
            "cid:QmUNLLsPACCz1vLxQVkXqqLX5R1X345qqfHbsf67hvA3Nn",
            Match("cid", "bafybeiczsscdsbs7ffqz55asqdf3smv6klcw3gofszvwlyarci47bgf354"),
        ),
        ("cid:bafyb*", Match("cid", "bafyb", is_prefix=True)),
    ],
)
def test_a_query_is_read(query: str, expected: Expression) -> None:
    assert parse(query) == expected


def test_the_sites_example_is_read() -> None:
    query = (
        'species:"Vibrio cholerae" tilt_min<=-60 date:2015..2018 '
        '-software:raptor "outer membrane"'
    )

    assert parse(query) == And(
        (
            Match("species", "Vibrio cholerae"),
            Compare("tilt_min_deg", "<=", -60.0),
            between("date", day("2015-01-01"), day("2019-01-01") - 1),
            Not(Match("software", "raptor")),
            Match(None, "outer membrane"),
        )
    )


@pytest.mark.parametrize(
    ("query", "position"),
    [
        ("specis:a", 0),
        ("a specis:b", 2),
        ("a (b", 2),
        ("a)", 1),
        ("()", 1),
        ('a "b', 2),
        ('species:"b', 8),
        ("a AND", 5),
        ("OR a", 0),
        ("a OR", 4),
        ("NOT", 3),
        ("-", 0),
        ("a - b", 2),
        ('""', 0),
        ("*", 0),
        ("species:", 8),
        ("species:(a)", 8),
        ("species:*", 8),
        ("title>a", 6),
        ("dose:many", 5),
        ("dose:1..many", 5),
        ("dose:..", 5),
        ("dose:9..1", 5),
        ("size>1XB", 5),
        ("date:15", 5),
        ("date:2015-13", 5),
        ("date:2015-02-30", 5),
        ("date:9999", 5),
        ("id:xyz", 3),
        ("id>ab", 3),
        ("class:D", 6),
        ("class>A", 6),
        ("publisher<a", 10),
        ("cid>a", 4),
        ("has:specis", 4),
        ("a\0b", 1),
        ("a \ud800", 2),
        ("https://example.org/records", 0),
    ],
)
def test_what_cannot_be_read_says_where(query: str, position: int) -> None:
    with pytest.raises(InvalidDataError) as caught:
        parse(query)

    assert caught.value.facts["position"] == position
    assert f"at character {position + 1}:" in caught.value.message


def test_a_range_of_nothing_is_refused() -> None:
    with pytest.raises(InvalidDataError):
        parse_range(FieldKind.NUMBER, "..")


def test_a_misspelt_field_is_guessed() -> None:
    with pytest.raises(InvalidDataError) as caught:
        parse("specis:a")

    assert "species" in caught.value.hint


@pytest.mark.parametrize(
    "query",
    [
        "a" * (search.MAX_QUERY_CHARACTERS + 1),
        "(" * (search.MAX_DEPTH + 1) + "a" + ")" * (search.MAX_DEPTH + 1),
        "-" * (search.MAX_DEPTH + 1) + "a",
        "NOT " * 400 + "a",
        " ".join("a" * (search.MAX_TERMS + 1)),
    ],
    ids=["long", "parentheses", "minus", "not", "terms"],
)
def test_a_query_is_bounded(query: str) -> None:
    with pytest.raises(InvalidDataError):
        parse(query)


def test_a_query_at_its_bounds_is_read() -> None:
    depth = search.MAX_DEPTH - 1

    assert parse("(" * depth + "a" + ")" * depth) == A
    assert parse(" ".join("a" * search.MAX_TERMS)) == And((A,) * search.MAX_TERMS)


@given(st.text(max_size=80) | st.text('ab"\\()-*:<>=. ORNTD', max_size=80))
def test_any_text_is_read_or_refused_with_a_position(query: str) -> None:
    try:
        parse(query)
    except InvalidDataError as exc:
        position = exc.facts["position"]
        assert isinstance(position, int)
        assert 0 <= position <= len(query)


def test_every_field_of_a_record_is_named_by_its_three_names() -> None:
    for spec in FIELDS:
        named = {find_field(word) for word in (spec.search, spec.name, spec.path[-1])}
        named |= {find_field(spec.search.upper())}

        assert None not in named
        assert len(named) == 1


def test_no_two_fields_have_one_name() -> None:
    words = [word for field in ALL_FIELDS for word in field.words]

    assert len(set(words)) == len(words)


def test_the_examples_hold() -> None:
    assert doctest.testmod(search).failed == 0
