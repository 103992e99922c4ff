"""The front of the rules: one message judged, a set of them resolved.

Nothing is decided here: see `verdict` (one message by itself), `standing` (a
set of statements) and `report` (checks, for people to read).
"""

from __future__ import annotations

from etdb.record.report import Check, verify_report
from etdb.record.standing import (
    Standing,
    attested_old,
    best_class,
    current_register,
    resolve,
)
from etdb.record.statement import RecordClass, Rejection, Revision, Statement
from etdb.record.verdict import LAST_OLD_HEIGHT, judge

__all__ = [
    "LAST_OLD_HEIGHT",
    "Check",
    "RecordClass",
    "Rejection",
    "Revision",
    "Standing",
    "Statement",
    "attested_old",
    "best_class",
    "current_register",
    "judge",
    "resolve",
    "verify_report",
]
