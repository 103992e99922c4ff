"""A folder read as a dataset."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from etdb.errors import InvalidDataError, UnavailableError
from etdb.lab.folder import Dataset, Missing, missing_fields, read_dataset
from etdb.record.model import Role

Make = Callable[..., Path]


def roles_of(dataset: Dataset) -> dict[str, Role]:
    return {file.name: file.role for file in dataset.files}


@pytest.fixture
def folder(tmp_path: Path, make_mrc: Make, make_mdoc: Make) -> Path:
    """A small dataset as a lab would keep it."""
    folder = tmp_path / "vc-042"
    make_mrc(folder / "ts.mrc", (3, 8, 8))
    make_mdoc(folder / "ts.mrc.mdoc", "ts.mrc", (-3.0, 0.0, 3.0))
    make_mrc(folder / "ts_rec.mrc", (8, 8, 8), 13.68)
    return folder


def say(folder: Path, text: str) -> None:
    (folder / "dataset.toml").write_text(text, "utf-8")


def test_a_folder_is_a_dataset(folder: Path) -> None:
    say(folder, 'species = "Vibrio cholerae"\nstrain = "N16961"\ndate = 2026-03-14\n')

    dataset = read_dataset(folder)

    assert dataset.sid == "vc-042"
    assert roles_of(dataset) == {
        "ts.mrc": Role.TILT_SERIES,
        "ts.mrc.mdoc": Role.OTHER,
        "ts_rec.mrc": Role.RECONSTRUCTION,
    }
    assert dataset.info == {
        "title": "Vibrio cholerae",
        "tags": "etdb,tomogram,electron.tomography",
        "description": "Electron tomography of Vibrio cholerae N16961",
    }
    assert dataset.details["date"] == 1773446400
    assert dataset.details["voxelSize"] == 13.68
    assert dataset.key_volume == (folder / "ts_rec.mrc").resolve()
    assert missing_fields(dataset) == []


def test_files_carry_their_own_facts(folder: Path) -> None:
    dataset = read_dataset(folder)

    by_name = {file.name: file for file in dataset.files}

    assert by_name["ts.mrc"].facts == {"role": "tiltSeries"}
    assert by_name["ts.mrc"].software == "SerialEM"
    assert by_name["ts_rec.mrc"].facts == {"role": "reconstruction", "voxelSize": 13.68}
    assert by_name["ts_rec.mrc"].software is None


def test_the_later_source_wins(folder: Path) -> None:
    say(folder, 'strain = "from the file"\nmicroscope = "from the file"\n')

    details = read_dataset(
        folder,
        options={"strain": "from an option"},
        defaults={"strain": "default", "microscope": "default", "lab": "default"},
    ).details

    assert details["strain"] == "from an option"
    assert details["scopeName"] == "from the file"
    assert details["lab"] == "default"


def test_headers_win_over_defaults(folder: Path) -> None:
    details = read_dataset(folder, defaults={"microscope": "default"}).details

    assert details["scopeName"] == "Test scope"


def test_an_empty_text_says_that_a_value_is_unknown(folder: Path) -> None:
    say(folder, 'microscope = ""\n')

    assert "scopeName" not in read_dataset(folder).details


def test_an_option_that_was_not_given_changes_nothing(folder: Path) -> None:
    assert read_dataset(folder, options={"microscope": None}).details["scopeName"]


def test_zero_is_kept(folder: Path) -> None:
    assert read_dataset(folder, options={"defocus": 0.0}).details["defocus"] == 0


def test_roles_and_facts_can_be_said(folder: Path) -> None:
    say(
        folder,
        '[files."ts.mrc"]\nrole = "other"\nnotes = "first"\n'
        '[files."ts_rec.mrc"]\nrole = "segmentation"\nvoxel_size = 10\n',
    )

    dataset = read_dataset(folder, options={"files": {"ts.mrc": {"role": "preview"}}})

    first, _, second = dataset.files
    assert (first.role, first.facts["role"], first.notes) == (
        Role.PREVIEW,
        "preview",
        "first",
    )
    assert (second.role, second.facts) == (
        Role.OTHER,
        {"role": "segmentation", "voxelSize": 10},
    )


def test_an_option_replaces_a_young_role(folder: Path) -> None:
    say(folder, '[files."ts.mrc"]\nrole = "annotation"\n')

    dataset = read_dataset(folder, options={"files": {"ts.mrc": {"role": "other"}}})

    assert dataset.files[0].facts["role"] == "other"


def test_missing_fields_are_listed_all_at_once(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").touch()

    assert missing_fields(read_dataset(tmp_path)) == [
        Missing("title", "--title"),
        Missing("species", "--species"),
        Missing("date", "--date"),
    ]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('specie = "x"', "unknown key 'specie'; the nearest known one is 'species'"),
        ("species = ", "is not TOML"),
        ('[files."ts.mrk"]\nrole = "other"', "unknown file 'ts.mrk'"),
        ("species = 1", "species: '1' is not a text"),
    ],
)
def test_mistakes_in_the_settings_name_the_file(
    folder: Path, text: str, words: str
) -> None:
    say(folder, text)

    with pytest.raises(InvalidDataError) as caught:
        read_dataset(folder)

    assert str(folder / "dataset.toml") in caught.value.message
    assert words in caught.value.message


def test_settings_that_are_not_utf_8_are_refused(folder: Path) -> None:
    (folder / "dataset.toml").write_bytes(b'notes = "\xe9t\xe9"')

    with pytest.raises(InvalidDataError, match="is not TOML"):
        read_dataset(folder)


def test_unreadable_settings_are_named(as_other_user: Path) -> None:
    (as_other_user / "a.rec").touch()
    (as_other_user / "dataset.toml").touch(mode=0o000)

    with pytest.raises(UnavailableError, match=r"dataset\.toml: Permission denied"):
        read_dataset(as_other_user)


def test_an_unknown_option_is_refused(folder: Path) -> None:
    with pytest.raises(InvalidDataError, match="options: unknown key 'Title'"):
        read_dataset(folder, options={"Title": "x"})


def test_a_single_file_is_a_dataset_named_without_its_suffix(folder: Path) -> None:
    say(folder, 'species = "Vibrio cholerae"\n[files."ts.mrc"]\nrole = "other"\n')

    dataset = read_dataset(folder / "ts_rec.mrc")

    assert dataset.sid == "ts_rec"
    assert roles_of(dataset) == {"ts_rec.mrc": Role.RECONSTRUCTION}
    assert dataset.details["speciesName"] == "Vibrio cholerae"


def test_the_current_folder_is_known_by_its_name(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)

    assert read_dataset(Path()).sid == "vc-042"


@pytest.mark.parametrize("sid", [" ", "line\nbreak"])
def test_an_unfit_id_is_refused(folder: Path, sid: str) -> None:
    with pytest.raises(InvalidDataError):
        read_dataset(folder, options={"sid": sid})


def test_an_id_said_to_be_unknown_is_refused(folder: Path) -> None:
    with pytest.raises(InvalidDataError, match="no id of its own"):
        read_dataset(folder, options={"sid": ""})


def test_a_tilt_series_is_pictured_where_nothing_was_reconstructed(
    folder: Path,
) -> None:
    (folder / "ts_rec.mrc").unlink()

    assert read_dataset(folder).key_volume == (folder / "ts.mrc").resolve()


def test_what_cannot_be_pictured_is_no_key_volume(tmp_path: Path) -> None:
    (tmp_path / "a.rec").write_bytes(b"no volume")

    dataset = read_dataset(tmp_path)

    assert dataset.key_volume is None
    assert dataset.warnings


def test_a_folder_named_in_bytes_that_are_not_utf_8_needs_an_id(
    tmp_path: Path,
) -> None:
    folder = tmp_path / os.fsdecode(b"\xe9t\xe9")
    folder.mkdir()
    (folder / "a.rec").touch()

    with pytest.raises(InvalidDataError, match="UTF-8"):
        read_dataset(folder)
    assert read_dataset(folder, options={"sid": "cafe"}).sid == "cafe"


def test_real_files_make_a_dataset(shared: Path, tmp_path: Path) -> None:
    for name in (
        "mrc/czdocs_wbp_i16_crop.mrc",
        "mrc/czdocs_aligned_tilt_series.st",
        "mdoc/mdocfile_tilt_series.mdoc",
    ):
        shutil.copy(shared / "data" / name, tmp_path)

    dataset = read_dataset(tmp_path, options={"species": "unknown species"})

    assert roles_of(dataset) == {
        "czdocs_aligned_tilt_series.st": Role.TILT_SERIES,
        "czdocs_wbp_i16_crop.mrc": Role.RECONSTRUCTION,
        "mdocfile_tilt_series.mdoc": Role.OTHER,
    }
    assert dataset.details["tiltAxis"] == 85.3
    assert dataset.details["swAquisition"] == "SerialEM"
    assert missing_fields(dataset) == []


def test_a_tilt_series_has_its_pixel_spacing(tmp_path: Path, make_mrc: Make) -> None:
    make_mrc(tmp_path / "ts.st", (3, 8, 8), 3.42)

    dataset = read_dataset(tmp_path)

    assert dataset.files[0].facts == {"role": "tiltSeries", "pixelSize": 3.42}
    assert dataset.details["pixelSize"] == 3.42


def test_what_options_leave_unsaid_of_a_file_stays_as_the_settings_say(
    folder: Path,
) -> None:
    say(folder, '[files."ts.mrc"]\nrole = "annotation"\n')

    dataset = read_dataset(folder, options={"files": {"ts.mrc": {"notes": "n"}}})

    assert (dataset.files[0].facts["role"], dataset.files[0].notes) == (
        "annotation",
        "n",
    )
