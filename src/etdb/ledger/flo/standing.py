"""Whether a daemon has all of its network, by its own account.

Beside one that is still reading, what was published long ago would look as if
it never had been, and would be published again.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from etdb.ledger.flo.params import Params
from etdb.record.message import LedgerKind

MOST_BLOCKS_BEHIND = 20
"""As many as may have come since a daemon last wrote down where it is."""
MOST_AGE_S = 2 * 3600.0
"""How old the last block of a network with miners may be: some 180 blocks."""
_READS = "the daemon is still reading its network"


def find_gap(account: object, network: Params, now_s: float) -> str:
    """In words, how far a daemon is from the end of its network; empty at it.

    `account` is its answer to `getblockchaininfo`. One kind counts no headers
    beyond its blocks, so the time of its last blocks must do. What says nothing
    of this is believed to be at the end, and so is a regtest network, where
    blocks come when somebody wants them, of whatever age.
    """
    told = account if isinstance(account, Mapping) else {}
    height = _number(told, "blocks")
    if height is None:
        return ""
    headers = _number(told, "headers")
    if headers is not None and headers - height > MOST_BLOCKS_BEHIND:
        return f"{_READS}: block {height:,} of {headers:,}"
    if network.kind is LedgerKind.FLO_REGTEST:
        return ""
    time_s = _number(told, "mediantime")
    is_old = time_s is not None and 0 <= time_s < now_s - MOST_AGE_S
    if is_old or told.get("initialblockdownload") is True:
        return f"{_READS}, or has lost it: block {height:,}{_of(time_s)} is its last"
    return ""


def _number(told: Mapping[str, object], key: str) -> int | None:
    found = told.get(key)
    return found if type(found) is int else None


def _of(time_s: int | None) -> str:
    if time_s is None or not 0 <= time_s < 2**32:
        return ""
    return f" of {datetime.fromtimestamp(time_s, UTC):%F %R} UTC"
