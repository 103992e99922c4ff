"""Addresses that a stranger may send us to, and connections to those alone.

A URL from a ledger, a record or a router must not make this machine talk to
its own network. A name is resolved here, every address it has is judged, and
the connection goes to the address that was judged: a name that answers
otherwise a moment later gains nothing.

    >>> is_public("93.184.216.34"), is_public("10.0.0.1"), is_public("::1")
    (True, False, False)
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import NameResolutionError, NewConnectionError
from urllib3.util.connection import create_connection

from etdb.errors import NotAllowedError

Resolver = Callable[[str, int], Sequence[str]]
"""The addresses of a host, as text. Raises OSError."""

_TRANSLATED = (
    ipaddress.ip_network("64:ff9b::/96"),
    ipaddress.ip_network("64:ff9b:1::/48"),
)
_OWN_NAMES = (".localhost", ".local", ".internal")
_REFUSED = (
    ipaddress.ip_network("192.88.99.0/24"),  # 6to4 relays
    ipaddress.ip_network("fec0::/10"),  # site-local, once
    ipaddress.ip_network("::/96"),  # IPv4 in an obsolete form
)


def is_public(address: str) -> bool:
    """Whether an address, in its usual form, is one of the public internet.

    An IPv6 address that carries an IPv4 one (mapped, NAT64, 6to4, Teredo) is
    not: what it leads to is the translator's affair.
    """
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(parsed, ipaddress.IPv6Address) and (
        parsed.ipv4_mapped is not None
        or parsed.sixtofour is not None
        or parsed.teredo is not None
        or any(parsed in network for network in _TRANSLATED)
    ):
        return False
    if any(parsed in net for net in _REFUSED if net.version == parsed.version):
        return False
    return parsed.is_global and not parsed.is_multicast and not parsed.is_reserved


def may_be_public(host: str) -> bool:
    """Whether a host can mean the same to others; no name is looked up."""
    if host.replace(".", "").isdigit() or ":" in host:
        return is_public(host)
    return bool(host) and not f".{host}".endswith(_OWN_NAMES)


def resolve(host: str, port: int) -> list[str]:
    """What the system says of a host; odd spellings of numbers are understood."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(item[4][0]) for item in found))


def public_addresses(host: str, port: int, resolver: Resolver = resolve) -> list[str]:
    """The addresses of a host, all of them public.

    Raises NotAllowedError where one is not: a name that mixes both is a trap.
    Raises OSError where the host is not known.
    """
    found = list(resolver(host.strip("[]"), port))
    hidden = [address for address in found if not is_public(address)]
    if hidden or not found:
        where = hidden[0] if hidden else "no address"
        msg = f"{host} leads to {where}, which is not on the public internet"
        raise NotAllowedError(msg, hint="give the URL yourself if it is meant")
    return found


class PublicPool(urllib3.PoolManager):
    """Connections to public addresses alone, whatever the URL's host says."""

    def __init__(
        self,
        resolver: Resolver = resolve,
        connect: Callable[..., socket.socket] = create_connection,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        named = _Way(resolver, connect)

        class Plain(_Pinned, HTTPConnection):
            way = named

        class Secure(_Pinned, HTTPSConnection):
            way = named

        class PlainPool(HTTPConnectionPool):
            ConnectionCls = Plain

        class SecurePool(HTTPSConnectionPool):
            ConnectionCls = Secure

        self.pool_classes_by_scheme = {"http": PlainPool, "https": SecurePool}


@dataclass(frozen=True)
class _Way:
    resolver: Resolver
    connect: Callable[..., socket.socket]


class _Pinned(HTTPConnection):
    """Resolves by itself, and connects to what was judged."""

    way: _Way

    def _new_conn(self) -> socket.socket:
        try:
            found = public_addresses(self._dns_host, self.port, self.way.resolver)
        except OSError as exc:
            raise NameResolutionError(self.host, self, _no_name(exc)) from exc
        problem: OSError | None = None
        for address in found:
            try:
                return self.way.connect(
                    (address, self.port),
                    self.timeout,
                    source_address=self.source_address,
                    socket_options=self.socket_options,
                )
            except OSError as exc:
                problem = exc
        raise NewConnectionError(self, str(problem)) from problem


def _no_name(error: OSError) -> socket.gaierror:
    return error if isinstance(error, socket.gaierror) else socket.gaierror(str(error))
