"""What a file is to its dataset, guessed from what can be seen of it.

A guess, never a fact: whoever publishes sees it first and may say otherwise.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import PurePosixPath

from etdb.record.model import Role

VOLUME_SUFFIXES = frozenset({".mrc", ".rec", ".st", ".ali", ".preali", ".map", ".mrcs"})

_IMAGES = {
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".png": "image/png",
    ".gif": "image/gif",
    ".webp": "image/webp",
}
_MOVIES = {
    ".mp4": "video/mp4",
    ".mov": "video/quicktime",
    ".avi": "video/x-msvideo",
    ".webm": "video/webm",
    ".flv": "video/x-flv",
}
_TEXTS = {
    ".mdoc": "text/plain",
    ".tlt": "text/plain",
    ".rawtlt": "text/plain",
    ".xf": "text/plain",
    ".txt": "text/plain",
    ".json": "application/json",
    ".pdf": "application/pdf",
}
_MEDIA_TYPES = _IMAGES | _MOVIES | _TEXTS

_SERIES_SUFFIXES = frozenset({".st", ".ali", ".preali", ".mrcs"})
_FRAMES = frozenset({"frame", "frames"})
_SUBVOLUME = frozenset({"subvol", "subvolume", "subtomo", "subtomogram", "particle"})
_RECONSTRUCTED = frozenset({"rec", "recon", "reconstruction", "wbp", "sirt"})
_TOMOGRAM = frozenset({"tomo", "tomogram", "volume", "3dimage"})
_TILTED = frozenset(
    {"ts", "tilt", "tilts", "tiltseries", "stack", "st", "ali", "raw", "rawdata"}
)

THIN = 16
"""A stack over this many times wider than deep is taken for a tilt series."""


@dataclass(frozen=True)
class Evidence:
    """What the headers tell about one volume file."""

    shape: tuple[int, int, int] | None
    """(nz, ny, nx) voxels, or None if the header cannot be read."""
    has_tilt_angles: bool
    """An mdoc or a list of tilt angles speaks of this very file."""


NOTHING = Evidence(shape=None, has_tilt_angles=False)


def media_type_of(name: str) -> str | None:
    """The media type a file's name promises, if it is a known one."""
    return _MEDIA_TYPES.get(PurePosixPath(name).suffix.lower())


def guess_role(name: str, evidence: Evidence = NOTHING) -> Role:
    """What a file seems to be: by name first, then by what its header says."""
    path = PurePosixPath(name.lower())
    if path.suffix in _IMAGES:
        return _role_of_image(path.stem)
    if path.suffix in _MOVIES:
        return Role.KEYMOV if path.stem.startswith("keymov_") else Role.PREVIEW
    if path.suffix not in VOLUME_SUFFIXES:
        return Role.OTHER
    return _role_of_volume(path, evidence)


def _role_of_image(stem: str) -> Role:
    if not stem.startswith("keyimg_"):
        return Role.SNAPSHOT
    return Role.THUMBNAIL if stem.endswith("_s") else Role.KEYIMG


def _role_of_volume(path: PurePosixPath, evidence: Evidence) -> Role:
    words = _words(str(path.with_suffix("")))
    signs = (
        (bool(words & _FRAMES), Role.OTHER),
        (bool(words & _SUBVOLUME), Role.SUBVOLUME),
        (path.suffix == ".rec", Role.RECONSTRUCTION),
        (bool(words & _RECONSTRUCTED), Role.RECONSTRUCTION),
        (path.suffix in _SERIES_SUFFIXES, Role.TILT_SERIES),
        (evidence.has_tilt_angles, Role.TILT_SERIES),
        (bool(words & _TOMOGRAM), Role.RECONSTRUCTION),
        (bool(words & _TILTED), Role.TILT_SERIES),
    )
    named = next((role for is_seen, role in signs if is_seen), None)
    return named or _role_of_shape(evidence.shape)


def _words(text: str) -> frozenset[str]:
    """Words of a path: `raw/TS_01-bin4` has raw, ts and bin."""
    pieces = re.split(r"[^a-z0-9]+", text)
    return frozenset(piece.rstrip("0123456789") for piece in pieces)


def _role_of_shape(shape: tuple[int, int, int] | None) -> Role:
    if shape is None or shape[0] <= 1:
        return Role.OTHER
    return Role.TILT_SERIES if shape[0] * THIN < shape[2] else Role.RECONSTRUCTION
