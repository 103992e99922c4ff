"""Twelve simulated bacteria, each drawn with the feature it is known for.

Sizes are the textbooks' at about 2 nm a voxel, shapes are simplified, and what
a real cell has besides is left out. Each function fills a `Phantom` of about
240 × 240 × 80 voxels.
"""

from __future__ import annotations

import math

import numpy as np

from etdb.demo import organelle
from etdb.demo.organelle import crowd, filament
from etdb.demo.phantom import MEMBRANE, Field, Phantom, Point, Rod, within


def draw_sheathed_flagellum(phantom: Phantom) -> None:
    """A curved cell with one flagellum in a sheath, and its motor."""
    outside = phantom.rod(Rod([(-190, 62), (-90, 34), (-38, 8)], [62, 64, 60]))
    inside = phantom.cell(outside)
    turn = math.radians(-24)
    pole = (-38 + 60 * math.cos(turn), 8 + 60 * math.sin(turn))
    phantom.free &= np.hypot(phantom.x - pole[0], phantom.y - pole[1]) > 34
    crowd(phantom, inside, 800)
    axis = [(pole[0] + 3, pole[1] - 1, 0), (44, -30, 0), (84, -30, 3), (140, -66, 6)]
    filament(phantom, axis, core=3.4, sheath=8.0)
    organelle.motor(phantom, pole, turn)


def draw_s_layer(phantom: Phantom) -> None:
    """A curved cell in a lattice of protein, with a stalk at its pole."""
    cell = phantom.rod(Rod([(-170, -60), (-70, -30), (-16, 6)], [58, 60, 54]))
    stalk = phantom.rod(Rod([(0, 16), (60, 62), (160, 96)], [21, 21, 21], 20))
    outside = np.minimum(cell, stalk)
    inside = phantom.cell(outside)
    organelle.s_layer(phantom, outside, height=9, spacing=9)
    organelle.granule(phantom, (-80, -44, 4), (20, 19, 20))
    crowd(phantom, inside, 800)


def draw_magnetosomes(phantom: Phantom) -> None:
    """A spiral cell with a chain of magnetite crystals in vesicles."""
    wave = [(x, 26 * math.sin(x / 54)) for x in range(-190, 60, 20)]
    outside = phantom.rod(Rod(wave, [56.0] * len(wave)))
    inside = phantom.cell(outside)
    for index, x in enumerate(range(-112, 64, 21)):
        y = 26 * math.sin(x / 54) + 4 + 3 * math.cos(index * 2.1)
        size = 7.4 - 2.2 * abs(index - 4) / 4
        organelle.magnetosome(phantom, (x, y, 3 * math.sin(index * 1.3)), size)
    crowd(phantom, inside, 800)
    filament(phantom, [(104, 20, 0), (114, -20, 4), (90, -70, 6), (110, -140, 8)], 2.4)


def draw_chemoreceptors(phantom: Phantom) -> None:
    """A pole with an array of receptors below the inner membrane."""
    outside = phantom.rod(Rod([(-200, -30), (-60, -4), (16, 12)], [70, 70, 66]))
    inside = phantom.cell(outside)
    angle = np.arctan2(phantom.y - 12, phantom.x - 16)
    patch = within(np.abs(angle + np.float32(0.2)) - np.float32(0.9), 0.03)
    phantom.free &= ~((patch > 0.1) & (inside > -24))
    between = within(np.abs(inside + 7.5) - 6.5, 0.7)
    receptors = 0.5 + 0.5 * np.cos(angle * 48)
    plate = np.exp(-(((inside + 15.5) / 1.2) ** 2) / 2)
    phantom.density += patch * (0.8 * receptors * between + 1.9 * plate)
    crowd(phantom, inside, 950)


def draw_carboxysomes(phantom: Phantom) -> None:
    """A cell full of polyhedral carboxysomes."""
    outside = phantom.rod(Rod([(-40, -30), (0, 0), (36, 30)], [70, 74, 70]))
    inside = phantom.cell(outside)
    places: tuple[tuple[Point, float], ...] = (
        ((-62, -56, 2), 17),
        ((-22, -26, -3), 18),
        ((-48, -8, 4), 14),
        ((6, 16, 3), 18),
        ((44, 18, -4), 16),
        ((14, 60, 4), 16),
        ((56, 58, 2), 15),
        ((12, -28, 5), 13),
    )
    for centre, radius in places:
        organelle.carboxysome(phantom, centre, radius)
    crowd(phantom, inside, 600)


def draw_gas_vesicles(phantom: Phantom) -> None:
    """An archaeon: one membrane, an S-layer, and bright gas vesicles."""
    outside = phantom.rod(Rod([(-180, 30), (0, 4), (24, -2)], [74, 74, 72]))
    phantom.fill(outside, 0.3)
    phantom.shell(outside, MEMBRANE)
    organelle.s_layer(phantom, outside, height=8, spacing=8)
    phantom.free |= outside < -8
    places: tuple[tuple[Point, float, float], ...] = (
        ((-78, 46, 0), 0.1, 44),
        ((-34, -22, 3), -0.5, 42),
        ((6, 36, -3), 0.3, 40),
        ((44, -18, 2), 1.1, 40),
        ((-92, -24, 2), 0.5, 34),
    )
    for centre, turn, half_length in places:
        organelle.gas_vesicle(phantom, centre, turn, half_length)
    crowd(phantom, outside, 700)


