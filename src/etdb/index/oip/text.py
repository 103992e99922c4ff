"""The ledger's own texts (floData), transaction by transaction, and the parts.

What is kept is what concerned us: every part, and every message that was
accepted. They are shown as they stand on the ledger, whatever became of the
records they speak of.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from sqlalchemy import (
    ColumnElement,
    FromClause,
    Table,
    and_,
    exists,
    false,
    func,
    not_,
    or_,
    select,
    true,
)
from sqlalchemy.engine import Connection

from etdb.index.condition import AFTER_HEX, compare, is_storable, starts_with_hex
from etdb.index.oip.page import (
    Hits,
    Key,
    Sortable,
    Window,
    columns_of,
    directed,
    follows,
    order_by,
    tell,
    values_of,
)
from etdb.index.schema import blocks, ledgers, messages, parts
from etdb.index.search import And, Compare, Expression, Has, Is, Match, Not, Or
from etdb.record.message import LedgerKind
from etdb.record.parts import parse_part

Columns = Mapping[str, ColumnElement[Any]]

MIN_REFERENCE_DIGITS = 10


@dataclass(frozen=True)
class Said:
    """What one transaction carries, and where it stands."""

    ledger: str
    kind: LedgerKind
    height: int
    position: int
    txid: str
    time: int
    block_hash: str
    text: str


@dataclass(frozen=True)
class SaidPage:
    """Some of the texts, newest first."""

    results: list[Said]
    total: int
    next: list[Any] | None


def row_condition(expression: Expression, columns: Columns) -> ColumnElement[bool]:
    """What rows that match fulfil; a word in any field is one in `text`.

    Words are looked for as they are written, but for the case of a to z.
    """
    match expression:
        case And(operands):
            return and_(true(), *(row_condition(each, columns) for each in operands))
        case Or(operands):
            return or_(false(), *(row_condition(each, columns) for each in operands))
        case Not(operand):
            return not_(row_condition(operand, columns))
        case _:
            return _term(expression, columns)


def _term(term: Match | Compare | Is | Has, columns: Columns) -> ColumnElement[bool]:
    column = columns[term.field or "text"]
    match term:
        case Match(_, phrase):
            if not is_storable(phrase):
                return false()
            return column.contains(phrase, autoescape=True)
        case Compare(_, op, value):
            return compare(column, op, value)
        case Has():
            return column.is_not(None)
        case Is("is_coinbase", value):
            return column == (value == "true")
        case Is(_, digits):
            return starts_with_hex(column, digits)


@dataclass(frozen=True)
class _Source:
    """A table with a transaction in each row that matters."""

    table: Table
    where: ColumnElement[bool]
    columns: Columns

    def keys(self, window: Window) -> list[Key]:
        """What its rows are ordered by. Raises InvalidDataError."""
        kept = {
            path: Sortable(self.columns[name], is_time=name == "time", is_known=True)
            for path, name in _TEXT_SORTS.items()
        }
        time = Key(self.columns["time"], is_descending=True, is_time=True)
        return order_by(window, kept, (time, Key(self.columns["txid"])))


def _source(table: Table, where: ColumnElement[bool]) -> _Source:
    columns = {
        "text": table.c.text,
        "txid": table.c.txid,
        "height": table.c.height,
        "time": blocks.c.time,
        "hash": blocks.c.hash,
        "is_coinbase": table.c.position == 0,
    }
    return _Source(table, where, columns)


_TEXT_SORTS: Mapping[str, str] = MappingProxyType(
    {
        "tx.txid": "txid",
        "tx.blockhash": "hash",
        "tx.time": "time",
        "block": "height",
    }
)
_IS_PART = exists().where(
    parts.c.txid == messages.c.txid, parts.c.ledger == messages.c.ledger
)
_SOURCES = (_source(parts, true()), _source(messages, ~_IS_PART))
"""A message in parts has no transaction of its own."""


def list_texts(
    connection: Connection,
    wanted: Expression,
    window: Window,
    *,
    is_counted: bool = True,
) -> SaidPage:
    """What transactions carry, newest first. Raises InvalidDataError.

    Counting those of the other pages takes as long as finding these.
    """
    found: list[tuple[_Source, Any]] = []
    total = 0
    for source in _SOURCES:
        matching = (source.where, row_condition(wanted, source.columns))
        total += _count(connection, source, matching) if is_counted else 0
        rows = _rows(connection, source, matching, window)
        found += [(source, row) for row in rows]
    keys = _SOURCES[0].keys(window)
    for at, key in reversed([*enumerate(keys)]):
        found.sort(key=_value(keys, at), reverse=key.is_descending)
    offset = 0 if window.after is not None else window.offset
    page = found[offset : offset + window.limit]
    return SaidPage(
        results=[_read(connection, *each) for each in page],
        total=total,
        next=tell(keys, page[-1][1]) if page else None,
    )


def _value(keys: Sequence[Key], at: int) -> Callable[[tuple[_Source, Any]], Any]:
    """What a row is ordered by in one of several places."""
    return lambda each: values_of(keys, each[1])[at]


def _rows(
    connection: Connection,
    source: _Source,
    where: Sequence[ColumnElement[bool]],
    window: Window,
) -> Sequence[Any]:
    """Of one table, as many as the page may need, without their texts."""
    before = 0 if window.after is not None else window.offset
    names = ("row", "ledger", "height", "position", "txid")
    keys = source.keys(window)
    return connection.execute(
        select(
            *(source.table.c[name] for name in names),
            blocks.c.time,
            blocks.c.hash,
            ledgers.c.kind,
            *columns_of(keys),
        )
        .select_from(_in_block(source.table))
        .join(ledgers, ledgers.c.id == source.table.c.ledger)
        .where(*where, *follows(keys, window))
        .order_by(*directed(keys))
        .limit(before + window.limit)
    ).all()


def _count(
    connection: Connection, source: _Source, where: Sequence[ColumnElement[bool]]
) -> int:
    counted = select(func.count()).select_from(_in_block(source.table))
    return connection.scalars(counted.where(*where)).one()


def _in_block(table: Table) -> FromClause:
    is_its = (blocks.c.ledger == table.c.ledger) & (blocks.c.height == table.c.height)
    return table.join(blocks, is_its)


def _read(connection: Connection, source: _Source, row: Any) -> Said:
    text = select(source.table.c.text).where(source.table.c.row == row.row)
    return Said(
        ledger=row.ledger,
        kind=LedgerKind(row.kind),
        height=row.height,
        position=row.position,
        txid=row.txid,
        time=row.time,
        block_hash=row.hash,
        text=connection.scalars(text).one(),
    )


_zero = parts.alias("zero")
_IS_COMPLETE = exists().where(
    _zero.c.ledger == parts.c.ledger,
    _zero.c.address == parts.c.address,
    _zero.c.max == parts.c.max,
    _zero.c.number == 0,
    _zero.c.first >= parts.c.first,
    _zero.c.first < parts.c.first + AFTER_HEX,
    _zero.c.awaits > parts.c.max,
)
_ASSEMBLED = (
    select(messages.c.text)
    .where(messages.c.ledger == parts.c.ledger, messages.c.txid == parts.c.txid)
    .limit(1)
    .correlate(parts)
    .scalar_subquery()
)
_PART_KEYS = (
    Key(blocks.c.time, is_descending=True, is_time=True),
    Key(parts.c.txid),
)
_PART_SORTS: Mapping[str, Sortable] = MappingProxyType(
    {
        "part": Sortable(parts.c.number, is_known=True),
        "max": Sortable(parts.c.max, is_known=True),
        "address": Sortable(parts.c.address, is_known=True),
        "meta.txid": Sortable(parts.c.txid, is_known=True),
        "meta.block": Sortable(parts.c.height, is_known=True),
        "meta.block_hash": Sortable(blocks.c.hash, is_known=True),
        "meta.time": Sortable(blocks.c.time, is_time=True, is_known=True),
    }
)


def of_reference(digits: str) -> ColumnElement[bool]:
    """The sets whose part 0 has a txid that begins with these digits.

    Parts that wait for their part 0 are of no set yet.
    """
    member = parts.alias("member")
    first = func.substr(_zero.c.txid, 1, MIN_REFERENCE_DIGITS)
    members = select(member.c.row).where(
        starts_with_hex(_zero.c.txid, digits),
        _zero.c.number == 0,
        member.c.ledger == _zero.c.ledger,
        member.c.address == _zero.c.address,
        member.c.max == _zero.c.max,
        member.c.first >= first,
        member.c.first < first + AFTER_HEX,
        member.c.first == func.substr(_zero.c.txid, 1, func.length(member.c.first)),
    )
    return parts.c.row.in_(members)


def of_txid(digits: str) -> ColumnElement[bool]:
    """Parts whose transaction begins with these digits."""
    return starts_with_hex(parts.c.txid, digits)


def list_parts(
    connection: Connection, wanted: ColumnElement[bool], window: Window
) -> Hits:
    """Parts as documents, newest first. Raises InvalidDataError."""
    keys = order_by(window, _PART_SORTS, _PART_KEYS)
    chosen = (
        select(
            parts.c.row,
            parts.c.txid,
            parts.c.height,
            parts.c.text,
            blocks.c.time,
            blocks.c.hash,
            _IS_COMPLETE.label("is_complete"),
            _ASSEMBLED.label("assembled"),
            *columns_of(keys),
        )
        .select_from(_in_block(parts))
        .where(wanted, *follows(keys, window))
        .order_by(*directed(keys))
        .limit(window.limit)
    )
    if window.after is None:
        chosen = chosen.offset(window.offset)
    rows = connection.execute(chosen).all()
    counted = select(func.count()).select_from(parts).where(wanted)
    return Hits(
        results=[_part_document(row) for row in rows],
        total=connection.scalars(counted).one(),
        next=tell(keys, rows[-1]) if rows else None,
    )


def _part_document(row: Any) -> dict[str, Any]:
    """A part as oipd gave it: part 0 names itself, and holds the joined text."""
    part = parse_part(row.text)
    own = row.txid[:MIN_REFERENCE_DIGITS]
    return {
        "part": part.index,
        "max": part.max,
        "reference": part.reference if part.index else own,
        "address": part.address,
        "signature": part.signature,
        "data": part.data,
        "meta": {
            "block": row.height,
            "block_hash": row.hash,
            "complete": bool(row.is_complete),
            "stale": False,
            "time": row.time,
            "txid": row.txid,
            "assembled": row.assembled or "",
        },
    }
