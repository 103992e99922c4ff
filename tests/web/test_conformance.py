"""What the public gateway-conformance suite asks of a gateway, on its fixtures.

One served store holds the blocks of every fixture. The headings are those of
the suite: CAR, raw, path, directories, symbolic links, CORS, ranges, TAR.
"""

from __future__ import annotations

import hashlib
import io
import tarfile
from collections.abc import Callable
from email import message_from_bytes, policy
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest

from etdb.identity import CID, decode_varint
from etdb.store.verified import Verified
from etdb.testing.car import CarFile
from etdb.testing.store import MemoryStore

ServeSite = Callable[..., httpx.Client]

MIXED = "bafybeidh6k2vzukelqtrjsmd4p52cpmltd2ufqrdtdg6yigi73in672fwu"
DUPLICATES = "bafybeihchr7vmgjaasntayyatmp5sv6xza57iy2h4xj7g46bpjij6yhrmy"
LISTED = "bafybeig6ka5mlwkl4subqhaiatalkcleo4jgnr3hqwvpmsqfca27cijp3i"
CACHED = "bafybeib3ffl2teiqdncv3mkz4r23b5ctrwkzrrhctdbne6iboayxuxk5ui"
HAMT = "bafybeidbclfqleg2uojchspzd4bob56dqetqjsj27gy2cq3klkkgxtpn4i"
RAW_DIR = "bafybeie72edlprgtlwwctzljf6gkn2wnlrddqjbkxo3jomh4n7omwblxly"
SYMLINK = "QmWvY6FaqFMS89YAQ9NAPjVP4WZKA1qbHbicc9HeSKQTgt"
MISSING = "QmYhmPjhFjYFyaoiuNzYv8WGavpSRDwdHWe5B4M5du5Rtk"
DOCUMENT = "bafybeia264q44a3kmfc2otctzu4egp2k235o3t7mslz2yjraymp4nv6asi"
ABSENT = "QmYzfKSE55XCjD1MW128RfciAf2DViABhEiXfgVFMabSjN"
IMMUTABLE = "public, max-age=29030400, immutable"
CHUNKS = ["9d6b", "fc23", "d4f8", "4b5e", "b29e"]


@pytest.fixture(scope="module")
def public(serve_site: ServeSite, shared: Path) -> httpx.Client:
    """A client of a gateway that holds the suite's fixtures."""
    store = MemoryStore()
    for path in sorted((shared / "vectors" / "ipfs-cars").glob("*.car")):
        car = CarFile(path)
        for cid, block in car.iter_blocks():
            store.put(cid, block)
    return serve_site(store=Verified(store))


def _blocks(answer: httpx.Response) -> list[str]:
    """The first digits of the digests in a CAR, each block hashed again."""
    assert answer.status_code == 200
    data = answer.content
    size, at = decode_varint(data)
    at, found = at + size, []
    while at < len(data):
        size, start = decode_varint(data, at)
        cid, begin = CID.read(data, start)
        at = start + size
        assert hashlib.sha256(data[begin:at]).digest() == cid.digest
        found.append(cid.digest.hex()[:4])
    return found


ALL_MIXED = ["67f2", "4d63", "aa03", "a948", "c244", *CHUNKS]


