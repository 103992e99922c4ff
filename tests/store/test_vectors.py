"""CIDs computed by Kubo, by npm's importer and by the original publisher."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from etdb.identity import CID
from etdb.store.directory import build_directory
from etdb.store.inplace import InPlaceStore
from etdb.store.tree import FileTree
from etdb.store.unixfs import (
    KUBO_NOCOPY_V0,
    Kind,
    Link,
    Node,
    Profile,
    chunk_digest,
    encode_node,
)
from etdb.testing.store import MemoryStore

Keystream = Callable[[str, int, int], Iterator[bytes]]
Vectors = Callable[[str], Any]

LARGE_BYTES = 100_000_000


def _forget(cid: CID, block: bytes) -> None:
    """Take a block of which only the CID matters."""


@pytest.fixture(scope="session")
def unixfs(vectors: Vectors) -> list[dict[str, Any]]:
    loaded = vectors("unixfs_cids.json")
    return [*loaded["ipip499"], *loaded["npm"]]


@pytest.fixture(scope="session")
def cid_of_file(
    keystream: Keystream, profiles: dict[str, Profile]
) -> Callable[[dict[str, Any]], tuple[str, int]]:
    """(CID, Tsize) of a file vector, without keeping it."""

    def compute(vector: dict[str, Any]) -> tuple[str, int]:
        profile = profiles[vector["profile"]]
        pieces: Iterator[bytes]
        if vector["seed"] is None:
            pieces = iter([b"hello world"])
        else:
            pieces = keystream(vector["seed"], vector["size"], profile.chunk_bytes)
        tree = FileTree(profile, _forget)
        for piece in pieces:
            tree.add(chunk_digest(piece, profile), len(piece))
        root = tree.finish()
        return str(root.cid), root.tsize

    return compute


def test_files_have_the_cids_of_kubo_and_npm(
    unixfs: list[dict[str, Any]],
    cid_of_file: Callable[[dict[str, Any]], tuple[str, int]],
) -> None:
    files = [v for v in unixfs if v["kind"] == "file" and v["size"] <= LARGE_BYTES]

    found = {v["cid"]: cid_of_file(v) for v in files}

    assert len(files) == 26
    assert {v["cid"]: v["cid"] for v in files} == {k: f[0] for k, f in found.items()}
    assert all(found[v["cid"]][1] == v["tsize"] for v in files if "tsize" in v)


@pytest.mark.slow
def test_large_files_have_the_cids_of_kubo_and_npm(
    unixfs: list[dict[str, Any]],
    cid_of_file: Callable[[dict[str, Any]], tuple[str, int]],
) -> None:
    files = [v for v in unixfs if v["kind"] == "file" and v["size"] > LARGE_BYTES]

    found = {v["cid"]: cid_of_file(v) for v in files}

    assert len(files) > 0
    assert {v["cid"]: v["cid"] for v in files} == {k: f[0] for k, f in found.items()}
    assert all(found[v["cid"]][1] == v["tsize"] for v in files if "tsize" in v)


def test_directories_have_the_cids_of_npm(
    unixfs: list[dict[str, Any]],
    keystream: Keystream,
    profiles: dict[str, Profile],
) -> None:
    directories = [v for v in unixfs if v["kind"] == "dir" and "name_fmt" in v]

    for vector in directories:
        profile = profiles[vector["profile"]]
        store = MemoryStore()
        links = []
        for number in range(vector["files"]):
            size = vector["size_base"] + number % vector["size_mod"]
            pieces = keystream(f"{vector['seed']}-{number}", size, profile.chunk_bytes)
            root = store.add_chunks(pieces, profile)
            links.append(Link(vector["name_fmt"] % number, root.cid, root.tsize))
        built = build_directory(links, profile, _forget)

        assert (str(built.cid), built.tsize) == (vector["cid"], vector["tsize"])
    assert {v["files"] for v in directories} >= {1, 2000, 6000}
    assert {v["dir_kind"] for v in directories} == {"basic", "hamt"}


def test_directories_turn_into_shards_where_kubo_does(
    unixfs: list[dict[str, Any]],
    vectors: Vectors,
    keystream: Keystream,
    profiles: dict[str, Profile],
) -> None:
    alphabet = vectors("unixfs_cids.json")["alphabet"]
    directories = [v for v in unixfs if v["kind"] == "dir" and "name_len" in v]

    for vector in directories:
        profile = profiles[vector["profile"]]
        child = MemoryStore().add_bytes(b"x", profile)
        stream = b"".join(keystream(vector["seed"], 1 << 20, 1 << 20))
        names, position = [], 0
        for number in range(vector["files"]):
            is_last = number == vector["files"] - 1
            size = vector["last_name_len"] if is_last else vector["name_len"]
            drawn = stream[position : position + size]
            names.append("".join(alphabet[byte % len(alphabet)] for byte in drawn))
            position += size
        links = [Link(name, child.cid, child.tsize) for name in names]
        store = MemoryStore()
        built = build_directory(links, profile, store.put)

        assert str(built.cid) == vector["cid"]
        assert (len(store.list_digests()) > 1) == (vector["dir_kind"] == "hamt")
    assert len(directories) == 4


def test_the_original_publishers_directories_are_rebuilt(vectors: Vectors) -> None:
    known = vectors("12_ipfs_cids.json")["vectors"]

    for vector in (v for v in known if "links" in v):
        links = [Link(n, CID.parse(cid), size) for n, cid, size in vector["links"]]
        built = build_directory(links, KUBO_NOCOPY_V0, _forget)

        assert str(built.cid) == vector["cid"]


def test_the_original_publishers_small_files_are_rebuilt(vectors: Vectors) -> None:
    known = vectors("12_ipfs_cids.json")["vectors"]

    for vector in (v for v in known if "content_utf8" in v):
        data = vector["content_utf8"].encode()

        assert str(MemoryStore().add_bytes(data, KUBO_NOCOPY_V0).cid) == vector["cid"]


def test_the_empty_directory_is_four_bytes() -> None:
    block = encode_node(Node(Kind.DIRECTORY))

    assert block == bytes.fromhex("0a020801")
    assert (
        hashlib.sha256(block).digest()
        == CID.parse("QmUNLLsPACCz1vLxQVkXqqLX5R1X345qqfHbsf67hvA3Nn").digest
    )


def test_a_file_over_raw_leaves_may_have_a_version_0_root() -> None:
    store = MemoryStore()

    large = store.add_bytes(bytes(300_000), KUBO_NOCOPY_V0)
    small = store.add_bytes(bytes(1000), KUBO_NOCOPY_V0)

    assert str(large.cid).startswith("Qm")
    assert str(small.cid).startswith("bafkrei")


def test_the_importer_gives_the_same_cids_from_disk(
    unixfs: list[dict[str, Any]],
    keystream: Keystream,
    profiles: dict[str, Profile],
    store: InPlaceStore,
    tmp_path: Path,
) -> None:
    files = [
        v
        for v in unixfs
        if v["kind"] == "file" and v["seed"] and v["size"] < 60_000_000
    ]

    for number, vector in enumerate(files):
        path = tmp_path / f"{number}.bin"
        with path.open("wb") as file:
            file.writelines(keystream(vector["seed"], vector["size"], 1 << 20))
        added = store.add_file(path, profile=profiles[vector["profile"]])
        path.unlink()

        assert str(added.cid) == vector["cid"]
        assert added.size_bytes == vector["size"]
