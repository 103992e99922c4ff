"""What a block says, by the rules alone: no state, no look at what came before.

A text is a part of a message, whose signature is checked here, or a message of
its own, which is judged. What parts add up to is for `partset`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from etdb.errors import InvalidMessageError, InvalidSignatureError
from etdb.ledger.base import Block, Carried, LedgerInfo
from etdb.record.message import Coverage, Kind, Place, kind_of
from etdb.record.parts import Part, parse_part, verify_part
from etdb.record.rules import Rejection, Statement, judge


@dataclass(frozen=True)
class Said:
    """What one transaction says that concerns us."""

    place: Place
    coverage: Coverage
    outcome: Part | Statement | Rejection


@dataclass(frozen=True)
class ReadBlock:
    """A block and what it says, in order."""

    block: Block
    said: tuple[Said, ...]


def read_block(info: LedgerInfo, block: Block) -> ReadBlock:
    """A block of a ledger as the index takes it. Raises nothing."""
    return ReadBlock(block, tuple(_iter_said(info, block)))


def _iter_said(info: LedgerInfo, block: Block) -> Iterator[Said]:
    for carried in block.carried:
        place = Place(info.id, block.height, carried.position, carried.txid, block.time)
        outcome = _read(info, place, carried)
        if outcome is not None:
            yield Said(place, carried.coverage, outcome)


def _read(
    info: LedgerInfo, place: Place, carried: Carried
) -> Part | Statement | Rejection | None:
    text = carried.data.decode("utf-8", "surrogateescape")
    if kind_of(text) is not Kind.PART:
        return judge(text, place=place, ledger_kind=info.kind)
    try:
        part = parse_part(text)
        verify_part(part)
    except (InvalidMessageError, InvalidSignatureError) as exc:
        return Rejection(str(exc.facts.get("rule", "R7")), exc.message)
    return part
