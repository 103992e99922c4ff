"""What an answer says it is of: Ipfs-Uri, and X-Ipfs-Path (IPIP-548)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from etdb.identity import CID, DAG_PB
from etdb.store.unixfs import KUBO_CID_V1_RAW_LEAVES, Kind, Link, Node, encode_node
from etdb.store.verified import Verified
from etdb.testing.car import CarFile
from etdb.testing.store import MemoryStore
from etdb.web.server import running

Fixture = Callable[[str], CarFile]
ServeSite = Callable[..., httpx.Client]

CONTENTS = {
    "plain.txt": b"plain\n",
    "a#b?c.txt": b"delimiters\n",
    "rocket🚀.txt": b"four bytes\n",
    "line\r\n": b"control\n",
    "sub dir/file!'()*~.txt": b"what encoders forget\n",
    "a b ": b"ends in a space\n",
}


@pytest.fixture(scope="module")
def tree() -> tuple[MemoryStore, CID]:
    """A directory of names that are hard to say in a header."""
    store = MemoryStore()
    return store, store.add_tree(CONTENTS, KUBO_CID_V1_RAW_LEAVES)


@pytest.fixture(scope="module")
def site(serve_site: ServeSite, tree: tuple[MemoryStore, CID]) -> httpx.Client:
    """A client of a gateway that holds it."""
    return serve_site(store=Verified(tree[0]))


@pytest.mark.parametrize(
    ("asked", "status", "uri", "name"),
    [
        ("", 301, "", None),
        ("/", 200, "/", None),
        ("/plain.txt", 200, "/plain.txt", "plain.txt"),
        ("//plain.txt", 200, "/plain.txt", "plain.txt"),
        ("/sub%20dir", 301, "/sub%20dir", None),
        ("/sub%20dir/", 200, "/sub%20dir/", None),
        (
            "/sub%20dir/file!%27()*~.txt",
            200,
            "/sub%20dir/file%21%27%28%29%2A~.txt",
            "sub dir/file!'()*~.txt",
        ),
        ("/a%23b%3Fc.txt", 200, "/a%23b%3Fc.txt", "a#b?c.txt"),
        ("/rocket%f0%9F%9a%80.txt", 200, "/rocket%F0%9F%9A%80.txt", "rocket🚀.txt"),
        ("/a%2F..%2Fplain%2Etxt", 200, "/plain.txt", "plain.txt"),
        ("/sub%20dir/%2e/%2e%2e/plain.txt", 200, "/plain.txt", "plain.txt"),
        ("/plain.txt?filename=x.txt&format=json", 200, "/plain.txt", "plain.txt"),
        ("/plain.txt?format=raw", 200, "/plain.txt", "plain.txt"),
        ("/plain.txt?format=car", 200, "/plain.txt", None),
    ],
)
def test_one_spelling_of_what_was_asked_for(
    site: httpx.Client,
    tree: tuple[MemoryStore, CID],
    asked: str,
    status: int,
    uri: str,
    name: str | None,
) -> None:
    answer = _get(site, f"/ipfs/{tree[1]}{asked}")

    assert answer.status_code == status
    assert answer.headers["ipfs-uri"] == f"ipfs://{tree[1]}{uri}"
    if name is not None:
        assert answer.content == CONTENTS[name]


def test_the_cid_is_said_as_version_1(
    site: httpx.Client, tree: tuple[MemoryStore, CID]
) -> None:
    old = CID(0, DAG_PB, tree[1].digest)

    headers = site.get(f"/ipfs/{old}/plain.txt").headers

    assert headers["ipfs-uri"] == f"ipfs://{tree[1]}/plain.txt"
    assert headers["x-ipfs-path"] == f"/ipfs/{old}/plain.txt"


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("a%23b%3Fc.txt", "a#b?c.txt"),
        ("sub%20dir/", "sub dir/"),
        ("rocket%F0%9F%9A%80.txt", None),
        ("line%0D%0A", None),
        ("a%20b%20", None),
    ],
)
def test_a_path_is_said_only_where_a_header_can_say_it(
    site: httpx.Client, tree: tuple[MemoryStore, CID], asked: str, said: str | None
) -> None:
    answer = site.get(f"/ipfs/{tree[1]}/{asked}")

    assert answer.status_code == 200
    expected = None if said is None else f"/ipfs/{tree[1]}/{said}"
    assert answer.headers.get("x-ipfs-path") == expected


def test_a_path_that_ends_a_line_would_leave_no_answer(
    site: httpx.Client, tree: tuple[MemoryStore, CID]
) -> None:
    """What is left out above, said as it is by a server that looks at nothing."""

    async def say(request: Request) -> Response:
        return Response(headers={"X-Ipfs-Path": request.scope["path"]})

    with running(Starlette(routes=[Route("/{path:path}", say)])) as url:
        assert httpx.get(f"{url}/line").status_code == 200
        with pytest.raises(httpx.RemoteProtocolError):
            httpx.get(f"{url}/line%0D%0A")
    assert site.get(f"/ipfs/{tree[1]}/line%0D%0A").status_code == 200


@pytest.mark.parametrize(
    "asked",
    [
        "Portugal%252C%2BEspa%C3%B1a%3DPeninsula%20Ib%C3%A9rica.txt",
        "Portugal%252C+Espa%C3%B1a=Peninsula%20Ib%C3%A9rica.txt",
        "Portugal%252C%2bEspa%c3%b1a%3dPeninsula%20Ib%c3%a9rica%2etxt",
    ],
)
def test_a_name_that_looks_encoded(
    public: httpx.Client, fixture: Fixture, asked: str
) -> None:
    root = fixture("dir-with-percent-encoded-filename").roots[0]
    answer = _get(public, f"/ipfs/{root}/{asked}")

    exact = "Portugal%252C%2BEspa%C3%B1a%3DPeninsula%20Ib%C3%A9rica.txt"
    assert answer.content == b"hello from a percent encoded filename\n"
    assert answer.headers["ipfs-uri"] == f"ipfs://{root}/{exact}"
    assert "x-ipfs-path" not in answer.headers


@pytest.mark.parametrize("asked", ["a/b.txt", "a%2Fb.txt"])
def test_a_name_with_a_slash_in_it_is_never_meant(
    serve_site: ServeSite, asked: str
) -> None:
    store = MemoryStore()
    folder = store.add_tree({"b.txt": b"the real one"})
    other = store.add_bytes(b"not to be reached").cid
    links = (Link("a", folder, 0), Link("a/b.txt", other, 0))
    block = encode_node(Node(Kind.DIRECTORY, links))
    root = CID(1, DAG_PB, hashlib.sha256(block).digest())
    store.put(root, block)

    answer = _get(serve_site(store=Verified(store)), f"/ipfs/{root}/{asked}")

    assert (answer.status_code, answer.content) == (200, b"the real one")
    assert answer.headers["ipfs-uri"] == f"ipfs://{root}/a/b.txt"


@pytest.mark.parametrize("asked", ["..", "../plain.txt", "sub%20dir/../../plain.txt"])
def test_steps_up_end_at_the_root(
    site: httpx.Client, tree: tuple[MemoryStore, CID], asked: str
) -> None:
    path = asked.replace("..", "%2e%2e")

    assert _get(site, f"/ipfs/{tree[1]}/{path}").status_code == 404


def _get(client: httpx.Client, path: str) -> httpx.Response:
    """Asks in exactly this spelling; the client would rather have its own."""
    request = client.build_request("GET", "/")
    request.url = request.url.copy_with(raw_path=path.encode("ascii"))
    return client.send(request)
