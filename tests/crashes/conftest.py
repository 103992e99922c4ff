"""Nodes before a command: with two synthetic datasets, published or not."""

from __future__ import annotations

import copy
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from etdb.testing.crash import Scenario, make_datasets, publish
from etdb.testing.ledger import MemoryLedger
from etdb.testing.pool import PoolLedger

Start = Callable[[Scenario, MemoryLedger], MemoryLedger]


def new_node(folder: Path, data: Path) -> Path:
    folder.mkdir()
    (folder / "data").symlink_to(data)
    return folder


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The datasets."""
    folder = tmp_path_factory.mktemp("datasets")
    make_datasets(folder)
    return folder / "data"


@pytest.fixture(scope="session")
def published(
    tmp_path_factory: pytest.TempPathFactory, data: Path
) -> Callable[[MemoryLedger], tuple[Path, MemoryLedger]]:
    """A node that has published both on a kind of ledger; to be copied."""
    made: dict[type, tuple[Path, MemoryLedger]] = {}

    def get(ledger: MemoryLedger) -> tuple[Path, MemoryLedger]:
        if type(ledger) not in made:
            node = new_node(tmp_path_factory.mktemp("published") / "node", data)
            publish(node, ledger)
            if isinstance(ledger, PoolLedger):
                ledger.deliver()
                publish(node, ledger)
            made[type(ledger)] = node, ledger
        return made[type(ledger)]

    return get


@pytest.fixture
def node(tmp_path: Path) -> Path:
    """The folder that outlives a restart; made by `start`."""
    return tmp_path / "node"


@pytest.fixture
def start(
    node: Path,
    data: Path,
    published: Callable[[MemoryLedger], tuple[Path, MemoryLedger]],
) -> Start:
    """Make the node that a command begins on, and its ledger."""

    def make(scenario: Scenario, ledger: MemoryLedger) -> MemoryLedger:
        if not scenario.needs_records:
            new_node(node, data)
            return ledger
        folder, ledger = published(ledger)
        shutil.copytree(folder, node, symlinks=True)
        return copy.deepcopy(ledger)

    return make
