"""The original's query files: the same documents, parsed and never evaluated."""

from __future__ import annotations

import json
from typing import Any

import pytest

from etdb.client.query_file import MAX_CLAUSES, MAX_DEPTH, parse_query
from etdb.errors import InvalidDataError

RECORD = {
    "artifact": {
        "info": {"title": "Flagellar motor"},
        "details": {
            "speciesName": "Vibrio (cholerae)",
            "tiltMin": -60,
            "defocus": "-8.5",
            "date": 1_300_000_000,
            "isGood": True,
        },
        "storage": {
            "files": [
                {"fname": "rec/a.rec", "software": "tomo3d"},
                {"fname": "raw/a.st", "software": "UCSFTomo"},
            ]
        },
    }
}


def item(field: str, kind: str, wanted: object, **more: object) -> dict[str, object]:
    path = f"artifact.{field}"
    return {
        "type": "filter",
        "searchOn": path,
        "searchType": kind,
        "searchFor": wanted,
        **more,
    }


def matches(*clauses: object, record: Any = RECORD) -> bool:
    return parse_query(json.dumps(clauses)).matches(record)


SPECIES = "details.speciesName"


@pytest.mark.parametrize(
    ("clause", "expected"),
    [
        (item(SPECIES, "contains", "brio (ch"), True),
        (item(SPECIES, "contains", "vibrio"), False),
        (item(SPECIES, "exact", "Vibrio (cholerae)"), True),
        (item(SPECIES, "exact", "Vibrio"), False),
        (item(SPECIES, "startsWith", "Vibrio ("), True),
        (item(SPECIES, "startsWith", "ibrio"), False),
        (item(SPECIES, "endsWith", "lerae)"), True),
        (item(SPECIES, "endsWith", "Vibrio"), False),
        (item(SPECIES, "regex", r"^Vib.*\)$"), True),
        (item(SPECIES, "regex", "^brio"), False),
        (item(SPECIES, "lessThan", 5), False),
        (item("details.tiltMin", "exactValue", -60), True),
        (item("details.tiltMin", "exactValue", "-60.0"), True),
        (item("details.tiltMin", "exact", -60), True),
        (item("details.tiltMin", "exact", "-60"), True),
        (item("details.tiltMin", "lessThan", -60), False),
        (item("details.tiltMin", "lessThan", -59.9), True),
        (item("details.tiltMin", "greaterThan", -60.1), True),
        (item("details.tiltMin", "between", "-61;-59"), True),
        (item("details.tiltMin", "between", "-60;0"), False),
        (item("details.tiltMin", "between", "-90;-60"), False),
        (item("details.tiltMin", "between", "-59;-61"), True),
        (item("details.tiltMin", "between", "0;-60"), False),
        (item("details.defocus", "between", "-9;-8"), True),
        (item("details.defocus", "exactValue", -8.5), True),
        (item("details.isGood", "exactValue", 1), False),
        (item("storage.files[0].software", "exact", "tomo3d"), True),
        (item("storage.files[1].software", "exact", "tomo3d"), False),
        (item("storage.files[7].software", "exact", "tomo3d"), False),
        (item("storage.files.software", "exact", "UCSFTomo"), True),
        (item("storage.files", "exact", "UCSFTomo"), False),
    ],
)
def test_each_way_of_searching(clause: object, expected: bool) -> None:
    assert matches(clause) is expected


@pytest.mark.parametrize(
    "clause",
    [
        item("details.strain", "contains", ""),
        item("details.strain.name", "regex", ".*"),
        item("details.tiltMax", "lessThan", 1000),
        item("details.tiltMin.deep", "lessThan", 1000),
    ],
)
def test_a_missing_field_does_not_match_and_its_opposite_does(
    clause: dict[str, object],
) -> None:
    assert not matches(clause)
    assert matches({**clause, "not": True})