@pytest.mark.parametrize(
    ("path", "query", "expected"),
    [
        (MIXED, "", ALL_MIXED),
        (f"{MIXED}/subdir", "", ALL_MIXED),
        (f"{MIXED}/subdir/hello.txt", "", ["67f2", "4d63", "a948"]),
        (f"{MIXED}/subdir", "&dag-scope=block", ["67f2", "4d63"]),
        (f"{MIXED}/subdir", "&dag-scope=entity", ["67f2", "4d63"]),
        (f"{MIXED}/subdir", "&dag-scope=all", ALL_MIXED),
        (
            f"{MIXED}/subdir/multiblock.txt",
            "&dag-scope=entity&entity-bytes=512:*",
            ["67f2", "4d63", "c244", *CHUNKS[2:]],
        ),
        (
            f"{MIXED}/subdir/multiblock.txt",
            "&entity-bytes=-9999:-3",
            ["67f2", "4d63", "c244", *CHUNKS[:4]],
        ),
        (f"{MIXED}/subdir", "&dag-scope=entity&entity-bytes=0:1", ["67f2", "4d63"]),
        (MISSING, "&dag-scope=entity&entity-bytes=0:1000", ["99fd", "0ea9"]),
        (MISSING, "&dag-scope=entity&entity-bytes=2200:*", ["99fd", "79a7"]),
        (
            f"{DOCUMENT}/document",
            "",
            ["1af7", "78e4", "a948", "c244", *CHUNKS],
        ),
        (f"{DOCUMENT}/document", "&dag-scope=entity", ["1af7", "78e4"]),
        ("bafkqaf3imvwgy3zaneqgc3janfxgy2lomvscay3jmqfa", "&car-dups=y", []),
    ],
)
def test_car(public: httpx.Client, path: str, query: str, expected: list[str]) -> None:
    accept = {"Accept": "application/vnd.ipld.car; version=1"}

    by_format = public.get(f"/ipfs/{path}?format=car{query}")
    by_accept = public.get(f"/ipfs/{path}?{query[1:]}", headers=accept)

    assert _blocks(by_format) == _blocks(by_accept) == expected


def test_car_of_a_hamt_path_holds_the_shards_walked(public: httpx.Client) -> None:
    found = _blocks(public.get(f"/ipfs/{HAMT}/470.txt?format=car"))

    assert len(found) == 1 + 1 + 1 + len(CHUNKS)


def test_car_headers(public: httpx.Client) -> None:
    answer = public.get(f"/ipfs/{MIXED}/subdir?format=car")
    headers = answer.headers

    assert headers["accept-ranges"] == "none"
    assert headers["vary"] == "Accept"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-ipfs-path"] == f"/ipfs/{MIXED}/subdir"
    assert headers["x-ipfs-roots"].startswith(f"{MIXED},")
    assert headers["content-disposition"].startswith("attachment; filename=")
    assert '.car"' in headers["content-disposition"]
    assert headers["content-type"].startswith("application/vnd.ipld.car")
    again = {"If-None-Match": f"W/{headers['etag']}"}
    url = f"/ipfs/{MIXED}/subdir?format=car"
    assert public.get(url, headers=again).status_code == 304
    other = public.get(f"{url}&dag-scope=block", headers=again)
    assert other.status_code == 200


@pytest.mark.parametrize(
    ("accept", "query", "dups"),
    [
        ("application/vnd.ipld.car; version=1; order=dfs; dups=y", "", "y"),
        ("application/vnd.ipld.car; version=1; order=dfs; dups=n", "", "n"),
        ("application/vnd.ipld.car; version=1; order=unk", "", "n"),
        ("application/vnd.ipld.car; dups=y", "?format=car", "y"),
        ("application/vnd.ipld.car; dups=y", "?car-dups=n", "n"),
        ("*/*", "?format=car&car-dups=y&car-order=dfs", "y"),
    ],
)
def test_car_order_and_duplicates(
    public: httpx.Client, accept: str, query: str, dups: str
) -> None:
    url = f"/ipfs/{DUPLICATES}{query}"
    answer = public.get(url, headers={"Accept": accept})

    twice = ["aa03"] if dups == "y" else []
    assert _blocks(answer) == ["e23c", *twice, "aa03", "a948", "c244", *CHUNKS]
    assert "order=dfs" in answer.headers["content-type"]
    assert f"dups={dups}" in answer.headers["content-type"]


def test_car_of_what_is_not_there(public: httpx.Client) -> None:
    for path in (ABSENT, f"{MIXED}/none", f"{DOCUMENT}/document/none"):
        assert public.get(f"/ipfs/{path}?format=car").status_code == 404


