"""Walking content, right and wrong, from sources that may lie."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from etdb.errors import (
    ContentMismatchError,
    InvalidDataError,
    NotFoundError,
    UnavailableError,
)
from etdb.identity import CID, DAG_CBOR, DAG_PB, IDENTITY, RAW
from etdb.store.unixfs import (
    UNIXFS_V0_2015,
    UNIXFS_V1_2025,
    Kind,
    Link,
    Node,
    Profile,
    ShardRule,
    encode_node,
    parse_node,
)
from etdb.store.verified import (
    BlockSource,
    Chunk,
    TreeLimits,
    Verified,
    chunk_data,
    file_size,
    iter_chunks,
    iter_entries,
    iter_files,
    read_chunk,
    resolve,
)
from etdb.testing.car import CarFile
from etdb.testing.store import MemoryStore

TINY = Profile("tiny-64-w4", 64, 4, 1, True, ShardRule.BLOCK)
TINY_WRAPPED = Profile("tiny-wrapped", 64, 4, 0, False, ShardRule.BLOCK)
HELLO = CID(1, RAW, hashlib.sha256(b"hello").digest())


def _put(store: MemoryStore, node: Node) -> CID:
    block = encode_node(node)
    cid = UNIXFS_V1_2025.node_cid(block)
    store.put(cid, block)
    return cid


def _read(
    source: BlockSource, cid: CID, start: int = 0, stop: int | None = None
) -> bytes:
    out = bytearray()
    for chunk in iter_chunks(source, cid, start, stop):
        data = read_chunk(source, chunk)
        begin = max(0, start - chunk.offset)
        end = chunk.size if stop is None else stop - chunk.offset
        out += data[begin:end]
    return bytes(out)


@pytest.mark.parametrize("profile", [TINY, TINY_WRAPPED, UNIXFS_V0_2015])
@given(
    size=st.integers(0, 3000), start=st.integers(0, 3000), length=st.integers(0, 999)
)
def test_any_range_of_a_file_is_read(
    profile: Profile, size: int, start: int, length: int
) -> None:
    data = bytes(range(256)) * 12
    store = MemoryStore()
    root = store.add_bytes(data[:size], profile)

    assert file_size(store, root.cid) == size
    assert _read(store, root.cid) == data[:size]
    wanted = data[:size][start : start + length]
    assert _read(store, root.cid, start, start + length) == wanted


def test_a_directory_is_not_read_as_a_file() -> None:
    store = MemoryStore()

    with pytest.raises(InvalidDataError, match="directory"):
        list(iter_chunks(store, store.add_tree({"a": b"x"})))


def test_a_range_loads_no_nodes_outside_it() -> None:
    asked: list[CID] = []
    store = MemoryStore(asked.append)
    root = store.add_bytes(bytes(range(64)) * 64, TINY)

    chunks = list(iter_chunks(store, root.cid, 100, 101))

    assert [(chunk.offset, chunk.size) for chunk in chunks] == [(64, 64)]
    assert len(asked) == 3


def test_raw_chunks_are_listed_without_loading_them() -> None:
    store = MemoryStore()
    root = store.add_bytes(b"a" * 64 + b"b", TINY)
    for chunk in iter_chunks(store, root.cid):
        store.drop(chunk.cid)

    assert sum(chunk.size for chunk in iter_chunks(store, root.cid)) == 65


NODES = st.lists(
    st.tuples(
        st.sampled_from(Kind),
        st.lists(
            st.tuples(st.text(max_size=3), st.integers(0, 9), st.integers(0, 99)),
            max_size=4,
        ),
        st.binary(max_size=9),
        st.none() | st.integers(0, 99),
        st.lists(st.integers(0, 99), max_size=4),
    ),
    min_size=1,
    max_size=8,
)


@given(NODES)
def test_no_dag_can_raise_but_our_errors(
    nodes: list[tuple[Kind, list[tuple[str, int, int]], bytes, int | None, list[int]]],
) -> None:
    store = MemoryStore()
    store.put(HELLO, b"hello")
    cids = [HELLO]
    for kind, links, data, size, sizes in nodes:
        targets = tuple(Link(n, cids[to % len(cids)], t) for n, to, t in links)
        node = Node(kind, targets, data, size, tuple(sizes), 0x22, 256)
        cids.append(_put(store, node))

    for walk in (iter_chunks, iter_entries, iter_files):
        try:
            list(walk(store, cids[-1]))
        except InvalidDataError:
            continue


def test_content_inside_a_node_comes_before_its_children() -> None:
    store = MemoryStore()
    store.put(HELLO, b"hello")
    root = _put(
        store,
        Node(Kind.FILE, (Link("", HELLO, 5),), b"oh, ", 9, (5,)),
    )

    assert _read(store, root) == b"oh, hello"
    assert _read(store, root, 2, 6) == b", he"


def test_a_symbolic_link_is_a_file_of_its_target(
    cars: Callable[[str], CarFile],
) -> None:
    car = cars("symlink.car")
    files = dict(iter_files(Verified(car), car.roots[0]))
    link = files["foo"]

    assert link.size_bytes == len("content") or link.size_bytes == 8
    assert len(_read(car, link.cid)) == link.size_bytes == 8


def test_an_identity_cid_carries_its_block() -> None:
    cid = CID(1, RAW, b"inside", IDENTITY)

    assert _read(Verified(MemoryStore()), cid) == b"inside"


def test_a_lie_of_the_source_is_found() -> None:
    store = MemoryStore()
    store.put(HELLO, b"HELLO")

    with pytest.raises(ContentMismatchError):
        Verified(store).get_block(HELLO)
    assert store.get_block(HELLO) == b"HELLO"


def test_errors_of_the_source_pass_through() -> None:
    def fail(cid: CID) -> None:
        raise UnavailableError("stalled")

    with pytest.raises(UnavailableError):
        Verified(MemoryStore(fail)).get_block(HELLO)
    with pytest.raises(NotFoundError):
        Verified(MemoryStore()).get_block(HELLO)


def test_a_chunk_of_another_length_than_its_parent_says_is_refused() -> None:
    store = MemoryStore()
    store.put(HELLO, b"hello")
    root = _put(store, Node(Kind.FILE, (Link("", HELLO, 5),), b"", 6, (6,)))
    (chunk,) = iter_chunks(store, root)

    with pytest.raises(ContentMismatchError, match="5 bytes instead of 6"):
        read_chunk(store, chunk)
    assert chunk_data(chunk.cid, b"hello") == b"hello"


@pytest.mark.parametrize(
    "node",
    [
        pytest.param(Node(Kind.FILE, (), b"abc", 4), id="data and size disagree"),
        pytest.param(
            Node(Kind.FILE, (Link("", HELLO, 5),), b"", 5, ()), id="a size is missing"
        ),
        pytest.param(
            Node(Kind.FILE, (Link("", HELLO, 5),), b"", 9, (5,)), id="a wrong sum"
        ),
        pytest.param(Node(Kind.FILE, (), b"", 5, (5,)), id="a link is missing"),
        pytest.param(Node(Kind.SYMLINK, (Link("", HELLO, 5),), b"a"), id="a link on"),
        pytest.param(Node(Kind.DIRECTORY), id="a directory"),
        pytest.param(Node(Kind.METADATA), id="metadata"),
    ],
)
def test_a_file_whose_sizes_do_not_add_up_is_refused(node: Node) -> None:
    store = MemoryStore()
    cid = _put(store, node)

    with pytest.raises(InvalidDataError):
        list(iter_chunks(store, cid))
    with pytest.raises(InvalidDataError):
        file_size(store, cid)


def test_a_child_of_another_size_than_its_parent_says_is_refused() -> None:
    store = MemoryStore()
    child = _put(store, Node(Kind.FILE, (), b"abc", 3))
    root = _put(store, Node(Kind.FILE, (Link("", child, 99),), b"", 4, (4,)))

    with pytest.raises(InvalidDataError, match="parent"):
        list(iter_chunks(store, root))


def test_a_tree_of_too_many_levels_is_refused() -> None:
    store = MemoryStore()
    cid = _put(store, Node(Kind.FILE, (), b"x", 1))
    for _ in range(80):
        cid = _put(store, Node(Kind.FILE, (Link("", cid, 99),), b"", 1, (1,)))

    with pytest.raises(InvalidDataError):
        list(iter_chunks(store, cid))


def test_empty_branches_are_never_walked() -> None:
    store = MemoryStore()
    cid = _put(store, Node(Kind.FILE, (), b"", 0))
    for _ in range(30):
        links = (Link("", cid, 9),) * 1000
        cid = _put(store, Node(Kind.FILE, links, b"", 0, (0,) * 1000))

    assert list(iter_chunks(store, cid)) == []


def test_content_that_is_no_unixfs_is_refused() -> None:
    cid = CID(1, DAG_CBOR, HELLO.digest)
    store = MemoryStore()
    store.put(cid, b"\xa0")

    with pytest.raises(InvalidDataError, match="0x71"):
        list(iter_chunks(store, cid))


def test_a_path_leads_through_folders() -> None:
    store = MemoryStore()
    root = store.add_tree({"raw/ts 1.st": b"tilts", "ü.rec": b"volume"})

    cid, passed = resolve(store, root, "raw/ts 1.st")

    assert _read(store, cid) == b"tilts"
    assert len(passed) == 3
    assert (passed[0], passed[-1]) == (root, cid)
    assert resolve(store, root, "/raw/")[0] == passed[1]
    assert resolve(store, root, "") == (root, (root,))


@pytest.mark.parametrize("path", ["x", "raw/x", "ü.rec/x", "raw/ts/x", "..", "raw/."])
def test_a_path_that_leads_nowhere_is_not_found(path: str) -> None:
    store = MemoryStore()
    root = store.add_tree({"raw/ts": bytes(2_000_000), "ü.rec": b"volume"})

    with pytest.raises(NotFoundError):
        resolve(store, root, path)


def test_a_large_directory_is_listed_and_searched() -> None:
    names = [f"tilt-series-{number:05d}.mrc" for number in range(6000)]
    store = MemoryStore()
    root = store.add_tree(dict.fromkeys(names, b"x"))

    assert sorted(name for name, _ in iter_files(store, root)) == names
    assert resolve(store, root, names[4321])[0] == store.add_bytes(b"x").cid
    with pytest.raises(NotFoundError):
        resolve(store, root, "tilt-series-06000.mrc")


def test_a_search_in_a_large_directory_loads_few_shards() -> None:
    asked: list[CID] = []
    store = MemoryStore(asked.append)
    root = store.add_tree({f"tilt-series-{n:05d}.mrc": b"x" for n in range(6000)})

    resolve(store, root, "tilt-series-00001.mrc")

    assert len(asked) <= 4


def test_kubos_directories_are_listed(cars: Callable[[str], CarFile]) -> None:
    car = cars("single-layer-hamt-with-multi-block-files.car")
    source = Verified(car)
    files = dict(iter_files(source, car.roots[0]))
    one = resolve(source, car.roots[0], "470.txt")[0]

    assert sorted(files) == sorted(f"{number}.txt" for number in range(1, 1001))
    assert files["470.txt"].cid == one
    assert files["470.txt"].size_bytes == 1026


def test_kubos_files_are_read(cars: Callable[[str], CarFile]) -> None:
    car = cars("dir-with-files.car")
    source = Verified(car)
    files = dict(iter_files(source, car.roots[0]))
    contents = {name: _read(source, entry.cid) for name, entry in files.items()}

    assert contents["hello.txt"] == b"hello world\n"
    assert contents["ascii.txt"] == contents["ascii-copy.txt"]
    assert {n: len(c) for n, c in contents.items()} == {
        name: entry.size_bytes for name, entry in files.items()
    }


def test_a_missing_chunk_outside_the_range_is_not_missed(
    cars: Callable[[str], CarFile],
) -> None:
    car = cars("file-3k-and-3-blocks-missing-block.car")
    root = car.roots[0]

    assert file_size(car, root) == 3072
    assert len(_read(car, root, 0, 1000)) == 1000
    assert len(_read(car, root, 2048)) == 1024
    with pytest.raises(NotFoundError):
        _read(car, root, 0, 1025)


@pytest.mark.parametrize("name", ["inside-root.car", "outside-root.car"])
def test_names_that_leave_their_folder_are_refused(
    name: str, cars: Callable[[str], CarFile]
) -> None:
    car = cars(name)

    with pytest.raises(InvalidDataError, match="not a file name"):
        list(iter_files(car, car.roots[0]))


def test_without_the_check_of_names_a_file_would_leave_its_folder(
    cars: Callable[[str], CarFile],
) -> None:
    car = cars("outside-root.car")
    names = [link.name for link in _links(car, car.roots[0])]

    assert "../foo" in names


def _links(source: BlockSource, cid: CID) -> tuple[Link, ...]:
    return parse_node(source.get_block(cid)).links


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "a\0b"])
def test_unfit_names_in_a_directory_are_refused(name: str) -> None:
    store = MemoryStore()
    root = _put(store, Node(Kind.DIRECTORY, (Link(name, HELLO, 5),)))

    with pytest.raises(InvalidDataError):
        list(iter_entries(store, root))


def test_a_name_that_comes_twice_is_refused() -> None:
    store = MemoryStore()
    root = _put(store, Node(Kind.DIRECTORY, (Link("a", HELLO, 5),) * 2))

    with pytest.raises(InvalidDataError, match="two entries"):
        list(iter_entries(store, root))


def test_a_file_is_not_listed_as_a_directory() -> None:
    store = MemoryStore()
    store.put(HELLO, b"hello")

    with pytest.raises(InvalidDataError, match="not a directory"):
        list(iter_entries(store, HELLO))


def test_an_entry_whose_root_is_not_at_hand_is_listed_without_a_size() -> None:
    store = MemoryStore()
    gone = CID(1, DAG_PB, bytes(32))
    foreign = CID(1, DAG_CBOR, bytes(32))
    root = _put(
        store,
        Node(Kind.DIRECTORY, (Link("a", gone, 5), Link("b", foreign, 5))),
    )

    entries = list(iter_entries(store, root))

    assert [(entry.name, entry.size_bytes) for entry in entries] == [
        ("a", None),
        ("b", None),
    ]


def test_folders_nested_without_end_are_refused() -> None:
    store = MemoryStore()
    cid = _put(store, Node(Kind.DIRECTORY, (Link("a", HELLO, 5),)))
    for _ in range(70):
        cid = _put(store, Node(Kind.DIRECTORY, (Link("d", cid, 9),)))

    with pytest.raises(InvalidDataError, match="deep"):
        list(iter_files(store, cid))


@pytest.mark.parametrize(
    "limits", [TreeLimits(entries=1000), TreeLimits(node_bytes=20_000)]
)
def test_a_small_dag_that_claims_countless_folders_is_refused(
    limits: TreeLimits,
) -> None:
    store = MemoryStore()
    cid = _put(store, Node(Kind.DIRECTORY))
    for _ in range(60):
        links = tuple(Link(name, cid, 9) for name in "abcdefgh")
        cid = _put(store, Node(Kind.DIRECTORY, links))

    with pytest.raises(InvalidDataError, match="too"):
        list(iter_files(store, cid, limits))


def _shard(links: tuple[Link, ...], fanout: int = 256, hash_code: int = 0x22) -> Node:
    return Node(Kind.SHARD, links, b"\x01", hash_code=hash_code, fanout=fanout)


EMPTY_SHARD = UNIXFS_V1_2025.node_cid(encode_node(_shard(())))


@pytest.mark.parametrize(
    "node",
    [
        pytest.param(_shard((Link("00a", HELLO, 5),)), id="name in a wrong slot"),
        pytest.param(_shard((Link("0", HELLO, 5),)), id="slot of one digit"),
        pytest.param(_shard((Link("zza", HELLO, 5),)), id="slot that is no number"),
        pytest.param(_shard((Link("ffa", HELLO, 5),)), id="slot in lower case"),
        pytest.param(_shard((Link("00", EMPTY_SHARD, 5),)), id="empty shard below"),
        pytest.param(_shard((), fanout=7), id="fanout that is no power of two"),
        pytest.param(_shard((), fanout=1 << 20), id="fanout without bound"),
        pytest.param(_shard((), hash_code=0x12), id="another hash"),
        pytest.param(Node(Kind.SHARD), id="no fanout"),
    ],
)
def test_a_wrong_shard_is_refused(node: Node) -> None:
    store = MemoryStore()
    store.put(EMPTY_SHARD, encode_node(_shard(())))
    root = _put(store, node)

    with pytest.raises(InvalidDataError):
        list(iter_entries(store, root))


def test_shards_that_repeat_a_slot_are_refused() -> None:
    store = MemoryStore()
    names = [f"tilt-series-{number:05d}.mrc" for number in range(6000)]
    root = store.add_tree(dict.fromkeys(names, b"x"))
    first = _links(store, root)[0]
    twice = _put(store, _shard((first, first)))

    with pytest.raises(InvalidDataError, match="out of order"):
        list(iter_entries(store, twice))


def test_a_shard_reused_elsewhere_is_refused() -> None:
    store = MemoryStore()
    names = [f"tilt-series-{number:05d}.mrc" for number in range(6000)]
    first, second = _links(store, store.add_tree(dict.fromkeys(names, b"x")))[:2]
    moved = Link(second.name[:2], first.cid, first.tsize)

    with pytest.raises(InvalidDataError, match="wrong place"):
        list(iter_entries(store, _put(store, _shard((first, moved)))))


def test_a_file_below_a_shard_is_no_shard() -> None:
    store = MemoryStore()
    store.put(HELLO, b"hello")
    root = _put(store, _shard((Link("00", HELLO, 5),)))

    with pytest.raises(InvalidDataError, match="not a shard"):
        list(iter_entries(store, root))


def test_shards_nested_deeper_than_the_hash_are_refused() -> None:
    store = MemoryStore()
    cid = _put(store, _shard((Link("00", EMPTY_SHARD, 5),)))
    for _ in range(9):
        cid = _put(store, _shard((Link("00", cid, 5),)))

    with pytest.raises(InvalidDataError, match="deeper"):
        list(iter_entries(store, cid))


def test_a_chunk_says_which_bytes_it_holds() -> None:
    store = MemoryStore()
    root = store.add_bytes(bytes(130), TINY)

    chunks = list(iter_chunks(store, root.cid))

    zeros = CID(1, RAW, hashlib.sha256(bytes(64)).digest())
    assert chunks[:2] == [Chunk(zeros, 0, 64), Chunk(zeros, 64, 64)]
    assert (chunks[2].offset, chunks[2].size) == (128, 2)
