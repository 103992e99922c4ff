"""The file beside: what an earlier run left of it, and what a power cut leaves."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from etdb.client import content, partial
from etdb.client.content import DatasetFile
from etdb.client.folder import Folder
from etdb.client.partial import SYNC_BYTES, PartialFile
from etdb.client.saving import FilePlace
from etdb.client.sources import HttpSource
from etdb.testing.gateway import FakeGateway

MIB = 1 << 20
LARGE = "raw/ts 1.st"


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """What was on disk, in bytes, each time that data were put there."""
    found: list[int] = []
    put = os.fdatasync

    def fdatasync(handle: int) -> None:
        put(handle)
        found.append(os.fstat(handle).st_blocks * 512)

    monkeypatch.setattr(os, "fdatasync", fdatasync)
    return found


def test_holes_of_an_earlier_run_are_not_read(
    getter: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = getter.dataset.files[LARGE]
    part = Folder(getter.folder).partial(LARGE)
    part.parent.mkdir(parents=True)
    with part.open("wb") as file:
        file.seek(8 * MIB)
        file.write(right[8 * MIB : 12 * MIB])
        file.truncate(len(right))
    read: list[int] = []

    def read_at(handle: int, view: memoryview, offset: int) -> bool:
        read.append(offset // MIB)
        return content.read_at(handle, view, offset)

    monkeypatch.setattr(partial, "read_at", read_at)
    with getter.serving() as (_, source):
        (result,) = getter.get(source, include=(LARGE,))

    assert result.state == "done"
    assert getter.on_disk() == {LARGE: right}
    assert sorted(read) == [8, 9, 10, 11]


def test_it_is_time_to_sync_after_so_many_bytes(
    getter: Any, tmp_path: Path, synced: list[int]
) -> None:
    size = 2 * SYNC_BYTES
    file = DatasetFile("file", getter.dataset.root, size)
    one = PartialFile(FilePlace(tmp_path / "file", file), file)
    one.create()

    due = [number for number in range(1, 65) if one.wrote(MIB)]
    one.sync()

    assert due == [32, 64]
    assert len(synced) == 1
    assert one.error is None


def test_what_has_its_name_already_need_not_be_synced(
    getter: Any, tmp_path: Path
) -> None:
    file = DatasetFile("file", getter.dataset.root, 5)
    one = PartialFile(FilePlace(tmp_path / "file", file), file)

    one.sync()

    assert one.error is None


def test_what_was_fetched_is_put_on_disk_before_the_end(
    getter: Any, monkeypatch: pytest.MonkeyPatch, synced: list[int]
) -> None:
    monkeypatch.setattr(partial, "SYNC_BYTES", 4 * MIB)
    slow = FakeGateway(getter.dataset.store, rate_bytes_s=60e6)
    other = FakeGateway(getter.dataset.store, rate_bytes_s=60e6)
    with (
        slow,
        other,
        HttpSource(slow.url) as one,
        HttpSource(other.url) as two,
    ):
        getter.get(one, two)

    assert 0 < synced[0] < len(getter.dataset.files[LARGE])
    assert getter.on_disk() == getter.dataset.files
