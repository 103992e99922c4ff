"""Threads that fill files from sources.

Each thread belongs to one source and draws what `Share` hands it. A chunk is
hashed in the buffer it arrived in and written only if it is right, both in
another thread while the next one arrives.
"""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

from etdb.client.content import is_raw, iter_file_chunks, verify_chunk, write_at
from etdb.client.dag import Dag
from etdb.client.look import FileLook, Look, SourceLook, SourceState
from etdb.client.partial import PartialFile, State
from etdb.client.settling import Settling
from etdb.client.share import Job, Member, Share, Task
from etdb.client.sources import Range, Source
from etdb.errors import ContentMismatchError, EtdbError, UnavailableError
from etdb.progress import Progress
from etdb.store.unixfs import MAX_BLOCK_BYTES
from etdb.store.verified import Chunk

RANGE_BYTES = 32 * 1024 * 1024
"""Asked for at once, at least, where there is one source."""
MAX_RANGE_BYTES = 128 * 1024 * 1024
RANGES = 8
"""Of a file from one source, between these bounds: a request has its price."""
SHARED_RANGE_BYTES = 4 * 1024 * 1024
"""Asked for at once where several sources share a file."""
WRAPPED_RANGE_BYTES = 1024 * 1024
"""Of chunks whose blocks are fetched when the range is planned."""
UNIT_BYTES = MAX_BLOCK_BYTES
"""Taken, hashed and written at once, where it arrives quickly: steps cost time."""
QUICK_S = 0.05
"""What arrived within this is no loss if it must be fetched again."""
MIN_HASHING = 2
"""Threads that hash and write; more where there are more connections."""
ABANDON_S = 1.0
"""How long an interrupted transfer waits for a thread before it leaves it."""


class Transfer:
    """One run over some files."""

    def __init__(
        self,
        dag: Dag,
        partials: Sequence[PartialFile],
        sources: Sequence[Source],
        progress: Progress,
        connections: int | None = None,
    ) -> None:
        """`connections`: to each source; else its own number, one if several."""
        self.dag = dag
        self.progress = progress
        self._partials = partials
        self._connections = connections
        self.share = Share(self._iter_tasks(), sources)
        self._crash: BaseException | None = None
        self.due: queue.SimpleQueue[PartialFile | None] = queue.SimpleQueue()
        """Files of which much was written, to be put on disk; None is the end."""

    def run(self) -> list[SourceLook]:
        """Return when every file is done or failed, or at once when interrupted."""
        members = [
            member
            for member in self.share.members
            for _ in range(self._threads(member))
        ]
        hashing = ThreadPoolExecutor(max(MIN_HASHING, len(members)), "etdb-hash")
        # Daemons: a server that never answers must not hold up the exit.
        threads = [
            threading.Thread(target=self._work, args=(member, hashing), daemon=True)
            for member in members
        ]
        syncing = threading.Thread(target=self._sync_due, daemon=True)
        syncing.start()
        try:
            for thread in threads:
                thread.start()
            self.share.wait()
        finally:
            self.due.put(None)
            self._leave([*threads, syncing])
            # An abandoned thread that finds no pool any more has not crashed.
            crash = self._crash
            hashing.shutdown(wait=False)
        if crash is not None:
            raise crash
        return self._conclude()

    def look(self) -> Look:
        """How far it is now; from any thread."""
        partials = self._partials
        return Look(
            total_bytes=sum(one.file.size_bytes for one in partials),
            found_bytes=sum(one.found_bytes for one in partials),
            fetched_bytes=sum(one.fetched_bytes for one in partials),
            files=len(partials),
            ended_files=sum(one.state is not State.WANTED for one in partials),
            under_way=tuple(
                FileLook(
                    one.file.name,
                    one.file.size_bytes,
                    one.found_bytes + one.fetched_bytes,
                )
                for one in self.share.list_under_way()
            ),
            sources=tuple(_result(member) for member in self.share.members),
        )

    def _threads(self, member: Member) -> int:
        if self._connections is not None:
            return self._connections
        return member.source.connections if self.share.is_alone else 1

    def _leave(self, threads: Sequence[threading.Thread]) -> None:
        """Whoever is still drawing what nobody needs is not waited for long."""
        self.share.stop()
        left_s = ABANDON_S
        for thread in threads:
            while thread.is_alive() and left_s > 0:
                thread.join(0.05)
                left_s -= 0.05

    def _conclude(self) -> list[SourceLook]:
        members = self.share.members
        errors = [one.dropped or one.error for one in members]
        error = next((one for one in errors if one is not None), None)
        for partial in self._partials:
            if partial.state is State.WANTED:
                partial.fail(error or UnavailableError("no source is left"))
        return [_result(member) for member in members]

    def _work(self, member: Member, hashing: ThreadPoolExecutor) -> None:
        worker = _Worker(self, member, Settling(hashing))
        try:
            while (job := self.share.next_for(member)) is not None:
                worker.do(job)
        except BaseException as exc:  # noqa: BLE001 - raised again by `run`
            self._crash = exc
            self.share.stop()

    def _sync_due(self) -> None:
        """Beside the workers: a disk takes its time."""
        while (partial := self.due.get()) is not None:
            partial.sync()

    def _iter_tasks(self) -> Iterator[Task]:
        for partial in self._partials:
            try:
                yield from self._iter_tasks_of(partial)
            except EtdbError as exc:
                partial.fail(exc)
            yield Task(partial, (), is_restored=True)

    def _iter_tasks_of(self, partial: PartialFile) -> Iterator[Task]:
        partial.create()
        chunks: list[Chunk] = []
        usual = range_bytes(partial.file.size_bytes, is_alone=self.share.is_alone)
        size = 0
        for chunk in iter_file_chunks(self.dag, partial.file):
            if partial.error is not None:
                return
            most = usual if is_raw(chunk) else WRAPPED_RANGE_BYTES
            if chunks and size + chunk.size > most:
                partial.add_range()
                yield Task(partial, tuple(chunks))
                chunks, size = [], 0
            chunks.append(chunk)
            size += chunk.size
        partial.add_range()
        yield Task(partial, tuple(chunks))


