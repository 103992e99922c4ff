"""A lab of two datasets, simulated once for all tests that look at one."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import pytest

from etdb.demo.lab import build_lab
from etdb.demo.specimen import SPECIMENS, Specimen


@dataclass
class Listener:
    """A progress that keeps what it hears."""

    begun: list[tuple[str, int | None, str]] = field(default_factory=list)
    done: int = 0
    ended: int = 0

    def begin(self, task: str, total: int | None, unit: str) -> None:
        self.begun.append((task, total, unit))

    def advance(self, amount: int) -> None:
        self.done += amount

    def end(self) -> None:
        self.ended += 1


@dataclass(frozen=True)
class BuiltLab:
    """What a first `build_lab` left behind."""

    folder: Path
    specimens: tuple[Specimen, ...]
    datasets: list[Path]
    heard: Listener


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> BuiltLab:
    folder = tmp_path_factory.mktemp("demo") / "not" / "there" / "yet"
    heard = Listener()
    specimens = (SPECIMENS[0], SPECIMENS[5])
    return BuiltLab(folder, specimens, build_lab(folder, heard, specimens), heard)


@pytest.fixture
def listener() -> Listener:
    return Listener()
