"""Records as pages show them: fields under headings, files as rows.

Pure: a record dict goes in, frozen rows come out. Escaping is the templates'
affair. Unknown is said to be unknown; zero is shown as zero.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from etdb.record.model import FIELDS, FieldSpec, Role
from etdb.web import link, media, text

Record = Mapping[str, Any]

UNKNOWN = "not stated"

GROUPS: Mapping[str, str] = {
    "Specimen": "species* strain* taxonomy_id sample_preparation grid_preparation",
    "Tilt series": (
        "acquired* microscopist* tilt_axes* tilt_min_deg* tilt_max_deg* "
        "tilt_step_deg* tilt_constant tilt_axis_deg tilt_scheme dose_e_per_a2* "
        "defocus_um* magnification* pixel_spacing_angstrom* acquisition_software*"
    ),
    "Microscope": (
        "microscope* voltage_kv* spherical_aberration_mm camera energy_filter "
        "phase_plate"
    ),
    "Tomogram": (
        "voxel_spacing_angstrom* reconstruction_software* reconstruction_method "
        "alignment_software quality"
    ),
    "Origin": "lab* institution* institution_ror authors sid license* emdb related",
}
"""Where each field stands on a record's page; any other field follows them.

A star marks fields whose absence a reader should see, not guess.
"""

SHOWN_ELSEWHERE = frozenset({"date", "notes"})
"""The date is shown as `acquired`; notes have a paragraph of their own."""

SPECS: Mapping[str, FieldSpec] = {
    spec.name: spec for spec in FIELDS if spec.path[0] == "details"
}

ROLE_LABELS: Mapping[str, str] = {
    Role.TILT_SERIES: "tilt series",
    Role.RECONSTRUCTION: "tomogram",
    Role.SUBVOLUME: "subvolume",
    Role.KEYMOV: "key movie",
    Role.KEYIMG: "key image",
    Role.PREVIEW: "preview",
    Role.SNAPSHOT: "snapshot",
    Role.THUMBNAIL: "thumbnail",
    Role.OTHER: "other",
}

_WORDS: Mapping[tuple[str, object], str] = {
    ("tilt_axes", 1): "single axis",
    ("tilt_axes", 2): "dual axis",
    ("tilt_constant", 1): "yes",
    ("tilt_constant", 0): "no",
}
_FILE_FACTS: Mapping[str, tuple[str, str]] = {
    "pixelSize": ("pixel", "Å"),
    "voxelSize": ("voxel", "Å"),
    "madeFrom": ("made from", ""),
}
_IDENTIFIERS = frozenset({"taxonomy_id"})

_OUTSIDE: Mapping[str, tuple[re.Pattern[str], str]] = {
    "taxonomy_id": (re.compile(r"\d{1,9}\Z"), "https://www.ncbi.nlm.nih.gov/taxonomy/"),
    "emdb": (re.compile(r"EMD-\d{4,6}\Z"), "https://www.ebi.ac.uk/emdb/"),
    "license": (re.compile(r"[A-Za-z0-9.+-]{2,40}\Z"), "https://spdx.org/licenses/"),
    "institution_ror": (re.compile(r"0[a-z0-9]{8}\Z"), "https://ror.org/"),
}
"""Identifiers with a public page of their own, where they look like one."""


@dataclass(frozen=True)
class Fact:
    """One field as a line of a page."""

    label: str
    text: str
    unit: str = ""
    url: str = ""
    is_known: bool = True
    is_species: bool = False

    @property
    def is_tight(self) -> bool:
        """Whether the unit follows its number without a space: 60°, 27,500×."""
        return self.unit in {"°", "×"}


@dataclass(frozen=True)
class Group:
    """Facts under one heading."""

    title: str
    facts: tuple[Fact, ...]


@dataclass(frozen=True)
class FileRow:
    """One file as a row of a page."""

    name: str
    label: str
    role: str
    size_bytes: int | None
    cid: str
    facts: str
    view_url: str
    download_url: str


def groups(record: Record) -> tuple[Group, ...]:
    """Every field of a record's details under its heading, none left out."""
    details = {
        name: value
        for name, value in record["details"].items()
        if name not in SHOWN_ELSEWHERE
    }
    made = []
    for title, names in GROUPS.items():
        facts = [
            fact(name, details.pop(name, None), is_missed=is_missed)
            for name, is_missed in _named(names)
        ]
        made.append(Group(title, tuple(item for item in facts if item is not None)))
    rest = [fact(name, value) for name, value in details.items()]
    rest += [Fact(name, text.plain(v)) for name, v in record.get("other", {}).items()]
    made.append(Group("Further fields", tuple(item for item in rest if item)))
    return tuple(group for group in made if group.facts)


def _named(names: str) -> list[tuple[str, bool]]:
    """(field, whether its absence is said) for each name of a group."""
    return [(name.rstrip("*"), name.endswith("*")) for name in names.split()]


def fact(name: str, value: object, *, is_missed: bool = False) -> Fact | None:
    """A field as a line; None if it is unknown and would not be missed."""
    spec = SPECS.get(name)
    label = spec.label if spec else name.replace("_", " ").capitalize()
    if value is None or value in ("", []):
        return Fact(label, UNKNOWN, is_known=False) if is_missed else None
    return Fact(
        label,
        _shown(name, value),
        unit=spec.unit if spec else "",
        url=_outside_url(name, value),
        is_species=name == "species",
    )


