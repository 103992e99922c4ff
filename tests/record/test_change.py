"""How artifacts differ, in lines: nothing is hidden and no shape is too odd."""

from __future__ import annotations

from typing import Any

import pytest

from etdb.record.change import list_changes, shorten


def artifact(**changes: Any) -> dict[str, Any]:
    known: dict[str, Any] = {
        "floAddress": "oA",
        "timestamp": 1,
        "type": "research",
        "info": {"title": "a"},
        "details": {"strain": "b", "contentSignature": "x"},
        "storage": {"location": "Qm", "files": [{"fname": "a.rec", "fsize": 1}]},
        "signature": "y",
    }
    return {**known, **changes}


def test_what_differs_each_time_is_left_out() -> None:
    later = artifact(
        timestamp=2,
        signature="z",
        details={"strain": "b", "contentSignature": "z", "revision": {"number": 2}},
    )

    assert list_changes(artifact(), later) == []


def test_each_change_is_a_line() -> None:
    planned = artifact(
        info={"title": "c", "tags": "t"},
        details={},
        storage={"files": [{"fname": "a.rec", "fsize": 2}, {"fname": "b.rec"}]},
        subtype="tomogram",
    )

    assert sorted(list_changes(artifact(), planned)) == [
        "Strain: removed",
        "Tags: added",
        'Title: "a" → "c"',
        "file a.rec: size 1 bytes → 2 bytes",
        "file b.rec: added",
        "subtype: added",
    ]


@pytest.mark.parametrize(
    ("name", "before", "after", "line"),
    [
        ("dosage", 100, 120.5, "Total dose: 100 e⁻/Å² → 120.5 e⁻/Å²"),
        ("tiltMin", -60, None, "Lowest tilt: -60° → unknown"),
        ("date", 0, 1773446400, "Acquired: 1970-01-01 → 2026-03-14"),
        ("date", 1, 2, "Acquired: 1 → 2"),
        ("date", 0, 86_400 * 10**14, "Acquired: 1970-01-01 → 8640000000000000000"),
        ("dosage", "100", True, 'Total dose: "100" → true'),
        ("myField", 1, 2, "myField: 1 → 2"),
        ("title", "a", "b", 'title: "a" → "b"'),
    ],
)
def test_a_value_has_its_unit_and_a_field_its_label(
    name: str, before: object, after: object, line: str
) -> None:
    published, planned = (artifact(details={name: value}) for value in (before, after))

    assert list_changes(published, planned) == [line]


def test_the_spacing_of_a_file_has_a_unit() -> None:
    published, planned = (
        artifact(details={"fileInfo": {"a.rec": {"voxelSize": size}}})
        for size in (2, 4)
    )

    assert list_changes(published, planned) == ["file a.rec: voxel spacing 2 Å → 4 Å"]


def test_a_change_cannot_be_hidden_behind_another_field_of_its_name() -> None:
    before = artifact(details={"title": "same"})
    after = artifact(details={"title": "same"}, info={"title": "changed"})

    assert list_changes(before, after) == ['Title: "a" → "changed"']


def test_nor_behind_another_file_of_its_name() -> None:
    def files(size: int) -> dict[str, Any]:
        last = {"fname": "a.rec", "fsize": 7}
        return artifact(storage={"files": [{"fname": "a.rec", "fsize": size}, last]})

    assert list_changes(files(1), files(2)) == ["file a.rec: size 1 bytes → 2 bytes"]


@pytest.mark.parametrize("odd", [None, 7, "x", [], [1, None], {"a": [{}]}])
def test_artifacts_of_any_shape_are_compared(odd: Any) -> None:
    storage = {"files": odd}
    named = {"files": [{"fname": odd, "cid": odd}, odd]}

    for changed in (
        artifact(info=odd, details=odd, storage=odd),
        artifact(storage=storage, details={"fileInfo": odd}),
        artifact(storage=named),
    ):
        assert list_changes(changed, changed) == []
        assert isinstance(list_changes(artifact(), changed), list)


def test_long_values_are_cut() -> None:
    assert len(shorten("x" * 1000)) == 60
    assert shorten(None) == "unknown"
