"""Small synthetic files of a lab."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import mrcfile  # type: ignore[import-untyped]
import numpy as np
import pytest

MakeMrc = Callable[..., Path]


@pytest.fixture
def make_mrc() -> MakeMrc:
    """Write an int8 volume of a shape; spacing 0 is unknown."""

    def make(path: Path, shape: tuple[int, int, int], spacing: float = 0.0) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        data = np.arange(np.prod(shape), dtype=np.int64) % 100
        with mrcfile.new(path) as file:
            file.set_data(data.astype(np.int8).reshape(shape))
            file.voxel_size = spacing
        return path

    return make


@pytest.fixture
def make_mdoc() -> Callable[..., Path]:
    """Write an mdoc of a tilt series as SerialEM does."""

    def make(path: Path, image: str, angles: tuple[float, ...], more: str = "") -> Path:
        lines = [
            "PixelSpacing = 5.4",
            "Voltage = 300",
            f"ImageFile = {image}",
            "[T = SerialEM: Digitized on Test scope   30-Nov-15  15:14:20 ]",
            "[T =     Tilt axis angle = 85.3, binning = 4  spot = 8 ]",
            more,
        ]
        for number, angle in enumerate(angles):
            lines += [
                f"[ZValue = {number}]",
                f"TiltAngle = {angle}",
                "Magnification = 42000",
                "ExposureDose = 2.5",
                "TargetDefocus = -4",
            ]
        path.write_text("\n".join(lines), "latin-1")
        return path

    return make


@pytest.fixture
def as_other_user() -> Iterator[Path]:
    """A folder that anybody may enter, while the test acts as no special user.

    The superuser may read everything, so that a file without permissions shows
    nothing unless the test gives up that power for its length.
    """
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o777)
    is_root = os.geteuid() == 0
    if is_root:
        os.seteuid(65534)
    try:
        yield folder
    finally:
        if is_root:
            os.seteuid(0)
        shutil.rmtree(folder)
