"""The process really dies, on the embedded chain."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from etdb.ledger.flo.local import EmbeddedChain
from etdb.testing.crash import (
    PUBLISHER,
    SCENARIOS,
    WALLET,
    Scenario,
    count_parts,
    publish,
    verify_at_rest,
    verify_said_once,
)
from etdb.testing.publishing import Watcher, points

KILLED = 137
KILL = """
import os, sys
from pathlib import Path
from etdb.ledger.flo.local import EmbeddedChain
from etdb.testing.crash import PUBLISHER, SCENARIOS, WALLET
from etdb.testing.publishing import Watcher
node, name, point = Path(sys.argv[1]), *sys.argv[2:]
chain = EmbeddedChain.open(node / "chain", publisher=PUBLISHER, wallet=WALLET)
SCENARIOS[name].run(node, chain, Watcher(point, lambda: os._exit(137)))
"""


@pytest.fixture(scope="module")
def nodes(
    tmp_path_factory: pytest.TempPathFactory, data: Path
) -> Callable[[Scenario], Path]:
    """A node with a chain of its own, before a command; to be copied."""
    empty = tmp_path_factory.mktemp("embedded") / "empty"
    empty.mkdir()
    (empty / "data").symlink_to(data)
    EmbeddedChain.create(
        empty / "chain", publisher=PUBLISHER, wallet=WALLET, address=PUBLISHER.address()
    )
    full = empty.with_name("full")
    shutil.copytree(empty, full, symlinks=True)
    publish(full, open_chain(full))
    return lambda scenario: full if scenario.needs_records else empty


def open_chain(node: Path) -> EmbeddedChain:
    return EmbeddedChain.open(node / "chain", publisher=PUBLISHER, wallet=WALLET)


PUBLISH_POINTS = points(("store 2", "open 1", "send 1", "follow 5", "close 1"))
OTHER_POINTS = points(("open 1", "send 1"))
POINTS = [
    (name, point)
    for name in SCENARIOS
    for point in (PUBLISH_POINTS if name == "publish" else OTHER_POINTS)
]


@pytest.mark.parametrize(("name", "point"), POINTS)
def test_a_killed_process_leaves_each_statement_once_on_the_embedded_chain(
    node: Path,
    nodes: Callable[[Scenario], Path],
    tmp_path: Path,
    name: str,
    point: str,
) -> None:
    scenario = SCENARIOS[name]
    shutil.copytree(nodes(scenario), node, symlinks=True)
    died = subprocess.run(
        [sys.executable, "-c", KILL, str(node), name, point],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert died.returncode == KILLED, died.stderr

    scenario.run(node, open_chain(node), Watcher())

    chain = open_chain(node)
    chain.verify()
    verify_said_once(scenario, chain, tmp_path)
    verify_at_rest(node, chain)
    assert set(count_parts(chain).values()) == {1}
