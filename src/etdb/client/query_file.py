"""The query files of the original's `etdb-downloads`: read, never evaluated.

An array of clauses that must all hold. A clause is a filter on one field of
the record as it was published, or AND / OR over further clauses:

    [{"type": "filter", "searchOn": "artifact.details.speciesName",
      "searchType": "contains", "searchFor": "Vibrio"},
     {"type": "OR", "args": [ … ]}]

A field that a record lacks does not match; `"not": true` turns a clause round,
and then matches such a record. What the original did otherwise, by mistake, is
read as it was meant and said in `notes`.

    >>> query = parse_query(
    ...     '[{"type": "filter", "searchOn": "artifact.details.tiltMin",'
    ...     ' "searchType": "lessThan", "searchFor": -59}]'
    ... )
    >>> query.matches({"artifact": {"details": {"tiltMin": -60}}})
    True
"""

from __future__ import annotations

import json
import math
import operator
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from etdb.client.pattern import Pattern
from etdb.errors import InvalidDataError

MAX_CHARACTERS = 200_000
MAX_CLAUSES = 200
MAX_DEPTH = 20
MAX_TEXT_CHARACTERS = 1_000

Predicate = Callable[[Mapping[str, Any]], bool]
_Test = Callable[[object], bool]
_STEP = re.compile(r"([^.\[\]]+)|\[([0-9]{1,9})\]")
_META = re.compile(r"[\\^$*+?()\[\]{}|]")
_OPERATORS = {"AND": all, "OR": any}


@dataclass(frozen=True)
class QueryFile:
    """A query, and what there is to say about how it was read."""

    matches: Predicate
    """Whether a record, given as {"artifact": {…}}, is among those asked for."""
    notes: tuple[str, ...]


def parse_query(text: str) -> QueryFile:
    """Raises InvalidDataError naming the clause that cannot be read."""
    if len(text) > MAX_CHARACTERS:
        msg = f"the query is longer than {MAX_CHARACTERS} characters"
        raise InvalidDataError(msg)
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as exc:
        msg = f"the query is not JSON: {exc}"
        raise InvalidDataError(msg) from exc
    parser = _Parser()
    clauses = document if isinstance(document, list) else [document]
    predicate = parser.combine(clauses, "AND", "query", 0)
    return QueryFile(predicate, tuple(dict.fromkeys(parser.notes)))


class _Parser:
    def __init__(self) -> None:
        self.notes: list[str] = []
        self._count = 0

    def combine(self, clauses: object, kind: str, where: str, depth: int) -> Predicate:
        """AND or OR over a list of clauses."""
        if not isinstance(clauses, list) or (depth and not clauses):
            msg = f"{where}: a list of clauses is missing"
            raise InvalidDataError(msg)
        if depth > MAX_DEPTH:
            msg = f"the query is nested deeper than {MAX_DEPTH}"
            raise InvalidDataError(msg)
        parts = [
            self._clause(clause, f"{where}[{index}]", depth, is_first=index == 0)
            for index, clause in enumerate(clauses)
        ]
        joined = _OPERATORS[kind]
        return lambda record: joined(part(record) for part in parts)

    def _clause(
        self, clause: object, where: str, depth: int, *, is_first: bool
    ) -> Predicate:
        self._count += 1
        if self._count > MAX_CLAUSES:
            msg = f"the query has more than {MAX_CLAUSES} clauses"
            raise InvalidDataError(msg)
        if not isinstance(clause, dict):
            msg = f"{where} is not a clause"
            raise InvalidDataError(msg)
        kind, negated = clause.get("type"), clause.get("not")
        if not isinstance(negated, bool | None):
            msg = f"{where}.not is neither true nor false"
            raise InvalidDataError(msg)
        if kind == "filter":
            found = self._filter(clause, where)
        elif isinstance(kind, str) and kind in _OPERATORS:
            found = self.combine(clause.get("args"), kind, f"{where}.args", depth + 1)
        else:
            msg = f"{where}.type is {str(kind)[:40]!r}, not filter, AND or OR"
            raise InvalidDataError(msg)
        if not negated:
            return found
        if not is_first:
            self.notes.append("`not` turns round its own clause, not those before it")
        return lambda record: not found(record)

    def _filter(self, clause: Mapping[str, Any], where: str) -> Predicate:
        path = _parse_path(clause.get("searchOn"), where)
        kind, wanted = clause.get("searchType"), clause.get("searchFor")
        try:
            test = self._test(str(kind), wanted)
        except InvalidDataError as exc:
            msg = f"{where}: {exc.message}"
            raise InvalidDataError(msg) from exc
        return lambda record: any(test(value) for value in _iter_values(record, path))

    def _test(self, kind: str, wanted: object) -> _Test:
        is_number = isinstance(wanted, int | float) and not isinstance(wanted, bool)
        if kind == "exact" and is_number:
            self.notes.append("`exact` with a number is read as `exactValue`")
            kind = "exactValue"
        if kind in _NUMBER_TESTS:
            number = _get_number(wanted)
            compare = _NUMBER_TESTS[kind]
            return _on_numbers(lambda value: compare(value, number))
        if kind not in _TEXT_TESTS:
            known = ", ".join([*_TEXT_TESTS, *_NUMBER_TESTS])
            msg = f"searchType is {kind[:40]!r}, not one of {known}"
            raise InvalidDataError(msg)
        if not isinstance(wanted, str) or len(wanted) > MAX_TEXT_CHARACTERS:
            msg = f"searchFor must be a text of up to {MAX_TEXT_CHARACTERS} characters"
            raise InvalidDataError(msg)
        if kind in {"contains", "startsWith", "endsWith"} and _META.search(wanted):
            self.notes.append(
                f"`{kind}` takes {wanted!r} as it is written;"
                " use `regex` for a regular expression"
            )
        if kind == "between" and operator.gt(*_parse_ends(wanted)):
            self.notes.append(f"`between` with {wanted!r} is read smaller number first")
        return _TEXT_TESTS[kind](wanted)


