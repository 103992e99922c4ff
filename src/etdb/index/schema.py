"""The tables of the index.

Two sorts. *Facts* are what blocks say: `messages`, `parts`, `rejected`. Every
row of them names its block and goes when the block goes, so that undoing
blocks is one DELETE. *Derived* rows are a function of the facts alone:
`records` (the current version of each record, with a column for each field
that can be searched), `versions` and `publishers`. Triggers note in `stale`
which derived rows a fact touches, whether it came or went; `etdb.index.derive`
makes those again in the same transaction.

`records_fts` is the full text: it holds no text of its own but reads
`records`, and triggers keep the two in step.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from sqlalchemy import (
    Boolean,
    CheckConstraint,
    Column,
    Float,
    ForeignKey,
    ForeignKeyConstraint,
    Integer,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    column,
    table,
    text,
)
from sqlalchemy import Index as TableIndex
from sqlalchemy.engine import Connection

from etdb.index.fields import RECORD_FIELDS, SORTED_TEXTS, TEXT_COLUMNS, FieldKind

APPLICATION_ID = 0x65746469  # "etdi"
SCHEMA_VERSION = 2

METADATA = MetaData()

ledgers = Table(
    "ledgers",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("first_height", Integer, nullable=False),
)
"""The ledgers that are read; of each, nothing below its first height."""

blocks = Table(
    "blocks",
    METADATA,
    Column("ledger", Text, ForeignKey("ledgers.id"), primary_key=True),
    Column("height", Integer, primary_key=True),
    Column("hash", Text, nullable=False),
    Column("time", Integer, nullable=False),
    sqlite_with_rowid=False,
)
"""The last blocks of each ledger, and of those before only what carries facts.

A ledger has millions of blocks that say nothing to us. The last ones are kept
to find where a reorganisation begins; the rest of the empty ones are forgotten
as the tip moves on (see `etdb.index.apply`).
"""


def _place() -> list[Column[int] | Column[str]]:
    return [
        Column("ledger", Text, nullable=False),
        Column("height", Integer, nullable=False),
        Column("position", Integer, nullable=False),
        Column("txid", Text, nullable=False),
    ]


def _in_block() -> ForeignKeyConstraint:
    return ForeignKeyConstraint(
        ["ledger", "height"], ["blocks.ledger", "blocks.height"], ondelete="CASCADE"
    )


messages = Table(
    "messages",
    METADATA,
    Column("row", Integer, primary_key=True),
    *_place(),
    Column("time", Integer, nullable=False),
    Column("action", Text, nullable=False),
    Column("digest", Text, nullable=False),
    Column("class", Text, nullable=False),
    Column("coverage", Text, nullable=False),
    Column("address", Text),
    Column("timestamp", Integer, nullable=False),
    Column("location", Text, nullable=False),
    Column("root", Text),
    Column("number", Integer),
    Column("previous", Text),
    Column("names", Text),
    Column("text", Text, nullable=False),
    UniqueConstraint("ledger", "height", "position", "txid"),
    _in_block(),
)
"""Accepted statements, one row per anchor (R2), where they are completed (R7).

`txid` is part 0's for a message in parts. `class` is the anchor's own; R3-C is
applied when records are derived. `coverage` says whether the signatures of the
transactions that carried the text cover it: of a message in parts, the least
that is true of any. `root` is the record that a message is about:
the digest of a publish, `of` of an edit, `digest` of a deactivate. `number` and
`previous` are an edit's (R5). `names` is the txid that an old-form message
without effect is about (R4).
"""

TableIndex(
    "messages_root",
    messages.c.root,
    messages.c.action,
    messages.c.digest,
    messages.c["class"],
    messages.c.time,
    messages.c.address,
)
TableIndex("messages_digest", messages.c.digest)
TableIndex("messages_txid", messages.c.txid)
TableIndex(
    "messages_names", messages.c.names, sqlite_where=messages.c.names.is_not(None)
)
TableIndex("messages_address", messages.c.address, messages.c.action)
IS_CLAIM = "messages.class IN ('A', 'B', 'C')"
"""What `messages_claim` holds; a query must say it in these words to use it."""

TableIndex(
    "messages_claim",
    messages.c.address,
    messages.c.location,
    messages.c.timestamp,
    messages.c["class"],
    messages.c.ledger,
    messages.c.height,
    messages.c.position,
    sqlite_where=text(IS_CLAIM.removeprefix("messages.")),
)

parts = Table(
    "parts",
    METADATA,
    Column("row", Integer, primary_key=True),
    *_place(),
    Column("address", Text, nullable=False),
    Column("max", Integer, nullable=False),
    Column("number", Integer, nullable=False),
    Column("first", Text, nullable=False),
    Column("coverage", Text, nullable=False),
    Column("awaits", Integer),
    Column("text", Text, nullable=False),
    UniqueConstraint("ledger", "address", "max", "first", "number"),
    _in_block(),
)
"""Valid parts, the earliest for each number (R7).

