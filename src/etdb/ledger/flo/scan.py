"""Reads a FLO network's blocks from a daemon: raw, in batches, one batch ahead.

A daemon says which blocks there are; that each is what was asked for is checked
here. Raw blocks alone are asked for: one text that is not UTF-8 makes a
daemon's own rendering of a block unreadable.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from etdb.errors import (
    ConflictError,
    InvalidDataError,
    NotFoundError,
    UnavailableError,
)
from etdb.identity import BlockHash, parse_block_hash
from etdb.ledger.base import Tip
from etdb.ledger.flo.block import FloBlock
from etdb.ledger.flo.params import NETWORKS, Params
from etdb.ledger.flo.rpc import Refusal, Rpc

_FIRST_BATCH_BLOCKS = 50
_MOST_BATCH_BLOCKS = 1_000
_BATCH_BYTES = 4_000_000
_MOST_ATTEMPTS = 10
_MAX_HEIGHT = 2**31 - 1
_OUT_OF_RANGE = -8
"""How daemons say that there is no block at a height."""


class _Row(NamedTuple):
    height: int
    hash: BlockHash
    raw: str


class _Batch(NamedTuple):
    rows: list[_Row]
    next_blocks: int
    """How many to ask for next."""
    is_last: bool


class BlockReader:
    """One daemon's blocks. Thread-safe; nothing is asked before it is needed."""

    def __init__(self, rpc: Rpc, network: Params) -> None:
        self.rpc = rpc
        self._network = network
        self._genesis = network.genesis().header.hash
        self._is_verified = False
        self._tip: Tip | None = None
        self._raw_form: int | bool | None = None

    def tip(self) -> Tip:
        """The last block now.

        Raises ConflictError where the daemon is of another network, and
        UnavailableError.
        """
        for _ in range(_MOST_ATTEMPTS):
            first, height, best = self.rpc.batch(
                [("getblockhash", 0), ("getblockcount",), ("getbestblockhash",)]
            )
            self._verify_genesis(first)
            for answer in (height, best):
                if isinstance(answer, Refusal):
                    raise self.rpc.refused("its last block", answer)
            known = self._tip
            if known is not None and known.hash == best:
                return known
            # The last block may have changed between two calls of one batch.
            if type(height) is int and self.find_hash(height) == best:
                self._tip = Tip(height, BlockHash(best))
                return self._tip
        msg = f"the FLO daemon at {self.rpc.address} does not say which block is last"
        raise UnavailableError(msg, hint="look at the daemon's own log")

    def find_hash(self, height: int) -> BlockHash | None:
        """The hash of the block at a height, if there is one."""
        if not 0 <= height <= _MAX_HEIGHT:
            return None
        return self._hash_of(height, self.rpc.ask("getblockhash", height))

    def raw_block(self, height: int) -> FloBlock:
        """The block at a height. Raises NotFoundError, UnavailableError."""
        for _, block in self.iter_raw_blocks(height, height):
            return block
        raise NotFoundError("block at height", height)

    def iter_raw_blocks(self, first: int, last: int) -> Iterator[tuple[int, FloBlock]]:
        """The blocks of these heights, in order, each with its height.

        Ends early where the chain does. Raises UnavailableError, ConflictError
        where the daemon is of another network.
        """
        last = min(last, _MAX_HEIGHT)
        if first < 0 or first > last:
            return
        self._verify_network()
        ahead = ThreadPoolExecutor(1, "read-ahead")
        try:
            batch = self._fetch(first, last, _FIRST_BATCH_BLOCKS)
            while True:
                following = None
                if not batch.is_last:
                    above = batch.rows[-1].height + 1
                    following = ahead.submit(
                        self._fetch, above, last, batch.next_blocks
                    )
                for row in batch.rows:
                    yield row.height, self._parse(row)
                if following is None:
                    return
                batch = following.result()
        finally:
            # Whoever stops in the middle does not wait for what is on its way.
            ahead.shutdown(wait=False, cancel_futures=True)

    def _fetch(self, first: int, last: int, blocks: int) -> _Batch:
        """The next batch; a smaller one where so many blocks are too large."""
        while True:
            end = min(last, first + blocks - 1)
            try:
                rows = self._fetch_rows(first, end)
            except UnavailableError as exc:
                if "limit_bytes" not in exc.facts or blocks == 1:
                    raise
                blocks //= 2
                continue
            size_bytes = sum(len(row.raw) for row in rows) // 2
            fitting = len(rows) * _BATCH_BYTES // max(1, size_bytes)
            following = max(1, min(fitting, 2 * blocks, _MOST_BATCH_BLOCKS))
            is_last = end == last or len(rows) <= end - first
            return _Batch(rows, following, is_last)

    def _fetch_rows(self, first: int, last: int) -> list[_Row]:
        heights = range(first, last + 1)
        said = self.rpc.batch([("getblockhash", height) for height in heights])
        hashes = []
        for height, answer in zip(heights, said, strict=True):
            block_hash = self._hash_of(height, answer)
            if block_hash is None:
                break
            hashes.append(block_hash)
        if not hashes:
            return []
        form = self._find_raw_form(hashes[0])
        raws = self.rpc.batch([("getblock", one, form) for one in hashes])
        rows = []
        for height, block_hash, raw in zip(heights, hashes, raws, strict=False):
            if isinstance(raw, Refusal):
                raise self._refused_block(block_hash, raw)
            if not isinstance(raw, str):
                raise self._wrong(height, "the daemon does not give it in hex")
            rows.append(_Row(height, block_hash, raw))
        return rows

    def _find_raw_form(self, block_hash: BlockHash) -> int | bool:
        """What this daemon calls raw: one wants a number, the other a truth value."""
        if self._raw_form is None:
            forms = (False, 0)
            answers = self.rpc.batch([("getblock", block_hash, form) for form in forms])
            for form, answer in zip(forms, answers, strict=True):
                if isinstance(answer, str):
                    self._raw_form = form
                    return form
            if isinstance(answers[0], Refusal):
                raise self._refused_block(block_hash, answers[0])
            msg = f"the FLO daemon at {self.rpc.address} does not give raw blocks"
            raise UnavailableError(msg)
        return self._raw_form

    def _parse(self, row: _Row) -> FloBlock:
        try:
            block = FloBlock.parse(bytes.fromhex(row.raw))
        except ValueError as exc:
            raise self._wrong(row.height, "what it sends is not hex") from exc
        except InvalidDataError as exc:
            raise self._wrong(row.height, exc.message) from exc
        if block.header.hash != row.hash:
            raise self._wrong(row.height, f"it is another block than {row.hash}")
        txids = [item.txid_bytes for item in block.transactions]
        # Repeating the last transactions can leave the root as it is.
        if block.merkle_root() != block.header.root or len({*txids}) < len(txids):
            raise self._wrong(row.height, "its transactions are not those of its root")
        return block

    def _hash_of(self, height: int, answer: object) -> BlockHash | None:
        if isinstance(answer, Refusal):
            if answer.code == _OUT_OF_RANGE:
                return None
            what = f"the hash of block {height}"
            raise self.rpc.refused(what, answer)
        try:
            return parse_block_hash(answer if isinstance(answer, str) else "")
        except InvalidDataError as exc:
            raise self._wrong(height, "its hash is none") from exc

    def _verify_network(self) -> None:
        if not self._is_verified:
            self._verify_genesis(self.rpc.ask("getblockhash", 0))

    def _verify_genesis(self, answer: object) -> None:
        found = self._hash_of(0, answer)
        if found == self._genesis:
            self._is_verified = True
            return
        wanted = self._network.kind.value
        kinds = {
            str(one.genesis().header.hash): one.kind.value for one in NETWORKS.values()
        }
        there = kinds.get(str(found), f"a network with the first block {found}")
        msg = f"the FLO daemon at {self.rpc.address} is of {there}, not of {wanted}"
        raise ConflictError(
            msg,
            hint="look at the settings ledger.network and ledger.url",
            wanted=wanted,
            found=there,
        )

    def _refused_block(
        self, block_hash: BlockHash, refusal: Refusal
    ) -> UnavailableError:
        return self.rpc.refused(f"block {block_hash}", refusal)

    def _wrong(self, height: int, why: str) -> UnavailableError:
        msg = f"block {height} of the FLO daemon at {self.rpc.address}: {why}"
        return UnavailableError(msg, hint="look at the daemon's own log", height=height)
