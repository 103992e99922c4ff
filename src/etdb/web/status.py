"""What visitors are told of a node: how far it reads, what it holds and sends.

Pure. A node's own account names folders and may name a daemon's password in an
address; what is not listed here is not passed on.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

from etdb.ledger.flo.fee import show_flo
from etdb.web import text

Status = Mapping[str, Any]

_PLAIN = (
    "lab publisher records species labs withdrawn unattested rejected files "
    "file_bytes torn_bytes"
)
_LEDGER = "id kind height hash time messages first_height tip_height lag problem gap"
_PENDING = "action sid record digest since is_sent"
_WALLET = (
    "address first_height read_height balance_sat immature_sat fee_sat_per_kb "
    "records_left"
)

_LOGIN = re.compile(r"(?<=://)[^/@\s]*@")
_PATH = re.compile(r"(?<![\w/.:…])(?:[A-Za-z]:)?(?:[/\\][^/\\\s'\":,;]+)+[/\\]?")


def public_status(status: Status) -> dict[str, Any]:
    """A node's account without folders, logins and what nobody asked for.

    Of stale files visitors see the names, not where they lie.
    """
    told = _kept(status, _PLAIN)
    if "stale_files" in status:
        told["stale_files"] = [PurePath(path).name for path in status["stale_files"]]
    if "ledgers" in status:
        told["ledgers"] = [_ledger(ledger) for ledger in status["ledgers"]]
    if "publishing" in status:
        told["publishing"] = _publishing(status["publishing"])
    return told


def without_places(said: str) -> str:
    """A sentence without the folders and logins that it names."""
    return _PATH.sub(_last_name, _LOGIN.sub("", said))


def flo(amount_sat: int | None) -> str:
    """An amount as people read it, where it is known."""
    return "unknown" if amount_sat is None else show_flo(amount_sat)


def reading(ledger: Mapping[str, Any]) -> str:
    """How far a ledger was read, in a few words."""
    height, tip, lag = (ledger.get(key) for key in ("height", "tip_height", "lag"))
    if height is None:
        return "nothing yet" if tip is None else f"nothing yet of {text.number(tip)}"
    if tip is None:
        return f"block {height:,}; the ledger has not been asked for more"
    if not lag:
        return f"block {height:,}, its last"
    if lag < 0:
        return f"block {height:,}; the ledger ends at {tip:,}"
    return f"block {height:,} of {tip:,}, {lag:,} behind"


def enough(records_left: int | None) -> str:
    """For how many more records a balance lasts."""
    if records_left is None:
        return "unknown"
    records = "record" if records_left == 1 else "records"
    return f"about {text.number(records_left)} more {records}"


def pending_line(entry: Mapping[str, Any]) -> str:
    """What an unfinished publication is about."""
    action = str(entry.get("action") or "publish")
    about = entry.get("sid") or text.short(str(entry.get("record") or ""))
    return f"{action} {about}".strip()


def _ledger(ledger: Mapping[str, Any]) -> dict[str, Any]:
    kept = _kept(ledger, _LEDGER)
    if kept.get("problem"):
        kept["problem"] = without_places(str(kept["problem"]))
    return kept


def _publishing(publishing: Mapping[str, Any]) -> dict[str, Any]:
    wallet = publishing.get("wallet")
    return {
        "pending": [_kept(entry, _PENDING) for entry in publishing.get("pending", ())],
        "wallet": None if wallet is None else _kept(wallet, _WALLET),
    }


def _kept(told: Mapping[str, Any], keys: str) -> dict[str, Any]:
    return {key: told[key] for key in keys.split() if key in told}


def _last_name(found: re.Match[str]) -> str:
    return re.split(r"[/\\]", found[0].rstrip("/\\"))[-1]
