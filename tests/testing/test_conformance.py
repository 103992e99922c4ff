"""CAR files are served by the gateway itself, as the public suite needs them."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from etdb.store.car import iter_car
from etdb.store.verified import Verified
from etdb.testing.conformance import main
from etdb.testing.store import MemoryStore


def test_the_cars_of_a_folder_are_served(tmp_path: Path) -> None:
    (tmp_path / "below").mkdir()
    roots = {}
    for name in ("one.car", "below/two.car"):
        store = MemoryStore()
        roots[name] = store.add_tree({"a.txt": name.encode()})
        car = b"".join(iter_car(Verified(store), roots[name]))
        (tmp_path / name).write_bytes(car)
    module = ["-m", "etdb.testing.conformance"]
    words = [sys.executable, *module, str(tmp_path), "--port", "0"]

    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as program:
        assert program.stdout is not None
        url = program.stdout.readline().strip()
        try:
            for name, root in roots.items():
                answer = httpx.get(f"{url}/ipfs/{root}/a.txt")
                assert answer.text == name
                assert answer.headers["ipfs-uri"] == f"ipfs://{root}/a.txt"
        finally:
            program.send_signal(signal.SIGINT)
    assert program.returncode == 0


@pytest.mark.parametrize("content", [None, b"", b"\x0a\xa1gversion\x02", b"\xff"])
def test_what_is_no_car_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes | None
) -> None:
    path = tmp_path / "x.car"
    if content is not None:
        path.write_bytes(content)

    assert main([str(path), "--port", "0"]) == 1
    assert "x.car" in capsys.readouterr().err
