"""What became of a record: its versions, who signed them, what each changed.

What stands is decided by `etdb.record.standing`; here it is read and said.
Whoever floods a record with edits fills no page: those of others than its
signers are only counted, and of what remains no more is read than is shown.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.engine import Connection
from sqlalchemy.engine import Row as Fetched

from etdb.index.db import Index, list_ledgers
from etdb.index.old_form import say_old
from etdb.index.queries import find_id
from etdb.index.record_view import iso_time
from etdb.index.rows import load_body
from etdb.index.schema import messages, publishers
from etdb.index.statement import LIGHT, best_first, get_root, statement_of
from etdb.record.change import list_changes
from etdb.record.rules import Standing, Statement, resolve, signers_of

History = dict[str, Any]

MAX_CHANGES = 100
MAX_LINE_CHARACTERS = 300

_ORDER = ("root", "superseded", "current", "fork", "pending", "refused")
_ACCEPTED = frozenset(_ORDER[:4])
_PLACE = ("ledger", "height", "position", "txid", "time", "coverage")
_WITHOUT_TEXT = tuple(column for column in messages.c if column.name != "text")


@dataclass(frozen=True)
class HistoryLimits:
    """How much is told of one record."""

    versions: int = 200
    old: int = 50
    """Historical messages."""
    read_characters: int = 4 * 1024 * 1024
    """Of texts that are read to say what they change; the rest is not compared."""


LIMITS = HistoryLimits()


def list_versions(
    index: Index, id_text: str, limits: HistoryLimits = LIMITS
) -> History:
    """The history of one record; `id_text` is as for `queries.get_record`.

    Keys: `id`; `current`, a digest; `count` of accepted versions, forks
    included; `versions`, the oldest first, at most 200 (`is_cut` says that
    there are more; `changes` is None where nothing was compared); `pending` and
    `refused`, how many messages, listed or not; `withdrawn`, by whom and why,
    or None; `old`, historical messages that name the record, without effect
    (R4), at most 50 of `old_count`. Raises NotFoundError, ConflictError.
    """
    with index.read() as connection:
        record_id = find_id(connection, id_text)
        root, row = get_root(connection, record_id)
        return _tell(_Past(connection, root, row, limits, left=limits.read_characters))


def _tell(past: _Past) -> History:
    edits, deactivates = past.about("edit"), past.about("deactivate")
    standing = resolve(past.root, edits, deactivates)
    withdrawn = standing.withdrawn_by
    withdrawal = None if withdrawn is None else past.withdrawal(withdrawn)
    told = _ranked(standing)[: past.limits.versions]
    versions = [past.version(statement, state) for state, statement in told]
    past.name([*versions, *([withdrawal] if withdrawal else [])])
    others = past.count_about() - len(edits) - len(deactivates)
    old = past.list_old()
    total = len(standing.history) + len(standing.forks)
    return {
        "id": past.root.digest,
        "current": standing.current.digest,
        "count": total,
        "versions": sorted(versions, key=_shown_order),
        "is_cut": len(told) < total + len(standing.pending) + len(standing.refused),
        "pending": len(standing.pending),
        "refused": len(standing.refused) + others,
        "withdrawn": withdrawal,
        "old": old,
        "old_count": len(old) if len(old) < past.limits.old else past.count_old(),
    }


def _ranked(standing: Standing) -> list[tuple[str, Statement]]:
    """State and statement of each, first what is told if there is too much."""
    superseded = [s for s in standing.history[1:] if s is not standing.current]
    groups: list[tuple[str, Sequence[Statement]]] = [
        ("current", (standing.current,)),
        ("superseded", superseded[::-1]),
        ("fork", standing.forks[::-1]),
        ("pending", standing.pending),
        ("refused", standing.refused),
    ]
    if standing.current is not standing.root:
        groups.insert(1, ("root", (standing.root,)))
    return [(state, statement) for state, group in groups for statement in group]


def _shown_order(version: Mapping[str, Any]) -> tuple[bool, int, bool, str]:
    """Accepted ones by number, of the same number the fork after; then the rest."""
    state = version["state"]
    return (
        state not in _ACCEPTED,
        version["number"],
        state not in {"root", "superseded", "current"},
        version["id"],
    )


@dataclass
class _Past:
    """The messages about one record, and how much of them may still be read."""

    connection: Connection
    root: Statement
    root_row: Fetched[Any]
    limits: HistoryLimits
    left: int
    """Characters of texts."""
    bodies: dict[str, Mapping[str, Any] | None] = field(default_factory=dict)

    def __post_init__(self) -> None:
        ledgers = list_ledgers(self.connection)
        self._kinds = {info.id: info.kind.value for info in ledgers}
        self.bodies[self.root.digest] = self.root.body

    def about(self, action: str) -> list[Statement]:
        """Its edits or deactivates by those who may, each once, without bodies."""
        signers = json.dumps([a for a in signers_of(self.root) if a is not None])
        may = select(func.json_each(signers).table_valued("value").c.value)
        rows = self.connection.execute(
            select(*LIGHT)
            .where(*self._is_about(action), messages.c.address.in_(may))
            .distinct()
        )
        return [statement_of(row, {}, "") for row in rows]

    def count_about(self) -> int:
        """How many edits and deactivates there are, whoever signed them."""
        counted = select(func.count(messages.c.digest.distinct()))
        return sum(
            self.connection.scalars(counted.where(*self._is_about(action))).one()
            for action in ("edit", "deactivate")
        )

    def version(self, statement: Statement, state: str) -> dict[str, Any]:
        """A version as it is shown, its signer's name still unknown."""
        row = self._best(statement)
        revision = statement.revision
        return {
            "id": statement.digest,
            "number": 1 if revision is None else revision.number,
            "previous": None if revision is None else revision.previous,
            "state": state,
            "class": statement.record_class.value,
            **self._signed(statement, row),
            "changes": self._changes(statement, row) if state in _ACCEPTED else None,
        }

    def withdrawal(self, statement: Statement) -> dict[str, Any]:
        """The deactivate that counts, as it is shown."""
        row = self._best(statement)
        reason = (self._body(row) or {}).get("reason")
        said = reason if isinstance(reason, str) else None
        return {"reason": said, **self._signed(statement, row)}

    def name(self, told: Sequence[dict[str, Any]]) -> None:
        """Add the registered name of each signer."""
        addresses = {one["by"] for one in told}
        chosen = select(publishers.c.address, publishers.c.name)
        rows = self.connection.execute(
            chosen.where(publishers.c.address.in_(addresses))
        )
        names = {row.address: row.name for row in rows}
        for one in told:
            one["by_name"] = names.get(one["by"])

    def list_old(self) -> list[dict[str, Any]]:
        """Historical messages that name the record, the earliest first (R4)."""
        order = ("time", "ledger", "height", "position", "txid")
        rows = self.connection.execute(
            select(*_WITHOUT_TEXT)
            .where(*self._is_old())
            .order_by(*(messages.c[name] for name in order))
            .limit(self.limits.old)
        )
        return [
            {
                "action": row.action,
                "by": row.address,
                "timestamp": row.timestamp,
                **self._place(row),
                "says": say_old(row.action, self._text(row)),
            }
            for row in rows
        ]

    def count_old(self) -> int:
        """How many historical messages name the record."""
        counted = select(func.count()).select_from(messages)
        return self.connection.scalars(counted.where(*self._is_old())).one()

    def _is_about(self, action: str) -> tuple[ColumnElement[bool], ...]:
        return messages.c.root == self.root.digest, messages.c.action == action

    def _is_old(self) -> tuple[ColumnElement[bool], ...]:
        anchor = messages.alias("anchor")
        txids = select(anchor.c.txid).where(
            anchor.c.root == self.root.digest, anchor.c.action == "publish"
        )
        return (messages.c.names.is_not(None), messages.c.names.in_(txids))

    def _best(self, statement: Statement) -> Fetched[Any]:
        if statement is self.root:
            return self.root_row
        return self._find_best(statement.action, statement.digest)

    def _find_best(self, action: str, digest: str) -> Fetched[Any]:
        return self.connection.execute(
            select(*_WITHOUT_TEXT)
            .where(*self._is_about(action), messages.c.digest == digest)
            .order_by(*best_first())
            .limit(1)
        ).one()

    def _signed(self, statement: Statement, row: Fetched[Any]) -> dict[str, Any]:
        return {
            "by": statement.address,
            "by_name": None,
            "timestamp": statement.timestamp,
            "published": iso_time(statement.timestamp),
            **self._place(row),
        }

    def _place(self, row: Fetched[Any]) -> dict[str, Any]:
        place = {name: getattr(row, name) for name in _PLACE}
        return {**place, "ledger_kind": self._kinds[row.ledger]}

    def _changes(self, statement: Statement, row: Fetched[Any]) -> list[str] | None:
        if statement.revision is None:
            return []
        previous = statement.revision.previous
        if previous not in self.bodies:
            self._body(self._find_best("edit", previous))
        before, after = self.bodies[previous], self._body(row)
        if before is None or after is None:
            return None
        return list(_lines(before, after))

    def _body(self, row: Fetched[Any]) -> Mapping[str, Any] | None:
        """What a message says; None when enough was read."""
        if row.digest not in self.bodies:
            text = self._text(row)
            body = None if text is None else load_body(row.action, text)
            self.bodies[row.digest] = body
        return self.bodies[row.digest]

    def _text(self, row: Fetched[Any]) -> str | None:
        if self.left <= 0:
            return None
        chosen = select(messages.c.text).where(messages.c.row == row.row)
        text = str(self.connection.scalars(chosen).one())
        self.left -= len(text)
        return text


def _lines(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
    changes = list_changes(before, after)
    is_moved = _location(before) != _location(after)
    if is_moved and not any(line.startswith("file ") for line in changes):
        changes.insert(0, "files: another directory")
    for line in changes[:MAX_CHANGES]:
        is_long = len(line) > MAX_LINE_CHARACTERS
        yield f"{line[: MAX_LINE_CHARACTERS - 1]}…" if is_long else line
    if len(changes) > MAX_CHANGES:
        yield f"and {len(changes) - MAX_CHANGES} further changes"


def _location(body: Mapping[str, Any]) -> object:
    storage = body.get("storage")
    return storage.get("location") if isinstance(storage, Mapping) else None
