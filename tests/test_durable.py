"""What is written survives, whole or not at all."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from etdb import durable
from etdb.durable import MAX_ENTRY_BYTES, Log, lock, rename, replacing, write_bytes
from etdb.errors import ConflictError, DamagedFileError, UnavailableError
from etdb.testing.resources import disk_full_at

FRAME_BYTES = 8


def entries_of(path: Path) -> list[bytes]:
    return [entry for _, entry in Log(path).read_new()]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "entries.log"


@pytest.fixture
def two_groups(path: Path) -> tuple[int, bytes]:
    """Where the second group starts, and the file as it should be."""
    log = Log(path)
    log.append([b"one", b"two"])
    start = path.stat().st_size
    log.append([b"three", b"four", b"five"])
    return start, path.read_bytes()


def test_entries_are_read_back_in_order_by_another_reader(path: Path) -> None:
    log = Log(path)
    log.append([b"one", b"two"])
    log.append([b"three"])

    assert entries_of(path) == [b"one", b"two", b"three"]


def test_an_entry_is_read_again_at_the_offset_that_append_gave(path: Path) -> None:
    offsets = Log(path).append([b"one", b"two"])

    other = Log(path)

    assert [other.read_at(offset) for offset in offsets] == [b"one", b"two"]
    assert [offset for offset, _ in other.read_new()] == offsets


def test_a_reader_sees_what_was_appended_since_it_last_looked(path: Path) -> None:
    writer, reader = Log(path), Log(path)
    writer.append([b"one"])
    reader.read_new()

    writer.append([b"two"])

    assert [entry for _, entry in reader.read_new()] == [b"two"]
    assert reader.read_new() == []


def test_a_log_without_a_file_is_empty(path: Path) -> None:
    log = Log(path)

    assert log.read_new() == []
    assert log.cut() == 0
    assert log.append([]) == []
    assert not path.exists()


def test_a_long_log_is_read_in_several_steps(path: Path) -> None:
    log = Log(path)
    for byte in b"abc":
        log.append([bytes([byte]) * 9_000_000])

    reader = Log(path)
    steps = [[entry[:1] for _, entry in reader.read_new()] for _ in range(3)]

    assert steps == [[b"a", b"b"], [b"c"], []]


def test_a_group_torn_at_any_byte_is_not_there_and_is_cut(
    path: Path, two_groups: tuple[int, bytes]
) -> None:
    start, whole = two_groups
    for size in range(start, len(whole)):
        path.write_bytes(whole[:size])
        log = Log(path)

        assert [entry for _, entry in log.read_new()] == [b"one", b"two"]
        assert log.torn_bytes == size - start

        assert log.cut() == size - start
        assert path.read_bytes() == whole[:start]
        log.append([b"six"])
        assert entries_of(path) == [b"one", b"two", b"six"]


def test_appending_cuts_a_torn_tail_by_itself(
    path: Path, two_groups: tuple[int, bytes]
) -> None:
    start, whole = two_groups
    path.write_bytes(whole[:-1])
    log = Log(path)
    log.read_new()

    log.append([b"six"])

    assert log.torn_bytes == 0
    assert path.read_bytes()[:start] == whole[:start]
    assert entries_of(path) == [b"one", b"two", b"six"]


@pytest.mark.parametrize("zeros", [1, FRAME_BYTES, 3 * FRAME_BYTES, 5000])
def test_zeros_that_a_power_cut_left_are_a_torn_tail(path: Path, zeros: int) -> None:
    Log(path).append([b"one"])
    with path.open("ab") as file:
        file.write(bytes(zeros))

    log = Log(path)

    assert [entry for _, entry in log.read_new()] == [b"one"]
    assert log.torn_bytes == zeros


def test_a_last_group_of_the_right_size_with_lost_pages_is_a_torn_tail(
    path: Path, two_groups: tuple[int, bytes]
) -> None:
    start, whole = two_groups
    head = whole[: start + FRAME_BYTES]
    path.write_bytes(head + bytes(len(whole) - len(head)))

    log = Log(path)

    assert [entry for _, entry in log.read_new()] == [b"one", b"two"]
    assert log.torn_bytes == len(whole) - start


def test_damage_before_the_last_group_is_refused_and_nothing_is_cut(
    path: Path, two_groups: tuple[int, bytes]
) -> None:
    _, whole = two_groups
    damaged = bytearray(whole)
    damaged[FRAME_BYTES + FRAME_BYTES] ^= 1
    path.write_bytes(damaged)

    with pytest.raises(DamagedFileError, match="damaged"):
        Log(path).read_new()

    assert path.read_bytes() == damaged


def test_a_file_that_became_shorter_is_refused(
    path: Path, two_groups: tuple[int, bytes]
) -> None:
    start, whole = two_groups
    log = Log(path)
    log.read_new()
    path.write_bytes(whole[:start])

    with pytest.raises(DamagedFileError, match="cut off"):
        log.read_new()


def test_a_file_that_went_away_is_refused(path: Path) -> None:
    log = Log(path)
    log.append([b"one"])
    path.unlink()

    with pytest.raises(UnavailableError, match="cannot read"):
        log.read_new()


def test_reading_at_an_offset_without_an_entry_is_refused(path: Path) -> None:
    log = Log(path)
    [offset] = log.append([b"one"])

    with pytest.raises(DamagedFileError):
        log.read_at(offset + 1)


def test_a_writer_that_did_not_read_first_cuts_nothing(
    path: Path, two_groups: tuple[int, bytes]
) -> None:
    _, whole = two_groups
    log = Log(path)

    with pytest.raises(RuntimeError, match="not read before"):
        log.append([b"six"])

    assert log.cut() == 0
    assert path.read_bytes() == whole


def test_more_than_could_be_read_back_is_not_written(path: Path) -> None:
    with pytest.raises(RuntimeError, match="too many"):
        Log(path).append([bytes(MAX_ENTRY_BYTES + 1)])

    assert not path.exists()


def test_a_full_disk_leaves_the_log_as_it_was(
    path: Path, two_groups: tuple[int, bytes]
) -> None:
    _, whole = two_groups
    log = Log(path)
    log.read_new()

    with (
        disk_full_at(len(whole) + 1000),
        pytest.raises(UnavailableError, match=r"File too large|No space"),
    ):
        log.append([b"x" * 600, b"y" * 600])

    assert path.read_bytes() == whole
    log.append([b"six"])
    assert entries_of(path)[-1] == b"six"


def test_a_reader_waits_for_a_group_to_be_on_disk(path: Path) -> None:
    Log(path).append([b"one"])
    found: list[bytes] = []
    reader = threading.Thread(target=lambda: found.extend(entries_of(path)))

    with path.open("rb") as writing:
        fcntl.flock(writing, fcntl.LOCK_EX)
        reader.start()
        reader.join(timeout=0.1)
        assert reader.is_alive()
    reader.join(timeout=10)

    assert found == [b"one"]


def test_a_file_is_replaced_with_its_mode(tmp_path: Path) -> None:
    target = tmp_path / "key"
    write_bytes(target, b"old")

    write_bytes(target, b"new", mode=0o600)

    assert target.read_bytes() == b"new"
    assert target.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [target]


def test_an_error_while_replacing_leaves_the_old_file_alone(tmp_path: Path) -> None:
    target = tmp_path / "file"
    write_bytes(target, b"old")

    with pytest.raises(ValueError, match="stop"), replacing(target) as file:
        file.write(b"half")
        raise ValueError("stop")

    assert target.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [target]


def test_a_full_disk_while_replacing_leaves_the_old_file_alone(tmp_path: Path) -> None:
    target = tmp_path / "file"
    write_bytes(target, b"old")

    with disk_full_at(1000), pytest.raises(UnavailableError, match="cannot write"):
        write_bytes(target, b"x" * 2000)

    assert target.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [target]


def test_a_finished_file_gets_its_final_name(tmp_path: Path) -> None:
    source, target = tmp_path / "partial", tmp_path / "final"
    source.write_bytes(b"whole")

    rename(source, target)

    assert target.read_bytes() == b"whole"
    assert not source.exists()


def test_a_finished_folder_gets_its_final_name(tmp_path: Path) -> None:
    source, target = tmp_path / "partial", tmp_path / "final"
    (source / "below").mkdir(parents=True)
    (source / "below" / "file").write_bytes(b"whole")
    target.mkdir()

    durable.rename_folder(source, target)

    assert (target / "below" / "file").read_bytes() == b"whole"
    assert not source.exists()
    with pytest.raises(UnavailableError):
        durable.rename_folder(source, tmp_path / "other")


def test_a_folder_with_a_file_that_cannot_be_synced_keeps_its_name(
    tmp_path: Path,
) -> None:
    source, target = tmp_path / "partial", tmp_path / "final"
    (source / "below").mkdir(parents=True)
    (source / "below" / "file").symlink_to("nowhere")

    with pytest.raises(UnavailableError, match="cannot write"):
        durable.rename_folder(source, target)

    assert source.exists()
    assert not target.exists()


def test_renaming_what_is_not_there_is_unavailable(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError):
        rename(tmp_path / "none", tmp_path / "final")


def test_a_second_holder_is_refused_and_told_who_holds_the_lock(tmp_path: Path) -> None:
    path = tmp_path / "write.lock"

    with (
        lock(path, "publish"),
        pytest.raises(ConflictError, match=rf"publish \(process {os.getpid()}\)"),
        lock(path, "serve"),
    ):
        pass

    with lock(path, "serve"):
        assert path.read_text("utf-8").startswith("serve")
    assert path.read_text("utf-8") == ""


def test_a_lock_is_free_again_after_an_error(tmp_path: Path) -> None:
    path = tmp_path / "write.lock"
    with pytest.raises(ValueError, match="stop"), lock(path, "publish"):
        raise ValueError("stop")

    with lock(path, "serve"):
        pass


def test_a_lock_is_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "write.lock"
    is_held, may_go = threading.Event(), threading.Event()

    def hold() -> None:
        with lock(path, "publish"):
            is_held.set()
            may_go.wait(10)

    holder = threading.Thread(target=hold)
    holder.start()
    is_held.wait(10)
    timer = threading.Timer(0.05, may_go.set)
    timer.start()
    with lock(path, "serve", wait_s=10):
        holder.join(10)

    assert not holder.is_alive()


def test_a_lock_in_a_folder_that_is_not_there_is_unavailable(tmp_path: Path) -> None:
    with (
        pytest.raises(UnavailableError, match="cannot write"),
        lock(tmp_path / "none" / "write.lock", "publish"),
    ):
        pass


HOLDER = """
import sys, pathlib, etdb.durable as durable
with durable.lock(pathlib.Path(sys.argv[1]), "publish"):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_killed_holder_leaves_no_lock_behind(tmp_path: Path) -> None:
    path = tmp_path / "write.lock"
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        with (
            pytest.raises(ConflictError, match=rf"process {process.pid}"),
            lock(path, "serve"),
        ):
            pass
        process.send_signal(signal.SIGKILL)
        process.wait()

    with lock(path, "serve"):
        pass


class WithoutChecksum(Log):
    """The twin: believes the length alone."""

    def read_new(self) -> list[tuple[int, bytes]]:
        data = self.path.read_bytes()[FRAME_BYTES:]
        return list(durable._entries_of(FRAME_BYTES, data))


@pytest.mark.parametrize(
    ("kind", "is_noticed"), [(Log, True), (WithoutChecksum, False)]
)
def test_a_changed_byte_is_noticed_by_its_checksum(
    path: Path, kind: Callable[[Path], Log], is_noticed: bool
) -> None:
    Log(path).append([b"one"])
    path.write_bytes(path.read_bytes()[:-1] + b"X")

    entries = kind(path).read_new()

    assert (entries == []) is is_noticed
