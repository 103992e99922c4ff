"""One text on a ledger, and where it stands.

What kind of message a text is, is decided by its first characters alone; what
it proves is decided in `etdb.record.rules`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from etdb.identity import Txid


class LedgerKind(StrEnum):
    """What sort of chain a ledger is; rule R3 treats old records by it."""

    FLO_MAIN = "flo-main"
    FLO_TEST = "flo-test"
    FLO_REGTEST = "flo-regtest"
    EMBEDDED = "embedded"


class Coverage(StrEnum):
    """Whether a transaction's own signatures cover its floData."""

    COVERED = "covered"
    OMITTED = "omitted"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Place:
    """Where a message stands: one transaction in one block of one ledger."""

    ledger: str
    height: int
    position: int
    txid: Txid
    time: int
    """The block's time, Unix seconds."""


class Kind(StrEnum):
    """What a ledger text claims to be."""

    JSON = "json"
    PART = "part"
    CHAIN = "chain"
    """The floData of a coinbase of an embedded chain."""
    FOREIGN = "foreign"


def kind_of(text: str) -> Kind:
    """The kind of a text, by its prefix."""
    if text.startswith("json:"):
        return Kind.JSON
    if text.startswith(("oip-mp(", "alexandria-media-multipart(")):
        return Kind.PART
    if text.startswith(("etdb-chain:", "etdb:1:block:")):
        return Kind.CHAIN
    return Kind.FOREIGN
