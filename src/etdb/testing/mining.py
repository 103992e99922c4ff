"""A FLO regtest chain in memory, with a mempool, mined here.

What FLO nodes do to transactions and blocks, in Python: it stands in for a
node behind `FakeDaemon`, and a real node is fed its blocks. Synthetic coins
come from a faucet whose key is known to everybody.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from dataclasses import replace

from etdb.errors import ConflictError, InvalidDataError, InvalidSignatureError
from etdb.identity import BlockHash, Txid
from etdb.ledger.base import Tip
from etdb.ledger.flo.block import (
    BLOCK_VERSION,
    COIN_SAT,
    FloBlock,
    Header,
    coinbase,
    merkle_root,
    mine,
    subsidy_sat,
)
from etdb.ledger.flo.coins import Coins, verify_standard
from etdb.ledger.flo.params import REGTEST
from etdb.ledger.flo.script import Unlock, find_unlock, pay_to
from etdb.ledger.flo.tx import SIGHASH_ALL, OutPoint, Transaction, TxIn, TxOut
from etdb.record.parts import MAX_MESSAGE_BYTES
from etdb.record.signing import PrivateKey, hash160

FAUCET = PrivateKey.from_bytes(b"\x07" * 32)
FAUCET_SCRIPT = pay_to(hash160(FAUCET.public_key))
FIRST_BLOCKS = 110
FIRST_TIME = 1_700_000_000
SPACING_S = 40
MAX_ANCESTORS = 1_250
_FRAME_BYTES = 250
_MAX_FILLED_BYTES = 990_000
_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141


class RefusedError(Exception):
    """A node does not take a transaction; code and words are flod's."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class FloChain:
    """Regtest's blocks up to the tip, and what waits for the next.

    Begins with 110 blocks that pay the faucet. `sat_per_kb` is the least fee;
    `has_data_limit`, whether more than 1,040 bytes of floData are refused.
    """

    def __init__(self, *, sat_per_kb: int = 1_000, has_data_limit: bool = True) -> None:
        self.blocks = list(first_blocks())
        self.pool: dict[Txid, Transaction] = {}
        self.sat_per_kb = sat_per_kb
        self._has_data_limit = has_data_limit
        self._known = {block.header.hash: block for block in self.blocks}
        self._branches = 0
        self._recount()
        self._refill(())

    def tip(self) -> Tip:
        """The last block."""
        return Tip(len(self.blocks) - 1, self.blocks[-1].header.hash)

    def find_block(self, block_hash: str) -> FloBlock | None:
        """A block of this chain, or of a branch that it has left."""
        return self._known.get(BlockHash(block_hash))

    def accept(self, transaction: Transaction) -> None:
        """Take a transaction into the mempool. Raises RefusedError."""
        if transaction.txid in self.pool:
            return
        outputs = range(len(transaction.outputs))
        made = [OutPoint(transaction.txid_bytes, index) for index in outputs]
        if any(self._coins.find(outpoint) is not None for outpoint in made):
            raise RefusedError(-27, "transaction already in block chain")
        fee_sat = self._admit(transaction)
        if fee_sat < transaction.size_bytes * self.sat_per_kb // 1_000:
            self.drop(transaction.txid)
            raise RefusedError(-26, "66: min relay fee not met")

    def drop(self, txid: Txid) -> None:
        """Forget a transaction of the mempool, and what spends it."""
        gone = {txid}
        for other in self.pool:
            if self._ancestors[other] & gone:
                gone.add(other)
        self._refill([tx for key, tx in self.pool.items() if key not in gone])

    def swap(self, txid: Txid) -> Transaction:
        """Put a malleated form of one of the mempool in its place."""
        other = malleate(self.pool[txid])
        self.drop(txid)
        self._admit(other)
        return other

    def steal(self, txid: Txid) -> Transaction:
        """Mine a malleated form of a transaction, so that it never can be."""
        other = self.swap(txid)
        self.mine()
        return other

    def mine(self, *texts: str | bytes, said: bytes = b"") -> FloBlock:
        """One more block: what waits, then these texts; `said` by its coinbase."""
        filled: list[Transaction] = []
        size_bytes = 0
        for transaction in self.pool.values():
            size_bytes += transaction.size_bytes
            if size_bytes > _MAX_FILLED_BYTES:
                break
            filled.append(transaction)
        carriers = self._carry([t.encode() if isinstance(t, str) else t for t in texts])
        return self.add([*filled, *carriers], said)

    def add(self, transactions: Sequence[Transaction], said: bytes = b"") -> FloBlock:
        """One more block of exactly these; nothing about them is checked."""
        block = self._next(transactions, said)
        self._append(block)
        mined = {transaction.txid for transaction in transactions}
        self._refill([tx for txid, tx in self.pool.items() if txid not in mined])
        return block

    def fund(
        self, script: bytes, value_sat: int = COIN_SAT, coins: int = 1
    ) -> FloBlock:
        """Mine a transaction of the faucet that makes coins of this value."""
        paid_sat = value_sat * coins + self._fee_sat(34 * coins)
        outpoint, rich_sat = self._take(paid_sat)
        outputs = [TxOut(value_sat, script)] * coins
        outputs.append(TxOut(rich_sat - paid_sat, FAUCET_SCRIPT))
        return self.add([sign(FAUCET, [outpoint], outputs)])

    def reorganise(self, depth: int, blocks: int | None = None) -> list[FloBlock]:
        """Leave the last `depth` blocks for a branch of empty ones, one longer.

        What they held waits again. Returns the branch.
        """
        left = self.blocks[-depth:]
        del self.blocks[-depth:]
        self._branches += 1
        self._recount()
        branch = []
        for _ in range(depth + 1 if blocks is None else blocks):
            branch.append(self._next((), b""))
            self._append(branch[-1])
        undone = [tx for block in left for tx in block.transactions[1:]]
        self._refill([*undone, *self.pool.values()])
        return branch

    def _admit(self, transaction: Transaction) -> int:
        """Into the mempool for whatever fee, which is returned."""
        outpoints = {item.outpoint for item in transaction.inputs}
        if outpoints & self._spent:
            raise RefusedError(-26, "258: txn-mempool-conflict")
        fee_sat = self._verify(transaction)
        ancestors = self._ancestors_of(transaction)
        if len(ancestors) >= MAX_ANCESTORS:
            raise RefusedError(-26, "64: too-long-mempool-chain")
        self.pool[transaction.txid] = transaction
        self._ancestors[transaction.txid] = ancestors
        self._spent |= outpoints
        self._pool_coins.apply(transaction, len(self.blocks))
        return fee_sat

    def _verify(self, transaction: Transaction) -> int:
        checked = transaction
        if not self._has_data_limit:
            checked = replace(transaction, flo_data=b"")
        try:
            verify_standard(checked)
            return self._pool_coins.verify_spend(transaction, len(self.blocks))
        except ConflictError as exc:
            raise RefusedError(-25, "Missing inputs") from exc
        except InvalidSignatureError as exc:
            words = "16: mandatory-script-verify-flag-failed"
            raise RefusedError(-26, words) from exc
        except InvalidDataError as exc:
            is_too_long = len(transaction.flo_data) > MAX_MESSAGE_BYTES
            words = "Flo Data too large" if is_too_long else "64: tx-size"
            raise RefusedError(-25 if is_too_long else -26, words) from exc

    def _ancestors_of(self, transaction: Transaction) -> frozenset[Txid]:
        parents = {
            Txid(item.outpoint.txid_bytes[::-1].hex()) for item in transaction.inputs
        }
        found = frozenset(parents & self.pool.keys())
        return found.union(*(self._ancestors[txid] for txid in found))

    def _carry(self, texts: Sequence[bytes]) -> Iterator[Transaction]:
        """One chain of transactions, from one coin."""
        if not texts:
            return
        outpoint, value_sat = self._take(1)
        for text in texts:
            value_sat -= self._fee_sat(len(text))
            output = TxOut(value_sat, FAUCET_SCRIPT)
            made = sign(FAUCET, [outpoint], [output], text)
            yield made
            outpoint = OutPoint(made.txid_bytes, 0)

    def _fee_sat(self, more_bytes: int) -> int:
        return (_FRAME_BYTES + more_bytes) * self.sat_per_kb // 1_000

    def _take(self, least_sat: int) -> tuple[OutPoint, int]:
        """The faucet's greatest coin."""
        ripe = (
            (coin.output.value_sat, outpoint)
            for outpoint, coin in self._coins.iter_own(FAUCET_SCRIPT)
            if coin.is_mature(len(self.blocks)) and outpoint not in self._spent
        )
        value_sat, outpoint = max(ripe)
        assert value_sat >= least_sat, "the faucet is not that rich"
        return outpoint, value_sat

    def _next(self, transactions: Sequence[Transaction], said: bytes) -> FloBlock:
        parent = self.blocks[-1].header
        time = parent.time + SPACING_S + self._branches
        return next_block(len(self.blocks), parent, transactions, said, time=time)

    def _append(self, block: FloBlock) -> None:
        for transaction in block.transactions:
            self._coins.apply(transaction, len(self.blocks))
        self.blocks.append(block)
        self._known[block.header.hash] = block

    def _recount(self) -> None:
        self._coins = Coins()
        for height, block in enumerate(self.blocks):
            # The first block's coin can never be spent.
            for transaction in block.transactions if height else ():
                self._coins.apply(transaction, height)

    def _refill(self, transactions: Sequence[Transaction]) -> None:
        """Begin the mempool anew; what no longer can be mined is left out."""
        self.pool = {}
        self._spent: set[OutPoint] = set()
        self._ancestors: dict[Txid, frozenset[Txid]] = {}
        self._pool_coins = Coins(self._coins)
        for transaction in transactions:
            try:
                self._admit(transaction)
            except RefusedError:
                continue


