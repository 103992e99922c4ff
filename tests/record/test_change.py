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
        "file a.rec: fsize 1 → 2",
        "file b.rec: added",
        "strain: removed",
        "subtype: added",
        "tags: added",
        'title: "a" → "c"',
    ]


def test_a_change_cannot_be_hidden_behind_another_field_of_its_name() -> None:
    before = artifact(details={"title": "same"})
    after = artifact(details={"title": "same"}, info={"title": "changed"})

    assert list_changes(before, after) == ['title: "a" → "changed"']


def test_nor_behind_another_file_of_its_name() -> None:
    def files(size: int) -> dict[str, Any]:
        last = {"fname": "a.rec", "fsize": 7}
        return artifact(storage={"files": [{"fname": "a.rec", "fsize": size}, last]})

    assert list_changes(files(1), files(2)) == ["file a.rec: fsize 1 → 2"]


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
