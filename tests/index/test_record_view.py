from __future__ import annotations

import json
from typing import Any

import pytest

from etdb.identity import Address, Digest
from etdb.index.record_view import (
    Anchor,
    Current,
    Withdrawal,
    build_view,
    unknown_fields,
)
from etdb.record.model import Record
from etdb.record.rules import RecordClass

ANCHOR = Anchor("memory", "embedded", 7, 2, "ab" * 32, 1_700_000_000, "covered")


def view(body: dict[str, Any], withdrawn: Withdrawal | None = None) -> dict[str, Any]:
    return build_view(
        Current(
            id=Digest("cd" * 32),
            body=body,
            record_class=RecordClass.A,
            address=Address("oTest"),
            timestamp=1_700_000_000,
            anchor=ANCHOR,
            withdrawn=withdrawn,
        )
    )


def test_a_record_dict_has_exactly_these_keys() -> None:
    assert view({}) == {
        "id": "cd" * 32,
        "txid": "ab" * 32,
        "cid": None,
        "class": "A",
        "title": None,
        "description": None,
        "tags": None,
        "publisher": {"address": "oTest", "name": None},
        "timestamp": 1_700_000_000,
        "published": "2023-11-14T22:13:20Z",
        "details": {},
        "files": [],
        "size_bytes": 0,
        "file_count": 0,
        "key_image": {"large": None, "medium": None, "small": None},
        "anchor": {
            "ledger": "memory",
            "ledger_kind": "embedded",
            "height": 7,
            "position": 2,
            "txid": "ab" * 32,
            "time": 1_700_000_000,
            "coverage": "covered",
        },
        "withdrawn": None,
    }


def test_details_bear_our_names_zero_is_kept_and_unknown_is_absent() -> None:
    details = view(
        {"details": {"tiltMin": 0, "NBCItaxID": 666, "strain": None, "defocus": -8}}
    )["details"]

    assert details == {"tilt_min_deg": 0.0, "taxonomy_id": 666, "defocus_um": -8.0}


@pytest.mark.parametrize(
    ("date", "expected"),
    [
        (1441756800, {"date": 1441756800, "acquired": "2015-09-09"}),
        (1441756800000, {"date": 1441756800, "acquired": "2015-09-09"}),
        (0, {"date": 0, "acquired": "1970-01-01"}),
        (-86400, {"date": -86400, "acquired": "1969-12-31"}),
        (10**15 * 8, {}),
        ("soon", {}),
    ],
)
def test_the_date_is_a_day(date: object, expected: dict[str, object]) -> None:
    assert view({"details": {"date": date}})["details"] == expected


def test_a_file_has_its_own_facts() -> None:
    body = {
        "details": {
            "fileInfo": {
                "raw/a.st": {"cid": "bafy", "role": "segmentation", "pixelSize": 9.8},
                "elsewhere": {"cid": "x"},
            }
        },
        "storage": {
            "location": "Qm",
            "files": [
                {
                    "fname": "raw/a.st",
                    "dname": "a.st",
                    "fsize": 10,
                    "subtype": "other",
                    "cType": "image/x",
                    "software": "IMOD",
                    "fNotes": "well",
                },
                {"fName": "b.rec", "fSize": "20", "subtype": "Reconstruction"},
            ],
        },
    }

    found = view(body)

    assert found["files"] == [
        {
            "name": "raw/a.st",
            "display_name": "a.st",
            "size_bytes": 10,
            "role": "segmentation",
            "media_type": "image/x",
            "software": "IMOD",
            "notes": "well",
            "cid": "bafy",
            "facts": {"pixelSize": 9.8},
        },
        {
            "name": "b.rec",
            "display_name": None,
            "size_bytes": 20,
            "role": "reconstruction",
            "media_type": None,
            "software": None,
            "notes": None,
            "cid": None,
            "facts": {},
        },
    ]
    assert (found["size_bytes"], found["file_count"], found["cid"]) == (30, 2, "Qm")


def files(*rows: tuple[str, str]) -> dict[str, Any]:
    listed = [{"fname": name, "subtype": role} for name, role in rows]
    return {"details": {"sid": "s1"}, "storage": {"files": listed}}


def test_key_images_are_found_by_name() -> None:
    body = files(
        ("keyimg_s1_s.jpg", "thumbnail"),
        ("keyimg_s1.jpg", "keyimg"),
        ("keyimg_s1_m.jpg", "other"),
    )

    assert view(body)["key_image"] == {
        "large": "keyimg_s1.jpg",
        "medium": "keyimg_s1_m.jpg",
        "small": "keyimg_s1_s.jpg",
    }


def test_key_images_of_other_names_are_found_by_role() -> None:
    body = files(("small.jpg", "thumbnail"), ("large.jpg", "keyimg"))

    assert view(body)["key_image"] == {
        "large": "large.jpg",
        "medium": None,
        "small": "small.jpg",
    }


def test_a_withdrawal_is_told() -> None:
    withdrawn = view({}, Withdrawal(Address("oHeir"), 5, "a reason"))["withdrawn"]

    assert withdrawn == {"by": "oHeir", "time": 5, "reason": "a reason"}


def test_fields_that_we_do_not_know_are_told_by_their_paths() -> None:
    body = {
        "payment": {"fiat": "USD"},
        "signature": "x",
        "info": {"title": "t", "year": 2018},
        "details": {
            "NBCItaxID": 1,
            "contentSignature": "x",
            "revision": {},
            "fileInfo": {},
            "own": 1,
        },
        "storage": {"location": "Qm", "pinned": True},
    }

    assert unknown_fields(Record.model_validate(body)) == {
        "payment": {"fiat": "USD"},
        "info.year": 2018,
        "details.own": 1,
        "storage.pinned": True,
    }


@pytest.mark.parametrize(
    "body",
    [
        {"info": 1, "details": [], "storage": "x"},
        {"storage": {"files": {"a": 1}}},
        {"details": {"dosage": "nan", "tiltMin": "inf", "NCBItaxID": "9" * 99}},
    ],
)
def test_a_view_is_always_json(body: dict[str, Any]) -> None:
    text = json.dumps(view(body), allow_nan=False)

    assert json.loads(text)["details"] == {}