@functools.cache
def first_blocks() -> tuple[FloBlock, ...]:
    """The blocks that every chain here begins with; the first may be spent."""
    blocks = [REGTEST.genesis()]
    for height in range(1, FIRST_BLOCKS + 1):
        time = FIRST_TIME + height * SPACING_S
        blocks.append(next_block(height, blocks[-1].header, (), b"", time=time))
    return tuple(blocks)


def next_block(
    height: int,
    parent: Header,
    transactions: Sequence[Transaction],
    said: bytes,
    *,
    time: int,
) -> FloBlock:
    """A mined block that pays the faucet; fees are left to nobody."""
    payout = TxOut(subsidy_sat(height, REGTEST.halving_blocks), FAUCET_SCRIPT)
    whole = (coinbase(height, payout, said), *transactions)
    root = merkle_root([transaction.txid_bytes for transaction in whole])
    draft = Header(BLOCK_VERSION, parent.hash_bytes, root, time, REGTEST.bits, 0)
    return FloBlock(mine(draft), whole)


def sign(
    key: PrivateKey,
    outpoints: Sequence[OutPoint],
    outputs: Sequence[TxOut],
    data: bytes = b"",
    hash_type: int = SIGHASH_ALL,
) -> Transaction:
    """A transaction of coins that one key guards.

    With OMIT_FLO_DATA in `hash_type`, signed as the old wallets did.
    """
    script = pay_to(hash160(key.public_key))
    inputs = tuple(TxIn(outpoint, b"") for outpoint in outpoints)
    unsigned = Transaction(2, inputs, tuple(outputs), 0, data)
    signed = []
    for index, item in enumerate(inputs):
        sighash = unsigned.sighash(index, script, hash_type)
        unlock = Unlock(key.sign_hash(sighash), SIGHASH_ALL, key.public_key)
        signed.append(item._replace(script=unlock.encode()))
    return replace(unsigned, inputs=tuple(signed))


def malleate(transaction: Transaction) -> Transaction:
    """The same with each signature's other S: as good, and of another txid."""
    inputs = []
    for item in transaction.inputs:
        unlock = find_unlock(item.script)
        assert unlock is not None, "not a P2PKH input"
        size = unlock.signature[3]
        number = int.from_bytes(unlock.signature[6 + size :], "big")
        head = unlock.signature[2 : 4 + size]
        other = _encode_integer(_ORDER - number)
        body = head + b"\x02" + bytes([len(other)]) + other
        signature = b"\x30" + bytes([len(body)]) + body
        script = replace(unlock, signature=signature).encode()
        inputs.append(item._replace(script=script))
    return replace(transaction, inputs=tuple(inputs))


def _encode_integer(number: int) -> bytes:
    return number.to_bytes(number.bit_length() // 8 + 1, "big")
