"""What routers say, and what may be made of it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from etdb.client.router import Hints, fetch_providers, find_url, parse_providers
from etdb.client.whereis import REGISTER, iter_holders
from etdb.errors import EtdbError, InvalidDataError
from etdb.testing.gateway import FakeGateway, Fault
from etdb.testing.store import MemoryStore

PROVIDERS = [
    {"Schema": "peer", "ID": "a", "Addrs": ["/dns4/one.example/tcp/443/tls/http"]},
    {"Schema": "peer", "ID": "b", "Addrs": ["/ip4/192.0.2.7/tcp/4001", 7]},
    {"Schema": "peer", "ID": "c", "Addrs": ["/ip6/2001:db8::1/tcp/80/http"]},
    {"Schema": "peer", "ID": "d"},
]
URLS = ["https://one.example:443", "http://[2001:db8::1]:80"]


@pytest.mark.parametrize(
    "body",
    [
        json.dumps({"Providers": PROVIDERS}),
        "\n".join(map(json.dumps, PROVIDERS)) + "\n",
    ],
)
def test_json_and_ndjson_name_the_same(body: str) -> None:
    assert parse_providers(body.encode()) == URLS


def test_an_empty_answer_names_nobody() -> None:
    assert parse_providers(b"") == []
    assert parse_providers(b'{"Providers": null}') == []


@pytest.mark.parametrize("body", [b"<html>", b"\xff", b"[" * 100_000])
def test_what_is_no_json_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidDataError):
        parse_providers(body)


@given(
    st.binary(max_size=200)
    | st.from_regex(r'\{"Providers":\[.{0,60}\]\}').map(str.encode)
)
def test_no_answer_breaks_the_reader(body: bytes) -> None:
    try:
        urls = parse_providers(body)
    except InvalidDataError:
        return
    assert all(url.startswith(("http://", "https://")) for url in urls)


@pytest.mark.parametrize(
    "address",
    [
        "/ip4/1.2.3.4/udp/1/quic",
        "/dns4/a@b/tcp/1/http",
        "/dns4//tcp/1/http",
        "/dns4/a/tcp/x/http",
        "/unix/tmp/http",
        "/ip4/127.0.0.1/tcp/0/http",
        "/ip4/127.0.0.1/tcp/65536/http",
        "/ip4/2130706433/tcp/1/http",
        "/ip6/127.0.0.1/tcp/1/http",
        "/ip6/fe80::1%25eth0/tcp/1/http",
        "/dns4/a\u0000b/tcp/1/http",
        "/dns4/b\u00fccher.example/tcp/1/http",
        "/dns4/" + "a" * 300 + "/tcp/1/http",
        "",
    ],
)
def test_addresses_that_are_not_http_are_left_out(address: str) -> None:
    assert find_url(address) is None


def test_a_router_that_knows_nobody_may_say_404(getter: Any) -> None:
    with FakeGateway(MemoryStore()) as router:
        assert fetch_providers(router.url, getter.dataset.root) == []


def test_a_router_that_fails_is_told_and_the_others_are_asked(getter: Any) -> None:
    with (
        FakeGateway(MemoryStore(), faults=[Fault("status", at=500)]) as router,
        getter.serving() as (_, source),
    ):
        holders = list(
            iter_holders(
                getter.dataset.root, [source], Hints((router.url,)), getter.limits
            )
        )

    assert [holder.state for holder in holders] == ["has", "fails"]
    assert isinstance(holders[1].error, EtdbError)


@pytest.mark.parametrize(
    ("is_allowed", "states"), [(False, ["has", "fails"]), (True, ["has", "has"])]
)
def test_hosts_of_registers_are_asked_only_where_they_are_public(
    getter: Any, is_allowed: bool, states: list[str]
) -> None:
    with getter.serving() as (_, source), getter.serving() as (host, _):
        urls = [source.name, "https://[", "nonsense", host.url, f"{host.url}/"]
        hints = Hints((), lambda _cid: urls, may_be_private=is_allowed)
        holders = list(
            iter_holders(getter.dataset.root, [source], hints, getter.limits)
        )

    assert [holder.state for holder in holders] == states
    assert [holder.told_by for holder in holders] == ["", REGISTER]
    assert bool(host.requests) == is_allowed
