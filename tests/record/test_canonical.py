"""B1-B3: the limits of JSON, its canonical form, the digest."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from etdb.errors import InvalidMessageError, InvalidRecordError
from etdb.record.canonical import (
    MAX_DEPTH,
    MAX_TEXT_BYTES,
    canonical_bytes,
    digest_of,
    parse_json,
    parse_message_text,
)
from etdb.record.oip042 import encode_artifact

TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))
NUMBERS = st.integers(-(2**53) + 1, 2**53 - 1) | st.floats(
    -(2**53), 2**53, exclude_min=True, exclude_max=True
)
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS,
    lambda inner: st.lists(inner) | st.dictionaries(TEXTS, inner),
    max_leaves=20,
)

TOO_LARGE = [
    "9007199254740992",
    "9007199254740993",
    "-9007199254740992",
    "9007199254740992.0",
    "9007199254740991.9",
    "900719925474099.2e1",
    "9007199254740992000000e-6",
    "1e400",
    "-1e400",
    "1e16",
    "1E999999999999",
    "1" + "0" * 5000,
    "0.1e17",
]
LARGEST = [
    "9007199254740991",
    "-9007199254740991",
    "9007199254740991.4",
    "9007199254740991000e-3",
    "1e-400",
    "1" + "0" * 5000 + "e-5000",
]
NOT_JSON = [
    "",
    " ",
    "{",
    "{}x",
    "{} ",
    "{}\n",
    " {}",
    "\ufeff{}",
    "{}{}",
    "{'a':1}",
    '{"a":1,}',
    "[1,]",
    "01",
    "+1",
    ".5",
    "1.",
    "0x10",
    "1_000",
    "\u0661",
    "NaN",
    "-NaN",
    "Infinity",
    "-Infinity",
    "[NaN]",
    "yes",
    '"\n"',
    '"\0"',
    '"\\x41"',
    '"\\u 041"',
    '"\\',
    '"',
]
UNWRITABLE = [
    '"\\u0000"',
    '{"\\u0000":1}',
    '["a\\u0000b"]',
    '"\\ud800"',
    '"\\udc00\\ud800"',
    '{"\\udfff":1}',
    '[{"a":["\\uD834"]}]',
]


@pytest.mark.parametrize("literal", TOO_LARGE)
def test_a_number_of_2_53_or_more_is_refused_however_it_is_spelt(literal: str) -> None:
    with pytest.raises(InvalidMessageError) as caught:
        parse_json(f"[{literal}]")

    assert caught.value.facts["rule"] == "B1"


@pytest.mark.parametrize("literal", [n for n in TOO_LARGE if len(n) < 4300])
def test_twin_the_standard_parser_takes_such_numbers(literal: str) -> None:
    assert abs(json.loads(literal)) >= 2**53 - 1


@pytest.mark.parametrize("literal", LARGEST)
def test_numbers_below_are_taken(literal: str) -> None:
    assert abs(parse_json(literal)) < 2**53


def test_two_numbers_that_doubles_cannot_tell_apart_never_get_one_digest() -> None:
    assert float("9007199254740993") == float("9007199254740992")

    with pytest.raises(InvalidMessageError):
        parse_json("9007199254740993")


@pytest.mark.parametrize("text", NOT_JSON)
def test_what_is_not_exactly_one_json_value_is_refused(text: str) -> None:
    with pytest.raises(InvalidMessageError) as caught:
        parse_json(text)

    assert caught.value.facts["rule"] == "B1"


@pytest.mark.parametrize("text", UNWRITABLE)
def test_nul_and_lone_surrogates_are_refused_in_values_and_names(text: str) -> None:
    with pytest.raises(InvalidMessageError) as caught:
        parse_json(text)

    assert caught.value.facts["rule"] == "B1"


@pytest.mark.parametrize("text", UNWRITABLE)
def test_twin_the_standard_parser_takes_nul_and_surrogates(text: str) -> None:
    json.loads(text)


def test_a_pair_of_surrogate_escapes_is_one_character() -> None:
    assert parse_json('"\\ud834\\udd1e"') == "\U0001d11e"


@pytest.mark.parametrize(
    "text",
    ['{"a":1,"a":1}', '{"a":1,"\\u0061":2}', '{"x":[{"b":{"c":1,"d":2,"c":3}}]}'],
)
def test_duplicate_names_are_refused_after_decoding_escapes(text: str) -> None:
    json.loads(text)  # the twin: the standard parser keeps the last

    with pytest.raises(InvalidMessageError, match="twice"):
        parse_json(text)


@pytest.mark.parametrize(("left", "right"), [("[", "]"), ('{"a":', "}")])
def test_nesting_is_allowed_64_deep_and_no_deeper(left: str, right: str) -> None:
    deepest = left * MAX_DEPTH + "1" + right * MAX_DEPTH

    assert parse_json(deepest) is not None
    with pytest.raises(InvalidMessageError, match="deeper"):
        parse_json(f"[{deepest}]")


def test_brackets_in_strings_are_not_nesting() -> None:
    text = json.dumps("[" * 100 + '"\\' * 10 + "{" * 100)

    assert parse_json(text) == json.loads(text)


def test_brackets_that_were_closed_are_not_nesting() -> None:
    assert parse_json("[" + "[]," * 1000 + "{}]") == [*[[]] * 1000, {}]


@pytest.mark.parametrize(
    "unit", ["[", '{"a":', '"\\', '\\"', '"', "\\", "9", "-", "0."]
)
def test_a_mebibyte_of_anything_is_refused_without_delay(unit: str) -> None:
    text = unit * (MAX_TEXT_BYTES // len(unit))

    with pytest.raises(InvalidMessageError):
        parse_json(text)


def test_a_text_over_1_mib_is_refused_counted_in_bytes() -> None:
    fits = '"' + "é" * (MAX_TEXT_BYTES // 2 - 1) + '"'

    assert len(parse_json(fits)) == MAX_TEXT_BYTES // 2 - 1
    with pytest.raises(InvalidMessageError) as caught:
        parse_json(fits + " ")
    assert caught.value.facts["rule"] == "R7"


def test_the_prefix_counts_in_the_length_of_a_message() -> None:
    frame = 'json:{"a":""}'
    fits = "x" * (MAX_TEXT_BYTES - len(frame))

    assert parse_message_text(f'json:{{"a":"{fits}"}}') == {"a": fits}
    with pytest.raises(InvalidMessageError) as caught:
        parse_message_text(f'json:{{"a":"{fits}x"}}')
    assert caught.value.facts["rule"] == "R7"


def test_bytes_that_were_not_utf8_are_refused() -> None:
    text = b'{"a":"\xff"}'.decode("utf-8", "surrogateescape")

    with pytest.raises(InvalidMessageError, match="UTF-8"):
        parse_json(text)


def test_nothing_is_normalised() -> None:
    composed, decomposed = parse_json('["\u00e9","e\u0301"]')

    assert composed != decomposed


def test_integer_literals_are_integers_and_all_others_are_not() -> None:
    values = parse_json("[1,-0,1.0,1e0,-0.0]")

    assert [type(value) for value in values] == [int, int, float, float, float]


@pytest.mark.parametrize("text", ["", "json", "JSON:{}", " json:{}", "text:{}"])
def test_a_message_begins_with_json(text: str) -> None:
    with pytest.raises(InvalidMessageError, match="begin"):
        parse_message_text(text)


@pytest.mark.parametrize("value", ["[]", "1", '"a"', "null"])
def test_a_message_is_an_object(value: str) -> None:
    with pytest.raises(InvalidMessageError) as caught:
        parse_message_text(f"json:{value}")

    assert caught.value.facts["rule"] == "B2"


@pytest.mark.parametrize(
    ("number", "printed"),
    [
        (0, "0"),
        (-0.0, "0"),
        (-60.0, "-60"),
        (1e-7, "1e-7"),
        (1.5e-7, "1.5e-7"),
        (0.000001, "0.000001"),
        (1e-27, "1e-27"),
        (5e-324, "5e-324"),
        (4.50, "4.5"),
        (2e-3, "0.002"),
        (333333333.33333329, "333333333.3333333"),
        (9007199254740991.0, "9007199254740991"),
        (1e15, "1000000000000000"),
        (2.2250738585072014e-308, "2.2250738585072014e-308"),
    ],
)
def test_numbers_print_as_es6_prints_them(number: float, printed: str) -> None:
    assert canonical_bytes(number).decode() == printed


def test_names_are_sorted_by_utf16_units() -> None:
    names = ["\u20ac", "\r", "\ufb33", "1", "\U0001f600", "\u0080", "\u00f6"]

    written = canonical_bytes(dict.fromkeys(names, 0)).decode()

    assert list(json.loads(written)) == [
        "\r", "1", "\u0080", "\u00f6", "\u20ac", "\U0001f600", "\ufb33",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "value", [float("nan"), float("inf"), 2**53, "\ud800", {"\ud800": 1}, {1: 2}, b""]
)
def test_what_json_cannot_hold_has_no_canonical_form(value: object) -> None:
    with pytest.raises(InvalidRecordError):
        canonical_bytes(value)


@given(VALUES)
def test_the_canonical_form_of_a_parsed_value_is_a_fixed_point(value: Any) -> None:
    canonical = canonical_bytes(value)

    parsed = parse_json(canonical.decode("utf-8"))

    assert canonical_bytes(parsed) == canonical


@given(VALUES)
def test_the_wire_form_and_the_canonical_form_say_the_same(value: Any) -> None:
    assert canonical_bytes(parse_json(encode_artifact(value))) == canonical_bytes(value)


@given(st.text())
def test_parsing_agrees_with_the_standard_parser_or_refuses(text: str) -> None:
    try:
        value = parse_json(text)
    except InvalidMessageError:
        return

    assert value == json.loads(text)


@given(st.text(alphabet='{}[]",:\\u0dDabeE+-.0129 \n'))
def test_parsing_text_that_looks_like_json_agrees_or_refuses(text: str) -> None:
    try:
        value = parse_json(text)
    except InvalidMessageError:
        return

    assert value == json.loads(text)


def test_the_digest_is_the_sha256_of_the_canonical_body_without_signatures() -> None:
    bare = b'{"details":{"sid":"x"},"timestamp":1}'
    signed = {
        "timestamp": 1,
        "signature": "old",
        "details": {"contentSignature": "new", "sid": "x"},
    }

    assert digest_of("publish", signed) == hashlib.sha256(bare).hexdigest()
    assert digest_of("edit", signed) == hashlib.sha256(bare).hexdigest()


def test_an_emptied_details_stays() -> None:
    signed = {"details": {"contentSignature": "new"}}

    assert digest_of("publish", signed) == hashlib.sha256(b'{"details":{}}').hexdigest()


@pytest.mark.parametrize("action", ["register", "deactivate", "transfer"])
def test_of_other_actions_the_content_signature_stands_at_the_top(action: str) -> None:
    bare = b'{"alias":"lab","details":{"contentSignature":"kept"}}'
    signed = {
        "alias": "lab",
        "signature": "old",
        "contentSignature": "new",
        "details": {"contentSignature": "kept"},
    }

    assert digest_of(action, signed) == hashlib.sha256(bare).hexdigest()


def test_nothing_else_is_left_out_of_a_digest() -> None:
    plain: dict[str, Any] = {"details": {}}
    decorated: list[dict[str, Any]] = [
        {"details": {}, "contentSignature": "top"},
        {"details": {"signature": "inner"}},
        {"details": {"fileInfo": {"contentSignature": "inner"}}},
        {"details": [{"contentSignature": "inner"}]},
        {},
    ]

    digests = {digest_of("publish", body) for body in [plain, *decorated]}

    assert len(digests) == 6


def test_signing_does_not_change_the_body_it_was_given() -> None:
    body = {"details": {"contentSignature": "new"}, "signature": "old"}

    digest_of("publish", body)

    assert body == {"details": {"contentSignature": "new"}, "signature": "old"}


@given(st.recursive(VALUES, lambda inner: st.dictionaries(st.text(), inner)))
def test_the_fast_way_to_the_canonical_form_gives_what_rfc_8785_gives(
    value: Any,
) -> None:
    try:
        expected = rfc8785.dumps(value)
    except ValueError:
        with pytest.raises(InvalidRecordError):
            canonical_bytes(value)
        return

    assert canonical_bytes(value) == expected


@given(st.floats())
def test_every_double_is_written_as_rfc_8785_writes_it_or_refused(
    number: float,
) -> None:
    try:
        expected = rfc8785.dumps(number)
    except ValueError:
        with pytest.raises(InvalidRecordError):
            canonical_bytes(number)
        return

    assert canonical_bytes([number]) == b"[" + expected + b"]"
