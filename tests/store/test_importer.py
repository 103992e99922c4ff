"""Importing many files at once: look-ups and moves that come in batches."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from etdb.errors import NotFoundError
from etdb.identity import CID
from etdb.store import importer
from etdb.store.inplace import Disk, InPlaceStore
from etdb.store.verified import iter_chunks, read_chunk
from etdb.testing.store import MemoryStore

MANY = 700
HOUR_NS = 3_600_000_000_000


@pytest.fixture
def frames(tmp_path: Path) -> Path:
    """More small files than are looked up at once."""
    folder = tmp_path / "frames"
    folder.mkdir()
    for number in range(MANY):
        (folder / f"{number:04}.tif").write_bytes(number.to_bytes(4, "big"))
    return folder


def _content(store: InPlaceStore, cid: CID) -> bytes:
    return b"".join(read_chunk(store, chunk) for chunk in iter_chunks(store, cid))


def test_a_known_folder_is_not_read_and_a_grown_one_only_where_it_grew(
    watched: InPlaceStore, reads: Any, frames: Path
) -> None:
    first = watched.add(frames)
    assert reads.take() == first.total_bytes == 4 * MANY
    assert (first.files, first.new_files) == (MANY, MANY)

    again = watched.add(frames)
    assert reads.take() == 0
    assert (again.cid, again.new_files) == (first.cid, 0)

    (frames / "new.tif").write_bytes(b"seven by")
    (frames / "0500.tif").write_bytes(b"nine byte")
    grown = watched.add(frames)
    assert reads.take() == 17
    assert grown.new_files == 2


def test_a_known_file_that_changes_while_others_are_read_is_read_too(
    tmp_path: Path, frames: Path
) -> None:
    first, last = frames / "0000.tif", frames / "0699.tif"
    paths = {path.name: path for path in sorted(frames.iterdir())}
    writes: list[bytes] = []

    def read_into(handle: int, buffers: Sequence[memoryview], offset: int) -> int:
        if writes:
            last.write_bytes(writes.pop())
        return os.preadv(handle, buffers, offset)

    disk = Disk(read_into, lambda: time.time_ns() + HOUR_NS)
    with InPlaceStore.create(tmp_path / "store.sqlite", disk) as store:
        store.add_tree(paths)
        first.write_bytes(b"makes the import begin to read")
        writes.append(b"written after the import began")
        tree = store.add_tree(paths)

        assert _content(store, tree.files[last.name].cid) == last.read_bytes()


def test_a_moved_folder_of_many_files_is_not_read(
    watched: InPlaceStore, reads: Any, frames: Path
) -> None:
    first = watched.add(frames)
    reads.take()
    moved = frames.rename(frames.with_name("archive"))

    second = watched.add(moved)

    assert reads.take() == 0
    assert (second.cid, second.new_files) == (first.cid, 0)
    assert watched.stats().files == MANY
    assert all(file.path.parent == moved for file in watched.iter_files())


@pytest.mark.parametrize("batch", [1, 2, 1000])
def test_files_that_change_places_are_all_found_again(
    watched: InPlaceStore, tmp_path: Path, batch: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importer, "BATCH_FILES", batch)
    folders = [tmp_path / name for name in ("a", "b", "c")]
    for folder in folders:
        folder.mkdir()
        for name in ("ts.st", "ts.rec"):
            (folder / name).write_bytes(os.urandom(50))
    paths = {f"{f.name}/{n}": f / n for f in folders for n in ("ts.st", "ts.rec")}
    watched.add_tree(paths)
    away = folders[0].rename(tmp_path / "away")
    folders[1].rename(folders[0])
    folders[2].rename(folders[1])
    away.rename(folders[2])
    (folders[1] / "ts.st").rename(folders[1] / "other")
    (folders[1] / "ts.rec").rename(folders[1] / "ts.st")
    (folders[1] / "other").rename(folders[1] / "ts.rec")

    tree = watched.add_tree(paths)

    for name, added in tree.files.items():
        assert _content(watched, added.cid) == paths[name].read_bytes()
        assert watched.path_of(added.cid) == paths[name]
    assert watched.stats().files == 6
    assert watched.list_stale() == []


@pytest.mark.parametrize("batch", [1, 1000])
def test_a_file_renamed_and_written_anew_is_two_files(
    watched: InPlaceStore, tmp_path: Path, batch: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importer, "BATCH_FILES", batch)
    folder = tmp_path / "lab"
    folder.mkdir()
    path, backup = folder / "1.rec", folder / "2.rec"
    path.write_bytes(b"first")
    watched.add_file(path)
    path.rename(backup)
    path.write_bytes(b"second")

    tree = watched.add_tree({"1": path, "2": backup})

    assert _content(watched, tree.files["1"].cid) == b"second"
    assert _content(watched, tree.files["2"].cid) == b"first"
    assert watched.stats().files == 2


def test_two_links_to_a_file_that_moved_are_two_places(
    watched: InPlaceStore, tmp_path: Path
) -> None:
    path = tmp_path / "a.rec"
    path.write_bytes(b"content")
    cid = watched.add_file(path).cid
    first, second = tmp_path / "b.rec", tmp_path / "c.rec"
    first.hardlink_to(path)
    second.hardlink_to(path)
    path.unlink()

    watched.add_tree({"b": first, "c": second})

    assert {file.path for file in watched.iter_files()} == {first, second}
    first.unlink()
    assert watched.get_block(cid) == b"content"


DYING = """
import os, pathlib, sys
from etdb.store import importer
from etdb.store.inplace import Disk, InPlaceStore

