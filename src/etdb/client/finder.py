"""Where the bytes of a dataset can be had: places given, and places found.

Found ones are named by routers and by those who know hosts. Whatever is named
is a hint from strangers: only public addresses are asked, only some of them,
only for a while, and only who gives the dataset's first block is drawn on.
"""

from __future__ import annotations

import contextlib
import itertools
import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from typing import Self, TypeVar

from etdb.client.router import NOBODY, Hints, fetch_providers, hasty, is_url, place_of
from etdb.client.sources import HttpSource, Source
from etdb.client.whereis import Holding, check_holder
from etdb.errors import EtdbError
from etdb.fetch import LIMITS, Limits
from etdb.identity import CID

T = TypeVar("T")

FIND_S = 10.0
"""How long is waited, in all, for routers and for those they name."""
MAX_ASKED = 32
"""Places that are asked, of all that are named for one CID."""
MAX_FOUND = 8
"""Places that are drawn on beside those given."""
_THREADS = 8


class Finder:
    """The sources of each dataset. Use as a context manager.

    It closes those that it found; those given are closed by who gave them.
    """

    def __init__(
        self,
        given: Sequence[Source],
        hints: Hints = NOBODY,
        *,
        limits: Limits = LIMITS,
        connections: int = 2,
        find_s: float = FIND_S,
    ) -> None:
        self.given = tuple(given)
        self.hints = hints
        self._limits = limits
        self._connections = connections
        self._find_s = find_s
        self.liars: dict[str, EtdbError] = {}
        """Who sent what is wrong, by name, and how; whoever notices notes it here."""
        self._opened: dict[str, HttpSource] = {}
        self._found: dict[CID, tuple[Source, ...]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections to those found; they give nothing after."""
        for source in self._opened.values():
            source.close()

    def interrupt(self) -> None:
        """Wake every thread that waits for a source, also for one of those given.

        Nothing can be fetched after.
        """
        for source in self.given:
            source.close()
        self.close()

    def sources_for(self, cid: CID) -> list[Source]:
        """Those given, then those found that have the block of this CID.

        Without known liars, unless nobody else is there.
        Never raises: a router that fails finds nobody.
        """
        if cid not in self._found:
            self._found[cid] = tuple(self._find(cid))
        known = [*self.given, *self._found[cid]]
        return [one for one in known if one.name not in self.liars] or known

    def _find(self, cid: CID) -> list[Source]:
        by_s = time.monotonic() + self._find_s
        limits = hasty(self._limits)
        routers = [
            partial(fetch_providers, url, cid, limits) for url in self.hints.routers
        ]
        named = _gather(routers, by_s, len(routers))
        named.append(list(self.hints.hosts(cid)))
        sources = [self._open(url) for url in self._select(named)]
        questions = [partial(_find_giving, source, cid) for source in sources]
        return _gather(questions, by_s, MAX_FOUND)

    def _select(self, named: Sequence[Sequence[str]]) -> list[str]:
        """Some of each, so that nobody's thousands hide another's one."""
        known = {place_of(source.name) for source in self.given}
        selected: dict[str, str] = {}
        for urls in itertools.zip_longest(*named):
            for url in urls:
                if url is None or place_of(url) in known or not self._may_ask(url):
                    continue
                selected.setdefault(place_of(url), url)
        return list(selected.values())[:MAX_ASKED]

    def _may_ask(self, url: str) -> bool:
        is_allowed = self.hints.may_be_private or url.startswith("https://")
        return is_allowed and is_url(url)

    def _open(self, url: str) -> HttpSource:
        place = place_of(url)
        if place not in self._opened:
            self._opened[place] = HttpSource(
                url,
                limits=self._limits,
                connections=self._connections,
                is_public_only=not self.hints.may_be_private,
            )
        return self._opened[place]


def _find_giving(source: HttpSource, cid: CID) -> Source | None:
    """The source, if it has the block of a CID, and rightly."""
    return source if check_holder(source, cid).state is Holding.HAS else None


def _gather(
    jobs: Sequence[Callable[[], T | None]], by_s: float, enough: int
) -> list[T]:
    """What jobs return, the quick ones first; who fails or is late is left out.

    Nobody is waited for once there are `enough` that return something.
    """
    todo = deque(jobs)
    done: queue.SimpleQueue[T | None] = queue.SimpleQueue()
    # Daemons: whoever never answers must not hold up the exit.
    for _ in range(min(_THREADS, len(jobs))):
        threading.Thread(target=_work, args=(todo, done), daemon=True).start()
    found: list[T] = []
    for _ in jobs:
        if len(found) == enough:
            break
        try:
            result = done.get(timeout=max(0.0, by_s - time.monotonic()))
        except queue.Empty:
            break
        if result is not None:
            found.append(result)
    todo.clear()
    return found


def _work(
    todo: deque[Callable[[], T | None]], done: queue.SimpleQueue[T | None]
) -> None:
    while True:
        result = None
        try:
            job = todo.popleft()
        except IndexError:
            return
        try:
            # Whoever was named in vain concerns nobody.
            with contextlib.suppress(EtdbError):
                result = job()
        finally:
            done.put(result)
