"""Messages in parts: which parts form a set, and when it is complete.

PROTOCOL R7: a set is (ledger, ADDRESS, MAX, txid of part 0), and a part joins
every set whose part-0 txid starts with its reference, so one part may complete
several. Parts are kept in the index; nothing of them is kept in memory from one
batch of blocks to the next. A set is looked at only when the part that it
awaits has come, whatever else refers to it (see `etdb.index.schema.parts`).

The table keeps the txid of part 0 as far as a part tells it. Those that share
it with a set are the beginnings of one txid, so a set is found by one look-up
for each length that a reference may have, and the sets of a part by a range.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any

from sqlalchemy import TextClause, bindparam, select, text, update
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.engine import Connection

from etdb.errors import InvalidMessageError
from etdb.identity import Address, Txid
from etdb.index.rows import Row, place_row
from etdb.index.schema import parts
from etdb.record.canonical import MAX_TEXT_BYTES, refuse
from etdb.record.message import Coverage, Place
from etdb.record.parts import Part, join, parse_part
from etdb.record.rules import Rejection

_SHORTEST_REFERENCE = 10
_LONGEST_REFERENCE = 64
_USUAL_LENGTHS = (_SHORTEST_REFERENCE, _LONGEST_REFERENCE)
_ALL_LENGTHS = tuple(range(_SHORTEST_REFERENCE, _LONGEST_REFERENCE + 1))
_AFTER_HEX = "g"
_FIRST_AWAITED = 1

_IS_PART_0 = """
    parts.ledger = :ledger AND parts.number = 0
    AND parts.address = json_extract(wanted.value, '$[0]')
    AND parts.max = json_extract(wanted.value, '$[1]')
"""
_FOUND = "SELECT parts.address, parts.max, parts.txid, parts.awaits"

_NEW = text(
    f"""
    {_FOUND} FROM json_each(:wanted) AS wanted CROSS JOIN parts
    WHERE {_IS_PART_0} AND parts.first = json_extract(wanted.value, '$[2]')
        AND parts.awaits <= parts.max
    """
)
_AWAITING = text(
    f"""
    {_FOUND} FROM json_each(:wanted) AS wanted CROSS JOIN parts
    WHERE {_IS_PART_0} AND parts.awaits = json_extract(wanted.value, '$[3]')
        AND parts.awaits <= parts.max
        AND parts.first >= json_extract(wanted.value, '$[2]')
        AND parts.first < json_extract(wanted.value, '$[2]') || '{_AFTER_HEX}'
    """
)
_UNUSUAL = text(
    f"""
    SELECT wanted.key FROM json_each(:wanted) AS wanted
    WHERE EXISTS (
        SELECT 1 FROM parts
        WHERE parts.ledger = :ledger
            AND parts.address = json_extract(wanted.value, '$[0]')
            AND parts.max = json_extract(wanted.value, '$[1]')
            AND parts.first
                > substr(json_extract(wanted.value, '$[2]'), 1, {_SHORTEST_REFERENCE})
            AND parts.first < json_extract(wanted.value, '$[2]'))
    """  # noqa: S608 -- all of it is ours
)
"""Which of several sets may have references neither shortest nor longest.

