from __future__ import annotations

from pathlib import Path

import pytest

from etdb.errors import UnavailableError
from etdb.microscopy.tilt import nearest_zero, read_tlt

# name: (first, last, how many); None where the file is no list of angles
REAL = {
    "cryoet-alignment_newst.com": None,
    "cryoet-alignment_test.aln": None,
    "cryoet-alignment_tilt.com": None,
    "cryoet-alignment_test.rawtlt": (-66.0, -63.0, 3),
    "cryoet-alignment_tilt_1.tlt": (-52.24, 63.76, 59),
    "cryoet-alignment_tilt_1.xtilt": (0.0, 0.0, 59),
    "pyseg_tomo_int16.tlt": (-2.8, -0.9, 4),
    "warpylib_00254.tlt": (-60.01, 59.98, 41),
}


@pytest.mark.parametrize("name", REAL)
def test_real_files_are_read_or_known_to_be_something_else(
    shared: Path, name: str
) -> None:
    angles = read_tlt(shared / "data/tilt" / name)

    assert ((angles[0], angles[-1], len(angles)) if angles else None) == REAL[name]


def test_alignments_do_not_raise(shared: Path) -> None:
    others = [
        path for path in (shared / "data/tilt").iterdir() if path.name not in REAL
    ]

    assert {path.suffix for path in others} == {".xf"}
    assert all(read_tlt(path) for path in others)


def test_the_first_column_is_taken_and_empty_lines_are_not(tmp_path: Path) -> None:
    path = tmp_path / "ts.rawtlt"
    path.write_bytes(b" -60.0  0.5 1\r\n\r\n  0 x\r\n60.00\n\n")

    assert read_tlt(path) == (-60.0, 0.0, 60.0)


@pytest.mark.parametrize(
    "content", [b"", b"-60\nNaN\n", b"-60\n400\n", b"-60\nsixty", b"\xff\xfe\0"]
)
def test_what_is_no_list_of_angles_is_empty(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "ts.tlt"
    path.write_bytes(content)

    assert read_tlt(path) == ()


def test_a_file_that_is_not_there_is_unavailable(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError):
        read_tlt(tmp_path / "none.tlt")


def test_the_image_nearest_zero_is_found() -> None:
    assert nearest_zero((-60.0, -3.1, 2.9, 60.0)) == 2
    assert nearest_zero(()) is None
