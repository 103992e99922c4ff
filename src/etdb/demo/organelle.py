"""Parts that several simulated cells share: granules, flagella, phages.

Each function adds one part to a `Phantom`; lengths are in voxels of about 2 nm.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from etdb.demo.phantom import MEMBRANE, Field, Phantom, Point

Plane = tuple[float, float]
RIBOSOME_RADIUS = 4.2
_PHAGE_RADIUS = 13.0
_RIM = 8.0


def crowd(phantom: Phantom, inside: Field, ribosomes: int) -> None:
    """Fill what is free of a cytoplasm with ribosomes and smaller protein."""
    phantom.scatter(ribosomes, RIBOSOME_RADIUS, 0.8)
    phantom.texture(np.where(phantom.free, inside + 4, 1), 0.22)


def filament(
    phantom: Phantom, points: Sequence[Point], core: float, sheath: float | None = None
) -> None:
    """A filament of radius `core`, with a membrane around it or none."""
    near = phantom.around(points, (sheath or core) + 6)
    away = near.path(points)
    if sheath is not None:
        near.fill(away - sheath, 0.15)
        near.shell(away - sheath, MEMBRANE * 0.9)
    near.density += 1.5 * np.exp(-((away / core) ** 4) / 2)


def motor(phantom: Phantom, base: Plane, turn: float) -> None:
    """A flagellar motor: rings about an axis that leaves the cell at `base`.

    `base` lies in the outer membrane; `turn` is the axis' angle in radians.
    """
    rings = ((-21, 11.0, 3.0), (-15.5, 9.0, 2.6), (-6.5, 7.0, 2.0), (-1, 8.0, 2.2))
    for along, radius, thickness in rings:
        for step in range(18):
            round_ = step * math.pi / 9
            across = radius * math.cos(round_)
            x = base[0] + along * math.cos(turn) - across * math.sin(turn)
            y = base[1] + along * math.sin(turn) + across * math.cos(turn)
            centre = (x, y, radius * math.sin(round_))
            phantom.particle(centre, thickness, 1.2)
    inner = (base[0] - 20 * math.cos(turn), base[1] - 20 * math.sin(turn), 0.0)
    filament(phantom, [inner, (base[0], base[1], 0.0)], core=2.6)


def granule(phantom: Phantom, centre: Point, radii: Point) -> None:
    """A smooth storage granule, lighter than the cytoplasm, with a rim."""
    near = phantom.around([centre], max(radii) + _RIM)
    surface = near.ellipsoid(centre, radii)
    near.fill(surface, -0.15)
    near.shell(surface, 0.9, 1.1)
    near.free &= surface > 4


def gas_vesicle(
    phantom: Phantom, centre: Point, turn: float, half_length: float
) -> None:
    """A spindle of protein around gas, which is brighter than ice."""
    near = phantom.around([centre], half_length + _RIM)
    x, y = near.x - np.float32(centre[0]), near.y - np.float32(centre[1])
    along = np.abs(x * math.cos(turn) + y * math.sin(turn))
    across = np.hypot(y * math.cos(turn) - x * math.sin(turn), near.z - centre[2])
    surface = np.maximum(across - 18, 0.64 * (along - half_length) + 0.77 * across)
    near.fill(surface, -0.8, 0.7)
    near.shell(surface, 1.6, 1.0)
    near.free &= surface > 4


def carboxysome(phantom: Phantom, centre: Point, radius: float) -> None:
    """A polyhedron of protein, packed with enzyme."""
    near = phantom.around([centre], 1.3 * radius + _RIM)
    surface = near.icosahedron(centre, radius)
    near.fill(surface, 0.75)
    near.shell(surface, 1.9, 1.0)
    near.shell(surface, -0.35, 1.6, offset=4)
    near.texture(surface + 3, 0.5, 1.6)
    near.free &= surface > 6


def magnetosome(phantom: Phantom, centre: Point, size: float) -> None:
    """A crystal of magnetite in its vesicle."""
    near = phantom.around([centre], 1.3 * size + _RIM)
    bubble = near.ellipsoid(centre, (size + 5, size + 5, size + 5))
    near.fill(bubble, 0.05)
    near.shell(bubble, MEMBRANE * 0.7)
    near.fill(near.icosahedron(centre, size), 5.0, 0.5)
    near.free &= bubble > 4


def vesicle(phantom: Phantom, centre: Point, radius: float) -> None:
    """A bubble of membrane with a little protein in it."""
    near = phantom.around([centre], radius + _RIM)
    surface = near.ellipsoid(centre, (radius, radius, radius))
    near.fill(surface, 0.2)
    near.shell(surface, MEMBRANE)
    near.texture(surface + 3, 0.25)


def s_layer(phantom: Phantom, outside: Field, height: float, spacing: float) -> None:
    """A lattice of protein at a height above a surface."""
    k = np.float32(2 * math.pi / spacing)
    waves = np.cos(k * phantom.x) + np.cos(k * phantom.y) + np.cos(k * phantom.z)
    layer = np.exp(-(((outside - height) / 1.5) ** 2) / 2)
    phantom.density += (0.75 + 0.3 * waves) * layer


def phage(
    phantom: Phantom, foot: Plane, ray: Plane, height: float, *, is_full: bool
) -> None:
    """A phage that stands on an envelope at `foot`, its head along `ray`."""
    tail = [(foot[0] + d * ray[0], foot[1] + d * ray[1], height) for d in (-8, 0, 4)]
    filament(phantom, tail, core=3.2)
    head = (foot[0] + 17 * ray[0], foot[1] + 17 * ray[1], height)
    phage_head(phantom, head, is_full=is_full)


def phage_head(phantom: Phantom, centre: Point, *, is_full: bool) -> None:
    """The head alone: dark with DNA, or an empty shell."""
    near = phantom.around([centre], _PHAGE_RADIUS * 1.3 + _RIM)
    surface = near.icosahedron(centre, _PHAGE_RADIUS)
    near.fill(surface, 0.9 if is_full else 0.05)
    near.shell(surface, 1.3, 0.9, offset=-0.5)
