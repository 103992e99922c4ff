"""Gateways that lie or break; each check beside what happens without it."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import pytest

from etdb.client.download import download, plan
from etdb.client.sources import HttpSource
from etdb.errors import (
    ContentMismatchError,
    InvalidDataError,
    NotFoundError,
    UnavailableError,
)
from etdb.fetch import Http
from etdb.testing.gateway import FakeGateway, Fault

MIB = 1 << 20
NAME = "rec/vol.rec"


@pytest.fixture
def url(getter: Any) -> str:
    """What the URL of the file that goes wrong contains."""
    return f"{getter.dataset.cid(NAME)}"


def only_failure(getter: Any, *faults: Fault) -> Any:
    """The error of the one file that fails; the others must be right."""
    results = getter.get_with(*faults)
    failed = results.pop(NAME)
    assert failed.state == "failed"
    assert {result.state for result in results.values()} == {"done"}
    expected = {n: d for n, d in getter.dataset.files.items() if n != NAME}
    assert getter.on_disk() == expected
    return failed.error


def read_unverified(source: HttpSource, getter: Any) -> bytes:
    """What a client that does not hash would deliver."""
    data = bytearray(len(getter.dataset.files[NAME]))
    source.open_range(getter.dataset.cid(NAME), 0, len(data)).fill(memoryview(data))
    return bytes(data)


def test_a_lie_fails_the_file_and_names_the_source(getter: Any, url: str) -> None:
    error = only_failure(getter, Fault("lie", on=url, at=2 * MIB))

    assert isinstance(error, ContentMismatchError)
    assert str(error.facts["where"]).startswith("http://127.0.0.1:")


def test_without_the_hash_a_lie_would_be_delivered(getter: Any, url: str) -> None:
    with getter.serving(Fault("lie", on=url, at=2 * MIB)) as (_, source):
        data = read_unverified(source, getter)

    assert data != getter.dataset.files[NAME]


def test_what_came_before_a_lie_is_not_fetched_again(getter: Any, url: str) -> None:
    getter.get_with(Fault("lie", on=url, at=2 * MIB))

    with getter.serving() as (gateway, source):
        getter.get(source)

    (asked,) = [line for line in gateway.requests if "bytes=" in line]
    assert asked.endswith(f"bytes={2 * MIB}-{3 * MIB - 1}")
    assert getter.on_disk() == getter.dataset.files


@pytest.mark.parametrize("at", [0, 20])
def test_a_lie_about_a_file_s_tree_fails_the_file(
    getter: Any, url: str, at: int
) -> None:
    error = only_failure(getter, Fault("lie", on=f"{url}?format=raw", at=at))

    assert isinstance(error, ContentMismatchError)
    assert str(error.facts["where"]).startswith("http://127.0.0.1:")


def test_a_lie_about_the_dataset_s_directory_is_refused(getter: Any) -> None:
    lie = Fault("lie", on=str(getter.dataset.root), at=40)

    with pytest.raises(ContentMismatchError):
        getter.get_with(lie)

    assert not getter.folder.exists()


def test_a_cut_is_gone_on_with_where_it_was(getter: Any, url: str) -> None:
    cut = Fault("cut", on=url, at=MIB + 5000, times=1)
    with getter.serving() as (gateway, source):
        wanted = plan(getter.dataset.record, [source], getter.folder)
        gateway.faults.append(cut)
        results = download(wanted, [source]).files

    assert {result.state for result in results} == {"done"}
    starts = [
        line.partition("bytes=")[2].partition("-")[0] for line in gateway.requests
    ]
    assert str(MIB + 5000) in starts
    assert getter.on_disk() == getter.dataset.files


def test_a_gateway_that_always_cuts_is_given_up(getter: Any, url: str) -> None:
    with getter.serving() as (gateway, source):
        wanted = plan(getter.dataset.record, [source], getter.folder)
        gateway.faults.append(Fault("cut", on=url, at=0))
        results = {result.name: result for result in download(wanted, [source]).files}

    assert isinstance(results[NAME].error, UnavailableError)
    asked = [line for line in gateway.requests if url in line and "bytes=" in line]
    assert len(asked) == getter.limits.attempts
    assert NAME not in getter.on_disk()


@pytest.mark.parametrize("kind", ["stall", "drip"])
def test_a_gateway_that_stalls_is_given_up_in_time(
    getter: Any, url: str, kind: str
) -> None:
    begun = time.monotonic()
    with getter.serving() as (gateway, source):
        wanted = plan(getter.dataset.record, [source], getter.folder)
        gateway.faults.append(Fault(kind, on=url))
        results = {result.name: result for result in download(wanted, [source]).files}

    assert isinstance(results[NAME].error, UnavailableError)
    limits = getter.limits
    assert time.monotonic() - begun < limits.attempts * limits.answer_s + 5


def test_without_the_limit_a_drip_would_go_on(getter: Any, url: str) -> None:
    patient = replace(getter.limits, answer_s=60.0)
    with (
        FakeGateway(
            getter.dataset.store, faults=[Fault("drip", on=url, at=3 * MIB - 150)]
        ) as gateway,
        HttpSource(gateway.url, limits=patient) as source,
    ):
        begun = time.monotonic()
        read_unverified(source, getter)

    assert time.monotonic() - begun > getter.limits.answer_s


@pytest.mark.parametrize("status", [429, 500, 502, 503])
def test_a_gateway_that_is_busy_is_asked_again(
    getter: Any, url: str, status: int
) -> None:
    results = getter.get_with(Fault("status", on=url, at=status, times=2))

    assert {result.state for result in results.values()} == {"done"}


def test_a_gateway_that_stays_broken_fails_the_file(getter: Any, url: str) -> None:
    error = only_failure(getter, Fault("status", on=url, at=500))

    assert isinstance(error, UnavailableError)
    assert error.facts["status"] == 500


def test_a_file_that_the_gateway_has_not_is_not_asked_for_twice(
    getter: Any, url: str
) -> None:
    with getter.serving(Fault("status", on=url, at=404)) as (gateway, source):
        results = {result.name: result for result in getter.get(source)}

    assert isinstance(results[NAME].error, NotFoundError)
    assert sum(url in line for line in gateway.requests) == 1


@pytest.mark.parametrize("kind", ["shift", "whole"])
def test_another_range_than_the_one_asked_for_is_refused(
    getter: Any, url: str, kind: str
) -> None:
    error = only_failure(getter, Fault(kind, on=f"{url}", at=0))

    assert isinstance(error, InvalidDataError)
    assert "bytes=0-" in error.message


def test_without_looking_at_the_range_other_bytes_would_be_taken(
    getter: Any, url: str
) -> None:
    with FakeGateway(getter.dataset.store, faults=[Fault("shift", on=url)]) as gateway:
        body = Http().open(f"{gateway.url}/ipfs/{url}", {"Range": "bytes=0-99"})
        data = body.read_some(100)

    assert body.status == 206
    assert data == getter.dataset.files[NAME][1:101]


def test_more_than_was_asked_for_is_cut_and_refused(getter: Any, url: str) -> None:
    with getter.serving() as (gateway, source):
        wanted = plan(getter.dataset.record, [source], getter.folder)
        gateway.faults.append(Fault("more", on=url, at=50 * MIB))
        results = {result.name: result for result in download(wanted, [source]).files}

    error = results[NAME].error
    assert isinstance(error, InvalidDataError)
    assert "sends more" in error.message
    assert NAME not in getter.on_disk()


def test_a_block_that_never_ends_is_cut_and_refused(getter: Any) -> None:
    endless = Fault("more", on="?format=raw", at=50 * MIB)

    with pytest.raises(InvalidDataError, match="more than 2097152 bytes"):
        getter.get_with(endless)


def test_without_the_limit_all_of_it_would_be_read(getter: Any) -> None:
    endless = Fault("more", on="?format=raw", at=50 * MIB)
    with FakeGateway(getter.dataset.store, faults=[endless]) as gateway:
        url = f"{gateway.url}/ipfs/{getter.dataset.root}?format=raw"
        answer = Http().fetch(url, accept="*/*", max_bytes=100 * MIB)

    assert len(answer.body) > 50 * MIB


def test_another_source_makes_good_what_a_liar_spoils(getter: Any, url: str) -> None:
    lie = Fault("lie", on=url, at=MIB)

    with getter.serving(lie) as (_, liar), getter.serving() as (_, good):
        results = getter.get(liar, good)

    assert {result.state for result in results} == {"done"}
    assert getter.on_disk() == getter.dataset.files


def test_a_gateway_that_is_gone_is_said_to_be(getter: Any) -> None:
    with FakeGateway(getter.dataset.store) as gateway:
        url = gateway.url

    with (
        HttpSource(url, limits=getter.limits) as source,
        pytest.raises(UnavailableError, match=r"no answer from http://127\.0\.0\.1"),
    ):
        getter.get(source)


def test_a_gateway_that_went_down_is_not_waited_for_file_by_file(
    getter: Any,
) -> None:
    with getter.serving() as (gateway, source):
        wanted = plan(getter.dataset.record, [source], getter.folder)
        source.connections = 1
        gateway.requests.clear()
        gateway.faults.append(Fault("status", at=503))
        results = download(wanted, [source]).files

    states = [result.state for result in results]
    assert states == ["done", "failed", "failed", "failed"]  # the empty file is done
    assert len(gateway.requests) == getter.limits.attempts + 1 + 1
