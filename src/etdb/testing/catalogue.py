"""A catalogue in memory, for pages and API without an index."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from etdb.errors import ConflictError, InvalidDataError, NotFoundError
from etdb.index.paging import Page

Record = dict[str, Any]


@dataclass
class MemoryCatalogue:
    """Records and rejections as they were given, newest first."""

    records: list[Record] = field(default_factory=list)
    rejected: list[Record] = field(default_factory=list)
    histories: dict[str, Record] = field(default_factory=dict)
    """By record id; without one, a record was never edited."""

    @property
    def sorts(self) -> Mapping[str, str]:
        """The orders there are."""
        return MappingProxyType({"newest": "newest first", "oldest": "oldest first"})

    def search(self, query: str, *, sort: str, limit: int, after: str | None) -> Record:
        """Records that contain every word; an open quote is an error."""
        if query.count('"') % 2:
            position = query.rindex('"')
            msg = f"the quote at character {position + 1} is never closed"
            raise InvalidDataError(msg, position=position)
        if sort not in self.sorts:
            msg = f"no order {sort!r}"
            raise InvalidDataError(msg)
        words = query.replace('"', " ").lower().split()
        found = [
            record
            for record in self.records
            if record["withdrawn"] is None
            and all(word in json.dumps(record).lower() for word in words)
        ]
        return _page(found if sort == "newest" else found[::-1], limit, after)

    def get_record(self, record_id: str) -> Record:
        """The record whose id, or that of a version, or txid starts so."""
        found = [
            record
            for record in self.records
            if any(name.startswith(record_id) for name in _names(record))
        ]
        if not found or len(record_id) < 6:
            raise NotFoundError("record", record_id)
        if len(found) > 1:
            msg = f"{record_id} is the beginning of {len(found)} ids"
            candidates = [
                {
                    "id": record["id"],
                    "title": record["title"],
                    "publisher": record["publisher"]["address"],
                    "class": record["class"],
                }
                for record in found
            ]
            raise ConflictError(msg, candidates=candidates)
        return found[0]

    def list_versions(self, record_id: str) -> Record:
        """The history it was given, or one of a single version."""
        record = self.get_record(record_id)
        return self.histories.get(record["id"]) or make_history(record)

    def list_rejected(self, *, limit: int, after: str | None) -> Record:
        """Rejections as they were given."""
        return _page(self.rejected, limit, after)

    def count(self) -> dict[str, int]:
        """What the records say."""
        listed = [record for record in self.records if record["withdrawn"] is None]
        species = {record["details"].get("species") for record in listed}
        labs = {record["publisher"]["address"] for record in listed}
        return {
            "records": len(listed),
            "species": len(species - {None}),
            "labs": len(labs),
        }


def _names(record: Record) -> list[str]:
    return [record["id"], record["txid"], *(one["id"] for one in record["versions"])]


def _page(found: Sequence[Record], limit: int, after: str | None) -> Record:
    start = int(after or 0)
    end = start + limit
    token = str(end) if end < len(found) else None
    return Page(list(found[start:end]), len(found), token).as_dict()


def make_record(number: int, **changes: object) -> Record:
    """A whole record dict, as `get_record` gives it; `changes` replace keys."""
    anchor = _anchor(number)
    digest = f"{number:02x}" + "ab" * 31
    files = _files()
    return {
        "id": digest,
        "txid": anchor["txid"],
        "cid": "bafybeiczsscdsbs7ffqz55asqdf3smv6klcw3gofszvwlyarci47bgf354",
        "class": "A",
        "title": "Polar flagellum and sheath",
        "description": None,
        "tags": "synthetic,flagellum",
        "publisher": {"address": "oSyntheticLabAddress", "name": "Sample lab"},
        "timestamp": anchor["time"],
        "published": "2026-03-14T14:53:20Z",
        "details": _details(number),
        "files": files,
        "size_bytes": sum(file["size_bytes"] for file in files),
        "file_count": len(files),
        "key_image": {
            "large": "keyimg_s1.jpg",
            "medium": "keyimg_s1_m.jpg",
            "small": "keyimg_s1_s.jpg",
        },
        "anchor": anchor,
        "withdrawn": None,
        "text": 'json:{"oip042":{}}',
        "root_text": None,
        "artifact": {},
        "anchors": [anchor],
        "checks": _checks(),
        "versions": [_version(digest, 1, anchor)],
        "other": {},
        **changes,
    }


def make_edited(number: int, edits: int, **changes: object) -> Record:
    """A record that was edited so many times, once a day."""
    record = make_record(number)
    for edit in range(1, edits + 1):
        name = f"{number:02x}{edit:02x}"
        anchor = {**_anchor(number + edit), "txid": name + "e" * 60}
        digest = name + "cd" * 30
        record["versions"].append(_version(digest, edit + 1, anchor))
    return {**record, "root_text": record["text"], **changes}


def make_history(record: Record, **changes: object) -> Record:
    """The history of a record, as `list_versions` gives it."""
    versions = [_past(record, one) for one in record["versions"]]
    return {
        "id": record["id"],
        "current": versions[-1]["id"] if versions else record["id"],
        "count": len(versions),
        "versions": versions,
        "is_cut": False,
        "pending": 0,
        "refused": 0,
        "withdrawn": None,
        "old": [],
        "old_count": 0,
        **changes,
    }


def _past(record: Record, version: Record) -> Record:
    number, last = version["number"], record["versions"][-1]["number"]
    state = "current" if number == last else "root" if number == 1 else "superseded"
    return {
        **version,
        "previous": None,
        "state": state,
        "class": record["class"],
        "by": record["publisher"]["address"],
        "by_name": record["publisher"]["name"],
        "published": "2026-03-14T14:53:20Z",
        **{**_anchor(number), "time": version["timestamp"], "txid": version["txid"]},
        "changes": [] if number == 1 else [f'Strain: "O395-N{number}" → "O395"'],
    }


def _version(digest: str, number: int, anchor: Record) -> Record:
    return {
        "id": digest,
        "number": number,
        "timestamp": anchor["time"],
        "txid": anchor["txid"],
    }


def _anchor(number: int) -> Record:
    return {
        "ledger": "c0" * 32,
        "ledger_kind": "embedded",
        "height": 110 + number,
        "position": 0,
        "txid": f"{number:02x}" + "7d" * 31,
        "time": 1_773_500_000 + 86_400 * number,
        "coverage": "covered",
    }


def _details(number: int) -> Record:
    return {
        "date": 1_773_446_400,
        "acquired": "2026-03-14",
        "species": "Vibrio cholerae",
        "taxonomy_id": 666,
        "strain": "O395-N1",
        "notes": "Synthetic data: a phantom seen through a simulated microscope.",
        "microscope": "simulated",
        "voltage_kv": 300.0,
        "tilt_axes": 1,
        "tilt_min_deg": -60.0,
        "tilt_max_deg": 60.0,
        "tilt_step_deg": 2.0,
        "defocus_um": -8.0,
        "dose_e_per_a2": 0.0,
        "magnification": 27500.0,
        "pixel_spacing_angstrom": 4.21,
        "microscopist": "etdb demo (synthetic)",
        "sid": f"s{number}",
        "license": "CC0-1.0",
        "authors": [{"name": "etdb demo", "role": "data"}],
    }


def _files() -> list[Record]:
    return [
        _file("tomogram.mrc", 42_108_928, "reconstruction", voxelSize=10.0),
        _file("raw/tilt series.st", 16_253_952, "tiltSeries", pixelSize=4.21),
        _file("raw/tilt series.st.mdoc", 18_211, "other"),
        _file("keyimg_s1.jpg", 310_000, "keyimg"),
        _file("keyimg_s1_m.jpg", 90_000, "preview"),
        _file("keyimg_s1_s.jpg", 9_000, "thumbnail"),
    ]


def _file(name: str, size_bytes: int, role: str, **facts: float) -> Record:
    return {
        "name": name,
        "display_name": None,
        "size_bytes": size_bytes,
        "role": role,
        "media_type": None,
        "software": None,
        "notes": None,
        "cid": None,
        "facts": facts,
    }


def _checks() -> list[Record]:
    covered = {
        "content signature": "covers every field and the address of the files",
        "OIP 0.42 signature": "covers the address of the files and the time",
    }
    return [
        {"name": name, "holds": True, "says": says} for name, says in covered.items()
    ]
