"""A node's two keys on disk: the publisher's (identity) and the wallet's (coins).

Each is a file that its owner alone may read, holding one line: the key in
wallet import format, whose version says for which network its address is
written. Nothing here is ever printed or logged, and no `repr` shows a secret.
"""

from __future__ import annotations

import base64
import binascii
import json
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from etdb import durable
from etdb.errors import (
    ConfigError,
    ConflictError,
    InvalidDataError,
    NotFoundError,
    UnavailableError,
)
from etdb.identity import Address, decode_base58check, encode_base58check
from etdb.record.signing import MAIN_P2PKH, TEST_P2PKH, WIF_VERSIONS, PrivateKey

PUBLISHER = "publisher.key"
WALLET = "wallet.key"

_COMPRESSED = b"\x01"
_MODE = 0o600
_BACKUP_VERSION = 1
_SCRYPT_N = 1 << 17
_SCRYPT_R = 8
_SALT_BYTES = 16
_NONCE_BYTES = 12
_MAX_BACKUP_BYTES = 64 * 1024


@dataclass(frozen=True)
class Keys:
    """Both keys, and the publisher's address as it is written in records."""

    publisher: PrivateKey = field(repr=False)
    wallet: PrivateKey = field(repr=False)
    address: Address
    wallet_address: Address
    """As the wallet's key names its network; a ledger may write it otherwise."""


@dataclass(frozen=True)
class ImportedKey:
    """A key that another program gave out, not yet in a node."""

    key: PrivateKey = field(repr=False)
    address: Address
    is_test: bool


def create_keys(folder: Path, *, is_test: bool = False) -> Keys:
    """Make two new keys in a folder that has none, of the test network if said.

    Raises ConflictError where a key is already there.
    """
    for name in (PUBLISHER, WALLET):
        if (folder / name).exists():
            msg = f"{folder} already holds {name}"
            raise ConflictError(msg, hint="keys are never overwritten")
    version = TEST_P2PKH if is_test else MAIN_P2PKH
    for name in (PUBLISHER, WALLET):
        _write_wif(folder / name, _encode_wif(PrivateKey.generate(), version))
    return load_keys(folder)


def load_keys(folder: Path) -> Keys:
    """Both keys of a folder. Raises as `load_key` does."""
    publisher, version = _parse_wif(_read_wif(folder / PUBLISHER), PUBLISHER)
    wallet, wallet_version = _parse_wif(_read_wif(folder / WALLET), WALLET)
    return Keys(
        publisher,
        wallet,
        publisher.address(version),
        wallet.address(wallet_version),
    )


def load_key(path: Path) -> PrivateKey:
    """The key in a file.

    Raises NotFoundError; ConfigError where others than the owner may read the
    file; InvalidDataError where it holds no key.
    """
    return _parse_wif(_read_wif(path), path.name)[0]


def parse_import(text: str) -> ImportedKey:
    """A key as wallets export it: wallet import format, R…, T… or of a test network.

    Raises InvalidDataError, which never shows what was given.
    """
    try:
        key, version = _parse_wif(text.strip(), "what was given")
    except InvalidDataError as exc:
        raise InvalidDataError(
            exc.message,
            hint="give one line: a compressed FLO key in wallet import format",
        ) from None
    return ImportedKey(key, key.address(version), version == TEST_P2PKH)


def import_key(
    folder: Path,
    name: str,
    imported: ImportedKey,
    *,
    is_test: bool | None = None,
    replace: bool = False,
) -> Path | None:
    """Make an imported key the PUBLISHER or WALLET of a folder.

    `is_test` is what the node's network takes; without it, what its
    publisher's key is of. A key that is there is only overwritten on
    `replace`, and then kept in the file that is returned. Raises ConflictError
    where the key is of another network or another key is there.
    """
    if is_test is None:
        is_test = _is_test(folder)
    if is_test is not None and imported.is_test != is_test:
        msg = (
            f"{imported.address} is an address of {_network(imported.is_test)},"
            f" and this node is of {_network(is_test)}"
        )
        raise ConflictError(msg, hint="export the key of the right network")
    path = folder / name
    kept = _keep(path, imported.key, replace=replace) if path.exists() else None
    version = TEST_P2PKH if imported.is_test else MAIN_P2PKH
    _write_wif(path, _encode_wif(imported.key, version))
    return kept


def backup(folder: Path, file: Path, passphrase: str) -> None:
    """Write both keys to a new file, encrypted with a passphrase.

    The file is JSON: version, how the passphrase becomes a key (scrypt), the
    address, and the keys under ChaCha20-Poly1305, which also covers the rest
    of the file. Raises ConflictError where the file exists.
    """
    _refuse_empty(passphrase)
    if file.exists():
        msg = f"{file} already exists"
        raise ConflictError(msg, hint="name a new file")
    secrets = {name: _read_wif(folder / name) for name in (PUBLISHER, WALLET)}
    salt, nonce = os.urandom(_SALT_BYTES), os.urandom(_NONCE_BYTES)
    head = {
        "etdb-keys": _BACKUP_VERSION,
        "address": load_keys(folder).address,
        "kdf": {"name": "scrypt", "n": _SCRYPT_N, "r": _SCRYPT_R, "p": 1},
        "cipher": "chacha20-poly1305",
        "salt": salt.hex(),
        "nonce": nonce.hex(),
    }
    cipher = ChaCha20Poly1305(_derive(passphrase, salt))
    sealed = cipher.encrypt(nonce, json.dumps(secrets).encode(), _covered(head))
    head["keys"] = base64.b64encode(sealed).decode()
    text = json.dumps(head, indent=1) + "\n"
    durable.write_bytes(file, text.encode(), mode=_MODE)