def draw_pili(phantom: Phantom) -> None:
    """A pole with type IV pili and their machines in the envelope."""
    outside = phantom.rod(Rod([(-200, 12), (-90, -4), (-40, 0)], [66, 68, 64]))
    inside = phantom.cell(outside)
    phantom.free &= inside < -16
    for turn, bend in ((-0.8, -16), (-0.4, 14), (0.0, -10), (0.38, 16), (0.8, -12)):
        ray = np.array([math.cos(turn), math.sin(turn)])
        side = np.array([-ray[1], ray[0]])
        steps = ((46, 0.0), (64, 0.0), (96, bend), (132, -bend), (190, 1.5 * bend))
        points: list[Point] = []
        for height, (reach, shift) in enumerate(steps):
            x, y = (-40, 0) + reach * ray + shift * side
            points.append((x, y, height))
        filament(phantom, points, core=3.2)
        for reach, radius in ((44, 5.0), (51, 4.0), (58, 4.6), (64, 5.4)):
            phantom.particle((-40 + reach * ray[0], reach * ray[1], 0), radius, 0.8)
    crowd(phantom, inside, 900)


def draw_spore(phantom: Phantom) -> None:
    """A mother cell with a thick wall and an engulfed forespore."""
    outside = phantom.rod(Rod([(-190, -24), (-40, -4), (30, 6)], [78, 80, 76]))
    membrane = outside + 14
    phantom.fill(outside, 0.38, 2.0)
    phantom.shell(outside, 0.5, 1.6, offset=-3)
    phantom.fill(membrane, 0.3)
    phantom.shell(membrane, MEMBRANE)
    spore = phantom.ellipsoid((22, 6, 0), (60, 46, 31))
    phantom.free |= (membrane < -7) & (spore > 10)
    crowd(phantom, membrane, 750)
    phantom.fill(spore - 4, 0.1)
    phantom.shell(spore, 1.5, 1.2, offset=4)
    phantom.shell(spore, 1.2, 1.0)
    phantom.shell(spore, 0.7, 1.6, offset=-6)
    core = spore + 17
    phantom.fill(core, 0.5)
    phantom.shell(core, MEMBRANE)
    phantom.free = core < -6
    crowd(phantom, core, 140)


def draw_storage_granules(phantom: Phantom) -> None:
    """A cell swollen with smooth storage granules."""
    outside = phantom.rod(Rod([(-40, 8), (0, 0), (40, -12)], [76, 82, 76]))
    inside = phantom.cell(outside)
    granules: tuple[tuple[Point, Point], ...] = (
        ((-66, 24, 0), (26, 24, 25)),
        ((-36, -30, 3), (31, 28, 27)),
        ((-2, 34, -2), (30, 26, 26)),
        ((54, 8, 2), (25, 24, 25)),
        ((38, -46, 0), (21, 20, 22)),
    )
    for centre, radii in granules:
        organelle.granule(phantom, centre, radii)
    for dark in ((8.0, -8.0, 0.0), (-84.0, -16.0, 2.0)):
        phantom.fill(phantom.ellipsoid(dark, (7, 7, 7)), 2.4)
    crowd(phantom, inside, 600)


def draw_periplasmic_flagella(phantom: Phantom) -> None:
    """A flat wave of a cell with flagella between its two membranes."""
    wave = [(x, 34 * math.sin(x / 60)) for x in range(-190, 200, 14)]
    outside = phantom.rod(Rod(wave, [50.0] * len(wave), 32))
    inside = phantom.cell(outside, gap=18)
    for shift, height in ((41, 9), (41, -9), (41, 0), (41.5, 16), (41.5, -16)):
        points: list[Point] = []
        for x, y in wave:
            slope = 34 / 60 * math.cos(x / 60)
            length = math.hypot(1, slope)
            points.append((x - slope * shift / length, y + shift / length, height))
        filament(phantom, points, core=2.8)
    crowd(phantom, inside, 500)


def draw_vesicles(phantom: Phantom) -> None:
    """A cell that sheds vesicles and a string of outer membrane."""
    outside = phantom.rod(Rod([(-190, 66), (-80, 40), (-30, 22)], [66, 66, 62]))
    inside = phantom.cell(outside)
    crowd(phantom, inside, 800)
    string = ((42, -8, 14), (64, -24, 12.5), (84, -42, 13), (104, -60, 12))
    loose = ((72, 48, 19), (-20, -72, 17), (28, -88, 12), (98, 88, 14), (-88, -66, 13))
    for x, y, radius in string + loose:
        organelle.vesicle(phantom, (x, y, 0), radius)
    organelle.vesicle(phantom, (76, 44, 0), 10)


def draw_phages(phantom: Phantom) -> None:
    """A small round cell with phages landed on its envelope."""
    outside = phantom.rod(Rod([(-8, -3), (8, 3)], [66, 68]))
    inside = phantom.cell(outside)
    crowd(phantom, inside, 500)
    for index, turn in enumerate((0.2, 0.95, 1.6, 2.6, 3.3, 4.1, 5.0, 5.7)):
        ray = (math.cos(turn), math.sin(turn))
        reach = _reach(outside, ray)
        foot = (reach * ray[0], reach * ray[1])
        height = 5 * math.sin(index * 2.4)
        organelle.phage(phantom, foot, ray, height, is_full=index not in (2, 5))
    for x, y in ((-96.0, 92.0), (98.0, -98.0)):
        organelle.phage_head(phantom, (x, y, 0), is_full=True)


def _reach(outside: Field, ray: tuple[float, float]) -> int:
    """How far from the middle, along a ray in the middle plane, a cell ends."""
    nz, ny, nx = outside.shape
    steps = np.arange(min(nx, ny) // 2)
    x = np.rint(steps * ray[0]).astype(int) + nx // 2
    y = np.rint(steps * ray[1]).astype(int) + ny // 2
    return int(np.argmax(outside[nz // 2, y, x] > 0))
