"""/routing/v1: who has content, for IPFS clients that ask routers over HTTP.

This node names itself for what it holds (delegated routing, IPIP-337), and
for a dataset or a file in one the gateways that its publishers have registered;
as JSON or as a stream of lines, filtered as asked (IPIP-484).
"""

from __future__ import annotations

import contextlib
import hashlib
import ipaddress
import json
from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import urlsplit

from fastapi import APIRouter
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from etdb.errors import EtdbError, InvalidDataError
from etdb.identity import CID, IDENTITY, encode_base58
from etdb.store.verified import BlockSource
from etdb.store.walk import Checkable
from etdb.web import header
from etdb.web.accept import parse_accept
from etdb.web.route import add_read

PROTOCOL = "transport-ipfs-gateway-http"
JSON_TYPE = "application/json"
LINES_TYPE = "application/x-ndjson"
_KEPT = "public, max-age=300"

Provider = dict[str, Any]


class Routing:
    """The routes under /routing/v1."""

    def __init__(
        self,
        store: BlockSource,
        addresses: Sequence[str],
        hosts: Callable[[CID], Sequence[str]] = lambda _cid: (),
    ) -> None:
        """`addresses`: URLs or multiaddrs of this node's gateway.

        `hosts` names the URLs of other gateways that are said to have a CID.
        """
        self._store = Checkable(store)
        self._hosts = hosts
        self._addresses = tuple(
            address if address.startswith("/") else multiaddr_of(address)
            for address in addresses
        )
        self.router = APIRouter(include_in_schema=False)
        path = "/routing/v1/providers/{cid}"
        add_read(self.router, path, self.list_providers)
        self.router.add_api_route(path, self.allow, methods=["OPTIONS"])

    async def allow(self) -> Response:
        """Tell a browser that any site may read here."""
        return Response(status_code=204, headers=header.GATEWAY_CORS)

    async def list_providers(self, request: Request, cid: str) -> Response:
        """Who has the content of a CID."""
        try:
            wanted = CID.parse(cid)
        except InvalidDataError as exc:
            raise HTTPException(400, exc.message) from exc
        providers = []
        if await run_in_threadpool(self._has, wanted):
            addresses = self._addresses or tuple(_own_addresses(request))
            providers.append(provider(addresses))
        providers += await run_in_threadpool(self._list_elsewhere, wanted)
        kept = filter_providers(providers, *_filters(request))
        return _answer(request, kept, is_fixed=bool(self._addresses))

    def _list_elsewhere(self, cid: CID) -> list[Provider]:
        """Who else is said to have it; only what a multiaddr can say."""
        try:
            urls = self._hosts(cid)
        except EtdbError:
            return []
        found = (_find_multiaddr(url) for url in urls)
        return [
            provider([address])
            for address in found
            if address is not None and address not in self._addresses
        ]

    def _has(self, cid: CID) -> bool:
        """Whether its block can be given right now: it is read and hashed."""
        if cid.hash_code == IDENTITY:
            return False
        try:
            self._store.get_block(cid)
        except EtdbError:
            return False
        return True


def provider(addresses: Sequence[str]) -> Provider:
    """A gateway at some multiaddrs, as a peer record."""
    # Over HTTP no key is ever shown; the id need only be this node's alone.
    digest = hashlib.sha256("\n".join(addresses).encode("utf-8")).digest()
    return {
        "Schema": "peer",
        "ID": encode_base58(b"\x12\x20" + digest),
        "Addrs": [*addresses],
        "Protocols": [PROTOCOL],
    }


def multiaddr_of(url: str) -> str:
    """The multiaddr of an HTTP address. Raises InvalidDataError."""
    try:
        parts = urlsplit(url)
        port = parts.port or {"http": 80, "https": 443}[parts.scheme]
        host = parts.hostname or ""
    except (ValueError, KeyError) as exc:
        raise _unfit(url) from exc
    if not host or "/" in host:
        raise _unfit(url)
    try:
        kind = f"ip{ipaddress.ip_address(host).version}"
    except ValueError:
        kind = "dns"
    tail = "/tls/http" if parts.scheme == "https" else "/http"
    return f"/{kind}/{host}/tcp/{port}{tail}"


def _find_multiaddr(url: str) -> str | None:
    """That of an https address of which a path says no more."""
    try:
        parts = urlsplit(url)
        is_whole = parts.scheme == "https" and not parts.path.strip("/")
        return multiaddr_of(url) if is_whole else None
    except (ValueError, InvalidDataError):
        return None


def _unfit(url: str) -> InvalidDataError:
    return InvalidDataError(f"not the address of a web server: {url[:80]!r}")


def filter_providers(
    providers: Sequence[Provider], addresses: frozenset[str], protocols: frozenset[str]
) -> list[Provider]:
    """What is left of providers: no filter lets everything through.

    "!x" refuses addresses with x; "unknown" stands for nothing said.
    """
    kept = []
    for known in providers:
        spoken = {name.lower() for name in known["Protocols"]} or {"unknown"}
        if protocols and not spoken & protocols:
            continue
        fit = [text for text in known["Addrs"] if _is_fit(text, addresses)]
        if fit or not addresses or (not known["Addrs"] and "unknown" in addresses):
            kept.append({**known, "Addrs": fit})
    return kept


def _is_fit(multiaddr: str, wanted: frozenset[str]) -> bool:
    parts = set(multiaddr.lower().split("/"))
    if {"tls", "http"} <= parts:
        parts.add("https")
    refused = {name[1:] for name in wanted if name.startswith("!")}
    asked = {name for name in wanted if not name.startswith("!")}
    return not parts & refused and (not asked or bool(parts & asked))


def _filters(request: Request) -> tuple[frozenset[str], frozenset[str]]:
    texts = (
        request.query_params.get(name, "")
        for name in ("filter-addrs", "filter-protocols")
    )
    addresses, protocols = (
        frozenset(word.strip().lower() for word in text.split(",") if word.strip())
        for text in texts
    )
    return addresses, protocols


def _own_addresses(request: Request) -> list[str]:
    """The address this request came to, where it is an IP literal."""
    with contextlib.suppress(InvalidDataError, ValueError):
        multiaddr = multiaddr_of(str(request.base_url))
        if not multiaddr.startswith("/dns/"):
            return [multiaddr]
    return []


def _answer(
    request: Request, providers: Sequence[Provider], *, is_fixed: bool
) -> Response:
    headers = {
        **header.GATEWAY_CORS,
        "Vary": "Accept",
        # An address taken from this very request is nobody else's answer.
        "Cache-Control": _KEPT if is_fixed else "no-store",
    }
    accepted = parse_accept(request.headers.get("accept", ""))
    known = [wanted.type for wanted in accepted if wanted.type.startswith(_TYPES)]
    if known and known[0] == LINES_TYPE:
        body = "".join(f"{json.dumps(item)}\n" for item in providers)
        return Response(body, headers=headers, media_type=LINES_TYPE)
    body = json.dumps({"Providers": [*providers]})
    return Response(body, headers=headers, media_type=JSON_TYPE)


_TYPES = (LINES_TYPE, JSON_TYPE, "*/*")
