"""What every test may ask for."""

from __future__ import annotations

import contextlib
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

# How long an example takes says more about what else runs than about the code.
settings.register_profile("etdb", deadline=None)
settings.load_profile("etdb")

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real sample data and vectors."""
    folder = Path(os.environ.get("ETDB_SHARED", ROOT.parent / "shared"))
    if not folder.is_dir():
        if os.environ.get("CI") == "true":
            pytest.fail(f"sample data is missing: {folder}")
        pytest.skip(f"set ETDB_SHARED to the folder of sample data ({folder} is none)")
    return folder


@pytest.fixture(scope="session")
def vectors(shared: Path) -> Callable[[str], Any]:
    """Load a vector file by name."""

    def load(name: str) -> Any:
        return json.loads((shared / "vectors" / name).read_text("utf-8"))

    return load


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
