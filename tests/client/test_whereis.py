"""What routers say, and what may be made of it."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from etdb.client.router import Hints, fetch_providers, find_url, parse_providers
from etdb.client.sources import HttpSource
from etdb.client.whereis import (
    MAX_BLOCKS,
    MAX_FILES,
    REGISTER,
    check_holder,
    iter_holders,
)
from etdb.errors import EtdbError, InvalidDataError
from etdb.identity import CID, DAG_PB
from etdb.store.unixfs import Kind, Link, Node, encode_node, parse_node
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


def is_node(block: bytes) -> bool:
    try:
        return bool(parse_node(block).links)
    except InvalidDataError:
        return False


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


def test_who_kept_the_nodes_but_lost_every_chunk_does_not_have_it(
    getter: Any,
) -> None:
    store, kept = getter.dataset.store, MemoryStore()
    for digest in store.list_digests():
        node = CID(1, DAG_PB, digest)
        block = store.get_block(node)
        if is_node(block):
            kept.put(node, block)
    with FakeGateway(kept) as gateway, HttpSource(gateway.url) as source:
        root_alone = check_holder(source, getter.dataset.root)
        holder = check_holder(source, getter.dataset.root, with_files=True)

    assert root_alone.state == "has"
    assert (holder.state, holder.files_held, holder.files_asked) == ("lacks", 0, 4)


def test_of_a_large_dataset_only_some_files_are_asked_for(make_dataset: Any) -> None:
    names = {f"{number // 50}/{number}": b"%d" % number for number in range(200)}
    dataset = make_dataset(names)
    with FakeGateway(dataset.store) as gateway, HttpSource(gateway.url) as source:
        holder = check_holder(source, dataset.root, with_files=True)

    assert (holder.state, holder.files_asked) == ("has", MAX_FILES)
    assert len(gateway.requests) <= MAX_FILES + 5


def test_a_source_that_lies_about_one_file_lies(getter: Any) -> None:
    cid = getter.dataset.cid("notes.txt")
    with getter.serving(Fault("lie", on=str(cid))) as (_, source):
        holder = check_holder(source, getter.dataset.root, with_files=True)

    assert holder.state == "lies"


def test_folders_without_end_are_not_followed(make_dataset: Any) -> None:
    dataset = make_dataset({"/".join("f" * 60) + "/x": b"x"})
    root = dataset.root
    for _ in range(2):
        links = [Link(str(number), root, 1) for number in range(30)]
        block = encode_node(Node(Kind.DIRECTORY, tuple(links)))
        root = CID(1, DAG_PB, hashlib.sha256(block).digest())
        dataset.store.put(root, block)
    with FakeGateway(dataset.store) as gateway, HttpSource(gateway.url) as source:
        check_holder(source, root, with_files=True)

    assert len(gateway.requests) <= MAX_BLOCKS


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