It looks at one part of each, however many there are.
"""
_MEMBERS = text(
    """
    SELECT wanted.key AS set_number, parts.height, parts.position, parts.number,
        parts.row, parts.coverage
    FROM json_each(:wanted) AS wanted CROSS JOIN parts
    WHERE parts.ledger = :ledger
        AND parts.address = json_extract(wanted.value, '$[0]')
        AND parts.max = json_extract(wanted.value, '$[1]')
        AND parts.first IN (
            SELECT substr(json_extract(wanted.value, '$[2]'), 1, length.value)
            FROM json_each(wanted.value, '$[4]') AS length)
        AND parts.number >= json_extract(wanted.value, '$[3]')
    """
)
"""The parts of several sets from a number on, the sets one after another."""

_TEXT = select(parts.c.text).where(parts.c.row == bindparam("row"))
_ADD = insert(parts).on_conflict_do_nothing()
_AWAIT = (
    update(parts)
    .where(
        parts.c.ledger == bindparam("of_ledger"),
        parts.c.address == bindparam("of_address"),
        parts.c.max == bindparam("of_max"),
        parts.c.first == bindparam("of_txid"),
        text("number = 0"),
    )
    .values(awaits=bindparam("awaited"))
)

_PASSED = text(
    f"""
    WITH gone AS (
        SELECT address, max, first, min(number) AS number FROM parts
        WHERE ledger = :ledger AND height > :height AND number > 0
        GROUP BY address, max, first)
    SELECT DISTINCT parts.address, parts.max, parts.txid
    FROM gone CROSS JOIN parts
    WHERE parts.ledger = :ledger AND parts.number = 0
        AND parts.address = gone.address AND parts.max = gone.max
        AND parts.first >= gone.first AND parts.first < gone.first || '{_AFTER_HEX}'
        AND parts.height <= :height AND +parts.awaits > gone.number
    """  # noqa: S608 -- all of it is ours
)
"""Sets that begin up to a height and have passed a part that stands above it.

The plus keeps SQLite from choosing an index by what is awaited. A part is looked
at once for each length that a reference to its set may have, at most.
"""


@dataclass(frozen=True)
class PartSet:
    """Which set: what its parts agree on."""

    address: Address
    max: int
    first_txid: Txid


@dataclass(frozen=True)
class Completed:
    """A set whose last missing part has come."""

    place: Place
    """Where that part stands; the txid is part 0's."""
    parts: tuple[Part, ...]
    coverage: Coverage
    text: str | Rejection
    """The joined text, or why there is none."""


def weakest(coverages: Iterable[Coverage]) -> Coverage:
    """What is true of a message of which each part was carried like this.

    One transaction that leaves its part out is enough to leave the message
    open; one of which it is not known, to not know.
    """
    found = set(coverages)
    for coverage in (Coverage.OMITTED, Coverage.UNKNOWN):
        if coverage in found:
            return coverage
    return Coverage.COVERED


