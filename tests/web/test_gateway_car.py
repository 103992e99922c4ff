"""CARs, TARs, several ranges and pages of the gateway: right, refused or cut."""

from __future__ import annotations

import hashlib
import io
import tarfile
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from etdb.errors import InvalidDataError
from etdb.identity import CID, DAG_PB, RAW
from etdb.store.car import iter_car
from etdb.store.inplace import InPlaceStore, Tree
from etdb.store.unixfs import Kind, Link, Node, encode_node
from etdb.store.verified import Verified
from etdb.testing.car import CarFile
from etdb.testing.store import MemoryStore
from etdb.web.accept import parse_accept

MIB = 1 << 20
ServeSite = Callable[..., httpx.Client]


def _read_all(client: httpx.Client, path: str) -> tuple[bytes, bool]:
    """What arrives, and whether the answer came to its end as a success."""
    got: list[bytes] = []
    try:
        with client.stream("GET", path) as answer:
            if answer.status_code != 200:
                return b"", False
            for piece in answer.iter_bytes():
                got.append(piece)
    except httpx.RemoteProtocolError:
        return b"".join(got), False
    return b"".join(got), True


def _put(store: MemoryStore, node: Node) -> CID:
    block = encode_node(node)
    cid = CID(1, DAG_PB, hashlib.sha256(block).digest())
    store.put(cid, block)
    return cid


def _large() -> tuple[MemoryStore, bytes, CID]:
    """A store that has lost the last chunk of a file of 30 MiB; a folder of it."""
    store = MemoryStore()
    data = b"".join(bytes([number]) * MIB for number in range(30))
    root = store.add_tree({"large": data})
    store.drop(CID(1, RAW, hashlib.sha256(data[29 * MIB :]).digest()))
    return store, data, root


def test_a_dataset_is_fetched_as_one_car(
    gateway: httpx.Client, store: InPlaceStore, tree: Tree, tmp_path: Path
) -> None:
    answer = gateway.get(f"/ipfs/{tree.root}?format=car")
    path = tmp_path / "dataset.car"
    path.write_bytes(answer.content)
    car = CarFile.read(path)

    assert car.roots == (tree.root,)
    assert answer.content == b"".join(iter_car(store, tree.root))
    for file in tree.files.values():
        assert Verified(car).get_block(file.cid) == store.get_block(file.cid)


@pytest.mark.parametrize("form", ["car", "tar"])
def test_head_says_what_get_would(gateway: httpx.Client, tree: Tree, form: str) -> None:
    url = f"/ipfs/{tree.root}?format={form}"
    head, get = gateway.head(url), gateway.get(url)
    varying = {"date", "transfer-encoding"}

    assert (head.status_code, head.content) == (200, b"")
    assert {k: v for k, v in head.headers.items() if k not in varying} == {
        k: v for k, v in get.headers.items() if k not in varying
    }


@pytest.mark.parametrize("query", ["?format=car", "?format=tar", "/large"])
def test_what_lacks_a_block_is_cut_and_no_short_success(
    serve_site: ServeSite, query: str
) -> None:
    store, data, root = _large()

    got, is_whole = _read_all(serve_site(store=store), f"/ipfs/{root}{query}")

    assert not is_whole
    assert len(got) >= MIB
    assert data[-1024:] not in got


def test_several_ranges_are_cut_where_one_cannot_be_given(
    serve_site: ServeSite,
) -> None:
    store, _, root = _large()
    client = serve_site(store=store)
    asked = {"Range": f"bytes=0-{12 * MIB}, -5"}

    with pytest.raises(httpx.RemoteProtocolError):
        client.get(f"/ipfs/{root}/large", headers=asked)
    asked = {"Range": "bytes=-5,0-5"}
    assert client.get(f"/ipfs/{root}/large", headers=asked).status_code == 404


@pytest.mark.parametrize("form", ["", "?format=raw", "?format=car", "?format=tar"])
def test_what_begins_with_a_missing_block_is_not_found(
    serve_site: ServeSite, form: str
) -> None:
    store = MemoryStore()
    cid = store.add_bytes(b"right").cid
    store.put(cid, b"wrong")
    client = serve_site(store=Verified(store))

    for method in ("GET", "HEAD"):
        assert client.request(method, f"/ipfs/{cid}{form}").status_code == 404


