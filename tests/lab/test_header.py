"""What headers tell about a dataset, and what they only warn about."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from etdb.lab.header import Headers, header_fields, read_headers
from etdb.lab.tree import list_files

Make = Callable[..., Path]

ANGLES = (-3.0, 0.0, 3.0)


def read(folder: Path) -> Headers:
    return read_headers(list_files(folder))


def test_an_mdoc_fills_the_acquisition(tmp_path: Path, make_mdoc: Make) -> None:
    make_mdoc(tmp_path / "ts.mrc.mdoc", "ts.mrc", ANGLES)

    fields, warnings = header_fields(read(tmp_path), {})

    assert fields == {
        "date": 1448841600,
        "microscope": "Test scope",
        "defocus": -4,
        "dose": 7.5,
        "tilt_constant": 1,
        "tilt_min": -3,
        "tilt_max": 3,
        "tilt_step": 3,
        "magnification": 42000,
        "acquisition": "SerialEM",
        "pixel_size": 5.4,
        "voltage": 300,
        "tilt_axis": 85.3,
    }
    assert warnings == ()


def test_an_mdoc_tells_the_tilt_scheme(tmp_path: Path, make_mdoc: Make) -> None:
    title = "[T = Tilt axis angle = 85.3, binning = 1  dosym = 0.0]"
    make_mdoc(tmp_path / "ts.mrc.mdoc", "ts.mrc", ANGLES, title)

    fields, _ = header_fields(read(tmp_path), {})

    assert fields["tilt_scheme"] == "dose-symmetric"


def test_a_dose_of_zero_is_unknown(shared: Path) -> None:
    headers = read(shared / "data" / "mdoc" / "mdocfile_tilt_series.mdoc")

    fields, _ = header_fields(headers, {})

    assert "dose" not in fields


def test_the_mdoc_of_the_longest_series_speaks(tmp_path: Path, make_mdoc: Make) -> None:
    make_mdoc(tmp_path / "a.mdoc", "a.mrc", (0.0, 1.0))
    make_mdoc(tmp_path / "b.mdoc", "b.mrc", ANGLES)

    fields, _ = header_fields(read(tmp_path), {})

    assert fields["tilt_max"] == 3


def test_a_list_of_angles_speaks_where_no_mdoc_does(tmp_path: Path) -> None:
    (tmp_path / "ts.rawtlt").write_text("-60.0\n0\n60.0\n")

    fields, _ = header_fields(read(tmp_path), {})

    assert (fields["tilt_min"], fields["tilt_max"], fields["tilt_step"]) == (
        -60,
        60,
        60,
    )


def test_the_best_known_spacing_is_taken(tmp_path: Path, make_mrc: Make) -> None:
    make_mrc(tmp_path / "a.rec", (4, 4, 4))
    make_mrc(tmp_path / "b.rec", (4, 4, 4), 13.68)

    fields, _ = header_fields(read(tmp_path), {"voxel_size": ["a.rec", "b.rec"]})

    assert fields["voxel_size"] == 13.68


@pytest.mark.parametrize(
    ("mdoc", "image"),
    [
        ("cell.mrc.mdoc", "other.mrc"),
        ("cell.mdoc", "other.mrc"),
        ("x.mdoc", "cell.mrc"),
        ("x.mdoc", "D:\\Data\\run\\cell.mrc"),
    ],
)
def test_an_mdoc_speaks_of_its_volume(
    tmp_path: Path, make_mrc: Make, make_mdoc: Make, mdoc: str, image: str
) -> None:
    make_mrc(tmp_path / "cell.mrc", (3, 8, 8))
    make_mdoc(tmp_path / mdoc, image, ANGLES)

    assert read(tmp_path).evidence("cell.mrc").has_tilt_angles


def test_an_mdoc_of_another_number_of_images_does_not_speak(
    tmp_path: Path, make_mrc: Make, make_mdoc: Make
) -> None:
    make_mrc(tmp_path / "cell.mrc", (4, 8, 8))
    make_mdoc(tmp_path / "cell.mdoc", "cell.mrc", ANGLES)

    assert not read(tmp_path).evidence("cell.mrc").has_tilt_angles


def test_an_mdoc_of_another_number_of_images_is_a_warning(
    tmp_path: Path, make_mrc: Make, make_mdoc: Make
) -> None:
    make_mrc(tmp_path / "cell.st", (4, 8, 8), 3.4)
    make_mdoc(tmp_path / "cell.st.mdoc", "cell.st", ANGLES)

    assert read(tmp_path).warnings == (
        "cell.st.mdoc: it describes 3 images, cell.st holds 4",
    )


def test_an_mdoc_in_another_folder_does_not_speak(
    tmp_path: Path, make_mrc: Make, make_mdoc: Make
) -> None:
    make_mrc(tmp_path / "raw" / "cell.mrc", (3, 8, 8))
    make_mdoc(tmp_path / "cell.mdoc", "cell.mrc", ANGLES)

    assert not read(tmp_path).evidence("raw/cell.mrc").has_tilt_angles


def test_a_list_of_angles_speaks_of_its_volume(tmp_path: Path, make_mrc: Make) -> None:
    make_mrc(tmp_path / "cell.mrc", (3, 8, 8))
    (tmp_path / "cell.tlt").write_text("-3\n0\n3\n")

    assert read(tmp_path).evidence("cell.mrc").has_tilt_angles


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("pyseg_tomo_int16.mrc", "the word MAP is missing"),
        ("tomotwin_model_0_1BXN_1.mrc", "the voxel size in the header is missing"),
        ("warpylib_ctf_reference.mrc", "1.0 Å, which stands for unknown"),
        ("EMD-3001.map", "the voxels are not cubes"),
    ],
)
def test_what_is_wrong_with_a_real_header_is_a_warning(
    shared: Path, name: str, words: str
) -> None:
    headers = read(shared / "data" / "mrc" / name)

    assert any(w.startswith(f"{name}: ") and words in w for w in headers.warnings)


def test_a_broken_header_is_a_warning(tmp_path: Path) -> None:
    (tmp_path / "a.rec").write_bytes(b"no volume")

    headers = read(tmp_path)

    assert len(headers.warnings) == 1
    assert headers.evidence("a.rec").shape is None


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ("Comment = ", "1 values are empty: Comment"),
        ("Operator = Jos\xe9", "the text is not UTF-8"),
        ("T = no brackets", "a bracket is missing"),
    ],
)
def test_the_dialects_of_mdoc_are_warnings(
    tmp_path: Path, make_mdoc: Make, more: str, words: str
) -> None:
    make_mdoc(tmp_path / "ts.mdoc", "ts.mrc", ANGLES, more)

    headers = read(tmp_path)

    assert any(w.startswith("ts.mdoc: ") and words in w for w in headers.warnings)
    assert header_fields(headers, {})[0]["tilt_max"] == 3


def test_a_value_that_no_record_can_hold_is_left_out_with_a_warning(
    tmp_path: Path, make_mdoc: Make
) -> None:
    file = make_mdoc(tmp_path / "ts.mdoc", "ts.mrc", ANGLES)
    file.write_text(file.read_text().replace("= 42000", "= 1e300"))

    fields, warnings = header_fields(read(tmp_path), {})

    assert "magnification" not in fields
    assert warnings == ("ts.mdoc: magnification: '1e+300' is not a number: left out",)
