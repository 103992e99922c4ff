"""A certificate that clients could not accept stops the start, and says why."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization

from etdb.errors import ConfigError
from etdb.testing.certificate import make_certificate
from etdb.web.certificate import load_certificate

NOW = datetime(2026, 11, 2, 12, tzinfo=UTC)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A certificate of two days in November, and its key."""
    make_certificate(tmp_path, datetime(2026, 11, 1, tzinfo=UTC))
    make_certificate(tmp_path / "other", datetime(2026, 11, 1, tzinfo=UTC))
    (tmp_path / "nonsense.pem").write_text("no certificate")
    return tmp_path


def test_nothing_set_is_plain_http(folder: Path) -> None:
    assert load_certificate(folder, "", "") is None


def test_a_certificate_and_its_key_are_used(folder: Path) -> None:
    assert load_certificate(folder, "cert.pem", "key.pem", NOW) is not None
    absolute = str(folder / "cert.pem"), str(folder / "key.pem")
    assert load_certificate(Path("elsewhere"), *absolute, NOW) is not None


def test_the_key_may_stand_beside_the_certificate(folder: Path) -> None:
    both = (folder / "cert.pem").read_bytes() + (folder / "key.pem").read_bytes()
    (folder / "both.pem").write_bytes(both)

    assert load_certificate(folder, "both.pem", "", NOW) is not None


@pytest.mark.parametrize(
    ("names", "says", "hint"),
    [
        (("", "key.pem"), "serve.certificate is not", "set both"),
        (("missing.pem", "key.pem"), "No such file", "serve.certificate"),
        (("cert.pem", "missing.pem"), "No such file", "serve.key_file"),
        (("other", "key.pem"), "Is a directory", "serve.certificate"),
        (("nonsense.pem", "key.pem"), "no certificate in", "PEM"),
        (("key.pem", "cert.pem"), "no certificate in", "PEM"),
        (("cert.pem", "nonsense.pem"), "no private key in", "PEM"),
        (("cert.pem", ""), "no private key in", "PEM"),
        (("cert.pem", "other/key.pem"), "is not that of the certificate", "key_file"),
    ],
)
def test_what_cannot_be_used_is_named(
    folder: Path, names: tuple[str, str], says: str, hint: str
) -> None:
    with pytest.raises(ConfigError, match=says) as caught:
        load_certificate(folder, *names, NOW)

    assert hint in caught.value.hint


@pytest.mark.parametrize(
    ("now", "says"),
    [
        (datetime(2026, 11, 3, 1, tzinfo=UTC), "expired on 2026-11-03"),
        (datetime(2026, 10, 31, tzinfo=UTC), "not valid before 2026-11-01 00:00"),
    ],
)
def test_a_certificate_of_another_time_is_refused(
    folder: Path, now: datetime, says: str
) -> None:
    with pytest.raises(ConfigError, match=says) as caught:
        load_certificate(folder, "cert.pem", "key.pem", now)

    assert caught.value.hint


def test_a_key_with_a_password_asks_nobody(folder: Path) -> None:
    path = folder / "key.pem"
    key = serialization.load_pem_private_key(path.read_bytes(), None)
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"secret"),
        )
    )

    with pytest.raises(ConfigError, match="no private key in"):
        load_certificate(folder, "cert.pem", "key.pem", NOW)


def test_serve_refuses_it_before_anybody_is_answered(lab: Any) -> None:
    make_certificate(lab.node, datetime(2020, 1, 1, tzinfo=UTC))

    done = lab.run(
        *("serve", "--port", "0"),
        ETDB_SERVE_CERTIFICATE="cert.pem",
        ETDB_SERVE_KEY_FILE="key.pem",
    )

    assert done.status != 0
    assert "expired on 2020-01-03" in done.errors
    assert "renew it" in done.errors
