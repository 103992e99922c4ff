"""What a FLO block says to everybody: its texts, and what holds them in place."""

from __future__ import annotations

from collections.abc import Iterator

from etdb.identity import BlockHash
from etdb.ledger.base import Block, Carried
from etdb.ledger.flo.block import FloBlock, show_hash
from etdb.ledger.flo.script import coverage_of


def content_of(height: int, block: FloBlock) -> Block:
    """A FLO block as any ledger's block."""
    return Block(
        height=height,
        hash=block.header.hash,
        previous=BlockHash(show_hash(block.header.previous)),
        time=block.header.time,
        carried=tuple(_carried(block)),
    )


def _carried(block: FloBlock) -> Iterator[Carried]:
    for position, transaction in enumerate(block.transactions):
        if transaction.flo_data:
            coverage = coverage_of(transaction)
            yield Carried(transaction.txid, position, transaction.flo_data, coverage)
