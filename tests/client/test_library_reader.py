"""`file.open()`: reading what is far away as if it were here."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable, Iterator
from typing import Any

import mrcfile  # type: ignore[import-untyped]
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from etdb.client import reader, supply
from etdb.client.content import DatasetFile
from etdb.client.reader import open_remote
from etdb.client.sources import HttpSource, StoreSource
from etdb.client.supply import Supply
from etdb.errors import ContentMismatchError, InvalidDataError, NotFoundError
from etdb.identity import CID
from etdb.store.unixfs import KUBO_NOCOPY_V0, UNIXFS_V0_2015, UNIXFS_V1_2025, Profile
from etdb.testing.gateway import FakeGateway, Fault
from etdb.testing.store import MemoryStore

MIB = 1 << 20
NAME = "raw/ts 1.st"
Opened = Callable[..., contextlib.AbstractContextManager[Any]]


def dataset_file(dataset: Any, name: str = NAME) -> DatasetFile:
    return DatasetFile(name, dataset.cid(name), len(dataset.files[name]))


@pytest.fixture
def opened(getter: Any) -> Opened:
    """The file opened over HTTP, and the gateway it comes from."""

    @contextlib.contextmanager
    def opening(*faults: Fault, **options: int) -> Iterator[Any]:
        file = dataset_file(getter.dataset)
        with (
            getter.serving(*faults) as (gateway, source),
            open_remote(Supply([source]), file, **options) as remote,
        ):
            yield remote, gateway

    return opening


def fetched_bytes(gateway: FakeGateway) -> int:
    """Of ranges; blocks that describe the file are few and small."""
    total = 0
    for line in gateway.requests:
        first, _, last = line.partition(" bytes=")[2].partition("-")
        total += int(last) - int(first) + 1 if last else 0
    return total


def test_a_source_that_says_nothing_is_not_waited_for_again_and_again(
    getter: Any,
) -> None:
    file = dataset_file(getter.dataset)
    with (
        getter.serving(Fault("stall")) as (silent, first),
        getter.serving() as (_, second),
        open_remote(Supply([first, second]), file) as remote,
    ):
        for place in range(0, len(getter.dataset.files[NAME]), 9 * MIB):
            remote.seek(place)
            assert remote.read(5) == getter.dataset.files[NAME][place : place + 5]

    assert len(silent.requests) == 1


def in_memory(data: bytes, profile: Profile) -> tuple[Supply, DatasetFile]:
    store = MemoryStore()
    cid = store.add_bytes(data, profile).cid
    return Supply([StoreSource(store)]), DatasetFile("file", cid, len(data))


DATA = np.random.default_rng(3).bytes(900_000)  # synthetic
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("read"), st.integers(-1, 400_000)),
        st.tuples(st.just("read1"), st.integers(0, 100_000)),
        st.tuples(st.just("seek"), st.integers(0, 1_000_000)),
        st.tuples(st.just("back"), st.integers(-1_000_000, 0)),
        st.tuples(st.just("on"), st.integers(-50_000, 50_000)),
    ),
    max_size=12,
)


@pytest.mark.parametrize("profile", [UNIXFS_V1_2025, UNIXFS_V0_2015, KUBO_NOCOPY_V0])
@given(steps=STEPS)
def test_it_reads_and_seeks_as_a_file_in_memory_does(
    profile: Profile, steps: list[tuple[str, int]]
) -> None:
    expected = io.BytesIO(DATA)

    with open_remote(*in_memory(DATA, profile)) as file:
        for kind, number in steps:
            assert _do(file, kind, number) == _do(expected, kind, number)
            assert file.tell() == expected.tell()
        assert file.read() == expected.read()


def _do(file: Any, kind: str, number: int) -> object:
    if kind == "read":
        return file.read(number)
    if kind == "read1":
        # How much comes at once is the file's affair; that it is right is not.
        start = file.tell()
        return DATA[start:].startswith(file.read1(number)) and file.seek(start)
    whence = {"seek": io.SEEK_SET, "back": io.SEEK_END, "on": io.SEEK_CUR}[kind]
    if kind == "on" and file.tell() + number < 0:
        return "before the start"
    return file.seek(number, whence) if kind != "back" else _seek_back(file, number)


def _seek_back(file: Any, number: int) -> int:
    return int(file.seek(max(number, -len(DATA)), io.SEEK_END))


def test_no_place_before_the_start_is_sought(opened: Opened) -> None:
    with opened() as (file, _):
        for offset, whence in ((-1, 0), (-1, 1), (-(10**9), 2), (0, 9)):
            with pytest.raises(ValueError, match=r"seek|whence"):
                file.seek(offset, whence)


def test_a_range_costs_at_most_the_chunks_it_touches(opened: Opened) -> None:
    with opened() as (file, gateway):
        file.seek(20 * MIB + 500_000)
        file.read(1_000_000)

    assert fetched_bytes(gateway) <= 2 * MIB


def test_a_header_and_a_slice_cost_their_chunks(opened: Opened) -> None:
    with opened() as (file, gateway):
        file.read(1024)
        file.seek(1024 + 9 * MIB)
        file.read(MIB)

    assert fetched_bytes(gateway) == 3 * MIB


def test_what_was_read_is_not_fetched_again(opened: Opened) -> None:
    with opened() as (file, gateway):
        for _ in range(3):
            file.seek(5 * MIB)
            file.read(3 * MIB)

    assert fetched_bytes(gateway) == 3 * MIB


def test_reading_on_in_order_takes_larger_and_larger_ranges(opened: Opened) -> None:
    with opened() as (file, gateway):
        parts = [file.read(100_000) for _ in range(200)]

    assert len(b"".join(parts)) == 20_000_000
    assert fetched_bytes(gateway) <= 2 * 20_000_000 + 2 * MIB
    assert sum(" bytes=" in line for line in gateway.requests) <= 8


def test_what_is_kept_is_bounded(opened: Opened, getter: Any) -> None:
    with opened(cache_bytes=1) as (file, gateway):
        assert file.read() == getter.dataset.files[NAME]
        kept = file.raw._blocks

        assert kept._size_bytes <= kept.capacity_bytes == reader.MIN_CACHE_BYTES
        assert fetched_bytes(gateway) == len(getter.dataset.files[NAME])


def test_a_lie_is_an_error_and_never_a_byte(opened: Opened, getter: Any) -> None:
    lie = Fault("lie", on=str(getter.dataset.cid(NAME)) + "", at=1_000)
    blocks = Fault("none", on="format=raw")

    with opened(blocks, lie) as (file, _):
        file.seek(7 * MIB)
        with pytest.raises(ContentMismatchError):
            file.read(100)
        assert file.tell() == 7 * MIB

        lie.times = 0
        assert file.read(100) == getter.dataset.files[NAME][7 * MIB :][:100]


def test_without_the_check_the_lie_would_be_read(
    opened: Opened, getter: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supply, "verify_chunk", lambda chunk, data, where: None)
    lie = Fault("lie", on=str(getter.dataset.cid(NAME)), at=50)

    with opened(Fault("none", on="format=raw"), lie) as (file, _):
        file.seek(7 * MIB)
        found = file.read(100)

    assert found != getter.dataset.files[NAME][7 * MIB :][:100]


def test_a_block_that_lies_about_the_file_s_shape_is_refused(getter: Any) -> None:
    lie = Fault("lie", on="format=raw", at=60)

    with getter.serving(lie) as (_, source), pytest.raises(ContentMismatchError):
        open_remote(Supply([source]), dataset_file(getter.dataset))


def test_a_size_that_is_not_the_file_s_is_refused() -> None:
    source, file = in_memory(b"four", UNIXFS_V1_2025)

    with pytest.raises(InvalidDataError, match="not the 3 bytes"):
        open_remote(source, DatasetFile("file", file.cid, 3))


def test_a_file_with_a_problem_cannot_be_opened(dataset: Any) -> None:
    problem = NotFoundError("block", "x")

    with pytest.raises(NotFoundError):
        open_remote(Supply([]), DatasetFile("x", dataset.cid(NAME), 0, problem))


def test_a_closed_file_is_closed(opened: Opened) -> None:
    with opened() as (file, _):
        file.close()

        with pytest.raises(ValueError, match="closed"):
            file.read(1)
        with pytest.raises(ValueError, match="closed"):
            file.raw.tell()


def test_a_liar_is_not_asked_again_while_there_are_others(getter: Any) -> None:
    dataset = getter.dataset
    lie = Fault("lie", on=f"{dataset.cid(NAME)}", at=5)
    with (
        getter.serving(Fault("none", on="format=raw"), lie) as (liar, first),
        FakeGateway(dataset.store) as honest,
        HttpSource(honest.url) as second,
        open_remote(Supply([first, second]), dataset_file(dataset)) as file,
    ):
        for start in (3 * MIB, 9 * MIB, 20 * MIB):
            file.seek(start)
            assert file.read(10) == dataset.files[NAME][start : start + 10]

    assert sum(" bytes=" in line for line in liar.requests) == 1


def test_mrcfile_reads_a_remote_volume(tmp_path: Any) -> None:
    path = tmp_path / "volume.mrc"
    volume = np.arange(40 * 64 * 64, dtype=np.float32).reshape(40, 64, 64)
    with mrcfile.new(path, data=volume) as made:
        made.voxel_size = 10.0

    with open_remote(*in_memory(path.read_bytes(), UNIXFS_V1_2025)) as file:
        read = mrcfile.mrcinterpreter.MrcInterpreter(iostream=file)
        header = np.frombuffer(_head(file), mrcfile.dtypes.HEADER_DTYPE)[0]
        file.seek(1024 + 7 * 64 * 64 * 4)
        one = np.frombuffer(file.read(64 * 64 * 4), "<f4").reshape(64, 64)

    assert np.array_equal(read.data, volume)
    assert (header["nx"], header["ny"], header["nz"]) == (64, 64, 40)
    assert np.array_equal(one, volume[7])


def _head(file: Any) -> bytes:
    file.seek(0)
    return bytes(file.read(1024))


def test_a_chunk_of_an_unknown_hash_is_a_clear_refusal() -> None:
    cid = CID(1, 0x55, b"\0" * 32, hash_code=0x13)

    with pytest.raises(InvalidDataError, match="not supported"):
        open_remote(Supply([StoreSource(_Anything())]), DatasetFile("file", cid, 4))


class _Anything:
    def get_block(self, cid: CID) -> bytes:
        return b"four"
