"""Reading files by stamp, with handles kept open."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from etdb.errors import (
    ConflictError,
    InvalidDataError,
    NotFoundError,
    UnavailableError,
)
from etdb.store.openfiles import OpenFiles, Stamp, file_errors, reading, stamp_of


@pytest.fixture
def path(tmp_path: Path) -> Path:
    target = tmp_path / "ts.mrc"
    target.write_bytes(b"0123456789")
    return target


def _open_handles() -> int:
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - counts, no paths


def test_a_part_of_a_file_is_read(path: Path) -> None:
    files = OpenFiles()

    assert files.read(path, stamp_of(path), 2, 3) == b"234"
    assert files.read(path, stamp_of(path), 8, 5) == b"89"
    files.close()


def test_a_file_stays_open_between_reads_until_closed(path: Path) -> None:
    before = _open_handles()
    files = OpenFiles()

    for _ in range(5):
        files.read(path, stamp_of(path), 0, 1)

    assert _open_handles() == before + 1
    files.close()
    assert _open_handles() == before


def test_few_files_stay_open(tmp_path: Path) -> None:
    before = _open_handles()
    files = OpenFiles(limit=3)

    for number in range(10):
        path = tmp_path / str(number)
        path.write_bytes(b"x")
        files.read(path, stamp_of(path), 0, 1)

    assert _open_handles() == before + 3
    files.close()


@pytest.mark.parametrize("is_open", [False, True])
def test_a_changed_file_is_not_read(path: Path, is_open: bool) -> None:
    files, stamp = OpenFiles(), stamp_of(path)
    if is_open:
        files.read(path, stamp, 0, 1)

    os.utime(path, ns=(0, 0))

    with pytest.raises(ConflictError, match="changed"):
        files.read(path, stamp, 0, 1)
    files.close()


def test_a_file_put_in_place_of_an_open_one_is_seen(path: Path) -> None:
    files, stamp = OpenFiles(), stamp_of(path)
    files.read(path, stamp, 0, 1)
    other = path.with_name("other")
    other.write_bytes(b"abcdefghij")

    other.replace(path)

    with pytest.raises(ConflictError):
        files.read(path, stamp, 0, 1)
    assert files.read(path, stamp_of(path), 0, 1) == b"a"
    files.close()


def test_a_file_that_was_deleted_while_open_is_not_found(path: Path) -> None:
    files, stamp = OpenFiles(), stamp_of(path)
    files.read(path, stamp, 0, 1)

    path.unlink()

    with pytest.raises(NotFoundError):
        files.read(path, stamp, 0, 1)
    files.close()


def test_permissions_may_change(path: Path) -> None:
    files, stamp = OpenFiles(), stamp_of(path)

    path.chmod(0o400)

    assert files.read(path, stamp, 0, 1) == b"0"
    files.close()


def test_only_regular_files_are_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")

    for path in (tmp_path, tmp_path / "pipe"):
        with pytest.raises(InvalidDataError, match="not a regular file"), reading(path):
            pytest.fail("it was opened")


def test_errors_of_the_system_become_ours(path: Path) -> None:
    for error, expected in (
        (FileNotFoundError(2, "gone"), NotFoundError),
        (NotADirectoryError(20, "no folder"), NotFoundError),
        (PermissionError(13, "denied"), UnavailableError),
        (OSError(5, "Input/output error"), UnavailableError),
    ):
        with pytest.raises(expected, match=path.name), file_errors(path):
            raise error


def test_inode_numbers_of_64_bits_fit_into_sql() -> None:
    status = os.stat_result((0o100644, 2**64 - 1, 0, 1, 0, 0, 5, 0, 0, 0))

    assert Stamp.of(status).inode == 2**63 - 1
