"""What the headers in a folder tell about its dataset.

Only what MRC, mdoc and tilt-angle files say; what they get wrong becomes a
warning that names the file. What the lab says itself is `mapping`'s affair.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath, PureWindowsPath

from etdb.errors import InvalidDataError
from etdb.lab.mapping import Fields, read_fields, wire_number
from etdb.lab.role import VOLUME_SUFFIXES, Evidence
from etdb.lab.tree import Found
from etdb.microscopy.mdoc import MdocSummary, read_mdoc, summary
from etdb.microscopy.mrc import MrcFile, read_header
from etdb.microscopy.tilt import read_tlt

_MDOC = ".mdoc"
_ANGLE_LISTS = frozenset({".tlt", ".rawtlt"})
_FEWEST_TILTS = 2
_SAME_SPACING = 0.01


@dataclass(frozen=True)
class Headers:
    """Everything readable in a folder, by file name."""

    volumes: Mapping[str, MrcFile]
    mdocs: Mapping[str, MdocSummary]
    tilt_angles_deg: Mapping[str, tuple[float, ...]]
    """Of each mdoc and list of angles that describes a tilt series."""
    warnings: tuple[str, ...]

    def evidence(self, name: str) -> Evidence:
        """What is known of one file that helps to guess its role."""
        volume = self.volumes.get(name)
        if volume is None or volume.shape is None:
            return Evidence(shape=None, has_tilt_angles=False)
        return Evidence(
            shape=volume.shape,
            has_tilt_angles=any(
                len(angles) == volume.shape[0]
                for other, angles in self.tilt_angles_deg.items()
                if self._speaks_of(other, name)
            ),
        )

    def spacing_angstrom(self, name: str) -> float | None:
        """The spacing of a volume's voxels; None if unknown or not cubic."""
        volume = self.volumes.get(name)
        spacing = volume.voxel_spacing_angstrom if volume is not None else None
        if spacing is None or not _is_cubic(spacing):
            return None
        return wire_number(spacing[0])

    def _speaks_of(self, other: str, name: str) -> bool:
        """Whether an mdoc or list of angles belongs to a volume beside it."""
        about, volume = PurePosixPath(other), PurePosixPath(name)
        if about.parent != volume.parent:
            return False
        mdoc = self.mdocs.get(other)
        image = mdoc.image_file if mdoc is not None else None
        # SerialEM runs on Windows and may write a whole path.
        if image is not None and PureWindowsPath(image).name == volume.name:
            return True
        return about.stem in (volume.name, volume.stem)


def read_headers(files: Sequence[Found]) -> Headers:
    """The headers of every MRC, mdoc and tilt-angle file among `files`.

    Raises UnavailableError where the disk refuses.
    """
    volumes: dict[str, MrcFile] = {}
    mdocs: dict[str, MdocSummary] = {}
    angles: dict[str, tuple[float, ...]] = {}
    warnings: list[str] = []
    for file in files:
        suffix = PurePosixPath(file.name).suffix.lower()
        if suffix in VOLUME_SUFFIXES:
            volumes[file.name] = read_header(file.path)
            warnings += _volume_warnings(file.name, volumes[file.name])
        elif suffix == _MDOC:
            mdoc = read_mdoc(file.path)
            mdocs[file.name] = summary(mdoc)
            angles[file.name] = _series_angles(mdocs[file.name])
            warnings += [f"{file.name}: {warning}" for warning in mdoc.warnings]
        elif suffix in _ANGLE_LISTS:
            angles[file.name] = read_tlt(file.path)
    series = {n: found for n, found in angles.items() if len(found) >= _FEWEST_TILTS}
    headers = Headers(volumes, mdocs, series, ())
    return replace(headers, warnings=(*warnings, *_count_warnings(headers)))