def read(handle, buffers, offset, count=[0]):
    count[0] += 1
    if count[0] > 350:
        os.kill(os.getpid(), 9)
    return os.preadv(handle, buffers, offset)

importer.BATCH_FILES = 100
with InPlaceStore.open(pathlib.Path(sys.argv[1]), importer.Disk(read)) as store:
    store.add(pathlib.Path(sys.argv[2]))
"""


def test_what_was_committed_is_not_read_again_after_a_kill(
    tmp_path: Path, frames: Path, reads: Any
) -> None:
    database = tmp_path / "store.sqlite"
    InPlaceStore.create(database).close()
    disk = importer.Disk(reads)
    settled_ns = max(path.stat().st_ctime_ns for path in frames.iterdir())
    while time.time_ns() < settled_ns + importer.CLOCK_TICK_NS:
        os.sched_yield()
    child = subprocess.run(
        [sys.executable, "-c", DYING, str(database), str(frames)], check=False
    )
    assert child.returncode == -9

    with InPlaceStore.open(database, disk) as store:
        assert store.stats().files == 300
        added = store.add(frames)

    assert reads.take() == 4 * (MANY - 300)
    assert (added.files, added.new_files) == (MANY, MANY - 300)


def test_a_folder_forgotten_is_not_served_and_stays_on_disk(
    watched: InPlaceStore, frames: Path
) -> None:
    added = watched.add(frames)
    file = watched.add_file(frames / "0001.tif")
    held = watched.find_held(added.cid)
    assert len(held.files) == MANY
    assert set(held.files) == set(watched.find_held(frames).files)

    watched.forget(held)

    for cid in (added.cid, file.cid):
        with pytest.raises(NotFoundError):
            watched.get_block(cid)
    assert watched.stats().files == 0
    assert len(list(frames.iterdir())) == MANY


FOLDER_FILES = 20_000
IMPORTING = """
import json, os, pathlib, re, sys
from etdb.progress import Silent
from etdb.store.inplace import Disk, InPlaceStore

class Stopping(Silent):
    left = int(sys.argv[3])

    def advance(self, amount):
        self.left -= amount
        if self.left == 0:
            os._exit(75)

def peak_kib():
    # Of this program alone; getrusage counts whoever started it, too.
    status = pathlib.Path("/proc/self/status").read_text()
    return int(re.search(r"VmHWM:\\s+(\\d+)", status)[1])

with InPlaceStore.open(pathlib.Path(sys.argv[1])) as store:
    before_kib = peak_kib()
    done = store.add(pathlib.Path(sys.argv[2]), progress=Stopping())
    grown_kib = peak_kib() - before_kib
print(json.dumps([str(done.cid), done.files, done.new_files, grown_kib]))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="measures as Linux does")
def test_a_folder_of_20_000_files_takes_little_memory_and_goes_on_after_a_stop(
    tmp_path: Path,
) -> None:
    folder, database = tmp_path / "frames", tmp_path / "store.sqlite"
    folder.mkdir()
    for number in range(FOLDER_FILES):
        (folder / f"{number:05}.tif").write_bytes(number.to_bytes(4, "big"))
    InPlaceStore.create(database).close()

    def run(stop_after_bytes: int) -> subprocess.CompletedProcess[str]:
        words = [sys.executable, "-c", IMPORTING, database, folder, stop_after_bytes]
        return subprocess.run(
            [*map(str, words)], check=False, capture_output=True, text=True
        )

    assert run(4 * FOLDER_FILES // 2).returncode == 75
    cid, files, new_files, grown_kib = json.loads(run(-1).stdout)

    assert files == FOLDER_FILES
    # What came last before the stop had not been written down.
    kept = FOLDER_FILES - new_files
    assert FOLDER_FILES // 2 - 2 * importer.BATCH_FILES <= kept <= FOLDER_FILES // 2
    assert grown_kib < 40_000
    contents = (number.to_bytes(4, "big") for number in range(FOLDER_FILES))
    named = {f"{number:05}.tif": data for number, data in enumerate(contents)}
    assert cid == str(MemoryStore().add_tree(named))
