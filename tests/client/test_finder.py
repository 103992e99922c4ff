"""Sources that strangers name: used where they are right, asked with care."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import pytest

from etdb.address import PublicPool, resolve
from etdb.client.download import download, plan
from etdb.client.finder import MAX_ASKED, MAX_FOUND, Finder
from etdb.client.router import MAX_ANSWER_BYTES, MAX_PROVIDERS, Hints, fetch_providers
from etdb.client.sources import HttpSource
from etdb.client.whereis import check_holder
from etdb.errors import InvalidDataError
from etdb.identity import CID
from etdb.testing.gateway import FakeGateway, Fault
from etdb.testing.store import MemoryStore

Answers = dict[str, Any]


def named(cid: CID, *addresses: str) -> Answers:
    providers = [
        {"Schema": "peer", "ID": f"p{number}", "Addrs": [address]}
        for number, address in enumerate(addresses)
    ]
    return {f"/routing/v1/providers/{cid}": {"Providers": providers}}


def plain(url: str) -> str:
    return f"/ip4/127.0.0.1/tcp/{url.rpartition(':')[2]}/http"


@contextlib.contextmanager
def routing(cid: CID, *addresses: str) -> Iterator[str]:
    with FakeGateway(MemoryStore(), answers=named(cid, *addresses)) as router:
        yield router.url


@pytest.fixture
def root(getter: Any) -> CID:
    found: CID = getter.dataset.root
    return found


@pytest.fixture
def here(getter: Any) -> Iterator[FakeGateway]:
    """A gateway on this machine that has the dataset."""
    with FakeGateway(getter.dataset.store) as gateway:
        yield gateway


def find(
    root: CID, limits: Any, *routers: str, hosts: Sequence[str] = (), **said: Any
) -> list[str]:
    with Finder([], Hints(routers, lambda _cid: hosts, **said), limits=limits) as one:
        return [source.name for source in one.sources_for(root)]


def test_a_dataset_comes_from_whom_the_router_names(
    getter: Any, root: CID, here: FakeGateway
) -> None:
    poor = FakeGateway(MemoryStore(), answers=named(root, plain(here.url)))
    with poor, HttpSource(poor.url, limits=getter.limits) as node:
        hints = Hints((poor.url,), may_be_private=True)
        with Finder([node], hints, limits=getter.limits) as one:
            sources = one.sources_for(root)
            outcome = download(
                plan(getter.dataset.record, sources, getter.folder), sources
            )

    assert [source.name for source in sources] == [poor.url, here.url]
    assert {file.state for file in outcome.files} == {"done"}
    assert getter.on_disk() == getter.dataset.files


def test_hosts_of_registers_are_asked_too(
    root: CID, here: FakeGateway, limits: Any
) -> None:
    hosts = ["", "http://[", "file:///etc/passwd", here.url, f"{here.url}/"]

    assert find(root, limits, hosts=hosts, may_be_private=True) == [here.url]


def test_who_is_given_already_is_not_found_again(
    getter: Any, root: CID, here: FakeGateway
) -> None:
    with (
        HttpSource(here.url, limits=getter.limits) as node,
        routing(root, plain(here.url)) as router,
        Finder([node], Hints((router,), may_be_private=True)) as one,
    ):
        assert one.sources_for(root) == [node]


def test_a_finder_closes_what_it_found_and_not_what_it_was_given(
    getter: Any, root: CID
) -> None:
    class Given(HttpSource):
        is_closed = False

        def close(self) -> None:
            super().close()
            self.is_closed = True

    with FakeGateway(getter.dataset.store) as given, Given(given.url) as source:
        with Finder([source]) as one:
            assert one.sources_for(root) == [source]
        assert not source.is_closed

        one.interrupt()

        assert source.is_closed


@pytest.mark.parametrize(
    "fault", [Fault("lie", at=3), Fault("status", at=404), Fault("stall", at=9)]
)
def test_who_does_not_give_the_first_block_is_not_drawn_on(
    getter: Any, root: CID, here: FakeGateway, fault: Fault
) -> None:
    with (
        FakeGateway(getter.dataset.store, faults=[fault]) as bad,
        routing(root, plain(bad.url), plain(here.url)) as router,
    ):
        found = find(root, getter.limits, router, may_be_private=True)

    assert found == [here.url]


def test_private_addresses_are_not_asked(
    root: CID, here: FakeGateway, limits: Any
) -> None:
    with routing(root, plain(here.url)) as router:
        assert find(root, limits, router, hosts=[here.url]) == []

    assert here.requests == []


def test_without_the_check_they_would_be(
    root: CID, here: FakeGateway, limits: Any
) -> None:
    with routing(root, plain(here.url)) as router:
        assert find(root, limits, router, may_be_private=True) == [here.url]


@contextlib.contextmanager
def listening() -> Iterator[tuple[socket.socket, int]]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        yield server, server.getsockname()[1]


SPELLINGS = [
    "/ip4/127.0.0.1",
    "/dns4/localhost",
    "/dns4/127.0.0.1",
    "/dns4/2130706433",
    "/dns4/0x7f.1",
    "/ip6/::ffff:127.0.0.1",
]


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_no_connection_is_made_inside(root: CID, limits: Any, spelling: str) -> None:
    with (
        listening() as (server, port),
        routing(root, f"{spelling}/tcp/{port}/tls/http") as router,
    ):
        assert find(root, limits, router) == []
        with pytest.raises(BlockingIOError):
            server.accept()


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_without_the_check_one_would_be(root: CID, limits: Any, spelling: str) -> None:
    hasty = replace(limits, connect_s=0.3)
    with (
        listening() as (server, port),
        routing(root, f"{spelling}/tcp/{port}/tls/http") as router,
    ):
        assert find(root, hasty, router, may_be_private=True) == []
        server.accept()[0].close()


def test_whoever_redirects_inside_is_not_followed(
    getter: Any, root: CID, here: FakeGateway
) -> None:
    redirect = Fault("redirect", to=f"{here.url}/ipfs/{root}?format=raw")
    with (
        FakeGateway(getter.dataset.store, faults=[redirect]) as outside,
        HttpSource(
            "http://public.example", limits=getter.limits, is_public_only=True
        ) as source,
    ):
        port = int(outside.url.rpartition(":")[2])
        source._http._pool = PublicPool(
            lambda host, at: (
                ["93.184.216.34"] if "example" in host else resolve(host, at)
            ),
            lambda *_, **__: socket.create_connection(("127.0.0.1", port)),
            retries=False,
        )
        source._http._is_public_only = False  # there is no certificate here
        holder = check_holder(source, root)

    assert holder.state == "fails"
    assert "not on the public internet" in str(holder.error)
    assert len(outside.requests) == 1
    assert here.requests == []


def test_without_the_check_it_would_be_followed(
    getter: Any, root: CID, here: FakeGateway
) -> None:
    redirect = Fault("redirect", to=f"{here.url}/ipfs/{root}?format=raw")
    with (
        FakeGateway(getter.dataset.store, faults=[redirect]) as outside,
        routing(root, plain(outside.url)) as router,
    ):
        found = find(root, getter.limits, router, may_be_private=True)

    assert found == [outside.url]
    assert len(here.requests) == 1


def test_of_thousands_some_are_asked_and_nobody_s_one_is_hidden(
    root: CID, here: FakeGateway, limits: Any
) -> None:
    crowd = [f"/dns4/127.0.0.1/tcp/{port}/http" for port in range(1, 5_001)]
    with (
        FakeGateway(MemoryStore(), answers=named(root, *crowd)) as router,
        routing(root, plain(here.url)) as other,
    ):
        assert len(fetch_providers(router.url, root)) == MAX_PROVIDERS
        with Finder([], Hints((router.url, other), may_be_private=True)) as one:
            (found,) = one.sources_for(root)
            assert len(one._opened) == MAX_ASKED

    assert found.name == here.url


def test_only_so_many_are_drawn_on(getter: Any, root: CID) -> None:
    with contextlib.ExitStack() as stack:
        gateways = [
            stack.enter_context(FakeGateway(getter.dataset.store))
            for _ in range(MAX_FOUND + 2)
        ]
        router = stack.enter_context(
            routing(root, *(plain(one.url) for one in gateways))
        )
        found = find(root, getter.limits, router, may_be_private=True)

    assert len(found) == MAX_FOUND


@pytest.mark.parametrize(
    "fault",
    [
        Fault("status", at=500),
        Fault("more", at=MAX_ANSWER_BYTES),
        Fault("cut", at=20),
        Fault("stall", at=20),
        Fault("lie", at=0),
        Fault("none", headers={"Content-Encoding": "gzip"}),
    ],
)
def test_a_broken_router_names_nobody_and_hides_nobody(
    root: CID, here: FakeGateway, limits: Any, fault: Fault
) -> None:
    answers = named(root, plain(here.url))
    with (
        FakeGateway(MemoryStore(), answers=answers, faults=[fault]) as broken,
        routing(root, plain(here.url)) as sound,
    ):
        assert find(root, limits, broken.url, may_be_private=True) == []
        assert find(root, limits, broken.url, sound, may_be_private=True) == [here.url]


def test_an_endless_answer_is_cut(root: CID, here: FakeGateway, limits: Any) -> None:
    answers = named(root, plain(here.url))
    endless = [Fault("more", at=MAX_ANSWER_BYTES)]
    with (
        FakeGateway(MemoryStore(), answers=answers, faults=endless) as broken,
        pytest.raises(InvalidDataError, match="more than"),
    ):
        fetch_providers(broken.url, root, limits)


def test_nobody_is_waited_for_beyond_the_deadline(getter: Any, root: CID) -> None:
    patient = replace(getter.limits, silence_s=30, answer_s=30)
    silent = FakeGateway(getter.dataset.store, faults=[Fault("stall", at=0)])
    with silent, routing(root, plain(silent.url)) as router:
        started = time.monotonic()
        hints = Hints((router, silent.url), may_be_private=True)
        with Finder([], hints, limits=patient, find_s=0.2) as one:
            assert one.sources_for(root) == []

    assert time.monotonic() - started < 5  # half a minute, were it waited for