def test_every_clause_of_the_array_must_hold() -> None:
    yes, no = item(SPECIES, "contains", "Vib"), item(SPECIES, "contains", "Cau")

    assert matches()
    assert matches(yes, yes)
    assert not matches(yes, no)
    assert matches({"type": "OR", "args": [no, yes]})
    assert not matches({"type": "AND", "args": [no, yes]})
    assert matches({"type": "OR", "args": [no, no], "not": True})
    assert parse_query(json.dumps(yes)).matches(RECORD)


def test_not_turns_round_its_own_clause_alone() -> None:
    yes, no = item(SPECIES, "contains", "Vib"), item(SPECIES, "contains", "Cau")

    assert matches(yes, {**no, "not": True})
    assert not matches(no, {**no, "not": True})


def test_what_the_original_did_by_mistake_is_said() -> None:
    first = item("details.tiltMin", "exact", -60)
    query = [first, item(SPECIES, "contains", "a(b", **{"not": True}), first]

    query.append(item("details.tiltMin", "between", "-59;-61"))

    notes = parse_query(json.dumps(query)).notes

    assert len(notes) == 4
    assert any("smaller number first" in note for note in notes)
    assert any("exactValue" in note for note in notes)
    assert any("its own clause" in note for note in notes)
    assert any("regular expression" in note for note in notes)


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ("{", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ('"x"', r"query\[0\] is not a clause"),
        ('[{"type": "filters"}]', r"query\[0\].type"),
        ('[{"type": "AND"}]', "list of clauses is missing"),
        ('[{"type": "OR", "args": []}]', "list of clauses is missing"),
        ('[{"type": ["AND"], "args": []}]', "type is"),
        (json.dumps([item("x", "fuzzy", "a")]), "searchType"),
        (json.dumps([item("x", "contains", 5)]), "searchFor must be a text"),
        (json.dumps([item("x", "lessThan", "five")]), "searchFor must be a number"),
        (json.dumps([item("x", "lessThan", True)]), "searchFor must be a number"),
        (json.dumps([item("x", "between", "1;2;3")]), "number;number"),
        *(
            (json.dumps([item("x", "between", ends)]), said)
            for ends, said in (
                ("1;b", "number;number"),
                ("1", "number;number"),
                ("", "number;number"),
                (";", "number;number"),
                ("1;", "number;number"),
                ("1,2", "number;number"),
                ("1;1", "nothing is between 1 and 1"),
            )
        ),
        (json.dumps([item("x", "between", [1, 2])]), "must be a text"),
        (json.dumps([item("x", "regex", "(")]), "not closed"),
        (json.dumps([item("x", "regex", "a" * 1001)]), "searchFor"),
        (json.dumps([item("x[y]", "exact", "a")]), "does not name a field"),
        (json.dumps([item("x", "exact", "a", **{"not": "yes"})]), "neither"),
        ('[{"type": "filter", "searchOn": ""}]', "does not name a field"),
        ("[" + "0," * 200_000 + "0]", "longer than"),
    ],
)
def test_what_cannot_be_read_is_refused_by_place(document: str, said: str) -> None:
    with pytest.raises(InvalidDataError, match=said):
        parse_query(document)


def test_depth_and_number_of_clauses_are_bounded() -> None:
    deep: dict[str, object] = item("x", "exact", "a")
    for _ in range(MAX_DEPTH + 1):
        deep = {"type": "AND", "args": [deep]}

    with pytest.raises(InvalidDataError, match="deeper"):
        parse_query(json.dumps(deep))
    with pytest.raises(InvalidDataError, match="clauses"):
        parse_query(json.dumps([item("x", "exact", "a")] * (MAX_CLAUSES + 1)))


@pytest.mark.parametrize("wanted", ['"); process.exit(); ("', "'+1+'", "\\", "\0"])
def test_quotes_and_code_are_texts_like_any_other(wanted: str) -> None:
    record = {"artifact": {"x": f"before {wanted} after"}}

    assert matches(item("x", "contains", wanted), record=record)
    assert not matches(item("x", "contains", wanted + "!"), record=record)
