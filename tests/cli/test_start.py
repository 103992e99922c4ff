"""Commands start without loading what they have no use for."""

from __future__ import annotations

import subprocess
import sys

import pytest

CODE = """
import sys
from etdb.cli import build
build(sys.argv[2:])
heavy = set(sys.argv[1].split(","))
assert not heavy & set(sys.modules), heavy & set(sys.modules)
"""


@pytest.mark.parametrize(
    ("words", "heavy"),
    [
        (["--version"], "sqlalchemy,numpy,urllib3,fastapi"),
        (["get"], "sqlalchemy,numpy,fastapi"),
        (["cat"], "sqlalchemy,numpy,fastapi"),
        (["whereis"], "sqlalchemy,numpy,fastapi"),
        (["search"], "sqlalchemy,numpy,fastapi"),
        (["show"], "sqlalchemy,numpy,fastapi"),
        (["verify"], "sqlalchemy,numpy,fastapi"),
        (["publish"], "fastapi"),
    ],
)
def test_only_what_a_command_needs_is_loaded(words: list[str], heavy: str) -> None:
    subprocess.run([sys.executable, "-c", CODE, heavy, *words], check=True)
