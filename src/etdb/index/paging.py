"""Pages of a list, and the opaque tokens that say where the next one begins.

A token names the last result that was given, not a count: what arrives
meanwhile moves nothing.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

from etdb.errors import InvalidDataError

MAX_LIMIT = 1_000

_MAX_TOKEN_CHARACTERS = 2_000


@dataclass(frozen=True)
class Page:
    """Some results of a list, how many there are in all, and where it goes on."""

    results: list[dict[str, Any]]
    total: int
    next: str | None
    """An opaque token for `after`; None on the last page."""

    def as_dict(self) -> dict[str, Any]:
        """The page as JSON values: count, total, results, next."""
        return {
            "count": len(self.results),
            "total": self.total,
            "results": self.results,
            "next": self.next,
        }


def verify_limit(limit: int) -> None:
    """Raises InvalidDataError unless a page of this size may be asked for."""
    if not 1 <= limit <= MAX_LIMIT:
        msg = f"a page has 1 to {MAX_LIMIT} results, not {limit}"
        raise InvalidDataError(msg)


def encode_token(list_name: str, key: Sequence[str | float]) -> str:
    """The token of a place in a list: the sort key of the last result given."""
    data = json.dumps([list_name, *key], separators=(",", ":")).encode("ascii")
    return base64.urlsafe_b64encode(data).decode("ascii").rstrip("=")


def parse_token(list_name: str, token: str, types: Sequence[type]) -> list[Any]:
    """The key in a token of this list. Raises InvalidDataError.

    Each value is of one of the given types, in order: str, or float for any
    number.
    """
    try:
        padded = token[:_MAX_TOKEN_CHARACTERS] + "=" * (-len(token) % 4)
        found: list[Any] = json.loads(base64.urlsafe_b64decode(padded))
        name, *key = found
    except (binascii.Error, ValueError, TypeError, RecursionError) as exc:
        raise _not_ours(list_name) from exc
    if name != list_name or [_type(value) for value in key] != list(types):
        raise _not_ours(list_name)
    return key


def _type(value: object) -> type:
    """Float for any number that can be compared: not NaN, not beyond 63 bits."""
    if type(value) not in {int, float}:
        return type(value)
    return float if abs(cast("float", value)) < 2**63 else type(None)


def _not_ours(list_name: str) -> InvalidDataError:
    return InvalidDataError(
        f"the page token is not one of this list ({list_name})",
        hint="begin again without it",
    )
