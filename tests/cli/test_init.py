"""`etdb init`, `etdb key`, `etdb status`, `etdb config`."""

from __future__ import annotations

import shutil
import signal
import stat
import time
import tomllib
from pathlib import Path
from typing import Any

import pytest

from etdb.cli import command_names
from etdb.settings import rows


def test_a_node_has_keys_a_chain_an_index_and_commented_settings(lab: Any) -> None:
    text = (lab.node / "etdb.toml").read_text("utf-8")
    status = lab.ok("status", "--json").json

    assert tomllib.loads(text)["lab"]["name"] == "Test lab (synthetic)"
    assert all(row.sentence in text for row in rows())
    assert status["ledgers"][0]["tip_height"] == 110
    assert status["ledgers"][0]["height"] == 110
    for name in ("publisher.key", "wallet.key"):
        mode = (lab.node / "keys" / name).stat().st_mode
        assert stat.S_IMODE(mode) == 0o600


def test_without_a_terminal_defaults_are_taken_and_said(etdb: Any) -> None:
    done = etdb.ok("init", etdb.node)

    assert "--lab" in done.errors
    assert "--license" in done.errors
    assert "key backup" in done.errors


def test_a_folder_that_is_not_empty_is_refused_by_what_is_in_it(etdb: Any) -> None:
    etdb.node.mkdir()
    (etdb.node / "thesis.tex").write_text("precious")

    done = etdb.run("init", etdb.node)

    assert done.status == 6
    assert "thesis.tex" in done.errors
    assert [path.name for path in etdb.node.iterdir()] == ["thesis.tex"]


def test_an_empty_folder_becomes_a_node(etdb: Any) -> None:
    etdb.node.mkdir()

    etdb.ok("init", etdb.node)

    assert (etdb.node / "etdb.toml").is_file()


def test_a_killed_init_leaves_no_half_node(etdb: Any) -> None:
    process = etdb.start("init", etdb.node)
    while not list(etdb.node.parent.glob(".etdb-init-*/chain/*")):
        assert process.poll() is None
        time.sleep(0.001)
    process.kill()
    process.communicate()

    assert not etdb.node.exists()
    etdb.ok("init", etdb.node)


def test_no_node_is_an_error_with_the_next_step(etdb: Any) -> None:
    done = etdb.run("status")

    assert done.status == 4
    assert "etdb init" in done.errors


def test_keys_survive_backup_and_restore(lab: Any, tmp_path: Path) -> None:
    passphrase = tmp_path / "passphrase"
    passphrase.write_text("correct horse\n")
    before = lab.ok("status", "--json").json["publisher"]
    copy = tmp_path / "keys.json"

    lab.ok("key", "backup", copy, "--passphrase-file", passphrase)
    secret = (lab.node / "keys" / "publisher.key").read_text().strip()
    shutil.rmtree(lab.node / "keys")
    lab.ok("key", "restore", copy, "--passphrase-file", passphrase)

    assert secret not in copy.read_text()
    assert (lab.node / "keys" / "publisher.key").read_text().strip() == secret
    assert lab.ok("status", "--json").json["publisher"] == before


def test_a_wrong_passphrase_restores_nothing(lab: Any, tmp_path: Path) -> None:
    right, wrong = tmp_path / "right", tmp_path / "wrong"
    right.write_text("right\n")
    wrong.write_text("wrong\n")
    copy = tmp_path / "keys.json"
    lab.ok("key", "backup", copy, "--passphrase-file", right)
    shutil.rmtree(lab.node / "keys")

    done = lab.run("key", "restore", copy, "--passphrase-file", wrong)

    assert done.status == 3
    assert not (lab.node / "keys" / "publisher.key").exists()


def test_config_shows_what_is_in_force(lab: Any) -> None:
    values = lab.ok("config", "--json", ETDB_SERVE_PORT="9000").json

    assert values["serve.port"] == 9000
    assert values["lab.name"] == "Test lab (synthetic)"


def test_a_wrong_setting_stops_the_program_by_its_own_status(lab: Any) -> None:
    done = lab.run("status", ETDB_SERVE_PORT="ninety")

    assert done.status == 7
    assert "ETDB_SERVE_PORT" in done.errors


def test_help_of_every_command_has_an_example(etdb: Any) -> None:
    for name in command_names():
        said = etdb.ok(*name.split(), "--help").output
        assert f"etdb {name}" in said, name
        assert "Example" in said, name


def test_ctrl_c_ends_with_its_own_status(lab: Any, tmp_path: Path) -> None:
    big = tmp_path / "big"
    big.mkdir()
    with (big / "volume.rec").open("wb") as file:
        file.truncate(20_000_000_000)
    process = lab.start(
        *("publish", big, "--yes", "--species", "X", "--date", "2020-01-01")
    )
    while not list(lab.node.glob("store.sqlite-wal")):
        assert process.poll() is None
        time.sleep(0.01)
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=30)

    assert process.returncode == 130
    assert "the same command goes on" in said
    assert "Traceback" not in said


@pytest.mark.parametrize("place", ["/proc/etdb-node", "file/node"])
def test_a_place_where_no_node_can_be_is_refused(
    etdb: Any, tmp_path: Path, place: str
) -> None:
    (tmp_path / "file").write_text("a file")

    done = etdb.run("init", tmp_path / place)

    assert done.status == 5
    assert "node" in done.errors
