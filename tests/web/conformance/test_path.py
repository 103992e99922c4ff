"""The suite's path-unixfs group: files, directories, caching, ranges, CORS."""

from __future__ import annotations

from collections.abc import Callable
from email import message_from_bytes, policy
from urllib.parse import quote

import httpx
import pytest

from etdb.store.unixfs import parse_node
from etdb.testing.car import CarFile

Fixture = Callable[[str], CarFile]

IMMUTABLE = "public, max-age=29030400, immutable"
LISTING_AGE = "public, max-age=604800, stale-while-revalidate=2678400"
LISTED, CACHED, LINK, FILES = (
    "dir_listing",
    "gateway_cache",
    "symlink",
    "dir-with-files",
)
ABSENT = "QmYzfKSE55XCjD1MW128RfciAf2DViABhEiXfgVFMabSjN"
INDEX = "root2/root3/root4/index.html"


def test_a_listing_of_a_root_has_no_way_up(
    public: httpx.Client, fixture: Fixture
) -> None:
    text = public.get(f"/ipfs/{fixture(LISTED).roots[0]}/").text

    assert "Index of" in text
    assert ">..<" not in text


def test_a_directory_moves_to_its_slash(public: httpx.Client, fixture: Fixture) -> None:
    root = fixture(LISTED).roots[0]
    answer = public.get(f"/ipfs/{root}/{quote('ą/ę')}")

    assert answer.status_code == 301
    assert answer.headers["location"] == f"/ipfs/{root}/%C4%85/%C4%99/"


def test_a_listing(public: httpx.Client, fixture: Fixture) -> None:
    root = fixture(LISTED).roots[0]
    above, here = f"/ipfs/{root}/%C4%85", f"/ipfs/{root}/%C4%85/%C4%99"
    name = "file-%C5%BA%C5%82.txt"
    roots = public.get(f"{here}/{name}").headers["x-ipfs-roots"].split(",")

    answer = public.get(f"{here}/")

    assert answer.headers["etag"].startswith('"DirIndex-')
    assert answer.headers["etag"].endswith(f'_CID-{roots[-2]}"')
    steps = f'<a href="{above}">ą</a>/<a href="{here}">ę</a>'
    by_cid = f"/ipfs/{roots[-1]}?filename={name.replace('%', '%25')}"
    for wanted in (
        "Index of",
        f'/ipfs/<a href="/ipfs/{root}">{root}</a>/{steps}',
        f'<a href="{here}/..">..</a>',
        f'<a href="{here}/{name}">file-źł.txt</a>',
        f'<a class="ipfs-hash" translate="no" href="{by_cid}">',
    ):
        assert wanted in answer.text


def test_a_link_of_a_listing_gives_a_file_its_name(
    public: httpx.Client, fixture: Fixture
) -> None:
    here = f"/ipfs/{fixture(LISTED).roots[0]}/%C4%85/%C4%99/"
    (link,) = _hash_links(public.get(here).text)

    answer = public.get(link)

    exact = "filename*=UTF-8''file-%C5%BA%C5%82.txt"
    assert answer.headers["content-disposition"].endswith(exact)
    assert answer.headers["content-type"].startswith("text/plain")


def test_what_is_not_there_is_404(public: httpx.Client, fixture: Fixture) -> None:
    url = f"/ipfs/{fixture(LISTED).roots[0]}/i-do-not-exist"

    assert public.get(url).status_code == 404


@pytest.mark.parametrize(
    ("path", "depth", "etag", "age"),
    [
        (INDEX, 5, '"{}"', IMMUTABLE),
        ("root2/root3/root4/", 4, '"{}"', IMMUTABLE),
        ("root2/root3/", 3, '"DirIndex-etdb2_CID-{}"', LISTING_AGE),
    ],
)
def test_headers(
    public: httpx.Client, fixture: Fixture, path: str, depth: int, etag: str, age: str
) -> None:
    root = fixture(CACHED).roots[0]
    roots = _roots(public, f"{root}/{INDEX}")[:depth]
    answer = public.get(f"/ipfs/{root}/{path}")

    assert answer.status_code == 200
    assert answer.headers["x-ipfs-path"] == f"/ipfs/{root}/{path}"
    assert answer.headers["x-ipfs-roots"] == ",".join(roots)
    assert answer.headers["etag"] == etag.format(roots[-1])
    assert answer.headers["cache-control"] == age


def test_index_html_stands_for_its_directory(
    public: httpx.Client, fixture: Fixture
) -> None:
    url = f"/ipfs/{fixture(CACHED).roots[0]}/root2/root3/root4/"
    answer = public.get(url)

    assert answer.text == "hello\n"
    assert answer.headers["content-type"].startswith("text/html")
    assert answer.headers["content-security-policy"].startswith("sandbox;")
    raw = public.get(f"{url}?format=raw")
    assert (raw.status_code, raw.headers["cache-control"]) == (200, IMMUTABLE)
    (link,) = parse_node(raw.content).links
    assert link.name == "index.html"


@pytest.mark.parametrize("path", [INDEX, "root2/root3/root4/", "root2/root3/"])
@pytest.mark.parametrize("form", ['"{}"', 'W/"{}"', '"fake1", "fake2", "{}"', "*"])
def test_what_is_known_is_not_sent(
    public: httpx.Client, fixture: Fixture, path: str, form: str
) -> None:
    url = f"/ipfs/{fixture(CACHED).roots[0]}/{path}"
    answer = public.get(url)
    cid = answer.headers["x-ipfs-roots"].rpartition(",")[2]

    etag = answer.headers["etag"]
    for known in (form.format(cid), etag, f"W/{etag}"):
        assert public.get(url, headers={"If-None-Match": known}).status_code == 304


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_only_if_cached(public: httpx.Client, fixture: Fixture, method: str) -> None:
    cached = {"Cache-Control": "only-if-cached"}
    root = fixture(CACHED).roots[0]

    for query in ("", "?format=raw", "?format=car", "?format=tar"):
        here = f"/ipfs/{root}/root2/root3/root4/{query}"
        absent = f"/ipfs/{ABSENT}{query}"
        assert public.request(method, here, headers=cached).status_code == 200
        assert public.request(method, absent, headers=cached).status_code == 412
        assert public.request(method, absent).status_code == 404


