"""Which coins a fan-out splits, and into how many.

Decided by the coins and the fee rate alone: asked again about the same coins,
after a crash say, it makes the same transaction.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from etdb.ledger.flo.fee import (
    INPUT_BYTES,
    MAX_FEE_SAT,
    OUTPUT_BYTES,
    fee_of,
    fee_sat,
    transaction_bytes,
)
from etdb.ledger.flo.tx import OutPoint
from etdb.record.parts import MAX_MESSAGE_BYTES

LEAST_CHANGE_SAT = 100_000
"""What must be left of a coin: nodes refuse to make coins of next to nothing."""
ENOUGH_COINS = 16
"""So many carry on when one transaction of a chain is lost."""
TARGET_COINS = 64
MOST_COINS = 1_000
_USEFUL_TRANSACTIONS = 25
_MOST_INPUTS = 200
_MOST_BYTES = 100_000


@dataclass(frozen=True)
class FanOut:
    """Coins that become `count` equal ones."""

    outpoints: tuple[OutPoint, ...]
    count: int
    share_sat: int
    """What each of them is worth."""


def useful_sat(sat_per_kb: int) -> int:
    """What makes a coin worth having: it carries 25 full transactions."""
    fee = fee_sat(MAX_MESSAGE_BYTES, sat_per_kb)
    return LEAST_CHANGE_SAT + _USEFUL_TRANSACTIONS * fee


def share(total_sat: int, inputs: int, count: int, sat_per_kb: int) -> int:
    """What each of `count` coins gets of coins that come to `total_sat`."""
    fee = fee_of(transaction_bytes(inputs, count, 0), sat_per_kb)
    return (total_sat - fee) // count


def find_fan_out(coins: Mapping[OutPoint, int], sat_per_kb: int) -> FanOut | None:
    """How to have more useful coins, by their values; None where nothing helps.

    Big coins are split until there are 64 useful ones, or twice as many as
    now; small ones are swept along. Middling ones stay as they are.
    """
    # Half of what a transaction may weigh or cost is for inputs, half for outputs.
    half = min(_MOST_BYTES, MAX_FEE_SAT * 1000 // sat_per_kb) // 2
    most_inputs = min(_MOST_INPUTS, half // INPUT_BYTES)
    ranked = sorted(coins.items(), key=lambda item: (-item[1], item[0]))
    useful = [item for item in ranked if item[1] >= useful_sat(sat_per_kb)]
    target = min(max(TARGET_COINS, 2 * len(useful)), MOST_COINS, half // OUTPUT_BYTES)
    total_sat = sum(value for _, value in useful)
    big = [item for item in useful if item[1] * target >= 2 * total_sat]
    # Sweeping what is worth less than its own place would burn it.
    least_sat = fee_of(INPUT_BYTES, sat_per_kb)
    small = [item for item in ranked[len(useful) :] if item[1] > least_sat]
    chosen = [*big, *small][:most_inputs]
    split = min(len(big), most_inputs)
    count = _count(chosen, target - (len(useful) - split), sat_per_kb)
    if count <= split:
        return None
    outpoints = tuple(outpoint for outpoint, _ in chosen)
    amount_sat = sum(value for _, value in chosen)
    return FanOut(
        outpoints, count, share(amount_sat, len(outpoints), count, sat_per_kb)
    )


def _count(chosen: list[tuple[OutPoint, int]], wanted: int, sat_per_kb: int) -> int:
    """How many useful coins these make, of those that are wanted."""
    if not chosen or wanted < 1:
        return 0
    fee = fee_of(transaction_bytes(len(chosen), wanted, 0), sat_per_kb)
    amount_sat = sum(value for _, value in chosen) - fee
    return min(wanted, amount_sat // useful_sat(sat_per_kb))
