"""What every test may ask for."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

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
