"""The router names this node for what it holds, and filters as it is asked."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable

import httpx
import pytest

from etdb.errors import InvalidDataError
from etdb.identity import CID, RAW
from etdb.store.inplace import Tree
from etdb.store.verified import Verified
from etdb.testing.store import MemoryStore
from etdb.web.routing import filter_providers, multiaddr_of, provider

ServeSite = Callable[..., httpx.Client]

HELIA = (
    "?filter-addrs=https%2Ctcp%2Cwebrtc%2Cwebrtc-direct%2Cwebtransport%2Cws%2Cwss"
    "&filter-protocols=unknown%2Ctransport-bitswap%2Ctransport-ipfs-gateway-http"
)
KUBO = "?filter-protocols=transport-bitswap,transport-ipfs-gateway-http,unknown"
ABSENT = CID(1, RAW, hashlib.sha256(b"absent").digest())


def _ask(client: httpx.Client, cid: object, query: str = "") -> list[dict[str, object]]:
    answer = client.get(f"/routing/v1/providers/{cid}{query}")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    found: list[dict[str, object]] = answer.json()["Providers"]
    return found


@pytest.mark.parametrize("query", ["", HELIA, KUBO])
def test_what_is_held_is_here(gateway: httpx.Client, tree: Tree, query: str) -> None:
    port = gateway.base_url.port

    for cid in (tree.root, tree.files["notes.txt"].cid):
        (found,) = _ask(gateway, cid, query)

        assert found["Schema"] == "peer"
        assert found["Addrs"] == [f"/ip4/127.0.0.1/tcp/{port}/http"]
        assert found["Protocols"] == ["transport-ipfs-gateway-http"]
        assert str(found["ID"]).startswith("Qm")


@pytest.mark.parametrize("cid", [ABSENT, "bafkqaaa", CID(1, RAW, b"x" * 32, 0xB220)])
def test_what_is_not_held_has_no_provider(gateway: httpx.Client, cid: object) -> None:
    lines = {"Accept": "application/x-ndjson"}

    assert _ask(gateway, cid) == []
    answer = gateway.get(f"/routing/v1/providers/{cid}", headers=lines)
    assert (answer.status_code, answer.content) == (200, b"")


HOSTS = [
    "https://one.example",
    "https://own.example/",
    "https://[2001:db8::7]:8443/",
    "https://path.example/below",
    "http://plain.example",
    "https://[",
    "no address",
]


def test_those_who_are_said_to_have_a_dataset_are_named(serve_site: ServeSite) -> None:
    asked = []

    def hosts(cid: CID) -> list[str]:
        asked.append(cid)
        return HOSTS

    store = MemoryStore()
    held = store.add_bytes(b"right").cid
    site = serve_site(store=store, hosts=hosts, addresses=["https://own.example"])
    own, one, two = [
        "/dns/own.example/tcp/443/tls/http",
        "/dns/one.example/tcp/443/tls/http",
        "/ip6/2001:db8::7/tcp/8443/tls/http",
    ]

    assert [found["Addrs"] for found in _ask(site, held)] == [[own], [one], [two]]
    assert [found["Addrs"] for found in _ask(site, ABSENT)] == [[one], [two]]
    assert _ask(site, ABSENT, "?filter-addrs=udp") == []
    assert asked == [held, ABSENT, ABSENT]


def test_a_block_that_is_not_what_it_was_is_not_announced(
    serve_site: ServeSite,
) -> None:
    store = MemoryStore()
    cid = store.add_bytes(b"right").cid
    store.put(cid, b"wrong")

    assert _ask(serve_site(store=Verified(store)), cid) == []
    assert len(_ask(serve_site(store=store), cid)) == 1


@pytest.mark.parametrize(
    ("accept", "is_lines"),
    [
        ("application/x-ndjson, application/json;q=0.8", True),
        ("application/json, application/x-ndjson;q=0.5", False),
        ("application/x-ndjson;q=0.1, */*", False),
        ("text/html", False),
        ("application/x-ndjson", True),
    ],
)
def test_lines_are_sent_to_who_wants_them(
    gateway: httpx.Client, tree: Tree, accept: str, is_lines: bool
) -> None:
    path = f"/routing/v1/providers/{tree.root}"
    answer = gateway.get(path, headers={"Accept": accept})

    if is_lines:
        (line,) = answer.text.splitlines()
        assert json.loads(line)["Schema"] == "peer"
        assert answer.headers["content-type"].startswith("application/x-ndjson")
    else:
        assert len(answer.json()["Providers"]) == 1


def test_a_bad_cid_is_a_bad_request(gateway: httpx.Client) -> None:
    answer = gateway.get("/routing/v1/providers/nonsense")

    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == "invalid-data"


def test_any_site_may_ask(gateway: httpx.Client, tree: Tree) -> None:
    path = f"/routing/v1/providers/{tree.root}"

    assert gateway.options(path).status_code == 204
    for answer in (gateway.get(path), gateway.options(path), gateway.get(path + "x")):
        assert answer.headers["access-control-allow-origin"] == "*"
    assert gateway.head(path).status_code == 200


def test_addresses_that_are_set_are_given(serve_site: ServeSite) -> None:
    store = MemoryStore()
    cid = store.add_bytes(b"content").cid
    given = ("https://data.example", "/ip6/::1/tcp/8080/http")
    site = serve_site(store=store, addresses=given)

    (found,) = _ask(site, cid)
    (secure,) = _ask(site, cid, "?filter-addrs=https")

    both = ["/dns/data.example/tcp/443/tls/http", "/ip6/::1/tcp/8080/http"]
    assert found["Addrs"] == both
    assert secure["Addrs"] == both[:1]
    assert secure["ID"] == found["ID"]


@pytest.mark.parametrize("host", ["localhost", "evil.example", "a b", "[::1", ""])
def test_a_name_is_not_an_address(gateway: httpx.Client, tree: Tree, host: str) -> None:
    path = f"/routing/v1/providers/{tree.root}"
    answer = gateway.get(path, headers={"Host": host})

    if answer.status_code == 200:
        (found,) = answer.json()["Providers"]
        assert not [text for text in found["Addrs"] if host and host in text]
        assert answer.headers["cache-control"] == "no-store"
    else:
        assert answer.status_code == 400


@pytest.mark.parametrize(
    ("addresses", "protocols", "expected"),
    [
        ("", "", 2),
        ("tcp", "", 2),
        ("https", "", 1),
        ("!tls", "", 1),
        ("tcp,!https", "", 1),
        ("udp", "", 0),
        ("unknown", "", 0),
        ("", "transport-ipfs-gateway-http", 2),
        ("", "unknown", 0),
        ("TCP", "TRANSPORT-BITSWAP", 0),
    ],
)
def test_filters(addresses: str, protocols: str, expected: int) -> None:
    known = provider(["/ip4/1.2.3.4/tcp/80/http", "/dns/x/tcp/443/tls/http"])
    left = filter_providers(
        [known],
        frozenset(filter(None, addresses.lower().split(","))),
        frozenset(filter(None, protocols.lower().split(","))),
    )

    assert sum(len(found["Addrs"]) for found in left) == expected
    assert bool(left) == bool(expected)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://127.0.0.1:8080/", "/ip4/127.0.0.1/tcp/8080/http"),
        ("https://data.example", "/dns/data.example/tcp/443/tls/http"),
        ("http://[::1]:80", "/ip6/::1/tcp/80/http"),
    ],
)
def test_an_address_becomes_a_multiaddr(url: str, expected: str) -> None:
    assert multiaddr_of(url) == expected


@pytest.mark.parametrize(
    "url", ["", "data.example", "ftp://x", "http://", "http://x:99999", "http://[::"]
)
def test_what_is_no_web_address_is_refused(url: str) -> None:
    with pytest.raises(InvalidDataError):
        multiaddr_of(url)
