"""The original JavaScript clients, and a served node that they ask.

The clients are the real npm packages, from lock files; no script of any package
is run. What they ask for is published by the real command line.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from etdb.testing.npm import install

HERE = Path(__file__).resolve().parent
CACHE = HERE.parent.parent.parent / ".cache"
COMMAND_LINE = HERE.parent.parent / "conftest.py"
Obtain = Callable[[Callable[[], Path]], Path]
NOTES = "ice too thick at the border, and " * 30


@dataclass(frozen=True)
class Package:
    """An installed client and the script that calls it."""

    folder: Path
    scripts: Path

    def run(self, script: str, asked: dict[str, Any]) -> Any:
        """What a script prints as JSON, when asked this."""
        done = subprocess.run(
            ["node", str(self.scripts / script), json.dumps(asked)],
            cwd=self.folder,
            env={**os.environ, "NODE_BACKEND": "js"},
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
        assert done.returncode == 0, done.stderr[-3000:]
        assert done.stdout, done.stderr[-3000:]
        return json.loads(done.stdout)


@dataclass(frozen=True)
class Served:
    """A served node and what stands on its chain."""

    url: str
    ids: Sequence[str]
    """The records by title: one that was edited, one in parts, one of neither."""
    txids: Sequence[str]
    """The transactions that published them."""
    address: str

    @property
    def oip(self) -> str:
        """Where oipd's clients look."""
        return f"{self.url}/oip"

    @property
    def librarian(self) -> str:
        """Where the librarian's clients look."""
        return f"{self.url}/alexandria/v2"


def installed(obtain: Obtain, name: str) -> Package:
    return Package(obtain(lambda: install(HERE / name, CACHE)), HERE / name)


@pytest.fixture(scope="session")
def js_oip(obtain: Obtain) -> Package:
    return installed(obtain, "js_oip")


@pytest.fixture(scope="session")
def oip_js(obtain: Obtain) -> Package:
    return installed(obtain, "oip_js")


@pytest.fixture(scope="session")
def oip_index(obtain: Obtain) -> Package:
    return installed(obtain, "oip_index")


@pytest.fixture(scope="session")
def served(
    request: pytest.FixtureRequest, empty_node: Path, tmp_path_factory: Any
) -> Iterator[Served]:
    """Three records, one of them edited, and a registered publisher."""
    folder = tmp_path_factory.mktemp("oip")
    shutil.copytree(empty_node, folder / "node")
    plugin = request.config.pluginmanager.get_plugin(str(COMMAND_LINE))
    assert plugin is not None
    lab = plugin.CommandLine(folder / "node")
    lab.ok("publish", *make_datasets(folder), "--yes")
    found = lab.ok("search", "--sort", "title", "--json").json["results"]
    edited, _, _ = [record["id"] for record in found]
    lab.ok("edit", edited, "--set", "strain=K12", "--yes")
    lab.ok("register", "--name", "Synthetic lab", "--yes")
    with lab.serving() as url:
        yield Served(
            url,
            ids=[record["id"] for record in found],
            txids=[record["txid"] for record in found],
            address=found[0]["publisher"]["address"],
        )


def make_datasets(folder: Path) -> Iterator[Path]:
    """In the order of their titles: the second is published in parts."""
    for sid, species, more in (
        ("ec1", "Escherichia coli", 'strain = "K11"'),
        ("hp1", "Helicobacter pylori", f'notes = "{NOTES}"'),
        ("vc1", "Vibrio cholerae", "tilt_min = -60"),
    ):
        dataset = folder / sid
        dataset.mkdir()
        (dataset / "notes.txt").write_text(f"notes on {sid}")
        facts = f'species = "{species}"\ndate = "2020-01-01"\n{more}\n'
        (dataset / "dataset.toml").write_text(facts)
        yield dataset
