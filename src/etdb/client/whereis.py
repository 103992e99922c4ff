"""Who holds a CID: candidates from people and routers, each of them asked.

A router's word is a hint. What counts is whether the block arrives and hashes
to its CID. A router's addresses are a stranger's: only public ones are asked.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from etdb.client.router import Hints, fetch_providers, is_url, place_of
from etdb.client.sources import HttpSource, Source
from etdb.errors import ContentMismatchError, EtdbError, NotFoundError
from etdb.fetch import LIMITS, Limits, redact
from etdb.identity import CID
from etdb.store.unixfs import verify_block

REGISTER = "register"
"""Who told of a host that the register of a record's publisher names."""
_AT_ONCE = 8


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
    cid: CID, sources: Sequence[Source], hints: Hints, limits: Limits = LIMITS
) -> Iterator[Holder]:
    """Every candidate, asked for it; a router that fails is one, too."""
    asked = set()
    for source in sources:
        asked.add(place_of(source.name))
        yield check_holder(source, cid)
    named: list[tuple[str, Sequence[str]]] = [(REGISTER, hints.hosts(cid))]
    for router in hints.routers:
        try:
            named.append((redact(router), fetch_providers(router, cid, limits)))
        except EtdbError as exc:
            yield Holder(redact(router), "", "fails", exc)
    told: dict[str, tuple[str, str]] = {}
    for told_by, urls in named:
        for url in filter(is_url, urls):
            if place_of(url) not in asked:
                told.setdefault(place_of(url), (url, told_by))
    yield from _ask_all(cid, list(told.values()), hints, limits)


def _ask_all(
    cid: CID, told: Sequence[tuple[str, str]], hints: Hints, limits: Limits
) -> Iterator[Holder]:
    def ask(url: str, told_by: str) -> Holder:
        is_public_only = not hints.may_be_private
        with HttpSource(url, limits=limits, is_public_only=is_public_only) as source:
            return check_holder(source, cid, told_by)

    with ThreadPoolExecutor(max_workers=_AT_ONCE) as pool:
        yield from pool.map(ask, *zip(*told, strict=True)) if told else ()
