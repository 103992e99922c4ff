"""A simulated dataset as files: tilt series, mdoc, tomogram, dataset.toml.

Real MRC and SerialEM-style mdoc, byte for byte the same whenever they are
made on the same machine. Where they go and whether they exist is `lab`'s.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Mapping
from datetime import datetime, time, timedelta
from pathlib import Path
from typing import Any

import mrcfile  # type: ignore[import-untyped]
import numpy as np
from numpy.typing import NDArray

from etdb.demo.phantom import Phantom
from etdb.demo.project import Exposure, expose, reconstruct
from etdb.demo.specimen import Specimen

BOX_VOXELS = (80, 240, 240)
MICROSCOPIST = "etdb demo (synthetic)"
LAB = "etdb demo lab (synthetic)"
_LABEL = "Synthetic data, simulated by etdb"
_MAGNIFICATION_AT_1_ANGSTROM = 100_000
_SECONDS_PER_TILT = 75


def write_dataset(
    specimen: Specimen, folder: Path, on_slice: Callable[[int], None]
) -> None:
    """Simulate a specimen and write its files into an empty folder.

    `on_slice` hears of each finished row of the reconstruction. Raises
    UnavailableError without scikit-image, OSError where the disk refuses.
    """
    exposure = specimen.exposure
    phantom = Phantom.empty(BOX_VOXELS, seed=zlib.crc32(specimen.sid.encode()))
    specimen.draw(phantom)
    series = expose(phantom.density, exposure, phantom.rng)
    angles = exposure.tilt_angles_deg
    volume = reconstruct(series, angles, BOX_VOXELS[0], lambda: on_slice(1))
    name = f"{specimen.sid}.st"
    spacing = exposure.pixel_spacing_angstrom
    _write_mrc(folder / name, series, spacing, is_stack=True)
    _write_mrc(folder / f"{specimen.sid}.rec", volume, spacing, is_stack=False)
    mdoc = encode_mdoc(specimen, name, series)
    (folder / f"{name}.mdoc").write_text(mdoc, "utf-8")
    rawtlt = "".join(f"{angle:7.2f}\n" for angle in angles)
    (folder / f"{specimen.sid}.rawtlt").write_text(rawtlt, "utf-8")
    (folder / "dataset.toml").write_text(encode_settings(specimen), "utf-8")


def _write_mrc(
    path: Path, data: NDArray[Any], spacing_angstrom: float, *, is_stack: bool
) -> None:
    with mrcfile.new(path) as mrc:
        mrc.set_data(data)
        if is_stack:
            mrc.set_image_stack()
        else:
            mrc.set_volume()
        mrc.voxel_size = spacing_angstrom
        # mrcfile's own label holds the time, and would differ at each run.
        mrc.header.label[0] = _LABEL


def encode_mdoc(specimen: Specimen, image_file: str, series: NDArray[np.int16]) -> str:
    """The mdoc of a tilt series, as SerialEM lays it out."""
    exposure = specimen.exposure
    start = datetime.combine(specimen.taken, time(9, 30))
    _, ny, nx = series.shape
    title = f"etdb demo: {microscope_name(exposure)}"
    lines = [
        f"PixelSpacing = {exposure.pixel_spacing_angstrom:g}",
        f"Voltage = {exposure.voltage_kv:g}",
        f"ImageFile = {image_file}",
        f"ImageSize = {nx} {ny}",
        "DataMode = 1",
        "",
        f"[T = {title:<45} {_stamp(start)}    ]",
        "",
        "[T =     Tilt axis angle = 0.0, binning = 1  spot = 8  camera = 0]",
        "",
    ]
    for index, image in enumerate(series):
        taken = start + timedelta(seconds=index * _SECONDS_PER_TILT)
        lines.append(f"[ZValue = {index}]")
        section = _section(exposure, index, image)
        lines += [f"{key} = {value}" for key, value in section.items()]
        lines += [f"DateTime = {_stamp(taken)}", ""]
    return "\n".join(lines)


def _section(
    exposure: Exposure, index: int, image: NDArray[np.int16]
) -> Mapping[str, str]:
    dose = exposure.dose_e_per_a2 / len(exposure.tilt_angles_deg)
    spacing = exposure.pixel_spacing_angstrom
    return {
        "TiltAngle": f"{exposure.tilt_angles_deg[index]:.4f}",
        "Magnification": f"{_MAGNIFICATION_AT_1_ANGSTROM / spacing:.0f}",
        "ExposureDose": f"{dose:.6g}",
        "PixelSpacing": f"{spacing:g}",
        "Defocus": f"{exposure.defocus_um:g}",
        "RotationAngle": "90",
        "ExposureTime": "1",
        "Binning": "1",
        "MinMaxMean": f"{image.min()} {image.max()} {image.mean():.2f}",
        "TargetDefocus": f"{exposure.defocus_um:g}",
        "PriorRecordDose": f"{dose * index:.6g}",
    }


def _stamp(moment: datetime) -> str:
    months = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec"
    return f"{moment:%d}-{months.split()[moment.month - 1]}-{moment:%y  %H:%M:%S}"


def microscope_name(exposure: Exposure) -> str:
    """The microscope, which does not exist."""
    return f"Simulated {exposure.voltage_kv:g} kV"


def encode_settings(specimen: Specimen) -> str:
    """dataset.toml: what headers do not tell, under the search words."""
    species = specimen.species
    title = f"Synthetic: {species.name} with {specimen.feature}"
    shown = specimen.feature.removeprefix("a ").removeprefix("an ")
    values: Mapping[str, str | int] = {
        "title": title,
        "description": f"{specimen.description} Synthetic data: a simulation.",
        "tags": f"synthetic,demo,{shown}",
        "species": species.name,
        "taxid": species.taxid,
        "strain": "none (simulated)",
        "axes": 1,
        "microscopist": MICROSCOPIST,
        "lab": LAB,
        "notes": "Synthetic data: simulated by etdb, never recorded from a cell.",
        "reconstruction": "etdb demo with scikit-image",
        "reconstruction_method": "weighted back-projection",
        "license": "CC0-1.0",
    }
    lines = [f"{key} = {json.dumps(value)}" for key, value in values.items()]
    return "\n".join([*lines, f"date = {specimen.taken.isoformat()}", ""])
