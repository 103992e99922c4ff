"""A ledger in memory that keeps the promise of `etdb.ledger.base.Ledger`.

Not a chain: nothing is signed and nothing is proved. It can be reorganised,
and made to fail before or after an effect.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence

from etdb.errors import NotFoundError
from etdb.identity import BlockHash, Txid
from etdb.ledger.base import Block, Carried, LedgerInfo, SignedTransaction, Tip
from etdb.record.message import Coverage, LedgerKind

Effect = Callable[[str], tuple[bool, BaseException | None]]
"""Asked before an effect, by its name: does it take place, and what is raised
then. (False, error) fails before, (True, error) after, (True, None) not at all.
"""

_FIRST_TIME = 1_700_000_000
_SPACING_S = 40
_COUNTER_BYTES = 8


def _works(_effect: str) -> tuple[bool, BaseException | None]:
    return True, None


class MemoryLedger:
    """An ordered list of texts; block 0 is empty."""

    def __init__(
        self,
        ledger_id: str = "memory",
        kind: LedgerKind = LedgerKind.FLO_REGTEST,
        effect: Effect = _works,
        max_reorg_blocks: int | None = None,
    ) -> None:
        self.info = LedgerInfo(ledger_id, kind, 0, max_reorg_blocks)
        self.effect = effect
        self._composed = 0
        self._hashed = 0
        self._blocks: list[Block] = []
        self._raws: dict[Txid, bytes] = {}
        self._extend(())

    def tip(self) -> Tip:
        """The last block."""
        return Tip(self._blocks[-1].height, self._blocks[-1].hash)

    def block(self, height: int) -> Block:
        """The block at a height. Raises NotFoundError."""
        if not 0 <= height < len(self._blocks):
            raise NotFoundError("block at height", height)
        return self._blocks[height]

    def find_hash(self, height: int) -> BlockHash | None:
        """The hash of the block at a height, if there is one."""
        is_there = 0 <= height < len(self._blocks)
        return self._blocks[height].hash if is_there else None

    def iter_blocks(self, first: int, last: int) -> Iterator[Block]:
        """The blocks of these heights, in order; ends early where the chain does."""
        for height in range(first, min(last, self.tip().height) + 1):
            yield self.block(height)

    def raw_transaction(self, height: int, position: int) -> bytes:
        """What was composed, whole. Raises NotFoundError."""
        for carried in self.block(height).carried:
            if carried.position == position:
                return self._raws[carried.txid]
        msg = f"transaction in block {height} at"
        raise NotFoundError(msg, position)

    def prepare(self, sizes_bytes: Sequence[int]) -> None:
        """There is always a coin; the effect `prepare` is asked."""
        _, error = self.effect("prepare")
        if error is not None:
            raise error

    def fee_sat(self, size_bytes: int) -> int:
        """One satoshi for each byte."""
        return size_bytes

    def compose(self, data: bytes) -> SignedTransaction:
        """A transaction carrying `data`; each call gives another txid."""
        self._composed += 1
        raw = self._composed.to_bytes(_COUNTER_BYTES, "big") + data
        txid = self._txid(raw)
        self._raws[txid] = raw
        return SignedTransaction(txid, raw, self.fee_sat(len(data)))

    def send(self, transactions: Sequence[SignedTransaction]) -> None:
        """Put those that are not yet in a block into one new block."""
        is_applied, error = self.effect("send")
        if is_applied:
            self._mine_new(transactions)
        if error is not None:
            raise error

    def find_height(self, txid: Txid) -> int | None:
        """The height of the block that holds a transaction, if any does."""
        for block in self._blocks:
            if any(carried.txid == txid for carried in block.carried):
                return block.height
        return None

    def mine(self, *texts: str | bytes, coverage: Coverage = Coverage.COVERED) -> Block:
        """One new block carrying these texts, each in its own transaction."""
        carried = []
        for position, text in enumerate(texts, 1):
            data = text.encode() if isinstance(text, str) else text
            txid = self.compose(data).txid
            carried.append(Carried(txid, position, data, coverage))
        return self._extend(carried)

    def reorganise(
        self, depth: int, branch: Sequence[Sequence[str | bytes]] = ()
    ) -> tuple[Carried, ...]:
        """Replace the last `depth` blocks by a longer branch.

        `branch` gives the texts of each of its blocks; empty blocks follow
        until it is longer than what it replaces. Returns what fell out.
        """
        assert 0 < depth < len(self._blocks), "block 0 stays"
        height = self.tip().height
        dropped = self._blocks[-depth:]
        del self._blocks[-depth:]
        for texts in branch:
            self.mine(*texts)
        while self.tip().height <= height:
            self._extend(())
        return tuple(carried for block in dropped for carried in block.carried)

    def _mine_new(self, transactions: Sequence[SignedTransaction]) -> None:
        new = [tx for tx in transactions if self.find_height(tx.txid) is None]
        if new:
            self._extend(
                [
                    Carried(
                        tx.txid, position, tx.raw[_COUNTER_BYTES:], Coverage.COVERED
                    )
                    for position, tx in enumerate(new, 1)
                ]
            )

    def _extend(self, carried: Sequence[Carried]) -> Block:
        self._hashed += 1
        height = len(self._blocks)
        name = f"{self.info.id} {height} {self._hashed}"
        block = Block(
            height=height,
            hash=BlockHash(hashlib.sha256(name.encode()).hexdigest()),
            previous=self._blocks[-1].hash if height else BlockHash("0" * 64),
            time=_FIRST_TIME + _SPACING_S * height,
            carried=tuple(carried),
        )
        self._blocks.append(block)
        return block

    def _txid(self, raw: bytes) -> Txid:
        return Txid(hashlib.sha256(self.info.id.encode() + b"\0" + raw).hexdigest())
