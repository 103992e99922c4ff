"""What an index says, in one canonical order, to compare two of them.

Row numbers are left out: they tell in which order things came, which is no
affair of an index that is a function of its ledgers. So does which empty blocks
are still kept, save that two indexes that keep one must say the same of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sqlalchemy import Table, exists, func, or_, select
from sqlalchemy.engine import Connection

from etdb.index.schema import KEYS, blocks, messages, parts, rejected

_ROW_NUMBERS = frozenset({"row", "anchor", "shown"})
_MAX_DIFFERENCES = 20

DumpRow = tuple[Any, ...]


def iter_dump(
    connection: Connection, table: Table
) -> Iterator[tuple[DumpRow, DumpRow]]:
    """(key, row) of every row of a table, by key."""
    key = KEYS[table]
    columns = [c for c in table.columns if c.name not in _ROW_NUMBERS]
    chosen = select(*columns).order_by(*(table.c[name] for name in key))
    for row in connection.execute(chosen):
        yield tuple(row._mapping[name] for name in key), tuple(row)


def list_differences(kept: Connection, built: Connection) -> list[str]:
    """In which rows two indexes differ: at most 20 sentences, none if equal."""
    found: list[str] = []
    for table in KEYS:
        for sentence in _differences(kept, built, table):
            found.append(sentence)
            if len(found) == _MAX_DIFFERENCES:
                return found
    return found


def _differences(kept: Connection, built: Connection, table: Table) -> Iterator[str]:
    ours, theirs = iter_dump(kept, table), iter_dump(built, table)
    our, their = next(ours, None), next(theirs, None)
    while our is not None or their is not None:
        if their is None or (our is not None and our[0] < their[0]):
            assert our is not None
            if table is not blocks or _matters(kept, our[0]):
                yield f"{table.name} {_said(our[0])} should not be there"
            our = next(ours, None)
        elif our is None or their[0] < our[0]:
            if table is not blocks or _matters(built, their[0]):
                yield f"{table.name} {_said(their[0])} is missing"
            their = next(theirs, None)
        else:
            if our[1] != their[1]:
                yield f"{table.name} {_said(our[0])} differs"
            our, their = next(ours, None), next(theirs, None)


def _matters(connection: Connection, key: DumpRow) -> bool:
    """Whether an index must keep this block: the last, or one that carries facts."""
    ledger, height = key
    last = select(func.max(blocks.c.height)).where(blocks.c.ledger == ledger)
    if connection.scalar(last) == height:
        return True
    carried = [
        exists().where(facts.c.ledger == ledger, facts.c.height == height)
        for facts in (messages, parts, rejected)
    ]
    return bool(connection.scalar(select(or_(*carried))))


def _said(key: DumpRow) -> str:
    return " ".join(str(value)[:64] for value in key)
