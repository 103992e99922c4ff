"""Who holds a CID: candidates from people and routers, each of them asked.

A router's word is a hint. What counts is whether the block arrives and hashes
to its CID. A router's addresses are a stranger's: only public ones are asked.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from etdb.client.sources import HttpSource, Source
from etdb.errors import ContentMismatchError, EtdbError, InvalidDataError, NotFoundError
from etdb.fetch import LIMITS, Http, Limits, redact, verify_status
from etdb.identity import CID
from etdb.store.unixfs import verify_block

MAX_ANSWER_BYTES = 4 * 1024 * 1024
MAX_PROVIDERS = 100
"""As many are asked of all that one router names."""
_ACCEPT = "application/x-ndjson, application/json;q=0.8"


@dataclass(frozen=True)
class Holder:
    """Whether one place has the content."""

    name: str
    told_by: str
    """The router that named it; empty where a person did."""
    state: str
    """has, lacks, lies or fails."""
    error: EtdbError | None = None


def check_holder(source: Source, cid: CID, told_by: str = "") -> Holder:
    """Ask one source for the block of a CID."""
    try:
        verify_block(cid, source.get_block(cid, may_wait=False))
    except NotFoundError as exc:
        return Holder(source.name, told_by, "lacks", exc)
    except ContentMismatchError as exc:
        return Holder(source.name, told_by, "lies", exc)
    except EtdbError as exc:
        return Holder(source.name, told_by, "fails", exc)
    return Holder(source.name, told_by, "has")


def iter_holders(
    cid: CID,
    sources: Sequence[Source],
    routers: Sequence[str],
    *,
    limits: Limits = LIMITS,
    may_be_private: bool = False,
) -> Iterator[Holder]:
    """Every candidate, asked in turn; a router that fails is one, too."""
    asked = set()
    for source in sources:
        asked.add(source.name)
        yield check_holder(source, cid)
    for router in routers:
        name = redact(router)
        try:
            urls = fetch_providers(router, cid, limits)
        except EtdbError as exc:
            yield Holder(name, "", "fails", exc)
            continue
        for url in urls:
            if redact(url) in asked:
                continue
            asked.add(redact(url))
            with HttpSource(
                url, limits=limits, is_public_only=not may_be_private
            ) as source:
                yield check_holder(source, cid, name)


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
        case [kind, host, "tcp", port, *rest] if port.isascii() and port.isdigit():
            secure = rest in (["https"], ["tls", "http"])
            if not secure and rest != ["http"]:
                return None
            return _url("https" if secure else "http", kind, host, port)
        case _:
            return None


def _url(scheme: str, kind: str, host: str, port: str) -> str | None:
    if kind not in {"ip4", "ip6", "dns", "dns4", "dns6"} or not host:
        return None
    if any(character in host for character in "@?#\\ []%"):
        return None
    return (
        f"{scheme}://[{host}]:{port}" if kind == "ip6" else f"{scheme}://{host}:{port}"
    )
