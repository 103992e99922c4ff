from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from etdb.errors import UnavailableError
from etdb.microscopy import mdoc as module
from etdb.microscopy.mdoc import MdocSummary, parse_mdoc, read_mdoc, summary

TITLE = "[T = SerialEM: Digitized on Our Krios      30-Nov-15  15:14:20    ]"


def series(*sections: str, head: str = TITLE) -> MdocSummary:
    blocks = [f"[ZValue = {n}]\n{text}" for n, text in enumerate(sections)]
    return summary(parse_mdoc("\n\n".join([head, *blocks]).encode()))


def tilts(*angles: float, more: str = "") -> list[str]:
    return [f"TiltAngle = {angle}\n{more}" for angle in angles]


def test_a_real_tilt_series_is_summarised(shared: Path) -> None:
    mdoc = read_mdoc(shared / "data/mdoc/mdocfile_tilt_series.mdoc")

    found = summary(mdoc)

    assert mdoc.warnings == ()
    assert len(found.tilt_angles_deg) == len(mdoc.sections) == 41
    assert (found.tilt_min_deg, found.tilt_max_deg) == (-60.0, 60.0)
    assert (found.tilt_step_deg, found.is_step_constant) == (3.0, True)
    assert found.tilt_axis_deg == 85.3
    assert found.pixel_spacing_angstrom == 5.4
    assert found.magnification == 105000
    assert found.defocus_um == -4.0
    assert found.dose_e_per_a2 is None
    assert found.voltage_kv is None
    assert found.date == date(2015, 11, 30)
    assert (found.software, found.microscope) == ("SerialEM", "EMBL Krios")
    assert found.image_file == "TS_01.mrc"


def test_another_real_tilt_series_states_its_dose(shared: Path) -> None:
    found = summary(read_mdoc(shared / "data/mdoc/pyseg_syn_ctrl01_tomo01.st.mdoc"))

    assert len(found.tilt_angles_deg) == 46
    assert (found.tilt_min_deg, found.tilt_max_deg) == (-30.0, 60.0)
    assert found.tilt_step_deg == 2.0
    assert found.dose_e_per_a2 == pytest.approx(52.2, abs=0.1)
    assert found.microscope == "Titan"
    assert found.defocus_um == 0.5


def test_a_real_frame_set_is_read_without_claiming_a_tilt_series(shared: Path) -> None:
    mdoc = read_mdoc(shared / "data/mdoc/mdocfile_frame_set_single.mdoc")

    found = summary(mdoc)

    assert mdoc.sections[0]["FrameSet"] == "0"
    assert mdoc.sections[0]["SubFramePath"].startswith("X:\\Johannes")
    assert mdoc.warnings == ("a bracket is missing in line 1",)
    assert (found.tilt_min_deg, found.dose_e_per_a2) == (None, None)
    assert (found.voltage_kv, found.defocus_um) == (300.0, -4.5)
    assert found.pixel_spacing_angstrom == 1.2827


def test_a_real_montage_is_read_without_claiming_a_tilt_series(shared: Path) -> None:
    found = summary(read_mdoc(shared / "data/mdoc/mdocfile_montage_section.mdoc"))

    assert found.is_montage
    assert len(found.tilt_angles_deg) == 63
    assert found.tilt_min_deg is None
    assert found.tilt_axis_deg == -86.7


def test_every_real_file_has_its_test(shared: Path) -> None:
    assert len(list((shared / "data/mdoc").iterdir())) == 4


def test_empty_values_are_kept_and_said() -> None:
    mdoc = parse_mdoc(b"PixelSpacing =\n[ZValue = 0]\nExposureDose = \nTiltAngle = 1\n")

    assert mdoc.sections[0] == {"ZValue": "0", "ExposureDose": "", "TiltAngle": "1"}
    assert mdoc.warnings == ("2 values are empty: ExposureDose, PixelSpacing",)


def test_latin_1_is_read_and_said() -> None:
    mdoc = parse_mdoc("[ZValue = 0]\nNote = Präparat\n".encode("latin-1"))

    assert mdoc.sections[0]["Note"] == "Präparat"
    assert mdoc.warnings == ("the text is not UTF-8: read as Latin-1",)


def test_utf_8_with_a_byte_order_mark_is_read() -> None:
    mdoc = parse_mdoc("\ufeffPixelSpacing = 2\n[ZValue = 0]\nNote = Å\n".encode())

    assert mdoc.globals == {"PixelSpacing": "2"}
    assert mdoc.sections[0]["Note"] == "Å"
    assert mdoc.warnings == ()


def test_missing_brackets_are_mended_and_said() -> None:
    text = (
        "T = Tomography_5.24: TITAN52337740    07-Jan-2026  18:19:19]\n"
        "[T =   TiltAxisAngle = -175.84  Binning = 2  SpotSize = 6]\n"
        "[ZValue = 0\nTiltAngle = 1\nZValue = 1]\nTiltAngle = 2\n"
    )

    mdoc = parse_mdoc(text.encode())
    found = summary(mdoc)

    assert [section["ZValue"] for section in mdoc.sections] == ["0", "1"]
    assert mdoc.warnings == ("a bracket is missing in lines 1, 3, 5",)
    assert (found.software, found.microscope) == ("Tomography_5.24", "TITAN52337740")
    assert found.date == date(2026, 1, 7)
    assert found.tilt_axis_deg == -175.84


