"""What a plan says of cost and of what stands in the way."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from etdb.errors import ConflictError, InvalidRecordError
from etdb.lab.folder import Dataset
from etdb.publish.plan import estimate_cost, verify_complete, verify_distinct

DATASET = Dataset(
    path=Path("/data/a"),
    sid="a",
    files=(),
    info={"title": "T"},
    details={"speciesName": "S", "date": 0},
    warnings=(),
    key_volume=None,
)


def artifact(notes: str) -> dict[str, Any]:
    return {"floAddress": "F" + "1" * 33, "details": {"artNotes": notes}}


def test_a_short_message_takes_one_transaction() -> None:
    cost = estimate_cost(artifact(""), 1_700_000_000, lambda size: size)

    assert cost.parts == 1
    assert 200 < cost.fee_sat <= 1040


def test_a_long_message_pays_for_the_headers_of_its_parts_too() -> None:
    cost = estimate_cost(artifact("µ" * 1000), 1_700_000_000, lambda size: size)

    assert cost.parts == 3
    assert cost.fee_sat > 2000 + 2 * 88 + 3 * (88 + 34)


def test_a_message_of_over_900_parts_is_refused() -> None:
    with pytest.raises(InvalidRecordError, match="too long"):
        estimate_cost(artifact("x" * 800_000), 1_700_000_000, lambda size: size)


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