`first` is the txid of part 0: in full for part 0 itself, as far as the part's
reference gives it for the others. `awaits` stands in part 0 alone: the smallest
number of its set that is missing, MAX + 1 once the set is complete. A part
concerns only the sets that await its number, so that no set is looked at more
often than it has parts.
"""

TableIndex(
    "parts_awaits",
    parts.c.ledger,
    parts.c.address,
    parts.c.max,
    parts.c.awaits,
    parts.c.first,
    sqlite_where=text("awaits <= max"),
)
TableIndex("parts_block", parts.c.ledger, parts.c.height)
TableIndex("parts_txid", parts.c.txid)

rejected = Table(
    "rejected",
    METADATA,
    Column("ledger", Text, primary_key=True),
    Column("height", Integer, primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("txid", Text, primary_key=True),
    Column("time", Integer, nullable=False),
    Column("code", Text, nullable=False),
    Column("reason", Text, nullable=False),
    _in_block(),
    sqlite_with_rowid=False,
)
"""Messages that the rules refused; `code` is the clause of PROTOCOL."""

TableIndex(
    "rejected_newest",
    rejected.c.time,
    rejected.c.ledger,
    rejected.c.height,
    rejected.c.position,
    rejected.c.txid,
)

stale = Table(
    "stale",
    METADATA,
    Column("kind", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    CheckConstraint("kind IN ('record', 'publisher')"),
    sqlite_with_rowid=False,
)
"""Derived rows that must be made again; empty outside a transaction."""

_TYPES = {FieldKind.NUMBER: Float, FieldKind.DATE: Integer}
_VALUES = tuple(field for field in RECORD_FIELDS if field.kind is not FieldKind.TEXT)

records = Table(
    "records",
    METADATA,
    Column("row", Integer, primary_key=True),
    Column("id", Text, nullable=False, unique=True),
    Column("current", Text, nullable=False),
    Column("class", Text, nullable=False),
    Column("is_listed", Boolean, nullable=False),
    Column("publisher", Text, nullable=False),
    Column("anchor", Integer, nullable=False),
    Column("shown", Integer, nullable=False),
    Column("shown_time", Integer, nullable=False),
    Column("shown_txid", Text, nullable=False),
    Column("size_bytes", Integer, nullable=False),
    Column("file_count", Integer, nullable=False),
    Column("type", Text),
    Column("subtype", Text),
    Column("is_nsfw", Boolean, nullable=False),
    Column("by_date", Integer, nullable=False),
    *(Column(f"by_{name}", Text, nullable=False) for name in SORTED_TEXTS),
    *(Column(field.name, _TYPES[field.kind]()) for field in _VALUES),
    *(Column(name, Text) for name in TEXT_COLUMNS),
    Column("view", Text, nullable=False),
)
"""The current version of every record (R5), whoever may list it.