def header_fields(
    headers: Headers, spacing_sources: Mapping[str, Sequence[str]]
) -> tuple[Fields, tuple[str, ...]]:
    """(fields by search word, warnings about values that cannot be used).

    `spacing_sources` names, for each field that is a spacing, the volumes that
    may speak for the dataset, best first.
    """
    said: dict[str, object] = dict(_angle_fields(headers))
    for key, names in spacing_sources.items():
        spacings = (headers.spacing_angstrom(name) for name in names)
        said[key] = next((s for s in spacings if s is not None), None)
    name = _best_mdoc(headers)
    if name is not None:
        mdoc = mdoc_fields(headers.mdocs[name])
        said |= {key: value for key, value in mdoc.items() if value is not None}
    return _usable(said, name or "the headers")


def _series_angles(mdoc: MdocSummary) -> tuple[float, ...]:
    return mdoc.tilt_angles_deg if mdoc.tilt_min_deg is not None else ()


def _volume_warnings(name: str, volume: MrcFile) -> list[str]:
    warnings = [f"{name}: {warning}" for warning in volume.warnings]
    spacing = volume.voxel_spacing_angstrom
    if spacing is not None and not _is_cubic(spacing):
        sides = " × ".join(f"{side:g}" for side in spacing)
        warnings.append(f"{name}: the voxels are not cubes ({sides} Å): size left out")
    return warnings


def _count_warnings(headers: Headers) -> Iterator[str]:
    """Where an mdoc named after a volume describes another number of images."""
    for name, volume in headers.volumes.items():
        angles = headers.tilt_angles_deg.get(name + _MDOC, ())
        if angles and volume.shape is not None and len(angles) != volume.shape[0]:
            yield (
                f"{name}{_MDOC}: it describes {len(angles)} images,"
                f" {name} holds {volume.shape[0]}"
            )


def _is_cubic(spacing: tuple[float, float, float]) -> bool:
    return max(spacing) - min(spacing) <= _SAME_SPACING * max(spacing)


def _best_mdoc(headers: Headers) -> str | None:
    """The mdoc of the longest tilt series; else any but a montage's."""
    usable = [name for name, mdoc in headers.mdocs.items() if not mdoc.is_montage]
    return max(
        sorted(usable, reverse=True),
        key=lambda name: len(headers.tilt_angles_deg.get(name, ())),
        default=None,
    )


def mdoc_fields(mdoc: MdocSummary) -> dict[str, object]:
    """What an mdoc says, by search word; None where it does not say."""
    constant = mdoc.is_step_constant
    return {
        "date": mdoc.date,
        "microscope": mdoc.microscope,
        "defocus": mdoc.defocus_um,
        "dose": mdoc.dose_e_per_a2,
        "tilt_constant": None if constant is None else int(constant),
        "tilt_min": mdoc.tilt_min_deg,
        "tilt_max": mdoc.tilt_max_deg,
        "tilt_step": mdoc.tilt_step_deg,
        "magnification": mdoc.magnification,
        "acquisition": mdoc.software,
        "pixel_size": mdoc.pixel_spacing_angstrom,
        "voltage": mdoc.voltage_kv,
        "tilt_axis": mdoc.tilt_axis_deg,
        "tilt_scheme": mdoc.tilt_scheme,
    }


def _angle_fields(headers: Headers) -> dict[str, object]:
    """Tilt range and mean step of the longest list of angles."""
    longest = max(headers.tilt_angles_deg.values(), key=len, default=())
    if not longest:
        return {}
    low, high = min(longest), max(longest)
    return {
        "tilt_min": round(low, 2),
        "tilt_max": round(high, 2),
        "tilt_step": round((high - low) / (len(longest) - 1), 2),
    }


def _usable(said: Mapping[str, object], where: str) -> tuple[Fields, tuple[str, ...]]:
    fields: Fields = {}
    warnings = []
    for key, value in said.items():
        try:
            fields |= read_fields({key: value}, where)
        except InvalidDataError as exc:
            warnings.append(f"{exc.message}: left out")
    return fields, tuple(warnings)
