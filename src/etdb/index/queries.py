"""What is asked of an index: lists, one record, counts. Reads only.

Every answer is plain dicts and comes from one state of the index.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from types import MappingProxyType
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Table,
    and_,
    case,
    func,
    or_,
    select,
    tuple_,
    union,
)
from sqlalchemy.engine import Connection
from sqlalchemy.engine import Row as Fetched

from etdb.errors import ConflictError, InvalidDataError, NotFoundError
from etdb.identity import Address
from etdb.index.condition import condition_of, starts_with_hex
from etdb.index.db import Index, find_tip, list_ledgers
from etdb.index.paging import Page, encode_token, parse_token, verify_limit
from etdb.index.record_view import RecordView, unknown_fields
from etdb.index.rows import load_body
from etdb.index.schema import (
    blocks,
    ledgers,
    messages,
    records,
    rejected,
    versions,
)
from etdb.index.schema import publishers as publisher_names
from etdb.index.search import parse
from etdb.index.statement import best_first
from etdb.ledger.base import LedgerInfo, Tip
from etdb.record.model import Record
from etdb.record.rules import RecordClass, check_body

MAX_ANCHORS = 100
MAX_SHOWN_VERSIONS = 100
"""Of a record's versions the newest; `history.list_versions` tells of more."""
MAX_CANDIDATES = 20
MIN_ID_DIGITS = 6

_ID = re.compile(r"[0-9a-f]{6,64}\Z")
_PAGE_URL = re.compile(r".*/records/([^/?#]+)", re.DOTALL)
_REJECTED_ORDER = ("time", "ledger", "height", "position", "txid")
_NAMED = select(
    records.c.id,
    records.c.current,
    records.c.anchor,
    records.c.view,
    publisher_names.c.name,
).outerjoin_from(
    records, publisher_names, publisher_names.c.address == records.c.publisher
)


@dataclass(frozen=True)
class _Sort:
    label: str
    key: ColumnElement[Any]
    is_descending: bool = False
    type: type = float


_SORTS: Mapping[str, _Sort] = MappingProxyType(
    {
        "newest": _Sort("newest", records.c.timestamp, is_descending=True),
        "oldest": _Sort("oldest", records.c.timestamp),
        "acquired": _Sort("date taken", records.c.by_date, is_descending=True),
        "species": _Sort("species", records.c.by_species, type=str),
        "microscopist": _Sort("microscopist", records.c.by_microscopist, type=str),
        "size": _Sort("largest", records.c.size_bytes, is_descending=True),
        "title": _Sort("title", records.c.by_title, type=str),
    }
)
SORTS: Mapping[str, str] = MappingProxyType(
    {word: sort.label for word, sort in _SORTS.items()}
)
"""The orders a search can have: word of the query → what people read."""


def search(
    index: Index,
    query: str = "",
    *,
    sort: str = "newest",
    limit: int = 20,
    after: str | None = None,
    publishers: Sequence[Address] = (),
) -> Page:
    """Listed records that match, as record dicts without the keys marked +.

    `publishers` leaves out all others. Pages neither repeat nor skip a record
    while others arrive. Raises InvalidDataError with the `position` of what
    cannot be read in the query.
    """
    order = _SORTS.get(sort)
    if order is None:
        msg = f"there is no order {sort[:40]!r}: use one of {', '.join(_SORTS)}"
        raise InvalidDataError(msg)
    verify_limit(limit)
    wanted = [records.c.is_listed.is_(True), condition_of(parse(query))]
    if publishers:
        wanted.append(records.c.publisher.in_(publishers))
    chosen = _NAMED.add_columns(order.key.label("key")).where(*wanted)
    if after is not None:
        key, record_id = parse_token(sort, after, (order.type, str))
        chosen = chosen.where(_follows(order, key, record_id))
    direction = order.key.desc() if order.is_descending else order.key.asc()
    with index.read() as connection:
        counted = select(func.count()).select_from(records).where(*wanted)
        total = connection.scalars(counted).one()
        rows = connection.execute(
            chosen.order_by(direction, records.c.id).limit(limit + 1)
        ).all()
    last = rows[limit - 1] if len(rows) > limit else None
    return Page(
        results=[_view(row) for row in rows[:limit]],
        total=total,
        next=None if last is None else encode_token(sort, (last.key, last.id)),
    )


