"""What the two old daemons' interfaces have in common: how they ask and answer.

Their paths, parameters and errors are theirs, not ours: none of it is in our
API's description, and no parameter is refused that they would have ignored.
"""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route, request_response
from starlette.types import ASGIApp, Receive, Scope, Send

from etdb.web import header

Endpoint = Callable[[Request], Response]
AsyncEndpoint = Callable[[Request], Awaitable[Response]]

MAX_NUMBER = 10**9
MAX_DEPTH = 10_000
"""How far into a list a page may lie: all before it is read as well."""

_NUMBER = re.compile(r"[0-9]{1,9}\Z", re.ASCII)
_FALSE = frozenset({"0", "f", "false"})
_READ = ("GET", "HEAD")
_ALLOWED_HEADERS = "Content-Type, X-Requested-With"


class Routes:
    """The paths below a prefix; whatever is asked there is answered in the dialect."""

    def __init__(self, prefix: str, not_allowed: Endpoint) -> None:
        """`not_allowed` answers methods that a path does not take."""
        self.router = APIRouter()
        self._prefix = prefix
        self._not_allowed = not_allowed

    def add(self, path: str, endpoint: Endpoint) -> None:
        """Answer GET and HEAD on a path, in a thread."""
        self._route(path, endpoint, _READ)

    def add_post(self, path: str, endpoint: AsyncEndpoint) -> None:
        """Answer POST alone on a path."""
        self._route(path, endpoint, ("POST",))

    def add_rest(self, endpoint: Endpoint) -> None:
        """Answer what is asked on all other paths; the last that is added."""
        for path in ("", "/{rest:path}"):
            self._route(path, endpoint, _READ, otherwise=endpoint)

    def _route(
        self,
        path: str,
        endpoint: Endpoint | AsyncEndpoint,
        methods: tuple[str, ...],
        otherwise: Endpoint | None = None,
    ) -> None:
        allowed = ", ".join((*methods, "OPTIONS"))
        refuse = partial(self._refuse, allowed) if otherwise is None else otherwise
        answered = dict.fromkeys(methods, request_response(endpoint))
        answered["OPTIONS"] = request_response(_preflight(allowed))
        by_method = _ByMethod(answered, request_response(refuse))
        route = Route(self._prefix + path, by_method, include_in_schema=False)
        self.router.routes.append(route)

    def _refuse(self, allowed: str, request: Request) -> Response:
        answer = self._not_allowed(request)
        answer.headers["Allow"] = allowed
        return answer


class _ByMethod:
    """ASGI: one application for each method, and one for all others."""

    def __init__(self, known: Mapping[str, ASGIApp], otherwise: ASGIApp) -> None:
        self._known = known
        self._otherwise = otherwise

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer by the method."""
        app = self._known.get(scope["method"], self._otherwise)
        await app(scope, receive, send)


def _preflight(allowed: str) -> AsyncEndpoint:
    """Answer what a browser asks before it lets another site's script ask."""
    headers = {
        **header.OPEN,
        "Allow": allowed,
        "Access-Control-Allow-Methods": allowed,
        "Access-Control-Allow-Headers": _ALLOWED_HEADERS,
    }

    async def allow(_request: Request) -> Response:
        return Response(status_code=204, headers=headers)

    return allow


def number(request: Request, name: str, otherwise: int) -> int:
    """A parameter that is a whole number; anything else is as if it were absent."""
    text = request.query_params.get(name, "")
    return int(text) if _NUMBER.match(text) else otherwise


def is_false(request: Request, name: str) -> bool:
    """Whether a parameter is there and says no."""
    return request.query_params.get(name, "").lower() in _FALSE


def answer(value: object, *, status: int = 200, is_pretty: bool = False) -> Response:
    """JSON that any site's scripts may read."""
    text = json.dumps(
        value,
        ensure_ascii=False,
        indent=2 if is_pretty else None,
        separators=(",", ": ") if is_pretty else (",", ":"),
    )
    return Response(text, status, header.OPEN, "application/json")


def not_found(_request: Request) -> Response:
    """What oipd said to paths it did not know."""
    return PlainTextResponse("404 not found", 404, header.OPEN)


def not_allowed(_request: Request) -> Response:
    """The same of methods that a path does not take."""
    return PlainTextResponse("405 method not allowed", 405, header.OPEN)


def refused(status: int, reason: str, /, **more: Any) -> Response:
    """An error in the old daemons' shape."""
    return answer({"error": reason, **more}, status=status)
