"""Whatever lies in a folder is published as it is, with a warning, or refused."""

from __future__ import annotations

import os
import signal
import struct
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

FACTS = ("--species", "Vibrio cholerae", "--date", "2020-01-01")


def volume() -> bytearray:
    """A whole 4 x 8 x 8 float32 volume, to be damaged."""
    header = bytearray(1024)
    struct.pack_into("<4i", header, 0, 8, 8, 4, 2)
    struct.pack_into("<3i", header, 28, 8, 8, 4)
    struct.pack_into("<3f", header, 40, 80.0, 80.0, 40.0)
    struct.pack_into("<3i", header, 64, 1, 2, 3)
    header[208:212] = b"MAP "
    header[212:216] = b"\x44\x44\x00\x00"
    return header + bytearray(struct.pack("<256f", *range(256)))


def truncated(data: bytearray) -> bytearray:
    return data[:1500]


def without_map(data: bytearray) -> bytearray:
    data[208:212] = b"\0\0\0\0"
    return data


def zero_voxel(data: bytearray) -> bytearray:
    struct.pack_into("<3f", data, 40, 0.0, 0.0, 0.0)
    return data


def mode_12(data: bytearray) -> bytearray:
    struct.pack_into("<i", data, 12, 12)
    return data[:1024] + bytearray(512)


def unknown_mode(data: bytearray) -> bytearray:
    struct.pack_into("<i", data, 12, 77)
    return data


def header_only(data: bytearray) -> bytearray:
    return data[:1024]


def huge(data: bytearray) -> bytearray:
    struct.pack_into("<3i", data, 0, 2**31 - 1, 2**31 - 1, 2**31 - 1)
    return data


@pytest.mark.parametrize(
    "damage",
    [
        truncated,
        without_map,
        zero_voxel,
        mode_12,
        unknown_mode,
        header_only,
        huge,
    ],
    ids=lambda damage: damage.__name__,
)
def test_a_damaged_volume_is_published_as_it_is_with_a_warning(
    lab: Any, tmp_path: Path, damage: Any
) -> None:
    folder = tmp_path / "damaged"
    folder.mkdir()
    data = bytes(damage(volume()))
    (folder / "volume.mrc").write_bytes(data)

    done = lab.ok("publish", folder, "--yes", "--json", *FACTS)

    assert "warning" in done.errors
    assert "volume.mrc" in done.errors
    lab.ok("get", done.json["id"], "-o", tmp_path / "copy")
    assert (tmp_path / "copy" / "volume.mrc").read_bytes() == data


@pytest.mark.parametrize(
    "name",
    [
        "a file with spaces.rec",
        'quo\'tes "and" `back`.txt',
        "..hidden-not",
        "Ångström-µ-日本.txt",
        "100%25&?#.txt",
        "-rf",
        "<script>alert(1)<",
    ],
)
def test_odd_names_come_back_as_they_were(lab: Any, tmp_path: Path, name: str) -> None:
    folder = tmp_path / "odd"
    folder.mkdir()
    (folder / "plain.txt").write_text("plain")
    (folder / name).write_text(name)

    published = lab.ok("publish", folder, "--yes", "--json", *FACTS).json
    with lab.serving() as url:
        target = tmp_path / "copy"
        lab.ok("get", published["id"], "--from", url, "-o", target)

    wanted = not name.startswith(".")
    assert (target / name).exists() == wanted
    if wanted:
        assert (target / name).read_text() == name


def test_a_name_with_a_newline_is_refused(lab: Any, tmp_path: Path) -> None:
    folder = tmp_path / "odd"
    folder.mkdir()
    (folder / "two\nlines").write_text("x")

    done = lab.run("publish", folder, "--yes", *FACTS)

    assert done.status == 3
    assert "two\\nlines" in done.errors


def test_an_empty_folder_is_refused(lab: Any, tmp_path: Path) -> None:
    folder = tmp_path / "empty"
    folder.mkdir()

    done = lab.run("publish", folder, "--yes", *FACTS)

    assert done.status == 3
    assert "empty" in done.errors


