"""Keep an index at the tip of its ledgers; build and compare whole ones.

Going forward and going back are each one transaction, so that a reader always
sees the state at some block of the ledger.
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NoReturn

from etdb.errors import ConflictError, NotFoundError, UnavailableError
from etdb.identity import BlockHash
from etdb.index.apply import apply_blocks, rollback
from etdb.index.db import Index, find_held, find_tip, replace_index, verify_file
from etdb.index.dump import list_differences
from etdb.index.reading import ReadBlock, read_block
from etdb.ledger.base import Block, LedgerInfo, LedgerReader, Tip
from etdb.progress import Progress, Silent

MAX_BATCH_BLOCKS = 1_000
MAX_BATCH_MESSAGES = 8_000
MAX_BATCH_BYTES = 8 * 1024 * 1024

Writing = Callable[[], contextlib.AbstractContextManager[None]]
"""Holds whatever lock writers of the index share, for one transaction."""

_MAX_CONTRADICTIONS = 3
_SILENT = Silent()


def follow(
    index: Index,
    ledger: LedgerReader,
    *,
    progress: Progress = _SILENT,
    stop: Callable[[], bool] | None = None,
    to_height: int | None = None,
    writing: Writing = contextlib.nullcontext,
) -> int:
    """Bring the index to the ledger's tip; how many blocks were applied.

    Blocks that the ledger no longer holds are undone first. Ends early, at
    some block, when `stop` says so, which is asked between batches; the next
    call goes on from there. `writing` is held for one batch at a time, and
    another process may apply blocks in between.

    Raises UnavailableError, also where the ledger contradicts itself, and
    ConflictError where more blocks are gone than its network undoes: then
    nothing was changed, and `facts` say at which `height` the index has which
    block (`here`), the ledger which (`there`), and the `depth`, at least.
    """
    with index.read() as connection:
        tip = find_tip(connection, ledger.info.id)
    end = _end(ledger, to_height)
    if tip == end:
        return 0
    total = max(0, end.height - _height(tip, ledger.info))
    progress.begin("following", total, "blocks")
    try:
        follower = _Follower(index, ledger, progress, stop or _never, writing)
        return follower.run(to_height)
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


def verify_branch(index: Index, ledger: LedgerReader) -> None:
    """Whether `follow` could go on; nothing is written. Raises as it does."""
    _Follower(index, ledger, _SILENT, _never, contextlib.nullcontext).find_agreed()


class _Follower:
    """One call of `follow`."""

    def __init__(
        self,
        index: Index,
        ledger: LedgerReader,
        progress: Progress,
        stop: Callable[[], bool],
        writing: Writing,
    ) -> None:
        self._index = index
        self._ledger = ledger
        self._info = ledger.info
        self._progress = progress
        self._stop = stop
        self._writing = writing
        self._applied = 0
        self._is_stopped = False

    def run(self, to_height: int | None) -> int:
        """Apply blocks up to a height or the tip; how many."""
        highest = _height(self._tip(), self._info)
        contradictions = 0
        while not self._is_stopped:
            tip = self._step_back()
            end = _end(self._ledger, to_height)
            if _height(tip, self._info) >= end.height:
                break
            self._read_on(tip, end.height)
            reached = _height(self._tip(), self._info)
            contradictions = 0 if reached > highest else contradictions + 1
            highest = max(highest, reached)
            if contradictions == _MAX_CONTRADICTIONS:
                msg = f"the ledger's block {reached + 1} does not follow the one before"
                raise UnavailableError(msg, hint="look at the ledger's own log")
        return self._applied

    def find_agreed(self) -> Tip | None:
        """The last block that both hold; raises where that is too far back."""
        return self._agreed(self._tip())

    def _read_on(self, tip: Tip | None, last_height: int) -> None:
        """Apply batches for as long as they follow each other and the index."""
        for batch in _batches(self._ledger, tip, last_height):
            if self._stop():
                self._is_stopped = True
                return
            with self._writing():
                if self._tip() != tip:
                    return
                apply_blocks(self._index, self._info.id, batch)
            self._progress.advance(len(batch))
            self._applied += len(batch)
            last = batch[-1].block
            tip = Tip(last.height, last.hash)

    def _step_back(self) -> Tip | None:
        """The last block that both hold, after undoing what only the index holds."""
        while True:
            tip = self._tip()
            agreed = self._agreed(tip)
            if agreed == tip:
                return tip
            with self._writing():
                if self._tip() == tip:
                    rollback(self._index, self._info.id, _height(agreed, self._info))
                    return agreed

    def _agreed(self, tip: Tip | None) -> Tip | None:
        """The last block up to the index's tip that the ledger holds too.

        Raises ConflictError and UnavailableError where that is too far back.
        """
        if tip is None:
            return None
        limit = self._info.max_reorg_blocks
        before = self._info.first_height - 1
        lowest = before if limit is None else tip.height - limit
        end = self._ledger.tip().height
        if end < lowest:
            self._refuse_shorter(tip, end)
        held = self._held(min(tip.height, end))
        while held is not None:
            there = self._ledger.find_hash(held.height)
            if there == held.hash:
                return held
            below = self._held(held.height - 1)
            if (before if below is None else below.height) < lowest:
                self._refuse_deeper(tip, held, there)
            held = below
        return None

    def _refuse_shorter(self, tip: Tip, end: int) -> NoReturn:
        """The ledger ends further back than it may be undone."""
        held = self._held(end)
        there = None if held is None else self._ledger.find_hash(held.height)
        if held is not None and there != held.hash:
            self._refuse_deeper(tip, held, there)
        msg = (
            f"{self._name()} ends at block {end}, and block {tip.height} was read "
            "from it before"
        )
        hint = "wait until it has read its network's blocks again"
        raise UnavailableError(msg, hint=hint, height=end, read=tip.height)

    def _refuse_deeper(self, tip: Tip, held: Tip, there: BlockHash | None) -> NoReturn:
        if there is None:
            msg = f"{self._name()} does not give its block {held.height}"
            raise UnavailableError(msg, height=held.height)
        msg = (
            f"{self._name()} is on another branch, more than "
            f"{self._info.max_reorg_blocks} blocks deep: at height {held.height} it "
            f"has block {there}, and the index has {held.hash}; nothing was undone"
        )
        raise ConflictError(
            msg,
            hint="where the ledger's branch is the right one, accept it with "
            "`etdb index rebuild`",
            height=held.height,
            here=held.hash,
            there=there,
            depth=tip.height - held.height + 1,
        )

    def _name(self) -> str:
        return f"the ledger {self._info.kind.value} {self._info.id[:16]}"

    def _tip(self) -> Tip | None:
        with self._index.read() as connection:
            return find_tip(connection, self._info.id)

    def _held(self, height: int) -> Tip | None:
        with self._index.read() as connection:
            return find_held(connection, self._info.id, height)


def _batches(
    ledger: LedgerReader, tip: Tip | None, last_height: int
) -> Iterator[list[ReadBlock]]:
    """Blocks that follow the tip and each other, as many at once as one batch."""
    batch: list[ReadBlock] = []
    messages = size_bytes = 0
    for block in _following(ledger, tip, last_height):
        batch.append(read_block(ledger.info, block))
        messages += len(block.carried)
        size_bytes += sum(len(carried.data) for carried in block.carried)
        if (
            len(batch) >= MAX_BATCH_BLOCKS
            or messages >= MAX_BATCH_MESSAGES
            or size_bytes >= MAX_BATCH_BYTES
        ):
            yield batch
            batch, messages, size_bytes = [], 0, 0
    if batch:
        yield batch


def _following(
    ledger: LedgerReader, tip: Tip | None, last_height: int
) -> Iterator[Block]:
    """The ledger's blocks after a tip, until one does not follow the other."""
    first = _height(tip, ledger.info) + 1
    previous = None if tip is None else tip.hash
    with contextlib.suppress(NotFoundError):
        for height, block in enumerate(ledger.iter_blocks(first, last_height), first):
            is_next = previous is None or block.previous == previous
            if block.height != height or not is_next:
                return
            yield block
            previous = block.hash


def _end(ledger: LedgerReader, to_height: int | None) -> Tip:
    tip = ledger.tip()
    if to_height is None or to_height >= tip.height:
        return tip
    there = ledger.find_hash(to_height)
    if there is None:
        raise NotFoundError("block at height", to_height)
    return Tip(to_height, there)


def _height(tip: Tip | None, info: LedgerInfo) -> int:
    return info.first_height - 1 if tip is None else tip.height


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
