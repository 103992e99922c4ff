from __future__ import annotations

import pytest

from etdb.web import text


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0, "0"),
        (0.0, "0"),
        (-60.0, "−60"),
        (27500.0, "27,500"),
        (2_783_156, "2,783,156"),
        (4.21, "4.21"),
        (1e-7, "1e−07"),
    ],
)
def test_numbers_have_a_true_minus_and_no_false_digits(
    value: float, shown: str
) -> None:
    assert text.number(value) == shown


@pytest.mark.parametrize(
    ("count", "shown"),
    [
        (None, "size unknown"),
        (0, "0 bytes"),
        (1, "1 byte"),
        (999, "999 bytes"),
        (1000, "1.0 kB"),
        (999_960, "1.0 MB"),
        (4_123_456_789, "4.1 GB"),
        (123_456_789, "123 MB"),
        (10**19, "10,000 PB"),
    ],
)
def test_sizes_are_in_powers_of_ten(count: int | None, shown: str) -> None:
    assert text.size(count) == shown


@pytest.mark.parametrize("seconds", [None, "x", -1, 10**15, float("nan")])
def test_an_impossible_time_is_unknown(seconds: object) -> None:
    assert text.moment(seconds) == text.day(seconds) == "unknown"


def test_times_are_utc() -> None:
    assert text.moment(0) == "1970-01-01 00:00 UTC"
    assert text.day(1_773_446_400) == "2026-03-14"


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("as it is", "as it is"),
        (True, "yes"),
        (None, "none"),
        ([1, "two", [3]], "1, two, 3"),
        ({"name": "Yi Chen", "orcid": "0000"}, "Yi Chen (0000)"),
        ({"name": "Yi Chen"}, "Yi Chen"),
        ({"a": 1, "b": {"c": 2}}, "a: 1, b: c: 2"),
    ],
)
def test_any_json_value_has_a_plain_text(value: object, shown: str) -> None:
    assert text.plain(value) == shown


@pytest.mark.parametrize(
    ("name", "is_plain"),
    [
        ("tomogram.mrc", True),
        ("raw/tilt series #1.st", True),
        ("größe Å.txt", True),
        ("", False),
        ("/etc/passwd", False),
        ("../up", False),
        ("a/../b", False),
        ("a//b", False),
        ("a\nb", False),
        ("a\x1b[2Jb", False),
        ("fdp.\u202etxt", False),
    ],
)
def test_names_that_mislead_are_not_plain(name: str, is_plain: bool) -> None:
    assert text.is_plain_name(name) is is_plain


def test_a_long_id_is_shortened_and_a_short_one_is_not() -> None:
    assert text.short("ab" * 32) == "ababababab…abab"
    assert text.short("short") == "short"