class PartSets:
    """The sets of one ledger, within one transaction."""

    def __init__(self, connection: Connection, ledger_id: str) -> None:
        self._connection = connection
        self._ledger_id = ledger_id
        self._new: list[Row] = []
        self._at_hand: dict[tuple[int, int], tuple[Part, Place]] = {}

    def add(
        self, part: Part, place: Place, coverage: Coverage = Coverage.COVERED
    ) -> None:
        """Take a part that its address signed."""
        self._at_hand[place.height, place.position] = part, place
        is_first = part.index == 0
        self._new.append(
            place_row(place)
            | {
                "address": part.address,
                "max": part.max,
                "number": part.index,
                "first": place.txid if is_first else part.reference,
                "coverage": coverage.value,
                "awaits": _FIRST_AWAITED if is_first else None,
                "text": part.text,
            }
        )

    def complete(self) -> Iterator[Completed]:
        """Keep the parts taken since the last call; the sets they complete."""
        added, self._new = self._new, []
        if not added:
            return
        self._connection.execute(_ADD, added)
        completed = self._advance(self._touched(added))
        partly = [found for found, members in completed.items() if 0 not in members]
        completed.update(self._members(dict.fromkeys(partly, 0)))
        for found, members in completed.items():
            yield self._join(found, members)

    def list_passed(self, to_height: int) -> list[PartSet]:
        """Sets that will lack a part once the blocks above a height are gone."""
        told = {"ledger": self._ledger_id, "height": to_height}
        rows = self._connection.execute(_PASSED, told)
        return [PartSet(row.address, row.max, Txid(row.txid)) for row in rows]

    def rewind(self, sets: Sequence[PartSet]) -> None:
        """Let sets that lost parts await the first that is missing."""
        again = dict.fromkeys(sets, _FIRST_AWAITED)
        self._await(again)
        self._advance(again)

    def _touched(self, added: Sequence[Row]) -> dict[PartSet, int]:
        """New sets and those that await one of these parts, and what they await."""
        new = [
            (row["address"], row["max"], row["first"])
            for row in added
            if row["number"] == 0
        ]
        known = set(new)
        awaited = dict.fromkeys(
            (row["address"], row["max"], row["first"], row["number"])
            for row in added
            if row["number"] and (row["address"], row["max"], row["first"]) not in known
        )
        return {
            PartSet(row.address, row.max, Txid(row.txid)): row.awaits
            for statement, wanted in ((_NEW, new), (_AWAITING, list(awaited)))
            for row in self._ask(statement, wanted)
        }

    def _advance(self, sets: Mapping[PartSet, int]) -> dict[PartSet, Mapping[int, Any]]:
        """Note what these sets await now; what was read of those now complete.

        All of it for sets that awaited their first part, the rest of others.
        """
        start = {
            found: 0 if awaits == _FIRST_AWAITED else awaits
            for found, awaits in sets.items()
        }
        now, completed = {}, {}
        for found, members in self._members(start):
            awaits = sets[found]
            while awaits in members:
                awaits += 1
            now[found] = awaits
            if awaits > found.max:
                completed[found] = members
        self._await(now)
        return completed

    def _await(self, sets: Mapping[PartSet, int]) -> None:
        told = [
            {
                "of_ledger": self._ledger_id,
                "of_address": found.address,
                "of_max": found.max,
                "of_txid": found.first_txid,
                "awaited": awaits,
            }
            for found, awaits in sets.items()
        ]
        if told:
            self._connection.execute(_AWAIT, told)

    def _members(
        self, start: Mapping[PartSet, int]
    ) -> Iterator[tuple[PartSet, Mapping[int, Any]]]:
        """Of each set, and each number from its start on, the earliest part.

        A set that has none is left out.
        """
        sets = list(start)
        named = [(s.address, s.max, s.first_txid, start[s]) for s in sets]
        unusual = {row.key for row in self._ask(_UNUSUAL, named)}
        wanted = [
            (*name, _ALL_LENGTHS if number in unusual else _USUAL_LENGTHS)
            for number, name in enumerate(named)
        ]
        rows = self._ask(_MEMBERS, wanted)
        for number, group in groupby(rows, key=lambda row: row.set_number):
            members: dict[int, Any] = {}
            for row in group:
                known = members.setdefault(row.number, row)
                if (row.height, row.position) < (known.height, known.position):
                    members[row.number] = row
            yield sets[number], members

    def _ask(
        self, statement: TextClause, wanted: Sequence[tuple[object, ...]]
    ) -> Iterable[Any]:
        if not wanted:
            return ()
        told = {"ledger": self._ledger_id, "wanted": json.dumps(wanted)}
        return self._connection.execute(statement, told)

    def _join(self, found: PartSet, members: Mapping[int, Any]) -> Completed:
        last = max((row.height, row.position) for row in members.values())
        _, place = self._at_hand[last]
        try:
            joined = self._parts(members)
            said: str | Rejection = join(joined)
        except InvalidMessageError as exc:
            joined = ()
            said = Rejection(str(exc.facts.get("rule", "R7")), exc.message)
        return Completed(
            place=replace(place, txid=found.first_txid),
            parts=joined,
            coverage=weakest(Coverage(row.coverage) for row in members.values()),
            text=said,
        )

    def _parts(self, members: Mapping[int, Any]) -> tuple[Part, ...]:
        """The parts of a complete set. Raises InvalidMessageError when too long."""
        found = []
        size = 0
        for _, row in sorted(members.items()):
            at_hand = self._at_hand.get((row.height, row.position))
            if at_hand is None:
                told = self._connection.scalars(_TEXT, {"row": row.row}).one()
                part = parse_part(told)
            else:
                part = at_hand[0]
            found.append(part)
            size += len(part.data)
            if size > MAX_TEXT_BYTES:
                refuse("R7", f"the joined text is longer than {MAX_TEXT_BYTES} bytes")
        return tuple(found)
