"""What an address says of itself now (PROTOCOL R6), as the index has it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import select
from sqlalchemy.engine import Connection

from etdb.identity import Address, Txid
from etdb.index.db import Index
from etdb.index.rows import load_body
from etdb.index.schema import messages
from etdb.index.statement import LIGHT, best_first, statement_of
from etdb.record.rules import RecordClass, Statement, current_register


@dataclass(frozen=True)
class Register:
    """The register that counts, and the transaction that holds it."""

    statement: Statement
    """Body and all."""
    txid: Txid


def find_register(connection: Connection, address: str) -> Register | None:
    """The current register of an address, of whatever class it counts by."""
    registers = (messages.c.address == address, messages.c.action == "register")
    rows = connection.execute(select(*LIGHT).where(*registers).distinct())
    current = current_register(statement_of(row, {}, "") for row in rows)
    if current is None:
        return None
    said = connection.execute(
        select(messages.c.txid, messages.c.text)
        .where(*registers, messages.c.digest == current.digest)
        .order_by(*best_first())
        .limit(1)
    ).one()
    body = load_body("register", said.text)
    return Register(replace(current, body=body, text=said.text), Txid(said.txid))


def find_signed_body(index: Index, address: Address) -> dict[str, Any] | None:
    """What an address says of itself now under a content signature, if it does."""
    with index.read() as connection:
        found = find_register(connection, address)
    if found is None or found.statement.record_class is not RecordClass.A:
        return None
    return found.statement.body
