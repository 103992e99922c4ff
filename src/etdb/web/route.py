"""Read-only routes: whatever answers GET answers HEAD, and is described once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastapi import APIRouter


def add_read(
    router: APIRouter, path: str, endpoint: Callable[..., Any], **described: Any
) -> None:
    """Answer GET and HEAD on a path; answers are ready-made responses."""
    router.add_api_route(path, endpoint, response_model=None, **described)
    router.add_api_route(
        path, endpoint, methods=["HEAD"], response_model=None, include_in_schema=False
    )
