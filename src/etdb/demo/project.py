"""A simulated microscope: tilt, project, defocus, expose, reconstruct.

The tilt axis is Y. Volumes are (nz, ny, nx), tilt series (tilts, ny, nx). The
reconstruction is weighted back-projection by scikit-image, slice by slice.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from etdb.errors import UnavailableError

_SPECIMEN_CONTRAST = 0.0035
_AMPLITUDE_CONTRAST = 0.25
_ICE_ATTENUATION = 0.3
_MARGIN_PX = 64
_REACH = 3


@dataclass(frozen=True)
class Exposure:
    """How a tilt series is taken."""

    tilt_angles_deg: tuple[float, ...]
    pixel_spacing_angstrom: float
    defocus_um: float
    """Negative is underfocus."""
    dose_e_per_a2: float
    """Over the whole series."""
    voltage_kv: float


def project(density: NDArray[np.float32], angle_deg: float) -> NDArray[np.float32]:
    """The sum of a volume along the beam at one tilt, shape (ny, nx).

    What lies beyond the box in x is taken to be as its edge is.
    """
    nz, ny, nx = density.shape
    cosine, sine = math.cos(math.radians(angle_deg)), math.sin(math.radians(angle_deg))
    columns = np.arange(nx) - nx // 2
    image = np.zeros((nx, ny), np.float32)
    for layer, height in zip(density, np.arange(nz) - nz // 2, strict=True):
        place = ((columns - height * sine) / cosine + nx // 2).clip(0, nx - 1)
        left = np.minimum(place.astype(int), nx - 2)
        rest = (place - left).astype(np.float32)[:, np.newaxis]
        across = layer.T
        image += across[left] * (1 - rest) + across[left + 1] * rest
    return image.T / np.float32(cosine)


def expose(
    density: NDArray[np.float32], exposure: Exposure, rng: np.random.Generator
) -> NDArray[np.int16]:
    """A tilt series in electron counts: dense matter is dark."""
    count = len(exposure.tilt_angles_deg)
    area = exposure.pixel_spacing_angstrom**2
    electrons = exposure.dose_e_per_a2 / count * area
    by_column = np.ascontiguousarray(density.transpose(0, 2, 1)).transpose(0, 2, 1)
    series = np.empty((count, *density.shape[1:]), np.int16)
    for index, angle in enumerate(exposure.tilt_angles_deg):
        image = _defocus(project(by_column, angle), exposure)
        loss = _ICE_ATTENUATION / math.cos(math.radians(angle))
        counts = electrons * np.exp(-loss - _SPECIMEN_CONTRAST * image)
        series[index] = rng.poisson(counts).clip(0, 32767)
    return series


def reconstruct(
    series: NDArray[np.int16],
    tilt_angles_deg: Sequence[float],
    thickness: int,
    on_slice: Callable[[], None],
) -> NDArray[np.int8]:
    """A tomogram from a tilt series by weighted back-projection, int8.

    The library reconstructs squares and a tomogram is a thin slab: it is put
    together from squares as wide as it is thick, of which nx is a multiple.
    """
    iradon = load_iradon()
    _, ny, nx = series.shape
    angles = np.asarray(tilt_angles_deg)
    half = thickness // 2
    tiles = {
        centre + nx // 2: _centred(series, angles, centre, _REACH * thickness)
        for centre in range(half - nx // 2, nx // 2, thickness)
    }
    volume = np.empty((thickness, ny, nx), np.float32)
    for row in range(ny):
        for middle, tile in tiles.items():
            volume[:, row, middle - half : middle + half] = iradon(
                tile[:, row].T,
                theta=-angles,  # its rows run against z
                output_size=thickness,
                filter_name="hamming",
                circle=False,
            )
        on_slice()
    return _to_int8(volume)


def _centred(
    series: NDArray[np.int16], angles_deg: NDArray[np.float64], centre: int, width: int
) -> NDArray[np.float64]:
    """Logarithms of a tilt series, `width` columns about the one at x = centre."""
    levels = series.mean(axis=(1, 2), keepdims=True)
    flat = np.log(np.maximum(series, 1) / levels)
    nx = series.shape[2]
    padded = np.pad(flat, ((0, 0), (0, 0), (nx // 2, nx // 2)), "edge")
    shift = centre * np.cos(np.radians(angles_deg))[:, np.newaxis, np.newaxis]
    turn = np.exp(2j * np.pi * np.fft.rfftfreq(2 * nx) * shift)
    moved = np.fft.irfft(np.fft.rfft(padded) * turn, 2 * nx)
    return moved[:, :, nx - width // 2 : nx - width // 2 + width]


def load_iradon() -> Callable[..., NDArray[np.float64]]:
    """scikit-image's back-projection. Raises UnavailableError without it."""
    try:
        from skimage.transform import iradon  # noqa: PLC0415  an optional extra
    except ImportError as exc:
        msg = "the simulated lab needs scikit-image, which is not installed"
        raise UnavailableError(msg, hint="pip install 'etdb[demo]'") from exc
    found: Callable[..., NDArray[np.float64]] = iradon
    return found


def _defocus(image: NDArray[np.float32], exposure: Exposure) -> NDArray[np.float64]:
    """The image as underfocus shows it: edges gain, broad density fades."""
    padded = np.pad(image, _MARGIN_PX, "reflect")
    fy = np.fft.fftfreq(padded.shape[0], exposure.pixel_spacing_angstrom)
    fx = np.fft.rfftfreq(padded.shape[1], exposure.pixel_spacing_angstrom)
    squared = fy[:, np.newaxis] ** 2 + fx**2
    defocus_angstrom = -exposure.defocus_um * 1e4
    phase = math.pi * _wavelength_angstrom(exposure.voltage_kv) * defocus_angstrom
    shift = math.asin(_AMPLITUDE_CONTRAST)
    gain = np.sin(phase * squared + shift)
    seen = np.fft.irfft2(np.fft.rfft2(padded) * gain, padded.shape)
    inner = slice(_MARGIN_PX, -_MARGIN_PX)
    return seen[inner, inner]


def _wavelength_angstrom(voltage_kv: float) -> float:
    """De Broglie's, relativistic."""
    volts = voltage_kv * 1e3
    return 12.2643 / math.sqrt(volts + 0.97845e-6 * volts * volts)


def _to_int8(volume: NDArray[np.float32]) -> NDArray[np.int8]:
    """The mean at 0 and 4σ at 127: what lies beyond is cut off."""
    scaled = (volume - volume.mean()) * (127 / 4 / volume.std())
    whole: NDArray[np.int8] = np.rint(scaled).clip(-128, 127).astype(np.int8)
    return whole
