"""The suite's trustless-car group, its optional part with it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence

import httpx
import pytest

from etdb.store.dagpb import parse_dagpb
from etdb.testing.car import CarFile

Fixture = Callable[[str], CarFile]
Blocks = Callable[[str, httpx.Response, Sequence[str]], list[str]]
Ask = Callable[[str, str, str], Iterator[httpx.Response]]

CAR_TYPE = "application/vnd.ipld.car"
MIXED = "subdir-with-mixed-block-files"
PLAIN = "subdir-with-two-single-block-files"
HAMT = "single-layer-hamt-with-multi-block-files"
LINKED = "dir-with-dag-cbor-with-links"
MISSING = "file-3k-and-3-blocks-missing-block"
DUPLICATES = "dir-with-duplicate-files"
PRECEDENCE = "gateway-raw-block"

FILE = "subdir/multiblock.txt"
CHUNKS = [f"{FILE}#{number}" for number in range(5)]
DEEP = ["", "subdir", "subdir/ascii.txt"]
LINK = "document/files/multiblock"
LINKS = ["document/files/single", LINK, *(f"{LINK}#{number}" for number in range(5))]
ENTITY = "dag-scope=entity"


@pytest.fixture(scope="module")
def ask(public: httpx.Client, fixture: Fixture) -> Ask:
    """CARs of what a path names in a fixture."""
    return lambda name, path, query: _ask_both(
        public, f"{fixture(name).roots[0]}{path}", query
    )


@pytest.mark.parametrize(
    ("name", "path", "query", "expected"),
    [
        # The whole of what a path names, after the blocks that lead there.
        (PLAIN, "/subdir/ascii.txt", "", DEEP),
        (
            LINKED,
            "/document/files/single",
            "",
            ["", "document", "document/files/single"],
        ),
        (LINKED, "/document", "", ["", "document", *LINKS]),
        (MIXED, "/subdir", "", [*DEEP, "subdir/hello.txt", FILE, *CHUNKS]),
        # One block, one entity, everything.
        (PLAIN, "/subdir", "dag-scope=block", DEEP[:2]),
        (PLAIN, "/subdir/ascii.txt", "dag-scope=block", DEEP),
        (PLAIN, "", ENTITY, [""]),
        (MIXED, "/subdir", f"{ENTITY}&entity-bytes=0:1", DEEP[:2]),
        (MIXED, "/subdir/ascii.txt", ENTITY, DEEP),
        (MIXED, f"/{FILE}", ENTITY, ["", "subdir", FILE, *CHUNKS]),
        (LINKED, "/document", ENTITY, ["", "document"]),
        (MIXED, f"/{FILE}", "dag-scope=all", ["", "subdir", FILE, *CHUNKS]),
        (
            MIXED,
            "/subdir",
            "dag-scope=all",
            [*DEEP, "subdir/hello.txt", FILE, *CHUNKS],
        ),
        # Part of a file, some of whose blocks are nowhere.
        (MISSING, "", f"{ENTITY}&entity-bytes=0:1000", ["", "#0"]),
        (MISSING, "", f"{ENTITY}&entity-bytes=2200:*", ["", "#2"]),
        (
            MIXED,
            f"/{FILE}",
            f"{ENTITY}&entity-bytes=0:*",
            ["", "subdir", FILE, *CHUNKS],
        ),
    ],
)
def test_the_blocks_and_no_others(
    ask: Ask, blocks: Blocks, name: str, path: str, query: str, expected: list[str]
) -> None:
    for answer in ask(name, path, query):
        assert blocks(name, answer, expected) == expected


def test_a_document_may_be_the_root(
    public: httpx.Client, fixture: Fixture, blocks: Blocks
) -> None:
    cid = _cid_at(public, f"{fixture(LINKED).roots[0]}/document")
    expected = ["document", "document/files/single"]

    for answer in _ask_both(public, f"{cid}/files/single", ""):
        assert blocks(LINKED, answer, expected) == expected


@pytest.mark.parametrize(
    ("span", "expected"),
    [
        ("512:*", CHUNKS[2:]),
        ("512:1023", CHUNKS[2:4]),
        ("512:-256", CHUNKS[2:4]),
        ("-5:*", CHUNKS[3:]),
        ("-9999:*", CHUNKS),
        ("-9999:-3", CHUNKS[:4]),
        ("0:0", CHUNKS[:1]),
    ],
)
def test_part_of_a_file_by_its_own_cid(
    public: httpx.Client,
    fixture: Fixture,
    blocks: Blocks,
    span: str,
    expected: list[str],
) -> None:
    cid = _cid_at(public, f"{fixture(MIXED).roots[0]}/{FILE}")

    for answer in _ask_both(public, cid, f"{ENTITY}&entity-bytes={span}"):
        assert blocks(MIXED, answer, [FILE, *expected]) == [FILE, *expected]


@pytest.mark.parametrize(
    ("file", "query", "chunks"), [("685.txt", "", 5), ("1.txt", "dag-scope=block", 0)]
)
def test_only_the_shards_that_lead_to_a_file(
    ask: Ask, fixture: Fixture, blocks: Blocks, file: str, query: str, chunks: int
) -> None:
    shards = _shards_above(fixture(HAMT), file)
    expected = ["", *shards, file, *(f"{file}#{number}" for number in range(chunks))]
    for answer in ask(HAMT, f"/{file}", query):
        assert blocks(HAMT, answer, expected) == expected


@pytest.mark.parametrize("query", [ENTITY, f"{ENTITY}&entity-bytes=0:*"])
def test_a_sharded_directory_is_its_shards(
    ask: Ask, fixture: Fixture, blocks: Blocks, query: str
) -> None:
    car = fixture(HAMT)
    expected = ["", *_iter_shards(car, car.get_block(car.roots[0]))]

    assert len(expected) == 1 + 229 + 7
    for answer in ask(HAMT, "", query):
        assert blocks(HAMT, answer, expected) == expected


@pytest.mark.parametrize(
    ("accept", "query", "dups"),
    [
        ("version=1; order=dfs; dups=y", "", "y"),
        ("version=1; order=dfs; dups=n", "", "n"),
        ("version=1; order=unk", "", "n"),
        ("version=1; order=dfs; dups=y", "?format=car", "y"),
        ("order=unk", "?format=car&car-order=dfs", "n"),
        ("dups=n", "?format=car&car-dups=y", "y"),
        ("dups=y", "?car-dups=n", "n"),
    ],
)
def test_order_and_duplicates(
    public: httpx.Client,
    fixture: Fixture,
    blocks: Blocks,
    accept: str,
    query: str,
    dups: str,
) -> None:
    headers = {"Accept": f"{CAR_TYPE}; {accept}"}
    answer = public.get(f"/ipfs/{fixture(DUPLICATES).roots[0]}{query}", headers=headers)

    copies = ["ascii-copy.txt", "ascii.txt"][: 2 if dups == "y" else 1]
    chunks = [f"multiblock.txt#{number}" for number in range(5)]
    expected = ["", *copies, "hello.txt", "multiblock.txt", *chunks]
    assert blocks(DUPLICATES, answer, expected) == expected
    kind = answer.headers["content-type"]
    assert kind.startswith(CAR_TYPE)
    assert "order=dfs" in kind
    assert f"dups={dups}" in kind


def test_an_identity_cid_has_no_block(public: httpx.Client) -> None:
    url = "/ipfs/bafkqaf3imvwgy3zaneqgc3janfxgy2lomvscay3jmqfa"
    answer = public.get(url, headers={"Accept": f"{CAR_TYPE}; dups=y"})

    assert answer.status_code == 200
    assert [*CarFile(answer.content).iter_blocks()] == []
    assert "dups=y" in answer.headers["content-type"]


@pytest.mark.parametrize(
    ("wanted", "accepted"), [("car", "raw"), ("raw", "car"), ("car", "car")]
)
def test_the_query_wins_over_accept(
    public: httpx.Client, fixture: Fixture, wanted: str, accepted: str
) -> None:
    url = f"/ipfs/{fixture(PRECEDENCE).roots[0]}/dir?format={wanted}"
    accept = {"Accept": f"application/vnd.ipld.{accepted}"}

    answer = public.get(url, headers=accept)

    kind = answer.headers["content-type"]
    assert kind.partition(";")[0] == f"application/vnd.ipld.{wanted}"
    assert wanted == "car" or kind == "application/vnd.ipld.raw"


def test_what_is_not_there_is_404(public: httpx.Client, ask: Ask) -> None:
    absent = "QmYzfKSE55XCjD1MW128RfciAf2DViABhEiXfgVFMabSjN"

    for answer in (
        *ask(PLAIN, "/subdir/i-do-not-exist", ""),
        *ask(LINKED, "/document/none", ""),
        *_ask_both(public, absent, ""),
    ):
        assert answer.status_code == 404


def test_a_car_is_known_again_by_its_etag(
    public: httpx.Client, fixture: Fixture
) -> None:
    url = f"/ipfs/{fixture(MIXED).roots[0]}/subdir?format=car"
    known = {"If-None-Match": f"W/{public.get(url).headers['etag']}"}

    assert public.get(url, headers=known).status_code == 304
    other = public.get(f"{url}&dag-scope=block", headers=known)
    assert other.status_code == 200


def _ask_both(public: httpx.Client, path: str, query: str) -> Iterator[httpx.Response]:
    """A CAR by both ways of asking for one, with the headers that each has."""
    for form, headers in (("format=car&", {}), ("", {"Accept": CAR_TYPE})):
        answer = public.get(f"/ipfs/{path}?{form}{query}", headers=headers)
        if answer.status_code == 200:
            name = r'attachment; filename=".*\.car"'
            assert re.match(name, answer.headers["content-disposition"])
            assert answer.headers["content-type"].startswith(CAR_TYPE)
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert answer.headers["accept-ranges"] == "none"
            assert answer.headers["vary"] == "Accept"
        yield answer


def _cid_at(public: httpx.Client, path: str) -> str:
    headers = public.get(f"/ipfs/{path}?format=raw").headers
    return str(headers["x-ipfs-roots"].rpartition(",")[2])


def _shards_above(car: CarFile, file: str) -> list[str]:
    """The shard below the root that names a file, if the root does not itself."""
    root = car.get_block(car.roots[0])
    size = bytes([2 + len(file)])
    entry = re.compile(b"\x12" + size + b"[0-9A-F]{2}" + re.escape(file.encode()))
    named = (cid.to_bytes() for cid, block in car.iter_blocks() if entry.search(block))
    above = next(named)
    end = root.find(above) + len(above)
    return (
        [] if above == car.roots[0].to_bytes() else [f"/{root[end + 2 :][:2].decode()}"]
    )


def _iter_shards(car: CarFile, block: bytes) -> Iterator[str]:
    """The shards below one, depth first."""
    for link in parse_dagpb(block)[0]:
        if len(link.name) == 2:
            yield f"/{link.name}"
            yield from _iter_shards(car, car.get_block(link.cid))
