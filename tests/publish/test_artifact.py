"""The artifact of a dataset, and what counts as a change of it."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest

from etdb.identity import CID, Address
from etdb.lab.folder import Dataset, LabFile
from etdb.publish.artifact import (
    MADE_FROM,
    Artifact,
    Hashed,
    build_artifact,
    list_changes,
)
from etdb.record.model import Role

RAW = CID(1, 0x55, b"\x01" * 32)
OTHER = CID(1, 0x55, b"\x02" * 32)
ROOT = CID(1, 0x70, b"\x03" * 32)


def lab_file(name: str, role: Role, **more: Any) -> LabFile:
    return LabFile(
        name=name,
        path=Path("/data") / name,
        size_bytes=14,
        role=role,
        media_type=more.pop("media_type", None),
        facts={"role": role.value} | more.pop("facts", {}),
        **more,
    )


def build(*files: LabFile, cid: CID = RAW, **details: Any) -> Artifact:
    dataset = Dataset(
        path=Path("/data"),
        sid="ts",
        files=files,
        info={"title": "T"},
        details={"date": 0, "speciesName": "S", "sid": "ts"} | details,
        warnings=(),
        key_volume=None,
    )
    hashed = [Hashed(file, cid) for file in files]
    return build_artifact(dataset, hashed, ROOT, Address("F1"))


@pytest.fixture
def artifact() -> Artifact:
    """Three files of the lab and a thumbnail of ours."""
    return build(
        lab_file("ts.rec", Role.RECONSTRUCTION, facts={"voxelSize": 10}),
        lab_file("raw/ts.st", Role.TILT_SERIES, software="SerialEM", notes="n"),
        lab_file("a.png", Role.SNAPSHOT, media_type="image/png"),
        lab_file(
            "keyimg_ts_s.jpg",
            Role.THUMBNAIL,
            media_type="image/jpeg",
            facts={MADE_FROM: "ts.rec"},
        ),
    )


def test_the_artifact_is_in_the_order_of_the_wire(artifact: Artifact) -> None:
    assert list(artifact) == [
        "floAddress",
        "type",
        "subtype",
        "info",
        "details",
        "storage",
    ]
    assert (artifact["type"], artifact["subtype"]) == ("research", "tomogram")
    assert list(artifact["storage"]) == ["network", "location", "files"]
    assert artifact["storage"]["location"] == str(ROOT)


def test_rows_of_files_are_as_the_original_publisher_wrote_them(
    artifact: Artifact,
) -> None:
    snapshot, series, reconstruction, thumbnail = artifact["storage"]["files"]

    assert snapshot == {
        "dname": "a.png",
        "fname": "a.png",
        "fsize": 14,
        "type": "tomogram",
        "subtype": "snapshot",
        "cType": "image/png",
    }
    assert series == {
        "software": "SerialEM",
        "dname": "ts.st",
        "fname": "raw/ts.st",
        "fsize": 14,
        "type": "tomogram",
        "subtype": "tiltSeries",
        "fNotes": "n",
    }
    assert reconstruction["subtype"] == "reconstruction"
    assert thumbnail == {
        "fname": "keyimg_ts_s.jpg",
        "fsize": 14,
        "type": "image",
        "subtype": "thumbnail",
        "cType": "image/jpeg",
    }


def test_every_file_has_its_facts(artifact: Artifact) -> None:
    info = artifact["details"]["fileInfo"]

    assert info["ts.rec"] == {
        "cid": str(RAW),
        "role": "reconstruction",
        "voxelSize": 10,
    }
    assert info["keyimg_ts_s.jpg"] == {
        "cid": str(RAW),
        "role": "thumbnail",
        "madeFrom": "ts.rec",
    }


def test_zero_is_written(artifact: Artifact) -> None:
    assert artifact["details"]["date"] == 0


def test_an_artifact_is_unchanged_by_signing_and_by_our_pictures(
    artifact: Artifact,
) -> None:
    published = copy.deepcopy(artifact)
    published |= {"timestamp": 1_700_000_000, "signature": "s"}
    published["details"] |= {"contentSignature": "s", "revision": {"number": 2}}
    published["storage"]["location"] = "another"
    published["storage"]["files"].pop()
    del published["details"]["fileInfo"]["keyimg_ts_s.jpg"]

    assert list_changes(published, artifact) == []


def test_each_change_is_named() -> None:
    published = build(
        lab_file("a.rec", Role.RECONSTRUCTION),
        lab_file("gone.txt", Role.OTHER),
        lab_file("b.rec", Role.RECONSTRUCTION),
        strain="old",
        lab="gone",
    )
    planned = build(
        lab_file("a.rec", Role.SUBVOLUME),
        lab_file("b.rec", Role.RECONSTRUCTION),
        lab_file("new.txt", Role.OTHER),
        strain="x" * 100,
        defocus=0,
    )
    planned["details"]["fileInfo"]["b.rec"]["cid"] = str(OTHER)

    assert sorted(list_changes(published, planned)) == [
        "Defocus: added",
        "Lab: removed",
        f'Strain: "old" → "{"x" * 58}…',
        'file a.rec: role "reconstruction" → "subvolume"',
        "file b.rec: other content",
        "file gone.txt: removed",
        "file new.txt: added",
    ]


def test_a_value_that_only_one_of_two_rows_has_is_unknown_in_the_other() -> None:
    published = build(lab_file("a.rec", Role.RECONSTRUCTION))
    planned = build(lab_file("a.rec", Role.RECONSTRUCTION, notes="n"))

    assert list_changes(published, planned) == ['file a.rec: notes unknown → "n"']


@pytest.mark.parametrize(
    "published",
    [{}, {"details": 1, "storage": {"files": None}}, {"storage": []}],
)
def test_a_strange_old_record_is_only_different(
    artifact: Artifact, published: Artifact
) -> None:
    assert "file a.png: added" in list_changes(published, artifact)
