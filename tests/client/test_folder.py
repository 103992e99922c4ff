"""Names and links never lead out of the folder."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from etdb.client.download import download, plan
from etdb.client.folder import Folder, verify_name
from etdb.client.sources import StoreSource
from etdb.errors import ConflictError, InvalidDataError, NotFoundError
from etdb.identity import CID, DAG_CBOR, DAG_PB, RAW
from etdb.store.unixfs import UNIXFS_V1_2025, Kind, Link, Node, encode_node

BAD_NAMES = [
    "..",
    "../evil",
    "a/../../evil",
    "/etc/evil",
    "a//b",
    "./a",
    "a/",
    "",
    "a\0b",
    ".etdb/record.json",
    ".ETDB/dag/x",
]
ODD_NAMES = ["a b.st", "line\nbreak.st", 'quo"te.st', "Å–µ.st", "..a", "-rf", "a\\b"]


@pytest.mark.parametrize("name", BAD_NAMES)
def test_a_name_that_leaves_the_folder_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidDataError, match="may not name a file"):
        Folder(tmp_path).place(name)


@pytest.mark.parametrize("name", ["../evil", "a/../../evil", "/etc/evil"])
def test_without_the_check_it_would_leave(name: str, tmp_path: Path) -> None:
    joined = Path(os.path.normpath(tmp_path / name))

    assert not joined.is_relative_to(tmp_path)


@pytest.mark.parametrize("name", ODD_NAMES)
def test_odd_names_are_names(name: str) -> None:
    verify_name(name)


def test_files_of_odd_names_are_delivered(getter: Any, make_dataset: Any) -> None:
    odd = getter.of(make_dataset({name: name.encode() for name in ODD_NAMES}))

    odd.get(StoreSource(odd.dataset.store))

    assert odd.on_disk() == odd.dataset.files


def put_directory(store: Any, *links: Link) -> CID:
    block = encode_node(Node(Kind.DIRECTORY, links))
    cid = UNIXFS_V1_2025.node_cid(block)
    store.put(cid, block)
    return cid


@pytest.mark.parametrize("name", ["..", "../evil", "a/b", "", "a\0b"])
def test_a_dataset_with_a_name_that_is_none_is_refused(
    getter: Any, make_record: Any, name: str
) -> None:
    store = getter.dataset.store
    leaf = store.add_bytes(b"evil").cid
    root = put_directory(store, Link(name, leaf, 4))

    with pytest.raises(InvalidDataError):
        plan(make_record(root), [StoreSource(store)], getter.folder)


def test_a_dataset_cannot_write_what_etdb_keeps(getter: Any, make_record: Any) -> None:
    store = getter.dataset.store
    leaf = store.add_bytes(b"evil").cid
    inner = put_directory(store, Link("record.json", leaf, 4))
    root = put_directory(store, Link(".etdb", inner, 60), Link("good.txt", leaf, 4))
    wanted = plan(make_record(root), [StoreSource(store)], getter.folder)

    results = {r.name: r for r in download(wanted, [StoreSource(store)]).files}

    assert isinstance(results[".etdb/record.json"].error, InvalidDataError)
    assert results["good.txt"].state == "done"
    assert (getter.folder / ".etdb/record.json").read_bytes() != b"evil"


@pytest.mark.parametrize("what", ["file", "folder"])
def test_a_link_that_leaves_the_folder_is_not_followed(
    getter: Any, tmp_path: Path, what: str
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "vol.rec").write_bytes(b"mine")
    getter.folder.mkdir()
    if what == "folder":
        (getter.folder / "rec").symlink_to(outside)
    else:
        (getter.folder / "rec").mkdir()
        (getter.folder / "rec/vol.rec").symlink_to(outside / "vol.rec")

    results = {r.name: r for r in getter.get(StoreSource(getter.dataset.store))}

    failed = results.pop("rec/vol.rec")
    assert isinstance(failed.error, ConflictError)
    assert "symbolic link" in failed.error.message
    assert {result.state for result in results.values()} == {"done"}
    assert (outside / "vol.rec").read_bytes() == b"mine"


def test_without_the_check_a_link_would_be_followed(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (tmp_path / "got").mkdir()
    (tmp_path / "got/rec").symlink_to(outside)

    (tmp_path / "got" / "rec" / "vol.rec").write_bytes(b"evil")

    assert (outside / "vol.rec").read_bytes() == b"evil"


@pytest.mark.parametrize("name", [".etdb", ".etdb/dag", ".etdb/partial"])
def test_a_link_in_place_of_what_etdb_keeps_is_refused(
    getter: Any, tmp_path: Path, name: str
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    link = getter.folder / name
    link.parent.mkdir(parents=True)
    link.symlink_to(outside)

    with pytest.raises(ConflictError, match="symbolic link"):
        getter.get(StoreSource(getter.dataset.store))

    assert list(outside.iterdir()) == []


def test_a_link_in_place_of_the_lock_is_refused(getter: Any, tmp_path: Path) -> None:
    outside = tmp_path / "mine"
    outside.write_bytes(b"mine")
    (getter.folder / ".etdb").mkdir(parents=True)
    (getter.folder / ".etdb/lock").symlink_to(outside)

    with pytest.raises(ConflictError, match="symbolic link"):
        getter.get(StoreSource(getter.dataset.store))

    assert outside.read_bytes() == b"mine"


def test_a_link_in_place_of_a_partial_file_is_not_followed(
    getter: Any, tmp_path: Path
) -> None:
    outside = tmp_path / "mine"
    outside.write_bytes(b"mine")
    folder = Folder(getter.folder)
    with folder.claimed():
        folder.partial("rec/vol.rec").symlink_to(outside)

    results = {r.name: r for r in getter.get(StoreSource(getter.dataset.store))}

    assert results["rec/vol.rec"].state == "failed"
    assert outside.read_bytes() == b"mine"


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo])
def test_what_is_no_file_is_left_alone(getter: Any, make: Any) -> None:
    getter.folder.mkdir()
    make(getter.folder / "notes.txt")

    results = {r.name: r for r in getter.get(StoreSource(getter.dataset.store))}

    assert isinstance(results["notes.txt"].error, ConflictError)
    assert results["rec/vol.rec"].state == "done"


def test_a_name_too_long_for_the_disk_fails_alone(
    getter: Any, make_dataset: Any
) -> None:
    long = getter.of(make_dataset({"x" * 300: b"1", "short": b"2"}))

    results = [r.state for r in long.get(StoreSource(long.dataset.store))]

    assert results == ["done", "failed"]


@pytest.mark.parametrize(
    "odd",
    [
        Node(Kind.SYMLINK, data=b"/etc/passwd"),
        Node(Kind.FILE, (Link("", CID(1, RAW, bytes(32)), 1),), child_sizes=(3 << 20,)),
        Node(Kind.FILE, (Link("", CID(1, DAG_PB, bytes(32)), 1),), child_sizes=(9,)),
        Node(Kind.METADATA),
    ],
    ids=["link", "chunk too large", "lost node", "no file"],
)
def test_an_odd_node_never_becomes_a_link_and_stops_no_file(
    getter: Any, make_record: Any, odd: Node
) -> None:
    store = getter.dataset.store
    block = encode_node(odd)
    cid = UNIXFS_V1_2025.node_cid(block)
    store.put(cid, block)
    leaf = store.add_bytes(b"right").cid
    cbor = CID(1, DAG_CBOR, bytes(32))
    root = put_directory(
        store, Link("cbor", cbor, 1), Link("good", leaf, 5), Link("odd", cid, 1)
    )

    wanted = plan(make_record(root), [StoreSource(store)], getter.folder)
    results = {r.name: r.state for r in download(wanted, [StoreSource(store)]).files}

    assert results["good"] == "done"
    assert results["cbor"] == "failed"
    assert not (getter.folder / "odd").is_symlink()
    assert results["odd"] == ("done" if odd.kind is Kind.SYMLINK else "failed")


def test_a_folder_without_a_download_is_said_to_be_none(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="no download in"):
        Folder(tmp_path).load()


@pytest.mark.parametrize("text", ["", "[]", '{"record": 1}', "{" * 5000])
def test_a_damaged_record_file_is_said_to_be(tmp_path: Path, text: str) -> None:
    (tmp_path / ".etdb").mkdir()
    (tmp_path / ".etdb/record.json").write_text(text)

    with pytest.raises(InvalidDataError, match="damaged"):
        Folder(tmp_path).load()
