"""Values of a lab, checked and brought to their wire form."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import pytest

from etdb.errors import InvalidDataError
from etdb.lab.mapping import FileFacts, place_fields, read_fields, read_files
from etdb.record.model import Role


def read(key: str, value: object) -> Any:
    return read_fields({key: value}, "options")[key]


@pytest.mark.parametrize(
    ("key", "value", "wire"),
    [
        ("species", "Vibrio cholerae", "Vibrio cholerae"),
        ("notes", "two\nlines", "two\nlines"),
        ("tilt_min", -60.0, -60),
        ("tilt_step", "1.5", 1.5),
        ("defocus", 0, 0),
        ("dose", -0.0, 0),
        ("taxid", "666", 666),
        ("quality", 5, 5),
        ("strain", "", None),
        ("authors", [{"name": "A", "n": 1.0}], [{"name": "A", "n": 1}]),
        ("authors", [["a", True]], [["a", True]]),
    ],
)
def test_a_value_takes_its_wire_form(key: str, value: object, wire: object) -> None:
    found = read(key, value)

    assert (found, type(found)) == (wire, type(wire))


@pytest.mark.parametrize(
    "value", ["2026-03-14", date(2026, 3, 14), datetime(2026, 3, 14, 23, 5, tzinfo=UTC)]
)
def test_a_date_is_the_midnight_it_begins_with(value: object) -> None:
    assert read("date", value) == 1773446400


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("date", "14.3.2026"),
        ("date", 20260314),
        ("species", 17),
        ("species", "a\0b"),
        ("species", "a\ud800b"),
        ("tilt_min", "steep"),
        ("tilt_min", True),
        ("tilt_min", float("nan")),
        ("tilt_min", float("inf")),
        ("tilt_min", 2**53),
        ("tilt_min", 10**400),
        ("tilt_min", [1]),
        ("taxid", 1.5),
        ("quality", 6),
        ("authors", "A. Author"),
        ("authors", [date(2026, 3, 14)]),
    ],
)
def test_a_value_of_the_wrong_kind_is_refused_naming_the_key(
    key: str, value: object
) -> None:
    with pytest.raises(InvalidDataError, match=f"options: {key}: .* is not a"):
        read(key, value)


def test_a_value_that_was_not_given_is_left_out() -> None:
    assert read_fields({"species": None}, "options") == {}


@pytest.mark.parametrize(
    ("key", "nearest"),
    [("specie", "species"), ("tiltmin", "tilt_min"), ("Date", "date")],
)
def test_an_unknown_key_is_refused_naming_the_nearest(key: str, nearest: str) -> None:
    with pytest.raises(InvalidDataError, match=nearest) as caught:
        read_fields({key: "x"}, "ts/dataset.toml")

    assert f"ts/dataset.toml: unknown key '{key}'" in caught.value.message


@pytest.mark.parametrize("key", ["publisher", "published", "cid"])
def test_what_signing_decides_cannot_be_set(key: str) -> None:
    with pytest.raises(InvalidDataError, match="unknown key"):
        read_fields({key: "x"}, "options")


def test_fields_stand_in_the_order_of_the_wire() -> None:
    fields = {
        "license": "CC0-1.0",
        "sid": "ts",
        "description": "d",
        "tags": "t",
        "title": "T",
        "species": "S",
        "strain": None,
    }

    info, details = place_fields(fields)

    assert list(info) == ["title", "tags", "description"]
    assert list(details) == ["speciesName", "sid", "license"]


def test_facts_about_a_file_are_read() -> None:
    said = {
        "files": {
            "a.mrc": {"role": "TiltSeries", "pixel_size": "3.4", "notes": "n"},
            "b.mrc": {"role": "segmentation"},
        }
    }

    facts = read_files(said, ["a.mrc", "b.mrc"], "options")

    assert facts == {
        "a.mrc": FileFacts(
            role=Role.TILT_SERIES, notes="n", pixel_spacing_angstrom=3.4
        ),
        "b.mrc": FileFacts(role=Role.OTHER, extra_role="segmentation"),
    }


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"a.mrk": {}}, "unknown file 'a.mrk'; the nearest known one is 'a.mrc'"),
        ({"../a.mrc": {}}, "unknown file '../a.mrc'"),
        ({"a.mrc": {"rolle": "x"}}, "unknown key 'rolle'; the nearest known one is 'r"),
        ({"a.mrc": {"role": "tilt"}}, "unknown role 'tilt'; the nearest known one is"),
        ({"a.mrc": {"role": 1}}, "'1' is not a text"),
        ({"a.mrc": {"voxel_size": 0}}, "is not a number above 0"),
        ({"a.mrc": "tiltSeries"}, "is not a table"),
        ("a.mrc", "is not a table"),
    ],
)
def test_wrong_facts_about_files_are_refused(said: object, words: str) -> None:
    with pytest.raises(InvalidDataError) as caught:
        read_files({"files": said}, ["a.mrc"], "options")

    assert words in caught.value.message