def get_record(index: Index, id_text: str) -> RecordView:
    """One record, listed or not, with every key of the record dict.

    `id_text` is its digest, that of a version, the txid of an anchor, a unique
    beginning of one of these (6 digits or more), or its page's URL. Raises
    NotFoundError; ConflictError, `facts["candidates"]` saying which it may be.
    """
    with index.read() as connection:
        return _record(connection, find_id(connection, id_text))


def find_by_sid(index: Index, address: Address, sid: str) -> RecordView | None:
    """The record that an address published under a lab's own id.

    Only of class A and B, and not withdrawn; the newest if there are several.
    """
    with index.read() as connection:
        record_id = connection.scalar(
            select(records.c.id)
            .where(
                records.c.publisher == address,
                records.c.sid == sid,
                records.c["class"].in_(("A", "B")),
                records.c.is_listed.is_(True),
            )
            .order_by(records.c.timestamp.desc(), records.c.id)
            .limit(1)
        )
        return None if record_id is None else _record(connection, record_id)


def list_rejected(index: Index, *, limit: int = 50, after: str | None = None) -> Page:
    """Messages that the rules refused, those of the newest blocks first.

    Results: ledger, height, position, txid, time, code (a clause of PROTOCOL),
    reason.
    """
    verify_limit(limit)
    order = tuple(rejected.c[name] for name in _REJECTED_ORDER)
    page = select(rejected).order_by(*(column.desc() for column in order))
    if after is not None:
        key = parse_token("rejected", after, (float, str, float, float, str))
        page = page.where(tuple_(*order) < tuple_(*key))
    with index.read() as connection:
        total = connection.scalars(select(func.count()).select_from(rejected)).one()
        rows = connection.execute(page.limit(limit + 1)).all()
    results = [dict(row._mapping) for row in rows[:limit]]
    is_more = len(rows) > limit
    end = [results[-1][name] for name in _REJECTED_ORDER] if is_more else None
    return Page(
        results=results,
        total=total,
        next=None if end is None else encode_token("rejected", end),
    )


def count(index: Index) -> dict[str, int]:
    """How many records, species and labs the index lists."""
    with index.read() as connection:
        return _listed(connection)


def is_at(index: Index, ledger_id: str, tip: Tip) -> bool:
    """Whether the index holds a ledger up to exactly this block."""
    with index.read() as connection:
        return find_tip(connection, ledger_id) == tip


def status(index: Index) -> dict[str, Any]:
    """What the index holds: `ledgers` (each with its last block) and counts."""
    with index.read() as connection:
        held = [_ledger_status(connection, info) for info in list_ledgers(connection)]
        is_unattested = records.c["class"] == RecordClass.UNATTESTED.value
        is_hidden = records.c.is_listed.is_(False)
        counts = {
            **_listed(connection),
            "withdrawn": _count(connection, records, is_hidden, ~is_unattested),
            "unattested": _count(connection, records, is_unattested),
            "rejected": _count(connection, rejected),
        }
    return {"ledgers": held, **counts}


def _listed(connection: Connection) -> dict[str, int]:
    totals = select(
        func.count().label("records"),
        func.count(records.c.species.distinct()).label("species"),
        func.count(records.c.lab.distinct()).label("labs"),
    ).where(records.c.is_listed.is_(True))
    return dict(connection.execute(totals).one()._mapping)


def _ledger_status(connection: Connection, info: LedgerInfo) -> dict[str, Any]:
    last = connection.execute(
        select(blocks.c.height, blocks.c.hash, blocks.c.time)
        .where(blocks.c.ledger == info.id)
        .order_by(blocks.c.height.desc())
        .limit(1)
    ).one_or_none()
    return {
        "id": info.id,
        "kind": info.kind.value,
        "height": None if last is None else last.height,
        "hash": None if last is None else last.hash,
        "time": None if last is None else last.time,
        "messages": _count(connection, messages, messages.c.ledger == info.id),
    }


def _count(connection: Connection, table: Table, *wanted: ColumnElement[bool]) -> int:
    return connection.scalars(
        select(func.count()).select_from(table).where(*wanted)
    ).one()


def _follows(order: _Sort, key: Any, record_id: str) -> ColumnElement[bool]:
    """Comes after the last result given, in this order."""
    is_beyond = order.key < key if order.is_descending else order.key > key
    return or_(is_beyond, and_(order.key == key, records.c.id > record_id))


