from __future__ import annotations

from typing import Any

from etdb.record.model import Details
from etdb.testing.catalogue import make_record
from etdb.web import present
from etdb.web.present import UNKNOWN


def _lines(record: dict[str, Any]) -> dict[str, str]:
    return {
        item.label: f"{item.text} {item.unit}".strip()
        for group in present.groups(record)
        for item in group.facts
    }


def _with(**details: Any) -> dict[str, Any]:
    return make_record(1, details=details)


def test_every_field_of_a_record_is_shown_with_its_unit() -> None:
    values: dict[str, Any] = {}
    for name, field in Details.model_fields.items():
        kind = str(field.annotation)
        values[name] = ["x"] if "list" in kind else 7 if "str" not in kind else "seven"
    record = _with(acquired="2026-03-14", **values)

    lines = _lines(record)

    for spec in present.SPECS.values():
        if spec.name not in present.SHOWN_ELSEWHERE:
            assert spec.label in lines, spec.name
            assert lines[spec.label].endswith(spec.unit)


def test_the_groups_name_only_fields_there_are() -> None:
    named = {
        name.rstrip("*") for names in present.GROUPS.values() for name in names.split()
    }

    assert named - {"acquired"} <= set(Details.model_fields)


def test_zero_is_zero_and_unknown_is_unknown() -> None:
    lines = _lines(_with(dose_e_per_a2=0.0, tilt_step_deg=None))

    assert lines["Total dose"] == "0 e⁻/Å²"
    assert lines["Tilt step"] == UNKNOWN
    assert lines["Species"] == UNKNOWN


def test_a_field_without_a_name_of_its_own_is_shown_last() -> None:
    record = make_record(1, other={"labNotebook": {"page": 12}})

    assert present.groups(record)[-1].facts[-1].text == "page: 12"


def test_codes_are_words_and_identifiers_are_not_numbers() -> None:
    lines = _lines(_with(tilt_axes=2, tilt_constant=0, taxonomy_id=1234567))

    assert lines["Tilt axes"] == "dual axis"
    assert lines["Constant tilt increment"] == "no"
    assert lines["NCBI taxonomy id"] == "1234567"


def test_only_what_looks_like_an_identifier_links_outside() -> None:
    good = present.fact("emdb", "EMD-1234")
    bad = present.fact("emdb", "javascript:alert(1)")

    assert good is not None
    assert good.url == "https://www.ebi.ac.uk/emdb/EMD-1234"
    assert bad is not None
    assert bad.url == ""


def test_the_tilt_is_told_in_one_line() -> None:
    tilt = {"tilt_min_deg": -60.0, "tilt_max_deg": 60.0, "tilt_step_deg": 1.5}
    shown = {item.label: item.text for item in present.headline(_with(**tilt))}

    assert shown["Tilt series"] == "−60° … 60°, step 1.5°"
    assert "Tilt series" not in [item.label for item in present.headline(_with())]


def test_data_come_before_pictures_and_unknown_roles_last() -> None:
    record = make_record(1)
    record["files"].append({**record["files"][2], "role": "segmentation"})

    roles = [row.role for row in present.file_rows(record)]

    assert roles[:2] == ["tilt series", "tomogram"]
    assert roles[-2:] == ["other", "segmentation"]


def test_a_file_can_be_viewed_only_if_a_browser_shows_it() -> None:
    rows = {row.name: row for row in present.file_rows(make_record(1))}

    assert rows["keyimg_s1.jpg"].view_url.endswith("/keyimg_s1.jpg")
    assert rows["tomogram.mrc"].view_url == ""
    assert rows["tomogram.mrc"].download_url.endswith("?download=true")
    assert rows["raw/tilt series.st.mdoc"].facts == ""
    assert rows["tomogram.mrc"].facts == "voxel 10 Å"


def test_a_misleading_name_is_shown_escaped_and_not_linked() -> None:
    record = make_record(1)
    record["files"] = [{**record["files"][0], "name": "a\n\u202eb.mrc"}]

    (row,) = present.file_rows(record)

    assert row.name == "a\\n\\u202eb.mrc"
    assert (row.view_url, row.download_url) == ("", "")


def test_a_record_is_synthetic_if_it_says_so() -> None:
    plain = {"title": "A cell", "tags": "", "details": {}}

    assert not present.is_synthetic(make_record(1, **plain))
    for said in (
        {"title": "Synthetic cell"},
        {"tags": "phantom, SYNTHETIC"},
        {"details": {"notes": "This is synthetic."}},
    ):
        assert present.is_synthetic(make_record(1, **{**plain, **said}))


def test_the_alt_text_comes_from_the_metadata() -> None:
    said = present.alt_text(make_record(1))

    assert said.startswith("Key image of Vibrio cholerae, ")
    assert "Polar flagellum" in said
    assert present.alt_text(_with() | {"title": None}).endswith("untitled dataset")