@pytest.mark.parametrize("query", ["car-version=2", "car-order=rnd", "car-dups=x"])
def test_a_car_that_is_not_offered_is_not_acceptable(
    gateway: httpx.Client, tree: Tree, query: str
) -> None:
    name, _, value = query.removeprefix("car-").partition("=")
    accept = {"Accept": f"application/vnd.ipld.car; {name}={value}"}
    by_query = gateway.get(f"/ipfs/{tree.root}?format=car&{query}")

    assert by_query.status_code == 406
    assert gateway.get(f"/ipfs/{tree.root}", headers=accept).status_code == 406


@pytest.mark.parametrize(
    "query",
    [
        *("dag-scope=x", "dag-scope=", "entity-bytes=", "entity-bytes=5"),
        *("entity-bytes=*:5", "entity-bytes=a:b", "entity-bytes=1:2:3"),
        *("entity-bytes=5:3", "entity-bytes=-3:-5"),
        "entity-bytes=" + "9" * 40 + ":*",
    ],
)
def test_bad_parameters_are_a_bad_request(
    gateway: httpx.Client, tree: Tree, query: str
) -> None:
    answer = gateway.get(f"/ipfs/{tree.root}?format=car&{query}")

    assert answer.status_code == 400


@pytest.mark.parametrize("form", ["", "?format=raw", "?format=car", "?format=tar"])
def test_a_hash_that_cannot_be_checked_is_refused(
    serve_site: ServeSite, form: str
) -> None:
    store = MemoryStore()
    digest = store.add_bytes(b"content").cid.digest
    blake = CID(1, RAW, digest, 0xB220)
    root = _put(store, Node(Kind.DIRECTORY, (Link("a", blake, 7),)))
    client = serve_site(store=store)

    assert client.get(f"/ipfs/{blake}{form}").status_code == 400
    assert client.get(f"/ipfs/{root}/a{form}").status_code == 422
    assert store.get_block(blake) == b"content"


@pytest.mark.parametrize(
    ("form", "status"), [("", 406), ("?format=car", 422), ("?format=tar", 422)]
)
def test_a_codec_that_is_not_known_is_refused(
    serve_site: ServeSite, form: str, status: int
) -> None:
    store = MemoryStore()
    cid = CID(1, 0x0129, hashlib.sha256(b"{}").digest())
    store.put(cid, b"{}")

    assert serve_site(store=store).get(f"/ipfs/{cid}{form}").status_code == status


@pytest.mark.parametrize(
    "path",
    [
        *("../notes.txt", "%2e%2e/notes.txt", "..%2fnotes.txt", "raw/..%2f..%2fx"),
        *("%2e%2e%2f%2e%2e%2fetc%2fpasswd", "..\\notes.txt", "%00", "raw%00"),
        *("%c0%ae%c0%ae/x", "notes.txt%00.mrc", "....//notes.txt", "%252e%252e/x"),
        "/etc/passwd",
    ],
)
@pytest.mark.parametrize("form", ["", "?format=raw", "?format=car", "?format=tar"])
def test_no_spelling_of_a_path_leaves_its_root(
    gateway: httpx.Client, tree: Tree, path: str, form: str
) -> None:
    request = gateway.build_request("GET", f"/ipfs/{tree.root}/x{form}")
    request.url = request.url.copy_with(
        raw_path=f"/ipfs/{tree.root}/{path}{form}".encode()
    )

    answer = gateway.send(request)

    # The client itself resolves a plain "..": what is asked for is then no CID.
    assert answer.status_code == (400 if path.startswith("../") else 404)
    assert "root:" not in answer.text


@pytest.mark.parametrize("names", [("..",), ("a/b",), ("a\0b",), ("a", "a")])
@pytest.mark.parametrize("form", ["/", "?format=tar"])
def test_a_directory_of_unsafe_names_is_refused(
    serve_site: ServeSite, names: tuple[str, ...], form: str
) -> None:
    store = MemoryStore()
    leaf = store.add_bytes(b"leaf").cid
    links = tuple(Link(name, leaf, 4) for name in names)
    root = _put(store, Node(Kind.DIRECTORY, links))

    assert serve_site(store=store).get(f"/ipfs/{root}{form}").status_code == 422