def restore(file: Path, folder: Path, passphrase: str) -> Keys:
    """Put the keys of a backup into a folder that has none, or the same ones.

    Raises InvalidDataError for a wrong passphrase and for a file that is not,
    or no longer, a backup; ConflictError where other keys are there.
    """
    _refuse_empty(passphrase)
    secrets = _open_backup(_read_backup(file), file, passphrase)
    for name, wif in secrets.items():
        _parse_wif(wif, name)
        if (folder / name).exists() and _read_wif(folder / name) != wif:
            msg = f"{folder} holds another {name} than {file}"
            raise ConflictError(msg, hint="restore into a node without keys")
    folder.mkdir(parents=True, exist_ok=True)
    for name, wif in secrets.items():
        _write_wif(folder / name, wif)
    return load_keys(folder)


def _is_test(folder: Path) -> bool | None:
    """Of which network a folder's publisher is; None where there is no key."""
    if not (folder / PUBLISHER).exists():
        return None
    _, version = _parse_wif(_read_wif(folder / PUBLISHER), PUBLISHER)
    return version == TEST_P2PKH


def _network(is_test: bool) -> str:
    return "a test network (o…)" if is_test else "the main network (F…)"


def _keep(path: Path, new: PrivateKey, *, replace: bool) -> Path | None:
    """Copy the key that is about to be overwritten, unless it is the same."""
    old, version = _parse_wif(_read_wif(path), path.name)
    if old.public_key == new.public_key:
        return None
    address = old.address(version)
    if not replace:
        msg = f"{path.name} already holds the key of {address}"
        raise ConflictError(msg, hint="to keep that one aside, repeat with --replace")
    # Named for its address: replaced twice, it is kept once.
    kept = path.with_name(f"{path.name}.{address}")
    _write_wif(kept, _encode_wif(old, version))
    return kept


def _encode_wif(key: PrivateKey, address_version: int) -> str:
    version = next(w for w, a in WIF_VERSIONS.items() if a == address_version)
    return encode_base58check(bytes([version]) + key.to_bytes() + _COMPRESSED)


def _parse_wif(text: str, name: str) -> tuple[PrivateKey, int]:
    """(key, version of its address)."""
    try:
        key = PrivateKey.from_wif(text)
    except InvalidDataError as exc:
        msg = f"{name} holds no key"
        raise InvalidDataError(msg, hint="put it back: etdb key restore FILE") from exc
    return key, WIF_VERSIONS[decode_base58check(text)[0]]


def _write_wif(path: Path, wif: str) -> None:
    durable.write_bytes(path, f"{wif}\n".encode(), mode=_MODE)


def _read_wif(path: Path) -> str:
    try:
        with path.open("rb") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            data = file.read(1024)
    except FileNotFoundError as exc:
        raise NotFoundError(
            "key", path, hint="put it back: etdb key restore FILE"
        ) from exc
    except OSError as exc:
        msg = f"cannot read {path}: {exc.strerror}"
        raise UnavailableError(msg) from exc
    if mode & 0o077:
        msg = f"others may read {path} (mode {mode:04o})"
        raise ConfigError(msg, hint=f"close it first: chmod 600 {path}")
    return data.decode("ascii", "replace").strip()


def _refuse_empty(passphrase: str) -> None:
    if not passphrase:
        msg = "the passphrase is empty"
        raise InvalidDataError(msg)


def _derive(passphrase: str, salt: bytes) -> bytes:
    kdf = Scrypt(salt=salt, length=32, n=_SCRYPT_N, r=_SCRYPT_R, p=1)
    return kdf.derive(passphrase.encode())


def _covered(head: Mapping[str, Any]) -> bytes:
    """What the cipher covers besides the keys: all of the file but them."""
    rest = {name: value for name, value in head.items() if name != "keys"}
    return json.dumps(rest, sort_keys=True).encode()


def _read_backup(file: Path) -> dict[str, Any]:
    try:
        with file.open("rb") as opened:
            head = json.loads(opened.read(_MAX_BACKUP_BYTES))
    except FileNotFoundError as exc:
        raise NotFoundError("file", file) from exc
    except OSError as exc:
        msg = f"cannot read {file}: {exc.strerror}"
        raise UnavailableError(msg) from exc
    except ValueError as exc:
        raise _no_backup(file) from exc
    if not isinstance(head, dict) or head.get("etdb-keys") != _BACKUP_VERSION:
        raise _no_backup(file)
    return head


def _open_backup(head: dict[str, Any], file: Path, passphrase: str) -> dict[str, str]:
    try:
        salt, nonce = bytes.fromhex(head["salt"]), bytes.fromhex(head["nonce"])
        sealed = base64.b64decode(head["keys"], validate=True)
        cipher = ChaCha20Poly1305(_derive(passphrase, salt))
        secrets = json.loads(cipher.decrypt(nonce, sealed, _covered(head)))
        return {name: secrets[name] for name in (PUBLISHER, WALLET)}
    except InvalidTag as exc:
        msg = f"the passphrase does not open {file}"
        raise InvalidDataError(
            msg, hint="it is another passphrase, or the file was changed"
        ) from exc
    except (KeyError, TypeError, ValueError, binascii.Error) as exc:
        raise _no_backup(file) from exc


def _no_backup(file: Path) -> InvalidDataError:
    msg = f"{file} is not a backup of keys that this version can read"
    return InvalidDataError(msg)
