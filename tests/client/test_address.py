"""Strangers' URLs lead to public addresses or nowhere; each check has a twin."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any

import pytest

from etdb.address import PublicPool, is_public, public_addresses, resolve
from etdb.errors import NotAllowedError, UnavailableError
from etdb.fetch import Http
from etdb.testing.gateway import FakeGateway, Fault
from etdb.testing.store import MemoryStore

PUBLIC = "93.184.216.34"
LITERALS = [
    "127.0.0.1",
    "2130706433",
    "0177.0.0.1",
    "0x7f.1",
    "127.1",
    "0",
    "10.1.2.3",
    "192.168.0.1",
    "172.16.9.9",
    "169.254.169.254",
    "100.64.0.1",
    "[::1]",
    "[::]",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[::127.0.0.1]",
    "[64:ff9b::7f00:1]",
    "[64:ff9b:1::a00:1]",
    "[2002:7f00:1::]",
    "[fe80::1]",
    "[fc00::1]",
    "[fec0::1]",
    "[ff02::1]",
]


@pytest.fixture
def gateway() -> Iterator[FakeGateway]:
    with FakeGateway(MemoryStore(), answers={"/page": "right"}) as gateway:
        yield gateway


def public(_host: str, _port: int) -> list[str]:
    return [PUBLIC]


@pytest.mark.parametrize("host", LITERALS)
def test_a_private_address_is_refused_in_every_spelling(host: str, limits: Any) -> None:
    http = Http(limits, is_public_only=True)

    with pytest.raises(NotAllowedError, match="not on the public internet"):
        http.fetch(f"https://{host}/x", accept="*/*", max_bytes=9)


@pytest.mark.parametrize("host", ["127.0.0.1", "2130706433", "0177.0.0.1", "127.1"])
def test_without_the_check_the_spellings_reach_this_machine(
    gateway: FakeGateway, host: str, limits: Any
) -> None:
    port = gateway.url.rpartition(":")[2]

    answer = Http(limits).fetch(
        f"http://{host}:{port}/page", accept="*/*", max_bytes=99
    )

    assert answer.body == b'"right"'


@pytest.mark.parametrize("address", [PUBLIC, "2606:2800:220:1::1"])
def test_a_public_address_is_one(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    "found", [["127.0.0.1"], [PUBLIC, "10.0.0.1"], ["::ffff:10.0.0.1"], [], ["x"]]
)
def test_a_name_that_leads_inside_is_refused(found: list[str], limits: Any) -> None:
    http = Http(limits, is_public_only=True, resolver=lambda host, port: found)

    with pytest.raises(NotAllowedError, match="leads to"):
        http.fetch("https://inside.example/", accept="*/*", max_bytes=9)


def test_a_name_that_nobody_knows_is_unavailable(limits: Any) -> None:
    def unknown(host: str, port: int) -> list[str]:
        raise socket.gaierror(-2, "no such name")

    http = Http(limits, is_public_only=True, resolver=unknown)
    with pytest.raises(UnavailableError):
        http.fetch("https://nowhere.example/", accept="*/*", max_bytes=9)


def test_plain_http_is_refused(gateway: FakeGateway, limits: Any) -> None:
    http = Http(limits, is_public_only=True, resolver=public)

    with pytest.raises(NotAllowedError, match="only https"):
        http.fetch(f"{gateway.url}/page", accept="*/*", max_bytes=99)

    assert gateway.requests == []


class Wire:
    """Connects where it is told, in truth always to the gateway."""

    def __init__(self, gateway: FakeGateway) -> None:
        self.port = int(gateway.url.rpartition(":")[2])
        self.asked: list[str] = []

    def __call__(self, address: tuple[str, int], *_: Any, **__: Any) -> socket.socket:
        self.asked.append(address[0])
        return socket.create_connection(("127.0.0.1", self.port), timeout=5)


class Rebinding:
    """A name that is public when it is judged, and private a moment later."""

    def __init__(self) -> None:
        self.answers = [[PUBLIC], ["127.0.0.1"]]
        self.count = 0

    def __call__(self, host: str, port: int) -> list[str]:
        self.count += 1
        return self.answers[min(self.count, len(self.answers)) - 1]


def test_the_connection_goes_to_the_address_that_was_judged(
    gateway: FakeGateway,
) -> None:
    wire, name = Wire(gateway), Rebinding()
    pool = PublicPool(name, wire, retries=False)

    answer = pool.request("GET", "http://rebinding.example/page")

    assert answer.data == b'"right"'
    assert wire.asked == [PUBLIC]
    assert name.count == 1
    pool.clear()


def test_a_second_connection_is_judged_again(gateway: FakeGateway) -> None:
    wire, name = Wire(gateway), Rebinding()
    pool = PublicPool(name, wire, retries=False)
    pool.request("GET", "http://rebinding.example/page")
    pool.clear()

    with pytest.raises(NotAllowedError):
        pool.request("GET", "http://rebinding.example/page")

    assert wire.asked == [PUBLIC]


def test_judging_and_then_resolving_again_would_be_led_inside() -> None:
    name = Rebinding()

    judged = public_addresses("rebinding.example", 80, name)

    assert judged == [PUBLIC]
    assert name("rebinding.example", 80) == ["127.0.0.1"]


@pytest.mark.parametrize("target", ["http://127.0.0.1/x", "https://127.0.0.1/x"])
def test_a_redirect_inside_is_refused(
    gateway: FakeGateway, limits: Any, target: str
) -> None:
    gateway.faults.append(Fault("redirect", on="/page", to=target))
    http = Http(limits, is_public_only=True)
    http._pool = PublicPool(
        lambda host, port: (
            public(host, port) if "example" in host else resolve(host, 1)
        ),
        Wire(gateway),
        retries=False,
    )
    http._is_public_only = False  # the first hop is plain: no certificate here

    with pytest.raises(NotAllowedError, match="not on the public internet"):
        http.fetch("http://first.example/page", accept="*/*", max_bytes=99)


def test_without_the_check_a_redirect_leads_inside(
    gateway: FakeGateway, limits: Any
) -> None:
    with FakeGateway(MemoryStore(), answers={"/x": "secret"}) as inside:
        gateway.faults.append(Fault("redirect", on="/page", to=f"{inside.url}/x"))

        answer = Http(limits).fetch(f"{gateway.url}/page", accept="*/*", max_bytes=99)

    assert answer.body == b'"secret"'
