"""While the site is served, new blocks are looked for, and trouble is said."""

from __future__ import annotations

import threading
from collections.abc import Callable

import httpx
import pytest

from etdb.errors import UnavailableError
from etdb.testing.catalogue import MemoryCatalogue
from etdb.testing.store import MemoryStore
from etdb.web.app import Site, create_app
from etdb.web.server import running

ServeSite = Callable[..., httpx.Client]


def test_new_blocks_are_looked_for_from_the_start(serve_site: ServeSite) -> None:
    looked = threading.Event()

    site = serve_site(follow=lambda _stop: looked.set())

    assert looked.wait(10)
    assert site.get("/api/status").json()["follow_problem"] == ""


def test_trouble_is_shown_and_the_site_goes_on(serve_site: ServeSite) -> None:
    tried = threading.Event()

    def fail(_stop: Callable[[], bool]) -> None:
        tried.set()
        raise UnavailableError("the chain cannot be read")

    site = serve_site(follow=fail)
    assert tried.wait(10)

    assert "the chain cannot be read" in _await_problem(site)
    assert "the chain cannot be read" in site.get("/status").text
    assert site.get("/records").status_code == 200


def test_a_bug_in_following_is_said_and_stops_nothing(
    serve_site: ServeSite, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(_stop: Callable[[], bool]) -> None:
        raise RuntimeError("secret")

    site = serve_site(follow=fail)

    assert _await_problem(site) == "something went wrong on this node"
    assert "secret" in caplog.text
    assert site.get("/records").status_code == 200


def test_a_long_step_is_told_when_the_site_stops() -> None:
    started, ended = threading.Event(), threading.Event()

    def scan(stop: Callable[[], bool]) -> None:
        started.set()
        while not stop():
            ended.wait(0.01)
        ended.set()

    site = Site(
        catalogue=MemoryCatalogue(),
        store=MemoryStore(),
        name="Test lab",
        version="0",
        status=dict,
        follow=scan,
    )
    with running(create_app(site)):
        assert started.wait(10)

    assert ended.is_set()


def _await_problem(site: httpx.Client) -> str:
    for _ in range(1000):
        problem = str(site.get("/api/status").json()["follow_problem"])
        if problem:
            return problem
    pytest.fail("the trouble was never shown")
