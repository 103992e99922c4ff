"""Keep an index at the tip of its ledgers; build and compare whole ones.

Going forward and going back are each one transaction, so that a reader always
sees the state at some block of the ledger. Whoever calls holds the node's
write lock.
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from sqlalchemy import select

from etdb.errors import NotFoundError, UnavailableError
from etdb.identity import BlockHash
from etdb.index.apply import apply_blocks, rollback
from etdb.index.db import Index, find_tip, replace_index, verify_file
from etdb.index.dump import list_differences
from etdb.index.schema import blocks
from etdb.ledger.base import Block, LedgerReader, Tip
from etdb.progress import Progress, Silent

MAX_BATCH_BLOCKS = 200
MAX_BATCH_MESSAGES = 2_000
MAX_BATCH_BYTES = 8 * 1024 * 1024

_MAX_CONTRADICTIONS = 3
_SILENT = Silent()


def follow(
    index: Index,
    ledger: LedgerReader,
    *,
    progress: Progress = _SILENT,
    stop: Callable[[], bool] | None = None,
    to_height: int | None = None,
) -> int:
    """Bring the index to the ledger's tip; how many blocks were applied.

    Blocks that the ledger no longer holds are undone first. Ends early, at
    some block, when `stop` says so. Raises UnavailableError.
    """
    with index.read() as connection:
        tip = find_tip(connection, ledger.info.id)
    end = _end(ledger, to_height)
    if tip == end:
        return 0
    progress.begin("following", max(0, end.height - _height(tip)), "blocks")
    try:
        return _follow(index, ledger, progress, stop or _never, to_height)
    finally:
        progress.end()


def rebuild(
    index_path: Path, ledgers: Sequence[LedgerReader], *, progress: Progress = _SILENT
) -> None:
    """Put a new index, built from the ledgers, in the place of the one there.

    Whoever has the old one open sees the new one from the next transaction on.
    Nothing changes unless the new one is whole and on disk.
    """
    with _fresh(index_path.parent, ledgers) as fresh:
        for ledger in ledgers:
            follow(fresh, ledger, progress=progress)
        fresh.close()
        replace_index(fresh.path, index_path)


def check(
    index: Index, ledgers: Sequence[LedgerReader], *, progress: Progress = _SILENT
) -> list[str]:
    """What distinguishes an index from one built from the ledgers now.

    The new one goes as far as the one that is checked; an empty list is the
    proof that they are equal and that the full text is that of the records.
    """
    found = verify_file(index)
    with (
        index.read() as kept,
        _fresh(index.path.parent, ledgers) as fresh,
    ):
        for ledger in ledgers:
            tip = find_tip(kept, ledger.info.id)
            if tip is not None:
                follow(fresh, ledger, progress=progress, to_height=tip.height)
        with fresh.read() as built:
            return found + list_differences(kept, built)


def _follow(
    index: Index,
    ledger: LedgerReader,
    progress: Progress,
    stop: Callable[[], bool],
    to_height: int | None,
) -> int:
    applied = contradictions = 0
    while not stop():
        tip = _agreed_tip(index, ledger)
        end = _end(ledger, to_height)
        if _height(tip) >= end.height:
            break
        batch = _next_blocks(ledger, tip, end.height)
        if batch:
            apply_blocks(index, ledger.info.id, batch)
            progress.advance(len(batch))
            applied += len(batch)
            contradictions = 0
            continue
        contradictions += 1
        if contradictions == _MAX_CONTRADICTIONS:
            msg = (
                f"the ledger's block {_height(tip) + 1} does not follow the one before"
            )
            raise UnavailableError(msg, hint="look at the ledger's own log")
    return applied


def _agreed_tip(index: Index, ledger: LedgerReader) -> Tip | None:
    """The last block that both hold, after undoing what only the index holds."""
    with index.read() as connection:
        tip = find_tip(connection, ledger.info.id)
        if tip is None:
            return None
        agreed: Tip | None = None
        for height in range(min(tip.height, ledger.tip().height), -1, -1):
            hash_here = connection.scalars(
                select(blocks.c.hash).where(
                    blocks.c.ledger == ledger.info.id, blocks.c.height == height
                )
            ).one()
            if hash_here == _hash_at(ledger, height):
                agreed = Tip(height, BlockHash(hash_here))
                break
    if agreed != tip:
        rollback(index, ledger.info.id, _height(agreed))
    return agreed


def _next_blocks(
    ledger: LedgerReader, tip: Tip | None, last_height: int
) -> list[Block]:
    """Blocks that follow the tip and each other, as many as make one batch."""
    batch: list[Block] = []
    messages = size_bytes = 0
    for height in range(_height(tip) + 1, last_height + 1):
        try:
            block = ledger.block(height)
        except NotFoundError:
            break
        previous = batch[-1].hash if batch else (tip.hash if tip else block.previous)
        if block.previous != previous:
            break
        batch.append(block)
        messages += len(block.carried)
        size_bytes += sum(len(carried.data) for carried in block.carried)
        if (
            len(batch) >= MAX_BATCH_BLOCKS
            or messages >= MAX_BATCH_MESSAGES
            or size_bytes >= MAX_BATCH_BYTES
        ):
            break
    return batch


def _hash_at(ledger: LedgerReader, height: int) -> BlockHash | None:
    try:
        return ledger.block(height).hash
    except NotFoundError:
        return None


def _end(ledger: LedgerReader, to_height: int | None) -> Tip:
    tip = ledger.tip()
    if to_height is None or to_height >= tip.height:
        return tip
    return Tip(to_height, ledger.block(to_height).hash)


def _height(tip: Tip | None) -> int:
    return -1 if tip is None else tip.height


def _never() -> bool:
    return False


@contextlib.contextmanager
def _fresh(folder: Path, ledgers: Sequence[LedgerReader]) -> Iterator[Index]:
    """An empty index in a folder of its own, which goes when the block ends."""
    with (
        tempfile.TemporaryDirectory(prefix=".etdb-index-", dir=folder) as place,
        Index.create(
            Path(place) / "index.sqlite", [ledger.info for ledger in ledgers]
        ) as index,
    ):
        yield index
