"""Records as people read them: a view of the wire text, with names and units.

A view never fails on what a ledger says: a field of the wrong type is `None`
here and still stands in the text. What is signed, verified, stored and sent is
always the text; nothing is ever encoded back from a view.

    >>> details = Details.model_validate({"tiltMin": -60, "NBCItaxID": 666})
    >>> details.tilt_min_deg, details.taxonomy_id, details.tilt_max_deg
    (-60.0, 666, None)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from types import MappingProxyType
from typing import Any, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ModelWrapValidatorHandler,
    field_validator,
    model_validator,
)

from etdb.record.canonical import NUMBER_LIMIT

TABLE_1 = "paper, Table 1"
ORIGINAL = "go-etdb"
OURS = "etdb"


class Role(StrEnum):
    """What a file is to its dataset: the original publisher's subtypes."""

    TILT_SERIES = "tiltSeries"
    RECONSTRUCTION = "reconstruction"
    SUBVOLUME = "subvolume"
    KEYMOV = "keymov"
    KEYIMG = "keyimg"
    PREVIEW = "preview"
    SNAPSHOT = "snapshot"
    THUMBNAIL = "thumbnail"
    OTHER = "other"


_ROLES = MappingProxyType({role.value.lower(): role for role in Role})


def _field(
    wire: str,
    label: str,
    *,
    unit: str = "",
    search: str = "",
    source: str = TABLE_1,
    aliases: tuple[str, ...] = (),
) -> Any:
    return Field(
        default=None,
        alias=wire,
        title=label,
        json_schema_extra={
            "unit": unit,
            "search": search,
            "source": source,
            "aliases": list(aliases),
        },
    )


class View(BaseModel):
    """A tolerant, frozen reading of one JSON object."""

    model_config = ConfigDict(
        extra="allow",
        frozen=True,
        populate_by_name=True,
        coerce_numbers_to_str=True,
        allow_inf_nan=False,
    )

    @model_validator(mode="wrap")
    @classmethod
    def _unreadable_is_unknown(
        cls, data: Any, handler: ModelWrapValidatorHandler[Self]
    ) -> Self:
        known = _with_known_names(cls, data) if isinstance(data, Mapping) else {}
        try:
            view = handler(known)
        except (ValueError, OverflowError):
            view = handler(_readable(cls, known, handler))
        # Numbers may come as text, which the limits of B1 do not reach.
        too_large = [name for name, value in vars(view).items() if _is_large(value)]
        return view.model_copy(update=dict.fromkeys(too_large)) if too_large else view


@cache
def variants(view: type[View]) -> Mapping[str, str]:
    """The other names under which old records wrote a view's fields, and ours."""
    found: dict[str, str] = {}
    for name, field in view.model_fields.items():
        extra = field.json_schema_extra
        others = extra.get("aliases") if isinstance(extra, dict) else None
        for other in others if isinstance(others, list) else ():
            found[str(other)] = field.alias or name
    return MappingProxyType(found)


def _with_known_names(view: type[View], data: Mapping[str, Any]) -> Mapping[str, Any]:
    found = {
        name: data[other]
        for other, name in variants(view).items()
        if other in data and name not in data
    }
    return {**data, **found} if found else data


def _readable(
    view: type[View], data: Mapping[str, Any], handler: Callable[[Any], object]
) -> dict[str, Any]:
    """The members that can be read; each field is tried alone."""
    found = dict(data)
    for name, field in view.model_fields.items():
        for key in {name, field.alias or name} & data.keys():
            try:
                handler({key: data[key]})
            except (ValueError, OverflowError):
                del found[key]
    return found


def _is_large(value: object) -> bool:
    return isinstance(value, int | float) and abs(value) >= NUMBER_LIMIT