@pytest.mark.parametrize(
    "node",
    [
        Node(Kind.FILE, size_bytes=1 << 62),
        Node(Kind.FILE, (), child_sizes=(1 << 62,)),
        Node(Kind.SHARD, hash_code=0x22, fanout=1 << 40),
        Node(Kind.SHARD, hash_code=0x23, fanout=256),
        Node(Kind.METADATA),
    ],
)
def test_nodes_that_make_no_sense_are_refused(
    serve_site: ServeSite, node: Node
) -> None:
    store = MemoryStore()
    cid = _put(store, node)

    client = serve_site(store=store)

    assert client.get(f"/ipfs/{cid}/").status_code == 422
    assert client.get(f"/ipfs/{cid}/?format=tar").status_code == 422


def test_scripts_of_an_index_page_stay_in_their_sandbox(serve_site: ServeSite) -> None:
    store = MemoryStore()
    page = b"<script>document.title = 'ran'</script>"
    root = store.add_tree({"a/index.html": page, "index.html/b": b"x"})
    client = serve_site(store=store)

    index = client.get(f"/ipfs/{root}/a/", headers={"Accept": "text/html,*/*;q=0.8"})
    part = client.get(f"/ipfs/{root}/a/", headers={"Range": "bytes=1-6"})

    assert index.content == page
    assert index.headers["content-security-policy"].startswith("sandbox; default-src")
    assert index.headers["x-content-type-options"] == "nosniff"
    assert (part.status_code, part.content) == (206, b"script")
    assert "Index of" in client.get(f"/ipfs/{root}/").text


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    asked=st.lists(
        st.tuples(
            st.none() | st.integers(0, 6_000_000), st.none() | st.integers(0, 6_000_000)
        ),
        max_size=5,
    )
)
def test_any_ranges_give_those_bytes_or_all_or_none(
    gateway: httpx.Client,
    tree: Tree,
    lab_files: dict[str, Path],
    asked: list[tuple[int | None, int | None]],
) -> None:
    content = lab_files["tomogram.mrc"].read_bytes()
    specs = [
        "-".join("" if number is None else str(number) for number in pair)
        for pair in asked
    ]
    url = f"/ipfs/{tree.files['tomogram.mrc'].cid}"

    answer = gateway.get(url, headers={"Range": f"bytes={','.join(specs)}"})

    if answer.status_code == 200:
        assert len(answer.content) == len(content)
    elif answer.status_code == 206 and "content-range" in answer.headers:
        span = answer.headers["content-range"].removeprefix("bytes ").split("/")[0]
        first, last = map(int, span.split("-"))
        assert answer.content == content[first : last + 1]
    elif answer.status_code == 206:
        assert len(answer.content) <= len(content) + 200 * (len(asked) + 1)
        assert answer.content.endswith(b"--\r\n")
    else:
        assert answer.status_code == 416


@given(at=st.integers(0, 2000))
def test_a_car_cut_anywhere_gives_no_wrong_block(
    tmp_path_factory: pytest.TempPathFactory, at: int
) -> None:
    store = MemoryStore()
    root = store.add_tree({"a": b"a" * 700, "b": b"b" * 700})
    data = b"".join(iter_car(store, root))
    path = tmp_path_factory.getbasetemp() / "cut.car"
    path.write_bytes(data[:at])

    try:
        car = CarFile.read(path)
    except InvalidDataError:
        return
    for cid, block in car.iter_blocks():
        assert hashlib.sha256(block).digest() == cid.digest


def test_a_tar_of_the_dataset_holds_its_files(
    gateway: httpx.Client, tree: Tree, lab_files: dict[str, Path], tmp_path: Path
) -> None:
    answer = gateway.get(f"/ipfs/{tree.root}?format=tar")

    with tarfile.open(fileobj=io.BytesIO(answer.content)) as archive:
        archive.extractall(tmp_path, filter="data")

    for name, path in lab_files.items():
        unpacked = tmp_path / str(tree.root) / name
        assert unpacked.read_bytes() == path.read_bytes()
    disposition = answer.headers["content-disposition"]
    assert disposition.startswith(f'attachment; filename="{tree.root}.tar"')


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("", []),
        ("a/b;q=0, */*", ["*/*"]),
        ("a/b;q=0.1,c/d;q=0.9,e/f", ["e/f", "c/d", "a/b"]),
        ("A/B;q=x;q=", ["a/b"]),
        (",,;;,=", ["", "="]),
        ("x/y," * 5000, ["x/y"] * 32),
    ],
)
def test_accept_is_read_by_weight(header: str, expected: list[str]) -> None:
    assert [wanted.type for wanted in parse_accept(header)] == expected


@given(st.text(max_size=300))
def test_any_accept_is_read(header: str) -> None:
    assert len(parse_accept(header)) <= 32
