"""OIP's query_string means what it meant, or is refused."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from etdb.errors import InvalidDataError
from etdb.index.condition import condition_of
from etdb.index.fields import FieldKind
from etdb.index.oip.field import EDIT_FIELDS, RECORD_FIELDS, TEXT_FIELDS
from etdb.index.oip.query_string import Target, parse
from etdb.index.search import And, Compare, Expression, Has, Is, Match, Not, Or

FIELDS = {
    "artifact.details.speciesName": Target("species", FieldKind.TEXT),
    "artifact.details.defocus": Target("defocus_um", FieldKind.NUMBER),
    "artifact.floAddress": Target("address", FieldKind.ADDRESS),
    "meta.time": Target("time", FieldKind.DATE),
    "meta.txid": Target("txid", FieldKind.HEX),
    "meta.type": Target("", None, "oip042"),
}
SPECIES = "artifact.details.speciesName"
DEFOCUS = "artifact.details.defocus"
TXID = "5e03" * 16

VIBRIO = Match("species", "vibrio")
EVERYTHING = And(())
NOTHING = Or(())


def below(value: float, op: str = "<=") -> Compare:
    return Compare("defocus_um", op, value)


def word(text: str) -> Match:
    return Match(None, text)


@pytest.mark.parametrize(
    ("query", "meant"),
    [
        ("cells", word("cells")),
        ("chol*", Match(None, "chol", is_prefix=True)),
        ('"outer membrane"', word("outer membrane")),
        (r'"say \"ice\""', word('say "ice"')),
        (r"AC\:1", word("AC:1")),
        (f"{SPECIES}:vibrio", VIBRIO),
        (f'{SPECIES}:"Vibrio cholerae"', Match("species", "Vibrio cholerae")),
        (f"{SPECIES}:(vibrio OR coli)", Or((VIBRIO, Match("species", "coli")))),
        (f"{SPECIES}:*", Has("species")),
        (f"{SPECIES}:[* TO *]", Has("species")),
        (f"_exists_:{SPECIES}", Has("species")),
        ("_exists_:artifact.floAddress", EVERYTHING),
        ("_exists_:meta.type", EVERYTHING),
        ("*", EVERYTHING),
        ("*:*", EVERYTHING),
        (f"{DEFOCUS}:-8", Compare("defocus_um", "=", -8.0)),
        (f"{DEFOCUS}:<-8.5", And((below(-8.5, "<"),))),
        (f"{DEFOCUS}:<=-8", And((below(-8),))),
        (f"{DEFOCUS}:>2", And((below(2, ">"),))),
        (f"{DEFOCUS}:[-8 TO -2]", And((below(-8, ">="), below(-2)))),
        (f"{DEFOCUS}:{{-8 TO 2}}", And((below(-8, ">"), below(2, "<")))),
        (f"{DEFOCUS}:[* TO 2]", And((below(2),))),
        ("meta.time:1530000000", Compare("time", "=", 1_530_000_000)),
        ("meta.time:>1530000000123", And((Compare("time", ">", 1_530_000_000),))),
        (f"meta.txid:{TXID}", Is("txid", TXID)),
        (f"meta.txid:{TXID.upper()}", Is("txid", TXID)),
        ("meta.txid:5e03*", Is("txid", "5e03")),
        ("meta.txid:5e03", NOTHING),
        ("meta.txid:vibrio", NOTHING),
        ("artifact.floAddress:FTST", Is("address", "FTST")),
        ("meta.type:oip042", EVERYTHING),
        ("meta.type:oip041", NOTHING),
        ('"?!"', NOTHING),
        ("vibrio^3", word("vibrio")),
    ],
)
def test_a_term_means(query: str, meant: Expression) -> None:
    assert parse(query, FIELDS) == meant


def test_a_year_is_all_its_seconds() -> None:
    assert parse("meta.time:2018", FIELDS) == And(
        (Compare("time", ">=", 1514764800), Compare("time", "<=", 1546300799))
    )
    assert parse("meta.time:[2018-06 TO 2018-07]", FIELDS) == And(
        (Compare("time", ">=", 1527811200), Compare("time", "<=", 1533081599))
    )


@pytest.mark.parametrize(
    ("query", "meant"),
    [
        ("a AND b", And((word("a"), word("b")))),
        ("a && b", And((word("a"), word("b")))),
        ("a OR b", Or((word("a"), word("b")))),
        ("a || b", Or((word("a"), word("b")))),
        ("NOT a", Not(word("a"))),
        ("!a", Not(word("a"))),
        ("a AND !b", And((word("a"), Not(word("b"))))),
        ("a b", Or((word("a"), word("b")))),
        ("a -b", And((Not(word("b")), word("a")))),
        ("a NOT b", And((Not(word("b")), word("a")))),
        ("+a b", word("a")),
        ("+a +b -c d", And((word("a"), word("b"), Not(word("c"))))),
        ("(a OR b) AND c", And((Or((word("a"), word("b"))), word("c")))),
        ("a OR b AND c", Or((word("a"), And((word("b"), word("c")))))),
        ('"a && !b"', word("a && !b")),
    ],
)
def test_terms_are_joined_as_lucene_joins_them(query: str, meant: Expression) -> None:
    assert parse(query, FIELDS) == meant


@pytest.mark.parametrize(
    "query",
    [
        "",
        "   ",
        "AND",
        "a AND",
        '"not closed',
        "(not closed",
        "not opened)",
        "fuzzy~",
        "fuzzy~2",
        '"far apart"~3',
        "/regular.*/",
        "a^1.2.3",
        "a^.",
        "a~.",
        "a~1.2.3",
        '"far apart"~1.5',
        '"far apart"~.',
        "wild?card",
        "*card",
        "***",
        "wi*ld",
        "a.field:unknown",
        "_exists_:unknown",
        f"{SPECIES}:a:b",
        f"{SPECIES}:[a TO b]",
        f"{DEFOCUS}:deep",
        f"{DEFOCUS}:[1 TO deep]",
        f"{DEFOCUS}:1*",
        "artifact.floAddress:FTST*",
        "meta.time:yesterday",
        "[1 TO 2]",
        "a\0b",
        "a\ud800b",
        "(" * 21 + "a" + ")" * 21,
        "NOT " * 21 + "a",
        "(" * 900 + "a" + ")" * 900,
        "a " * 51,
        "a" * 2001,
    ],
)
def test_what_cannot_be_served_is_refused(query: str) -> None:
    with pytest.raises(InvalidDataError):
        parse(query, FIELDS)


SIGNS = """a "b c" * ? ~ ^ . / AND OR NOT + - ! && || ( ) [ ] { } : < >= \\ " 1 -2 é"""
PATHS = [*RECORD_FIELDS, *EDIT_FIELDS, *TEXT_FIELDS, "_exists_"]
TOKENS = st.sampled_from([*SIGNS.split(), " TO ", "\u2028", *PATHS])
ANY_QUERY = st.lists(TOKENS, max_size=30).map(" ".join) | st.lists(TOKENS).map("".join)


