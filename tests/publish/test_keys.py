"""Keys on disk, their copies, and what must never show."""

from __future__ import annotations

import json
import shutil
import stat
from pathlib import Path

import pytest

from etdb.errors import (
    ConfigError,
    ConflictError,
    EtdbError,
    InvalidDataError,
    NotFoundError,
    UnavailableError,
)
from etdb.identity import encode_base58check
from etdb.publish import keys

PASSPHRASE = "correct horse"


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two keys and a copy of them; a copy takes long to make, as it should."""
    original = tmp_path_factory.mktemp("original")
    (original / "keys").mkdir()
    keys.create_keys(original / "keys")
    keys.backup(original / "keys", original / "copy.json", PASSPHRASE)
    return original


@pytest.fixture
def folder(original: Path, tmp_path: Path) -> Path:
    """A folder with two keys."""
    return Path(shutil.copytree(original / "keys", tmp_path / "keys"))


@pytest.fixture
def copy(original: Path, tmp_path: Path) -> Path:
    """A backup of them."""
    return Path(shutil.copy(original / "copy.json", tmp_path))


def secrets_in(folder: Path) -> list[str]:
    return [
        (folder / name).read_text().strip() for name in ("publisher.key", "wallet.key")
    ]


def test_created_keys_are_the_ones_loaded(tmp_path: Path) -> None:
    created = keys.create_keys(tmp_path)

    loaded = keys.load_keys(tmp_path)

    assert loaded.address == created.address
    assert loaded.publisher.public_key == created.publisher.public_key
    assert keys.load_key(tmp_path / keys.WALLET).public_key == loaded.wallet.public_key
    assert loaded.wallet.public_key != loaded.publisher.public_key


def test_only_the_owner_may_read_them(folder: Path) -> None:
    modes = {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}

    assert modes == {0o600}


def test_a_labs_address_begins_with_f_and_a_test_keys_with_o(tmp_path: Path) -> None:
    (tmp_path / "main").mkdir()
    (tmp_path / "test").mkdir()

    main = keys.create_keys(tmp_path / "main")
    test = keys.create_keys(tmp_path / "test", is_test=True)

    assert main.address.startswith("F")
    assert test.address.startswith("o")
    assert keys.load_keys(tmp_path / "test").address == test.address


def test_keys_are_never_overwritten(folder: Path) -> None:
    before = secrets_in(folder)

    with pytest.raises(ConflictError, match=r"already holds publisher\.key"):
        keys.create_keys(folder)

    assert secrets_in(folder) == before


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644])
def test_a_key_that_others_may_read_is_refused(folder: Path, mode: int) -> None:
    (folder / keys.PUBLISHER).chmod(mode)

    with pytest.raises(ConfigError, match="others may read") as caught:
        keys.load_key(folder / keys.PUBLISHER)

    assert "chmod 600" in caught.value.hint


def test_without_the_check_such_a_key_would_be_read(folder: Path) -> None:
    (folder / keys.PUBLISHER).chmod(0o644)

    assert (folder / keys.PUBLISHER).read_text().strip()


def test_an_absent_key_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="no key"):
        keys.load_key(tmp_path / keys.PUBLISHER)


def test_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / keys.PUBLISHER).mkdir()
    (tmp_path / "copy.json").mkdir()

    with pytest.raises(UnavailableError, match="cannot read"):
        keys.load_key(tmp_path / keys.PUBLISHER)
    with pytest.raises(UnavailableError, match="cannot read"):
        keys.restore(tmp_path / "copy.json", tmp_path, PASSPHRASE)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "not a key",
        encode_base58check(b"\xa3" + b"\x01" * 31),
        encode_base58check(b"\xb0" + b"\x01" * 32 + b"\x01"),
        encode_base58check(b"\xa3" + b"\x00" * 32 + b"\x01"),
    ],
)
def test_a_file_without_a_key_is_refused(folder: Path, text: str) -> None:
    (folder / keys.PUBLISHER).write_text(text)

    with pytest.raises(
        InvalidDataError, match=r"publisher.key holds (no key|a key of)"
    ):
        keys.load_key(folder / keys.PUBLISHER)


def test_no_repr_shows_a_secret(folder: Path) -> None:
    loaded = keys.load_keys(folder)
    secrets = [loaded.publisher.to_bytes().hex(), *secrets_in(folder)]

    shown = repr(loaded) + str(loaded) + repr(loaded.publisher)

    assert not [secret for secret in secrets if secret in shown]


def test_no_error_shows_a_secret(folder: Path) -> None:
    mistyped = secrets_in(folder)[0][:-1]
    (folder / keys.PUBLISHER).write_text(mistyped)
    shown = ""

    with pytest.raises(InvalidDataError) as caught:
        keys.load_key(folder / keys.PUBLISHER)

    error: BaseException | None = caught.value
    while error is not None:
        facts = error.facts if isinstance(error, EtdbError) else {}
        shown += repr(error) + str(error) + repr(facts)
        error = error.__context__ if not error.__suppress_context__ else error.__cause__
    assert mistyped[:20] not in shown


def test_a_copy_brings_the_keys_back(folder: Path, copy: Path, tmp_path: Path) -> None:
    restored = keys.restore(copy, tmp_path / "other" / "keys", PASSPHRASE)

    assert secrets_in(tmp_path / "other" / "keys") == secrets_in(folder)
    assert restored.address == keys.load_keys(folder).address
    mode = (tmp_path / "other" / "keys" / keys.WALLET).stat().st_mode
    assert stat.S_IMODE(mode) == 0o600


def test_a_copy_names_its_address_and_holds_no_secret(folder: Path, copy: Path) -> None:
    text = copy.read_text()

    assert json.loads(text)["address"] == keys.load_keys(folder).address
    assert not [secret for secret in secrets_in(folder) if secret in text]
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600


def test_a_copy_is_never_overwritten(folder: Path, copy: Path) -> None:
    with pytest.raises(ConflictError, match="already exists"):
        keys.backup(folder, copy, PASSPHRASE)


def test_an_empty_passphrase_is_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(InvalidDataError, match="passphrase is empty"):
        keys.backup(folder, tmp_path / "copy.json", "")


def test_a_wrong_passphrase_is_refused(copy: Path, tmp_path: Path) -> None:
    with pytest.raises(InvalidDataError, match="passphrase does not open"):
        keys.restore(copy, tmp_path / "other", "wrong horse")

    assert not (tmp_path / "other").exists()


def test_a_changed_address_in_a_copy_is_noticed(copy: Path, tmp_path: Path) -> None:
    head = json.loads(copy.read_text())
    head["address"] = "F" + "1" * 33
    copy.write_text(json.dumps(head))

    with pytest.raises(InvalidDataError, match="does not open"):
        keys.restore(copy, tmp_path / "other", PASSPHRASE)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\xff",
        "[]",
        "{}",
        '{"etdb-keys": 2}',
        '{"etdb-keys": 1}',
        '{"etdb-keys": 1, "salt": "00", "nonce": "x", "keys": ""}',
        '{"etdb-keys": 1, "salt": "00", "nonce": "00", "keys": "?"}',
        '{"etdb-keys": 1, "salt": 1, "nonce": "00", "keys": ""}',
    ],
)
def test_a_file_that_is_no_copy_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "copy.json").write_text(text, "latin-1")

    with pytest.raises(InvalidDataError, match="is not a backup of keys"):
        keys.restore(tmp_path / "copy.json", tmp_path / "other", PASSPHRASE)


def test_an_absent_copy_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError):
        keys.restore(tmp_path / "copy.json", tmp_path / "other", PASSPHRASE)


def test_other_keys_are_not_overwritten(copy: Path, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    keys.create_keys(tmp_path / "other")
    before = secrets_in(tmp_path / "other")

    with pytest.raises(ConflictError, match=r"holds another publisher\.key"):
        keys.restore(copy, tmp_path / "other", PASSPHRASE)

    assert secrets_in(tmp_path / "other") == before


def test_restoring_the_same_keys_completes_them(folder: Path, copy: Path) -> None:
    before = secrets_in(folder)
    (folder / keys.WALLET).unlink()

    keys.restore(copy, folder, PASSPHRASE)

    assert secrets_in(folder) == before
