"""What every test may ask for."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from etdb.index.db import Index
from etdb.index.follow import follow
from etdb.ledger.base import Ledger
from etdb.testing.car import CarFile

# How long an example takes says more about what else runs than about the code.
settings.register_profile("etdb", deadline=None)
settings.load_profile("etdb")

ROOT = Path(__file__).resolve().parent.parent
VECTORS = ROOT / "tests" / "data" / "vectors"


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of large real sample data."""
    folder = Path(os.environ.get("ETDB_SHARED", ROOT.parent / "shared"))
    if not folder.is_dir():
        if os.environ.get("CI") == "true":
            pytest.fail(f"sample data is missing: {folder}")
        pytest.skip(f"set ETDB_SHARED to the folder of sample data ({folder} is none)")
    return folder


@pytest.fixture(scope="session")
def vectors() -> Callable[[str], Any]:
    """Load a vector file by name."""
    return lambda name: json.loads((VECTORS / name).read_text("utf-8"))


@pytest.fixture(scope="session")
def all_cars() -> list[Path]:
    """The CAR files of the public gateway conformance suite."""
    return sorted((VECTORS / "ipfs-cars").glob("*.car"))


@pytest.fixture(scope="session")
def cars(all_cars: list[Path]) -> Callable[[str], CarFile]:
    """Read one of these CAR files by its name."""
    paths = {path.name: path for path in all_cars}
    return lambda name: CarFile.read(paths[name])


@pytest.fixture
def make_index(tmp_path: Path) -> Iterator[Callable[..., Index]]:
    """A new index of some ledgers, followed to their tips in that order."""
    numbers = itertools.count()
    with contextlib.ExitStack() as stack:

        def make(*ledgers: Ledger) -> Index:
            path = tmp_path / f"index-{next(numbers)}.sqlite"
            index = Index.create(path, [ledger.info for ledger in ledgers])
            stack.enter_context(index)
            for ledger in ledgers:
                follow(index, ledger)
            return index

        yield make


@dataclass(frozen=True)
class Done:
    """What a finished command printed and said."""

    status: int
    output: str
    errors: str

    @property
    def json(self) -> Any:
        return json.loads(self.output)


class CommandLine:
    """The real `etdb`, run in a process of its own, on a node of its own."""

    def __init__(self, node: Path) -> None:
        self.node = node
        self.environ = {
            **os.environ,
            "ETDB_NODE": str(node),
            "NO_COLOR": "1",
            "PYTHONWARNINGS": "error::ResourceWarning",
        }

    def command(self, *words: object) -> list[str]:
        return [sys.executable, "-m", "etdb.cli", *map(str, words)]

    def run(self, *words: object, **environ: str) -> Done:
        done = subprocess.run(
            self.command(*words),
            check=False,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            env={**self.environ, **environ},
            timeout=300,
        )
        assert "Traceback" not in done.stderr, done.stderr
        return Done(done.returncode, done.stdout, done.stderr)

    def ok(self, *words: object, **environ: str) -> Done:
        done = self.run(*words, **environ)
        assert done.status == 0, done.errors
        return done

    def start(self, *words: object) -> subprocess.Popen[str]:
        return subprocess.Popen(
            self.command(*words),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=self.environ,
        )

    @contextlib.contextmanager
    def serving(self) -> Iterator[str]:
        """`etdb serve` on a free port; its URL. Ctrl-C must end it well."""
        process = self.start("serve", "--port", 0)
        try:
            yield _url_said(process)
        finally:
            process.send_signal(signal.SIGINT)
            _, said = process.communicate(timeout=20)
        assert process.returncode == 0, said


def _url_said(process: subprocess.Popen[str]) -> str:
    assert process.stderr is not None
    said = ""
    for line in process.stderr:
        said += line
        found = re.search(r"https?://127\.0\.0\.1:\d+", line)
        if found is not None:
            return found.group()
    pytest.fail(f"etdb serve ended early: {said}")


@pytest.fixture
def etdb(tmp_path: Path) -> CommandLine:
    """The command line, beside a node that is not made yet."""
    return CommandLine(tmp_path / "node")


@pytest.fixture(scope="session")
def empty_node(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A node fresh from `etdb init`; copy it, do not use it."""
    folder = tmp_path_factory.mktemp("empty") / "node"
    CommandLine(folder).ok("init", folder, "--lab", "Test lab (synthetic)", "--test")
    return folder


@pytest.fixture
def lab(etdb: CommandLine, empty_node: Path) -> CommandLine:
    """The command line with a node that publishes nothing yet."""
    shutil.copytree(empty_node, etdb.node)
    return etdb
