"""Records as people read them: tolerant, named, with units."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from etdb.record.model import FIELDS, Details, File, Info, Record, Role, Storage

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=4,
)
WIRE = [field.alias or name for name, field in Details.model_fields.items()]


def test_zero_is_known_and_absent_is_not() -> None:
    details = Details.model_validate({"tiltMin": 0, "tiltConstant": 0, "emdb": ""})

    assert details.tilt_min_deg == 0
    assert details.tilt_constant == 0
    assert details.emdb == ""
    assert details.tilt_max_deg is None


def test_both_spellings_of_the_taxonomy_id_are_read() -> None:
    assert Details.model_validate({"NBCItaxID": 666}).taxonomy_id == 666
    assert Details.model_validate({"NCBItaxID": 666}).taxonomy_id == 666


def test_the_right_spelling_wins_where_both_stand() -> None:
    assert Details.model_validate({"NBCItaxID": 1, "NCBItaxID": 2}).taxonomy_id == 2


def test_an_unreadable_field_is_unknown_and_the_others_stand() -> None:
    details = Details.model_validate(
        {"date": "last spring", "defocus": [1], "authors": "one", "strain": "O1"}
    )

    assert (details.date, details.defocus_um, details.authors) == (None, None, None)
    assert details.strain == "O1"


def test_fields_that_are_not_ours_are_kept() -> None:
    details = Details.model_validate({"pili": 3, "fileInfo": {"a": {}}})

    assert details.model_extra == {"pili": 3, "fileInfo": {"a": {}}}


def test_a_view_cannot_be_changed() -> None:
    details = Details.model_validate({})

    with pytest.raises(ValidationError):
        details.strain = "O1"  # type: ignore[misc]


@pytest.mark.parametrize("given", [None, 1, "x", [], {}])
def test_a_record_of_anything_is_a_record(given: Any) -> None:
    record = Record.model_validate(given)

    assert record.info == Info()
    assert record.details == Details()
    assert record.storage == Storage()
    assert record.storage.files == []


@pytest.mark.parametrize("files", [None, {}, "x", 1])
def test_files_that_are_no_list_are_none(files: Any) -> None:
    assert Storage.model_validate({"files": files}).files == []


def test_files_that_are_no_objects_are_empty_rows() -> None:
    assert Storage.model_validate({"files": [1, None]}).files == [File(), File()]


@pytest.mark.parametrize(
    ("subtype", "role"),
    [
        ("tiltSeries", Role.TILT_SERIES),
        ("Tiltseries", Role.TILT_SERIES),
        ("KEYIMG", Role.KEYIMG),
        ("segmentation", Role.OTHER),
        (None, Role.OTHER),
    ],
)
def test_roles_are_known_whatever_their_capitals(subtype: Any, role: Role) -> None:
    assert File.model_validate({"subtype": subtype}).role is role


def test_the_old_names_of_a_files_fields_are_read() -> None:
    file = File.model_validate({"fName": "a", "dName": "b", "fSize": 3, "fType": "c"})

    assert (file.name, file.display_name, file.size_bytes, file.type) == (
        "a",
        "b",
        3,
        "c",
    )


@given(st.dictionaries(st.sampled_from(WIRE) | st.text(), VALUES, max_size=6))
def test_viewing_never_raises_on_any_object(given_: dict[str, Any]) -> None:
    record = Record.model_validate({"details": given_, "info": given_})

    assert isinstance(record.details, Details)


def test_every_field_has_its_own_search_word_and_path() -> None:
    words = [field.search for field in FIELDS]
    paths = [field.path for field in FIELDS]

    assert len(set(words)) == len(words)
    assert len(set(paths)) == len(paths)
    assert {field.kind for field in FIELDS} == {"text", "number", "integer", "list"}
    assert ("details", "tiltMin") in paths
    assert ("timestamp",) in paths


def test_files_have_no_search_words() -> None:
    assert all("fname" not in field.path for field in FIELDS)


@pytest.mark.parametrize("value", ["nan", "inf", "-inf", "1e16", "9" * 3000, 2**53])
def test_a_number_beyond_what_json_holds_exactly_is_unknown(value: object) -> None:
    details = Details.model_validate({"defocus": value, "NCBItaxID": value})

    assert details.defocus_um is None
    assert details.taxonomy_id is None
