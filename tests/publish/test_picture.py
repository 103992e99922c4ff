"""Key images: made once, kept apart, named as the original named them."""

from __future__ import annotations

from pathlib import Path

import mrcfile  # type: ignore[import-untyped]
import numpy as np
import pytest
from PIL import Image

from etdb.errors import InvalidDataError, UnavailableError
from etdb.identity import CID
from etdb.lab.folder import LabFile
from etdb.publish.picture import make_key_images, safe_component
from etdb.record.model import Role

FIRST = CID(1, 0x55, b"\x01" * 32)
SECOND = CID(1, 0x55, b"\x02" * 32)


@pytest.fixture
def volume(tmp_path: Path) -> LabFile:
    """A small synthetic volume."""
    path = tmp_path / "ts.rec"
    noise = np.random.default_rng(1).normal(size=(8, 300, 200)).astype(np.float32)
    with mrcfile.new(path) as file:
        file.set_data(noise)
    return LabFile(
        name="rec/ts.rec",
        path=path,
        size_bytes=path.stat().st_size,
        role=Role.RECONSTRUCTION,
        media_type=None,
        facts={},
    )


def test_three_sizes_are_made(volume: LabFile, tmp_path: Path) -> None:
    pictures = make_key_images(volume, FIRST, "ts", tmp_path / "derived")

    assert [(file.name, file.role) for file in pictures] == [
        ("keyimg_ts.jpg", Role.KEYIMG),
        ("keyimg_ts_m.jpg", Role.KEYIMG),
        ("keyimg_ts_s.jpg", Role.THUMBNAIL),
    ]
    for file in pictures:
        assert file.size_bytes == file.path.stat().st_size
        assert file.media_type == "image/jpeg"
        assert file.facts["madeFrom"] == "rec/ts.rec"
    with Image.open(pictures[2].path) as thumbnail:
        assert max(thumbnail.size) == 160


def test_they_are_made_once_for_the_same_content(
    volume: LabFile, tmp_path: Path
) -> None:
    first = make_key_images(volume, FIRST, "ts", tmp_path / "derived")
    volume.path.unlink()

    again = make_key_images(volume, FIRST, "ts", tmp_path / "derived")

    assert again == first


def test_other_content_gets_its_own_and_the_old_ones_stay(
    volume: LabFile, tmp_path: Path
) -> None:
    first = make_key_images(volume, FIRST, "ts", tmp_path / "derived")

    second = make_key_images(volume, SECOND, "ts", tmp_path / "derived")

    assert {f.path for f in first}.isdisjoint({f.path for f in second})
    assert all(file.path.exists() for file in first)


def test_what_a_crash_left_is_completed(volume: LabFile, tmp_path: Path) -> None:
    first = make_key_images(volume, FIRST, "ts", tmp_path / "derived")
    first[2].path.unlink()

    again = make_key_images(volume, FIRST, "ts", tmp_path / "derived")

    assert again == first


def test_an_id_that_ends_like_a_size_is_not_taken_for_one(
    volume: LabFile, tmp_path: Path
) -> None:
    pictures = make_key_images(volume, FIRST, "grid_s", tmp_path / "derived")

    assert [(file.name, file.role) for file in pictures] == [
        ("keyimg_grid_s.jpg", Role.KEYIMG),
        ("keyimg_grid_s_m.jpg", Role.KEYIMG),
        ("keyimg_grid_s_s.jpg", Role.THUMBNAIL),
    ]


def test_a_file_that_is_no_volume_is_refused(volume: LabFile, tmp_path: Path) -> None:
    volume.path.write_bytes(b"no volume")

    with pytest.raises(InvalidDataError):
        make_key_images(volume, FIRST, "ts", tmp_path / "derived")


def test_a_disk_that_refuses_is_said(volume: LabFile, tmp_path: Path) -> None:
    (tmp_path / "derived").touch()

    with pytest.raises(UnavailableError, match="cannot make"):
        make_key_images(volume, FIRST, "ts", tmp_path / "derived")


@pytest.mark.parametrize("sid", ["..", ".", "a/b", "\0", "Größe", "x" * 300, ""])
def test_any_id_is_one_safe_component(sid: str) -> None:
    name = safe_component(sid)

    assert Path(name).name == name
    assert name.isascii()
    assert len(name) < 100
    assert not name.startswith(".")


def test_ids_that_look_alike_have_different_components() -> None:
    names = {safe_component(sid).lower() for sid in ("a/b", "a_b", "A_b", "a.b")}

    assert len(names) == 4
