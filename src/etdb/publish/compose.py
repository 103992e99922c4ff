"""One message as transactions, and what they cost. The only place for it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from etdb.identity import Address
from etdb.ledger.base import Ledger, SignedTransaction
from etdb.record.parts import encode_part, plan_chunks
from etdb.record.signing import PrivateKey

PLACEHOLDER = "A" * 88  # PROTOCOL B5: every signature of ours has this length
_REFERENCE = "0" * 64


@dataclass(frozen=True)
class Cost:
    """What sending a message takes."""

    parts: int
    fee_sat: int


def plan_sizes(text: str, address: Address) -> list[int]:
    """How many bytes each transaction will carry; signatures have one length.

    Raises InvalidRecordError for a text that takes too many.
    """
    chunks = plan_chunks(text)
    last = len(chunks) - 1
    if not last:
        return [len(text.encode())]
    return [
        len(
            f"oip-mp({index},{last},{address},{_REFERENCE if index else ''},"
            f"{PLACEHOLDER}):{chunk}".encode()
        )
        for index, chunk in enumerate(chunks)
    ]


def cost_of(text: str, address: Address, fee_sat: Callable[[int], int]) -> Cost:
    """The cost of a text whose signatures may still be placeholders."""
    sizes = plan_sizes(text, address)
    return Cost(len(sizes), sum(map(fee_sat, sizes)))


def compose(
    text: str, address: Address, key: PrivateKey, ledger: Ledger
) -> tuple[SignedTransaction, ...]:
    """The transactions that carry a text, signed and not sent.

    Raises NotAllowedError if the address is not the key's, and what the ledger
    raises without coins.
    """
    chunks = plan_chunks(text)
    last = len(chunks) - 1
    transactions: list[SignedTransaction] = []
    for index, chunk in enumerate(chunks):
        reference = transactions[0].txid if index else ""
        carried = (
            encode_part(index, last, address, reference, chunk, key) if last else text
        )
        transactions.append(ledger.compose(carried.encode()))
    return tuple(transactions)
