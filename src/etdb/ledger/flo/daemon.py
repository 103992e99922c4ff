"""A FLO network through a daemon: read by raw blocks, written by our own wallet.

Six calls are made that flod and fcoin both know: getblockcount, getblockhash,
getblock, getbestblockhash, sendrawtransaction and getrawmempool; and, where the
daemon knows them, getnetworkinfo and getmempoolinfo for the fee and
getblockchaininfo for how far it has read. Keys never leave Python.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from etdb.errors import (
    ConflictError,
    NotAllowedError,
    NotFoundError,
    UnavailableError,
)
from etdb.identity import BlockHash
from etdb.ledger.base import Block, LedgerInfo, SignedTransaction, Tip
from etdb.ledger.flo.account import Account, WalletStatus
from etdb.ledger.flo.block import FloBlock
from etdb.ledger.flo.coinbook import CoinBook
from etdb.ledger.flo.content import content_of
from etdb.ledger.flo.delivery import Delivery, Pace
from etdb.ledger.flo.params import Params
from etdb.ledger.flo.rpc import Rpc
from etdb.ledger.flo.scan import BlockReader
from etdb.ledger.flo.standing import find_gap
from etdb.ledger.flo.tx import Transaction
from etdb.progress import Progress
from etdb.record.signing import PrivateKey

_MOST_FAN_OUTS = 4
_MOST_KEPT_BLOCKS = 4


@dataclass(frozen=True)
class DaemonStatus:
    """What a daemon has, and the wallet on its network."""

    tip: Tip
    mempool: int
    """How many transactions wait for a block, whoever sent them."""
    wallet: WalletStatus | None
    """None without a key."""
    gap: str
    """In words, how far it is from the end of its network; empty at it."""

    def count_unread(self) -> int:
        """In how many blocks coins were not looked for yet."""
        if self.wallet is None:
            return 0
        read = self.wallet.read_height
        done = self.wallet.first_height - 1 if read is None else read
        return self.tip.height - done


class DaemonLedger:
    """A `Ledger`. Thread-safe; a context manager that closes what it was given.

    Without a key it is there to be read.
    """

    def __init__(
        self,
        reader: BlockReader,
        network: Params,
        first_height: int,
        account: Account | None,
        pace: Pace,
    ) -> None:
        self._reader = reader
        self._network = network
        self._info = network.info(first_height)
        self._account = account
        self._pace = pace
        self._mutex = threading.Lock()
        self._kept: tuple[FloBlock, ...] = ()

    @classmethod
    def open(
        cls,
        rpc: Rpc,
        network: Params,
        *,
        first_height: int = 0,
        coins: CoinBook | None = None,
        key: PrivateKey | None = None,
        pace: Pace | None = None,
    ) -> DaemonLedger:
        """A network by one of its daemons; nothing is asked of it yet.

        `coins` are those of `key`, which both are needed to write. Whatever
        asks the daemon first raises ConflictError where it is of another
        network, NotAllowedError where it does not take user and password, and
        UnavailableError.
        """
        reader = BlockReader(rpc, network)
        account = None
        if key is not None and coins is not None:
            account = Account(key, network, coins, reader)
        return cls(reader, network, first_height, account, pace or Pace())

    def close(self) -> None:
        """Close the connections and the coin book."""
        self._reader.rpc.close()
        if self._account is not None:
            self._account.coins.close()

    def __enter__(self) -> DaemonLedger:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def info(self) -> LedgerInfo:
        """The network's id is the hash of its first block."""
        return self._info

    def tip(self) -> Tip:
        """The last block that the daemon has. Raises UnavailableError."""
        return self._reader.tip()

    def block(self, height: int) -> Block:
        """The block at a height. Raises NotFoundError, UnavailableError."""
        return content_of(height, self._reader.raw_block(height))

    def find_hash(self, height: int) -> BlockHash | None:
        """The hash of the block at a height, if the daemon has one there."""
        return self._reader.find_hash(height)

    def iter_blocks(self, first: int, last: int) -> Iterator[Block]:
        """The blocks of these heights, in order; ends early where the chain does."""
        for height, block in self.iter_raw_blocks(first, last):
            yield content_of(height, block)

    def iter_raw_blocks(self, first: int, last: int) -> Iterator[tuple[int, FloBlock]]:
        """The whole blocks of these heights, each with its height."""
        return self._reader.iter_raw_blocks(first, last)

    def raw_transaction(self, height: int, position: int) -> bytes:
        """A whole transaction of a block. Raises NotFoundError, UnavailableError."""
        transactions = self._kept_block(height).transactions
        if not 0 <= position < len(transactions):
            msg = f"transaction in block {height} at"
            raise NotFoundError(msg, position)
        return transactions[position].encode()

    def _kept_block(self, height: int) -> FloBlock:
        """The block at a height now; the last few are not fetched again."""
        now = self._reader.find_hash(height)
        for kept in self._kept:
            if kept.header.hash == now:
                return kept
        block = self._reader.raw_block(height)
        self._kept = (block, *self._kept)[:_MOST_KEPT_BLOCKS]
        return block

    def settle(self, progress: Progress | None = None) -> None:
        """Look for coins up to the tip; the first time this reads every block.

        What writes does so by itself, and shows no progress.
        """
        with self._mutex:
            self._writing().settle(progress)

    def prepare(self, sizes_bytes: Sequence[int]) -> None:
        """Make sure that texts of these sizes can be composed now.

        Sends a transaction that splits coins where that helps. Raises
        UnavailableError saying what must come first: a block, or coins, or the
        end of what the daemon still reads.
        """
        with self._mutex:
            account = self._writing()
            self._verify_at_end()
            account.settle()
            for _ in range(_MOST_FAN_OUTS):
                fan_out = account.wallet.prepare(sizes_bytes)
                if fan_out is None:
                    return
                self._split(fan_out)
        msg = "the wallet's coins were split and are still too few"
        raise UnavailableError(msg, hint="wait for a block, then repeat")

    def _split(self, fan_out: Transaction) -> None:
        try:
            self._deliver([fan_out])
        except ConflictError as exc:
            # Whoever agreed to a fee is asked again before a higher one is paid.
            msg = f"the wallet's coins cannot be split as planned: {exc.message}"
            raise UnavailableError(msg, hint="repeat the command") from exc

    def fee_sat(self, size_bytes: int) -> int:
        """What carrying a text of this size costs, at the daemon's least rate."""
        with self._mutex:
            return self._writing().fee_sat(size_bytes)

    def compose(self, data: bytes) -> SignedTransaction:
        """A signed transaction carrying `data`; nothing is sent.

        Raises InvalidDataError over 1,040 bytes, UnavailableError without
        coins, NotAllowedError without a key.
        """
        with self._mutex:
            return self._writing().compose(data)

    def send(self, transactions: Sequence[SignedTransaction]) -> None:
        """Hand transactions to the daemon; on return it has all of them.

        They are in its mempool or in blocks. Repeating is harmless, and sends
        again what was dropped. Raises ConflictError (`facts`: txids) where a
        coin is spent otherwise, and where they pay less than the daemon relays
        by now: what is composed next then spends the same coins, so that not
        both can be in blocks. Raises UnavailableError with the daemon's reason,
        and where the daemon is still reading its network, InvalidDataError,
        NotAllowedError without a key.
        """
        with self._mutex:
            self._writing()
            if transactions:
                self._verify_at_end()
            self._deliver([Transaction.parse(item.raw) for item in transactions])

    def status(self) -> DaemonStatus:
        """What the daemon has now, and the wallet as of the last `settle`."""
        tip = self.tip()
        mempool = self._reader.rpc.call("getrawmempool")
        with self._mutex:
            wallet = None if self._account is None else self._account.status()
        count = len(mempool) if isinstance(mempool, list) else 0
        return DaemonStatus(tip, count, wallet, self._find_gap())

    def _find_gap(self) -> str:
        account = self._reader.rpc.ask("getblockchaininfo")
        return find_gap(account, self._network, self._pace.now())

    def _verify_at_end(self) -> None:
        gap = self._find_gap()
        if gap:
            msg = f"nothing is sent through {self._reader.rpc.address}: {gap}"
            hint = "wait until it has read all of it: etdb ledger status"
            raise UnavailableError(msg, hint=hint)

    def _deliver(self, transactions: Sequence[Transaction]) -> None:
        account = self._writing()
        if transactions:
            Delivery(self._reader.rpc, account, self._pace).deliver(transactions)

    def _writing(self) -> Account:
        if self._account is None:
            msg = "the ledger was opened to be read: a wallet's key is needed to write"
            raise NotAllowedError(msg)
        return self._account
