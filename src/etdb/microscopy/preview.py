"""Key images: what a dataset looks like at a glance, made from its own data.

Of a volume, the mean of its central 40 slices; of a tilt series, the image
taken nearest 0°. Contrast is the mean ± 3σ, grey, protein dark as it is in the
data. Pictures are only ever made smaller. The same data gives the same bytes.

    write_key_images(Path("ts01.rec"), folder, "ts01")
    ->  keyimg_ts01.jpg, keyimg_ts01_m.jpg, keyimg_ts01_s.jpg
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from etdb.durable import write_bytes
from etdb.errors import InvalidDataError
from etdb.microscopy.mdoc import read_mdoc, summary
from etdb.microscopy.mrc import open_volume
from etdb.microscopy.tilt import nearest_zero, read_tlt

CENTRAL_SLICES = 40
KEY_IMAGE_SIDES_PX = {"": 1024, "_m": 512, "_s": 160}
_JPEG_QUALITY = 90
_SIGMAS = 3.0
_MAX_SIDE_PX = 1 << 17
_BINNED_SIDE_PX = 4096
_BAND_VALUES = 1 << 22
_STACK_SUFFIXES = {".st", ".ali", ".preali", ".mrcs"}
_VOLUME_SUFFIXES = {".rec", ".map"}


class Sections(Protocol):
    """What a picture is made from: an open volume, or one in memory."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """Sections, rows, columns."""

    def read(
        self, section: int, first_row: int = 0, end_row: int | None = None
    ) -> NDArray[Any]:
        """Rows of one section."""


def key_image(path: Path) -> Image.Image:
    """The picture of an MRC file in the data's own pixels, mode L.

    Images over 4096 px are binned while they are read, so that memory stays
    bounded. Raises InvalidDataError where no picture can be made of the file,
    UnavailableError where it cannot be read.
    """
    with open_volume(path) as volume:
        section = find_zero_tilt(path, volume.shape[0])
        if section is None:
            return render(volume, _central(volume.shape[0]))
        return render(volume, range(section, section + 1))


def render(volume: Sections, chosen: range) -> Image.Image:
    """The mean of the chosen sections as a grey picture, mean ± 3σ."""
    _, ny, nx = volume.shape
    if max(ny, nx) > _MAX_SIDE_PX:
        msg = f"images of {nx} × {ny} are too large for a picture"
        raise InvalidDataError(msg)
    bands = list(_mean_bands(volume, chosen))
    return Image.fromarray(_to_grey(np.concatenate(bands)))


def write_key_images(volume: Path, folder: Path, sid: str) -> Mapping[str, Path]:
    """Three JPEGs of a volume in a folder, by name: 1024, 512 and 160 px.

    The sizes are of the longer side, and upper limits: smaller data gives
    smaller pictures. Raises as `key_image` does; UnavailableError where the
    folder cannot be written.
    """
    picture = key_image(volume)
    written = {}
    for suffix, side in KEY_IMAGE_SIDES_PX.items():
        name = f"keyimg_{_safe_name(sid)}{suffix}.jpg"
        write_bytes(folder / name, _encode_jpeg(picture, side))
        written[name] = folder / name
    return written


def find_zero_tilt(path: Path, sections: int) -> int | None:
    """The section nearest 0° where a file is a tilt series, else None.

    It is one by its suffix (.st), or when an mdoc, .rawtlt or .tlt file beside
    it lists as many angles as it has sections; without angles the middle
    section stands for 0°.
    """
    if path.suffix.lower() in _VOLUME_SUFFIXES or sections < 2:
        return None
    for angles in _angles_beside(path):
        if len(angles) == sections:
            return nearest_zero(angles)
    return sections // 2 if path.suffix.lower() in _STACK_SUFFIXES else None


def _angles_beside(path: Path) -> Iterator[tuple[float, ...]]:
    for mdoc in (path.with_name(path.name + ".mdoc"), path.with_suffix(".mdoc")):
        if mdoc.is_file():
            yield summary(read_mdoc(mdoc)).tilt_angles_deg
    for suffix in (".rawtlt", ".tlt"):
        if path.with_suffix(suffix).is_file():
            yield read_tlt(path.with_suffix(suffix))


def _central(sections: int) -> range:
    first = max(0, (sections - CENTRAL_SLICES) // 2)
    return range(first, min(sections, first + CENTRAL_SLICES))


def _mean_bands(volume: Sections, chosen: range) -> Iterator[NDArray[np.float64]]:
    """Bands of the mean of the chosen sections, top to bottom, binned."""
    _, ny, nx = volume.shape
    binning = -(-max(ny, nx) // _BINNED_SIDE_PX)
    rows = max(1, _BAND_VALUES // (nx * binning)) * binning
    for first in range(0, ny, rows):
        end = min(first + rows, ny)
        total = np.zeros((end - first, nx))
        for section in chosen:
            total += volume.read(section, first, end)
        yield _bin(total / len(chosen), binning)


def _bin(band: NDArray[np.float64], binning: int) -> NDArray[np.float64]:
    """Means of squares; the last row and column of squares may be narrower."""
    if binning == 1:
        return band
    for axis in (0, 1):
        starts = np.arange(0, band.shape[axis], binning)
        counts = np.diff(np.append(starts, band.shape[axis]))
        sums = np.add.reduceat(band, starts, axis)
        band = sums / (counts[:, np.newaxis] if axis == 0 else counts)
    return band


def _to_grey(image: NDArray[np.float64]) -> NDArray[np.uint8]:
    known = np.isfinite(image)
    if not known.any():
        return np.full(image.shape, 128, np.uint8)
    mean, sigma = image[known].mean(), image[known].std()
    if sigma == 0:
        return np.full(image.shape, 128, np.uint8)
    scaled: NDArray[np.float64] = (np.where(known, image, mean) - mean) / (
        2 * _SIGMAS * sigma
    ) + 0.5
    return (scaled.clip(0, 1) * 255 + 0.5).astype(np.uint8)


def _encode_jpeg(picture: Image.Image, side_px: int) -> bytes:
    smaller = picture.copy()
    smaller.thumbnail((side_px, side_px), Image.Resampling.LANCZOS, reducing_gap=None)
    buffer = io.BytesIO()
    smaller.save(buffer, "JPEG", quality=_JPEG_QUALITY)
    return buffer.getvalue()


def _safe_name(sid: str) -> str:
    """A sid as part of a file name: no separators, short enough for any disk."""
    kept = "".join(c if c.isprintable() and c not in "/\\" else "_" for c in sid)
    return kept.encode("utf-8", "replace")[:180].decode("utf-8", "ignore")
