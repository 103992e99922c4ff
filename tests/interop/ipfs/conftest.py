"""Real IPFS programs: Kubo, built from our pin of it, and npm's Helia."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import pytest

from etdb.durable import lock
from etdb.errors import UnavailableError
from etdb.testing.kubo import build_kubo

HERE = Path(__file__).resolve().parent
CACHE = HERE.parent.parent.parent / ".cache"


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
def kubo_program() -> Path:
    """The `ipfs` program; built once into .cache."""
    try:
        return build_kubo(HERE / "kubo", CACHE)
    except UnavailableError as error:
        give_up(error.message)


@pytest.fixture(scope="session")
def helia() -> Path:
    """Helia from its lock file, installed once into .cache; no script is run."""
    for program in ("node", "npm"):
        if shutil.which(program) is None:
            give_up(f"{program} is missing: install Node.js 20 or later with npm")
    files = [path for path in sorted((HERE / "helia").iterdir()) if path.is_file()]
    wanted = hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()
    folder = CACHE / "helia"
    folder.mkdir(parents=True, exist_ok=True)
    with lock(CACHE / "helia.lock", "installing Helia", wait_s=600):
        done = folder / "installed"
        if not done.exists() or done.read_text("utf-8") != wanted:
            for file in files:
                shutil.copy(file, folder)
            run_npm(folder)
            done.write_text(wanted, "utf-8")
    return folder


def run_npm(folder: Path) -> None:
    npm = subprocess.run(
        ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    if npm.returncode != 0:
        give_up(f"npm could not install Helia: {npm.stderr[-500:]}")


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


def give_up(reason: str) -> NoReturn:
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)
