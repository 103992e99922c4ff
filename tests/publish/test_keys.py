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
        encode_base58check(b"\x80" + b"\x01" * 32 + b"\x01"),
        encode_base58check(b"\xa3" + b"\x01" * 32),
        encode_base58check(b"\xa3" + b"\x00" * 32 + b"\x01"),
    ],
)
def test_a_file_without_a_key_is_refused(folder: Path, text: str) -> None:
    (folder / keys.PUBLISHER).write_text(text)

    with pytest.raises(InvalidDataError, match=r"publisher\.key holds no key"):
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


SECRET = b"\x07" * 32


def exported(version: int, secret: bytes = SECRET) -> str:
    """A key as a wallet exports it."""
    return encode_base58check(bytes([version]) + secret + b"\x01")


@pytest.mark.parametrize(
    ("version", "first_of_wif", "first_of_address"),
    [(163, "R", "F"), (176, "T", "F"), (239, "c", "o")],
)
def test_what_wallets_export_is_understood(
    version: int, first_of_wif: str, first_of_address: str
) -> None:
    wif = exported(version)

    imported = keys.parse_import(f"  {wif}\n")

    assert wif.startswith(first_of_wif)
    assert imported.address.startswith(first_of_address)
    assert imported.is_test == (first_of_address == "o")
    assert imported.key.to_bytes() == SECRET


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        exported(128),
        encode_base58check(b"\xa3" + SECRET),
        exported(163)[:-1],
        f"{exported(163)}\n{exported(163)}",
        "é" * 52,
    ],
)
def test_anything_else_is_refused_and_not_shown(text: str) -> None:
    with pytest.raises(InvalidDataError) as caught:
        keys.parse_import(text)

    error = caught.value
    shown = f"{error!r} {error} {error.hint} {error.facts}"
    assert len(text) < 2 or text[:10] not in shown
    assert error.__suppress_context__


def test_an_imported_key_is_in_no_repr() -> None:
    imported = keys.parse_import(exported(163))

    assert exported(163) not in repr(imported)
    assert SECRET.hex() not in repr(imported)
    assert repr(SECRET) not in repr(imported)


def test_a_key_is_imported_where_there_is_none(folder: Path) -> None:
    (folder / keys.WALLET).unlink()
    imported = keys.parse_import(exported(176))

    assert keys.import_key(folder, keys.WALLET, imported) is None

    held = keys.load_keys(folder)
    assert held.wallet.to_bytes() == SECRET
    assert held.wallet_address == imported.address
    assert stat.S_IMODE((folder / keys.WALLET).stat().st_mode) == 0o600


def test_importing_the_same_key_again_changes_nothing(folder: Path) -> None:
    imported = keys.parse_import(exported(163))
    keys.import_key(folder, keys.WALLET, imported, replace=True)
    before = secrets_in(folder), sorted(folder.iterdir())

    assert keys.import_key(folder, keys.WALLET, imported) is None

    assert (secrets_in(folder), sorted(folder.iterdir())) == before


@pytest.mark.parametrize("name", [keys.PUBLISHER, keys.WALLET])
def test_another_key_is_not_overwritten(folder: Path, name: str) -> None:
    before = secrets_in(folder)

    with pytest.raises(ConflictError, match=f"{name} already holds") as caught:
        keys.import_key(folder, name, keys.parse_import(exported(163)))

    assert "--replace" in caught.value.hint
    assert secrets_in(folder) == before


@pytest.mark.parametrize("name", [keys.PUBLISHER, keys.WALLET])
def test_a_key_that_is_replaced_is_kept(folder: Path, name: str) -> None:
    old = (folder / name).read_text()
    imported = keys.parse_import(exported(163))

    kept = keys.import_key(folder, name, imported, replace=True)

    assert kept is not None
    assert kept.read_text() == old
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert keys.load_key(folder / name).to_bytes() == SECRET


def test_of_keys_that_are_replaced_in_turn_each_is_kept(folder: Path) -> None:
    olds = {(folder / keys.WALLET).read_text()}
    for number in (1, 2, 1, 2):
        imported = keys.parse_import(exported(163, bytes([number]) * 32))
        keys.import_key(folder, keys.WALLET, imported, replace=True)
        olds.add((folder / keys.WALLET).read_text())

    kept = {path.read_text() for path in folder.glob("wallet.key*")}

    assert kept == olds


@pytest.mark.parametrize(("is_test", "version"), [(False, 239), (True, 163)])
def test_a_key_of_the_other_network_is_refused(
    folder: Path, is_test: bool, version: int
) -> None:
    before = secrets_in(folder)

    with pytest.raises(ConflictError, match="and this node is of"):
        keys.import_key(
            folder,
            keys.WALLET,
            keys.parse_import(exported(version)),
            is_test=is_test,
            replace=True,
        )

    assert secrets_in(folder) == before


def test_without_being_told_the_publishers_network_counts(tmp_path: Path) -> None:
    keys.create_keys(tmp_path, is_test=True)
    main, test = keys.parse_import(exported(163)), keys.parse_import(exported(239))

    with pytest.raises(ConflictError, match="a test network"):
        keys.import_key(tmp_path, keys.WALLET, main, replace=True)
    keys.import_key(tmp_path, keys.WALLET, test, replace=True)

    assert keys.load_key(tmp_path / keys.WALLET).to_bytes() == SECRET


def test_without_the_check_the_wrong_network_would_be_taken(tmp_path: Path) -> None:
    keys.create_keys(tmp_path, is_test=True)
    main = keys.parse_import(exported(163))

    keys.import_key(tmp_path, keys.WALLET, main, is_test=False, replace=True)

    assert keys.load_keys(tmp_path).wallet_address.startswith("F")


def test_a_key_of_an_old_wallet_put_there_by_hand_is_read(folder: Path) -> None:
    (folder / keys.WALLET).write_text(exported(176))

    assert keys.load_key(folder / keys.WALLET).to_bytes() == SECRET
