"""What the two old daemons' interfaces have in common: how they ask and answer.

Their paths, parameters and errors are theirs, not ours: none of it is in our
API's description, and no parameter is refused that they would have ignored.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from etdb.web import header

Endpoint = Callable[[Request], Response]

MAX_NUMBER = 10**9
MAX_DEPTH = 10_000
"""How far into a list a page may lie: all before it is read as well."""

_NUMBER = re.compile(r"[0-9]{1,9}\Z", re.ASCII)
_FALSE = frozenset({"0", "f", "false"})


def add(router: APIRouter, path: str, endpoint: Endpoint) -> None:
    """Answer GET and HEAD on a path, in a thread."""
    router.add_route(path, endpoint, methods=["GET"], include_in_schema=False)


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


def refused(status: int, reason: str, /, **more: Any) -> Response:
    """An error in the old daemons' shape."""
    return answer({"error": reason, **more}, status=status)
