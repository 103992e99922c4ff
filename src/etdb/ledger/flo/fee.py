"""What transactions of a wallet weigh and cost.

Sizes are those of pay-to-key-hash inputs with the longest signature there is,
so that no fee is ever a satoshi short of what a node asks for.
"""

from __future__ import annotations

from etdb.errors import NotAllowedError
from etdb.ledger.flo.block import COIN_SAT
from etdb.ledger.flo.wire import encode_compact

SAT_PER_KB = 10_000
"""What every FLO node relays for, whichever program it runs."""
LEAST_SAT_PER_KB = 1_000
"""No FLO node relays for less."""
MAX_FEE_SAT = COIN_SAT // 10
"""Nodes refuse more in one transaction as a mistake."""
INPUT_BYTES = 148
OUTPUT_BYTES = 34
_FRAME_BYTES = 8


def transaction_bytes(inputs: int, outputs: int, data_bytes: int) -> int:
    """The size of a transaction with floData of `data_bytes`, at most."""
    return (
        _FRAME_BYTES
        + len(encode_compact(inputs))
        + inputs * INPUT_BYTES
        + len(encode_compact(outputs))
        + outputs * OUTPUT_BYTES
        + len(encode_compact(data_bytes))
        + data_bytes
    )


def carrier_bytes(data_bytes: int) -> int:
    """The size of one coin in, one out, with floData of `data_bytes`."""
    return transaction_bytes(1, 1, data_bytes)


def fee_of(size_bytes: int, sat_per_kb: int = SAT_PER_KB) -> int:
    """The fee of a transaction of this size, rounded up.

    Raises NotAllowedError above 0.1 FLO.
    """
    fee_sat = -(-size_bytes * sat_per_kb // 1000)
    if fee_sat > MAX_FEE_SAT:
        msg = (
            f"a fee of {show_flo(fee_sat)} for one transaction of {size_bytes} bytes;"
            f" nodes refuse more than {show_flo(MAX_FEE_SAT)}"
        )
        raise NotAllowedError(msg, hint=f"{sat_per_kb} satoshis per kB are too many")
    return fee_sat


def fee_sat(data_bytes: int, sat_per_kb: int = SAT_PER_KB) -> int:
    """The fee of carrying floData of `data_bytes` in one transaction."""
    return fee_of(carrier_bytes(data_bytes), sat_per_kb)


def records_left(balance_sat: int, record_fee_sat: int) -> int:
    """For how many more records of this mean fee a balance lasts."""
    return max(0, balance_sat) // max(1, record_fee_sat)


def show_flo(amount_sat: int) -> str:
    """An amount as people read it: `1.5 FLO`, `−12,000 FLO`."""
    whole, rest = divmod(abs(amount_sat), COIN_SAT)
    text = f"{whole:,}.{rest:08d}".rstrip("0").removesuffix(".")
    return f"{'−' if amount_sat < 0 else ''}{text} FLO"
