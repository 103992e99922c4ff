"""The front of the rules: one message judged, a set of them resolved.

Nothing is decided here: see `clause` (a clause a function), `verdict` (the
order in which one message meets them), `standing` (a set of statements) and
`report` (checks, for people to read). `docs/protocol.md`, section 4.4, says
which function is which clause.
"""

from __future__ import annotations

from etdb.record.clause import LAST_OLD_HEIGHT
from etdb.record.report import Check, check_body
from etdb.record.standing import (
    Standing,
    attested_old,
    best_class,
    current_register,
    resolve,
    signers_of,
)
from etdb.record.statement import RecordClass, Rejection, Revision, Statement
from etdb.record.verdict import judge

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
    "check_body",
    "current_register",
    "judge",
    "resolve",
    "signers_of",
]
