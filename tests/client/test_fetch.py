"""HTTP with limits."""

from __future__ import annotations

import email.utils
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from typing import Any

import pytest

from etdb.client.sources import HttpSource
from etdb.errors import EtdbError, InvalidDataError, NotAllowedError, UnavailableError
from etdb.fetch import Http, redact, verify_status
from etdb.testing.gateway import FakeGateway, Fault
from etdb.testing.store import MemoryStore


@pytest.fixture
def gateway() -> Iterator[FakeGateway]:
    answers = {"/page": "right", "/away": "moved"}
    with FakeGateway(MemoryStore(), answers=answers) as gateway:
        yield gateway


@pytest.fixture
def fetch(gateway: FakeGateway, limits: Any) -> Iterator[Callable[..., bytes]]:
    http = Http(limits)
    yield (
        lambda path, max_bytes=100: (
            http.fetch(gateway.url + path, accept="*/*", max_bytes=max_bytes).body
        )
    )
    http.close()


def test_an_answer_of_the_largest_size_is_taken(fetch: Callable[..., bytes]) -> None:
    assert fetch("/page", max_bytes=7) == b'"right"'


def test_one_byte_more_is_refused(fetch: Callable[..., bytes]) -> None:
    with pytest.raises(InvalidDataError, match="more than 6 bytes"):
        fetch("/page", max_bytes=6)


def test_bytes_are_put_where_they_are_wanted(gateway: FakeGateway) -> None:
    place = bytearray(b"." * 10)

    with closing(Http()) as http:
        body = http.open(f"{gateway.url}/page", {})
        counts = [
            body.read_into(memoryview(place)[1:4]),
            body.read_into(memoryview(place)[4:]),
            body.read_into(memoryview(place)),
        ]
        http.release(body)

    assert counts == [3, 4, 0]
    assert place == b'."right"..'


def test_a_redirect_is_followed(
    gateway: FakeGateway, fetch: Callable[..., bytes]
) -> None:
    gateway.faults.append(Fault("redirect", on="/page", to="/away"))

    assert fetch("/page") == b'"moved"'


def test_redirects_without_end_are_refused(
    gateway: FakeGateway, fetch: Callable[..., bytes]
) -> None:
    gateway.faults.append(Fault("redirect", on="/page", to="/page"))

    with pytest.raises(InvalidDataError, match="more than 3 times"):
        fetch("/page")

    assert len(gateway.requests) == 4


@pytest.mark.parametrize("target", ["file:///etc/passwd", "ftp://h/x", "data:,x"])
def test_a_redirect_to_another_scheme_is_refused(
    gateway: FakeGateway, fetch: Callable[..., bytes], target: str
) -> None:
    gateway.faults.append(Fault("redirect", on="/page", to=target))

    with pytest.raises(InvalidDataError, match="not followed"):
        fetch("/page")


def test_a_pause_that_is_asked_for_is_kept(
    gateway: FakeGateway, fetch: Callable[..., bytes]
) -> None:
    busy = Fault("status", at=429, times=1, headers={"Retry-After": "1"})
    gateway.faults.append(busy)
    begun = time.monotonic()

    assert fetch("/page") == b'"right"'
    assert time.monotonic() - begun >= 1.0


def test_a_pause_until_a_date_that_has_passed_is_none(
    gateway: FakeGateway, fetch: Callable[..., bytes]
) -> None:
    past = email.utils.formatdate(time.time() - 60, usegmt=True)
    gateway.faults.append(
        Fault("status", at=503, times=1, headers={"Retry-After": past})
    )

    assert fetch("/page") == b'"right"'


def test_a_server_that_asks_for_too_long_a_pause_is_given_up(
    gateway: FakeGateway, fetch: Callable[..., bytes]
) -> None:
    gateway.faults.append(Fault("status", at=503, headers={"Retry-After": "3600"}))

    with pytest.raises(UnavailableError) as caught:
        fetch("/page")

    assert caught.value.facts["retry_after_s"] == 3600
    assert len(gateway.requests) == 1


