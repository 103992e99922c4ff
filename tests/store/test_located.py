"""Blocks looked up many at once: the same bytes, hashed as ever."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from etdb.errors import NotFoundError
from etdb.identity import CID, IDENTITY, RAW
from etdb.store.inplace import InPlaceStore
from etdb.store.located import MAX_LOCATED
from etdb.store.unixfs import UNIXFS_V0_2015, UNIXFS_V1_2025, Profile, verify_block
from etdb.store.verified import iter_chunks

MIB = 1024 * 1024


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file of four chunks."""
    path = tmp_path / "ts.st"
    path.write_bytes(os.urandom(3 * MIB + 17))
    return path


def _chunks(
    store: InPlaceStore, path: Path, profile: Profile = UNIXFS_V1_2025
) -> list[CID]:
    root = store.add_file(path, profile=profile).cid
    return [chunk.cid for chunk in iter_chunks(store, root)]


@pytest.mark.parametrize("profile", [UNIXFS_V1_2025, UNIXFS_V0_2015])
def test_located_blocks_are_those_of_the_store(
    store: InPlaceStore, path: Path, profile: Profile
) -> None:
    chunks = _chunks(store, path, profile)

    located = store.locate(chunks)

    for cid in chunks:
        block = located.get_block(cid)
        verify_block(cid, block)
        assert block == store.get_block(cid)


def test_many_blocks_cost_one_look_up(store: InPlaceStore, path: Path) -> None:
    chunks = _chunks(store, path)
    statements: list[str] = []
    store._catalogue._reader.set_trace_callback(statements.append)

    located = store.locate(chunks)
    for cid in chunks:
        located.get_block(cid)

    assert len(statements) == 1


def test_blocks_that_were_not_located_are_found_too(
    store: InPlaceStore, path: Path
) -> None:
    root = store.add_file(path).cid
    located = store.locate([])

    assert located.get_block(root) == store.get_block(root)
    assert located.get_block(CID(1, RAW, b"inside", IDENTITY)) == b"inside"
    with pytest.raises(NotFoundError):
        located.get_block(CID(1, RAW, bytes(32)))


def test_more_may_be_asked_for_than_are_located(
    store: InPlaceStore, tmp_path: Path
) -> None:
    folder = tmp_path / "many"
    folder.mkdir()
    files = {f"{number}.txt": folder / f"{number}.txt" for number in range(300)}
    for name, path in files.items():
        path.write_text(name)
    added = store.add_tree(files).files
    assert len(added) > MAX_LOCATED

    located = store.locate([file.cid for file in added.values()])

    assert all(located.get_block(added[name].cid) == name.encode() for name in files)


def _flip_a_bit(path: Path) -> None:
    """Change a file in a way that its stamp does not show."""
    status = path.stat()
    with path.open("r+b") as file:
        (first,) = file.read(1)
        file.seek(0)
        file.write(bytes([first ^ 1]))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def test_what_changed_since_it_was_located_is_not_served(
    store: InPlaceStore, path: Path
) -> None:
    chunks = _chunks(store, path)
    located = store.locate(chunks)
    _flip_a_bit(path)

    with pytest.raises(NotFoundError):
        located.get_block(chunks[0])
    assert store.list_stale() == [path]


def test_without_the_hash_it_would_be(store: InPlaceStore, path: Path) -> None:
    chunks = _chunks(store, path)
    place = store.locate(chunks)._places[chunks[0].digest]
    _flip_a_bit(path)

    assert store._read_chunk(place.file, place.number).block == path.read_bytes()[:MIB]


def test_where_the_located_place_is_gone_another_serves(
    store: InPlaceStore, path: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "copy.st"
    copy.write_bytes(path.read_bytes())
    chunks = _chunks(store, path)
    store.add_file(copy)
    located = store.locate(chunks)
    path.unlink()

    assert located.get_block(chunks[0]) == copy.read_bytes()[:MIB]
    assert store.list_stale() == [path]


def test_a_file_known_to_have_changed_is_not_located(
    store: InPlaceStore, path: Path
) -> None:
    chunks = _chunks(store, path)
    path.touch()
    with pytest.raises(NotFoundError):
        store.get_block(chunks[0])

    assert not store.locate(chunks)._places
