"""Large files whose import is stopped half-way, and what is read the next time."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from etdb.errors import ConflictError, NotFoundError, UnavailableError
from etdb.identity import CID, RAW
from etdb.progress import Silent
from etdb.store import draft, hashing, importer
from etdb.store.inplace import Disk, InPlaceStore
from etdb.store.openfiles import Stamp
from etdb.store.pieces import Unfinished, join_pieces
from etdb.store.unixfs import UNIXFS_V0_2015, UNIXFS_V1_2025, Profile

MIB = 1024 * 1024
SIZE = 60 * MIB + 5
STOP = 24 * MIB
HOUR_NS = 3600 * 10**9


class Reader:
    """Counts the bytes that are read; fails from an offset on."""

    def __init__(self) -> None:
        self.count = 0
        self.fails_at: int | None = None
        self.error: BaseException = KeyboardInterrupt()

    def __call__(self, handle: int, buffers: Sequence[memoryview], offset: int) -> int:
        if self.fails_at is not None and offset >= self.fails_at:
            raise self.error
        done = os.preadv(handle, buffers, offset)
        self.count += done
        return done

    def mend(self) -> None:
        """Read everything from now on, counting anew."""
        self.fails_at, self.count = None, 0


class Listener(Silent):
    """Remembers what was reported; stops the job at the byte it is told to."""

    def __init__(self, stops_at: int | None = None) -> None:
        self.total: int | None = None
        self.steps: list[int] = []
        self._stops_at = stops_at

    def begin(self, task: str, total: int | None, unit: str) -> None:
        self.total = total

    def advance(self, amount: int) -> None:
        self.steps.append(amount)
        if sum(self.steps) == self._stops_at:
            raise KeyboardInterrupt


@pytest.fixture
def reader() -> Reader:
    return Reader()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A sparse file, no two chunks of which are alike."""
    target = tmp_path / "lab" / "tilt-series.mrc"
    target.parent.mkdir()
    _write(target)
    return target