def test_a_title_broken_before_its_bracket_is_one_title() -> None:
    text = (
        "[T = SerialEM: Krios  15-May-24  16:56:54\n    ]\n[ZValue = 0]\nStageZ = 1\n"
    )

    mdoc = parse_mdoc(text.encode())

    assert mdoc.titles == ("SerialEM: Krios  15-May-24  16:56:54",)
    assert mdoc.warnings == ()


def test_windows_and_old_mac_line_ends_are_line_ends() -> None:
    expected = parse_mdoc(b"[ZValue = 0]\nTiltAngle = 1\n").sections

    assert parse_mdoc(b"[ZValue = 0]\r\nTiltAngle = 1\r\n").sections == expected
    assert parse_mdoc(b"[ZValue = 0]\rTiltAngle = 1\r").sections == expected


def test_not_a_number_is_unknown() -> None:
    found = series(*tilts(-2, 0, 2, more="PixelSpacing = NaN\nTargetDefocus = inf"))

    assert found.pixel_spacing_angstrom is None
    assert found.defocus_um is None


def test_lines_that_say_nothing_are_counted() -> None:
    mdoc = parse_mdoc(b"[ZValue = 0]\nTiltAngle 1\n]\n" + b"rubbish\n" * 6)

    assert mdoc.warnings == (
        "lines 2, 3, 4, 5, 6 and 3 more cannot be read as name = value",
    )


@pytest.mark.parametrize(
    "data", [b"", b"\0" * 50, b"\xff\xfe" * 9, b"=\n[=]\n[", b"]]\n"]
)
def test_rubbish_is_said_and_never_raised(data: bytes) -> None:
    mdoc = parse_mdoc(data)

    assert mdoc.sections == ()
    assert "there is no section for any image" in mdoc.warnings
    assert summary(mdoc) == MdocSummary()


def test_a_file_without_end_is_read_to_a_limit() -> None:
    line = b"[ZValue = 0]\n" + b"a" * 99 + b" = 1\n"

    mdoc = parse_mdoc(line + b" " * module.MAX_BYTES + line)

    assert len(mdoc.sections) == 1
    assert mdoc.warnings == ("only the first 32 MiB were read",)


def test_a_zero_dose_is_unknown_not_small() -> None:
    known = series(*tilts(-2, 0, 2, more="ExposureDose = 3.5"))
    zero = series(
        *tilts(-2, 0, more="ExposureDose = 3.5"), "TiltAngle = 2\nExposureDose = 0"
    )

    assert known.dose_e_per_a2 == 10.5
    assert zero.dose_e_per_a2 is None


def test_the_dose_before_the_last_image_completes_the_sum() -> None:
    sections = [
        "TiltAngle = 0\nExposureDose = 3\nPriorRecordDose = 0",
        "TiltAngle = 2\nExposureDose =\nPriorRecordDose = 3",
        "TiltAngle = 4\nExposureDose = 3\nPriorRecordDose = 6",
    ]

    assert series(*sections).dose_e_per_a2 == 9


def test_images_taken_twice_do_not_halve_the_step() -> None:
    found = series(*tilts(0, 2, -2, 4, -4, 0.01, 6))

    assert found.tilt_step_deg == 2.0
    assert found.is_step_constant


def test_a_step_that_changes_is_not_constant() -> None:
    found = series(*tilts(-60, -58, -55, -50, -44, -37))

    assert found.is_step_constant is False


def test_a_section_without_an_angle_leaves_the_angles_unknown() -> None:
    found = series(*tilts(-2, 0, 2), "StageZ = 1")

    assert found.tilt_angles_deg == ()
    assert found.tilt_min_deg is None


def test_the_scheme_and_the_program_are_taken_from_the_head() -> None:
    head = (
        "Version = SerialEM Version 4.1.6 64-bit\n"
        "[T =     Tilt axis angle = 84.8, binning = 1  dosym = -10.0]"
    )

    found = series(*tilts(-2, 0, 2), head=head)

    assert found.tilt_scheme == "dose-symmetric"
    assert found.software == "SerialEM Version 4.1.6 64-bit"
    assert found.microscope is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("06-Jun-23  23:19:46", date(2023, 6, 6)),
        ("07-Jan-2026 18:19:19", date(2026, 1, 7)),
        ("7-JAN-2026", date(2026, 1, 7)),
        ("31-Feb-24  10:00:00", date(2015, 11, 30)),
        ("06-Okt-23  23:19:46", date(2015, 11, 30)),
        ("yesterday", date(2015, 11, 30)),
    ],
)
def test_dates_are_read_and_bad_ones_fall_back_on_the_title(
    text: str, expected: date
) -> None:
    assert series(*tilts(-2, 0, 2, more=f"DateTime = {text}")).date == expected


def test_a_file_that_is_not_there_is_unavailable(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError):
        read_mdoc(tmp_path / "none.mdoc")
