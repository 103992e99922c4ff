"""One file to one path, whatever its layout and whatever stands there."""

from __future__ import annotations

from pathlib import Path

import pytest

from etdb.client.content import DatasetFile
from etdb.client.saving import is_saved, part_of, save
from etdb.client.sources import StoreSource
from etdb.client.supply import Supply
from etdb.errors import InvalidDataError, NotFoundError, UnavailableError
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
    part_of(file, path).write_bytes(left_over)

    assert not is_saved(supply, file, path)
    save(supply, file, path)

    assert path.read_bytes() == DATA
    assert is_saved(supply, file, path)
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("profile", [UNIXFS_V1_2025, UNIXFS_V0_2015])
def test_a_changed_byte_and_a_wrong_length_are_noticed(
    profile: Profile, tmp_path: Path
) -> None:
    supply, file = stored(DATA, profile)
    path = tmp_path / "file"
    for wrong in (b"", DATA[:-1], DATA + b"!", DATA[:-1] + b"!"):
        path.write_bytes(wrong)

        assert not is_saved(supply, file, path)


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


def test_a_link_in_the_part_s_place_is_not_followed(tmp_path: Path) -> None:
    supply, file = stored(DATA, UNIXFS_V1_2025)
    other = tmp_path / "other"
    other.write_bytes(b"kept")
    part_of(file, tmp_path / "file").symlink_to(other)

    with pytest.raises(UnavailableError):
        save(supply, file, tmp_path / "file")

    assert other.read_bytes() == b"kept"
