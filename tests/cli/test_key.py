"""`etdb key import`, `show` and `restore`: whose keys, and never which."""

from __future__ import annotations

import stat
import subprocess
from pathlib import Path
from typing import Any

import pytest

from etdb.identity import encode_base58check
from etdb.record.signing import MAIN_P2PKH, TEST_P2PKH, PrivateKey

SECRET = b"\x07" * 32
KEY = PrivateKey.from_bytes(SECRET)
MAIN_WIF = encode_base58check(b"\xb0" + SECRET + b"\x01")
TEST_WIF = encode_base58check(b"\xef" + SECRET + b"\x01")
REGTEST = {"ETDB_LEDGER_KIND": "flo", "ETDB_LEDGER_NETWORK": "regtest"}
MAIN = {"ETDB_LEDGER_KIND": "flo", "ETDB_LEDGER_NETWORK": "main"}


@pytest.fixture
def dumped(tmp_path: Path) -> Path:
    """A key of a test network, as another wallet wrote it."""
    path = tmp_path / "dumped.txt"
    path.write_text(f"{TEST_WIF}\n")
    return path


def test_both_addresses_are_shown_and_no_secret(lab: Any) -> None:
    secrets = [path.read_text().strip() for path in (lab.node / "keys").iterdir()]

    done = lab.ok("key", "show")
    facts = lab.ok("key", "show", "--json").json

    assert facts["publisher"] == lab.ok("status", "--json").json["publisher"]
    assert facts["publisher"] in done.output
    assert facts["wallet"] in done.output
    assert not [secret for secret in secrets if secret in done.output + done.errors]


def test_the_wallets_address_is_that_of_the_daemons_network(lab: Any) -> None:
    test = lab.ok("key", "show", "--json", **REGTEST).json
    main = lab.ok("key", "show", "--json", **MAIN).json

    assert test["wallet"].startswith("o")
    assert main["wallet"].startswith("F")


def test_a_wallet_is_imported_and_the_one_before_is_kept(
    lab: Any, dumped: Path
) -> None:
    old = (lab.node / "keys" / "wallet.key").read_text()
    refused = lab.run("key", "import", dumped, "--wallet", **REGTEST)

    done = lab.ok("key", "import", dumped, "--wallet", "--replace", **REGTEST)

    assert refused.status == 6
    assert "--replace" in refused.errors
    address = KEY.address(TEST_P2PKH)
    assert address in done.output
    assert TEST_WIF not in done.output + done.errors
    (kept,) = (lab.node / "keys").glob("wallet.key.*")
    assert kept.read_text() == old
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert lab.ok("key", "show", "--json", **REGTEST).json["wallet"] == address


def test_a_key_is_taken_from_standard_input(lab: Any) -> None:
    command = lab.command("key", "import", "-", "--wallet", "--replace")
    environ = {**lab.environ, **MAIN}

    done = subprocess.run(
        command,
        input=MAIN_WIF,
        env=environ,
        check=False,
        capture_output=True,
        text=True,
    )

    assert done.returncode == 0, done.stderr
    assert KEY.address(MAIN_P2PKH) in done.stdout
    assert MAIN_WIF not in done.stdout + done.stderr


def test_a_key_of_the_wrong_network_is_refused(lab: Any, dumped: Path) -> None:
    done = lab.run("key", "import", dumped, "--wallet", "--replace", **MAIN)

    assert done.status == 6
    assert "is an address of a test network" in done.errors
    assert not list((lab.node / "keys").glob("wallet.key.*"))


@pytest.mark.parametrize("given", [TEST_WIF, TEST_WIF[:-1] + "x", SECRET.hex()])
def test_a_key_on_the_command_line_is_refused_and_not_repeated(
    lab: Any, given: str
) -> None:
    done = lab.run("key", "import", given, "--wallet", **REGTEST)

    assert done.status == 3
    assert "history" in done.errors
    assert given not in done.output + done.errors


@pytest.mark.parametrize("role", ["--publisher", "--wallet"])
def test_a_chain_of_ones_own_keeps_its_keys(lab: Any, dumped: Path, role: str) -> None:
    done = lab.run("key", "import", dumped, role, "--replace")

    assert done.status == 6
    assert "for ever" in done.errors
    own = "wallet.key" if role == "--wallet" else "publisher.key"
    assert lab.ok("key", "import", lab.node / "keys" / own, role).status == 0


def test_it_must_be_said_which_key_it_is(lab: Any, dumped: Path) -> None:
    assert lab.run("key", "import", dumped).status == 2
    assert lab.run("key", "import", dumped, "--wallet", "--publisher").status == 2


def test_what_is_no_key_is_refused(lab: Any, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.write_bytes(b"\xff\x00" * 5000)

    assert lab.run("key", "import", other, "--wallet", **REGTEST).status == 3
    assert lab.run("key", "import", tmp_path, "--wallet", **REGTEST).status == 3
    assert lab.run("key", "import", "absent", "--wallet", **REGTEST).status == 4


def test_keys_are_not_restored_where_there_is_no_node(lab: Any, tmp_path: Path) -> None:
    passphrase, copy = tmp_path / "passphrase", tmp_path / "copy.json"
    passphrase.write_text("correct horse\n")
    lab.ok("key", "backup", copy, "--passphrase-file", passphrase)
    empty = tmp_path / "empty"
    empty.mkdir()

    done = lab.run(
        *("key", "restore", copy, "--passphrase-file", passphrase, "--node", empty)
    )

    assert done.status == 4
    assert "etdb init" in done.errors
    assert list(empty.iterdir()) == []
