"""A folder of files as a dataset: what it holds and what is known of it.

One folder, or one file, is one dataset. What is known comes from the node's
defaults, the headers in the files, `dataset.toml` beside them, and options;
the later wins. Nothing is hashed, written or published here.

    dataset = read_dataset(Path("ts-042"), options={"species": "Vibrio cholerae"})
    for missing in missing_fields(dataset):
        print(missing.field, missing.option)
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from typing import Any

from etdb.errors import InvalidDataError, UnavailableError
from etdb.lab.header import Headers, header_fields, read_headers
from etdb.lab.mapping import (
    NO_FACTS,
    Fields,
    FileFacts,
    place_fields,
    read_fields,
    read_files,
    wire_number,
)
from etdb.lab.role import guess_role, media_type_of
from etdb.lab.tree import SETTINGS_NAME, Found, list_files, verify_name
from etdb.record.model import Role

NOTHING_SAID: Mapping[str, object] = MappingProxyType({})
DEFAULT_TAGS = "etdb,tomogram,electron.tomography"

_PIXELS = frozenset({Role.TILT_SERIES})
_PICTURED = frozenset({Role.RECONSTRUCTION, Role.TILT_SERIES})
_VOXELS = frozenset({Role.RECONSTRUCTION, Role.SUBVOLUME})


@dataclass(frozen=True)
class LabFile:
    """One file of a dataset, where it lies."""

    name: str
    """Its path in the dataset, with `/`."""
    path: Path
    size_bytes: int
    role: Role
    media_type: str | None
    facts: Mapping[str, Any]
    """Its entry in `fileInfo` under wire names, but for the CID."""
    software: str | None = None
    notes: str | None = None


@dataclass(frozen=True)
class Dataset:
    """What would be published, before anything is hashed or signed."""

    path: Path
    sid: str
    files: tuple[LabFile, ...]
    info: Mapping[str, Any]
    """`info` of the record under wire names."""
    details: Mapping[str, Any]
    """`details` of the record under wire names, without `fileInfo`."""
    warnings: tuple[str, ...]
    key_volume: Path | None
    """The volume that the key image is made of, if there is any."""


@dataclass(frozen=True)
class Missing:
    """A mandatory field that nothing gave, and the option that sets it."""

    field: str
    option: str


def read_dataset(
    path: Path,
    *,
    options: Mapping[str, object] = NOTHING_SAID,
    defaults: Mapping[str, object] = NOTHING_SAID,
) -> Dataset:
    """The dataset that a folder, or a single file, is.

    `options` and `defaults` are keyed by search word; `options["files"]` is
    keyed by file name as in dataset.toml. Raises what `list_files` raises, and
    InvalidDataError for unknown keys and values of the wrong kind.
    """
    found = list_files(path)
    headers = read_headers(found)
    said, where = _read_settings(path)
    names = tuple(file.name for file in found)
    about = _merge_facts(
        _read_files_said(said, names, where, is_folder=path.is_dir()),
        read_files(options, names, "options"),
    )
    files = tuple(_file(one, headers, about.get(one.name, NO_FACTS)) for one in found)
    key_volume = _key_volume(files, headers)
    read, warnings = header_fields(headers, _spacing_sources(files))
    known = (
        {"sid": _default_sid(path)}
        | read_fields(defaults, "the node's settings")
        | read
        | read_fields(said, where)
        | read_fields(options, "options")
    )
    info, details = place_fields(_completed(known))
    return Dataset(
        path=path,
        sid=_verified_sid(details),
        files=tuple(_with_software(file, details) for file in files),
        info=info,
        details=details,
        warnings=(*headers.warnings, *warnings),
        key_volume=None if key_volume is None else key_volume.path,
    )


def missing_fields(dataset: Dataset) -> list[Missing]:
    """The fields a publisher must give (paper, Table 1) and nothing gave."""
    wanted = (
        ("title", "--title", dataset.info.get("title")),
        ("species", "--species", dataset.details.get("speciesName")),
        ("date", "--date", dataset.details.get("date")),
    )
    return [Missing(field, option) for field, option, value in wanted if value is None]


def _read_settings(path: Path) -> tuple[Mapping[str, object], str]:
    """(what dataset.toml says, its name); nothing where there is none."""
    folder = path if path.is_dir() else path.parent
    file = folder / SETTINGS_NAME
    if not file.is_file():
        return NOTHING_SAID, str(file)
    try:
        return tomllib.loads(file.read_text("utf-8")), str(file)
    except OSError as exc:
        msg = f"cannot read {file}: {exc.strerror}"
        raise UnavailableError(msg, hint="mend its permissions, then repeat") from exc
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as exc:
        msg = f"{file} is not TOML: {exc}"
        raise InvalidDataError(msg, file=str(file)) from exc


def _read_files_said(
    said: Mapping[str, object], names: tuple[str, ...], where: str, *, is_folder: bool
) -> dict[str, FileFacts]:
    """What dataset.toml says about files; of a single file, about that one."""
    table = said.get("files")
    if not is_folder and isinstance(table, Mapping):
        said = {"files": {name: table[name] for name in names if name in table}}
    return read_files(said, names, where)


def _merge_facts(
    first: Mapping[str, FileFacts], then: Mapping[str, FileFacts]
) -> dict[str, FileFacts]:
    merged = dict(first)
    for name, later in then.items():
        given = {
            field.name: value
            for field in fields(FileFacts)
            if (value := getattr(later, field.name)) is not None
        }
        if later.role is not None:
            given["extra_role"] = later.extra_role
        merged[name] = replace(first.get(name, NO_FACTS), **given)
    return merged


def _file(found: Found, headers: Headers, said: FileFacts) -> LabFile:
    role = said.role
    if role is None:
        role = guess_role(found.name, headers.evidence(found.name))
    facts: dict[str, Any] = {"role": said.extra_role or role.value}
    spacing = headers.spacing_angstrom(found.name)
    pixel = said.pixel_spacing_angstrom or (spacing if role in _PIXELS else None)
    voxel = said.voxel_spacing_angstrom or (spacing if role in _VOXELS else None)
    if pixel is not None:
        facts["pixelSize"] = wire_number(pixel)
    if voxel is not None:
        facts["voxelSize"] = wire_number(voxel)
    return LabFile(
        name=found.name,
        path=found.path,
        size_bytes=found.size_bytes,
        role=role,
        media_type=media_type_of(found.name),
        facts=facts,
        software=said.software,
        notes=said.notes,
    )


def _key_volume(files: Iterable[LabFile], headers: Headers) -> LabFile | None:
    """The largest reconstruction that can be read, else tilt series."""
    readable = [
        file
        for file in files
        if file.role in _PICTURED
        and file.name in headers.volumes
        and headers.volumes[file.name].dtype is not None
    ]
    return max(
        readable,
        key=lambda file: (file.role is Role.RECONSTRUCTION, file.size_bytes),
        default=None,
    )


def _spacing_sources(files: Iterable[LabFile]) -> Mapping[str, list[str]]:
    """The files whose spacing may stand for the record's, largest first."""
    by_size = sorted(files, key=lambda file: -file.size_bytes)
    return {
        "pixel_size": [f.name for f in by_size if f.role is Role.TILT_SERIES],
        "voxel_size": [f.name for f in by_size if f.role is Role.RECONSTRUCTION],
    }


def _completed(known: Fields) -> Fields:
    """What follows from the rest where nothing was said."""
    completed = dict(known)
    species = known.get("species")
    completed.setdefault("tags", DEFAULT_TAGS)
    if species is not None:
        organism = " ".join(filter(None, (species, known.get("strain"))))
        completed.setdefault("title", species)
        # The original's daemon refuses records without a description.
        completed.setdefault("description", f"Electron tomography of {organism}")
    return completed


def _default_sid(path: Path) -> str:
    real = path.resolve()
    return real.name if real.is_dir() else PurePosixPath(real.name).stem


def _verified_sid(details: Mapping[str, Any]) -> str:
    sid = details.get("sid")
    if not isinstance(sid, str) or not sid.strip():
        msg = "the dataset has no id of its own (sid)"
        raise InvalidDataError(msg, hint="give one with --sid")
    verify_name(sid)
    return sid


def _with_software(file: LabFile, details: Mapping[str, Any]) -> LabFile:
    """As the original publisher did: each kind of file names what made it."""
    key = {
        Role.TILT_SERIES: "swAquisition",
        Role.RECONSTRUCTION: "swReconstruction",
    }.get(file.role, "")
    return replace(file, software=file.software or details.get(key))
