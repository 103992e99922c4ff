"""The store's SQLite file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from etdb.errors import ConflictError
from etdb.identity import CID, RAW
from etdb.progress import Silent
from etdb.store.catalogue import Catalogue, Move, Position, State
from etdb.store.hashing import Hashed, Hasher
from etdb.store.openfiles import Stamp
from etdb.store.unixfs import UNIXFS_V0_2015, UNIXFS_V1_2025, Profile

BLOCK = CID(1, RAW, bytes(32))
MIB = 1024 * 1024


@pytest.fixture
def catalogue(tmp_path: Path) -> Iterator[Catalogue]:
    opened = Catalogue.create(tmp_path / "store.sqlite")
    yield opened
    opened.close()


def _hash(path: Path, profile: Profile = UNIXFS_V1_2025) -> Hashed:
    hasher = Hasher(1)
    hashed = hasher.hash_file(path, profile, Silent())
    hasher.close()
    return hashed


def _rows(catalogue: Catalogue, table: str) -> int:
    ((count,),) = catalogue._read(f"SELECT count(*) FROM {table}")
    return int(count)


def test_a_write_that_fails_changes_nothing(
    catalogue: Catalogue, tmp_path: Path
) -> None:
    path = tmp_path / "ts.mrc"
    path.write_bytes(bytes(MIB) + b"x")

    class Torn(Hashed):
        """Fails when half of it was written."""

        def iter_digests(self) -> Iterator[bytes]:
            yield bytes(32)
            raise RuntimeError("torn")

    hashed = _hash(path)
    torn = Torn(hashed.stamp, hashed.root, hashed.chunk_digests, hashed.nodes)

    with pytest.raises(RuntimeError, match="torn"):
        catalogue.save_files([(path, hashed), (path, torn)], UNIXFS_V1_2025)

    assert catalogue.stats().files == 0
    assert list(catalogue.iter_places(bytes(32))) == []
    catalogue.save_directories([(BLOCK, b"")])
    assert catalogue.find_directory(BLOCK.digest) == b""


@pytest.mark.parametrize("profile", [UNIXFS_V1_2025, UNIXFS_V0_2015])
def test_nothing_is_left_of_a_replaced_file(
    catalogue: Catalogue, tmp_path: Path, profile: Profile
) -> None:
    path = tmp_path / "ts.mrc"
    path.write_bytes(b"".join(bytes([n]) * 100_000 for n in range(50)) + bytes(MIB))
    catalogue.save_files([(path, _hash(path, profile))], profile)
    assert _rows(catalogue, "nodes") > 0
    path.write_bytes(b"small")

    catalogue.save_files([(path, _hash(path, profile))], profile)

    assert _rows(catalogue, "files") == 1
    assert _rows(catalogue, "chunks") == 1
    assert _rows(catalogue, "nodes") == 0


def test_a_chunk_that_repeats_within_a_file_is_kept_once(
    catalogue: Catalogue, tmp_path: Path
) -> None:
    path = tmp_path / "blank.mrc"
    path.write_bytes(bytes(10 * MIB))

    catalogue.save_files([(path, _hash(path))], UNIXFS_V1_2025)

    assert _rows(catalogue, "chunks") == 1
    assert catalogue.stats().chunks == 10


def test_a_note_about_a_file_that_moved_since_is_dropped(
    catalogue: Catalogue, tmp_path: Path
) -> None:
    path, moved = tmp_path / "ts.mrc", tmp_path / "moved.mrc"
    path.write_bytes(b"x")
    catalogue.save_files([(path, _hash(path))], UNIXFS_V1_2025)
    seen = catalogue.find_file(path, UNIXFS_V1_2025)
    assert seen is not None
    catalogue.save_files([], UNIXFS_V1_2025, [Move(seen, moved, ctime_ns=1)])

    catalogue.mark(seen, State.MISSING)

    assert catalogue.list_stale() == []
    found = catalogue.find_file(moved, UNIXFS_V1_2025)
    assert found is not None
    assert found.stamp == Stamp(1, seen.stamp.mtime_ns, 1, seen.stamp.inode)


def test_a_file_that_another_process_forgot_cannot_be_moved(
    catalogue: Catalogue, tmp_path: Path
) -> None:
    path = tmp_path / "ts.mrc"
    path.write_bytes(b"x")
    catalogue.save_files([(path, _hash(path))], UNIXFS_V1_2025)
    seen = catalogue.find_file(path, UNIXFS_V1_2025)
    assert seen is not None
    catalogue.forget([seen])

    with pytest.raises(ConflictError, match=r"ts\.mrc"):
        catalogue.save_files([], UNIXFS_V1_2025, [Move(seen, tmp_path / "b", 1)])

    assert _rows(catalogue, "files") == _rows(catalogue, "chunks") == 0


def test_a_path_given_twice_is_kept_once(catalogue: Catalogue, tmp_path: Path) -> None:
    path = tmp_path / "ts.mrc"
    path.write_bytes(b"old")
    old = _hash(path)
    path.write_bytes(b"new")

    catalogue.save_files([(path, old), (path, _hash(path))], UNIXFS_V1_2025)

    assert _rows(catalogue, "files") == _rows(catalogue, "chunks") == 1
    assert list(catalogue.iter_places(old.chunk_digests)) == []


def test_a_folder_is_found_by_its_path_and_not_its_neighbours(
    catalogue: Catalogue, tmp_path: Path
) -> None:
    paths = [tmp_path / name for name in ("a/x", "a/b/y", "a.st", "a0", "ab/z")]
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    catalogue.save_files([(path, _hash(path)) for path in paths], UNIXFS_V1_2025)

    found = [file.path for file in catalogue.list_below(tmp_path / "a")]

    assert found == [paths[1], paths[0]]
    assert [file.path for file in catalogue.list_below(paths[2])] == [paths[2]]


def test_how_far_a_check_came_is_kept(catalogue: Catalogue) -> None:
    assert catalogue.find_position() == Position()

    catalogue.save_position(Position(3, 5))
    catalogue.save_position(Position(4, 1))
    assert catalogue.find_position() == Position(4, 1)

    catalogue.save_position(None)
    assert catalogue.find_position() == Position()
