"""A node's publishing parts in a folder, and small synthetic datasets."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import mrcfile  # type: ignore[import-untyped]
import numpy as np
import pytest

from etdb.publish.publisher import Publisher
from etdb.record.signing import PrivateKey
from etdb.testing.ledger import MemoryLedger
from etdb.testing.publishing import open_publisher

SETTINGS = 'species = "Vibrio cholerae"\ndate = 2026-03-14\n'


@pytest.fixture
def key() -> PrivateKey:
    """A publisher's key."""
    return PrivateKey.from_bytes(b"\x11" * 32)


@pytest.fixture
def ledger() -> MemoryLedger:
    """A ledger in memory."""
    return MemoryLedger()


@pytest.fixture
def node(tmp_path: Path) -> Path:
    """The folder that outlives a restart."""
    folder = tmp_path / "node"
    folder.mkdir()
    return folder


@pytest.fixture
def publisher(node: Path, ledger: MemoryLedger, key: PrivateKey) -> Iterator[Publisher]:
    """A publisher over an empty node."""
    with open_publisher(node, ledger, key) as opened:
        yield opened


@pytest.fixture
def make_dataset(tmp_path: Path) -> Callable[..., Path]:
    """Make a folder with a reconstruction, a text and the mandatory fields."""

    def make(name: str, settings: str = SETTINGS) -> Path:
        folder = tmp_path / "data" / name
        (folder / "raw").mkdir(parents=True)
        seed = np.random.default_rng(len(name))
        with mrcfile.new(folder / "cell.rec") as file:
            file.set_data(seed.normal(size=(4, 32, 32)).astype(np.float32))
        (folder / "raw" / "notes.txt").write_text(f"notes of {name}")
        (folder / "dataset.toml").write_text(settings)
        return folder

    return make


@pytest.fixture
def dataset(make_dataset: Callable[..., Path]) -> Path:
    """One of these folders."""
    return make_dataset("vc-1")