def _shown(name: str, value: object) -> str:
    word = _WORDS.get((name, value)) if isinstance(value, int) else None
    if word is not None:
        return word
    return str(value) if name in _IDENTIFIERS else text.plain(value)


def _outside_url(name: str, value: object) -> str:
    pattern, address = _OUTSIDE.get(name, (None, ""))
    if pattern is None or pattern.match(str(value)) is None:
        return ""
    return address + quote(str(value), safe="")


def headline(record: Record) -> tuple[Fact, ...]:
    """The few facts that stand beside the picture, known ones only."""
    details = record["details"]
    composed = [
        Fact("Tilt series", tilt) if (tilt := _tilt(details)) else None,
        Fact("Microscope", scope) if (scope := _microscope(details)) else None,
    ]
    names = (
        "strain dose_e_per_a2 defocus_um magnification pixel_spacing_angstrom "
        "voxel_spacing_angstrom license"
    )
    facts = [fact(name, details.get(name), is_missed=True) for name in names.split()]
    ordered = [facts[0], composed[0], *facts[1:6], composed[1], facts[6]]
    return tuple(item for item in ordered if item is not None)


def _tilt(details: Mapping[str, Any]) -> str:
    step = details.get("tilt_step_deg")
    axes = _WORDS.get(("tilt_axes", details.get("tilt_axes")), "")
    stepped = f"step {text.number(step)}°" if step is not None else ""
    return ", ".join(part for part in (axes, spread(details), stepped) if part)


def _microscope(details: Mapping[str, Any]) -> str:
    voltage = details.get("voltage_kv")
    parts = [
        details.get("microscope") or "",
        f"{text.number(voltage)} kV" if voltage is not None else "",
        details.get("camera") or "",
    ]
    return ", ".join(part for part in parts if part)


def spread(details: Mapping[str, Any]) -> str:
    """The range of tilts, or "" where it is not stated."""
    low, high = details.get("tilt_min_deg"), details.get("tilt_max_deg")
    if low is None or high is None:
        return ""
    return f"{text.number(low)}° … {text.number(high)}°"


def measured(details: Mapping[str, Any], name: str) -> str:
    """A number with its unit, or "" where it is not stated."""
    value = details.get(name)
    return "" if value is None else f"{text.number(value)} {SPECS[name].unit}"


def line(record: Record) -> tuple[str, ...]:
    """A record's most telling facts, for one line under its picture."""
    details = record["details"]
    parts = (
        details.get("acquired") or "",
        details.get("microscopist") or "",
        measured(details, "defocus_um"),
        text.size(record["size_bytes"]),
    )
    return tuple(part for part in parts if part)


def byline(record: Record) -> str:
    """When, by whom and where a dataset was recorded."""
    details = record["details"]
    place = ", ".join(
        str(details[name]) for name in ("lab", "institution") if details.get(name)
    )
    parts = (
        details.get("acquired") or "date not stated",
        details.get("microscopist") or "microscopist not stated",
        place,
    )
    return " · ".join(part for part in parts if part)


def species(record: Record) -> str:
    """The species, or "" where none is stated."""
    return str(record["details"].get("species") or "")


def alt_text(record: Record) -> str:
    """What a key image shows, from the metadata."""
    title = record.get("title") or "untitled dataset"
    shown = species(record)
    subject = title if not shown or shown in title else f"{shown}, {title}"
    return f"Key image of {subject}"


def is_synthetic(record: Record) -> bool:
    """Whether the record says of itself that its data are synthetic."""
    details = record.get("details", {})
    said = (record.get("title"), record.get("tags"), details.get("notes"))
    return any("synthetic" in str(part or "").lower() for part in said)


def file_rows(record: Record) -> tuple[FileRow, ...]:
    """A record's files: data first, pictures after, as the original had them."""
    order = {role: place for place, role in enumerate(ROLE_LABELS)}
    files = sorted(
        record["files"], key=lambda file: order.get(file["role"], len(order))
    )
    return tuple(_file_row(record, file) for file in files)


def _file_row(record: Record, file: Mapping[str, Any]) -> FileRow:
    name, root = str(file["name"] or ""), record.get("cid")
    is_reachable = bool(root) and text.is_plain_name(name)
    is_viewable = is_reachable and media.is_viewable(name)
    return FileRow(
        name=name if text.is_plain_name(name) else ascii(name)[1:-1],
        label=str(file.get("display_name") or ""),
        role=ROLE_LABELS.get(file["role"], file["role"]),
        size_bytes=file.get("size_bytes"),
        cid=str(file.get("cid") or ""),
        facts=_file_facts(file),
        view_url=link.file_url(str(root), name) if is_viewable else "",
        download_url=(
            link.file_url(str(root), name, download=True) if is_reachable else ""
        ),
    )


def _file_facts(file: Mapping[str, Any]) -> str:
    facts = dict(file.get("facts") or {})
    parts = [
        f"{words} {text.plain(facts.pop(key))} {unit}".rstrip()
        for key, (words, unit) in _FILE_FACTS.items()
        if key in facts
    ]
    parts += [f"{key} {text.plain(value)}" for key, value in facts.items()]
    parts += [str(file[key]) for key in ("software", "notes") if file.get(key)]
    return " · ".join(parts)
