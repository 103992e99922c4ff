"""A record's next version: what an edit changes, and what stays. Pure.

PROTOCOL R5: an edit says the whole record anew, and which version it replaces.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from etdb.errors import InvalidDataError, InvalidRecordError
from etdb.identity import Address
from etdb.lab.mapping import Fields, read_fields
from etdb.publish.artifact import Artifact
from etdb.record.model import FIELDS, Details, FieldSpec, Info, Role, View

Changes = Mapping[str, object]
"""Search word → new value; None takes the field away."""

_MANDATORY = ("title", "description", "species", "date")
_FOR_EVER = {
    "sid": "a record's sid cannot be changed: its dataset is found by it",
    "heirs": "a record's heirs cannot be changed: its first version's alone count",
}
_VIEWS: Mapping[str, type[View]] = {"info": Info, "details": Details}
_SPECS = {spec.search: spec for spec in FIELDS if spec.path[0] in _VIEWS}
_MADE_BY = {
    "acquisition": Role.TILT_SERIES.value,
    "reconstruction": Role.RECONSTRUCTION.value,
}
"""Files name what made them, as the original publisher wrote it."""


def read_changes(changes: Changes) -> Fields:
    """Changes by search word in their wire form; None takes a field away.

    Raises InvalidDataError for unknown words, values of the wrong kind, the lab's
    own id and heirs (R5), InvalidRecordError for a field that a record cannot do
    without.
    """
    said = {word: "" if value is None else value for word, value in changes.items()}
    fields = read_fields(said, "options")
    for word, msg in _FOR_EVER.items():
        if word in fields:
            raise InvalidDataError(msg, hint="withdraw the record and publish anew")
    for word in _MANDATORY:
        if word in fields and fields[word] is None:
            msg = f"a record cannot be without {word}"
            raise InvalidRecordError(msg, field=word)
    return fields


def change_fields(artifact: Artifact, fields: Fields) -> Artifact:
    """The artifact, built as ours are, with these fields alone said otherwise."""
    changed = dict(artifact)
    for word, value in fields.items():
        spec = _SPECS[word]
        section, name = spec.path
        members = dict(changed.get(section, {}))
        old = [members.pop(key) for key in _spellings(spec) if key in members]
        if value is not None:
            members[name] = value
        changed[section] = members
        if word in _MADE_BY:
            storage = changed["storage"]
            changed["storage"] = _renamed_software(storage, _MADE_BY[word], old, value)
    return changed


def next_version(
    artifact: Artifact, record: Mapping[str, Any], address: Address
) -> Artifact:
    """The unsigned artifact of the edit that follows a record's current version.

    `artifact` may be signed already; both are built as ours are. What the record
    says of heirs stays in it.
    """
    bare = {
        name: member
        for name, member in keep_heirs(artifact, record["artifact"]).items()
        if name != "signature"
    }
    current = record["versions"][-1]
    details = dict(bare.get("details", {}))
    details.pop("contentSignature", None)
    details["revision"] = {
        "of": record["id"],
        "number": current["number"] + 1,
        "previous": current["id"],
    }
    return {**bare, "floAddress": address, "timestamp": 0, "details": details}


def keep_heirs(artifact: Artifact, published: Mapping[str, Any]) -> Artifact:
    """The artifact with the heirs that a published one names, or with none.

    Those of an edit do not count (R5): naming others would only seem to.
    """
    named = published.get("details")
    details = dict(artifact.get("details", {}))
    details.pop("heirs", None)
    if isinstance(named, Mapping) and "heirs" in named:
        details["heirs"] = named["heirs"]
    return {**artifact, "details": details}


def _spellings(spec: FieldSpec) -> Iterator[str]:
    """Every spelling of a field on the wire, ours first."""
    yield spec.path[1]
    extra = _VIEWS[spec.path[0]].model_fields[spec.name].json_schema_extra
    aliases = extra.get("aliases") if isinstance(extra, dict) else None
    for alias in aliases if isinstance(aliases, list) else []:
        yield str(alias)


def _renamed_software(
    storage: Mapping[str, Any], role: str, old: Sequence[object], new: object
) -> Mapping[str, Any]:
    """`storage` with files of a role naming the software that the record names."""
    return {
        **storage,
        "files": [
            {**row, "software": new}
            if row.get("subtype") == role and row.get("software") in old
            else row
            for row in storage.get("files", [])
        ],
    }
