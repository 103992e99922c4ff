"""Several half-broken sources, and exactly the right bytes."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import pytest

from etdb.client.download import Outcome, download, plan
from etdb.client.filters import Selection
from etdb.client.folder import Folder
from etdb.client.look import Look
from etdb.client.sources import HttpSource, Source
from etdb.client.transfer import SHARED_RANGE_BYTES
from etdb.errors import ContentMismatchError, InvalidDataError, UnavailableError
from etdb.fetch import Http
from etdb.testing.gateway import FakeGateway, Fault

MIB = 1 << 20
LARGE = "raw/ts 1.st"


@pytest.fixture
def large(getter: Any) -> str:
    """What the URL of the large file contains."""
    return str(getter.dataset.cid(LARGE))


@contextlib.contextmanager
def serving(
    getter: Any, *faults: Sequence[Fault], rates: Sequence[float | None] = ()
) -> Iterator[tuple[list[FakeGateway], list[HttpSource]]]:
    """A gateway for each list of faults."""
    with contextlib.ExitStack() as stack:
        rates = rates or [None] * len(faults)
        gateways = [
            stack.enter_context(
                FakeGateway(getter.dataset.store, faults=each, rate_bytes_s=rate)
            )
            for each, rate in zip(faults, rates, strict=True)
        ]
        sources = [
            stack.enter_context(HttpSource(one.url, limits=getter.limits))
            for one in gateways
        ]
        yield gateways, sources


def get(getter: Any, sources: Sequence[Source]) -> Outcome:
    return download(plan(getter.dataset.record, sources, getter.folder), sources)


def all_done(outcome: Outcome) -> bool:
    return {file.state for file in outcome.files} == {"done"}


def test_every_source_gives_a_part_of_a_large_file(getter: Any) -> None:
    with serving(getter, [], [], [], rates=[60e6] * 3) as (gateways, sources):
        outcome = get(getter, sources)

    assert all_done(outcome)
    assert getter.on_disk() == getter.dataset.files
    assert all(told.given_bytes > MIB for told in outcome.sources)
    total = sum(map(len, getter.dataset.files.values()))
    assert sum(told.given_bytes for told in outcome.sources) == total
    assert all("bytes=" in " ".join(one.requests) for one in gateways)


def test_no_range_of_several_sources_is_larger_than_4_mib(getter: Any) -> None:
    with serving(getter, [], []) as (gateways, sources):
        get(getter, sources)

    asked = [
        line.partition("bytes=")[2].split("-")
        for one in gateways
        for line in one.requests
        if "bytes=" in line
    ]
    assert max(int(b) + 1 - int(a) for a, b in asked) == SHARED_RANGE_BYTES


def test_a_slow_source_gives_less_and_holds_nobody_up(getter: Any) -> None:
    with serving(getter, [], [], rates=[1e6, 80e6]) as (_, sources):
        outcome = get(getter, sources)

    slow, fast = outcome.sources
    assert all_done(outcome)
    assert slow.given_bytes < fast.given_bytes / 4
    assert getter.on_disk() == getter.dataset.files


def test_a_liar_is_asked_no_more_and_is_named(getter: Any, large: str) -> None:
    lies = [Fault("lie", on=large, at=MIB)]
    with serving(getter, [], lies) as (gateways, sources):
        wanted = plan(getter.dataset.record, sources, getter.folder)
        gateways[1].requests.clear()
        outcome = download(wanted, sources)

    honest, liar = outcome.sources
    assert all_done(outcome)
    assert getter.on_disk() == getter.dataset.files
    assert (honest.state, liar.state) == ("ok", "dropped")
    assert isinstance(liar.error, ContentMismatchError)
    assert liar.error.facts["where"] == sources[1].name
    spoilt = [line for line in gateways[1].requests if large in line]
    assert len(spoilt) == 1


def test_files_of_the_liar_are_none(getter: Any) -> None:
    with serving(getter, [], [Fault("lie", on="/ipfs/")]) as (_, sources):
        outcome = get(getter, sources)

    assert all(file.sources == (sources[0].name,) for file in outcome.files[1:])
    assert all(sources[1].name not in file.sources for file in outcome.files)


def test_who_lies_about_the_directory_is_out_before_the_first_byte(
    getter: Any,
) -> None:
    lie = [Fault("lie", on=str(getter.dataset.root), at=40)]
    with serving(getter, lie, []) as (gateways, sources):
        outcome = get(getter, sources)

    assert all_done(outcome)
    assert [told.state for told in outcome.sources] == ["dropped", "ok"]
    assert len(gateways[0].requests) == 1


def test_bytes_that_change_between_two_requests_are_noticed(
    getter: Any, large: str
) -> None:
    fickle = [Fault("none", on=large, times=2), Fault("lie", on=large)]
    with serving(getter, fickle, [], rates=[80e6, 80e6]) as (_, sources):
        outcome = get(getter, sources)

    assert all_done(outcome)
    assert getter.on_disk() == getter.dataset.files
    assert outcome.sources[0].state == "dropped"


def test_a_source_that_dies_half_way_is_gone_on_without(
    getter: Any, large: str
) -> None:
    dying = [Fault("none", on=large, times=2), Fault("cut", on="/ipfs/", at=0)]
    with serving(getter, dying, []) as (_, sources):
        outcome = get(getter, sources)

    assert all_done(outcome)
    assert getter.on_disk() == getter.dataset.files
    assert outcome.sources[1].state == "ok"


def test_a_source_that_comes_back_is_used_again(getter: Any, large: str) -> None:
    ill = [Fault("status", on=large, at=503, times=2)]
    with serving(getter, ill, [], rates=[None, 12e6]) as (_, sources):
        outcome = get(getter, sources)

    back, steady = outcome.sources
    assert all_done(outcome)
    assert back.given_bytes > steady.given_bytes
    assert back.state == "ok"


def test_an_outage_is_one_failure_however_many_connections_there_are(
    getter: Any, large: str
) -> None:
    connections = 2 * getter.limits.attempts
    with serving(getter, [], []) as (gateways, sources):
        wanted = plan(getter.dataset.record, sources, getter.folder)
        for gateway in gateways:
            gateway.faults.append(Fault("status", on=large, at=503, times=4))
        outcome = download(wanted, sources, connections=connections)

    assert all_done(outcome)
    assert getter.on_disk() == getter.dataset.files


def test_a_source_that_says_nothing_holds_no_small_file_up(getter: Any) -> None:
    patient = replace(getter.limits, silence_s=300.0, answer_s=300.0)
    small = str(getter.dataset.cid("rec/vol.rec"))
    with (
        FakeGateway(getter.dataset.store) as gateway,
        FakeGateway(getter.dataset.store) as good,
        HttpSource(gateway.url, limits=patient) as silent,
        HttpSource(good.url, limits=patient) as source,
    ):
        selection = Selection(("rec/vol.rec",))
        wanted = plan(getter.dataset.record, [source, silent], getter.folder, selection)
        gateway.faults.append(Fault("stall", on=small))
        # The silent one alone is there to begin with, and takes the only range.
        good.faults.append(Fault("status", on=small, at=503, times=1))
        outcome = download(wanted, [silent, source])

    assert all_done(outcome)


def test_a_source_that_stalls_holds_nobody_up(getter: Any, large: str) -> None:
    patient = replace(getter.limits, silence_s=300.0, answer_s=300.0)
    stall = [Fault("stall", on=f"{large}", at=MIB // 2)]
    with (
        FakeGateway(getter.dataset.store) as gateway,
        FakeGateway(getter.dataset.store) as good,
        HttpSource(gateway.url, limits=patient) as silent,
        HttpSource(good.url, limits=patient) as source,
    ):
        wanted = plan(getter.dataset.record, [source, silent], getter.folder)
        gateway.faults += stall
        outcome = download(wanted, [silent, source])

    assert all_done(outcome)
    assert getter.on_disk() == getter.dataset.files


def test_a_source_is_left_alone_for_as_long_as_it_asks(getter: Any, large: str) -> None:
    away = Fault("status", on=large, at=429, headers={"Retry-After": "3600"})
    with serving(getter, [], [], rates=[None, 40e6]) as (gateways, sources):
        wanted = plan(getter.dataset.record, sources, getter.folder)
        gateways[0].faults.append(away)
        gateways[0].requests.clear()
        outcome = download(wanted, sources)

    assert all_done(outcome)
    assert len([line for line in gateways[0].requests if large in line]) == 1
    assert outcome.sources[0].state == "dropped"


def test_when_all_are_down_the_files_fail_in_time(getter: Any) -> None:
    with serving(getter, [], []) as (gateways, sources):
        wanted = plan(getter.dataset.record, sources, getter.folder)
        for gateway in gateways:
            gateway.faults.append(Fault("status", at=500))
        outcome = download(wanted, sources)

    failed = [file for file in outcome.files if file.state == "failed"]
    assert len(failed) == 3  # the empty file needs no bytes
    assert all(isinstance(file.error, UnavailableError) for file in failed)


def test_when_all_lie_nothing_is_delivered(getter: Any) -> None:
    with serving(getter, [], []) as (gateways, sources):
        wanted = plan(getter.dataset.record, sources, getter.folder)
        for gateway in gateways:
            gateway.faults.append(Fault("lie", at=0))
        outcome = download(wanted, sources)

    assert {told.state for told in outcome.sources} == {"dropped"}
    assert set(getter.on_disk()) <= {"empty.dat"}


def test_an_encoded_answer_is_refused(getter: Any, large: str) -> None:
    packed = [Fault("none", on=large, headers={"Content-Encoding": "gzip"})]
    with serving(getter, packed, []) as (_, sources):
        outcome = get(getter, sources)

    assert all_done(outcome)
    assert getter.on_disk() == getter.dataset.files
    assert isinstance(outcome.sources[0].error, InvalidDataError)


def test_no_encoding_is_asked_for(getter: Any) -> None:
    packed = Fault("none", headers={"Content-Encoding": "gzip"})
    with FakeGateway(getter.dataset.store, faults=[packed]) as gateway:
        url = f"{gateway.url}/ipfs/{getter.dataset.root}?format=raw"
        with pytest.raises(InvalidDataError, match="encoding 'gzip'"):
            Http(getter.limits).fetch(url, accept="*/*", max_bytes=MIB)


@pytest.mark.parametrize("kind", ["more", "shift", "whole"])
def test_whoever_sends_another_range_is_not_needed(
    getter: Any, large: str, kind: str
) -> None:
    with serving(getter, [], []) as (gateways, sources):
        wanted = plan(getter.dataset.record, sources, getter.folder)
        gateways[0].faults.append(Fault(kind, on=large, at=50 * MIB))
        outcome = download(wanted, sources)

    assert all_done(outcome)
    assert getter.on_disk() == getter.dataset.files
    told = outcome.sources[0]
    assert told.state == "dropped"
    assert isinstance(told.error, InvalidDataError)
    assert len([one for one in gateways[0].requests if large in one]) <= 2


@pytest.mark.parametrize("status", [403, 404, 451])
def test_a_source_that_does_not_give_one_file_gives_the_others(
    getter: Any, large: str, status: int
) -> None:
    with serving(getter, [], [], rates=[None, 40e6]) as (gateways, sources):
        wanted = plan(getter.dataset.record, sources, getter.folder)
        gateways[0].faults.append(Fault("status", on=large, at=status))
        outcome = download(wanted, sources)

    assert all_done(outcome)
    assert outcome.sources[0].state == "failing"


def test_a_look_tells_what_was_there_from_what_was_fetched(getter: Any) -> None:
    looks = []

    @contextlib.contextmanager
    def watch(look: Callable[[], Look]) -> Iterator[None]:
        yield
        looks.append(look())

    right = getter.dataset.files[LARGE]
    partial = Folder(getter.folder).partial(LARGE)
    partial.parent.mkdir(parents=True)
    partial.write_bytes(right[: 30 * MIB])
    with serving(getter, [], []) as (_, sources):
        wanted = plan(
            getter.dataset.record, sources, getter.folder, Selection((LARGE,))
        )
        download(wanted, sources, watch=watch)

    (last,) = looks
    assert (last.total_bytes, last.found_bytes) == (len(right), 30 * MIB)
    assert last.fetched_bytes == len(right) - 30 * MIB
    assert sum(one.given_bytes for one in last.sources) == last.fetched_bytes
    assert (last.files, last.ended_files, last.under_way) == (1, 1, ())


def test_what_a_liar_gave_rightly_before_is_not_fetched_again(
    getter: Any, large: str
) -> None:
    lie_at = 4 * MIB + MIB // 2
    with serving(getter, [Fault("lie", on=large, at=lie_at)]) as (_, sources):
        wanted = plan(getter.dataset.record, sources, getter.folder)
        told = download(wanted, sources, connections=1)
    assert {file.state for file in told.files} == {"done", "failed"}

    with serving(getter, []) as (gateways, sources):
        get(getter, sources)

    assert getter.on_disk() == getter.dataset.files
    asked = "\n".join(line for line in gateways[0].requests if large in line)
    assert f"bytes={4 * MIB}-" in asked
    assert "bytes=0-" not in asked
