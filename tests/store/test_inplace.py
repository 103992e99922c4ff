"""The store over files on disk: importing, serving, and files that change."""

from __future__ import annotations

import contextlib
import os
import resource
import sqlite3
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from etdb.errors import (
    ConflictError,
    DamagedFileError,
    InvalidDataError,
    NotFoundError,
    UnavailableError,
)
from etdb.identity import CID
from etdb.progress import Silent
from etdb.store.inplace import Disk, InPlaceStore
from etdb.store.unixfs import UNIXFS_V0_2015, UNIXFS_V1_2025, Profile, verify_block
from etdb.store.verified import iter_chunks, iter_files, read_chunk, resolve
from etdb.testing.resources import disk_full_at
from etdb.testing.store import MemoryStore

MIB = 1024 * 1024


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three files, one of several chunks."""
    target = tmp_path / "lab"
    target.mkdir()
    (target / "ts.st").write_bytes(os.urandom(3 * MIB + 17))
    (target / "ts.rec").write_bytes(os.urandom(100))
    (target / "empty.txt").touch()
    return target


def _files(folder: Path) -> dict[str, Path]:
    return {path.name: path for path in sorted(folder.iterdir())}


def _content(store: InPlaceStore, cid: CID) -> bytes:
    return b"".join(read_chunk(store, chunk) for chunk in iter_chunks(store, cid))


def _is_found(store: InPlaceStore, cid: CID) -> bool:
    try:
        store.get_block(cid)
    except NotFoundError:
        return False
    return True


def test_a_tree_is_imported_and_read_back(store: InPlaceStore, folder: Path) -> None:
    files = _files(folder)
    named = {f"raw/ü {name}": path for name, path in files.items()}

    tree = store.add_tree({**named, "key.jpg": folder / "ts.rec"})

    found = {name: _content(store, e.cid) for name, e in iter_files(store, tree.root)}
    assert found == {
        **{name: path.read_bytes() for name, path in named.items()},
        "key.jpg": (folder / "ts.rec").read_bytes(),
    }
    assert tree.total_bytes == 3 * MIB + 17 + 200
    assert tree.root == MemoryStore().add_tree(found)
    assert all(added.is_new for added in tree.files.values())


@pytest.mark.parametrize("profile", [UNIXFS_V1_2025, UNIXFS_V0_2015])
def test_every_block_of_a_file_is_served(
    store: InPlaceStore, folder: Path, profile: Profile
) -> None:
    data = (folder / "ts.st").read_bytes()
    memory = MemoryStore()
    root = memory.add_bytes(data, profile)

    added = store.add_file(folder / "ts.st", profile=profile)

    assert (added.cid, added.tsize) == (root.cid, root.tsize)
    for digest in memory.list_digests():
        cid = CID(1, root.cid.codec, digest)
        block = store.get_block(cid)
        verify_block(cid, block)
        assert isinstance(block, bytes)
    assert _content(store, added.cid) == data


def test_nothing_is_copied(store: InPlaceStore, folder: Path, tmp_path: Path) -> None:
    store.add_tree(_files(folder))

    assert (tmp_path / "store.sqlite").stat().st_size < MIB


def test_an_unchanged_tree_is_not_read_again(
    watched: InPlaceStore, reads: Any, folder: Path
) -> None:
    first = watched.add_tree(_files(folder))
    assert reads.take() == first.total_bytes

    again = watched.add_tree(_files(folder))

    assert reads.take() == 0
    assert again.root == first.root
    assert not any(added.is_new for added in again.files.values())


def test_only_what_changed_is_read_again(
    watched: InPlaceStore, reads: Any, folder: Path
) -> None:
    first = watched.add_tree(_files(folder))
    reads.take()
    (folder / "ts.rec").write_bytes(b"new")

    second = watched.add_tree(_files(folder))

    assert reads.take() == 3
    assert second.root != first.root
    assert [name for name, added in second.files.items() if added.is_new] == ["ts.rec"]
    assert not _is_found(watched, first.files["ts.rec"].cid)
    assert _content(watched, second.files["ts.rec"].cid) == b"new"


def test_a_change_that_keeps_size_and_mtime_is_seen(
    watched: InPlaceStore, reads: Any, folder: Path
) -> None:
    path = folder / "ts.rec"
    before = path.stat()
    first = watched.add_file(path)
    reads.take()
    path.write_bytes(bytes(100))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))

    second = watched.add_file(path)

    assert reads.take() == 100
    assert second.cid != first.cid


def test_a_file_changed_a_moment_ago_is_read_once_more(
    tmp_path: Path, reads: Any, folder: Path
) -> None:
    path = folder / "ts.rec"
    written_ns = path.stat().st_ctime_ns
    disk = Disk(reads, lambda: written_ns + 1)
    with InPlaceStore.create(tmp_path / "s.sqlite", disk) as store:
        store.add_file(path)
        reads.take()

        again = store.add_file(path)

    assert reads.take() == 100
    assert not again.is_new


def test_a_renamed_folder_is_not_read_again(
    watched: InPlaceStore, reads: Any, folder: Path
) -> None:
    first = watched.add_tree(_files(folder))
    reads.take()
    moved = folder.rename(folder.with_name("archive"))

    second = watched.add_tree(_files(moved))

    assert reads.take() == 0
    assert second.root == first.root
    assert watched.stats().files == 3
    assert watched.path_of(first.files["ts.st"].cid) == moved / "ts.st"
    assert _content(watched, first.files["ts.st"].cid) == (moved / "ts.st").read_bytes()


def test_of_a_renamed_file_three_chunks_are_read(
    watched: InPlaceStore, reads: Any, folder: Path
) -> None:
    path = folder / "large.st"
    path.write_bytes(os.urandom(9 * MIB))
    first = watched.add_file(path)
    reads.take()
    moved = path.rename(folder / "other.st")

    second = watched.add_file(moved)

    assert reads.take() == 3 * MIB
    assert second.cid == first.cid
    assert not second.is_new
    assert watched.path_of(first.cid) == moved


def test_a_file_written_anew_under_an_old_inode_is_read_whole(
    watched: InPlaceStore, reads: Any, folder: Path
) -> None:
    path = folder / "ts.st"
    status = path.stat()
    first = watched.add_file(path)
    reads.take()
    with path.open("r+b") as file:
        file.write(b"other")
    moved = path.rename(folder / "other.st")
    os.utime(moved, ns=(status.st_atime_ns, status.st_mtime_ns))

    second = watched.add_file(moved)

    assert second.cid != first.cid
    assert _content(watched, second.cid) == moved.read_bytes()


def test_a_file_moved_onto_another_takes_its_place(
    watched: InPlaceStore, folder: Path
) -> None:
    tree = watched.add_tree(_files(folder))
    moved = (folder / "ts.st").replace(folder / "ts.rec")

    added = watched.add_file(moved)

    assert added.cid == tree.files["ts.st"].cid
    assert not _is_found(watched, tree.files["ts.rec"].cid)
    assert watched.stats().files == 2


def test_a_hard_link_is_a_second_place(watched: InPlaceStore, folder: Path) -> None:
    path, other = folder / "ts.rec", folder / "link.rec"
    other.hardlink_to(path)
    cid = watched.add_file(path).cid
    watched.add_file(other)

    path.unlink()

    assert _content(watched, cid) == other.read_bytes()


@pytest.mark.parametrize("change", ["truncate", "overwrite", "touch", "replace"])
def test_a_changed_file_is_stale_and_not_found(
    store: InPlaceStore, folder: Path, change: str
) -> None:
    path = folder / "ts.st"
    added = store.add_file(path)
    chunks = list(iter_chunks(store, added.cid))
    store.get_block(chunks[0].cid)
    if change == "truncate":
        os.truncate(path, 100)
    elif change == "overwrite":
        path.write_bytes(os.urandom(3 * MIB + 17))
    elif change == "touch":
        os.utime(path, ns=(0, 0))
    else:
        (folder / "ts.rec").replace(path)

    found = [_is_found(store, cid) for cid in (added.cid, *(c.cid for c in chunks))]

    assert not any(found)
    assert store.list_stale() == [path]
    assert store.stats().stale_files == 1
    assert not store.has(added.cid)
    assert store.path_of(added.cid) is None


def test_one_flipped_bit_under_an_old_stamp_is_never_served(
    store: InPlaceStore, folder: Path
) -> None:
    path = folder / "ts.st"
    status = path.stat()
    added = store.add_file(path)
    chunks = [chunk.cid for chunk in iter_chunks(store, added.cid)]
    data = bytearray(path.read_bytes())
    data[MIB + 5] ^= 1
    path.write_bytes(data)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))

    first = _is_found(store, chunks[0])
    second = _is_found(store, chunks[1])

    assert (first, second) == (True, False)
    assert store.list_stale() == [path]


def test_without_the_hash_the_flipped_bit_would_be_served(
    store: InPlaceStore, folder: Path
) -> None:
    path = folder / "ts.rec"
    status = path.stat()
    cid = store.add_file(path).cid
    path.write_bytes(bytes(100))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    (place,) = store._iter_places(cid)

    assert store._read_chunk(place.file, place.number).block == bytes(100)


def test_a_stale_file_is_found_again_after_import(
    store: InPlaceStore, folder: Path
) -> None:
    path = folder / "ts.st"
    added = store.add_file(path)
    path.touch()
    assert not _is_found(store, added.cid)

    again = store.add_file(path)

    assert again.cid == added.cid
    assert not again.is_new
    assert _content(store, added.cid) == path.read_bytes()
    assert store.list_stale() == []


def test_a_disk_that_comes_back_is_served_again(
    store: InPlaceStore, folder: Path
) -> None:
    added = store.add_file(folder / "ts.st")
    away = folder.rename(folder.with_name("unmounted"))
    assert not _is_found(store, added.cid)
    assert store.list_stale() == [folder / "ts.st"]

    away.rename(folder)

    assert store.list_stale() == [folder / "ts.st"]
    assert _content(store, added.cid) == (folder / "ts.st").read_bytes()
    assert store.list_stale() == []


def test_an_import_finds_a_disk_that_came_back(
    watched: InPlaceStore, reads: Any, folder: Path
) -> None:
    added = watched.add_file(folder / "ts.st")
    away = folder.rename(folder.with_name("unmounted"))
    assert not _is_found(watched, added.cid)
    away.rename(folder)
    reads.take()

    watched.add_file(folder / "ts.st")

    assert reads.take() == 0
    assert watched.list_stale() == []


def test_a_changed_mode_is_no_change(store: InPlaceStore, folder: Path) -> None:
    added = store.add_file(folder / "ts.st")

    (folder / "ts.st").chmod(0o400)

    assert _content(store, added.cid) == (folder / "ts.st").read_bytes()
    assert store.list_stale() == []


def test_a_duplicate_chunk_is_served_from_the_next_place(
    store: InPlaceStore, tmp_path: Path
) -> None:
    blank, copies = bytes(MIB), []
    for number in range(20):
        path = tmp_path / f"{number}.mrc"
        path.write_bytes(blank + bytes([number]))
        copies.append(path)
        store.add_file(path)
    cid = MemoryStore().add_bytes(blank).cid

    for number, path in enumerate(copies[:-1]):
        path.unlink() if number % 2 else path.write_bytes(b"")
        assert store.get_block(cid) == blank
    copies[-1].unlink()

    assert not _is_found(store, cid)
    assert store.stats().stale_files == 20


def test_the_other_copy_survives_a_new_version(
    store: InPlaceStore, folder: Path
) -> None:
    copy = folder / "copy.st"
    copy.write_bytes((folder / "ts.st").read_bytes())
    added = store.add_file(folder / "ts.st")
    store.add_file(copy)

    copy.write_bytes(b"new")
    store.add_file(copy)

    assert _content(store, added.cid) == (folder / "ts.st").read_bytes()
    assert store.path_of(added.cid) == folder / "ts.st"


def test_a_disk_that_fails_is_unavailable_unless_there_is_a_copy(
    store: InPlaceStore, folder: Path
) -> None:
    # Too many links in a path is the one failure root meets as well.
    path = folder / "ts.rec"
    data = path.read_bytes()
    cid = store.add_file(path).cid
    path.unlink()
    path.symlink_to(path)

    with pytest.raises(UnavailableError, match=r"ts\.rec"):
        store.get_block(cid)
    copy = folder / "copy.rec"
    copy.write_bytes(data)
    store.add_file(copy)

    assert store.get_block(cid) == data


def test_one_file_may_be_held_under_two_profiles(
    store: InPlaceStore, folder: Path
) -> None:
    new = store.add_file(folder / "ts.st")
    old = store.add_file(folder / "ts.st", profile=UNIXFS_V0_2015)

    assert new.cid != old.cid
    assert _content(store, new.cid) == _content(store, old.cid)


def test_what_is_missing_or_no_file_is_said(store: InPlaceStore, folder: Path) -> None:
    (folder / "loop").symlink_to("loop")
    os.mkfifo(folder / "pipe")

    for name, error in (
        ("none.mrc", NotFoundError),
        ("loop", UnavailableError),
        ("pipe", InvalidDataError),
        (".", InvalidDataError),
    ):
        with pytest.raises(error, match=name):
            store.add_file(folder / name)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_an_unreadable_file_is_unavailable(store: InPlaceStore, folder: Path) -> None:
    (folder / "ts.st").chmod(0)

    with pytest.raises(UnavailableError, match=r"ts\.st"):
        store.add_file(folder / "ts.st")


@pytest.mark.parametrize("name", ["..", "a/../b", "/a", "", "a//b", "\0", "\udc80"])
def test_unfit_names_are_refused_before_anything_is_read(
    watched: InPlaceStore, reads: Any, folder: Path, name: str
) -> None:
    with pytest.raises(InvalidDataError):
        watched.add_tree({"ok": folder / "ts.st", name: folder / "ts.rec"})

    assert reads.take() == 0
    assert watched.stats().files == 0


def test_names_on_disk_need_not_be_unicode(store: InPlaceStore, folder: Path) -> None:
    path = folder / os.fsdecode(b"\xff.mrc")
    path.write_bytes(b"x")

    cid = store.add_file(path).cid

    assert store.get_block(cid) == b"x"
    assert store.path_of(cid) == path


def test_an_import_that_fails_keeps_what_it_hashed(
    watched: InPlaceStore, reads: Any, folder: Path
) -> None:
    os.mkfifo(folder / "ts.z")
    with pytest.raises(InvalidDataError):
        watched.add_tree(_files(folder))
    (folder / "ts.z").unlink()
    reads.take()

    watched.add_tree(_files(folder))

    assert reads.take() == 0


def test_a_file_that_shrinks_while_it_is_hashed_is_not_kept(
    tmp_path: Path, folder: Path
) -> None:
    path = folder / "ts.st"

    def shrink(handle: int, buffers: Sequence[memoryview], offset: int) -> int:
        os.truncate(path, MIB)
        return os.preadv(handle, buffers, offset)

    with InPlaceStore.create(tmp_path / "s.sqlite", Disk(shrink)) as store:
        with pytest.raises(ConflictError, match=r"ts\.st"):
            store.add_file(path)

        assert store.stats().files == 0


def test_many_small_files_are_kept_in_batches(
    store: InPlaceStore, tmp_path: Path
) -> None:
    folder = tmp_path / "frames"
    folder.mkdir()
    for number in range(1200):
        (folder / f"{number}.tif").write_bytes(number.to_bytes(4, "big") * 20)

    tree = store.add_tree(_files(folder))

    assert store.stats().chunks == store.stats().files == 1200
    cid, _ = resolve(store, tree.root, "1111.tif")
    assert store.get_block(cid) == (1111).to_bytes(4, "big") * 20


def test_several_large_files_share_the_threads(
    store: InPlaceStore, tmp_path: Path
) -> None:
    contents = {name: os.urandom(9 * MIB) for name in ("a.st", "b.st")}
    for name, data in contents.items():
        (tmp_path / name).write_bytes(data)

    tree = store.add_tree({name: tmp_path / name for name in contents})

    assert tree.root == MemoryStore().add_tree(contents)


def test_progress_tells_every_byte_and_ends(store: InPlaceStore, folder: Path) -> None:
    class Told(Silent):
        """Writes down what it is told."""

        def __init__(self) -> None:
            self.said: list[object] = []
            self.done = 0

        def begin(self, task: str, total: int | None, unit: str) -> None:
            self.said += [total, unit]

        def advance(self, amount: int) -> None:
            self.done += amount

        def end(self) -> None:
            self.said.append(self.done)

    for _ in range(2):
        told = Told()
        tree = store.add_tree(_files(folder), progress=told)
        assert told.said == [tree.total_bytes, "bytes", tree.total_bytes]
    told = Told()
    (folder / "ts.st").unlink()
    with pytest.raises(NotFoundError):
        store.add_file(folder / "ts.st", progress=told)
    assert told.said == []


def test_many_threads_read_at_once(store: InPlaceStore, folder: Path) -> None:
    tree = store.add_tree(_files(folder))
    entries = [entry.cid for _, entry in iter_files(store, tree.root)]

    with ThreadPoolExecutor(8) as pool:
        contents = list(pool.map(lambda cid: _content(store, cid), entries * 20))

    assert len(set(contents)) == 3


def test_another_process_sees_what_was_imported(
    store: InPlaceStore, folder: Path, tmp_path: Path
) -> None:
    with InPlaceStore.open(tmp_path / "store.sqlite") as server:
        added = store.add_file(folder / "ts.st")
        assert _content(server, added.cid) == (folder / "ts.st").read_bytes()

        (folder / "ts.st").touch()
        assert not _is_found(server, added.cid)

        assert store.list_stale() == [folder / "ts.st"]


def test_reading_goes_on_while_another_process_writes(
    store: InPlaceStore, folder: Path, tmp_path: Path
) -> None:
    added = store.add_file(folder / "ts.st")
    other = sqlite3.connect(tmp_path / "store.sqlite", isolation_level=None)
    with contextlib.closing(other):
        other.execute("BEGIN IMMEDIATE")
        other.execute("UPDATE files SET state = 'changed'")

        assert _content(store, added.cid) == (folder / "ts.st").read_bytes()
        other.execute("ROLLBACK")


def test_a_stale_file_keeps_no_reader_waiting_for_a_writer(
    store: InPlaceStore, folder: Path, tmp_path: Path
) -> None:
    added = store.add_file(folder / "ts.rec")
    (folder / "ts.rec").touch()
    other = sqlite3.connect(tmp_path / "store.sqlite", isolation_level=None)
    with contextlib.closing(other):
        other.execute("BEGIN IMMEDIATE")
        started = time.monotonic()

        assert not _is_found(store, added.cid)

        assert time.monotonic() - started < 10
        other.execute("ROLLBACK")
    assert not _is_found(store, added.cid)
    assert store.list_stale() == [folder / "ts.rec"]


def test_a_store_used_after_closing_is_a_mistake_and_not_a_broken_file(
    store: InPlaceStore, folder: Path
) -> None:
    added = store.add_file(folder / "ts.rec")

    store.close()

    with pytest.raises(sqlite3.ProgrammingError):
        store.get_block(added.cid)


def test_a_full_disk_is_unavailable_and_leaves_the_store_whole(
    store: InPlaceStore, folder: Path
) -> None:
    first = store.add_file(folder / "ts.rec")

    with (
        disk_full_at(1024),
        pytest.raises(UnavailableError, match=r"store\.sqlite"),
    ):
        store.add_tree(_files(folder))

    assert store.stats().files == 1
    assert _content(store, first.cid) == (folder / "ts.rec").read_bytes()
    assert store.add_tree(_files(folder)).total_bytes > 0


def test_a_changed_file_is_not_found_though_it_cannot_be_marked(
    store: InPlaceStore, folder: Path
) -> None:
    added = store.add_file(folder / "ts.rec")
    (folder / "ts.rec").write_bytes(b"new")

    with disk_full_at(1024):
        assert not _is_found(store, added.cid)

    assert store.list_stale() == []


def test_a_store_is_made_once_and_opened_by_its_kind(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite"
    with pytest.raises(NotFoundError):
        InPlaceStore.open(path)
    InPlaceStore.create(path).close()
    with pytest.raises(ConflictError):
        InPlaceStore.create(path)
    with pytest.raises(UnavailableError):
        InPlaceStore.create(tmp_path / "none" / "store.sqlite")

    InPlaceStore.open(path).close()


def test_a_store_that_could_not_be_made_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite"

    with disk_full_at(1024), pytest.raises(UnavailableError):
        InPlaceStore.create(path)

    assert not path.exists()


@pytest.mark.parametrize("content", [b"not a database, but long enough" * 40, b""])
def test_a_file_that_is_no_store_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "store.sqlite"
    path.write_bytes(content)

    with pytest.raises(DamagedFileError, match=r"store\.sqlite"):
        InPlaceStore.open(path)


def test_a_node_that_rotted_inside_the_store_is_never_served(
    store: InPlaceStore, folder: Path, tmp_path: Path
) -> None:
    tree = store.add_tree(_files(folder))
    with contextlib.closing(sqlite3.connect(tmp_path / "store.sqlite")) as db:
        db.execute("UPDATE nodes SET block = x'00'")
        db.execute("UPDATE directories SET block = x'00'")
        db.commit()

    for cid in (tree.root, tree.files["ts.st"].cid):
        with pytest.raises(DamagedFileError):
            store.get_block(cid)


@pytest.mark.slow
def test_a_large_sparse_file_takes_little_memory(
    store: InPlaceStore, tmp_path: Path
) -> None:
    path = tmp_path / "sparse.mrc"
    size = 100_000_000_000 if "ETDB_FULL" in os.environ else 1_000_000_000
    with path.open("wb") as file:
        file.truncate(size)
    before_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    added = store.add_file(path)

    assert added.size_bytes == size
    grown_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kib
    assert grown_kib < 100_000


def test_serving_stops_at_once_for_a_file_truncated_between_reads(
    store: InPlaceStore, folder: Path
) -> None:
    path = folder / "ts.st"
    added = store.add_file(path)
    reader = iter_chunks(store, added.cid)
    read_chunk(store, next(reader))

    other = threading.Thread(target=os.truncate, args=(path, 2 * MIB))
    other.start()
    other.join()

    with pytest.raises(NotFoundError):
        read_chunk(store, next(reader))
