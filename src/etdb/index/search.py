"""What is searched for: an expression tree, and the site's syntax for it. Pure.

    words "a phrase" chol*            in any text field
    species:"Vibrio cholerae"         a phrase in one field, in any case
    tilt_min<=-60  dose>100           numbers; also size>1GB
    date:2015  date:2015..2018-06     years, months or days, ends included
    -term  NOT term  a OR b  (a b)    AND stands between terms by itself
    has:strain                        the field is stated

Other query languages are parsed onto the same tree; `etdb.index.condition`
makes SQL of it.

    >>> parse("-dose>100")
    Not(operand=Compare(field='dose_e_per_a2', op='>', value=100.0))
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import NoReturn

from etdb.errors import InvalidDataError
from etdb.identity import CID
from etdb.index.fields import Field, FieldKind, find_field, suggest
from etdb.index.span import parse_range, parse_span
from etdb.record.rules import RecordClass

MAX_QUERY_CHARACTERS = 2_000
MAX_DEPTH = 20
MAX_TERMS = 50


@dataclass(frozen=True)
class And:
    """All of them; of none, everything."""

    operands: tuple[Expression, ...]


@dataclass(frozen=True)
class Or:
    """At least one of them."""

    operands: tuple[Expression, ...]


@dataclass(frozen=True)
class Not:
    """Everything else, records that do not state the field included."""

    operand: Expression


@dataclass(frozen=True)
class Match:
    """Words in this order in one text field, or in any (None).

    Letters match in any case and without accents; `is_prefix` leaves the end of
    the last word open.
    """

    field: str | None
    phrase: str
    is_prefix: bool = False


@dataclass(frozen=True)
class Compare:
    """A number, date (Unix seconds) or size (bytes) on one side of a value."""

    field: str
    op: str
    """One of < <= > >= =."""
    value: float


@dataclass(frozen=True)
class Is:
    """An identity: class, publisher, or the first digits of an id or txid."""

    field: str
    value: str


@dataclass(frozen=True)
class Has:
    """The field is stated."""

    field: str


Expression = And | Or | Not | Match | Compare | Is | Has

_PHRASE = r'"(?P<{0}phrase>(?:[^"\\]|\\.)*)"(?P<{0}star>\*?)'
_TOKEN = re.compile(
    rf"""
    (?P<space>\s+)
  | (?P<open>\()
  | (?P<close>\))
  | (?P<minus>-(?=[^\s)]))
  | (?P<field>[A-Za-z][A-Za-z0-9_]*) (?P<op>:(?:[<>]=?)?|[<>]=?|=)
    (?: {_PHRASE.format("value_")} | (?P<value>[^\s()"]*) )
  | (?P<quoted>{_PHRASE.format("")})
  | (?P<word>[^\s()"]+)
    """,
    re.VERBOSE | re.DOTALL,
)
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_CONTROL = re.compile("[\0-\x08\x0e-\x1f\x7f\ud800-\udfff]")
_KINDS = ("open", "close", "minus", "quoted", "word")
_OPERATORS = frozenset({"AND", "OR", "NOT"})
_LISTED_CLASSES = (RecordClass.A, RecordClass.B, RecordClass.C)
_HEX = re.compile(r"[0-9a-f]{1,64}\Z")


@dataclass(frozen=True)
class _Token:
    kind: str
    position: int
    value: str = ""
    is_prefix: bool = False
    field: str = ""
    op: str = ""
    value_position: int = 0


def parse(query: str) -> Expression:
    """The expression that a query in the site's syntax stands for.

    Raises InvalidDataError; `facts["position"]` is the offending character,
    counted from 0.
    """
    return _Parser(query, _tokenize(query)).parse()


def _tokenize(query: str) -> list[_Token]:
    if len(query) > MAX_QUERY_CHARACTERS:
        _fail(query, f"longer than {MAX_QUERY_CHARACTERS} characters", len(query))
    control = _CONTROL.search(query)
    if control is not None:
        _fail(query, "a control character", control.start())
    tokens: list[_Token] = []
    position = 0
    while position < len(query):
        found = _TOKEN.match(query, position)
        if found is None:
            _fail(query, "the quotation mark is not closed", position)
        position = found.end()
        if found["space"] is None:
            tokens.append(_token(found))
    return [*tokens, _Token("end", len(query))]


def _token(found: re.Match[str]) -> _Token:
    position = found.start()
    if found["field"] is not None:
        value, is_prefix = _value(found, "value_", "value")
        return _Token(
            "field",
            position,
            value,
            is_prefix,
            field=found["field"],
            op=":" if found["op"] == "=" else found["op"].lstrip(":") or ":",
            value_position=found.end("op"),
        )
    kind = next(name for name in _KINDS if found[name] is not None)
    if kind in {"open", "close", "minus"}:
        return _Token(kind, position)
    if found["word"] in _OPERATORS:
        return _Token(found["word"], position)
    value, is_prefix = _value(found, "", "word")
    return _Token(kind, position, value, is_prefix)


def _value(found: re.Match[str], prefix: str, word: str) -> tuple[str, bool]:
    """The text of a phrase or word, and whether a star leaves its end open."""
    phrase = found[f"{prefix}phrase"]
    if phrase is not None:
        return _ESCAPE.sub(r"\1", phrase), bool(found[f"{prefix}star"])
    text = found[word]
    return text.rstrip("*"), text.endswith("*")


def _has_words(text: str) -> bool:
    return any(character.isalnum() for character in text)


def _fail(query: str, reason: str, position: int, hint: str = "") -> NoReturn:
    before, after = query[max(0, position - 20) : position], query[position:][:20]
    where = f"at character {position + 1}: {before}▸{after}"
    msg = f"cannot read the search: {reason} {where}"
    raise InvalidDataError(msg, hint=hint, position=position)


class _Parser:
    """Recursive descent over the tokens of one query."""

    def __init__(self, query: str, tokens: list[_Token]) -> None:
        self._query = query
        self._tokens = tokens
        self._next = 0
        self._depth = 0
        self._terms = 0

    def parse(self) -> Expression:
        """The whole query; an empty one is everything."""
        if self._peek() == "end":
            return And(())
        expression = self._either()
        if self._peek() != "end":
            self._fail("a parenthesis is closed that was not opened")
        return expression

    def _either(self) -> Expression:
        operands = [self._both()]
        while self._accept("OR"):
            operands.append(self._both())
        return operands[0] if len(operands) == 1 else Or(tuple(operands))

    def _both(self) -> Expression:
        operands = [self._single()]
        while self._peek() not in {"end", "OR", "close"}:
            self._accept("AND")
            operands.append(self._single())
        return operands[0] if len(operands) == 1 else And(tuple(operands))

    def _single(self) -> Expression:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            self._fail(f"nested deeper than {MAX_DEPTH}")
        if self._accept("minus") or self._accept("NOT"):
            found: Expression = Not(self._single())
        elif self._peek() == "open":
            found = self._group()
        else:
            found = self._term()
        self._depth -= 1
        return found

    def _group(self) -> Expression:
        opening = self._take()
        inside = self._either()
        if not self._accept("close"):
            self._fail("the parenthesis is not closed", opening.position)
        return inside

    def _term(self) -> Expression:
        if self._peek() not in {"field", "quoted", "word"}:
            self._fail("a word, a phrase or field:value is missing")
        self._terms += 1
        if self._terms > MAX_TERMS:
            self._fail(f"more than {MAX_TERMS} terms")
        token = self._take()
        if token.kind == "field":
            return self._field_term(token)
        if not _has_words(token.value):
            self._fail("a word is missing", token.position)
        return Match(None, token.value, token.is_prefix)

    def _field_term(self, token: _Token) -> Expression:
        if not _has_words(token.value):
            self._fail(f"a value for {token.field} is missing", token.value_position)
        if token.field.lower() == "has":
            return Has(self._field(token.value, token.value_position).name)
        field = self._field(token.field, token.position)
        try:
            return _TERMS[field.kind](field, token)
        except InvalidDataError as exc:
            self._fail(exc.message, token.value_position)

    def _field(self, word: str, position: int) -> Field:
        field = find_field(word)
        if field is None:
            meant = suggest(word)
            hint = f"did you mean {meant}?" if meant else "quote it to search for it"
            self._fail(f"there is no field {word[:40]!r}", position, hint)
        return field

    def _peek(self) -> str:
        return self._tokens[self._next].kind

    def _take(self) -> _Token:
        self._next += 1
        return self._tokens[self._next - 1]

    def _accept(self, kind: str) -> bool:
        is_next = self._peek() == kind
        self._next += is_next
        return is_next

    def _fail(
        self, reason: str, position: int | None = None, hint: str = ""
    ) -> NoReturn:
        if position is None:
            position = self._tokens[self._next].position
        _fail(self._query, reason, position, hint)


def _text_term(field: Field, token: _Token) -> Expression:
    _only_equal(field, token)
    return Match(field.name, token.value, token.is_prefix)


def _cid_term(field: Field, token: _Token) -> Expression:
    _only_equal(field, token)
    cid = CID.find(token.value)
    if cid is None:
        return Match(field.name, token.value, token.is_prefix)
    return Match(field.name, str(cid.to_v1()))


def _compared_term(field: Field, token: _Token) -> Expression:
    if token.op != ":":
        span = parse_span(field.kind, token.value)
        bound = span.first if token.op in {"<", ">="} else span.last
        assert bound is not None, "one value has both ends"
        return Compare(field.name, token.op, bound)
    span = parse_range(field.kind, token.value)
    if span.first is not None and span.first == span.last:
        return Compare(field.name, "=", span.first)
    bounds = ((">=", span.first), ("<=", span.last))
    return And(
        tuple(Compare(field.name, op, end) for op, end in bounds if end is not None)
    )


def _hex_term(field: Field, token: _Token) -> Expression:
    _only_equal(field, token)
    digits = token.value.lower()
    if _HEX.match(digits) is None:
        msg = f"{field.words[0]} takes hex digits"
        raise InvalidDataError(msg)
    return Is(field.name, digits)


def _address_term(field: Field, token: _Token) -> Expression:
    _only_equal(field, token)
    return Is(field.name, token.value)


def _class_term(field: Field, token: _Token) -> Expression:
    _only_equal(field, token)
    record_class = token.value.upper()
    if record_class not in _LISTED_CLASSES:
        msg = f"class is one of {', '.join(_LISTED_CLASSES)}"
        raise InvalidDataError(msg)
    return Is(field.name, record_class)


def _only_equal(field: Field, token: _Token) -> None:
    if token.op != ":":
        word = field.words[0]
        msg = f"{word} cannot be compared by {token.op}; write {word}:"
        raise InvalidDataError(msg)


_TERMS: Mapping[FieldKind, Callable[[Field, _Token], Expression]] = MappingProxyType(
    {
        FieldKind.TEXT: _text_term,
        FieldKind.CID: _cid_term,
        FieldKind.NUMBER: _compared_term,
        FieldKind.DATE: _compared_term,
        FieldKind.SIZE: _compared_term,
        FieldKind.HEX: _hex_term,
        FieldKind.ADDRESS: _address_term,
        FieldKind.CLASS: _class_term,
    }
)
