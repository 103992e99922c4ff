"""Regular expressions whose time is bounded, for patterns from anybody's file.

A pattern becomes a list of states, and a text is read once with the set of
states it may be in: no pattern can take more than states × characters steps,
where one that backtracks can take for ever. The notation is JavaScript's,
without what cannot be done so (looking ahead or behind, back-references).

    >>> Pattern("^Vibrio (cholerae|fischeri)$").is_in("Vibrio fischeri")
    True
    >>> Pattern("(a+)+$").is_in("a" * 5_000 + "b")
    False
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NoReturn

from etdb.errors import InvalidDataError

MAX_PATTERN_CHARACTERS = 1_000
MAX_STATES = 500
MAX_DEPTH = 20
MAX_TEXT_CHARACTERS = 10_000
"""Of a longer text only the beginning is looked at."""

Ranges = tuple[tuple[int, int], ...]
_LAST = 0x10FFFF
_DIGITS: Ranges = ((48, 57),)
_WORD: Ranges = ((48, 57), (65, 90), (95, 95), (97, 122))
_SPACE: Ranges = (
    *((9, 13), (32, 32), (160, 160), (0x1680, 0x1680), (0x2000, 0x200A)),
    *((0x2028, 0x2029), (0x202F, 0x202F), (0x205F, 0x205F), (0x3000, 0x3000)),
    (0xFEFF, 0xFEFF),
)
_LINE_ENDS: Ranges = ((10, 10), (13, 13), (0x2028, 0x2029))
_CLASSES = {"d": _DIGITS, "w": _WORD, "s": _SPACE}
_CONTROLS = {"n": 10, "t": 9, "r": 13, "f": 12, "v": 11, "0": 0}
_CODE = re.compile(r"x([0-9A-Fa-f]{2})|u([0-9A-Fa-f]{4})")
_COUNT = re.compile(r"\{([0-9]{1,4})(,?)([0-9]{0,4})\}")
_TIMES = {"*": (0, None), "+": (1, None), "?": (0, 1)}


@dataclass(frozen=True)
class _Set:
    """One character of some ranges."""

    ranges: Ranges


@dataclass(frozen=True)
class _Place:
    """A place between characters: ^ $ b B."""

    kind: str


@dataclass(frozen=True)
class _Sequence:
    parts: tuple[_Node, ...]


@dataclass(frozen=True)
class _Choice:
    parts: tuple[_Node, ...]


@dataclass(frozen=True)
class _Repeat:
    part: _Node
    least: int
    most: int | None


_Node = _Set | _Place | _Sequence | _Choice | _Repeat


@dataclass(frozen=True)
class _Fork:
    """Go on at either state."""

    targets: tuple[int, ...]


_State = _Set | _Place | _Fork


class Pattern:
    """One regular expression. Raises InvalidDataError for what it cannot be."""

    def __init__(self, text: str) -> None:
        self._states = _Compiler(text).states

    def is_in(self, text: str) -> bool:
        """Whether any part of the text matches."""
        text = text[:MAX_TEXT_CHARACTERS]
        current: set[int] = set()
        for position in range(len(text) + 1):
            # A match may begin at every place.
            if self._enter(current, 0, text, position):
                return True
            if position == len(text):
                return False
            code = ord(text[position])
            following: set[int] = set()
            for index in current:
                state = self._states[index]
                is_next = isinstance(state, _Set) and _holds(state.ranges, code)
                if is_next and self._enter(following, index + 1, text, position + 1):
                    return True
            current = following
        return False

    def _enter(self, entered: set[int], start: int, text: str, position: int) -> bool:
        """Add the states reached without a character; True if one is the end."""
        todo = [start]
        while todo:
            index = todo.pop()
            if index == len(self._states):
                return True
            if index in entered:
                continue
            entered.add(index)
            state = self._states[index]
            if isinstance(state, _Fork):
                todo += state.targets
            elif isinstance(state, _Place) and _is_place(state.kind, text, position):
                todo.append(index + 1)
        return False


def _holds(ranges: Ranges, code: int) -> bool:
    return any(first <= code <= last for first, last in ranges)


def _is_place(kind: str, text: str, position: int) -> bool:
    if kind == "^":
        return position == 0
    if kind == "$":
        return position == len(text)
    before = position > 0 and _holds(_WORD, ord(text[position - 1]))
    after = position < len(text) and _holds(_WORD, ord(text[position]))
    return (before != after) == (kind == "b")


def _others(ranges: Ranges) -> Ranges:
    """Every character that is in none of the ranges."""
    found, start = [], 0
    for first, last in sorted(ranges):
        if first > start:
            found.append((start, first - 1))
        start = max(start, last + 1)
    return (*found, (start, _LAST)) if start <= _LAST else tuple(found)


class _Compiler:
    """Reads a pattern by recursive descent and lays its states in a row."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._depth = 0
        self._laid = 0
        if len(text) > MAX_PATTERN_CHARACTERS:
            self._fail(f"it is longer than {MAX_PATTERN_CHARACTERS} characters")
        whole = self._choice()
        if self._at < len(text):
            self._fail("a parenthesis is closed that was not opened")
        self.states: Sequence[_State] = self._lay(whole, 0)

    def _fail(self, reason: str) -> NoReturn:
        shown = self._text[:100]
        msg = f"regular expression {shown!r}, character {self._at + 1}: {reason}"
        raise InvalidDataError(msg)

    def _accept(self, text: str) -> bool:
        is_next = self._text.startswith(text, self._at)
        self._at += len(text) if is_next else 0
        return is_next

    def _choice(self) -> _Node:
        parts = [self._sequence()]
        while self._accept("|"):
            parts.append(self._sequence())
        return parts[0] if len(parts) == 1 else _Choice(tuple(parts))

    def _sequence(self) -> _Node:
        parts: list[_Node] = []
        while self._at < len(self._text) and self._text[self._at] not in "|)":
            parts.append(self._repeated(self._single()))
        return _Sequence(tuple(parts))

    def _repeated(self, part: _Node) -> _Node:
        times = self._times()
        if times is None:
            return part
        least, most = times
        if isinstance(part, _Place) or (most is not None and most < least):
            self._fail("this cannot be repeated so")
        self._accept("?")  # as few as possible: whether it matches is the same
        if self._times() is not None:
            self._fail("repeated twice")
        return _Repeat(part, least, most)

    def _times(self) -> tuple[int, int | None] | None:
        sign = self._text[self._at : self._at + 1]
        if sign in _TIMES and sign:
            self._at += 1
            return _TIMES[sign]
        found = _COUNT.match(self._text, self._at)
        if found is None:
            return None
        self._at = found.end()
        least = int(found[1])
        if found[3]:
            return least, int(found[3])
        return least, None if found[2] else least

    def _single(self) -> _Node:
        sign = self._text[self._at]
        self._at += 1
        if sign == "(":
            return self._group()
        if sign == "[":
            return _Set(self._class())
        if sign == "\\":
            return self._escape()
        if sign == ".":
            return _Set(_others(_LINE_ENDS))
        if sign in "^$":
            return _Place(sign)
        if sign in "*+?":
            self._fail("there is nothing to repeat")
        return _Set(((ord(sign), ord(sign)),))

    def _group(self) -> _Node:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            self._fail(f"nested deeper than {MAX_DEPTH}")
        if not self._accept("?:") and self._accept("?"):
            self._fail("looking ahead, looking behind and names are not supported")
        inside = self._choice()
        if not self._accept(")"):
            self._fail("a parenthesis is not closed")
        self._depth -= 1
        return inside

    def _escape(self) -> _Node:
        if self._accept("b"):
            return _Place("b")
        if self._accept("B"):
            return _Place("B")
        return _Set(self._escaped())

    def _escaped(self) -> Ranges:
        sign = self._text[self._at : self._at + 1]
        found = _CODE.match(self._text, self._at)
        if found is not None:
            self._at = found.end()
            code = int(found[1] or found[2], 16)
            return ((code, code),)
        self._at += 1
        if sign.lower() in _CLASSES and sign:
            ranges = _CLASSES[sign.lower()]
            return ranges if sign.islower() else _others(ranges)
        if not sign or (sign.isalnum() and sign not in _CONTROLS):
            self._fail(f"\\{sign} is not supported")
        code = _CONTROLS.get(sign, ord(sign))
        return ((code, code),)

    def _class(self) -> Ranges:
        is_negated = self._accept("^")
        ranges: list[tuple[int, int]] = []
        while not self._accept("]"):
            first = self._class_part()
            if self._text.startswith("-", self._at) and not self._text.startswith(
                "-]", self._at
            ):
                self._at += 1
                first = self._span(first, self._class_part())
            ranges += first
        return _others(tuple(ranges)) if is_negated else tuple(ranges)

    def _span(self, first: Ranges, last: Ranges) -> Ranges:
        ends = (first[0][0], last[0][1])
        is_single = all(
            len(one) == 1 and one[0][0] == one[0][1] for one in (first, last)
        )
        if not is_single or ends[0] > ends[1]:
            self._fail("not a range of characters")
        return (ends,)

    def _class_part(self) -> Ranges:
        if self._at >= len(self._text):
            self._fail("a bracket is not closed")
        if self._accept("\\"):
            return self._escaped()
        code = ord(self._text[self._at])
        self._at += 1
        return ((code, code),)

    def _lay(self, node: _Node, at: int) -> list[_State]:
        """The states of a part, to stand from `at` on; they end behind the last."""
        self._laid += 1
        if self._laid > MAX_STATES:
            self._fail("it is too large")
        if isinstance(node, _Set | _Place):
            return [node]
        if isinstance(node, _Choice):
            return self._lay_choice(node.parts, at)
        states: list[_State] = []
        if isinstance(node, _Sequence):
            for part in node.parts:
                states += self._lay(part, at + len(states))
            return states
        for _ in range(node.least):
            states += self._lay(node.part, at + len(states))
        return states + self._lay_rest(node, at + len(states))

    def _lay_rest(self, node: _Repeat, at: int) -> list[_State]:
        """What may follow after the least number of times."""
        if node.most is None:
            inside = self._lay(node.part, at + 1)
            end = at + len(inside) + 2
            return [_Fork((at + 1, end)), *inside, _Fork((at,))]
        states: list[_State] = []
        for _ in range(node.most - node.least):
            inside = self._lay(node.part, at + len(states) + 1)
            after = at + len(states) + 1 + len(inside)
            states += [_Fork((at + len(states) + 1, after)), *inside]
        return states

    def _lay_choice(self, parts: Sequence[_Node], at: int) -> list[_State]:
        """A fork to each part, and from the end of each a way behind the last."""
        starts, laid = [], []
        position = at + 1
        for part in parts:
            starts.append(position)
            laid.append(self._lay(part, position))
            position += len(laid[-1]) + 1
        states: list[_State] = [_Fork(tuple(starts))]
        for inside in laid:
            states += [*inside, _Fork((position,))]
        return states
