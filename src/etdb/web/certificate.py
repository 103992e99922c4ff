"""The certificate that a node shows: read and checked before it serves.

Read once: a renewed certificate is shown after the next start.
"""

from __future__ import annotations

import ssl
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509

from etdb.errors import ConfigError
from etdb.web.connection import ALPN

_RENEW = "renew it, or leave serve.certificate empty and put a proxy before the node"


def load_certificate(
    folder: Path, certificate: str, key_file: str, now: datetime | None = None
) -> ssl.SSLContext | None:
    """What TLS needs to show the certificate of a file; None where none is named.

    The key may stand in the file of the certificate; relative paths are below
    `folder`. Raises ConfigError where a client could not accept the two.
    """
    if not certificate and key_file:
        msg = "serve.key_file is set, but serve.certificate is not"
        raise ConfigError(msg, hint="set both, or neither for plain HTTP")
    if not certificate:
        return None
    path = folder / certificate
    _verify_is_current(path, now or datetime.now(UTC))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(ALPN)
    _load(context, path, folder / (key_file or certificate))
    return context


def _load(context: ssl.SSLContext, path: Path, key: Path) -> None:
    if key != path:
        _read(key, "serve.key_file")
    try:
        context.load_cert_chain(path, key, _refuse_password)
    except ssl.SSLError as exc:
        if exc.reason == "KEY_VALUES_MISMATCH":
            msg = f"the key in {key} is not that of the certificate in {path}"
            hint = "serve.key_file names the key that the certificate was made for"
        else:
            msg = f"no private key in {key} that can be used"
            hint = "serve.key_file names a PEM file with a key and no password"
        raise ConfigError(msg, hint=hint) from exc


def _refuse_password() -> str:
    """A node starts with nobody there to ask: an encrypted key is no key."""
    return ""


def _verify_is_current(path: Path, now: datetime) -> None:
    try:
        found = x509.load_pem_x509_certificates(_read(path, "serve.certificate"))[0]
    except ValueError as exc:
        msg = f"no certificate in {path} that can be read"
        hint = "serve.certificate names a PEM file: the certificate, then its chain"
        raise ConfigError(msg, hint=hint) from exc
    if now > found.not_valid_after_utc:
        msg = f"the certificate in {path} expired on {found.not_valid_after_utc:%F}"
        raise ConfigError(msg, hint=_RENEW)
    if now < found.not_valid_before_utc:
        begin = found.not_valid_before_utc
        msg = f"the certificate in {path} is not valid before {begin:%F %H:%M} UTC"
        raise ConfigError(msg, hint="is this machine's clock right?")


def _read(path: Path, setting: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as exc:
        msg = f"cannot read {path}: {exc.strerror}"
        raise ConfigError(msg, hint=f"look at {setting}") from exc