def _parse_path(path: object, where: str) -> tuple[str | int, ...]:
    """The steps of `artifact.storage.files[0].fname`."""
    msg = f"{where}.searchOn does not name a field"
    if not isinstance(path, str) or not 0 < len(path) <= MAX_TEXT_CHARACTERS:
        raise InvalidDataError(msg)
    steps: list[str | int] = [name or int(index) for name, index in _STEP.findall(path)]
    if not steps or _STEP.sub("", path).strip("."):
        raise InvalidDataError(msg)
    return tuple(steps)


def _iter_values(value: object, path: tuple[str | int, ...]) -> Iterator[object]:
    """What stands at a path; of a list without a number, any of its items."""
    if not path:
        yield value
        return
    step, rest = path[0], path[1:]
    if isinstance(value, Mapping):
        if isinstance(step, str) and step in value:
            yield from _iter_values(value[step], rest)
    elif isinstance(value, list) and isinstance(step, int):
        for item in value[step : step + 1]:
            yield from _iter_values(item, rest)
    elif isinstance(value, list):
        for item in value:
            yield from _iter_values(item, path)


def _find_number(value: object) -> float | None:
    """A finite number, also one that is written as text."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _get_number(value: object) -> float:
    number = _find_number(value)
    if number is None:
        raise InvalidDataError("searchFor must be a number")
    return number


def _on_numbers(test: Callable[[float], bool]) -> _Test:
    def tested(value: object) -> bool:
        number = _find_number(value)
        return number is not None and test(number)

    return tested


def _on_texts(test: Callable[[str], bool]) -> _Test:
    return lambda value: isinstance(value, str) and test(value)


def _exact(wanted: str) -> _Test:
    number = _find_number(wanted)

    def tested(value: object) -> bool:
        if isinstance(value, str):
            return value == wanted
        return number is not None and _find_number(value) == number

    return tested


def _parse_ends(wanted: str) -> tuple[float, float]:
    ends = [_find_number(end) for end in wanted.split(";")]
    if len(ends) != 2 or ends[0] is None or ends[1] is None:
        raise InvalidDataError('searchFor of between must be "number;number"')
    return ends[0], ends[1]


def _between(wanted: str) -> _Test:
    low, high = sorted(_parse_ends(wanted))
    if low == high:
        msg = f"nothing is between {low:g} and {high:g}; use exactValue for one number"
        raise InvalidDataError(msg)
    return _on_numbers(lambda value: low < value < high)


_NUMBER_TESTS: Mapping[str, Callable[[float, float], bool]] = {
    "exactValue": lambda value, wanted: value == wanted,
    "lessThan": lambda value, wanted: value < wanted,
    "greaterThan": lambda value, wanted: value > wanted,
}
_TEXT_TESTS: Mapping[str, Callable[[str], _Test]] = {
    "contains": lambda wanted: _on_texts(lambda value: wanted in value),
    "exact": _exact,
    "startsWith": lambda wanted: _on_texts(lambda value: value.startswith(wanted)),
    "endsWith": lambda wanted: _on_texts(lambda value: value.endswith(wanted)),
    "regex": lambda wanted: _on_texts(Pattern(wanted).is_in),
    "between": _between,
}
