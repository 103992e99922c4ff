"""Pages of lists as oipd gave them: sort keys, and `after` with their values.

Every list is ordered by what the visitor asks for, then by the time of the
block, newest first, then by txid; so no two results are equal, and the key of
the last one says where the next page begins.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn, cast
from urllib.parse import unquote

from sqlalchemy import ColumnElement, and_, false, func, or_
from sqlalchemy.engine import Row

from etdb.errors import InvalidDataError

MAX_SORTS = 3
_MAX_CHARACTERS = 2_000
_FIRST_MILLISECONDS = 10**11
_LAST_TEXT = "\U0010ffff"
_LAST_NUMBER = 2.0**62


@dataclass(frozen=True)
class Window:
    """Which part of a list is wanted; `after` makes `offset` be ignored."""

    limit: int = 10
    offset: int = 0
    sort: str = ""
    """`field:a$field:d`, put before the usual order."""
    after: str | None = None
    """A JSON array: the `next` of the page before."""


@dataclass(frozen=True)
class Hits:
    """Some results of a list, how many there are in all, and the last one's key."""

    results: list[dict[str, Any]]
    total: int
    next: list[Any] | None = None


NO_HITS = Hits([], 0)


@dataclass(frozen=True)
class Key:
    """One key that a list is ordered by."""

    column: ColumnElement[Any]
    is_descending: bool = False
    is_time: bool = False
    """Told in milliseconds, kept in seconds."""


@dataclass(frozen=True)
class Sortable:
    """A column that a list can be ordered by, unknown values last."""

    column: ColumnElement[Any]
    is_text: bool = False
    is_time: bool = False
    """Told in milliseconds, kept in seconds."""
    is_known: bool = False
    """It has a value in every row, so that an index on it can be used."""


def order_by(
    window: Window, sortable: Mapping[str, Sortable], usual: Sequence[Key]
) -> list[Key]:
    """The keys of a list. Raises InvalidDataError where one is not kept."""
    asked = [word for word in window.sort.split("$") if word]
    if len(asked) > MAX_SORTS:
        _refuse(f"at most {MAX_SORTS} fields can be sorted by")
    return [*(_key(word, sortable) for word in asked), *usual]


def follows(keys: Sequence[Key], window: Window) -> list[ColumnElement[bool]]:
    """What comes after the last result given. Raises InvalidDataError."""
    if window.after is None:
        return []
    values = _parse_after(window.after)
    if not 1 <= len(values) <= len(keys):
        _refuse("`after` is not of this list")
    equal: list[ColumnElement[bool]] = []
    beyond: ColumnElement[bool] = false()
    for key, told in zip(keys, values, strict=False):
        value = _to_column(key, told)
        is_past = key.column < value if key.is_descending else key.column > value
        beyond = or_(beyond, and_(*equal, is_past))
        equal.append(key.column == value)
    return [beyond]


def directed(keys: Sequence[Key]) -> list[ColumnElement[Any]]:
    """The keys as ORDER BY takes them."""
    return [key.column.desc() if key.is_descending else key.column for key in keys]


def columns_of(keys: Sequence[Key]) -> list[ColumnElement[Any]]:
    """What a row must hold for `values_of`."""
    return [key.column.label(_name(at)) for at, key in enumerate(keys)]


def values_of(keys: Sequence[Key], row: Row[Any]) -> list[Any]:
    """What a row is ordered by."""
    return [row._mapping[_name(at)] for at in range(len(keys))]


def tell(keys: Sequence[Key], row: Row[Any]) -> list[Any]:
    """The key of a result as the old daemon told it."""
    values = values_of(keys, row)
    return [
        value * 1000 if key.is_time else value
        for key, value in zip(keys, values, strict=True)
    ]


def _name(at: int) -> str:
    return f"key_{at}"


def _key(word: str, sortable: Mapping[str, Sortable]) -> Key:
    name, _, direction = word.partition(":")
    found = sortable.get(name)
    if found is None or direction not in {"a", "d", ""}:
        _refuse(f"there is no order {word[:60]!r}")
    is_descending = direction == "d"
    column = _unknown_last(found, is_descending=is_descending)
    return Key(column, is_descending, found.is_time)


def _unknown_last(found: Sortable, *, is_descending: bool) -> ColumnElement[Any]:
    if found.is_known:
        return found.column
    if found.is_text:
        return func.coalesce(found.column, "" if is_descending else _LAST_TEXT)
    return func.coalesce(found.column, -_LAST_NUMBER if is_descending else _LAST_NUMBER)


def _parse_after(text: str) -> list[Any]:
    """The array, also where a client left it encoded in part or in whole."""
    for spelling in (text, unquote(text)):
        found = _load(spelling[:_MAX_CHARACTERS])
        if isinstance(found, list):
            return found
    msg = "`after` is not a JSON array"
    raise InvalidDataError(msg)


def _load(text: str) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _to_column(key: Key, told: Any) -> str | float:
    if isinstance(told, str):
        return told
    if type(told) not in {int, float} or not abs(told) <= _LAST_NUMBER:
        _refuse("`after` holds what no list is ordered by")
    value = cast("float", told)
    if key.is_time and abs(value) >= _FIRST_MILLISECONDS:
        return value // 1000
    return value


def _refuse(reason: str) -> NoReturn:
    raise InvalidDataError(reason)