@given(ANY_QUERY | st.text())
@example('a:"\\')
@example("\\")
@example("a^1.2.3")
@example('"a b"~1.5')
def test_any_text_is_read_or_refused(query: str) -> None:
    try:
        found = parse(query, RECORD_FIELDS)
    except InvalidDataError:
        return
    condition_of(found).compile()


def test_a_number_that_is_none_leaves_the_parser_whole() -> None:
    with pytest.raises(InvalidDataError):
        parse("(a AND b^1.2.3", FIELDS)

    assert parse("a AND b", FIELDS) == And((word("a"), word("b")))


def test_many_threads_read_at_once() -> None:
    wanted: dict[str, Any] = {f"a{n} AND (b OR c{n})": None for n in range(40)}

    def read(query: str) -> None:
        for _ in range(20):
            wanted[query] = parse(query, FIELDS)

    threads = [threading.Thread(target=read, args=(query,)) for query in wanted]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    for number, found in enumerate(wanted.values()):
        assert found.operands[0] == word(f"a{number}")


def test_every_field_has_a_column() -> None:
    """What may be named can be asked: of records by the tree, of rows by name."""
    for path, target in RECORD_FIELDS.items():
        for query in (f"_exists_:{path}", f"{path}:1", f'{path}:"{TXID}"'):
            try:
                condition_of(parse(query, RECORD_FIELDS)).compile()
            except InvalidDataError:
                assert target.kind in {FieldKind.NUMBER, FieldKind.DATE}
