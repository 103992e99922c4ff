"""/oip: the interface of oipd, as js-oip speaks it.

Records are given as they are now (`etdb.index.oip.oipd`). Kinds of records that
this system has none of (OIP 0.41, Alexandria media, historian, OIP 5) are
empty lists.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote

from starlette.requests import Request
from starlette.responses import Response

from etdb.errors import EtdbError, InvalidDataError, NotFoundError
from etdb.index.oip.page import NO_HITS, Hits, Window
from etdb.web.dialect import (
    MAX_DEPTH,
    Routes,
    answer,
    is_false,
    not_allowed,
    not_found,
    number,
    refused,
)

if TYPE_CHECKING:
    from etdb.index.oip.oipd import OipIndex
    from etdb.web.site import Site

Find = Callable[[Request, Window], Hits]

PREFIX = "/oip"
MAX_LIMIT = 1_000
MAX_TRANSACTIONS = 100
"""On a page of transactions: each is read from its ledger."""

USUAL_LIMIT = 10

_TOO_DEEP = "page limit exceeded, use 'after' instead of 'page' for deep queries"
_INVALID = "invalid search request"
_FAILED = "unable to execute search"
_CAUGHT_UP_BLOCKS = 10
_DIGITS = re.compile(r"[0-9a-f]{1,64}\Z")
_WHOLE = re.compile(r"[0-9a-f]{64}\Z")


class Oipd:
    """The routes under /oip."""

    def __init__(self, site: Site, oip: OipIndex) -> None:
        self._site = site
        self._oip = oip
        self._started = time.time()
        self._routes = Routes(PREFIX, not_allowed)
        self.router = self._routes.router
        self._add("/daemon/version", self._version)
        self._add("/sync/status", self._sync_status)
        self._add("/artifact/cardinality", self._cardinality)
        self._add("/historian/24hr", lambda _: refused(400, _INVALID))
        for path, find in self._lists().items():
            self._add(path, partial(_list, find, MAX_LIMIT))
        for path, find in self._transactions().items():
            self._add(path, partial(_list, find, MAX_TRANSACTIONS))
        self._add("/o5/record/mapping/{names}", lambda _: answer({}))
        for path in _EMPTY:
            self._add(path, partial(_list, lambda *_: NO_HITS, MAX_LIMIT))
        self._routes.add_rest(not_found)

    def _add(self, path: str, endpoint: Callable[[Request], Response]) -> None:
        self._routes.add(path, partial(_answered, endpoint))

    def _lists(self) -> Mapping[str, Find]:
        oip = self._oip
        return {
            "/artifact/get/latest": self._latest,
            "/artifact/get/{id}": lambda r, w: oip.find(_digits(r, "id"), w),
            "/artifact/search": lambda r, w: oip.search(_query(r), w),
            "/oip042/artifact/get/latest": self._latest,
            "/oip042/artifact/get/{id}": lambda r, w: oip.find(_digits(r, "id"), w),
            "/oip042/record/get/{id}": lambda r, _: oip.get_record(_whole(r, "id")),
            "/oip042/record/get/{id}/version/{version}": lambda r, _: oip.get_version(
                _whole(r, "id"), _whole(r, "version")
            ),
            "/oip042/edit/get/{id}": lambda r, w: oip.find_edits(_digits(r, "id"), w),
            "/oip042/edit/search": lambda r, w: oip.search_edits(_query(r), w),
            "/multipart/get/ref/{id}": lambda r, w: oip.parts_of(_digits(r, "id"), w),
            "/multipart/get/id/{id}": lambda r, w: oip.find_parts(_digits(r, "id"), w),
        }

    def _transactions(self) -> Mapping[str, Find]:
        found: dict[str, Find] = {}
        for path, is_whole in (("/floData", False), ("/flo/tx", True)):
            latest = partial(self._latest_texts, is_whole)
            find = partial(self._oip.find_texts, is_whole=is_whole)
            search = partial(self._oip.search_texts, is_whole=is_whole)
            found[f"{path}/latest"] = latest
            found[f"{path}/get/{{id}}"] = partial(_by_digits, find)
            found[f"{path}/search"] = partial(_by_query, search)
        return found

    def _latest(self, request: Request, window: Window) -> Hits:
        return self._oip.latest(window, is_safe=is_false(request, "nsfw"))

    def _latest_texts(self, is_whole: bool, request: Request, window: Window) -> Hits:
        told = "coinbase" in request.query_params
        wanted = not is_false(request, "coinbase") if told else None
        return self._oip.latest_texts(window, is_whole=is_whole, is_coinbase=wanted)

    def _cardinality(self, request: Request) -> Response:
        field = request.query_params.get("f", "")
        return answer({"c": self._oip.cardinality(field), "f": field})

    def _version(self, _request: Request) -> Response:
        uptime = timedelta(seconds=int(time.time() - self._started))
        return answer(
            {
                "BuiltBy": f"etdb {self._site.version}",
                "BuildDate": "",
                "GoVersion": "",
                "GitCommitHash": "",
                "Started": datetime.fromtimestamp(self._started, UTC).isoformat(),
                "Uptime": str(uptime),
            }
        )

    def _sync_status(self, _request: Request) -> Response:
        return answer(_sync_status(self._site.status()))


def _sync_status(status: Mapping[str, Any]) -> dict[str, Any]:
    """How far the ledger is read that is furthest behind; the old names.

    Parts are joined and edits applied with the block that holds them.
    """
    ledgers = status.get("ledgers") or [{}]
    told = max(ledgers, key=lambda ledger: ledger.get("lag") or 0)
    height, lag = told.get("height"), told.get("lag")
    latest = told.get("tip_height")
    known = height if latest is None else latest
    return {
        "IsInitialSync": height is None or (lag or 0) > _CAUGHT_UP_BLOCKS,
        "MultipartSyncComplete": True,
        "EditSyncComplete": True,
        "Height": height or 0,
        "Timestamp": told.get("time") or 0,
        "LatestHeight": known or 0,
        "Progress": 1.0 if not known else (height or 0) / known,
    }


def _answered(endpoint: Callable[[Request], Response], request: Request) -> Response:
    """Errors as oipd told them."""
    try:
        return endpoint(request)
    except NotFoundError:
        return not_found(request)
    except InvalidDataError:
        return refused(400, _INVALID)
    except EtdbError:
        return refused(500, _FAILED)


def _list(find: Find, max_limit: int, request: Request) -> Response:
    limit = number(request, "limit", USUAL_LIMIT) or USUAL_LIMIT
    page = max(1, number(request, "page", 1) if "limit" in request.query_params else 1)
    after = request.query_params.get("after")
    if after is None and page * limit > MAX_DEPTH:
        return refused(400, _TOO_DEEP)
    window = Window(
        limit=min(limit, max_limit),
        offset=(page - 1) * min(limit, max_limit),
        sort=request.query_params.get("sort", ""),
        after=after,
    )
    hits = find(request, window)
    told = {
        "count": len(hits.results),
        "total": hits.total,
        "results": hits.results,
        "next": _next(hits),
    }
    return answer(told, is_pretty="pretty" in request.query_params)


def _next(hits: Hits) -> str:
    if hits.next is None:
        return ""
    return quote(json.dumps(hits.next, separators=(",", ":"), ensure_ascii=False), "")


def _query(request: Request) -> str:
    """The query, decoded once more than other parameters, as oipd did it."""
    return unquote(request.query_params.get("q", ""))


def _by_query(search: Callable[[str, Window], Hits], r: Request, w: Window) -> Hits:
    return search(_query(r), w)


def _by_digits(find: Callable[[str, Window], Hits], r: Request, w: Window) -> Hits:
    return find(_digits(r, "id"), w)


def _digits(request: Request, name: str) -> str:
    return _matching(_DIGITS, request, name)


def _whole(request: Request, name: str) -> str:
    return _matching(_WHOLE, request, name)


def _matching(pattern: re.Pattern[str], request: Request, name: str) -> str:
    text = str(request.path_params[name])
    if pattern.match(text) is None:
        raise NotFoundError("transaction", text[:100])
    return text


_EMPTY = (
    "/oip041/artifact/get/latest",
    "/oip041/artifact/get/{id}",
    "/alexandria/artifact/get/latest",
    "/alexandria/artifact/get/{id}",
    "/alexandria/publisher/get/latest",
    "/alexandria/publisher/get/latest/",
    "/alexandria/publisher/get/{id}",
    "/historian/get/latest",
    "/historian/get/{id}",
    "/o5/record/get/latest",
    "/o5/record/get/{id}",
    "/o5/record/search",
    "/o5/template/get/latest",
    "/o5/template/get/{id}",
    "/o5/template/search",
)
"""Kinds of records that no ledger gives us any of."""
