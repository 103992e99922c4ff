from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from etdb.demo.lab import MARKER, build_lab
from etdb.demo.specimen import SPECIMENS
from etdb.errors import ConflictError, UnavailableError

pytestmark = pytest.mark.slow

INTERRUPTED = """
import multiprocessing, pathlib, sys
from etdb.demo.lab import build_lab
from etdb.progress import Silent

class Pids(Silent):
    def advance(self, amount):
        children = multiprocessing.active_children()
        if len(children) == 2:
            print(*(child.pid for child in children), flush=True)

if __name__ == "__main__":
    build_lab(pathlib.Path(sys.argv[1]), Pids())
"""


def snapshot(folder: Path) -> dict[str, int]:
    return {str(path): path.stat().st_mtime_ns for path in folder.rglob("*")}


def test_a_new_lab_is_built_in_order_and_reported(lab: Any) -> None:
    assert lab.datasets == [lab.folder / one.sid for one in lab.specimens]
    assert sorted(path.name for path in lab.folder.iterdir()) == [
        one.sid for one in lab.specimens
    ]
    assert lab.heard.begun == [("simulating", 480, "slices")]
    assert (lab.heard.done, lab.heard.ended) == (480, 1)


def test_what_is_complete_is_left_alone_and_not_announced(
    lab: Any, listener: Any
) -> None:
    before = snapshot(lab.folder)

    again = build_lab(lab.folder, listener, lab.specimens)

    assert again == lab.datasets
    assert snapshot(lab.folder) == before
    assert listener.begun == []


def test_only_what_is_missing_is_built_over_what_a_crash_left(
    lab: Any, listener: Any, tmp_path: Path
) -> None:
    done, broken = lab.specimens
    (tmp_path / done.sid).symlink_to(lab.datasets[0])
    left = tmp_path / f".unfinished-{broken.sid}"
    left.mkdir()
    (left / "half.rec").write_bytes(b"half")

    build_lab(tmp_path, listener, lab.specimens)

    assert listener.done == 240
    assert not left.exists()
    assert (tmp_path / broken.sid / MARKER).is_file()
    assert not (tmp_path / broken.sid / "half.rec").exists()


def test_a_folder_that_is_not_the_demos_is_refused(
    listener: Any, tmp_path: Path
) -> None:
    (tmp_path / SPECIMENS[3].sid).mkdir()

    with pytest.raises(ConflictError, match="not a dataset of the demo"):
        build_lab(tmp_path, listener)

    assert listener.begun == []


def test_a_place_that_cannot_hold_a_lab_is_unavailable(
    listener: Any, tmp_path: Path
) -> None:
    (tmp_path / "file").write_bytes(b"")

    with pytest.raises(UnavailableError, match="cannot write"):
        build_lab(tmp_path / "file", listener)


def test_what_stops_a_worker_is_said_by_the_parent(
    listener: Any, tmp_path: Path
) -> None:
    blocked = tmp_path / f".unfinished-{SPECIMENS[0].sid}"
    blocked.write_bytes(b"a file where a folder has to be")

    with pytest.raises(UnavailableError, match=f"cannot write .*{SPECIMENS[0].sid}"):
        build_lab(tmp_path, listener, SPECIMENS[:1])


def test_a_worker_that_dies_is_an_error_not_a_wait(
    listener: Any, tmp_path: Path
) -> None:
    wrong: Any = os.kill  # wants two arguments, gets one
    deadly = replace(SPECIMENS[0], draw=wrong)

    with pytest.raises(UnavailableError, match="died"):
        build_lab(tmp_path, listener, [deadly])


def test_ctrl_c_ends_every_process_and_leaves_no_half_dataset(tmp_path: Path) -> None:
    script = tmp_path / "build.py"
    script.write_text(INTERRUPTED)
    with subprocess.Popen(
        [sys.executable, script, tmp_path / "lab"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        assert process.stdout is not None
        workers = [int(pid) for pid in process.stdout.readline().split()]
        os.killpg(process.pid, signal.SIGINT)
        _, errors = process.communicate(timeout=30)

    assert process.returncode == -signal.SIGINT
    assert errors.count("Traceback") == 1
    assert len(workers) == 2
    for pid in workers:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
    for path in (tmp_path / "lab").iterdir():
        assert path.name.startswith(".unfinished-") or (path / MARKER).is_file()
