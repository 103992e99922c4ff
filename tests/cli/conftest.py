"""Datasets to publish, and records on loopback to fetch."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from etdb.testing.gateway import FakeGateway, Fault
from etdb.testing.world import FACTS, FILES, World


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def record(world: World) -> dict[str, Any]:
    return world.add(1, FILES)


@pytest.fixture
def serve(world: World) -> Iterator[Callable[..., FakeGateway]]:
    opened: list[FakeGateway] = []

    def start(*faults: Fault) -> FakeGateway:
        gateway = FakeGateway(world.store, faults=faults, answers=world.answers)
        opened.append(gateway.__enter__())
        return gateway

    yield start
    for gateway in opened:
        gateway.__exit__(None, None, None)


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    folder = tmp_path / "vc1"
    folder.mkdir()
    (folder / "notes.txt").write_text("outer membrane vesicles")
    return folder


@pytest.fixture
def record_id(lab: Any, dataset: Path) -> str:
    """A record of one's own."""
    published = lab.ok("publish", dataset, "--yes", "--json", *FACTS).json
    return str(published["id"])
