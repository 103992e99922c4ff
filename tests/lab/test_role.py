"""Roles guessed from names, dimensions and tilt angles."""

from __future__ import annotations

import pytest

from etdb.lab.role import NOTHING, Evidence, guess_role, media_type_of
from etdb.record.model import Role


@pytest.mark.parametrize(
    ("name", "role"),
    [
        ("ts01.st", Role.TILT_SERIES),
        ("ts01.ali", Role.TILT_SERIES),
        ("ts01.rec", Role.RECONSTRUCTION),
        ("TS_01_rec.mrc", Role.RECONSTRUCTION),
        ("TS_01.REC", Role.RECONSTRUCTION),
        ("tomo01.mrc", Role.RECONSTRUCTION),
        ("3dimage_12/cell.mrc", Role.RECONSTRUCTION),
        ("rawdata/cell.mrc", Role.TILT_SERIES),
        ("TS_01.mrc", Role.TILT_SERIES),
        ("cell_tilt.mrc", Role.TILT_SERIES),
        ("subtomo_003.mrc", Role.SUBVOLUME),
        ("frames/ts01_001.mrc", Role.OTHER),
        ("cell.mrc", Role.OTHER),
        ("ts01.mrc.mdoc", Role.OTHER),
        ("ts01.tlt", Role.OTHER),
        ("keyimg_ts01.jpg", Role.KEYIMG),
        ("keyimg_ts01_m.jpg", Role.KEYIMG),
        ("keyimg_ts01_s.jpg", Role.THUMBNAIL),
        ("keymov_ts01.mp4", Role.KEYMOV),
        ("movie.mp4", Role.PREVIEW),
        ("overview.PNG", Role.SNAPSHOT),
        ("notes.pdf", Role.OTHER),
        ("no suffix", Role.OTHER),
    ],
)
def test_a_name_tells_the_role(name: str, role: Role) -> None:
    assert guess_role(name, NOTHING) is role


@pytest.mark.parametrize(
    ("shape", "role"),
    [
        ((41, 3710, 3838), Role.TILT_SERIES),
        ((31, 512, 512), Role.TILT_SERIES),
        ((160, 512, 512), Role.RECONSTRUCTION),
        ((300, 928, 960), Role.RECONSTRUCTION),
        ((1, 512, 512), Role.OTHER),
    ],
)
def test_dimensions_tell_where_the_name_does_not(
    shape: tuple[int, int, int], role: Role
) -> None:
    assert guess_role("cell.mrc", Evidence(shape, has_tilt_angles=False)) is role


def test_tilt_angles_weigh_more_than_dimensions_and_the_word_tomo() -> None:
    evidence = Evidence((61, 512, 512), has_tilt_angles=True)

    assert guess_role("tomo01.mrc", evidence) is Role.TILT_SERIES


def test_the_suffix_of_a_reconstruction_weighs_more_than_tilt_angles() -> None:
    evidence = Evidence((61, 512, 512), has_tilt_angles=True)

    assert guess_role("tomo01.rec", evidence) is Role.RECONSTRUCTION


@pytest.mark.parametrize(
    ("name", "media_type"),
    [
        ("a.JPG", "image/jpeg"),
        ("a.mp4", "video/mp4"),
        ("a.mrc.mdoc", "text/plain"),
        ("a.rec", None),
    ],
)
def test_known_suffixes_have_a_media_type(name: str, media_type: str | None) -> None:
    assert media_type_of(name) == media_type
