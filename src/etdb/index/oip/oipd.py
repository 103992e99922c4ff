"""An index as the two old daemons would answer from it.

Neutral in form: plain dicts and pages; what the two dialects make of them is in
`etdb.web.oipd` and `etdb.web.librarian`. Only records that may be listed are
given. Every answer comes from one state of the index. Thread-safe.
"""

from __future__ import annotations

from sqlalchemy import ColumnElement, func, select

from etdb.errors import InvalidDataError
from etdb.index.db import Index, find_tip
from etdb.index.oip.edit import list_edits
from etdb.index.oip.field import EDIT_FIELDS, RECORD_FIELDS, RECORD_SORTS, TEXT_FIELDS
from etdb.index.oip.librarian import LibrarianIndex
from etdb.index.oip.page import NO_HITS, Hits, Window
from etdb.index.oip.query_string import parse
from etdb.index.oip.record import (
    EVERYTHING,
    Document,
    find_id,
    find_version,
    list_records,
    read_documents,
)
from etdb.index.oip.text import (
    Said,
    list_parts,
    list_texts,
    of_reference,
    of_txid,
)
from etdb.index.oip.tx import RawTransaction, TransactionReader, describe
from etdb.index.schema import records
from etdb.index.search import Expression, Is, Not

_SAFE = Not(Is("nsfw", "true"))
_MAX_SIZES = 20_000


class OipIndex:
    """What oipd answered, and in `librarian` what its forerunner did."""

    def __init__(self, index: Index, raw_transaction: RawTransaction) -> None:
        self.librarian = LibrarianIndex(index)
        self._index = index
        self._raw_transaction = raw_transaction
        self._sizes: dict[str, int] = {}

    def latest(self, window: Window, *, is_safe: bool = False) -> Hits:
        """Records, newest first; `is_safe` leaves out what calls itself nsfw."""
        return self._records(_SAFE if is_safe else EVERYTHING, window)

    def find(self, txid_digits: str, window: Window) -> Hits:
        """Records one of whose transactions begins with these digits."""
        return self._records(Is("txid", txid_digits), window)

    def search(self, query: str, window: Window) -> Hits:
        """Records that match a query_string. Raises InvalidDataError."""
        return self._records(parse(query, RECORD_FIELDS), window)

    def cardinality(self, field: str) -> int:
        """How many different values a field has. Raises InvalidDataError."""
        found = RECORD_SORTS.get(field)
        if found is None:
            msg = f"the index keeps no field {field[:60]!r}"
            raise InvalidDataError(msg)
        counted = select(func.count(found.column.distinct()))
        with self._index.read() as connection:
            listed = records.c.is_listed.is_(True)
            return connection.scalars(counted.where(listed)).one()

    def get_record(self, txid: str) -> Hits:
        """The current version of the record that a whole txid published, or none."""
        with self._index.read() as connection:
            record_id = find_id(connection, txid)
            found = [] if record_id is None else read_documents(connection, [record_id])
        return _one(found)

    def get_version(self, txid: str, version_txid: str) -> Hits:
        """A record as one of its versions had it, or none; by whole txids."""
        with self._index.read() as connection:
            found = find_version(connection, txid, version_txid)
        return _one([] if found is None else [found])

    def find_edits(self, txid_digits: str, window: Window) -> Hits:
        """Edits whose transaction begins with these digits."""
        with self._index.read() as connection:
            return list_edits(connection, Is("txid", txid_digits), window)

    def search_edits(self, query: str, window: Window) -> Hits:
        """Edits that match a query_string. Raises InvalidDataError."""
        wanted = parse(query, EDIT_FIELDS)
        with self._index.read() as connection:
            return list_edits(connection, wanted, window)

    def parts_of(self, reference: str, window: Window) -> Hits:
        """The parts of the sets whose part 0 begins with these digits."""
        return self._parts(of_reference(reference), window)

    def find_parts(self, txid_digits: str, window: Window) -> Hits:
        """Parts whose transaction begins with these digits."""
        return self._parts(of_txid(txid_digits), window)

    def latest_texts(
        self, window: Window, *, is_whole: bool, is_coinbase: bool | None = None
    ) -> Hits:
        """Transactions, newest first; only coinbases, or only others.

        `is_whole` gives all of each, otherwise its text.
        """
        said = "true" if is_coinbase else "false"
        wanted = EVERYTHING if is_coinbase is None else Is("is_coinbase", said)
        return self._texts(wanted, window, is_whole=is_whole)

    def find_texts(self, txid_digits: str, window: Window, *, is_whole: bool) -> Hits:
        """Transactions whose txid begins with these digits."""
        return self._texts(Is("txid", txid_digits), window, is_whole=is_whole)

    def search_texts(self, query: str, window: Window, *, is_whole: bool) -> Hits:
        """Transactions that match a query_string. Raises InvalidDataError."""
        return self._texts(parse(query, TEXT_FIELDS), window, is_whole=is_whole)

    def _records(self, wanted: Expression, window: Window) -> Hits:
        with self._index.read() as connection:
            return list_records(connection, wanted, window)

    def _parts(self, wanted: ColumnElement[bool], window: Window) -> Hits:
        with self._index.read() as connection:
            return list_parts(connection, wanted, window)

    def _texts(self, wanted: Expression, window: Window, *, is_whole: bool) -> Hits:
        with self._index.read() as connection:
            found = list_texts(connection, wanted, window)
            tips = {
                ledger: find_tip(connection, ledger)
                for ledger in {said.ledger for said in found.results}
            }
        reader = TransactionReader(self._raw_transaction)
        results = []
        for said in found.results:
            tip = tips[said.ledger]
            height = said.height if tip is None else tip.height
            if is_whole:
                results.append(_whole(reader, said, height - said.height + 1))
            else:
                results.append(self._bare(reader, said))
        return Hits(results, found.total, found.next)

    def _bare(self, reader: TransactionReader, said: Said) -> Document:
        size = self._sizes.get(said.txid)
        if size is None:
            transaction = reader.find(said)
            size = None if transaction is None else len(transaction.encode())
            if size is not None and len(self._sizes) < _MAX_SIZES:
                self._sizes[said.txid] = size
        tx = {
            "floData": said.text,
            "txid": said.txid,
            "time": said.time,
            "blockhash": said.block_hash,
            "size": size,
        }
        return {"tx": tx, "is_coinbase": said.position == 0}


def _whole(reader: TransactionReader, said: Said, confirmations: int) -> Document:
    return {
        "tx": {**_transaction(reader, said), "confirmations": confirmations},
        "block": said.height,
        "block_hash": said.block_hash,
        "confirmed": True,
        "is_coinbase": said.position == 0,
    }


def _transaction(reader: TransactionReader, said: Said) -> Document:
    """All that is known of it; of a ledger that cannot be asked, its text."""
    found = reader.find(said)
    return {
        **({"txid": said.txid} if found is None else describe(found, said.kind)),
        "floData": said.text,
        "blockhash": said.block_hash,
        "time": said.time,
        "blocktime": said.time,
    }


def _one(found: list[Document]) -> Hits:
    if not found:
        return NO_HITS
    meta = found[0]["meta"]
    return Hits(found, 1, [meta["time"] * 1000, meta["txid"]])