def _view(row: Any) -> RecordView:
    view: RecordView = json.loads(row.view)
    view["publisher"]["name"] = row.name
    return view


def _record(connection: Connection, record_id: str) -> RecordView:
    row = connection.execute(_NAMED.where(records.c.id == record_id)).one()
    message = _current_message(connection, row)
    body = load_body(message.action, message.text)
    return {
        **_view(row),
        "text": message.text,
        "root_text": _root_text(connection, row),
        "artifact": body,
        "anchors": _anchors(connection, record_id),
        "checks": [asdict(check) for check in check_body(body, message.text)],
        "versions": _versions(connection, row),
        "other": unknown_fields(Record.model_validate(body)),
    }


def _current_message(connection: Connection, row: Any) -> Fetched[Any]:
    """The message that a record is shown from: of its text and signatures."""
    chosen = select(messages)
    if row.current == row.id:
        return connection.execute(chosen.where(messages.c.row == row.anchor)).one()
    edits = chosen.where(messages.c.digest == row.current, messages.c.action == "edit")
    return connection.execute(edits.order_by(*best_first()).limit(1)).one()


def _root_text(connection: Connection, row: Any) -> str | None:
    """The verbatim text of an edited record's publish, which names its signers."""
    if row.current == row.id:
        return None
    chosen = select(messages.c.text).where(messages.c.row == row.anchor)
    return str(connection.scalars(chosen).one())


def _anchors(connection: Connection, record_id: str) -> list[dict[str, Any]]:
    rows = connection.execute(
        select(
            messages.c.ledger,
            ledgers.c.kind.label("ledger_kind"),
            messages.c.height,
            messages.c.position,
            messages.c.txid,
            messages.c.time,
            messages.c.coverage,
        )
        .join(ledgers, ledgers.c.id == messages.c.ledger)
        .where(messages.c.root == record_id, messages.c.action == "publish")
        .order_by(*best_first())
        .limit(MAX_ANCHORS)
    )
    return [dict(row._mapping) for row in rows]


def _versions(connection: Connection, row: Any) -> list[dict[str, Any]]:
    """From the first to the current one; `txid` is that of the best anchor."""
    best = (
        select(messages.c.txid)
        .where(
            messages.c.root == row.id,
            messages.c.action
            == case((versions.c.number == 1, "publish"), else_="edit"),
            messages.c.digest == versions.c.digest,
        )
        .order_by(*best_first())
        .limit(1)
        .correlate(versions)
        .scalar_subquery()
    )
    rows = connection.execute(
        select(
            versions.c.digest.label("id"),
            versions.c.number,
            versions.c.timestamp,
            best.label("txid"),
        )
        .where(versions.c.record_id == row.id)
        .order_by(versions.c.number.desc())
        .limit(MAX_SHOWN_VERSIONS)
    )
    return [dict(found._mapping) for found in rows][::-1]


def find_id(connection: Connection, id_text: str) -> str:
    """The id of the one record that a text names, as `get_record` takes it.

    Raises NotFoundError, ConflictError.
    """
    page = _PAGE_URL.match(id_text)
    digits = (page[1] if page else id_text).strip().lower()
    if _ID.match(digits) is None:
        hint = f"write at least {MIN_ID_DIGITS} hex digits of its id or of a txid"
        raise NotFoundError("record", id_text[:100], hint=hint)
    anchored = (
        select(versions.c.record_id)
        .join(messages, messages.c.digest == versions.c.digest)
        .where(starts_with_hex(messages.c.txid, digits))
    )
    named = select(versions.c.record_id).where(
        starts_with_hex(versions.c.digest, digits)
    )
    found = connection.scalars(union(named, anchored).limit(MAX_CANDIDATES + 1)).all()
    if not found:
        raise NotFoundError("record", digits)
    if len(found) > 1:
        candidates = _candidates(connection, found)
        msg = f"{digits} is the beginning of {len(found)} ids"
        raise ConflictError(msg, hint="write more of it", candidates=candidates)
    return str(found[0])


def _candidates(
    connection: Connection, record_ids: Sequence[str]
) -> list[dict[str, Any]]:
    rows = connection.execute(
        select(records.c.id, records.c.title, records.c.publisher, records.c["class"])
        .where(records.c.id.in_(record_ids))
        .order_by(records.c.is_listed.desc(), records.c["class"], records.c.id)
    )
    return [dict(row._mapping) for row in rows]