def test_raw(public: httpx.Client) -> None:
    for path in (f"{RAW_DIR}/dir/", f"{RAW_DIR}/dir", f"{RAW_DIR}/dir/ascii.txt"):
        answer = public.get(f"/ipfs/{path}?format=raw&filename=foobar.bin")
        cid = CID.parse(answer.headers["x-ipfs-roots"].rpartition(",")[2])

        assert hashlib.sha256(answer.content).digest() == cid.digest
        assert answer.headers["etag"] == f'"{cid}.raw"'
        assert answer.headers["cache-control"] == IMMUTABLE
        assert answer.headers["content-type"] == "application/vnd.ipld.raw"
        disposition = answer.headers["content-disposition"]
        assert disposition.startswith('attachment; filename="foobar.bin"')
    url = f"/ipfs/{RAW_DIR}/dir/ascii.txt?format=raw"
    part = public.get(url, headers={"Range": "bytes=6-16"})
    assert (part.status_code, part.content) == (206, b"application")


def test_path_headers(public: httpx.Client) -> None:
    path = f"/ipfs/{CACHED}/root2/root3/root4/index.html"
    answer = public.get(path)
    roots = answer.headers["x-ipfs-roots"].split(",")

    assert answer.headers["x-ipfs-path"] == path
    assert (roots[0], len(roots)) == (CACHED, 5)
    assert answer.headers["etag"] == f'"{roots[-1]}"'
    assert answer.headers["cache-control"] == IMMUTABLE


@pytest.mark.parametrize("path", ["root4/index.html", "root4/", ""])
@pytest.mark.parametrize("form", ['"{}"', 'W/"{}"', '"fake1", "fake2", "{}"', "*"])
def test_what_is_known_is_not_sent(public: httpx.Client, path: str, form: str) -> None:
    url = f"/ipfs/{CACHED}/root2/root3/{path}"
    answer = public.get(url)
    cid = answer.headers["x-ipfs-roots"].rpartition(",")[2]

    for known in (form.format(cid), answer.headers["etag"]):
        assert public.get(url, headers={"If-None-Match": known}).status_code == 304


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_only_if_cached(public: httpx.Client, method: str) -> None:
    cached = {"Cache-Control": "only-if-cached"}
    here = public.request(method, f"/ipfs/{CACHED}/root2/root3/root4/", headers=cached)

    for query in ("", "?format=raw", "?format=car", "?format=tar"):
        url = f"/ipfs/{ABSENT}{query}"
        assert public.request(method, url, headers=cached).status_code == 412
        assert public.request(method, url).status_code == 404
    assert here.status_code == 200


def test_a_directory_moves_to_its_slash(public: httpx.Client) -> None:
    answer = public.get(f"/ipfs/{LISTED}/{quote('ą/ę')}")

    assert answer.status_code == 301
    assert answer.headers["location"] == f"/ipfs/{LISTED}/%C4%85/%C4%99/"


def test_index_html_stands_for_its_directory(public: httpx.Client) -> None:
    url = f"/ipfs/{CACHED}/root2/root3/root4"
    moved, answer = public.get(url), public.get(f"{url}/")
    roots = answer.headers["x-ipfs-roots"].split(",")

    assert moved.status_code == 301
    assert (answer.status_code, answer.text) == (200, "hello\n")
    assert len(roots) == 4
    assert answer.headers["etag"] == f'"{roots[-1]}"'
    assert answer.headers["cache-control"] == IMMUTABLE
    assert answer.headers["content-type"].startswith("text/html")
    assert answer.headers["content-security-policy"].startswith("sandbox;")


def test_a_listing(public: httpx.Client) -> None:
    answer = public.get(f"/ipfs/{LISTED}/{quote('ą/ę')}/")
    above, here = f"/ipfs/{LISTED}/%C4%85", f"/ipfs/{LISTED}/%C4%85/%C4%99"
    cid = answer.headers["x-ipfs-roots"].rpartition(",")[2]

    assert answer.headers["etag"].startswith('"DirIndex-')
    assert answer.headers["etag"].endswith(f'_CID-{cid}"')
    age = "public, max-age=604800, stale-while-revalidate=2678400"
    assert answer.headers["cache-control"] == age
    assert "Index of" in answer.text
    steps = f'<a href="{above}">ą</a>/<a href="{here}">ę</a>'
    assert f'/ipfs/<a href="/ipfs/{LISTED}">{LISTED}</a>/{steps}' in answer.text
    assert f'<a href="{here}/..">..</a>' in answer.text
    name = "file-%C5%BA%C5%82.txt"
    assert f'<a href="{here}/{name}">file-źł.txt</a>' in answer.text
    assert '<a class="ipfs-hash" translate="no" href="/ipfs/bafk' in answer.text
    assert f"?filename={name}" in answer.text
    assert ">..<" not in public.get(f"/ipfs/{LISTED}/").text


