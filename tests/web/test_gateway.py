"""The gateway gives exactly the bytes of a CID, whole or in part, or says no."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest

from etdb.identity import CID, DAG_PB, RAW
from etdb.store.inplace import InPlaceStore, Tree
from etdb.store.unixfs import (
    KUBO_NOCOPY_V0,
    UNIXFS_V0_2015,
    Kind,
    Node,
    encode_node,
)
from etdb.store.verified import Verified
from etdb.testing.car import CarFile
from etdb.testing.store import MemoryStore
from etdb.web.header import DATA_POLICY

MIB = 1 << 20

ServeSite = Callable[..., httpx.Client]
Cars = Callable[[str], CarFile]


@pytest.fixture
def tomogram(tree: Tree) -> str:
    return f"/ipfs/{tree.root}/tomogram.mrc"


@pytest.fixture
def content(lab_files: dict[str, Path]) -> bytes:
    return lab_files["tomogram.mrc"].read_bytes()


def test_a_file_is_served_whole_by_path_and_by_its_own_cid(
    gateway: httpx.Client, tree: Tree, tomogram: str, content: bytes
) -> None:
    by_path = gateway.get(tomogram)
    by_cid = gateway.get(f"/ipfs/{tree.files['tomogram.mrc'].cid}")

    assert by_path.status_code == by_cid.status_code == 200
    assert by_path.content == by_cid.content == content
    assert by_path.headers["content-length"] == str(len(content))


def test_every_name_is_reached_by_its_percent_encoded_path(
    gateway: httpx.Client, tree: Tree, lab_files: dict[str, Path]
) -> None:
    for name, path in lab_files.items():
        answer = gateway.get(f"/ipfs/{tree.root}/{quote(name)}")

        assert answer.content == path.read_bytes(), name


def test_the_answer_carries_the_headers_of_the_specification(
    gateway: httpx.Client, tree: Tree, tomogram: str
) -> None:
    headers = gateway.get(tomogram).headers
    cid = tree.files["tomogram.mrc"].cid

    assert headers["etag"] == f'"{cid}"'
    assert headers["x-ipfs-path"] == tomogram
    assert headers["x-ipfs-roots"] == f"{tree.root},{cid}"
    assert headers["cache-control"] == "public, max-age=29030400, immutable"
    assert headers["access-control-allow-origin"] == "*"
    assert headers["accept-ranges"] == "bytes"
    assert headers["content-type"] == "application/octet-stream"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["content-security-policy"].startswith("sandbox;")


@pytest.mark.parametrize(
    ("asked", "start", "stop"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=10-19", 10, 20),
        (f"bytes={MIB - 1}-{MIB}", MIB - 1, MIB + 1),
        (f"bytes={2 * MIB}-{3 * MIB - 1}", 2 * MIB, 3 * MIB),
        ("bytes=5000000-", 5_000_000, None),
        ("bytes=-7", -7, None),
        ("bytes=-99999999", 0, None),
        ("bytes=100-99999999", 100, None),
        ("bytes=3-4,99999999-", 3, 5),
        ("BYTES = 3-4", 3, 5),
    ],
)
def test_a_range_gives_those_bytes(
    gateway: httpx.Client,
    tomogram: str,
    content: bytes,
    asked: str,
    start: int,
    stop: int | None,
) -> None:
    answer = gateway.get(tomogram, headers={"Range": asked})
    expected = content[start:stop]

    assert answer.status_code == 206
    assert answer.content == expected
    first = start if start >= 0 else len(content) + start
    last = first + len(expected) - 1
    assert answer.headers["content-range"] == f"bytes {first}-{last}/{len(content)}"


@pytest.mark.parametrize("asked", ["bytes=9999999-", "bytes=-0"])
def test_a_range_outside_the_file_is_refused_with_its_size(
    gateway: httpx.Client, tomogram: str, content: bytes, asked: str
) -> None:
    answer = gateway.get(tomogram, headers={"Range": asked})

    assert answer.status_code == 416
    assert answer.headers["content-range"] == f"bytes */{len(content)}"


@pytest.mark.parametrize(
    "asked", ["bytes=5-2", "bytes=-", "bytes=a-b", "lines=1-2", ""]
)
def test_what_is_no_range_is_ignored(
    gateway: httpx.Client, tomogram: str, content: bytes, asked: str
) -> None:
    answer = gateway.get(tomogram, headers={"Range": asked})

    assert answer.status_code == 200
    assert len(answer.content) == len(content)


def test_a_range_of_another_version_gives_the_whole_file(
    gateway: httpx.Client, tomogram: str, content: bytes
) -> None:
    asked = {"Range": "bytes=0-9"}
    etag = gateway.head(tomogram).headers["etag"]

    same = gateway.get(tomogram, headers={**asked, "If-Range": etag})
    other = gateway.get(tomogram, headers={**asked, "If-Range": '"other"'})

    assert (same.status_code, len(same.content)) == (206, 10)
    assert (other.status_code, len(other.content)) == (200, len(content))


def test_an_empty_file_is_served(gateway: httpx.Client, tree: Tree) -> None:
    answer = gateway.get(f"/ipfs/{tree.root}/empty.bin")

    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["content-length"] == "0"


def test_head_says_what_get_would(gateway: httpx.Client, tomogram: str) -> None:
    head, get = gateway.head(tomogram), gateway.get(tomogram)
    varying = {"date"}

    assert head.status_code == 200
    assert head.content == b""
    assert {k: v for k, v in head.headers.items() if k not in varying} == {
        k: v for k, v in get.headers.items() if k not in varying
    }


@pytest.mark.parametrize("known", ["{etag}", 'W/{etag}, "x"', '"x" , {etag}', "*"])
def test_what_is_already_known_is_not_sent(
    gateway: httpx.Client, tomogram: str, known: str
) -> None:
    etag = gateway.head(tomogram).headers["etag"]

    answer = gateway.get(tomogram, headers={"If-None-Match": known.format(etag=etag)})

    assert (answer.status_code, answer.content) == (304, b"")
    assert answer.headers["etag"] == etag


def test_a_block_of_any_kind_is_served_raw(
    gateway: httpx.Client, tree: Tree, store: InPlaceStore
) -> None:
    for cid in (tree.root, tree.files["tomogram.mrc"].cid, tree.files["notes.txt"].cid):
        by_query = gateway.get(f"/ipfs/{cid}?format=raw")
        by_accept = gateway.get(
            f"/ipfs/{cid}", headers={"Accept": "application/vnd.ipld.raw"}
        )

        assert by_query.content == by_accept.content == store.get_block(cid)
        assert hashlib.sha256(by_query.content).digest() == cid.digest
        assert by_query.headers["content-type"] == "application/vnd.ipld.raw"
        assert by_query.headers["etag"] == f'"{cid}.raw"'
        disposition = by_query.headers["content-disposition"]
        assert disposition.startswith(f'attachment; filename="{cid}.bin"')


def test_a_block_is_reached_by_path_and_in_part(
    gateway: httpx.Client, tree: Tree
) -> None:
    answer = gateway.get(
        f"/ipfs/{tree.root}/notes.txt?format=raw", headers={"Range": "bytes=1-3"}
    )

    assert (answer.status_code, answer.content) == (206, "Größe".encode()[1:4])


def test_several_parts_of_a_block_come_in_one_answer(
    gateway: httpx.Client, tree: Tree
) -> None:
    url = f"/ipfs/{tree.files['notes.txt'].cid}?format=raw"
    data = gateway.get(url).content
    answer = gateway.get(url, headers={"Range": "bytes=0-1,3-4"})

    assert answer.status_code == 206
    assert answer.headers["content-type"].startswith("multipart/byteranges; boundary=")
    assert answer.headers["content-length"] == str(len(answer.content))
    assert answer.content.count(b"Content-Type: application/vnd.ipld.raw") == 2
    assert data[0:2] in answer.content
    assert data[3:5] in answer.content
    head = gateway.head(url, headers={"Range": "bytes=0-1,3-4"})
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == str(len(data))


@pytest.mark.parametrize("query", ["?format=dag-json", "?format=json"])
def test_other_forms_are_not_acceptable(
    gateway: httpx.Client, tree: Tree, query: str
) -> None:
    assert gateway.get(f"/ipfs/{tree.root}{query}").status_code == 406


def test_an_empty_format_is_none(gateway: httpx.Client, tree: Tree) -> None:
    cid = tree.files["notes.txt"].cid
    raw = {"Accept": "application/vnd.ipld.raw"}

    plain = gateway.get(f"/ipfs/{cid}?format=")
    by_accept = gateway.get(f"/ipfs/{cid}?format=", headers=raw)

    assert (plain.status_code, plain.headers["etag"]) == (200, f'"{cid}"')
    assert by_accept.headers["etag"] == f'"{cid}.raw"'


def test_the_query_wins_over_accept(gateway: httpx.Client, tree: Tree) -> None:
    accept = {"Accept": "application/vnd.ipld.dag-json"}

    assert gateway.get(f"/ipfs/{tree.root}", headers=accept).status_code == 406
    raw = gateway.get(f"/ipfs/{tree.root}?format=raw", headers=accept)
    assert raw.status_code == 200


def test_the_probe_of_an_empty_identity_cid_is_answered(gateway: httpx.Client) -> None:
    answer = gateway.head("/ipfs/bafkqaaa?format=raw")

    assert answer.status_code == 200
    assert gateway.get("/ipfs/bafkqaaa").content == b""


@pytest.mark.parametrize(
    "cid", ["nonsense", "Qm", "bafy", "%00", "b" + "a" * 3000, "fZZ", "z0"]
)
def test_a_bad_cid_is_a_bad_request(gateway: httpx.Client, cid: str) -> None:
    answer = gateway.get(f"/ipfs/{cid}")

    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == "invalid-data"


def test_what_is_not_here_is_not_found(gateway: httpx.Client, tree: Tree) -> None:
    unknown = CID(1, RAW, hashlib.sha256(b"unknown").digest())

    for path in (
        f"/ipfs/{unknown}",
        f"/ipfs/{unknown}?format=raw",
        f"/ipfs/{tree.root}/absent.mrc",
        f"/ipfs/{tree.root}/tomogram.mrc/below",
    ):
        answer = gateway.get(path)

        assert answer.status_code == 404
        assert answer.json()["error"]["code"] == "not-found"


def test_only_if_cached_says_what_is_not_cached(
    gateway: httpx.Client, tree: Tree
) -> None:
    cached = {"Cache-Control": "only-if-cached"}

    assert gateway.get(f"/ipfs/{tree.root}/absent", headers=cached).status_code == 412
    assert gateway.head(f"/ipfs/{tree.root}/", headers=cached).status_code == 200


@pytest.mark.parametrize(
    ("said", "status"),
    [
        ("Only-If-Cached", 412),
        ("max-age=0 ,  ONLY-IF-CACHED ,x", 412),
        ("no-only-if-cached", 404),
        ("no-cache", 404),
    ],
)
def test_only_if_cached_is_a_directive_of_any_case_among_others(
    gateway: httpx.Client, tree: Tree, said: str, status: int
) -> None:
    answer = gateway.get(f"/ipfs/{tree.root}/absent", headers={"Cache-Control": said})

    assert answer.status_code == status


@pytest.mark.parametrize("path", ["", "/", "/program.js"])
def test_no_service_worker_is_given_out(
    gateway: httpx.Client, tree: Tree, path: str
) -> None:
    url = f"/ipfs/{tree.root}{path}"

    refused = gateway.get(url, headers={"Service-Worker": "script"})

    assert refused.status_code == 400
    assert "service worker" in refused.json()["error"]["message"]
    assert gateway.get(url, follow_redirects=True).status_code == 200


def test_content_that_is_no_file_needs_the_raw_form(
    serve_site: ServeSite,
) -> None:
    store = MemoryStore()
    block = b"\xa1\x61a\x01"
    cid = CID(1, 0x71, hashlib.sha256(block).digest())
    store.put(cid, block)
    gateway = serve_site(store=Verified(store))

    assert gateway.get(f"/ipfs/{cid}").status_code == 406
    assert gateway.get(f"/ipfs/{cid}?format=raw").content == block


@pytest.mark.parametrize(
    "block", [b"\x0a\xff", encode_node(Node(Kind.FILE, size_bytes=5))]
)
def test_a_broken_node_is_said_to_be_broken(
    serve_site: ServeSite, block: bytes
) -> None:
    store = MemoryStore()
    cid = CID(1, DAG_PB, hashlib.sha256(block).digest())
    store.put(cid, block)

    answer = serve_site(store=Verified(store)).get(f"/ipfs/{cid}")

    assert answer.status_code == 422


@pytest.mark.parametrize("profile", [UNIXFS_V0_2015, KUBO_NOCOPY_V0])
def test_files_of_old_profiles_are_served(
    serve_site: ServeSite, store: InPlaceStore, tmp_path: Path, profile: object
) -> None:
    path = tmp_path / "old.mrc"
    path.write_bytes(bytes(range(256)) * 9000)
    cid = store.add_file(path, profile=profile).cid  # type: ignore[arg-type]
    gateway = serve_site(store=store)

    whole = gateway.get(f"/ipfs/{cid}")
    part = gateway.get(f"/ipfs/{cid}", headers={"Range": "bytes=262140-262150"})

    assert str(cid).startswith("Qm")
    assert whole.content == path.read_bytes()
    assert part.content == path.read_bytes()[262140:262151]


def test_a_directory_is_listed_under_its_slash(
    gateway: httpx.Client, tree: Tree
) -> None:
    moved = gateway.get(f"/ipfs/{tree.root}/raw?x=1")
    listed = gateway.get(moved.headers["location"])

    assert moved.status_code == 301
    assert moved.headers["location"] == f"/ipfs/{tree.root}/raw/?x=1"
    assert listed.status_code == 200
    assert "tilt%20series%20%231%2050%25.mrc" in listed.text
    assert "Index of" in listed.text
    assert listed.headers["etag"].startswith('"DirIndex-')
    assert "immutable" not in listed.headers["cache-control"]


def test_a_listing_links_only_to_names_that_work(
    gateway: httpx.Client, tree: Tree
) -> None:
    text = gateway.get(f"/ipfs/{tree.root}/raw/").text
    links = re.findall(rf'href="(/ipfs/{tree.root}/raw/[^."][^"]*)"', text)

    assert len(links) == 2
    for link in links:
        assert gateway.get(link).status_code == 200


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("notes.txt", "text/plain; charset=utf-8"),
        ("page.html", "text/html; charset=utf-8"),
        ("program.js", "text/plain; charset=utf-8"),
        ("tomogram.mrc", "application/octet-stream"),
    ],
)
def test_the_type_is_that_of_the_name(
    gateway: httpx.Client, tree: Tree, name: str, expected: str
) -> None:
    answer = gateway.head(f"/ipfs/{tree.root}/{name}")

    assert answer.headers["content-type"] == expected
    assert answer.headers["content-security-policy"].startswith("sandbox;")


def test_a_name_can_be_given_and_a_download_asked_for(
    gateway: httpx.Client, tree: Tree
) -> None:
    cid = tree.files["notes.txt"].cid
    asked = {"filename": 'é"\r\n/x.png', "download": "true"}

    headers = gateway.head(f"/ipfs/{cid}", params=asked).headers

    assert headers["content-type"] == "image/png"
    expected = "attachment; filename=\"x.png\"; filename*=UTF-8''x.png"
    assert headers["content-disposition"] == expected


def test_a_refusal_can_be_read_from_any_site_too(gateway: httpx.Client) -> None:
    answer = gateway.get("/ipfs/nonsense")

    assert answer.headers["access-control-allow-origin"] == "*"


def test_any_site_may_ask_first(gateway: httpx.Client, tree: Tree) -> None:
    answer = gateway.options(f"/ipfs/{tree.root}/notes.txt")

    assert answer.status_code == 204
    assert answer.headers["access-control-allow-origin"] == "*"
    assert "Range" in answer.headers["access-control-allow-headers"]


def test_nothing_can_be_written(gateway: httpx.Client, tree: Tree) -> None:
    answer = gateway.put(f"/ipfs/{tree.root}/notes.txt", content=b"x")

    assert answer.status_code == 405
    assert answer.headers["allow"] == "GET, HEAD, OPTIONS"
    assert answer.json()["error"]["code"] == "method-not-allowed"


@pytest.mark.parametrize("path", ["/ipfs", "/ipfs/", "/ipfs//notes.txt"])
def test_nothing_is_found_without_a_cid(gateway: httpx.Client, path: str) -> None:
    answer = gateway.get(path)

    assert answer.status_code == 404
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_a_fault_of_ours_shows_nothing_of_itself(serve_site: ServeSite) -> None:
    def fail(_cid: CID) -> None:
        raise ZeroDivisionError

    store = MemoryStore(before_get=fail)
    gateway = serve_site(store=store)

    answer = gateway.get(f"/ipfs/{CID(1, RAW, bytes(32))}")

    assert answer.status_code == 500
    assert answer.json()["error"]["message"] == "something went wrong on this node"
    assert answer.headers["connection"] == "close"
    assert answer.headers["content-security-policy"] == DATA_POLICY


def test_a_file_changed_on_disk_is_not_found(
    gateway: httpx.Client, store: InPlaceStore, tmp_path: Path
) -> None:
    path = tmp_path / "notes.txt"
    path.write_bytes(b"as it was imported")
    cid = store.add_file(path).cid
    assert gateway.get(f"/ipfs/{cid}").content == b"as it was imported"

    path.write_bytes(b"other bytes of another length")

    for method in ("GET", "HEAD"):
        for query in ("", "?format=raw"):
            assert gateway.request(method, f"/ipfs/{cid}{query}").status_code == 404


def test_bytes_changed_behind_the_stores_back_are_not_found(
    serve_site: ServeSite,
) -> None:
    store = MemoryStore()
    cid = store.add_bytes(b"right").cid
    store.put(cid, b"wrong")

    answer = serve_site(store=Verified(store)).get(f"/ipfs/{cid}")

    assert answer.status_code == 404
    assert b"wrong" not in answer.content


def test_without_hashing_wrong_bytes_would_be_served(serve_site: ServeSite) -> None:
    store = MemoryStore()
    cid = store.add_bytes(b"right").cid
    store.put(cid, b"wrong")

    assert serve_site(store=store).get(f"/ipfs/{cid}").content == b"wrong"


def test_a_file_changed_in_the_middle_is_cut_and_never_wrong(
    gateway: httpx.Client, store: InPlaceStore, tmp_path: Path
) -> None:
    path, content = tmp_path / "large.mrc", bytes(range(256)) * (6 * MIB // 256)
    path.write_bytes(content)
    cid = store.add_file(path).cid
    with path.open("r+b") as file:
        file.seek(5 * MIB + 5)
        file.write(b"!")

    got, is_whole = _read_all(gateway, f"/ipfs/{cid}")

    assert not is_whole
    assert content.startswith(got)


def test_a_stream_whose_last_chunk_is_gone_is_cut(serve_site: ServeSite) -> None:
    store = MemoryStore()
    data = b"".join(bytes([number]) * MIB for number in range(6))
    cid = store.add_bytes(data).cid
    store.drop(CID(1, RAW, hashlib.sha256(data[5 * MIB :]).digest()))

    got, is_whole = _read_all(serve_site(store=store), f"/ipfs/{cid}")

    assert not is_whole
    assert got
    assert got == data[: len(got)]
    assert len(got) <= 5 * MIB


def _read_all(client: httpx.Client, path: str) -> tuple[bytes, bool]:
    """What arrives, and whether the answer came to its end as a success."""
    got = b""
    try:
        with client.stream("GET", path) as answer:
            if answer.status_code != 200:
                return b"", False
            for piece in answer.iter_bytes():
                got += piece
    except httpx.RemoteProtocolError:
        return got, False
    return got, True


@pytest.mark.parametrize(
    ("archive", "path", "size"),
    [
        ("single-layer-hamt-with-multi-block-files.car", "685.txt", 1026),
        ("dir-with-files.car", "multiblock.txt", 1026),
        ("symlink.car", "bar", 3),
    ],
)
def test_the_public_conformance_content_is_served(
    serve_site: ServeSite, cars: Cars, archive: str, path: str, size: int
) -> None:
    car = cars(archive)
    public = serve_site(store=Verified(car))
    root = car.roots[0]

    answer = public.get(f"/ipfs/{root}/{path}")

    assert (answer.status_code, len(answer.content)) == (200, size)
    assert public.get(f"/ipfs/{root}/").text.count("<tr>") > 1


def test_a_name_with_percent_signs_in_it_is_reached(
    serve_site: ServeSite, cars: Cars
) -> None:
    archive = "dir-with-percent-encoded-filename.car"
    car = cars(archive)
    public = serve_site(store=Verified(car))
    listing = public.get(f"/ipfs/{car.roots[0]}/").text
    (name,) = re.findall(rf'href="/ipfs/{car.roots[0]}/([^"]+)"', listing)

    answer = public.get(f"/ipfs/{car.roots[0]}/{name}")

    assert "%25" in name
    assert answer.status_code == 200
    assert "x-ipfs-path" not in answer.headers


def test_a_newline_at_the_end_of_a_name_is_part_of_it(serve_site: ServeSite) -> None:
    store = MemoryStore()
    root = store.add_tree({"a": b"one", "b": b"two", "b\n": b"three"})
    site = serve_site(store=store)

    assert site.get(f"/ipfs/{root}/a%0A").status_code == 404
    assert site.get(f"/ipfs/{root}/b%0A").content == b"three"