class Details(View):
    """`details` of a Research-Tomogram record, in the order it is written."""

    date: int | None = _field("date", "Acquired", unit="Unix seconds", search="date")
    taxonomy_id: int | None = _field(
        "NCBItaxID", "NCBI taxonomy id", search="taxid", aliases=("NBCItaxID",)
    )
    notes: str | None = _field("artNotes", "Notes", search="notes")
    microscope: str | None = _field("scopeName", "Microscope", search="microscope")
    roles: str | None = _field("roles", "Roles", search="roles", source=ORIGINAL)
    species: str | None = _field("speciesName", "Species", search="species")
    strain: str | None = _field("strain", "Strain", search="strain")
    tilt_axes: int | None = _field("tiltSingleDual", "Tilt axes", search="axes")
    defocus_um: float | None = _field("defocus", "Defocus", unit="µm", search="defocus")
    dose_e_per_a2: float | None = _field(
        "dosage", "Total dose", unit="e⁻/Å²", search="dose"
    )
    tilt_constant: int | None = _field(
        "tiltConstant", "Constant tilt increment", search="tilt_constant"
    )
    tilt_min_deg: float | None = _field(
        "tiltMin", "Lowest tilt", unit="°", search="tilt_min"
    )
    tilt_max_deg: float | None = _field(
        "tiltMax", "Highest tilt", unit="°", search="tilt_max"
    )
    tilt_step_deg: float | None = _field(
        "tiltStep", "Tilt step", unit="°", search="tilt_step"
    )
    magnification: float | None = _field(
        "magnification", "Magnification", unit="×", search="magnification"
    )
    emdb: str | None = _field("emdb", "EMDB entry", search="emdb")
    microscopist: str | None = _field(
        "microscopist", "Microscopist", search="microscopist"
    )
    institution: str | None = _field("institution", "Institution", search="institution")
    lab: str | None = _field("lab", "Lab", search="lab")
    sid: str | None = _field("sid", "Lab's own id", search="sid")
    acquisition_software: str | None = _field(
        "swAquisition",
        "Acquisition software",
        search="acquisition",
        aliases=("swAcquisition",),
    )
    reconstruction_software: str | None = _field(
        "swReconstruction", "Reconstruction software", search="reconstruction"
    )
    pixel_spacing_angstrom: float | None = _field(
        "pixelSize", "Pixel spacing", unit="Å", search="pixel_size", source=OURS
    )
    voxel_spacing_angstrom: float | None = _field(
        "voxelSize", "Voxel spacing", unit="Å", search="voxel_size", source=OURS
    )
    voltage_kv: float | None = _field(
        "voltage", "Voltage", unit="kV", search="voltage", source=OURS
    )
    spherical_aberration_mm: float | None = _field(
        "sphericalAberration",
        "Spherical aberration",
        unit="mm",
        search="spherical_aberration",
        source=OURS,
    )
    camera: str | None = _field("camera", "Camera", search="camera", source=OURS)
    energy_filter: str | None = _field(
        "energyFilter", "Energy filter", search="energy_filter", source=OURS
    )
    phase_plate: str | None = _field(
        "phasePlate", "Phase plate", search="phase_plate", source=OURS
    )
    tilt_axis_deg: float | None = _field(
        "tiltAxis", "Tilt axis", unit="°", search="tilt_axis", source=OURS
    )
    tilt_scheme: str | None = _field(
        "tiltScheme", "Tilt scheme", search="tilt_scheme", source=OURS
    )
    quality: int | None = _field(
        "quality", "Quality (1-5)", search="quality", source=OURS
    )
    license: str | None = _field("license", "Licence", search="license", source=OURS)
    authors: list[Any] | None = _field(
        "authors", "Authors", search="authors", source=OURS
    )
    institution_ror: str | None = _field(
        "institutionRor", "Institution (ROR)", search="ror", source=OURS
    )
    related: list[Any] | None = _field(
        "related", "Related", search="related", source=OURS
    )
    alignment_software: str | None = _field(
        "swAlignment", "Alignment software", search="alignment", source=OURS
    )
    reconstruction_method: str | None = _field(
        "reconstructionMethod",
        "Reconstruction method",
        search="reconstruction_method",
        source=OURS,
    )
    sample_preparation: str | None = _field(
        "samplePreparation",
        "Sample preparation",
        search="sample_preparation",
        source=OURS,
    )
    grid_preparation: str | None = _field(
        "gridPreparation", "Grid preparation", search="grid_preparation", source=OURS
    )
    heirs: list[Any] | None = _field(
        "heirs", "Who else may edit or withdraw", search="heirs", source=OURS
    )