def test_a_symbolic_link_is_its_target(public: httpx.Client, fixture: Fixture) -> None:
    car = fixture(LINK)
    root = car.roots[0]
    listing = public.get(f"/ipfs/{root}/").text

    assert ">foo<" in listing
    assert ">bar<" in listing
    raw = public.get(f"/ipfs/{root}?format=raw")
    assert (raw.status_code, raw.content) == (200, car.get_block(root))
    target = public.get(f"/ipfs/{root}/bar")
    assert (target.status_code, target.content) == (200, b"foo")


@pytest.mark.parametrize("method", ["GET", "OPTIONS"])
@pytest.mark.parametrize("path", ["bafkqabtimvwgy3yk/", "bafkqabtimvwgy3yk"])
def test_cors(public: httpx.Client, method: str, path: str) -> None:
    headers = public.request(method, f"/ipfs/{path}").headers

    def words(name: str) -> set[str]:
        (line,) = headers.get_list(f"access-control-{name}")
        return set(line.split(", "))

    assert words("allow-origin") == {"*"}
    assert words("allow-methods") == {"GET", "HEAD", "OPTIONS"}
    asked = {"Content-Type", "Range", "User-Agent", "X-Requested-With"}
    assert words("allow-headers") == asked
    assert words("expose-headers") == {
        *("Content-Length", "Content-Range", "Ipfs-Uri", "X-Chunked-Output"),
        *("X-Ipfs-Path", "X-Ipfs-Roots", "X-Stream-Output"),
    }


@pytest.mark.parametrize(
    ("asked", "place", "span"),
    [
        ("6-16", "bytes 6-16/31", slice(6, 17)),
        ("-3", "bytes 28-30/31", slice(28, 31)),
    ],
)
def test_part_of_a_file(
    public: httpx.Client, fixture: Fixture, asked: str, place: str, span: slice
) -> None:
    url = f"/ipfs/{fixture(FILES).roots[0]}/ascii.txt"
    whole = public.get(url)

    part = public.get(url, headers={"Range": f"bytes={asked}"})

    assert (whole.status_code, whole.headers["accept-ranges"]) == (200, "bytes")
    assert (part.status_code, part.content) == (206, whole.content[span])
    assert part.headers["content-range"] == place
    assert part.headers["content-type"].startswith("text/plain")


@pytest.mark.parametrize("asked", [("0-16", "200-300", "1022-1025"), ("6-16", "0-4")])
def test_parts_of_a_file(
    public: httpx.Client, fixture: Fixture, asked: tuple[str, ...]
) -> None:
    url = f"/ipfs/{fixture(FILES).roots[0]}/multiblock.txt"
    whole = public.get(url).content

    answer = public.get(url, headers={"Range": f"bytes={','.join(asked)}"})
    head = f"Content-Type: {answer.headers['content-type']}\r\n\r\n".encode()
    message = message_from_bytes(head + answer.content, policy=policy.HTTP)
    parts = [*message.iter_parts()]

    assert answer.status_code == 206
    places = [str(part["Content-Range"]) for part in parts]
    assert places == [f"bytes {span}/{len(whole)}" for span in asked]
    for part, span in zip(parts, asked, strict=True):
        first, last = map(int, span.split("-"))
        assert part.get_payload(decode=True) == whole[first : last + 1]
        assert part.get_content_type() == "text/plain"
    assert int(answer.headers["content-length"]) == len(answer.content)


@pytest.mark.parametrize(("first", "last"), [(997, 1000), (2200, 2201)])
def test_part_of_a_file_that_lacks_another(
    public: httpx.Client, fixture: Fixture, first: int, last: int
) -> None:
    url = f"/ipfs/{fixture('file-3k-and-3-blocks-missing-block').roots[0]}"
    answer = public.get(url, headers={"Range": f"bytes={first}-{last}"})

    assert (answer.status_code, len(answer.content)) == (206, last - first + 1)
    assert answer.headers["content-range"] == f"bytes {first}-{last}/3072"


@pytest.mark.parametrize("kind", ["json", "cbor"])
def test_a_file_is_not_converted(
    public: httpx.Client, fixture: Fixture, kind: str
) -> None:
    """Plain JSON and CBOR are what a file may hold, not forms to turn it into."""
    root = fixture(FILES).roots[0]
    url = f"/ipfs/{root}/ascii.txt"
    raw = {"Accept": "application/vnd.ipld.raw"}
    answer = public.get(f"{url}?format={kind}", headers=raw)

    assert (answer.status_code, answer.content) == (200, public.get(url).content)
    assert answer.headers["content-type"].startswith("text/plain")
    for refused in (f"{url}?format=dag-{kind}", f"/ipfs/{root}/?format={kind}"):
        assert public.get(refused).status_code == 406
    accept = {"Accept": f"application/vnd.ipld.dag-{kind}"}
    assert public.get(url, headers=accept).status_code == 406


def _roots(public: httpx.Client, path: str) -> list[str]:
    return str(public.get(f"/ipfs/{path}").headers["x-ipfs-roots"]).split(",")


def _hash_links(page: str) -> list[str]:
    before = 'class="ipfs-hash" translate="no" href="'
    return [part.partition('"')[0] for part in page.split(before)[1:]]
