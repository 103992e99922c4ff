"""What an index holds, ledgers in memory, synthetic authors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from etdb.index.db import Index
from etdb.index.dump import iter_dump
from etdb.index.schema import KEYS
from etdb.ledger.base import SignedTransaction
from etdb.testing.ledger import MemoryLedger
from etdb.testing.records import Author

Dump = dict[str, list[tuple[Any, ...]]]


@pytest.fixture
def author() -> Author:
    return Author()


@pytest.fixture
def ledger() -> MemoryLedger:
    return MemoryLedger()


@pytest.fixture
def dump() -> Callable[[Index], Dump]:
    """Every row of every table, in canonical order."""

    def read(index: Index) -> Dump:
        with index.read() as connection:
            return {
                table.name: [row for _, row in iter_dump(connection, table)]
                for table in KEYS
            }

    return read


@pytest.fixture
def in_parts() -> Callable[..., Sequence[SignedTransaction]]:
    """The transactions that carry a text in parts, none of them sent."""

    def compose(
        ledger: MemoryLedger, author: Author, text: str, *, digits: int = 64
    ) -> Sequence[SignedTransaction]:
        first = ledger.compose(author.part_texts(text)[0].encode())
        texts = author.part_texts(text, first.txid[:digits])[1:]
        return [first, *(ledger.compose(part.encode()) for part in texts)]

    return compose
