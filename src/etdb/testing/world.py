"""What a client asks on loopback: records, their files, and a node's answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from etdb.record.canonical import digest_of, parse_message_text
from etdb.record.oip042 import read_envelope
from etdb.testing.catalogue import make_record
from etdb.testing.records import Author
from etdb.testing.store import MemoryStore

FILES = {
    "rec/vol.rec": bytes(range(256)) * 20_000,
    "raw/ts.st": bytes(range(255, -1, -1)) * 9_000,
    "notes.txt": b"Synthetic.\n",
}
ROLES = {"rec/vol.rec": "reconstruction", "raw/ts.st": "tiltSeries"}
HOPELESS = "http://127.0.0.1:9"
"""Where nobody answers."""
FACTS = ("--species", "Vibrio cholerae", "--date", "2020-01-01", "--strain", "O395")
"""What `etdb publish` must be told of a dataset, and a little more."""


@dataclass
class World:
    """A store, records of it, and what a node answers about them."""

    store: MemoryStore = field(default_factory=MemoryStore)
    answers: dict[str, Any] = field(default_factory=dict)
    records: list[dict[str, Any]] = field(default_factory=list)
    author: Author = field(default_factory=Author)

    def add(self, number: int, files: Mapping[str, bytes]) -> dict[str, Any]:
        """One more record, of these files, and all that a node says of it."""
        root = self.store.add_tree(files)
        storage = {"network": "ipfs", "location": str(root), "files": []}
        text = self.author.publish(self.author.artifact(storage=storage))
        envelope = read_envelope(parse_message_text(text))
        record = make_record(
            number,
            id=digest_of(envelope.action, envelope.body),
            text=text,
            artifact=envelope.body,
            cid=str(root),
            files=[_file(name, files[name]) for name in files],
        )
        record["details"]["sid"] = f"sid{number}"
        self.records.append(record)
        self.answers[f"/api/records/{record['id']}"] = record
        self.answers["/api/records"] = {
            "count": len(self.records),
            "total": len(self.records),
            "results": self.records,
            "next": None,
        }
        return record


def on_disk(folder: Path) -> dict[str, bytes]:
    """The files in a folder, without what `etdb` keeps there for itself."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and ".etdb" not in path.parts
    }


def provider_at(url: str) -> dict[str, Any]:
    """What a router says of a gateway on loopback."""
    port = url.rpartition(":")[2]
    return {"Schema": "peer", "ID": "x", "Addrs": [f"/ip4/127.0.0.1/tcp/{port}/http"]}


def _file(name: str, data: bytes) -> dict[str, Any]:
    role = ROLES.get(name, "other")
    return {"name": name, "role": role, "size_bytes": len(data), "cid": None}
