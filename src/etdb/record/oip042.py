r"""The wire form of OIP 0.42, byte for byte as the original publisher wrote it.

Compact JSON in its original key order; numbers as ES6 and Go print them; what
is unknown is absent, zero is written. Reading takes every known variant of the
envelope; writing uses one. What a message proves is decided in
`etdb.record.rules`.

    >>> encode_artifact({"tiltMin": -60.0, "step": 1e-7, "note": "a<b"})
    '{"tiltMin":-60,"step":1e-7,"note":"a\\u003cb"}'
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from etdb.record.canonical import (
    PREFIX,
    UnusualError,
    canonical_bytes,
    parse_message_text,
    plain,
    refuse,
)
from etdb.record.model import Details

ARTIFACT_KEYS = (
    "floAddress", "timestamp", "type", "subtype", "info", "details", "storage",
    "payment", "signature",
)  # fmt: skip
INFO_KEYS = ("title", "tags", "description", "year", "nsfw")
STORAGE_KEYS = ("network", "location", "files")
FILE_KEYS = (
    "software", "disBuy", "dname", "duration", "fname", "fsize", "minPlay", "sugPlay",
    "promo", "retail", "ptpFT", "ptpDT", "ptpDA", "type", "tokenlyID", "disPlay",
    "minBuy", "sugBuy", "subtype", "cType", "fNotes",
)  # fmt: skip
DETAILS_KEYS = tuple(
    field.alias or name for name, field in Details.model_fields.items()
)

_SUBJECTS = {
    "publish": {"artifact"},
    "register": {"pub"},
    "edit": {"artifact"},
    "transfer": {"artifact"},
    "deactivate": {"artifact", "pub"},
}
_ESCAPED = re.compile('["\\\\<>&\0-\x1f\u2028\u2029]')
_ONLY_IN_STRINGS = re.compile("[<>&\u2028\u2029]")
_PYTHONS_OWN = re.compile(r"\\[bf]")
"""What `json` writes \\b and \\f, and perhaps a backslash before such a letter."""
_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))
_SHORT = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}


@dataclass(frozen=True)
class Envelope:
    """What one message does, to what, and a signature found beside the body."""

    action: str
    """publish, register, edit, transfer or deactivate."""
    subject: str
    """artifact or pub."""
    body: dict[str, Any]
    """The innermost object; of our edits see `edits.replacement_of`."""
    signature_beside: str | None


def encode_artifact(artifact: Mapping[str, Any]) -> str:
    """Compact JSON in the mapping's own order, as go-etdb printed it.

    Raises InvalidRecordError on what JSON cannot hold.
    """
    return _encode(artifact)


def arrange(artifact: Mapping[str, Any]) -> dict[str, Any]:
    """The artifact in the wire's key order, without what is unknown (None).

    Zero, false and empty values are written; keys of others follow ours in the
    order they came in.
    """
    ordered: dict[str, Any] = _ordered(_known(artifact), ARTIFACT_KEYS)
    for name, keys in (
        ("info", INFO_KEYS),
        ("details", DETAILS_KEYS),
        ("storage", STORAGE_KEYS),
    ):
        if name in ordered:
            ordered[name] = _ordered(ordered[name], keys)
    storage = ordered.get("storage", {})
    if "files" in storage:
        storage["files"] = [_ordered(file, FILE_KEYS) for file in storage["files"]]
    return ordered


def wrap(action: str, subject: str, body: Mapping[str, Any]) -> str:
    """The text of a message around a signed body; edits have `edits.wrap_edit`.

    What is written can be read: raises InvalidMessageError otherwise.
    """
    return wrap_value({action: {subject: body}})


def wrap_publish(artifact: Mapping[str, Any]) -> str:
    """The text that publishes an artifact (B2)."""
    return wrap("publish", "artifact", artifact)


def wrap_value(value: Mapping[str, Any]) -> str:
    """The text of a message, from what stands under `oip042`."""
    text = PREFIX + _encode({"oip042": value})
    parse_message_text(text)
    return text


def is_oip042(value: Mapping[str, Any]) -> bool:
    """Whether a parsed message claims to be ours at all."""
    return "oip042" in value


def read_envelope(value: Mapping[str, Any]) -> Envelope:
    """The envelope of a parsed message (B2), in every known variant.

    Each wrapper holds exactly one key, but for a signature beside the body,
    which some old clients wrote and our edits have. Raises InvalidMessageError.
    """
    action, wrapped = _only(_only(value)[1])
    if action not in _SUBJECTS:
        refuse("B2", f"unknown action {action[:40]!r}")
    beside = wrapped.get("signature")
    if "signature" in wrapped:
        if not isinstance(beside, str):
            refuse("B2", "the signature beside the body is not text")
        wrapped = {name: wrapped[name] for name in wrapped if name != "signature"}
    subject, body = _only(wrapped)
    if subject not in _SUBJECTS[action]:
        refuse("B2", f"{action} of an unknown {subject[:40]!r}")
    return Envelope(action, subject, body, beside)


def _only(wrapper: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    if len(wrapper) != 1:
        refuse("B2", f"a wrapper with {len(wrapper)} keys, not one")
    name, inner = next(iter(wrapper.items()))
    if not isinstance(inner, dict):
        refuse("B2", f"{name[:40]!r} is not an object")
    return name, inner


def _ordered(members: Mapping[str, Any], keys: Iterable[str]) -> dict[str, Any]:
    known = {key: members[key] for key in keys if key in members}
    return known | {key: members[key] for key in members if key not in known}


def _known(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {k: _known(v) for k, v in value.items() if v is not None}
    if isinstance(value, list | tuple):
        return [_known(member) for member in value]
    return value


def _encode(value: Any) -> str:
    try:
        text = _ENCODER.encode(plain(value))
    except UnusualError:
        return _encode_slowly(value)
    if _PYTHONS_OWN.search(text) is not None:
        return _encode_slowly(value)
    return _ONLY_IN_STRINGS.sub(_escape, text)


def _encode_slowly(value: Any) -> str:
    if isinstance(value, str):
        return f'"{_ESCAPED.sub(_escape, value)}"'
    if isinstance(value, Mapping):
        members = (
            f"{_encode_slowly(str(k))}:{_encode_slowly(v)}" for k, v in value.items()
        )
        return "{" + ",".join(members) + "}"
    if isinstance(value, list | tuple):
        return "[" + ",".join(map(_encode_slowly, value)) + "]"
    return canonical_bytes(value).decode("ascii")


def _escape(match: re.Match[str]) -> str:
    character = match.group()
    return _SHORT.get(character, f"\\u{ord(character):04x}")
