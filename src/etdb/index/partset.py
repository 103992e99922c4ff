"""Messages in parts: which parts are kept, which sets a block completes (R7).

A set is (ledger, address, MAX, txid of part 0). Parts wait in the index,
however long, in any order; what decides is the order of the ledger alone. Of
parts with the same reference and number only the earliest is kept, since no
other can ever count: so a flood of repeats costs one look-up each.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import bindparam, select, text
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.engine import Connection

from etdb.errors import InvalidMessageError, InvalidSignatureError
from etdb.identity import Address, Txid
from etdb.index.rows import Row, place_row
from etdb.index.schema import parts
from etdb.record.canonical import MAX_TEXT_BYTES, refuse
from etdb.record.message import Place
from etdb.record.parts import Part, join, parse_part, verify_part
from etdb.record.rules import Rejection

_SHORTEST_REFERENCE = 10
_LONGEST_REFERENCE = 64
_AFTER_HEX = "g"

_LENGTHS = range(_SHORTEST_REFERENCE, _LONGEST_REFERENCE + 1)
_IN_SET = (
    parts.c.ledger == bindparam("ledger"),
    parts.c.address == bindparam("address"),
    parts.c.max == bindparam("max"),
    parts.c.first.in_([bindparam(f"first_{length}") for length in _LENGTHS]),
)
_PLACES = select(parts.c.height, parts.c.position, parts.c.number, parts.c.row).where(
    *_IN_SET
)
_FIRSTS = select(parts.c.txid).where(
    parts.c.ledger == bindparam("ledger"),
    parts.c.address == bindparam("address"),
    parts.c.max == bindparam("max"),
    text("number = 0"),
    parts.c.first >= bindparam("start"),
    parts.c.first < bindparam("stop"),
)
_TEXT = select(parts.c.text).where(parts.c.row == bindparam("row"))
_ADD = insert(parts).on_conflict_do_nothing()


@dataclass(frozen=True)
class PartSet:
    """Which set: what its parts agree on."""

    address: Address
    max: int
    first_txid: Txid


@dataclass(frozen=True)
class Completed:
    """A set whose last missing part came at `position` of the block."""

    position: int
    first_txid: Txid
    parts: tuple[Part, ...]
    text: str | Rejection
    """The joined text, or why there is none."""


class PartSets:
    """The sets of one ledger, within one transaction."""

    def __init__(self, connection: Connection, ledger_id: str) -> None:
        self._connection = connection
        self._ledger_id = ledger_id
        self._new: list[Row] = []
        self._at_hand: dict[tuple[int, int], Part] = {}

    def add(self, carried: str, place: Place) -> Rejection | None:
        """Take a text that claims to be a part; what is wrong with it, if so."""
        try:
            part = parse_part(carried)
            verify_part(part)
        except (InvalidMessageError, InvalidSignatureError) as exc:
            return Rejection(str(exc.facts.get("rule", "R7")), exc.message)
        self._at_hand[place.height, place.position] = part
        self._new.append(
            place_row(place)
            | {
                "address": part.address,
                "max": part.max,
                "number": part.index,
                "first": place.txid if part.index == 0 else part.reference,
                "text": part.text,
            }
        )
        return None

    def complete(self, height: int) -> Iterator[Completed]:
        """Keep the parts taken since the last call; the sets they complete.

        All of them are of the block at `height`.
        """
        added, self._new = self._new, []
        if not added:
            return
        self._connection.execute(_ADD, added)
        for found in self._touched(added):
            completed = self._find_completed(found, height)
            if completed is not None:
                yield completed

    def _touched(self, added: list[Row]) -> list[PartSet]:
        """The sets that any of these parts joins, each once."""
        references = dict.fromkeys(
            (row["address"], row["max"], row["first"]) for row in added
        )
        return list(
            dict.fromkeys(
                PartSet(address, maximum, first_txid)
                for address, maximum, reference in references
                for first_txid in self._firsts(address, maximum, reference)
            )
        )

    def _firsts(self, address: str, maximum: int, reference: str) -> Sequence[Txid]:
        return self._connection.scalars(
            _FIRSTS,
            {
                "ledger": self._ledger_id,
                "address": address,
                "max": maximum,
                "start": reference,
                "stop": reference + _AFTER_HEX,
            },
        ).all()

    def _find_completed(self, found: PartSet, height: int) -> Completed | None:
        prefixes = {f"first_{length}": found.first_txid[:length] for length in _LENGTHS}
        rows = self._connection.execute(
            _PLACES,
            {
                "ledger": self._ledger_id,
                "address": found.address,
                "max": found.max,
                **prefixes,
            },
        )
        earliest: dict[int, Any] = {}
        for row in sorted(rows):
            earliest.setdefault(row.number, row)
        last = max(earliest.values())
        if len(earliest) <= found.max or last.height != height:
            return None
        try:
            members = self._members(earliest)
            joined: str | Rejection = join(members)
        except InvalidMessageError as exc:
            members = ()
            joined = Rejection(str(exc.facts.get("rule", "R7")), exc.message)
        return Completed(last.position, found.first_txid, members, joined)

    def _members(self, earliest: Mapping[int, Any]) -> tuple[Part, ...]:
        """The parts of a complete set. Raises InvalidMessageError when too long."""
        members = []
        size = 0
        for row in earliest.values():
            part = self._at_hand.get((row.height, row.position))
            if part is None:
                part = parse_part(
                    self._connection.scalars(_TEXT, {"row": row.row}).one()
                )
            members.append(part)
            size += len(part.data)
            if size > MAX_TEXT_BYTES:
                refuse("R7", f"the joined text is longer than {MAX_TEXT_BYTES} bytes")
        return tuple(sorted(members, key=lambda part: part.index))
