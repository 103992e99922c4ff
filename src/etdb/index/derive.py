"""Derived rows: what stands, given every message in the index.

A function of the set of messages alone, so that it does not matter in which
order they came, which ledger was followed first, or what was undone in
between. Only the rows named in `stale` are made again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import delete, exists, select, text
from sqlalchemy.engine import Connection
from sqlalchemy.engine import Row as Fetched

from etdb.identity import Address, Digest, Txid
from etdb.index.db import list_ledgers
from etdb.index.record_view import Anchor, Current, Withdrawal
from etdb.index.register import find_register
from etdb.index.rows import Row, load_body, record_row
from etdb.index.schema import IS_CLAIM, messages, publishers, records, stale, versions
from etdb.index.statement import LIGHT, best_first, statement_of
from etdb.record.message import Place
from etdb.record.rules import (
    RecordClass,
    Standing,
    Statement,
    attested_old,
    resolve,
)

Judged = dict[Place, Statement]
"""Statements at hand, so that their texts need not be read again."""

_BATCH = 200
_MAX_NAME_CHARACTERS = 100

_anchor = messages.alias("anchor")
_BEST_ANCHOR = (
    select(_anchor.c.row)
    .where(
        _anchor.c.root == stale.c.key,
        _anchor.c.action == "publish",
        _anchor.c.digest == stale.c.key,
    )
    .order_by(*best_first(_anchor))
    .limit(1)
    .correlate(stale)
    .scalar_subquery()
)
_later = messages.alias("later")
_HAS_LATER = (
    exists()
    .where(_later.c.root == stale.c.key, _later.c.action.in_(("edit", "deactivate")))
    .correlate(stale)
)
_ROOTS = (
    select(messages, _HAS_LATER.label("has_later"))
    .join_from(stale, messages, messages.c.row == _BEST_ANCHOR)
    .where(stale.c.kind == "record")
    .order_by(stale.c.key)
)


def derive(connection: Connection, judged: Judged) -> None:
    """Make every stale row again; on return nothing is stale."""
    kinds = {info.id: info.kind.value for info in list_ledgers(connection)}
    while keys := _stale(connection, "record"):
        _derive_records(_Facts(connection, kinds, judged), keys)
        _forget(connection, "record", keys)
    while keys := _stale(connection, "publisher"):
        _derive_publishers(connection, keys)
        _forget(connection, "publisher", keys)


def _stale(connection: Connection, kind: str) -> Sequence[str]:
    chosen = select(stale.c.key).where(stale.c.kind == kind)
    return connection.scalars(chosen.order_by(stale.c.key).limit(_BATCH)).all()


def _forget(connection: Connection, kind: str, keys: Sequence[str]) -> None:
    connection.execute(delete(stale).where(stale.c.kind == kind, stale.c.key.in_(keys)))


def _derive_records(facts: _Facts, keys: Sequence[str]) -> None:
    connection = facts.connection
    connection.execute(delete(records).where(records.c.id.in_(keys)))
    record_rows: list[Row] = []
    version_rows: list[Row] = []
    for found in connection.execute(_ROOTS.where(stale.c.key.in_(keys))).all():
        record, history = _derive_record(facts, found)
        record_rows.append(record)
        version_rows += history
    if record_rows:
        connection.execute(records.insert(), record_rows)
        connection.execute(versions.insert(), version_rows)


def _derive_record(facts: _Facts, found: Fetched[Any]) -> tuple[Row, list[Row]]:
    record_class, anchor = facts.attest(found)
    root = replace(facts.read(anchor), record_class=record_class)
    standing = facts.resolve(root) if found.has_later else None
    history = (root,) if standing is None else standing.history
    version = history[-1]
    place = anchor if version is root else facts.best(root.digest, version)
    shown = root if version is root else facts.read(place)
    withdrawn = None if standing is None else standing.withdrawn_by
    current = Current(
        id=root.digest,
        body=shown.body,
        record_class=record_class,
        address=Address(anchor.address),
        timestamp=version.timestamp,
        anchor=facts.anchor(anchor),
        withdrawn=facts.withdrawal(root, withdrawn),
    )
    return record_row(current, version.digest, anchor, place), [
        {
            "record_id": root.digest,
            "digest": statement.digest,
            "number": 1 if statement.revision is None else statement.revision.number,
            "timestamp": statement.timestamp,
        }
        for statement in history
    ]


@dataclass(frozen=True)
class _Facts:
    """The messages, asked as deriving a record needs them."""

    connection: Connection
    kinds: Mapping[str, str]
    judged: Judged

    def read(self, row: Fetched[Any]) -> Statement:
        """The statement of a message, body and all."""
        known = self.judged.get(_place(row))
        if known is not None:
            return known
        return statement_of(row, load_body(row.action, row.text), row.text)

    def best(self, root: Digest, statement: Statement) -> Fetched[Any]:
        """The best anchor of a statement about a record."""
        return self.connection.execute(
            select(messages)
            .where(
                messages.c.root == root,
                messages.c.action == statement.action,
                messages.c.digest == statement.digest,
            )
            .order_by(*best_first())
            .limit(1)
        ).one()

    def resolve(self, root: Statement) -> Standing:
        """What stands of a record that was edited or withdrawn."""
        return resolve(
            root,
            self._about(root.digest, "edit"),
            self._about(root.digest, "deactivate"),
        )

    def attest(self, best: Fetched[Any]) -> tuple[RecordClass, Fetched[Any]]:
        """The class of a record and the anchor that gives it (R2, R3-C)."""
        record_class = RecordClass(best._mapping["class"])
        if record_class is not RecordClass.C:
            return record_class, best
        claim = (
            text(IS_CLAIM),
            messages.c.address == best.address,
            messages.c.location == best.location,
            messages.c.timestamp == best.timestamp,
        )
        firsts = [
            first for ledger in self.kinds if (first := self._first(claim, ledger))
        ]
        has_better = self.connection.scalar(
            select(exists().where(*claim, messages.c["class"].in_(("A", "B"))))
        )
        candidates = [(statement_of(row, {}, ""), _place(row)) for row in firsts]
        if best.digest not in attested_old(candidates, bool(has_better)):
            return RecordClass.UNATTESTED, best
        own = [row for row in firsts if row.digest == best.digest]
        return record_class, min(own, key=lambda row: (row.time, row.ledger))

    def anchor(self, row: Fetched[Any]) -> Anchor:
        """Where a message stands, as it is shown."""
        return Anchor(
            ledger=row.ledger,
            ledger_kind=self.kinds[row.ledger],
            height=row.height,
            position=row.position,
            txid=row.txid,
            time=row.time,
            coverage=row.coverage,
        )

    def withdrawal(
        self, root: Statement, deactivate: Statement | None
    ) -> Withdrawal | None:
        """What the deactivate that counts says."""
        if deactivate is None or deactivate.address is None:
            return None
        reason = self.read(self.best(root.digest, deactivate)).body.get("reason")
        said = reason if isinstance(reason, str) else None
        return Withdrawal(deactivate.address, deactivate.timestamp, said)

    def _about(self, root: Digest, action: str) -> list[Statement]:
        """Statements about a record, without their bodies, each once."""
        rows = self.connection.execute(
            select(*LIGHT)
            .where(messages.c.root == root, messages.c.action == action)
            .distinct()
        )
        return [statement_of(row, {}, "") for row in rows]

    def _first(self, claim: Iterable[Any], ledger: str) -> Fetched[Any] | None:
        """The earliest anchor of class C of a claim on one ledger."""
        return self.connection.execute(
            select(messages)
            .where(
                *claim,
                messages.c["class"] == "C",
                messages.c.action == "publish",
                messages.c.ledger == ledger,
            )
            .order_by(messages.c.height, messages.c.position, messages.c.digest)
            .limit(1)
        ).one_or_none()


def _derive_publishers(connection: Connection, addresses: Sequence[str]) -> None:
    connection.execute(delete(publishers).where(publishers.c.address.in_(addresses)))
    for address in addresses:
        name = _registered_name(connection, address)
        if name:
            connection.execute(publishers.insert().values(address=address, name=name))


def _registered_name(connection: Connection, address: str) -> str | None:
    register = find_register(connection, address)
    alias = None if register is None else register.statement.body.get("alias")
    return alias.strip()[:_MAX_NAME_CHARACTERS] if isinstance(alias, str) else None


def _place(row: Fetched[Any]) -> Place:
    return Place(row.ledger, row.height, row.position, Txid(row.txid), row.time)