def range_bytes(file_bytes: int, *, is_alone: bool) -> int:
    """How much of a file to ask for at once, of its only source or of several."""
    if not is_alone:
        return SHARED_RANGE_BYTES
    return max(RANGE_BYTES, min(file_bytes // RANGES, MAX_RANGE_BYTES))


def _result(member: Member) -> SourceLook:
    name, given = member.source.name, member.given_bytes
    if member.dropped is not None:
        return SourceLook(name, given, SourceState.DROPPED, member.dropped)
    error = member.error or next(iter(list(member.lacks.values())), None)
    state = SourceState.OK if error is None else SourceState.FAILING
    return SourceLook(name, given, state, error)


class _Worker:
    """One thread's source, and its buffers."""

    def __init__(self, transfer: Transfer, member: Member, settling: Settling) -> None:
        self._dag = transfer.dag
        self._progress = transfer.progress
        self._share = transfer.share
        self._due = transfer.due
        self._source = member.source
        self._settling = settling

    def do(self, job: Job) -> None:
        """Every chunk of the job into its place, or why not to `Share`."""
        partial = job.task.partial
        error = trouble = None
        try:
            if job.chunks and partial.error is None:
                with partial.opened() as handle:
                    error = self._fill(job, handle)
                if partial.wrote(job.given_bytes):
                    self._due.put(partial)
        except EtdbError as exc:
            trouble = exc
        if self._share.end(job, error, trouble):
            try:
                partial.end_range()
            finally:
                self._share.ended()

    def _fill(self, job: Job, handle: int) -> EtdbError | None:
        """The error of the source, if it fails; raises those of the disk."""
        task = job.task
        chunks: Sequence[Chunk] = job.chunks
        if not task.is_restored:
            chunks = [
                chunk
                for chunk in chunks
                if not self._restore(task.partial, chunk, handle)
            ]
            self._share.restored(task, chunks)
        for run in _runs(chunks):
            error = self._draw(job, run, handle)
            if error is not None:
                return error
        return None

    def _restore(self, partial: PartialFile, chunk: Chunk, handle: int) -> bool:
        view = self._settling.buffer()[: chunk.size]
        is_there = partial.restore(self._dag, chunk, handle, view)
        if is_there:
            self._progress.advance(chunk.size)
        return is_there

    def _draw(self, job: Job, run: deque[Chunk], handle: int) -> EtdbError | None:
        """Take adjoining chunks until all are there or one fails."""
        start, stop = run[0].offset, run[-1].offset + run[-1].size
        arriving = self._source.open_range(
            job.task.partial.file.cid, start, stop, may_wait=self._share.is_alone
        )
        job.arriving = arriving
        error = None
        try:
            with contextlib.closing(arriving):
                self._receive(job, run, handle, arriving)
        except EtdbError as exc:
            error = exc
        finally:
            # Nothing is written by a handle that was closed.
            wrong = self._settling.drain()
        return wrong or error

    def _receive(
        self, job: Job, run: deque[Chunk], handle: int, arriving: Range
    ) -> None:
        is_quick = False
        while run:
            buffer = self._settling.buffer()
            if self._settling.has_failed or not self._share.is_wanted(job, run[0]):
                return
            unit = take_unit(run, UNIT_BYTES if is_quick else 0)
            view = buffer[: sum(chunk.size for chunk in unit)]
            begun_s = time.monotonic()
            arriving.fill(view)
            is_quick = time.monotonic() - begun_s < QUICK_S
            self._settling.submit(self._settle, job, unit, view, handle, arriving)
            if not job.member.given_bytes:
                # Of a liar nothing is taken after its first lie.
                self._settling.wait()

    def _settle(
        self,
        job: Job,
        unit: Sequence[Chunk],
        view: memoryview,
        handle: int,
        arriving: Range,
    ) -> EtdbError | None:
        """Write what is right; in another thread than it arrived in."""
        error, right = self._find_wrong(unit, view)
        if error is not None:
            arriving.interrupt()
        if right:
            # Should another have been first, these are the same bytes.
            stop = right[-1].offset + right[-1].size - unit[0].offset
            write_at(handle, view[:stop], unit[0].offset)
            self._progress.advance(self._share.took(job, right))
        return error

    def _find_wrong(
        self, unit: Sequence[Chunk], view: memoryview
    ) -> tuple[EtdbError | None, Sequence[Chunk]]:
        """The first error in adjoining chunks, and the chunks before it."""
        for number, chunk in enumerate(unit):
            start = chunk.offset - unit[0].offset
            data = view[start : start + chunk.size]
            try:
                verify_chunk(chunk, data, self._source.name)
            except ContentMismatchError as exc:
                return exc, unit[:number]
        return None, unit


def take_unit(run: deque[Chunk], most_bytes: int) -> list[Chunk]:
    """The first chunk, and those after it with which it is at most so large."""
    unit = [run.popleft()]
    size_bytes = unit[0].size
    while run and size_bytes + run[0].size <= most_bytes:
        size_bytes += run[0].size
        unit.append(run.popleft())
    return unit


def _runs(chunks: Sequence[Chunk]) -> Iterator[deque[Chunk]]:
    """Adjoining chunks together."""
    run: deque[Chunk] = deque()
    for chunk in chunks:
        if run and run[-1].offset + run[-1].size != chunk.offset:
            yield run
            run = deque()
        run.append(chunk)
    if run:
        yield run
