"""A TAR of content unpacks to the same files, or is cut where it would not."""

from __future__ import annotations

import hashlib
import io
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from etdb.errors import ContentMismatchError, InvalidDataError, NotFoundError
from etdb.identity import CID, DAG_CBOR, DAG_PB, RAW
from etdb.store.tar import plan_tar
from etdb.store.unixfs import Kind, Link, Node, encode_node
from etdb.store.verified import BlockSource, TreeLimits, iter_files, read_chunk
from etdb.testing.car import CarFile
from etdb.testing.store import MemoryStore

Cars = Callable[[str], CarFile]

FILES = {
    "a.txt": b"one",
    "empty": b"",
    "deep/er/" + "long name " * 20 + "ü.mrc": bytes(range(256)) * 8000,
    "deep/exact.bin": bytes(512),
}


def _tar(source: BlockSource, root: CID, limits: TreeLimits | None = None) -> bytes:
    return b"".join(
        piece if isinstance(piece, bytes) else read_chunk(source, piece)
        for piece in plan_tar(source, root, limits)
    )


def _put(store: MemoryStore, node: Node, codec: int = DAG_PB) -> CID:
    block = encode_node(node)
    cid = CID(1, codec, hashlib.sha256(block).digest())
    store.put(cid, block)
    return cid


def _folder(store: MemoryStore, *names: str) -> CID:
    leaf = store.add_bytes(b"leaf").cid
    links = tuple(Link(name, leaf, 4) for name in names)
    return _put(store, Node(Kind.DIRECTORY, links))


def test_a_tree_is_unpacked_as_it_was(tmp_path: Path) -> None:
    store = MemoryStore()
    root = store.add_tree(FILES)

    with tarfile.open(fileobj=io.BytesIO(_tar(store, root))) as archive:
        archive.extractall(tmp_path, filter="data")

    for name, content in FILES.items():
        assert (tmp_path / str(root) / name).read_bytes() == content


def test_a_file_is_named_by_its_cid() -> None:
    store = MemoryStore()
    cid = store.add_bytes(b"content").cid

    with tarfile.open(fileobj=io.BytesIO(_tar(store, cid))) as archive:
        (member,) = archive.getmembers()
        found = archive.extractfile(member)
        assert found is not None
        assert (member.name, found.read()) == (str(cid), b"content")


def test_one_cid_gives_one_archive() -> None:
    store = MemoryStore()
    root = store.add_tree(FILES)

    assert _tar(store, root) == _tar(store, root)


def test_empty_folders_and_symbolic_links_are_kept() -> None:
    store = MemoryStore()
    target = _put(store, Node(Kind.SYMLINK, data=b"../a"))
    inner = _put(store, Node(Kind.DIRECTORY, (Link("link", target, None),)))
    empty = _put(store, Node(Kind.DIRECTORY))
    links = (Link("empty", empty, None), Link("sub", inner, None))
    root = _put(store, Node(Kind.DIRECTORY, links))

    with tarfile.open(fileobj=io.BytesIO(_tar(store, root))) as archive:
        members = {member.name: member for member in archive.getmembers()}

    assert members[f"{root}/empty"].isdir()
    assert members[f"{root}/sub/link"].linkname == "../a"


@pytest.mark.parametrize(
    "target", [b"/etc/passwd", b"..", b"../..", b"x/../../../y", b"a\0b"]
)
def test_a_symbolic_link_never_leads_out(target: bytes) -> None:
    store = MemoryStore()
    link = _put(store, Node(Kind.SYMLINK, data=target))
    root = _put(store, Node(Kind.DIRECTORY, (Link("link", link, None),)))

    with pytest.raises(InvalidDataError, match="leads out"):
        _tar(store, root)


@pytest.mark.parametrize(
    "names", [("..",), (".",), ("a/b",), ("/etc/x",), ("a\0",), ("",), ("a", "a")]
)
def test_names_that_are_not_safe_are_refused(names: tuple[str, ...]) -> None:
    store = MemoryStore()

    with pytest.raises(InvalidDataError, match="name"):
        _tar(store, _folder(store, *names))


def test_without_the_check_such_a_name_would_leave_the_folder() -> None:
    info = tarfile.TarInfo("root/../../x")
    data = info.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape") + bytes(1024)

    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        assert archive.getnames() == ["root/../../x"]


def test_a_name_with_steps_up_may_stay_inside(cars: Cars, tmp_path: Path) -> None:
    car = cars("inside-root.car")
    root = car.roots[0]

    with tarfile.open(fileobj=io.BytesIO(_tar(car, root))) as archive:
        assert not any(".." in name for name in archive.getnames())
        archive.extractall(tmp_path, filter="data")

    file = tmp_path / str(root) / "foobar" / "file"
    assert file.read_bytes() == b"Hello, world!\n"
    # Nobody else takes such a name.
    with pytest.raises(InvalidDataError, match="not a file name"):
        list(iter_files(car, root))


