"""Where what is printed cannot go: a full disk, a reader that has seen enough."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

LARGE = {"large.bin": os.urandom(3_000_000)}


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs Linux's /dev/full")
@pytest.mark.parametrize("what", ["cat", "get"])
def test_a_full_disk_behind_the_output_is_said(
    etdb: Any, world: Any, serve: Any, tmp_path: Path, what: str
) -> None:
    record = world.add(1, LARGE)
    words = {
        "cat": ("cat", f"{record['id']}/large.bin"),
        "get": ("get", record["id"], "-o", tmp_path / "got"),
    }[what]

    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            etdb.command(*words, "--from", serve().url),
            check=False,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            env=etdb.environ,
            timeout=60,
        )

    assert done.returncode == 5
    assert "cannot write the output: No space left" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_reader_that_has_seen_enough_is_no_error(
    etdb: Any, world: Any, serve: Any
) -> None:
    record = world.add(1, LARGE)
    process = etdb.start("cat", f"{record['id']}/large.bin", "--from", serve().url)
    os.read(process.stdout.fileno(), 10)
    process.stdout.close()

    assert process.wait(60) == 0
    assert process.stderr.read() == ""
    process.stderr.close()
