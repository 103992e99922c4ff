"""Historical edits, deactivates and transfers in words (PROTOCOL R4).

Their signatures do not cover what they change: they are decoded, shown, and
have no effect. Pure, and for any text.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from etdb.errors import InvalidDataError
from etdb.record.canonical import parse_message_text
from etdb.record.change import shorten
from etdb.record.edits import decode_old_edit
from etdb.record.oip042 import read_envelope

MAX_OPERATIONS = 20
_MAX_CHARACTERS = 100


def say_old(action: str, text: str | None) -> str:
    """What a historical message asks for; None is a text that was not read."""
    if text is None:
        return "not decoded: there is too much of it"
    try:
        body = read_envelope(parse_message_text(text)).body
        if action == "edit":
            return _say_edit(body)
    except InvalidDataError as exc:
        return f"cannot be decoded: {_cut(exc.message)}"
    if action == "transfer":
        return f"give the record to {_cut(str(body.get('toFloAddress', 'nobody')))}"
    return "withdraw the record"


def _say_edit(body: Mapping[str, Any]) -> str:
    operations = decode_old_edit(body).operations
    said = [_say_operation(operation) for operation in operations[:MAX_OPERATIONS]]
    if len(operations) > MAX_OPERATIONS:
        said.append(f"and {len(operations) - MAX_OPERATIONS} further operations")
    return "; ".join(said) or "change nothing"


def _say_operation(operation: Mapping[str, Any]) -> str:
    path = operation.get("path")
    where = _cut(path) if isinstance(path, str) else "nothing"
    said = f"{_cut(str(operation.get('op')))} {where or 'the whole record'}"
    if "from" in operation:
        said += f" from {_cut(str(operation['from']))}"
    return f"{said}: {shorten(operation['value'])}" if "value" in operation else said


def _cut(text: str) -> str:
    is_long = len(text) > _MAX_CHARACTERS
    return f"{text[: _MAX_CHARACTERS - 1]}…" if is_long else text
