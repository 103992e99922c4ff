"""Density of simulated specimens: membranes, filaments, particles in ice.

Drawing only: which cell shows what is in `drawing`, how a microscope sees it
in `project`. Lengths are in voxels; positions are (x, y, z) from the middle of
the box; ice has density 0 and dense matter is positive.

    phantom = Phantom.empty((80, 240, 240), seed=1)
    inside = phantom.cell(phantom.rod(Rod([(-90, 0), (40, 0)], [60, 60])))
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

Field = NDArray[np.float32]
Point = tuple[float, float, float]

MEMBRANE = 1.5
CYTOPLASM = 0.3
PERIPLASM = 0.12
_LEG_VOXELS = 6


@dataclass(frozen=True)
class Rod:
    """A cell's shape: an axis in the plane, a radius along it, a height."""

    axis: Sequence[tuple[float, float]]
    radii: Sequence[float]
    """One for each point of the axis."""
    half_height: float = 34.0
    squareness: float = 3.0
    """2 is round in cross-section; more is flattened, as in thin ice."""


@dataclass
class Phantom:
    """A box of density that is drawn into, or a part of one."""

    density: Field
    free: NDArray[np.bool_]
    """Where `scatter` may put particles."""
    x: Field
    y: Field
    z: Field
    rng: np.random.Generator

    @classmethod
    def empty(cls, shape: tuple[int, int, int], seed: int) -> Phantom:
        """A box of ice, shape (nz, ny, nx)."""
        axes = (np.arange(n, dtype=np.float32) - n // 2 for n in shape)
        z, y, x = np.meshgrid(*axes, indexing="ij", sparse=True)
        rng = np.random.default_rng(seed)
        return cls(np.zeros(shape, np.float32), np.zeros(shape, bool), x, y, z, rng)

    def around(self, points: Sequence[Point], reach: float) -> Phantom:
        """The part of the box within reach of points; drawing in it draws here."""
        lowest, highest = np.min(points, axis=0), np.max(points, axis=0)
        slices = []
        for axis, low, high in zip(
            (self.x, self.y, self.z), lowest, highest, strict=True
        ):
            start = float(axis.flat[0])
            first = max(0, math.floor(low - reach - start))
            last = max(0, math.ceil(high + reach - start) + 1)
            slices.append(slice(first, last))
        sx, sy, sz = slices
        return Phantom(
            self.density[sz, sy, sx],
            self.free[sz, sy, sx],
            self.x[:, :, sx],
            self.y[:, sy],
            self.z[sz],
            self.rng,
        )

    def rod(self, rod: Rod) -> Field:
        """Distance to a cell's surface, negative inside, good near it."""
        knots = np.column_stack([np.asarray(rod.axis), np.asarray(rod.radii)])
        points = spline(knots)[::_LEG_VOXELS].astype(np.float32)
        ratio = np.full((1, *self.density.shape[1:]), np.inf, np.float32)
        for (x0, y0, r0), (x1, y1, r1) in pairwise(points):
            dx, dy = x1 - x0, y1 - y0
            along = ((self.x - x0) * dx + (self.y - y0) * dy) / (dx * dx + dy * dy)
            along = along.clip(0, 1)
            away = np.hypot(self.x - x0 - along * dx, self.y - y0 - along * dy)
            ratio = np.minimum(ratio, away / (r0 + along * (r1 - r0)))
        power = np.float32(rod.squareness)
        level = ratio**power + np.abs(self.z / np.float32(rod.half_height)) ** power
        return _distance(level ** (1 / power))

    def ellipsoid(self, centre: Point, radii: Point) -> Field:
        """Distance to an ellipsoid, negative inside, good near it."""
        level = np.zeros_like(self.density)
        for axis, c, r in zip((self.x, self.y, self.z), centre, radii, strict=True):
            level += ((axis - np.float32(c)) / np.float32(r)) ** 2
        return _distance(np.sqrt(level))

    def icosahedron(self, centre: Point, radius: float) -> Field:
        """Distance to an icosahedron, turned at random, negative inside."""
        turn = np.linalg.qr(self.rng.normal(size=(3, 3)))[0]
        x, y, z = (
            axis - np.float32(c)
            for axis, c in zip((self.x, self.y, self.z), centre, strict=True)
        )
        away = np.zeros_like(self.density)
        for nx, ny, nz in (_icosahedron_faces() @ turn).astype(np.float32):
            np.maximum(away, np.abs(x * nx + y * ny + z * nz), out=away)
        return away - np.float32(radius)

    def path(self, points: Sequence[Point]) -> Field:
        """Distance to a smooth line through points; slow in a large box."""
        squared = np.full(self.density.shape, np.inf, np.float32)
        for x, y, z in spline(np.asarray(points))[::2].astype(np.float32):
            near = (self.x - x) ** 2 + (self.y - y) ** 2 + (self.z - z) ** 2
            np.minimum(squared, near, out=squared)
        return np.sqrt(squared)

    def fill(self, surface: Field, density: float, softness: float = 0.8) -> None:
        """Give the inside of a surface one density, whatever was there."""
        self.density += within(surface, softness) * (density - self.density)

    def shell(
        self, surface: Field, weight: float, width: float = 1.0, offset: float = 0.0
    ) -> None:
        """Add a layer along a surface, `offset` outside it."""
        self.density += weight * np.exp(-(((surface - offset) / width) ** 2) / 2)

    def cell(self, outside: Field, *, gap: float = 12.0) -> Field:
        """A Gram-negative cell: two membranes, wall, cytoplasm.

        Returns the distance to the inner membrane.
        """
        inside = outside + np.float32(gap)
        self.fill(outside, PERIPLASM)
        self.fill(inside, CYTOPLASM)
        self.shell(outside, MEMBRANE)
        self.shell(outside, 0.3, 1.2, offset=-gap * 0.42)
        self.shell(inside, MEMBRANE * 0.9)
        self.free |= inside < -7
        return inside

    def scatter(self, count: int, radius: float, weight: float) -> None:
        """Put particles at random into what is free."""
        places = np.argwhere(self.free)
        if len(places) == 0:
            return
        start = np.array([self.x.flat[0], self.y.flat[0], self.z.flat[0]])
        chosen = places[self.rng.integers(len(places), size=count)]
        for x, y, z in chosen[:, ::-1] + start:
            self.particle((x, y, z), radius, weight * self.rng.uniform(0.7, 1.2))

    def particle(self, centre: Point, radius: float, weight: float) -> None:
        """Add one round particle with a soft rim."""
        near = self.around([centre], radius + 4)
        x, y, z = (np.float32(c) for c in centre)
        away = np.sqrt((near.x - x) ** 2 + (near.y - y) ** 2 + (near.z - z) ** 2)
        near.density += weight * within(away - np.float32(radius))

    def texture(self, where: Field, weight: float, grain: float = 1.5) -> None:
        """Roughen the inside of a surface, as crowded protein does."""
        noise = self.rng.standard_normal(where.shape, np.float32)
        rough = _smooth(noise, grain)
        rough *= weight / rough.std()
        self.density += np.where(where < 0, rough, 0)


def within(surface: Field, softness: float = 0.8) -> Field:
    """1 inside a surface, 0 outside, with a soft step between."""
    inside: Field = 1 / (1 + np.exp((surface / np.float32(softness)).clip(-40, 40)))
    return inside


def spline(knots: NDArray[np.float64]) -> NDArray[np.float64]:
    """Points about one voxel apart on a Catmull-Rom spline through knots."""
    ends = (2 * knots[0] - knots[1], 2 * knots[-1] - knots[-2])
    padded = np.vstack([ends[0], knots, ends[1]])
    pieces = []
    for a, b, c, d in zip(padded, padded[1:], padded[2:], padded[3:], strict=False):
        t = np.linspace(0, 1, max(2, int(np.linalg.norm(c - b))), endpoint=False)
        t = t[:, np.newaxis]
        bend, twist = 2 * a - 5 * b + 4 * c - d, 3 * (b - c) + d - a
        pieces.append(b + 0.5 * t * (c - a + t * (bend + t * twist)))
    return np.vstack([*pieces, knots[-1:]])


def _distance(level: Field) -> Field:
    """From a field that is 1 on a surface to the distance from it."""
    squares = np.zeros_like(level)
    for slope in np.gradient(level):
        squares += slope * slope
    distance: Field = (level - 1) / np.sqrt(squares).clip(1e-3)
    return distance


def _smooth(noise: Field, width: float) -> Field:
    """Blur by a Gaussian, the box's faces joined."""
    spectrum = np.fft.rfftn(noise)
    for axis, size in enumerate(noise.shape):
        is_last = axis == noise.ndim - 1
        frequencies = np.fft.rfftfreq(size) if is_last else np.fft.fftfreq(size)
        gain = np.exp(-2 * (np.pi * width * frequencies) ** 2)
        spectrum *= gain.reshape([-1 if i == axis else 1 for i in range(noise.ndim)])
    return np.fft.irfftn(spectrum, noise.shape, axes=(0, 1, 2)).astype(np.float32)


def _icosahedron_faces() -> NDArray[np.float64]:
    """Ten unit normals, one of each pair of opposite faces."""
    golden = (1 + math.sqrt(5)) / 2
    faces: list[Point] = [(1, 1, 1), (1, 1, -1), (1, -1, 1), (-1, 1, 1)]
    for sign in (1, -1):
        faces += [
            (0, 1 / golden, sign * golden),
            (1 / golden, sign * golden, 0),
            (sign * golden, 0, 1 / golden),
        ]
    return np.asarray(faces, float) / math.sqrt(3)
