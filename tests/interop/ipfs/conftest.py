"""Real IPFS programs: Kubo, built from our pin of it, and npm's Helia."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from etdb.testing.kubo import build_kubo
from etdb.testing.npm import install

HERE = Path(__file__).resolve().parent
CACHE = HERE.parent.parent.parent / ".cache"

Obtain = Callable[[Callable[[], Path]], Path]


@dataclass(frozen=True)
class Published:
    """A dataset that a lab has published."""

    lab: Any
    """The command line on the lab's node."""
    id: str
    cid: str
    files: Mapping[str, bytes]
    """Contents by name."""
    folder: Path


@pytest.fixture(scope="session")
def kubo_program(obtain: Obtain) -> Path:
    """The `ipfs` program; built once into .cache."""
    return obtain(lambda: build_kubo(HERE / "kubo", CACHE))


@pytest.fixture(scope="session")
def helia(obtain: Obtain) -> Path:
    """Helia and the script that asks it."""
    return obtain(lambda: install(HERE / "helia", CACHE))


@pytest.fixture
def published(lab: Any, tmp_path: Path) -> Published:
    """Files of no, one and several chunks, one of them in a folder below."""
    folder = tmp_path / "lab files" / "dataset"
    files = {
        "notes.txt": b"thick ice at the border",
        "empty.txt": b"",
        "tilt series/raw data.bin": hashlib.shake_256(b"tilts").digest(5_000_001),
    }
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    done = lab.ok(
        *("publish", folder, "--yes", "--json"),
        *("--species", "Homo sapiens", "--date", "2026-01-02"),
        *("--microscopist", "Synthetic", "--notes", "Synthetic, for a test"),
    ).json
    cid = lab.ok("show", done["id"], "--json").json["cid"]
    return Published(lab, done["id"], cid, files, folder)
