"""Hashing everything again: what is found, how fast, and from where."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from etdb.errors import DamagedFileError
from etdb.progress import Silent
from etdb.store import check
from etdb.store.catalogue import State
from etdb.store.inplace import Disk, InPlaceStore, Pace
from etdb.store.unixfs import PROFILES, Profile

MIB = 1024 * 1024


class Reader:
    """Counts bytes; fails at the byte it is told to."""

    def __init__(self) -> None:
        self.count = 0
        self.fails_at: int | None = None

    def __call__(self, handle: int, buffers: Sequence[memoryview], offset: int) -> int:
        if self.fails_at is not None and self.count >= self.fails_at:
            self.fails_at = None
            raise KeyboardInterrupt
        done = os.preadv(handle, buffers, offset)
        self.count += done
        return done


@pytest.fixture
def reader() -> Reader:
    return Reader()


@pytest.fixture
def held(tmp_path: Path, reader: Reader) -> Iterator[InPlaceStore]:
    """A store that holds three files, one of several chunks."""
    lab = tmp_path / "lab"
    lab.mkdir()
    (lab / "a.rec").write_bytes(os.urandom(100))
    (lab / "b.st").write_bytes(os.urandom(3 * MIB + 17))
    (lab / "c.txt").touch()
    with InPlaceStore.create(tmp_path / "store.sqlite", Disk(reader)) as store:
        for path in sorted(lab.iterdir()):
            store.add_file(path)
        reader.count = 0
        yield store


def _flip(path: Path, position: int) -> None:
    """Change one bit and leave no trace in size and mtime."""
    status = path.stat()
    with path.open("r+b") as file:
        file.seek(position)
        byte = file.read(1)
        file.seek(position)
        file.write(bytes([byte[0] ^ 1]))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def test_right_files_are_read_whole_and_found_good(
    held: InPlaceStore, reader: Reader
) -> None:
    found = held.check()

    assert found.is_good
    assert (found.files, found.bytes) == (3, 3 * MIB + 117)
    assert reader.count == 3 * MIB + 117


@pytest.mark.parametrize("profile", PROFILES.values(), ids=PROFILES)
def test_every_profile_is_checked(
    held: InPlaceStore, tmp_path: Path, profile: Profile
) -> None:
    path = tmp_path / "other.st"
    path.write_bytes(bytes(range(256)) * 200_000)
    held.add_file(path, profile=profile)
    assert held.check().is_good

    _flip(path, 51_199_999)

    assert [file.path for file in held.check().stale] == [path]


@pytest.mark.parametrize("position", [0, MIB + 5, 3 * MIB + 16])
def test_one_flipped_bit_is_found(
    held: InPlaceStore, tmp_path: Path, position: int
) -> None:
    path = tmp_path / "lab" / "b.st"
    _flip(path, position)

    (stale,) = held.check().stale

    assert (stale.path, stale.state) == (path, State.CHANGED)
    assert held.list_stale() == [path]


def test_chunks_that_changed_places_are_found(
    held: InPlaceStore, tmp_path: Path
) -> None:
    path = tmp_path / "lab" / "b.st"
    status, data = path.stat(), path.read_bytes()
    path.write_bytes(data[MIB : 2 * MIB] + data[:MIB] + data[2 * MIB :])
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))

    assert [file.path for file in held.check().stale] == [path]


def test_missing_and_changed_files_cost_no_reading(
    held: InPlaceStore, tmp_path: Path, reader: Reader
) -> None:
    (tmp_path / "lab" / "a.rec").unlink()
    os.truncate(tmp_path / "lab" / "b.st", MIB)

    found = held.check()

    assert [(file.path.name, file.state) for file in found.stale] == [
        ("a.rec", State.MISSING),
        ("b.st", State.CHANGED),
    ]
    assert reader.count == 0


def test_a_disk_that_came_back_is_good_again(
    held: InPlaceStore, tmp_path: Path
) -> None:
    away = (tmp_path / "lab").rename(tmp_path / "unmounted")
    assert len(held.check().stale) == 3

    away.rename(tmp_path / "lab")

    assert held.check().is_good


def test_what_cannot_be_read_is_reported_and_not_stale(
    held: InPlaceStore, tmp_path: Path
) -> None:
    path = tmp_path / "lab" / "a.rec"
    path.unlink()
    path.symlink_to(path)

    found = held.check()

    assert not found.is_good
    assert found.stale == ()
    ((unreadable, reason),) = found.unreadable
    assert unreadable == path
    assert "a.rec" in reason


def test_an_interrupted_check_goes_on_within_a_file(
    held: InPlaceStore, reader: Reader
) -> None:
    reader.fails_at = 100 + 2 * MIB
    with pytest.raises(KeyboardInterrupt):
        held.check()
    reader.count = 0

    found = held.check(is_resumed=True)

    assert reader.count == found.bytes == MIB + 17
    assert found.files == 2
    assert held.check(is_resumed=True).bytes == 3 * MIB + 117


def test_what_the_first_half_found_is_in_the_report_of_the_second(
    held: InPlaceStore, tmp_path: Path, reader: Reader
) -> None:
    _flip(tmp_path / "lab" / "a.rec", 5)
    reader.fails_at = MIB
    with pytest.raises(KeyboardInterrupt):
        held.check()

    found = held.check(is_resumed=True)

    assert [file.path.name for file in found.stale] == ["a.rec"]


def test_without_resuming_a_check_begins_anew(
    held: InPlaceStore, reader: Reader
) -> None:
    reader.fails_at = MIB
    with pytest.raises(KeyboardInterrupt):
        held.check()

    assert held.check().bytes == 3 * MIB + 117


def test_a_killed_check_loses_little(
    held: InPlaceStore, reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(check, "SAVE_BYTES", MIB)
    seen = []

    class Watching(Silent):
        """Looks at what is kept whenever something is done."""

        def advance(self, amount: int) -> None:
            seen.append(held._catalogue.find_position())

    held.check(progress=Watching())

    assert any(position.number > 0 for position in seen)


def test_a_rotten_node_of_the_store_is_said_to_be_one(
    held: InPlaceStore, tmp_path: Path
) -> None:
    with contextlib.closing(sqlite3.connect(tmp_path / "store.sqlite")) as db:
        db.execute("UPDATE nodes SET block = x'0a020801'")
        db.commit()
    with pytest.raises(DamagedFileError, match=r"b\.st"):
        held.check()

    with contextlib.closing(sqlite3.connect(tmp_path / "store.sqlite")) as db:
        db.execute("DELETE FROM nodes")
        db.commit()
    with pytest.raises(DamagedFileError, match=r"b\.st"):
        held.check()


def test_a_pace_waits_for_what_was_read_and_saves_nothing_up() -> None:
    now, waits = [100.0], []

    def wait(seconds: float) -> None:
        waits.append(seconds)
        now[0] += seconds

    pace = Pace(10.0, lambda: now[0], wait)
    pace.spend(20)
    pace.spend(5)
    now[0] += 1000
    pace.spend(10)

    assert waits == [2.0, 0.5, 1.0]


def test_a_check_keeps_to_its_pace(held: InPlaceStore) -> None:
    now = [0.0]

    def wait(seconds: float) -> None:
        now[0] += seconds

    held.check(pace=Pace(MIB, lambda: now[0], wait))

    assert now[0] == pytest.approx((3 * MIB + 117) / MIB)
