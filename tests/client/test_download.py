"""Downloading from honest sources: what is fetched, and what is not."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from etdb.client.download import Outcome, download, plan
from etdb.client.folder import Folder
from etdb.client.sources import Range, StoreSource
from etdb.client.transfer import range_bytes
from etdb.errors import ConflictError, NotFoundError, UnavailableError
from etdb.identity import CID
from etdb.store.directory import build_tree
from etdb.store.unixfs import (
    KUBO_NOCOPY_V0,
    UNIXFS_V0_2015,
    UNIXFS_V1_2025,
    Profile,
)
from etdb.testing.gateway import Fault

MIB = 1 << 20


def ranges_of(requests: list[str]) -> list[tuple[int, int]]:
    """(start, stop) of every range that was asked for."""
    asked = [line.partition(" bytes=")[2] for line in requests if " bytes=" in line]
    pairs = [text.split("-") for text in asked]
    return sorted((int(first), int(last) + 1) for first, last in pairs)


def flip(path: Path, at: int) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


def test_every_file_stands_under_its_name(getter: Any) -> None:
    with getter.serving() as (_, source):
        results = getter.get(source)

    assert [result.state for result in results] == ["done"] * 4
    assert getter.on_disk() == getter.dataset.files


def test_a_large_file_is_taken_in_ranges_of_32_mib(getter: Any) -> None:
    with getter.serving() as (gateway, source):
        getter.get(source, include=("*.st",))

    size = len(getter.dataset.files["raw/ts 1.st"])
    assert ranges_of(gateway.requests) == [(0, 32 * MIB), (32 * MIB, size)]


def test_answers_that_do_not_say_their_length_are_taken(getter: Any) -> None:
    with getter.serving(Fault("chunked")) as (_, source):
        getter.get(source)

    assert getter.on_disk() == getter.dataset.files


@pytest.mark.parametrize(
    ("gib", "mib"), [(0, 32), (0.25, 32), (0.5, 64), (1, 128), (1024, 128)]
)
def test_a_larger_file_is_taken_in_larger_ranges(gib: float, mib: int) -> None:
    assert range_bytes(int(gib * 1024) * MIB, is_alone=True) == mib * MIB


def test_planning_writes_nothing_and_says_the_size(getter: Any) -> None:
    with getter.serving() as (_, source):
        wanted = plan(getter.dataset.record, [source], getter.folder)

    assert not getter.folder.exists()
    assert wanted.total_bytes == sum(map(len, getter.dataset.files.values()))
    assert wanted.have_bytes == 0


def test_files_that_are_right_are_not_fetched_again(getter: Any) -> None:
    with getter.serving() as (_, source):
        getter.get(source)

    with getter.serving() as (gateway, source):
        wanted = plan(getter.dataset.record, [source], getter.folder)
        results = download(wanted, [source]).files

    assert wanted.have_bytes == wanted.total_bytes
    assert {result.state for result in results} == {"present"}
    assert gateway.requests == []


def test_a_wrong_file_is_mended_by_fetching_its_wrong_chunk(getter: Any) -> None:
    with getter.serving() as (_, source):
        getter.get(source)
    flip(getter.folder / "raw/ts 1.st", at=3 * MIB + 5)

    with getter.serving() as (gateway, source):
        results = getter.get(source, include=("*.st",))

    assert [result.state for result in results] == ["done"]
    assert ranges_of(gateway.requests) == [(3 * MIB, 4 * MIB)]
    assert getter.on_disk() == getter.dataset.files


def test_a_wrong_file_in_a_folder_of_somebody_elses_is_left_alone(
    getter: Any,
) -> None:
    place = getter.folder / "raw/ts 1.st"
    place.parent.mkdir(parents=True)
    place.write_bytes(b"somebody's own")

    with getter.serving() as (_, source):
        for _ in range(2):
            with pytest.raises(ConflictError, match="other files"):
                getter.get(source, include=("*.st",))

    assert place.read_bytes() == b"somebody's own"


@pytest.mark.parametrize("size", [0, 5 * MIB, 25 * MIB])
def test_a_file_of_the_wrong_length_is_mended(getter: Any, size: int) -> None:
    name = "raw/ts 1.st"
    right = getter.dataset.files[name]
    place = getter.folder / name
    with getter.serving() as (_, source):
        getter.get(source, include=("*.st",))
    place.write_bytes((right + right)[:size])

    with getter.serving() as (gateway, source):
        getter.get(source, include=("*.st",))

    fetched = sum(stop - start for start, stop in ranges_of(gateway.requests))
    assert fetched == max(0, len(right) - size // MIB * MIB)
    assert place.read_bytes() == right


def test_what_an_earlier_run_left_is_gone_on_with(getter: Any) -> None:
    name = "raw/ts 1.st"
    right = getter.dataset.files[name]
    with Folder(getter.folder).claimed():
        Folder(getter.folder).partial(name).write_bytes(right[: 7 * MIB + 9])

    with getter.serving() as (gateway, source):
        getter.get(source, include=("*.st",))

    assert ranges_of(gateway.requests)[0][0] == 7 * MIB
    assert getter.on_disk() == {name: right}
    assert not Folder(getter.folder).partial(name).exists()


def test_what_an_earlier_run_left_is_not_believed(getter: Any) -> None:
    name = "raw/ts 1.st"
    right = getter.dataset.files[name]
    partial = Folder(getter.folder).partial(name)
    with Folder(getter.folder).claimed():
        partial.write_bytes(right)
    flip(partial, at=2 * MIB)

    with getter.serving() as (gateway, source):
        getter.get(source, include=("*.st",))

    assert ranges_of(gateway.requests) == [(2 * MIB, 3 * MIB)]
    assert getter.on_disk() == {name: right}


def test_only_included_files_are_fetched(getter: Any) -> None:
    with getter.serving() as (_, source):
        getter.get(source, include=("*.rec", "notes*"))

    assert set(getter.on_disk()) == {"rec/vol.rec", "notes.txt"}


def test_globs_that_match_nothing_are_an_error(getter: Any) -> None:
    with (
        getter.serving() as (_, source),
        pytest.raises(NotFoundError, match=r"\*\.mrc"),
    ):
        getter.get(source, include=("*.mrc",))


@pytest.mark.parametrize("profile", [KUBO_NOCOPY_V0, UNIXFS_V0_2015])
def test_older_layouts_are_fetched_and_mended(
    getter: Any, make_dataset: Any, profile: Profile
) -> None:
    old = getter.of(make_dataset({"a/vol.rec": bytes(range(256)) * 4096}, profile))
    with old.serving() as (_, source):
        old.get(source)
    flip(old.folder / "a/vol.rec", at=300_000)

    with old.serving() as (_, source):
        results = old.get(source)

    assert [result.state for result in results] == ["done"]
    assert old.on_disk() == old.dataset.files


def test_a_store_at_hand_is_a_source(getter: Any) -> None:
    getter.get(StoreSource(getter.dataset.store))

    assert getter.on_disk() == getter.dataset.files


def test_what_one_source_lacks_is_taken_from_another(getter: Any) -> None:
    lacking = Fault("status", on=f"{getter.dataset.cid('rec/vol.rec')}", at=404)

    with getter.serving(lacking) as (_, poor), getter.serving() as (_, good):
        results = getter.get(poor, good)

    assert {result.state for result in results} == {"done"}
    assert getter.on_disk() == getter.dataset.files


def test_a_folder_that_holds_another_record_is_refused(
    getter: Any, make_dataset: Any
) -> None:
    getter.get(StoreSource(getter.dataset.store))
    other = getter.of(make_dataset({"notes.txt": b"others'"}))

    with pytest.raises(ConflictError, match="holds record"):
        other.get(StoreSource(other.dataset.store))

    assert getter.on_disk() == getter.dataset.files


def test_a_second_download_into_a_folder_is_refused(getter: Any) -> None:
    with (
        Folder(getter.folder).claimed(),
        pytest.raises(ConflictError, match="etdb get"),
    ):
        getter.get(StoreSource(getter.dataset.store))


def test_without_room_nothing_is_begun(
    getter: Any, make_dataset: Any, make_record: Any
) -> None:
    store = make_dataset({"a": b""}).store
    files = {"huge.st": store.add_repeated(bytes(MIB), levels=3)}
    record = make_record(build_tree(files, UNIXFS_V1_2025, store.put).cid)
    source = StoreSource(store)
    wanted = plan(record, [source], getter.folder)

    with pytest.raises(UnavailableError, match="has room for"):
        download(wanted, [source])

    assert wanted.total_bytes == 1 << 50
    assert getter.on_disk() == {}


TWINS = {"Ts3.rec": b"one", "a/ts.st": b"two", "A/TS.st": b"three", "ts3.rec": b"four"}


def test_names_that_differ_in_case_are_two_files(
    make_dataset: Any, make_record: Any, tmp_path: Path
) -> None:
    outcome = _get_twins(make_dataset, make_record, tmp_path)

    assert all(file.state == "done" for file in outcome.files)
    for name, content in TWINS.items():
        assert (tmp_path / "got" / name).read_bytes() == content


def test_where_the_disk_takes_them_for_one_the_second_fails(
    make_dataset: Any,
    make_record: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Folder, "folds_names", lambda _self: True)

    outcome = _get_twins(make_dataset, make_record, tmp_path)

    states = {file.name: file.state for file in outcome.files}
    assert sorted(states.values()) == ["done", "done", "failed", "failed"]
    for file in outcome.files:
        is_there = (tmp_path / "got" / file.name).exists()
        assert is_there == (file.state == "done")
        if file.state == "failed":
            assert isinstance(file.error, ConflictError)


def _get_twins(make_dataset: Any, make_record: Any, folder: Path) -> Outcome:
    dataset = make_dataset(TWINS)
    source = StoreSource(dataset.store)
    record = make_record(dataset.root)
    return download(plan(record, [source], folder / "got"), [source])


class FillingDisk(StoreSource):
    """While bytes arrive, the system stops letting files grow beyond 4 MiB."""

    connections = 1

    def open_range(
        self, cid: CID, start: int, stop: int, *, may_wait: bool = True
    ) -> Range:
        if stop > 4 * MIB:
            limit_file_size(4 * MIB)
        return super().open_range(cid, start, stop, may_wait=may_wait)


def limit_file_size(limit_bytes: int) -> None:
    hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit_bytes, hard))


@pytest.fixture
def any_size() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_fails_the_file_and_no_other(getter: Any, any_size: None) -> None:
    results = getter.get(FillingDisk(getter.dataset.store))

    failed = next(result for result in results if result.name == "raw/ts 1.st")
    assert isinstance(failed.error, UnavailableError)
    assert "raw/ts 1.st" not in getter.on_disk()
    assert sorted(result.state for result in results) == ["done"] * 3 + ["failed"]


def test_a_download_goes_on_when_there_is_room_again(
    getter: Any, any_size: None
) -> None:
    getter.get(FillingDisk(getter.dataset.store))
    limit_file_size(resource.RLIM_INFINITY)

    with getter.serving() as (gateway, source):
        getter.get(source)

    assert ranges_of(gateway.requests)[0][0] == 4 * MIB
    assert getter.on_disk() == getter.dataset.files
