"""Routers over HTTP (`/routing/v1`): which places they name for a CID.

A router's word is a hint from a stranger: what it names is asked, never
believed, and its answer may be anything.
"""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlsplit

from etdb.errors import InvalidDataError
from etdb.fetch import LIMITS, Http, Limits, verify_status
from etdb.identity import CID

MAX_ANSWER_BYTES = 4 * 1024 * 1024
MAX_PROVIDERS = 100
"""As many are taken of all that one router names."""
HASTE_S = 5.0
_ACCEPT = "application/x-ndjson, application/json;q=0.8"
_NAME = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,252})")
_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True)
class Hints:
    """Whom to ask where a dataset may be."""

    routers: tuple[str, ...] = ()
    """URLs under which `/routing/v1` stands."""
    hosts: Callable[[CID], Sequence[str]] = lambda _cid: ()
    """URLs of gateways that somebody says have it."""
    may_be_private: bool = False
    """Whether those named may be private addresses, and without https."""


NOBODY = Hints()


def hasty(limits: Limits) -> Limits:
    """For a first question to somebody who was named: without patience."""
    return replace(
        limits,
        connect_s=min(limits.connect_s, HASTE_S),
        silence_s=min(limits.silence_s, HASTE_S),
        answer_s=min(limits.answer_s, HASTE_S),
        attempts=1,
    )


def fetch_providers(router: str, cid: CID, limits: Limits = LIMITS) -> list[str]:
    """The http and https addresses that a router names for a CID, as URLs.

    Raises UnavailableError, InvalidDataError. A router that knows none may
    answer 404.
    """
    http = Http(limits)
    url = f"{router.rstrip('/')}/routing/v1/providers/{cid}"
    try:
        answer = http.fetch(url, accept=_ACCEPT, max_bytes=MAX_ANSWER_BYTES)
    finally:
        http.close()
    if answer.status == 404:
        return []
    verify_status(answer.status, url, "provider of", cid)
    return parse_providers(answer.body)[:MAX_PROVIDERS]


def parse_providers(body: bytes) -> list[str]:
    """URLs from an answer in JSON or in NDJSON, each once.

    Addresses that are not HTTP's are left out. Raises InvalidDataError.
    """
    try:
        text = body.decode("utf-8")
        lines = [json.loads(line) for line in _documents(text)]
    except (ValueError, RecursionError) as exc:
        raise InvalidDataError("a router's answer is no JSON") from exc
    providers: list[Any] = []
    for line in lines:
        listed = line.get("Providers") if isinstance(line, dict) else None
        providers += listed if isinstance(listed, list) else [line]
    addresses = [
        address
        for provider in providers
        if isinstance(provider, dict)
        for address in _strings(provider.get("Addrs"))
    ]
    urls = (find_url(address) for address in addresses)
    return list(dict.fromkeys(url for url in urls if url is not None))


def _documents(text: str) -> list[str]:
    """The text as one document where it is one, else line by line."""
    try:
        json.loads(text)
    except ValueError:
        return [line for line in text.splitlines() if line.strip()]
    return [text]


def _strings(value: object) -> list[str]:
    listed = value if isinstance(value, list) else []
    return [item for item in listed if isinstance(item, str)]


def find_url(address: str) -> str | None:
    """The URL of a multiaddr such as `/dns4/example.org/tcp/443/tls/http`.

    >>> find_url("/ip4/192.0.2.1/tcp/8080/http")
    'http://192.0.2.1:8080'
    """
    match address.strip("/").split("/"):
        case [kind, host, "tcp", port, *rest] if _is_port(port):
            secure = rest in (["https"], ["tls", "http"])
            if not secure and rest != ["http"]:
                return None
            return _url("https" if secure else "http", kind, host, port)
        case _:
            return None


def _is_port(text: str) -> bool:
    return text.isascii() and text.isdigit() and 0 < int(text[:9]) < 2**16


def _url(scheme: str, kind: str, host: str, port: str) -> str | None:
    if kind in {"dns", "dns4", "dns6"}:
        return f"{scheme}://{host}:{port}" if _NAME.fullmatch(host) else None
    if kind not in {"ip4", "ip6"}:
        return None
    try:
        found = ipaddress.ip_address(host)
    except ValueError:
        return None
    if kind != f"ip{found.version}" or "%" in host:
        return None
    return (
        f"{scheme}://[{host}]:{port}" if kind == "ip6" else f"{scheme}://{host}:{port}"
    )


def place_of(url: str) -> str:
    """The same text for two spellings of one address.

    >>> place_of("https://One.example:443/") == place_of("https://one.example")
    True
    """
    try:
        parts = urlsplit(url)
        port = parts.port or _PORTS.get(parts.scheme)
    except ValueError:
        return url
    return f"{parts.scheme}://{parts.hostname}:{port}{parts.path.rstrip('/')}"


def is_url(url: str) -> bool:
    """Whether a text from a stranger is the address of a web server at all."""
    try:
        parts = urlsplit(url)
        return parts.scheme in _PORTS and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
