from __future__ import annotations

import tomllib
from datetime import date
from pathlib import Path
from typing import Protocol

import numpy as np
import pytest

from etdb.demo.dataset import BOX_VOXELS, encode_settings
from etdb.demo.lab import MARKER, build_dataset
from etdb.demo.phantom import Phantom
from etdb.demo.specimen import SPECIMENS, Specimen
from etdb.microscopy.mdoc import read_mdoc, summary
from etdb.microscopy.mrc import open_volume, read_header
from etdb.microscopy.preview import find_zero_tilt, key_image
from etdb.microscopy.tilt import read_tlt
from etdb.record.model import FIELDS

pytestmark = pytest.mark.slow


class BuiltLab(Protocol):
    specimens: tuple[Specimen, ...]
    datasets: list[Path]


def test_a_dataset_is_what_a_lab_would_have(lab: BuiltLab) -> None:
    sid = lab.specimens[0].sid

    names = {path.name for path in lab.datasets[0].iterdir()}

    expected = {f"{sid}{suffix}" for suffix in (".rec", ".st", ".st.mdoc", ".rawtlt")}
    assert names == expected | {"dataset.toml", MARKER}


def test_volumes_are_right_mrc_files_with_their_spacing(lab: BuiltLab) -> None:
    for specimen, folder in zip(lab.specimens, lab.datasets, strict=True):
        spacing = specimen.exposure.pixel_spacing_angstrom
        tomogram = read_header(folder / f"{specimen.sid}.rec")
        series = read_header(folder / f"{specimen.sid}.st")

        assert tomogram.warnings == series.warnings == ()
        assert tomogram.voxel_spacing_angstrom == (spacing,) * 3
        assert series.voxel_spacing_angstrom == (spacing,) * 3
        assert (tomogram.mode, tomogram.is_stack) == (0, False)
        assert (series.mode, series.is_stack) == (1, True)
        assert tomogram.shape == BOX_VOXELS
        assert series.shape is not None
        assert series.shape[0] == len(specimen.exposure.tilt_angles_deg)
        assert "Synthetic" in tomogram.labels[0]


def test_the_mdoc_tells_how_it_was_taken(lab: BuiltLab) -> None:
    for specimen, folder in zip(lab.specimens, lab.datasets, strict=True):
        mdoc = read_mdoc(folder / f"{specimen.sid}.st.mdoc")
        told, meant = summary(mdoc), specimen.exposure

        assert mdoc.warnings == ()
        assert told.tilt_angles_deg == meant.tilt_angles_deg
        assert told.defocus_um == meant.defocus_um
        assert told.dose_e_per_a2 == pytest.approx(meant.dose_e_per_a2, abs=0.01)
        assert told.voltage_kv == meant.voltage_kv
        assert told.date == specimen.taken
        assert told.microscope == f"Simulated {meant.voltage_kv:g} kV"
        assert read_tlt(folder / f"{specimen.sid}.rawtlt") == meant.tilt_angles_deg


def test_the_image_at_zero_tilt_is_found(lab: BuiltLab) -> None:
    specimen = lab.specimens[0]
    angles = specimen.exposure.tilt_angles_deg

    section = find_zero_tilt(lab.datasets[0] / f"{specimen.sid}.st", len(angles))

    assert section is not None
    assert angles[section] == 0


def test_the_key_image_shows_the_specimen_dark_on_light(lab: BuiltLab) -> None:
    for specimen, folder in zip(lab.specimens, lab.datasets, strict=True):
        phantom = Phantom.empty(BOX_VOXELS, seed=1)
        specimen.draw(phantom)
        drawn = phantom.density[20:60].mean(axis=0)

        shown = np.asarray(key_image(folder / f"{specimen.sid}.rec"), float)

        assert np.corrcoef(drawn.ravel(), shown.ravel())[0, 1] < -0.4
        assert shown[drawn > 1].mean() < shown[drawn < 0.01].mean() - 50


def test_the_tomogram_uses_its_range(lab: BuiltLab) -> None:
    with open_volume(lab.datasets[0] / f"{lab.specimens[0].sid}.rec") as volume:
        middle = volume.read(40)

    assert middle.std() == pytest.approx(32, rel=0.3)


def test_the_same_specimen_gives_the_same_bytes(lab: BuiltLab, tmp_path: Path) -> None:
    slices: list[int] = []

    build_dataset(lab.specimens[0], tmp_path, slices.append)

    again = tmp_path / lab.specimens[0].sid
    assert sum(slices) == BOX_VOXELS[1]
    for path in lab.datasets[0].iterdir():
        assert path.read_bytes() == (again / path.name).read_bytes(), path.name


@pytest.mark.parametrize("specimen", SPECIMENS, ids=lambda one: one.feature)
def test_every_dataset_says_that_it_is_synthetic(specimen: Specimen) -> None:
    said = tomllib.loads(encode_settings(specimen))

    known = {spec.search for spec in FIELDS}
    assert set(said) <= known
    assert said["title"].startswith("Synthetic: ")
    for key in ("description", "notes"):
        assert "Synthetic" in said[key]
    for key in ("microscopist", "lab", "tags"):
        assert "synthetic" in said[key]
    assert said["date"] == specimen.taken


def test_the_lab_is_varied_and_its_ids_are_its_own() -> None:
    assert len(SPECIMENS) == 12
    assert len({one.sid for one in SPECIMENS}) == 12
    assert len({one.species.taxid for one in SPECIMENS}) == 12
    assert len({one.exposure for one in SPECIMENS}) > 8
    assert [one.taken for one in SPECIMENS] == sorted(one.taken for one in SPECIMENS)
    assert max(one.taken for one in SPECIMENS) < date(2026, 6, 1)
    assert all(one.sid.startswith(f"syn{one.taken}") for one in SPECIMENS)