def test_a_name_with_steps_up_never_leads_out(cars: Cars) -> None:
    car = cars("outside-root.car")

    with pytest.raises(InvalidDataError, match="leads out"):
        _tar(car, car.roots[0])


def _nested(store: MemoryStore, name: str, cid: CID, *beside: Link) -> CID:
    """root/a/b/<name>, with something beside b."""
    b = _put(store, Node(Kind.DIRECTORY, (Link(name, cid, None),)))
    a = _put(store, Node(Kind.DIRECTORY, (Link("b", b, None), *beside)))
    return _put(store, Node(Kind.DIRECTORY, (Link("a", a, None),)))


@pytest.mark.parametrize(
    ("name", "path"), [("../x", "a/x"), ("../../x", "x"), ("../.x", "a/.x")]
)
def test_steps_up_are_walked(name: str, path: str) -> None:
    store = MemoryStore()
    root = _nested(store, name, store.add_bytes(b"leaf").cid)

    with tarfile.open(fileobj=io.BytesIO(_tar(store, root))) as archive:
        assert archive.getnames()[-1] == f"{root}/{path}"


@pytest.mark.parametrize(
    "name",
    [
        *("../../../x", "../..", "../", "../.", "../x/y", "../link/x", "x/../y"),
        *("/../x", "..//x", "./../x", "../../../../x", "../a\0", "..\\..\\x/"),
    ],
)
def test_steps_up_lead_nowhere_else(name: str) -> None:
    store = MemoryStore()
    root = _nested(store, name, store.add_bytes(b"leaf").cid)

    with pytest.raises(InvalidDataError, match="name"):
        _tar(store, root)


@pytest.mark.parametrize("name", ["../b", "../file", "../../a"])
def test_steps_up_write_over_nothing(name: str) -> None:
    """A symbolic link in the place of a folder would lead what follows astray."""
    store = MemoryStore()
    leaf = store.add_bytes(b"leaf").cid
    root = _nested(store, name, leaf, Link("file", leaf, 4))

    with pytest.raises(InvalidDataError, match="is taken"):
        _tar(store, root)


def test_steps_up_from_two_folders_do_not_meet() -> None:
    store = MemoryStore()
    leaf = store.add_bytes(b"leaf").cid
    b = _put(store, Node(Kind.DIRECTORY, (Link("../x", leaf, 4),)))
    links = (Link("b", b, None), Link("c", b, None))
    root = _put(store, Node(Kind.DIRECTORY, links))

    with pytest.raises(InvalidDataError, match="is taken"):
        _tar(store, root)


def test_no_folder_steps_up() -> None:
    store = MemoryStore()
    root = _nested(store, "../x", _put(store, Node(Kind.DIRECTORY)))

    with pytest.raises(InvalidDataError, match="of a folder"):
        _tar(store, root)


def test_public_content_is_unpacked(cars: Cars, tmp_path: Path) -> None:
    car = cars("tar.car")
    root = car.roots[0]

    with tarfile.open(fileobj=io.BytesIO(_tar(car, root))) as archive:
        archive.extractall(tmp_path, filter="data")

    text = (tmp_path / str(root) / "ą" / "ę" / "file-źł.txt").read_text("utf-8")
    assert text == "I am a txt file on path with utf8\n"


def test_what_is_missing_or_wrong_ends_it_with_an_error() -> None:
    store = MemoryStore()
    data = bytes(1 << 20) + b"end"
    root = store.add_tree({"a": data})
    last = CID(1, RAW, hashlib.sha256(b"end").digest())

    store.put(last, b"longer")
    with pytest.raises(ContentMismatchError):
        _tar(store, root)
    store.drop(last)
    with pytest.raises(NotFoundError):
        _tar(store, root)


def test_what_is_neither_file_nor_folder_is_refused() -> None:
    store = MemoryStore()
    document = CID(1, DAG_CBOR, hashlib.sha256(b"\xa0").digest())
    store.put(document, b"\xa0")
    root = _put(store, Node(Kind.DIRECTORY, (Link("doc", document, None),)))

    with pytest.raises(InvalidDataError, match="neither a file nor"):
        _tar(store, root)


def test_a_tree_that_claims_to_be_endless_is_cut() -> None:
    store = MemoryStore()
    cid = _put(store, Node(Kind.DIRECTORY))
    for _ in range(80):
        links = (Link("a", cid, None), Link("b", cid, None))
        cid = _put(store, Node(Kind.DIRECTORY, links))

    with pytest.raises(InvalidDataError, match="too many entries, or"):
        _tar(store, cid)


@pytest.fixture
def limited() -> Callable[[int], bytes]:
    def build(entries: int) -> bytes:
        store = MemoryStore()
        root = store.add_tree({f"{number}": b"" for number in range(5)})
        return _tar(store, root, TreeLimits(entries=entries))

    return build


def test_the_number_of_entries_is_bounded(limited: Callable[[int], bytes]) -> None:
    assert limited(5)
    with pytest.raises(InvalidDataError):
        limited(4)