class File(View):
    """One row of `storage.files[]`."""

    name: str | None = _field("fname", "Name", aliases=("fName",))
    display_name: str | None = _field("dname", "Display name", aliases=("dName",))
    size_bytes: int | None = _field("fsize", "Size", unit="bytes", aliases=("fSize",))
    type: str | None = _field("type", "Type", aliases=("fType",))
    subtype: str | None = _field("subtype", "Role")
    media_type: str | None = _field(
        "cType", "Media type", aliases=("ctype",), source=ORIGINAL
    )
    software: str | None = _field("software", "Software", source=ORIGINAL)
    notes: str | None = _field("fNotes", "Notes", source=ORIGINAL)

    @property
    def role(self) -> Role:
        """The role, whatever its capitals; unknown ones are `other`."""
        return _ROLES.get((self.subtype or "").lower(), Role.OTHER)


class Info(View):
    """`info` of a record."""

    title: str | None = _field("title", "Title", search="title")
    description: str | None = _field("description", "Description", search="description")
    tags: str | None = _field("tags", "Tags", search="tags")


class Storage(View):
    """`storage` of a record: a directory by its CID, and the files in it."""

    network: str | None = _field("network", "Network")
    location: str | None = _field("location", "CID", search="cid")
    files: list[File] = Field(default_factory=list, title="Files")

    @field_validator("files", mode="before")
    @classmethod
    def _absent_is_empty(cls, value: Any) -> Any:
        return value if isinstance(value, list) else []


class Record(View):
    """One dataset's description: the body of a publish or an edit."""

    publisher: str | None = _field("floAddress", "Publisher", search="publisher")
    timestamp: int | None = _field(
        "timestamp", "Signed at", unit="Unix seconds", search="published"
    )
    type: str | None = _field("type", "Type")
    subtype: str | None = _field("subtype", "Subtype")
    info: Info = Field(default_factory=Info)
    details: Details = Field(default_factory=Details)
    storage: Storage = Field(default_factory=Storage)

    @field_validator("info", "details", "storage", mode="before")
    @classmethod
    def _absent_is_empty(cls, value: Any) -> Any:
        return value if isinstance(value, Mapping) else {}


@dataclass(frozen=True)
class FieldSpec:
    """One field everywhere: attribute and API key, wire path, search word."""

    name: str
    path: tuple[str, ...]
    search: str
    label: str
    unit: str
    kind: str
    """text, number, integer or list; dates are integers in Unix seconds."""
    source: str


_KINDS = {"str": "text", "float": "number", "int": "integer", "list": "list"}


def _specs(view: type[View], *prefix: str) -> tuple[FieldSpec, ...]:
    specs = []
    for name, field in view.model_fields.items():
        extra = field.json_schema_extra
        if not isinstance(extra, dict) or not extra["search"]:
            continue
        type_name = str(field.annotation).split("|")[0].split("[")[0].strip()
        kind = next(kind for key, kind in _KINDS.items() if key in type_name)
        specs.append(
            FieldSpec(
                name=name,
                path=(*prefix, field.alias or name),
                search=str(extra["search"]),
                label=field.title or name,
                unit=str(extra["unit"]),
                kind=kind,
                source=str(extra["source"]),
            )
        )
    return tuple(specs)


FIELDS: tuple[FieldSpec, ...] = (
    *_specs(Info, "info"),
    *_specs(Details, "details"),
    *_specs(Record),
    *_specs(Storage, "storage"),
)
"""Every field of a record that has a search word, in the order it is shown."""
