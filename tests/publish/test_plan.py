"""What a plan says of cost and of what stands in the way."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from etdb.errors import ConflictError, InvalidRecordError
from etdb.lab.folder import Dataset
from etdb.publish.plan import verify_complete, verify_distinct

DATASET = Dataset(
    path=Path("/data/a"),
    sid="a",
    files=(),
    info={"title": "T"},
    details={"speciesName": "S", "date": 0},
    warnings=(),
    key_volume=None,
)


def test_missing_fields_are_refused_all_at_once_with_their_options() -> None:
    bare = replace(DATASET, info={}, details={})

    with pytest.raises(InvalidRecordError) as caught:
        verify_complete(bare)

    assert "title (--title), species (--species), date (--date)" in caught.value.message
    assert caught.value.facts["missing"] == [
        {"field": "title", "option": "--title"},
        {"field": "species", "option": "--species"},
        {"field": "date", "option": "--date"},
    ]


def test_the_first_day_of_1970_is_a_date() -> None:
    verify_complete(DATASET)


def test_two_datasets_of_one_id_are_refused_naming_both() -> None:
    other = replace(DATASET, path=Path("/data/b"))

    with pytest.raises(ConflictError, match="/data/a and /data/b have the same id 'a'"):
        verify_distinct([DATASET, other])


def test_datasets_of_different_ids_are_fine() -> None:
    verify_distinct([DATASET, replace(DATASET, sid="b")])