def test_a_symbolic_link_is_its_target(public: httpx.Client) -> None:
    answer = public.get(f"/ipfs/{SYMLINK}/bar")

    assert (answer.status_code, answer.content) == (200, b"foo")
    listing = public.get(f"/ipfs/{SYMLINK}/").text
    assert ">foo<" in listing
    assert ">bar<" in listing


@pytest.mark.parametrize("method", ["GET", "OPTIONS"])
def test_cors(public: httpx.Client, method: str) -> None:
    headers = public.request(method, f"/ipfs/{RAW_DIR}/dir/ascii.txt").headers

    def words(name: str) -> set[str]:
        return set(headers[f"access-control-{name}"].split(", "))

    assert words("allow-origin") == {"*"}
    assert words("allow-methods") == {"GET", "HEAD", "OPTIONS"}
    asked = {"Content-Type", "Range", "User-Agent", "X-Requested-With"}
    assert words("allow-headers") == asked
    shown = {"Content-Range", "Content-Length", "X-Ipfs-Path", "X-Ipfs-Roots"}
    assert words("expose-headers") == shown | {"X-Chunked-Output", "X-Stream-Output"}


def test_several_ranges(public: httpx.Client) -> None:
    url = f"/ipfs/{DUPLICATES}/multiblock.txt"
    whole = public.get(url).content

    answer = public.get(url, headers={"Range": "bytes=0-16, 200-300, -4"})
    head = f"Content-Type: {answer.headers['content-type']}\r\n\r\n".encode()
    message = message_from_bytes(head + answer.content, policy=policy.HTTP)
    parts = [*message.iter_parts()]

    assert answer.status_code == 206
    assert [str(part["Content-Range"]) for part in parts] == [
        "bytes 0-16/1026",
        "bytes 200-300/1026",
        "bytes 1022-1025/1026",
    ]
    bodies = [part.get_payload(decode=True) for part in parts]
    assert bodies == [whole[:17], whole[200:301], whole[-4:]]
    assert int(answer.headers["content-length"]) == len(answer.content)


def test_tar(public: httpx.Client) -> None:
    url = f"/ipfs/{LISTED}/{quote('ą')}"
    by_format = public.get(f"{url}?format=tar")
    by_accept = public.get(url, headers={"Accept": "application/x-tar"})

    assert by_format.content == by_accept.content
    assert by_format.headers["content-type"] == "application/x-tar"
    assert by_format.headers["accept-ranges"] == "none"
    with tarfile.open(fileobj=io.BytesIO(by_format.content)) as archive:
        names = [name.partition("/")[2] for name in archive.getnames()]
    assert names == ["", "ę", "ę/file-źł.txt"]


def test_tar_of_names_with_steps_up(public: httpx.Client, shared: Path) -> None:
    folder = shared / "vectors" / "ipfs-cars"
    (inside,) = CarFile(folder / "inside-root.car").roots
    (outside,) = CarFile(folder / "outside-root.car").roots

    answer = public.get(f"/ipfs/{inside}?format=tar")
    assert answer.status_code == 200
    etag = answer.headers["etag"]
    assert etag.startswith(f'W/"{inside}.x-tar')
    again = {"If-None-Match": etag}
    assert public.get(f"/ipfs/{inside}?format=tar", headers=again).status_code == 304
    with tarfile.open(fileobj=io.BytesIO(answer.content)) as archive:
        assert f"{inside}/foobar/file" in archive.getnames()
    refusal = public.get(f"/ipfs/{outside}?format=tar")
    assert refusal.status_code == 422
    # So the suite has it, misspelt.
    says = "relative UnixFS paths outside the root are now allowed"
    assert says in refusal.text


@pytest.mark.parametrize("kind", ["dag-json", "dag-cbor", "json", "cbor"])
def test_no_codec_is_converted(public: httpx.Client, kind: str) -> None:
    assert public.get(f"/ipfs/{MIXED}?format={kind}").status_code == 406
