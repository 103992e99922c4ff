"""Daemons of both kinds, and a folder that outlives restarts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from etdb.testing.crash import make_datasets
from etdb.testing.daemon import Dialect, FakeDaemon
from etdb.testing.restart import SCRIPT, Open, open_ledger


@pytest.fixture(params=["flod", "fcoin"])
def poor_daemon(request: pytest.FixtureRequest) -> Iterator[FakeDaemon]:
    """A daemon of either kind, without coins of ours."""
    dialect: Dialect = request.param
    with FakeDaemon(dialect) as running:
        yield running


@pytest.fixture
def daemon(poor_daemon: FakeDaemon) -> FakeDaemon:
    """A daemon of either kind whose chain has coins of ours."""
    poor_daemon.chain.fund(SCRIPT, coins=16)
    return poor_daemon


@pytest.fixture
def node(tmp_path: Path) -> Path:
    """The folder that outlives a restart, with the datasets."""
    folder = tmp_path / "node"
    folder.mkdir()
    make_datasets(folder)
    return folder


@pytest.fixture
def opened(node: Path, daemon: FakeDaemon) -> Open:
    """Open the ledger as a new process does."""
    return lambda: open_ledger(node, daemon)
