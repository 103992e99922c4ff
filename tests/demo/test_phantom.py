from __future__ import annotations

import numpy as np
import pytest

from etdb.demo.phantom import Phantom, Rod, spline, within
from etdb.demo.specimen import SPECIMENS, Specimen

SHAPE = (40, 96, 96)


@pytest.fixture
def phantom() -> Phantom:
    return Phantom.empty(SHAPE, seed=3)


def test_a_cell_has_two_membranes_and_crowded_inside(phantom: Phantom) -> None:
    rod = Rod([(-10, 0), (10, 0)], [32, 32], half_height=18)

    inside = phantom.cell(phantom.rod(rod))

    column = phantom.density[20, :, 48]
    peaks = [
        y
        for y in range(1, 95)
        if column[y] > max(column[y - 1], column[y + 1]) and column[y] > 1
    ]
    assert peaks == [16, 28, 68, 80]
    assert abs(float(column[0])) < 0.01
    assert column[48] == pytest.approx(0.3, abs=0.01)
    assert not phantom.free[inside > 0].any()
    assert phantom.free[20, 48, 48]


def test_distances_are_voxels_near_a_surface(phantom: Phantom) -> None:
    ball = phantom.ellipsoid((0, 0, 0), (15, 15, 15))
    rod = phantom.rod(Rod([(-20, 0), (20, 0)], [20, 20], squareness=2, half_height=20))

    assert ball[20, 48, 48 + 18] == pytest.approx(3, abs=0.2)
    assert rod[20, 48 + 24, 48] == pytest.approx(4, abs=0.3)


def test_an_icosahedron_is_between_its_spheres(phantom: Phantom) -> None:
    surface = phantom.icosahedron((0, 0, 0), 12)

    away = np.sqrt(phantom.x**2 + phantom.y**2 + phantom.z**2)
    assert (surface[away < 11.9] < 0).all()
    assert (surface[away > 12 * 1.26 + 0.1] > 0).all()


def test_drawing_in_a_part_draws_in_the_whole(phantom: Phantom) -> None:
    part = phantom.around([(10, -20, 5)], 4)

    part.fill(part.ellipsoid((10, -20, 5), (2, 2, 2)), 7)
    part.free |= True

    assert phantom.density[25, 28, 58] > 6
    assert phantom.free.sum() == 9**3


def test_parts_and_particles_beyond_the_box_are_cut_off(phantom: Phantom) -> None:
    phantom.particle((1000, 0, 0), 4, 1)
    phantom.particle((47, 47, 19), 4, 1)

    assert phantom.density[-1, -1, -1] > 0.9
    assert phantom.around([(0, 0, 0)], 1000).density.shape == SHAPE


def test_particles_are_put_only_where_there_is_room(phantom: Phantom) -> None:
    phantom.scatter(50, 3, 1)
    assert not phantom.density.any()

    phantom.free[20, 40:50, 40:50] = True
    phantom.scatter(50, 3, 1)

    assert phantom.density[20, 45, 45] > 0.5
    assert abs(phantom.density[20, 80, 80]) < 1e-6


def test_texture_roughens_the_inside_only(phantom: Phantom) -> None:
    ball = phantom.ellipsoid((0, 0, 0), (12, 12, 12))

    phantom.texture(ball, 0.3)

    assert phantom.density[ball < 0].std() == pytest.approx(0.3, rel=0.2)
    assert not phantom.density[ball > 0].any()


def test_a_path_is_the_distance_to_a_line(phantom: Phantom) -> None:
    away = phantom.path([(-20, 0, 0), (0, 0, 0), (20, 0, 0)])

    assert away[20, 48, 48] < 1
    assert away[20, 53, 48] == pytest.approx(5, abs=0.1)


def test_a_spline_goes_through_its_knots_in_small_steps() -> None:
    knots = np.array([(0.0, 0, 0), (10, 10, 0), (20, 0, 5)])

    points = spline(knots)

    steps = np.linalg.norm(np.diff(points, axis=0), axis=1)
    assert steps.max() < 1.6
    for knot in knots:
        assert np.linalg.norm(points - knot, axis=1).min() < 1e-9


def test_within_is_a_soft_step_without_overflow() -> None:
    surface = np.array([-1e9, 0, 1e9], np.float32)

    assert within(surface).tolist() == pytest.approx([1, 0.5, 0])


@pytest.mark.parametrize("specimen", SPECIMENS, ids=lambda one: one.feature)
def test_every_specimen_draws_the_same_cell_each_time(specimen: Specimen) -> None:
    first = Phantom.empty((24, 240, 240), seed=1)
    second = Phantom.empty((24, 240, 240), seed=1)

    specimen.draw(first)
    specimen.draw(second)

    middle = first.density[12]
    assert np.array_equal(first.density, second.density)
    assert np.isfinite(first.density).all()
    assert 0.15 < (middle > 0.2).mean() < 0.95
    assert (middle > 1).mean() > 0.02