def test_until_then_nothing_else_is_asked_of_it_either(
    gateway: FakeGateway, fetch: Callable[..., bytes]
) -> None:
    gateway.faults.append(
        Fault("status", at=503, times=1, headers={"Retry-After": "3600"})
    )
    for path in ("/page", "/page", "/away"):
        with pytest.raises(UnavailableError, match="left alone for 3600 s"):
            fetch(path)

    assert len(gateway.requests) == 1


def test_after_a_pause_that_was_asked_for_the_server_is_asked_again(
    gateway: FakeGateway, fetch: Callable[..., bytes]
) -> None:
    headers = {"Retry-After": "1"}
    gateway.faults.append(Fault("status", at=503, times=1, headers=headers))

    assert fetch("/page") == b'"right"'
    assert fetch("/away") == b'"moved"'
    assert len(gateway.requests) == 3


@pytest.mark.parametrize("kind", ["trailer", "length"])
def test_an_answer_whose_framing_never_ends_is_given_up(
    gateway: FakeGateway, fetch: Callable[..., bytes], kind: str
) -> None:
    gateway.faults.append(Fault(kind, on="/page"))
    begun = time.monotonic()

    with pytest.raises(UnavailableError):
        fetch("/page")

    assert time.monotonic() - begun < 20


@pytest.mark.parametrize("kind", ["trailer", "length"])
def test_a_range_that_is_there_is_taken_though_its_framing_never_ends(
    limits: Any, kind: str
) -> None:
    store, view = MemoryStore(), memoryview(bytearray(1000))
    file = store.add_bytes(b"x" * 1000).cid
    with (
        FakeGateway(store, faults=[Fault(kind)]) as gateway,
        HttpSource(gateway.url, limits=limits) as source,
        closing(source.open_range(file, 0, 1000)) as arriving,
    ):
        arriving.fill(view)

    assert view == b"x" * 1000


@pytest.mark.parametrize(
    "odd",
    ["soon", "Fri, 31 Dec 9999 23:59:59 -0000", "Fri, 31 Dec 9999 23:59:59 -2359"],
)
def test_a_pause_that_cannot_be_read_is_ours(
    gateway: FakeGateway, limits: Any, odd: str
) -> None:
    gateway.faults.append(
        Fault("status", at=503, times=2, headers={"Retry-After": odd})
    )
    with closing(Http(limits)) as http, pytest.raises(UnavailableError):
        http.fetch(f"{gateway.url}/page", accept="*/*", max_bytes=9, may_wait=False)


def test_a_pause_in_words_is_ours(
    gateway: FakeGateway, fetch: Callable[..., bytes]
) -> None:
    odd = Fault("status", at=503, times=2, headers={"Retry-After": "soon"})
    gateway.faults.append(odd)

    assert fetch("/page") == b'"right"'


def test_closing_ends_a_pause(gateway: FakeGateway, limits: Any) -> None:
    patient = Http(replace(limits, backoff_s=600.0))
    gateway.faults.append(Fault("status", at=503))
    patient.close()

    with pytest.raises(UnavailableError, match="was closed"):
        patient.fetch(f"{gateway.url}/page", accept="*/*", max_bytes=9)


@pytest.mark.parametrize(
    "url", ["http://", "http://a b/", "nonsense", "x://h", "http://[/"]
)
def test_what_is_no_url_is_an_error_of_ours(url: str, limits: Any) -> None:
    with pytest.raises(EtdbError):
        Http(limits).fetch(url, accept="*/*", max_bytes=9)


def test_passwords_in_urls_are_not_shown() -> None:
    assert redact("https://me:secret@h:1/p?token=secret#x") == "https://h:1/p"
    assert "secret" not in redact("https://me:secret@[::1/p?token=secret#x")


@pytest.mark.parametrize(
    ("status", "kind"),
    [(401, NotAllowedError), (403, NotAllowedError), (400, InvalidDataError)],
)
def test_a_status_is_an_error(status: int, kind: type[EtdbError]) -> None:
    with pytest.raises(kind, match=f"answers {status}"):
        verify_status(status, "http://h/x", "block", "b")