def test_a_link_that_leaves_the_folder_is_refused(lab: Any, tmp_path: Path) -> None:
    folder = tmp_path / "linked"
    folder.mkdir()
    (tmp_path / "secret").write_text("secret")
    (folder / "link").symlink_to(tmp_path / "secret")

    done = lab.run("publish", folder, "--yes", *FACTS)

    assert done.status == 3
    assert "link" in done.errors


def test_missing_fields_are_listed_all_at_once(lab: Any, tmp_path: Path) -> None:
    folder = tmp_path / "bare"
    folder.mkdir()
    (folder / "a.txt").write_text("a")

    done = lab.run("publish", folder, "--yes")

    assert done.status == 3
    assert "--species" in done.errors
    assert "--date" in done.errors


def test_a_dry_run_signs_nothing(lab: Any, tmp_path: Path) -> None:
    folder = tmp_path / "dry"
    folder.mkdir()
    (folder / "a.txt").write_text("a")

    planned = lab.ok("publish", folder, "--dry-run", "--json", *FACTS).json

    assert planned["state"] == "new"
    assert planned["fee_sat"] > 0
    assert "signature" not in planned["artifact"]
    assert lab.ok("search", "--json").json["total"] == 0
    assert lab.ok("status", "--json").json["ledgers"][0]["tip_height"] == 110


def test_a_full_disk_while_publishing_loses_nothing(lab: Any, tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "notes.txt").write_text("x" * 100_000)
    height = lab.ok("status", "--json").json["ledgers"][0]["tip_height"]
    (folder / "dataset.toml").write_text(f'notes = "{"long " * 100_000}"')
    words = ("publish", folder, "--yes", *FACTS)

    full = limited(lab, 128 * 1024, *words)

    assert full.returncode == 5
    assert "Traceback" not in full.stderr
    assert lab.ok("status", "--json").json["ledgers"][0]["tip_height"] == height
    lab.ok(*words)
    assert lab.ok("search", "--json").json["total"] == 1


def test_a_full_disk_while_getting_is_gone_on_with(lab: Any, tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "big.bin").write_bytes(os.urandom(4_000_000))
    published = lab.ok("publish", folder, "--yes", "--json", *FACTS).json
    target = tmp_path / "copy"

    full = limited(lab, 2_000_000, "get", published["id"], "-o", target)

    assert full.returncode in (5, 9)
    assert "Traceback" not in full.stderr
    assert not (target / "big.bin").exists()
    lab.ok("get", published["id"], "-o", target)
    assert (target / "big.bin").read_bytes() == (folder / "big.bin").read_bytes()


def limited(lab: Any, size: int, *words: object) -> subprocess.CompletedProcess[str]:
    """Run `etdb` where no file may grow beyond `size`, as on a full disk.

    It is not measured: what measures it could not write its own file.
    """
    environ = {
        name: value
        for name, value in lab.environ.items()
        if not name.startswith("COVERAGE_")
    }
    return subprocess.run(
        ["prlimit", f"--fsize={size}", *lab.command(*words)],
        check=False,
        capture_output=True,
        text=True,
        env=environ,
    )


@pytest.mark.slow
@pytest.mark.parametrize("delay_s", [0.35, 0.5, 0.65, 0.8, 1.0])
def test_a_publish_killed_at_any_moment_ends_on_the_ledger_once(
    lab: Any, tmp_path: Path, delay_s: float
) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "big.bin").write_bytes(os.urandom(50_000_000))
    words = ("publish", folder, "--yes", *FACTS)
    process = lab.start(*words)
    time.sleep(delay_s)
    process.send_signal(signal.SIGKILL)
    process.communicate()

    lab.ok(*words)

    status = lab.ok("status", "--json").json
    assert lab.ok("search", "--json").json["total"] == 1
    assert status["publishing"]["pending"] == []
    assert lab.ok("index", "check", "--json").json["differences"] == []
