r"""OIP's search syntax, Lucene's query_string, onto our expression tree. Pure.

    artifact.details.speciesName:"Vibrio cholerae" AND artifact.timestamp:>1528000000
    artifact.details.tiltMin:[-60 TO *]   _exists_:artifact.details.emdb
    plain words -unwanted +needed   a OR (b AND NOT c)

What cannot be served as it is meant is refused rather than answered wrongly:
fuzzy and regular expressions, proximity, wildcards but for one at the end, and
fields that the index does not keep. A boost changes no result and is ignored.

    >>> fields = {"artifact.details.defocus": Target("defocus_um", FieldKind.NUMBER)}
    >>> parse("NOT artifact.details.defocus:<-5", fields)
    Not(operand=Compare(field='defocus_um', op='<', value=-5.0))
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, NoReturn

from luqum import tree
from luqum.exceptions import ParseError
from luqum.thread import parse as parse_lucene

from etdb.errors import InvalidDataError
from etdb.index.fields import FieldKind
from etdb.index.search import (
    MAX_DEPTH,
    MAX_QUERY_CHARACTERS,
    MAX_TERMS,
    And,
    Compare,
    Expression,
    Has,
    Is,
    Match,
    Not,
    Or,
)
from etdb.index.span import Span, parse_span


@dataclass(frozen=True)
class Target:
    """What a field of the old interface is in the expression."""

    name: str
    kind: FieldKind | None
    """How its values are read; None where it has one value: `value`."""
    value: str = ""


EVERYTHING: Expression = And(())
NOTHING: Expression = Or(())

_REPAIRED = re.compile(
    r"""
    "(?:[^"\\]|\\.)*" | \\.
  | (?P<negative>:(?:[<>]=?)?)-(?=[\d.])
  | (?P<word>&&|\|\|)
  | (?<![^\s(+\-!])(?P<bang>!)(?=\S)
    """,
    re.VERBOSE | re.DOTALL,
)
_WORDS = MappingProxyType({"&&": " AND ", "||": " OR "})
_CONTROL = re.compile("[\0-\x08\x0e-\x1f\x7f\ud800-\udfff]")
_EPOCH = re.compile(r"\d{5,16}\Z")
_HEX = re.compile(r"[0-9a-f]{1,64}\Z")
_FIRST_MILLISECONDS = 10**11
_ALL_DIGITS = 64


def parse(query: str, fields: Mapping[str, Target]) -> Expression:
    """The expression that a query stands for; raises InvalidDataError.

    `fields` are those that may be named. Terms that stand beside each other are
    alternatives, unless one of them is marked by + or −.
    """
    if len(query) > MAX_QUERY_CHARACTERS:
        _refuse(f"it is longer than {MAX_QUERY_CHARACTERS} characters")
    if _CONTROL.search(query) is not None:
        _refuse("it holds a control character")
    try:
        parsed = parse_lucene(_REPAIRED.sub(_repair, query))
    except ParseError as exc:
        msg = f"cannot read the search: {str(exc)[:200]}"
        raise InvalidDataError(msg) from exc
    except (ValueError, ArithmeticError, RecursionError) as exc:
        # The parser's grammar lets numbers through that its tree cannot hold.
        msg = "cannot read the search: a number or a nesting in it is out of bounds"
        raise InvalidDataError(msg) from exc
    return _Reader(fields).read(parsed, None)


def term_of(target: Target, text: str, *, is_prefix: bool) -> Expression:
    """One field holds this text; `is_prefix` leaves its end open, where it can.

    Raises InvalidDataError where it is not a value of the field.
    """
    if target.kind is None:
        return EVERYTHING if text.lower() == target.value else NOTHING
    return _TERMS[target.kind](target, text, is_prefix)


def _repair(found: re.Match[str]) -> str:
    """What the parser does not know: && || ! and negative numbers in a field."""
    if found["negative"] is not None:
        return found["negative"] + "\\-"
    if found["bang"] is not None:
        return " NOT "
    return _WORDS.get(found.group(), found.group())


class _Reader:
    """Walks the parsed query, counting how deep and how much."""

    def __init__(self, fields: Mapping[str, Target]) -> None:
        self._fields = fields
        self._depth = 0
        self._terms = 0

    def read(self, node: Any, target: Target | None) -> Expression:
        """The expression of one node, in one field or (None) in any."""
        self._depth += 1
        if self._depth > MAX_DEPTH:
            _refuse(f"it is nested deeper than {MAX_DEPTH}")
        read = _READERS.get(type(node))
        if read is None:
            _refuse(f"it uses {type(node).__name__}, which is not served here")
        found = read(self, node, target)
        self._depth -= 1
        return found

    def both(self, node: Any, target: Target | None) -> Expression:
        """AND."""
        return _one_or(And, self._all(node.children, target))

    def either(self, node: Any, target: Target | None) -> Expression:
        """OR."""
        return _one_or(Or, self._all(node.children, target))

    def beside(self, node: Any, target: Target | None) -> Expression:
        """Terms without an operator, as Lucene weighs them."""
        kinds = (tree.Plus, tree.Prohibit, tree.Not)
        marked = [each for each in node.children if isinstance(each, kinds)]
        needed = self._all(marked, target)
        others = [each for each in node.children if not isinstance(each, kinds)]
        may = self._all(others, target)
        if may and not any(isinstance(each, tree.Plus) for each in marked):
            needed.append(_one_or(Or, may))
        return _one_or(And, needed)

    def negated(self, node: Any, target: Target | None) -> Expression:
        """NOT, and the minus."""
        return Not(self.read(node.a, target))

    def within(self, node: Any, target: Target | None) -> Expression:
        """What changes nothing: parentheses, the plus, a boost."""
        return self.read(node.children[0], target)

    def field(self, node: Any, target: Target | None) -> Expression:
        """A field and what is asked of it."""
        if target is not None:
            _refuse("a field stands within a field; write \\: for a colon")
        if node.name == "_exists_":
            self._count()
            return _has(self._target(_text(node.expr)))
        if node.name == "*" and _is_star(node.expr):
            return EVERYTHING
        return self.read(node.expr, self._target(node.name))

    def word(self, node: Any, target: Target | None) -> Expression:
        """A word or phrase."""
        self._count()
        if _is_star(node):
            return EVERYTHING if target is None else _has(target)
        text, is_prefix = _text_and_star(node)
        if target is None:
            return _match(None, text, is_prefix)
        return term_of(target, text, is_prefix=is_prefix)

    def range(self, node: Any, target: Target | None) -> Expression:
        """[a TO b], {a TO b}: square brackets include the end."""
        low = ">=" if node.include_low else ">"
        high = "<=" if node.include_high else "<"
        return self._compared(target, ((low, node.low), (high, node.high)))

    def open_range(self, node: Any, target: Target | None) -> Expression:
        """>a, >=a, <a, <=a."""
        op = ">" if isinstance(node, tree.From) else "<"
        return self._compared(target, ((op + "=" * bool(node.include), node.a),))

    def _compared(
        self, target: Target | None, bounds: Sequence[tuple[str, Any]]
    ) -> Expression:
        self._count()
        if target is not None and all(_is_star(node) for _, node in bounds):
            return _has(target)
        if target is None or target.kind not in _SPANS:
            _refuse("only numbers and dates have ranges")
        return And(
            tuple(
                Compare(target.name, op, _bound(target, op, _text(node)))
                for op, node in bounds
                if not _is_star(node)
            )
        )

    def _all(self, nodes: Sequence[Any], target: Target | None) -> list[Expression]:
        return [self.read(node, target) for node in nodes]

    def _target(self, name: str) -> Target:
        target = self._fields.get(name.replace("\\", ""))
        if target is None:
            _refuse(f"the index keeps no field {name[:60]!r}")
        return target

    def _count(self) -> None:
        self._terms += 1
        if self._terms > MAX_TERMS:
            _refuse(f"it has more than {MAX_TERMS} terms")


def _one_or(
    several: Callable[[tuple[Expression, ...]], Expression], found: list[Expression]
) -> Expression:
    return found[0] if len(found) == 1 else several(tuple(found))


def _is_star(node: Any) -> bool:
    return isinstance(node, tree.Word) and node.value == "*"


def _text(node: Any) -> str:
    """A word or phrase without wildcards; the minus of a negative number too."""
    if isinstance(node, tree.Prohibit):
        return "-" + _text(node.a)
    text, is_prefix = _text_and_star(node)
    if is_prefix:
        _refuse("a wildcard stands where a value is expected")
    return text


def _text_and_star(node: Any) -> tuple[str, bool]:
    if isinstance(node, tree.Phrase):
        return str(node.unescaped_value)[1:-1], False
    if not isinstance(node, tree.Word):
        _refuse(f"it uses {type(node).__name__} where a value is expected")
    wildcards = [(span, sign) for span, sign in node.iter_wildcards()]
    if not wildcards:
        return str(node.unescaped_value), False
    if [sign for _, sign in wildcards] != ["*"] or wildcards[0][0][1] != len(
        node.value
    ):
        _refuse("a wildcard other than one * at the end of a word")
    return str(node.unescaped_value)[:-1], True


def _has(target: Target) -> Expression:
    if target.kind in _ALWAYS:
        return EVERYTHING
    return Has(target.name)


def _match(field: str | None, text: str, is_prefix: bool) -> Expression:
    if not any(character.isalnum() for character in text):
        return NOTHING
    return Match(field, text, is_prefix)


def _text_term(target: Target, text: str, is_prefix: bool) -> Expression:
    return _match(target.name, text, is_prefix)


def _hex_term(target: Target, text: str, is_prefix: bool) -> Expression:
    digits = text.lower()
    if _HEX.match(digits) is None or not (is_prefix or len(text) == _ALL_DIGITS):
        return NOTHING
    return Is(target.name, digits)


def _identity_term(target: Target, text: str, is_prefix: bool) -> Expression:
    _verify_whole(is_prefix)
    return Is(target.name, text)


def _compared_term(target: Target, text: str, is_prefix: bool) -> Expression:
    _verify_whole(is_prefix)
    span = _span(target, text)
    assert span.first is not None and span.last is not None, "one value has both ends"
    if span.first == span.last:
        return Compare(target.name, "=", span.first)
    first = Compare(target.name, ">=", span.first)
    return And((first, Compare(target.name, "<=", span.last)))


def _verify_whole(is_prefix: bool) -> None:
    if is_prefix:
        _refuse("a wildcard in a field that has none")


def _bound(target: Target, op: str, text: str) -> float:
    span = _span(target, text)
    bound = span.first if op in {"<", ">="} else span.last
    assert bound is not None, "one value has both ends"
    return bound


def _span(target: Target, text: str) -> Span:
    assert target.kind is not None, "a field of one value has no span"
    if target.kind is FieldKind.DATE and _EPOCH.match(text) is not None:
        seconds = int(text)
        seconds //= 1000 if seconds >= _FIRST_MILLISECONDS else 1
        return Span(seconds, seconds)
    return parse_span(target.kind, text)


def _refuse(reason: str) -> NoReturn:
    msg = f"cannot serve the search: {reason}"
    raise InvalidDataError(msg)


_SPANS = frozenset({FieldKind.NUMBER, FieldKind.DATE})
_ALWAYS = frozenset({None, FieldKind.ADDRESS, FieldKind.HEX})
"""Kinds of fields that every record states."""

_TERMS: Mapping[FieldKind, Callable[[Target, str, bool], Expression]] = (
    MappingProxyType(
        {
            FieldKind.TEXT: _text_term,
            FieldKind.CID: _text_term,
            FieldKind.NUMBER: _compared_term,
            FieldKind.DATE: _compared_term,
            FieldKind.HEX: _hex_term,
            FieldKind.ADDRESS: _identity_term,
            FieldKind.CLASS: _identity_term,
        }
    )
)

_READERS: Mapping[type, Callable[[_Reader, Any, Target | None], Expression]] = (
    MappingProxyType(
        {
            tree.AndOperation: _Reader.both,
            tree.OrOperation: _Reader.either,
            tree.UnknownOperation: _Reader.beside,
            tree.Not: _Reader.negated,
            tree.Prohibit: _Reader.negated,
            tree.Plus: _Reader.within,
            tree.Group: _Reader.within,
            tree.FieldGroup: _Reader.within,
            tree.Boost: _Reader.within,
            tree.SearchField: _Reader.field,
            tree.Word: _Reader.word,
            tree.Phrase: _Reader.word,
            tree.Range: _Reader.range,
            tree.From: _Reader.open_range,
            tree.To: _Reader.open_range,
        }
    )
)