`is_listed` leaves out unattested and withdrawn ones. `anchor` is the row of
the message that gives the record its place and class, `shown` that of the one
that says the current version, with its time and txid; `view` is the record dict
as JSON. `by_…` are what lists are ordered by. Short columns come first,
so that comparing them does not read the long ones.
"""

for _name in ("timestamp", "by_date", "size_bytes"):
    TableIndex(
        f"records_{_name}", records.c.is_listed, records.c[_name].desc(), records.c.id
    )
for _name in SORTED_TEXTS:
    TableIndex(
        f"records_by_{_name}",
        records.c.is_listed,
        records.c[f"by_{_name}"],
        records.c.id,
    )
TableIndex("records_sid", records.c.publisher, records.c.sid)
TableIndex(
    "records_shown",
    records.c.is_listed,
    records.c.shown_time.desc(),
    records.c.shown_txid,
    records.c.type,
    records.c.subtype,
)

versions = Table(
    "versions",
    METADATA,
    Column(
        "record_id",
        Text,
        ForeignKey("records.id", ondelete="CASCADE"),
        primary_key=True,
    ),
    Column("digest", Text, primary_key=True),
    Column("number", Integer, nullable=False),
    Column("timestamp", Integer, nullable=False),
    sqlite_with_rowid=False,
)
"""Root and accepted edits of every record, by their digests (R5)."""

TableIndex("versions_digest", versions.c.digest)

publishers = Table(
    "publishers",
    METADATA,
    Column("address", Text, primary_key=True),
    Column("name", Text, nullable=False),
    sqlite_with_rowid=False,
)
"""The registered name of an address (R6)."""

records_fts = table("records_fts", column("rowid"), column("records_fts"))

_PLACE = ("ledger", "height", "position", "txid")
KEYS: Mapping[Table, tuple[str, ...]] = MappingProxyType(
    {
        ledgers: ("id",),
        blocks: ("ledger", "height"),
        messages: _PLACE,
        parts: ("ledger", "address", "max", "first", "number"),
        rejected: _PLACE,
        stale: ("kind", "key"),
        records: ("id",),
        versions: ("record_id", "digest"),
        publishers: ("address",),
    }
)
"""Every table, and what names a row of it wherever and whenever it was made."""


def _note_stale(event: str, row: str) -> str:
    return f"""
        CREATE TRIGGER messages_{event.lower()} AFTER {event} ON messages BEGIN
            INSERT OR IGNORE INTO stale
                SELECT 'record', {row}.root WHERE {row}.root IS NOT NULL;
            INSERT OR IGNORE INTO stale
                SELECT 'publisher', {row}.address WHERE {row}.action = 'register';
            INSERT OR IGNORE INTO stale
                SELECT 'record', root FROM messages
                WHERE {row}.class IN ('A', 'B') AND class = 'C' AND {IS_CLAIM}
                AND address = {row}.address AND location = {row}.location
                AND timestamp = {row}.timestamp AND root IS NOT NULL;
        END"""  # noqa: S608 -- both names are ours


def _full_text() -> list[str]:
    columns = ", ".join(TEXT_COLUMNS)
    old = ", ".join(f"old.{name}" for name in TEXT_COLUMNS)
    new = ", ".join(f"new.{name}" for name in TEXT_COLUMNS)
    return [
        f"""CREATE VIRTUAL TABLE records_fts USING fts5(
            {columns}, content='records', content_rowid='row',
            tokenize='unicode61 remove_diacritics 2')""",
        f"""CREATE TRIGGER records_insert AFTER INSERT ON records BEGIN
            INSERT INTO records_fts (rowid, {columns}) VALUES (new.row, {new});
        END""",  # noqa: S608 -- the columns are ours
        f"""CREATE TRIGGER records_delete AFTER DELETE ON records BEGIN
            INSERT INTO records_fts (records_fts, rowid, {columns})
            VALUES ('delete', old.row, {old});
        END""",  # noqa: S608 -- the columns are ours
    ]


def create_tables(connection: Connection) -> None:
    """Make every table, index and trigger in an empty database."""
    METADATA.create_all(connection)
    statements = [
        _note_stale("INSERT", "new"),
        _note_stale("DELETE", "old"),
        *_full_text(),
        f"PRAGMA application_id = {APPLICATION_ID}",
        f"PRAGMA user_version = {SCHEMA_VERSION}",
    ]
    for statement in statements:
        connection.exec_driver_sql(statement)