def _write(path: Path, mark: int = 1) -> None:
    with path.open("wb") as file:
        file.truncate(SIZE)
        for start in range(0, SIZE, MIB // 4):
            file.seek(start)
            file.write(bytes([start // MIB, start * 4 // MIB % 4, mark]))


@pytest.fixture
def database(tmp_path: Path) -> Path:
    return tmp_path / "store.sqlite"


@pytest.fixture
def store(database: Path, reader: Reader) -> Iterator[InPlaceStore]:
    """A store to whose clock all files look settled."""
    disk = Disk(reader, lambda: time.time_ns() + HOUR_NS)
    with InPlaceStore.create(database, disk) as opened:
        yield opened


def _stop_half_way(
    store: InPlaceStore,
    reader: Reader,
    path: Path,
    *,
    profile: Profile = UNIXFS_V1_2025,
    threads: int = 2,
) -> None:
    reader.fails_at, reader.error = STOP, KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        store.add(path, profile=profile, threads=threads)
    reader.mend()


def _whole(
    tmp_path: Path, path: Path, profile: Profile = UNIXFS_V1_2025
) -> tuple[CID, list[tuple[object, ...]]]:
    """The CID and the rows of an import that nobody stops."""
    database = tmp_path / "whole.sqlite"
    with InPlaceStore.create(database) as store:
        cid = store.add_file(path, profile=profile).cid
    return cid, _content_rows(database)


def _content_rows(database: Path) -> list[tuple[object, ...]]:
    return [
        *_rows(database, "SELECT digest, file_id, number FROM chunks"),
        *_rows(database, "SELECT digest, file_id, block FROM nodes ORDER BY digest"),
        *_rows(database, "SELECT id, path, size_bytes, root, tsize, state FROM files"),
    ]


def _rows(database: Path, sql: str) -> list[tuple[object, ...]]:
    with contextlib.closing(sqlite3.connect(database)) as db:
        return db.execute(sql).fetchall()


def _pieces(database: Path) -> int:
    return len(_rows(database, "SELECT 1 FROM pieces"))


@pytest.fixture(params=[0.0, 1e9])
def interval(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Digests are kept after every few chunks, or only on the way of an error."""
    monkeypatch.setattr(draft, "SAVE_SECONDS", request.param)


@pytest.mark.usefixtures("interval")
@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("profile", [UNIXFS_V1_2025, UNIXFS_V0_2015])
def test_a_stopped_import_goes_on_where_it_was(
    store: InPlaceStore,
    reader: Reader,
    path: Path,
    tmp_path: Path,
    threads: int,
    profile: Profile,
) -> None:
    database = tmp_path / "store.sqlite"
    _stop_half_way(store, reader, path, profile=profile, threads=threads)
    progress = Listener()

    added = store.add(path, profile=profile, threads=threads, progress=progress)

    assert reader.count == SIZE - STOP
    assert (progress.total, progress.steps[0], sum(progress.steps)) == (
        SIZE,
        STOP,
        SIZE,
    )
    assert (added.files, added.new_files, added.total_bytes) == (1, 1, SIZE)
    cid, rows = _whole(tmp_path, path, profile)
    assert added.cid == cid
    assert _content_rows(database) == rows
    assert _pieces(database) == 0
    assert store.check().is_good


@pytest.mark.parametrize("stops", [4 * MIB, 40 * MIB, SIZE])
def test_it_may_be_stopped_again_and_at_any_byte(
    store: InPlaceStore, reader: Reader, path: Path, tmp_path: Path, stops: int
) -> None:
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            store.add_file(path, progress=Listener(stops))

    reader.mend()
    added = store.add_file(path)

    assert reader.count == SIZE - stops
    assert added.cid == _whole(tmp_path, path)[0]


def test_a_disk_that_failed_is_read_on(
    store: InPlaceStore, reader: Reader, path: Path
) -> None:
    reader.fails_at, reader.error = STOP, OSError(5, "Input/output error")
    with pytest.raises(UnavailableError):
        store.add_file(path)
    reader.mend()

    store.add_file(path)

    assert reader.count == SIZE - STOP


DYING = """
import os, pathlib, sys
from etdb.store import draft
from etdb.store.inplace import Disk, InPlaceStore

def read(handle, buffers, offset):
    if offset >= int(sys.argv[4]):
        os.kill(os.getpid(), 9)
    return os.preadv(handle, buffers, offset)

draft.SAVE_SECONDS = float(sys.argv[3])
with InPlaceStore.open(pathlib.Path(sys.argv[1]), Disk(read)) as store:
    store.add(pathlib.Path(sys.argv[2]), threads=2)
"""


@pytest.mark.parametrize(("seconds", "is_kept"), [("0", True), ("1e9", False)])
def test_a_killed_import_loses_what_was_not_written_down(
    path: Path,
    tmp_path: Path,
    database: Path,
    reader: Reader,
    seconds: str,
    is_kept: bool,
) -> None:
    InPlaceStore.create(database).close()
    settled_ns = path.stat().st_ctime_ns
    while time.time_ns() <= settled_ns + 2 * importer.CLOCK_TICK_NS:
        os.sched_yield()
    words = [sys.executable, "-c", DYING, database, path, seconds, STOP]
    child = subprocess.run([*map(str, words)], check=False)
    assert child.returncode == -9

    with InPlaceStore.open(database, Disk(reader)) as store:
        added = store.add(path)

    if is_kept:
        # Two threads read ahead of what is written down.
        ahead = 4 * hashing.JOB_BYTES
        assert SIZE - STOP <= reader.count <= SIZE - STOP + ahead < SIZE
    else:
        assert reader.count == SIZE
    assert added.cid == _whole(tmp_path, path)[0]
    assert _pieces(database) == 0


def _grow(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"more")


def _rewrite_in_place(path: Path) -> None:
    """The ctime alone tells."""
    status = path.stat()
    with path.open("r+b") as file:
        file.write(b"other")
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def _replace(path: Path) -> None:
    other = path.with_name("other")
    _write(other, mark=2)
    other.replace(path)


def _shrink(path: Path) -> None:
    path.write_bytes(b"small")


@pytest.mark.parametrize("change", [_grow, _rewrite_in_place, _replace, _shrink])
def test_a_file_that_changed_begins_anew(
    store: InPlaceStore,
    reader: Reader,
    path: Path,
    tmp_path: Path,
    database: Path,
    change: Callable[[Path], None],
) -> None:
    _stop_half_way(store, reader, path)
    change(path)

    added = store.add_file(path)

    assert reader.count == path.stat().st_size
    cid, rows = _whole(tmp_path, path)
    assert added.cid == cid
    assert _content_rows(database) == rows
    assert _pieces(database) == 0


def test_another_profile_begins_anew_and_leaves_the_first_its_half(
    store: InPlaceStore, reader: Reader, path: Path, tmp_path: Path
) -> None:
    _stop_half_way(store, reader, path)

    other = store.add_file(path, profile=UNIXFS_V0_2015)

    assert reader.count == SIZE
    assert other.cid == _whole(tmp_path, path, UNIXFS_V0_2015)[0]
    reader.mend()
    store.add_file(path)
    assert reader.count == SIZE - STOP


def test_a_half_is_not_held_nor_served(
    store: InPlaceStore, reader: Reader, path: Path, tmp_path: Path, database: Path
) -> None:
    _, rows = _whole(tmp_path, path)
    chunk = next(
        CID(1, RAW, digest) for digest, _, number in rows if isinstance(digest, bytes)
    )
    _stop_half_way(store, reader, path)

    assert _pieces(database) > 0
    assert not store.has(chunk)
    with pytest.raises(NotFoundError):
        store.get_block(chunk)
    assert list(store.iter_files()) == []
    assert store.stats().files == store.stats().chunks == 0
    assert store.check().files == reader.count == 0


def test_the_file_before_stays_held_until_the_new_one_is_hashed(
    store: InPlaceStore, reader: Reader, path: Path
) -> None:
    path.write_bytes(b"before")
    first = store.add_file(path).cid
    _write(path)
    _stop_half_way(store, reader, path)
    assert [CID.from_bytes(file.root_bytes) for file in store.iter_files()] == [first]
    assert store.path_of(first) is None

    added = store.add_file(path)

    assert store.path_of(added.cid) == path
    assert store.stats().files == 1


@pytest.mark.parametrize("is_folder", [True, False])
def test_what_is_removed_begins_anew(
    store: InPlaceStore,
    reader: Reader,
    path: Path,
    tmp_path: Path,
    database: Path,
    is_folder: bool,
) -> None:
    _stop_half_way(store, reader, path)
    assert store.find_held(tmp_path / "la").unfinished == ()
    held = store.find_held(path.parent if is_folder else path)
    assert [file.path for file in held.unfinished] == [path]

    store.forget(held)

    assert _pieces(database) == 0
    store.add_file(path)
    assert reader.count == SIZE


def test_a_file_forgotten_by_its_cid_is_forgotten_with_its_new_half(
    store: InPlaceStore, reader: Reader, path: Path, database: Path
) -> None:
    path.write_bytes(b"before")
    cid = store.add_file(path).cid
    _write(path)
    _stop_half_way(store, reader, path)

    store.forget(store.find_held(cid))

    assert _pieces(database) == 0


@pytest.mark.parametrize("change", [Path.unlink, _rewrite_in_place])
def test_a_check_forgets_the_halves_of_files_that_are_no_more(
    store: InPlaceStore,
    reader: Reader,
    path: Path,
    database: Path,
    change: Callable[[Path], None],
) -> None:
    _stop_half_way(store, reader, path)
    store.check()
    assert _pieces(database) > 0

    change(path)
    store.check()

    assert _pieces(database) == 0


def test_a_file_that_changes_while_it_is_read_leaves_nothing(
    store: InPlaceStore, path: Path, database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(draft, "SAVE_SECONDS", 0.0)

    class Writing(Silent):
        """Writes to the file that is being read."""

        def advance(self, amount: int) -> None:
            if amount:
                assert _pieces(database) > 0
                _grow(path)

    with pytest.raises(ConflictError):
        store.add_file(path, progress=Writing())

    assert _pieces(database) == 0


def test_a_file_written_just_now_is_not_trusted_to_be_the_same(
    reader: Reader, path: Path, database: Path
) -> None:
    clock_ns = path.stat().st_ctime_ns
    with InPlaceStore.create(database, Disk(reader, lambda: clock_ns)) as store:
        _stop_half_way(store, reader, path)
        assert _pieces(database) == 0
        store.add_file(path)

    assert reader.count == SIZE


def test_a_half_of_a_file_that_was_imported_since_goes(
    store: InPlaceStore, reader: Reader, path: Path, database: Path
) -> None:
    """As another program leaves it that was killed after this one was done."""
    _stop_half_way(store, reader, path)
    (row,) = _rows(database, "SELECT * FROM pieces")
    store.add_file(path)
    with contextlib.closing(sqlite3.connect(database)) as db:
        db.execute(f"INSERT INTO pieces VALUES ({','.join('?' * len(row))})", row)
        db.commit()
    reader.mend()

    store.add_file(path)

    assert reader.count == _pieces(database) == 0


def test_keeping_halves_does_not_enlarge_the_store(
    tmp_path: Path, tiny: Profile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hashing, "JOB_BYTES", MIB // 8)
    source = tmp_path / "noise"
    source.write_bytes(os.urandom(MIB))
    disk = Disk(clock_ns=lambda: time.time_ns() + HOUR_NS)

    def size_with(seconds: float) -> int:
        monkeypatch.setattr(draft, "SAVE_SECONDS", seconds)
        database = tmp_path / f"{seconds}.sqlite"
        with InPlaceStore.create(database, disk) as store:
            store.add_file(source, profile=tiny)
        return database.stat().st_size

    assert size_with(0.0) <= size_with(1e9) * 1.01


def test_a_store_made_before_halves_were_kept_keeps_them_from_now_on(
    reader: Reader, path: Path, database: Path
) -> None:
    InPlaceStore.create(database).close()
    with contextlib.closing(sqlite3.connect(database)) as db:
        db.execute("DROP TABLE pieces")
        db.execute("DROP TABLE check_position")
    disk = Disk(reader, lambda: time.time_ns() + HOUR_NS)

    with InPlaceStore.open(database, disk) as store:
        _stop_half_way(store, reader, path)
    with InPlaceStore.open(database, disk) as store:
        store.add_file(path)

    assert reader.count == SIZE - STOP


def test_only_pieces_that_join_and_are_of_this_very_file_count() -> None:
    stamp, other = Stamp(9, 1, 1, 1), Stamp(9, 1, 2, 1)
    file = Unfinished(Path("/lab/ts.mrc"), "unixfs-v1-2025", stamp)
    digests = [bytes([number]) * 32 for number in range(8)]

    def row(first: int, stop: int, stamp: Stamp = stamp) -> tuple[object, ...]:
        words = (b"/lab/ts.mrc", file.profile, stamp.size_bytes, stamp.mtime_ns)
        some = b"".join(digests[first:stop])
        return (*words, stamp.ctime_ns, stamp.inode, first, some)

    def joined(*rows: tuple[object, ...]) -> int:
        found = join_pieces(file, rows)
        assert found == b"".join(digests)[: len(found)]
        return len(found) // 32

    assert joined() == 0
    assert joined(row(0, 2), row(2, 5)) == 5
    assert joined(row(0, 3), row(1, 2), row(2, 6)) == 6
    assert joined(row(0, 2), row(3, 5)) == 2
    assert joined(row(1, 4)) == 0
    assert joined(row(0, 2), row(2, 4, other), row(2, 3), row(3, 4)) == 4
    assert joined(row(0, 2, other)) == 0
