"""Downloads stopped at any moment go on where they were."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from etdb.testing.gateway import FakeGateway, Fault

MIB = 1 << 20

PROGRAM = r"""
import json, sys
from pathlib import Path
from etdb.client.download import download, plan
from etdb.client.sources import HttpSource

class Aloud:
    def begin(self, task, total, unit): pass
    def advance(self, amount):
        sys.stdout.write(f"{amount}\n")
        sys.stdout.flush()
    def end(self): pass

record, url, folder = json.load(open(sys.argv[1])), sys.argv[2], Path(sys.argv[3])
with HttpSource(url) as source:
    download(plan(record, [source], folder), [source], Aloud())
"""


@contextmanager
def getting(
    getter: Any, gateway: FakeGateway, tmp_path: Path
) -> Iterator[subprocess.Popen[str]]:
    """A download in a process of its own, that prints what it has written."""
    record = tmp_path / "record.json"
    record.write_text(json.dumps(getter.dataset.record))
    command = [sys.executable, "-c", PROGRAM, record, gateway.url, getter.folder]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def read_until(process: subprocess.Popen[str], size_bytes: int) -> None:
    """Follow the download until so many bytes are written."""
    assert process.stdout is not None
    written = 0
    while written < size_bytes:
        line = process.stdout.readline()
        assert line, "the download ended early"
        written += int(line)


def fetched_bytes(requests: list[str]) -> int:
    asked = [line.partition(" bytes=")[2] for line in requests if " bytes=" in line]
    return sum(int(b) + 1 - int(a) for a, b in (text.split("-") for text in asked))


@pytest.mark.slow
@pytest.mark.parametrize("after", [0, 1, 6 * MIB, 15 * MIB])
def test_after_kill_9_no_written_chunk_is_fetched_again(
    getter: Any, tmp_path: Path, after: int
) -> None:
    slow = FakeGateway(getter.dataset.store, rate_bytes_s=40e6)
    with slow as gateway, getting(getter, gateway, tmp_path) as process:
        read_until(process, after)
        process.kill()
        process.wait()
    names_then = set(getter.on_disk())

    with getter.serving() as (gateway, source):
        results = getter.get(source)

    total = sum(map(len, getter.dataset.files.values()))
    assert fetched_bytes(gateway.requests) <= total - after
    assert {result.state for result in results} <= {"done", "present"}
    assert getter.on_disk() == getter.dataset.files
    assert names_then <= set(getter.dataset.files)


@pytest.mark.slow
def test_an_interrupt_ends_the_download_though_the_gateway_is_silent(
    getter: Any, tmp_path: Path
) -> None:
    stall = Fault("stall", on=str(getter.dataset.cid("raw/ts 1.st")), at=2 * MIB)
    silent = FakeGateway(getter.dataset.store, faults=[stall])
    with silent as gateway, getting(getter, gateway, tmp_path) as process:
        read_until(process, 2 * MIB)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=20)

    assert "KeyboardInterrupt" in errors
    assert process.returncode != 0
