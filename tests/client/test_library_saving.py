"""One file to one path, whatever its layout and whatever stands there."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from etdb.client import dag
from etdb.client.content import DatasetFile
from etdb.client.saving import FilePlace, save, save_unless_there
from etdb.client.sources import StoreSource
from etdb.client.supply import Supply
from etdb.errors import (
    ConflictError,
    InvalidDataError,
    NotFoundError,
    UnavailableError,
)
from etdb.identity import CID
from etdb.store.unixfs import KUBO_NOCOPY_V0, UNIXFS_V0_2015, UNIXFS_V1_2025, Profile
from etdb.testing.store import MemoryStore

DATA = bytes(range(251)) * 8_000


def stored(data: bytes, profile: Profile) -> tuple[Supply, DatasetFile]:
    store = MemoryStore()
    cid = store.add_bytes(data, profile).cid
    return Supply([StoreSource(store)]), DatasetFile("file", cid, len(data))


@pytest.mark.parametrize("profile", [UNIXFS_V1_2025, UNIXFS_V0_2015, KUBO_NOCOPY_V0])
@pytest.mark.parametrize("left_over", [b"", DATA[:900_000], bytes(3_000_000)])
def test_every_layout_is_fetched_and_gone_on_with(
    profile: Profile, left_over: bytes, tmp_path: Path
) -> None:
    supply, file = stored(DATA, profile)
    path = tmp_path / "file"
    FilePlace(path, file).partial.write_bytes(left_over)

    save(supply, file, path)

    assert path.read_bytes() == DATA
    assert not save_unless_there(supply, file, path, may_mend=False)
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("profile", [UNIXFS_V1_2025, UNIXFS_V0_2015])
def test_a_changed_byte_and_a_wrong_length_are_noticed_and_mended(
    profile: Profile, tmp_path: Path
) -> None:
    supply, file = stored(DATA, profile)
    path = tmp_path / "file"
    for wrong in (b"", DATA[:-1], DATA + b"!", DATA[:-1] + b"!"):
        path.write_bytes(wrong)

        with pytest.raises(ConflictError):
            save_unless_there(supply, file, path, may_mend=False)
        assert path.read_bytes() == wrong
        assert save_unless_there(supply, file, path, may_mend=True)
        assert path.read_bytes() == DATA


def test_blocks_are_not_all_held_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dag, "HELD_BYTES", 600_000)
    held: list[int] = []
    hold = dag.Dag._hold

    def holding(self: dag.Dag, cid: CID, block: bytes) -> None:
        hold(self, cid, block)
        held.append(sum(map(len, self.held.values())))

    monkeypatch.setattr(dag.Dag, "_hold", holding)
    supply, file = stored(DATA, UNIXFS_V0_2015)

    save(supply, file, tmp_path / "file")

    assert (tmp_path / "file").read_bytes() == DATA
    assert 300_000 < max(held) <= 600_000


def test_a_size_that_the_file_does_not_have_is_refused(tmp_path: Path) -> None:
    supply, file = stored(DATA, UNIXFS_V1_2025)

    with pytest.raises(InvalidDataError, match="not the 5 bytes"):
        save(supply, DatasetFile("file", file.cid, 5), tmp_path / "file")

    assert not (tmp_path / "file").exists()


def test_what_is_known_to_be_wrong_is_raised(tmp_path: Path) -> None:
    supply, file = stored(DATA, UNIXFS_V1_2025)
    problem = NotFoundError("block", file.cid)

    with pytest.raises(NotFoundError):
        save(supply, DatasetFile("file", file.cid, 0, problem), tmp_path / "file")


def test_a_disk_that_refuses_is_said(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError, match="cannot write"):
        save(*stored(DATA, UNIXFS_V1_2025), tmp_path / "no" / "file")


def test_without_room_nothing_is_begun(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    supply, file = stored(DATA, UNIXFS_V1_2025)
    usage = shutil.disk_usage(tmp_path)._replace(free=len(DATA) - 1)
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: usage)

    with pytest.raises(UnavailableError, match="has room for"):
        save(supply, file, tmp_path / "file")

    assert list(tmp_path.iterdir()) == []


def test_a_link_in_the_part_s_place_is_not_followed(tmp_path: Path) -> None:
    supply, file = stored(DATA, UNIXFS_V1_2025)
    other = tmp_path / "other"
    other.write_bytes(b"kept")
    FilePlace(tmp_path / "file", file).partial.symlink_to(other)

    with pytest.raises(UnavailableError):
        save(supply, file, tmp_path / "file")

    assert other.read_bytes() == b"kept"
