from __future__ import annotations

import math
import sys

import numpy as np
import pytest
from numpy.typing import NDArray

from etdb.demo.phantom import Phantom
from etdb.demo.project import Exposure, expose, load_iradon, project, reconstruct
from etdb.errors import UnavailableError

ANGLES = tuple(range(-60, 61, 3))
EXPOSURE = Exposure(ANGLES, 20.0, -8.0, 2000, 300)


def box_with_bead(x: float, y: float, z: float) -> NDArray[np.float32]:
    phantom = Phantom.empty((32, 24, 96), seed=1)
    phantom.particle((x, y, z), 2.5, 10)
    return phantom.density


def test_at_no_tilt_the_projection_is_the_sum() -> None:
    density = box_with_bead(5, 0, 3)

    assert np.allclose(project(density, 0), density.sum(axis=0), atol=1e-4)


@pytest.mark.parametrize("angle", [-60, -30, 20, 60])
def test_a_bead_moves_with_its_height_and_the_tilt(angle: int) -> None:
    image = project(box_with_bead(10, -4, 8), angle)

    row, column = np.unravel_index(image.argmax(), image.shape)
    radians = math.radians(angle)
    expected = 10 * math.cos(radians) + 8 * math.sin(radians)
    assert row - 12 == -4
    assert column - 48 == pytest.approx(expected, abs=1)


def test_what_lies_beyond_the_edge_is_like_the_edge() -> None:
    slab = np.zeros((8, 6, 40), np.float32)
    slab[2:6] = 1

    image = project(slab, 60)

    assert np.allclose(image, 4 / math.cos(math.radians(60)), rtol=1e-5)


def test_dense_matter_is_dark_and_counts_are_electrons() -> None:
    series = expose(box_with_bead(0, 0, 0), EXPOSURE, np.random.default_rng(1))

    electrons = 2000 / len(ANGLES) * 20**2
    middle = series[len(ANGLES) // 2]
    assert series.dtype == np.int16
    assert series.shape == (len(ANGLES), 24, 96)
    assert middle[12, 48] < middle.mean() - 2 * middle.std()
    assert middle.mean() == pytest.approx(electrons * math.exp(-0.3), rel=0.02)
    assert series[0].mean() < 0.8 * middle.mean()


@pytest.mark.parametrize("place", [(0, 0, 0), (-36, 5, 6), (20, -6, -9), (40, 0, 3)])
def test_a_bead_is_reconstructed_where_it_was(place: tuple[int, int, int]) -> None:
    x, y, z = place
    series = expose(box_with_bead(x, y, z), EXPOSURE, np.random.default_rng(1))
    heard: list[int] = []

    volume = reconstruct(series, ANGLES, 32, lambda: heard.append(1))

    found = np.argwhere(volume == volume.min()).mean(axis=0)
    assert volume.dtype == np.int8
    assert volume.shape == (32, 24, 96)
    assert np.abs(found - (z + 16, y + 12, x + 48)).max() <= 1
    assert len(heard) == 24


def test_the_missing_wedge_draws_a_bead_out_along_the_beam() -> None:
    series = expose(box_with_bead(0, 0, 0), EXPOSURE, np.random.default_rng(1))

    volume = reconstruct(series, ANGLES, 32, lambda: None).astype(int)

    dark = volume == volume.min()
    heights, _, columns = np.nonzero(dark)
    assert np.ptp(heights) > np.ptp(columns)


def test_tiles_leave_no_seam() -> None:
    ice = np.zeros((32, 24, 96), np.float32)
    series = expose(ice, EXPOSURE, np.random.default_rng(1))

    volume = reconstruct(series, ANGLES, 32, lambda: None).astype(float)

    steps = np.abs(np.diff(volume, axis=2)).mean(axis=(0, 1))
    assert steps[[31, 63]].max() < 1.25 * steps.mean()


def test_without_the_library_the_extra_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "skimage.transform", None)

    with pytest.raises(UnavailableError, match="scikit-image") as caught:
        load_iradon()

    assert "etdb[demo]" in caught.value.hint
