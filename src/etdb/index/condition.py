"""A search expression as SQL over `records`; every value is a parameter.

A record that does not state a field matches no comparison of it, and so does
match the comparison's negation.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from sqlalchemy import ColumnElement, and_, false, not_, or_, select, true

from etdb.index.schema import messages, publishers, records, records_fts, versions
from etdb.index.search import (
    And,
    Compare,
    Expression,
    Has,
    Is,
    Match,
    Not,
    Or,
)

Condition = ColumnElement[bool]

AFTER_HEX = "g"
"""Sorts after every hex digit: the end of a range of ids with one beginning."""

_SEPARATOR = re.compile("[\0-\x1f\x7f\ud800-\udfff]")
"""No part of a word. SQLite ends a full-text search at a NUL, and refuses halves
of surrogate pairs."""

_UNSTORED = re.compile("[\0\ud800-\udfff]")

_OPERATORS: Mapping[str, Callable[[Any, Any], Condition]] = MappingProxyType(
    {
        "<": operator.lt,
        "<=": operator.le,
        ">": operator.gt,
        ">=": operator.ge,
        "=": operator.eq,
    }
)


def condition_of(expression: Expression) -> Condition:
    """What the records that match fulfil."""
    match expression:
        case And(operands):
            return and_(true(), *_conditions(operands, " AND "))
        case Or(operands):
            return or_(false(), *_conditions(operands, " OR "))
        case Not(operand):
            return not_(condition_of(operand))
        case _:
            return _term(expression)


def _conditions(operands: Sequence[Expression], word: str) -> list[Condition]:
    """What operands ask for; of the full text all of them in one go."""
    matches = [each for each in operands if isinstance(each, Match)]
    others = [each for each in operands if not isinstance(each, Match)]
    conditions = [condition_of(each) for each in others]
    if matches:
        conditions.append(_matches(word.join(map(_full_text, matches))))
    return conditions


def _term(term: Match | Compare | Is | Has) -> Condition:
    match term:
        case Match():
            return _matches(_full_text(term))
        case Compare():
            return _compare(term)
        case Is(field, value):
            return _IDENTITIES[field](value) if is_storable(value) else false()
        case Has(field):
            return _has(field)


def is_storable(text: str) -> bool:
    """Whether a column can hold a text, and so a search for it find anything."""
    return _UNSTORED.search(text) is None


def starts_with_hex(column: ColumnElement[Any], digits: str) -> Condition:
    """The column, lower-case hex, begins with these digits; uses its index."""
    return and_(column >= digits, column < digits + AFTER_HEX)


def _full_text(term: Match) -> str:
    """A term in the language of FTS5, where anything may stand in quotes."""
    phrase = _SEPARATOR.sub(" ", term.phrase).replace('"', '""')
    quoted = f'"{phrase}"' + "*" * term.is_prefix
    return f"({quoted})" if term.field is None else f"({term.field} : {quoted})"


def _matches(wanted: str) -> Condition:
    found = select(records_fts.c.rowid).where(records_fts.c.records_fts.match(wanted))
    return records.c.row.in_(found)


def compare(column: ColumnElement[Any], op: str, value: float) -> Condition:
    """The column is stated and stands on one side of a value."""
    return and_(column.is_not(None), _OPERATORS[op](column, value))


def _compare(term: Compare) -> Condition:
    if term.field in _ANCHORED:
        return _has_anchor(compare(messages.c[term.field], term.op, term.value))
    return compare(records.c[term.field], term.op, term.value)


def _has(field: str) -> Condition:
    if field == "txid":
        field = "id"
    return true() if field in _ANCHORED else records.c[field].is_not(None)


def _has_anchor(condition: Condition) -> Condition:
    """Some anchor of some version fulfils a condition."""
    return records.c.id.in_(
        select(versions.c.record_id)
        .join(messages, messages.c.digest == versions.c.digest)
        .where(condition)
    )


def _id(digits: str) -> Condition:
    return starts_with_hex(records.c.id, digits)


def _txid(digits: str) -> Condition:
    return _has_anchor(starts_with_hex(messages.c.txid, digits))


def _publisher(value: str) -> Condition:
    named = select(publishers.c.address).where(
        publishers.c.name.icontains(value, autoescape=True)
    )
    return or_(records.c.publisher == value, records.c.publisher.in_(named))


def _class(value: str) -> Condition:
    return records.c["class"] == value


def _address(value: str) -> Condition:
    return records.c.publisher == value


def _type(value: str) -> Condition:
    return records.c.type == value.lower()


def _subtype(value: str) -> Condition:
    return records.c.subtype == value.lower()


def _is_nsfw(value: str) -> Condition:
    return records.c.is_nsfw.is_(value == "true")


_ANCHORED = frozenset({"height", "time"})
"""Numbers that a record has once for each of its anchors; `time` is the block's."""

_IDENTITIES: Mapping[str, Callable[[str], Condition]] = MappingProxyType(
    {
        "id": _id,
        "txid": _txid,
        "publisher": _publisher,
        "address": _address,
        "class": _class,
        "type": _type,
        "subtype": _subtype,
        "nsfw": _is_nsfw,
    }
)
