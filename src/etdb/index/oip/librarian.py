"""What the librarian, the oldest daemon, answered, from our index.

Its documents were rows of its own tables, which an edit updated in place: a
record keeps the txid that published it. Only records that may be listed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.engine import Connection

from etdb.errors import InvalidDataError
from etdb.index.condition import condition_of, is_storable
from etdb.index.db import Index
from etdb.index.fields import FieldKind
from etdb.index.oip.field import RECORD_FIELDS, WORDS
from etdb.index.oip.page import Window
from etdb.index.oip.query_string import NOTHING, term_of
from etdb.index.oip.record import Document, find_earliest, newest_ids, read_documents
from etdb.index.oip.text import list_texts
from etdb.index.register import find_register
from etdb.index.schema import publishers, records
from etdb.index.search import Expression, Match
from etdb.record.rules import RecordClass

MAX_FOUND = 1_000
MAX_PUBLISHERS = 1_000
_BATCH = 200


@dataclass(frozen=True)
class Sort:
    """Which records: None is any, an empty word those that state none."""

    type: str | None = None
    subtype: str | None = None
    publisher: str | None = None

    def where(self) -> list[ColumnElement[bool]]:
        """What they fulfil."""
        asked = (
            (records.c.type, self.type),
            (records.c.subtype, self.subtype),
            (records.c.publisher, self.publisher),
        )
        return [
            func.coalesce(column, "") == word
            for column, word in asked
            if word is not None
        ]


class LibrarianIndex:
    """What the librarian answered."""

    def __init__(self, index: Index) -> None:
        self._index = index

    def count(self, sort: Sort) -> int:
        """How many listed records are of a sort."""
        counted = select(func.count()).select_from(records)
        with self._index.read() as connection:
            listed = records.c.is_listed.is_(True)
            return connection.scalars(counted.where(listed, *sort.where())).one()

    def iter_records(
        self, sort: Sort, *, limit: int | None, offset: int
    ) -> Iterator[Document]:
        """Records of a sort, those signed last first; read a batch at a time."""
        chosen = newest_ids(*sort.where()).limit(limit).offset(offset)
        yield from self._iter(chosen)

    def find(self, txid_digits: str) -> Document | None:
        """The record that a txid or its beginning means; of several the earliest."""
        with self._index.read() as connection:
            return find_earliest(connection, txid_digits)

    def search(self, field: str, words: str, *, is_like: bool) -> list[Document]:
        """At most 1,000 records that hold these words in a field, `*` is any.

        `is_like` leaves the end of the last word open.
        """
        wanted = _wanted(field, words, is_like=is_like)
        if wanted is None:
            return []
        return list(self._iter(newest_ids(condition_of(wanted)).limit(MAX_FOUND)))

    def summary(self) -> dict[str, Any]:
        """How many tomograms, of how many species, from whom."""
        is_tomogram = Sort("research", "tomogram").where()
        listed = (records.c.is_listed.is_(True), *is_tomogram)
        counted = select(
            func.count().label("total"),
            func.count(records.c.species.distinct()).label("species"),
        )
        by_publisher = select(records.c.publisher, func.count().label("count"))
        with self._index.read() as connection:
            totals = connection.execute(counted.where(*listed)).one()
            rows = connection.execute(
                by_publisher.where(*listed).group_by(records.c.publisher)
            ).all()
        counts = {row.publisher: row.count for row in rows}
        return {**totals._mapping, "publishers": counts}

    def list_publishers(
        self, *, address: str | None = None, name: str = ""
    ) -> list[Document]:
        """Who registered: all, one by address, or those whose name holds a text.

        Each is `{txid, publisher}`, the publisher as it registered itself.
        """
        if not is_storable(name) or not is_storable(address or ""):
            return []
        chosen = select(publishers.c.address).order_by(publishers.c.name)
        if address is not None:
            chosen = chosen.where(publishers.c.address == address)
        if name:
            chosen = chosen.where(publishers.c.name.icontains(name, autoescape=True))
        with self._index.read() as connection:
            addresses = connection.scalars(chosen.limit(MAX_PUBLISHERS)).all()
            return [_publisher(connection, found) for found in addresses]

    def find_words(self, words: str, *, limit: int, offset: int) -> list[Document]:
        """Transactions whose text holds these words as written, newest first."""
        wanted = Match("text", words)
        with self._index.read() as connection:
            window = Window(limit, offset)
            found = list_texts(connection, wanted, window, is_counted=False)
        return [{"txid": said.txid, "text": said.text} for said in found.results]

    def _iter(self, chosen: Any) -> Iterator[Document]:
        with self._index.read() as connection:
            ids = connection.scalars(chosen).all()
        for start in range(0, len(ids), _BATCH):
            with self._index.read() as connection:
                batch = read_documents(connection, ids[start : start + _BATCH])
            yield from batch


def _wanted(field: str, words: str, *, is_like: bool) -> Expression:
    if field in {"", "*"}:
        has_words = any(character.isalnum() for character in words)
        return Match(None, words, is_prefix=is_like) if has_words else NOTHING
    path = field if field in RECORD_FIELDS else _PATHS.get(field.lower(), "")
    target = RECORD_FIELDS.get(path)
    if target is None:
        msg = f"the index keeps no field {field[:60]!r}"
        raise InvalidDataError(msg)
    is_prefix = is_like and target.kind in _OPEN
    return term_of(target, words, is_prefix=is_prefix)


def _publisher(connection: Connection, address: str) -> Document:
    """What an address says of itself now (R6), and where.

    A register that is not content-signed is given without what its signature does
    not cover: anybody may have copied it and added to it.
    """
    register = find_register(connection, address)
    assert register is not None, "whoever has a name has registered it"
    said = register.statement.body
    if register.statement.record_class is not RecordClass.A:
        said = {key: value for key, value in said.items() if key in _OLD_SIGNED}
    return {"txid": register.txid, "publisher": said}


_OLD_SIGNED = frozenset({"alias", "floAddress", "timestamp", "signature"})
"""What the signature of OIP 0.42 covers of a register, and itself (R4)."""

_PATHS: Mapping[str, str] = MappingProxyType(
    {**WORDS, "address": "artifact.floAddress", "publisher": "artifact.floAddress"}
)
_OPEN = frozenset({FieldKind.TEXT, FieldKind.CID, FieldKind.HEX})
"""Kinds of fields in which the beginning of a value can be looked for."""
