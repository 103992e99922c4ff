"""Who fetches what next: the work of one transfer, shared among its sources.

Book-keeping behind one lock. What takes time is done outside of it: the next
task is taken from an iterator that may fetch blocks, and whoever is told that a
range is over ends it on disk. Ranges wait in one queue, so that each source
gets as much as it can give. Where the
queue is empty, an idle source takes over the later half of what a slower one
still holds: whichever answer is verified first counts.

A source that sends what it was not asked for is dropped for good. One that fails rests
for longer each time. A range is given up when nobody is left who might give it.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from etdb.client.partial import PartialFile
from etdb.client.sources import Range, Source
from etdb.errors import (
    ContentMismatchError,
    EtdbError,
    InvalidDataError,
    UnavailableError,
)
from etdb.identity import CID
from etdb.store.verified import Chunk

REST_S = 30.0
"""The longest pause of a source that failed again and again."""
WATCH_S = 0.1
"""How often an idle source looks whether another has become slow."""
SETTLED_S = 0.25
"""How long a range must run before its own rate says more than earlier ones."""
SILENT_S = 1.0
"""How long a range may give nothing before another source is asked for it too."""
QUEUED = 64
"""Ranges are planned ahead up to this many."""


@dataclass(eq=False)
class Member:
    """How one source is doing."""

    source: Source
    given_bytes: int = 0
    rate_bytes_s: float = 0.0
    """Of one connection, lately; 0 is not known."""
    failures: int = 0
    """In a row."""
    failed_at_s: float = 0.0
    ready_at_s: float = 0.0
    error: EtdbError | None = None
    """The last one, unless it has given something right since."""
    dropped: EtdbError | None = None
    """Why it is not asked again in this transfer."""
    lacks: dict[CID, EtdbError] = field(default_factory=dict)

    @property
    def is_well(self) -> bool:
        """Whether it may be hoped for."""
        return self.dropped is None and self.failures < self.source.limits.attempts

    def may_give(self, cid: CID) -> bool:
        """Whether it may be asked for a file."""
        return self.dropped is None and cid not in self.lacks

    def rest(self, error: UnavailableError, asked_s: float) -> None:
        """It failed: not to be asked for a while, nor ever if it says so.

        What was asked for before it failed last fails with it: that is one failure,
        however many connections there were.
        """
        if asked_s < self.failed_at_s:
            return
        self.failed_at_s = time.monotonic()
        self.failures += 1
        limits = self.source.limits
        pause_s = limits.pause_s(error, self.failures)
        if pause_s is None and limits.is_sent_away(error):
            self.dropped = error
        self.ready_at_s = time.monotonic() + (REST_S if pause_s is None else pause_s)


@dataclass(eq=False)
class Task:
    """Some chunks of a file in order; none marks the file's end."""

    partial: PartialFile
    chunks: tuple[Chunk, ...]
    missing: dict[int, Chunk] = field(default_factory=dict)
    """By offset; right only once `is_restored`."""
    is_restored: bool = False
    jobs: list[Job] = field(default_factory=list)


@dataclass(eq=False)
class Job:
    """A member at work on (the rest of) a task."""

    member: Member
    task: Task
    chunks: tuple[Chunk, ...]
    started_s: float = field(default_factory=time.monotonic)
    given_bytes: int = 0
    arriving: Range | None = None

    def rate_bytes_s(self) -> float:
        """How fast it goes; from earlier jobs where this one has just begun."""
        elapsed_s = time.monotonic() - self.started_s
        if elapsed_s < SETTLED_S:
            return self.member.rate_bytes_s
        return self.given_bytes / elapsed_s

    def is_silent(self) -> bool:
        """Whether it has given nothing for so long that it may never do."""
        return not self.given_bytes and time.monotonic() - self.started_s > SILENT_S


class Share:
    """The queue, and who is at work on what."""

    def __init__(self, tasks: Iterator[Task], sources: Sequence[Source]) -> None:
        self.members = [Member(source) for source in sources]
        self._tasks = tasks
        self._changed = threading.Condition()
        self._queue: deque[Task] = deque()
        self._active: list[Task] = []
        self._ending = 0
        self._is_planning = False
        self._is_planned = False
        self._is_stopped = False

    @property
    def is_alone(self) -> bool:
        """Whether there is one source: it is waited for, not rested."""
        return len(self.members) == 1

    def wait(self) -> None:
        """Until everything is done or given up, or `stop` was called."""
        with self._changed:
            while not self._is_over():
                self._changed.wait(WATCH_S)

    def stop(self) -> None:
        """No job is handed out any more; those under way end at the next chunk."""
        with self._changed:
            self._is_stopped = True
            jobs = [job for task in self._active for job in task.jobs]
            self._changed.notify_all()
        _interrupt(jobs)

    def _is_over(self) -> bool:
        is_done = not (self._queue or self._active or self._ending or self._is_planning)
        return (
            self._is_stopped
            or (self._is_planned and is_done)
            or self._are_all_dropped()
        )

    def _are_all_dropped(self) -> bool:
        is_any_left = any(member.dropped is None for member in self.members)
        return not (is_any_left or self._ending or self._is_planning)

    def list_under_way(self) -> list[PartialFile]:
        """The files that somebody is at work on, each once."""
        with self._changed:
            return list(dict.fromkeys(task.partial for task in self._active))

    def next_for(self, member: Member) -> Job | None:
        """The member's next job, once there is one; None when all is over."""
        while True:
            with self._changed:
                if self._is_over() or member.dropped is not None:
                    self._changed.notify_all()
                    return None
                job = None if self._is_resting(member) else self._find_job(member)
                if job is not None:
                    return job
                if not self._may_plan(member):
                    self._changed.wait(WATCH_S)
                    continue
                self._is_planning = True
            self._plan()

    def _is_resting(self, member: Member) -> bool:
        """A member that is all but given up rests only while others are well."""
        if member.ready_at_s <= time.monotonic():
            return False
        return member.is_well or any(other.is_well for other in self.members)

    def _may_plan(self, member: Member) -> bool:
        return not (
            self._is_planned
            or self._is_planning
            or len(self._queue) >= QUEUED
            or self._is_resting(member)
        )

    def _plan(self) -> None:
        """One more task into the queue; may fetch blocks, so without the lock."""
        task = None
        try:
            task = next(self._tasks, None)
        finally:
            with self._changed:
                self._is_planning = False
                if task is None:
                    self._is_planned = True
                else:
                    self._queue.append(task)
                self._changed.notify_all()

    def _find_job(self, member: Member) -> Job | None:
        for task in self._queue:
            if member.may_give(task.partial.file.cid) or not task.chunks:
                self._queue.remove(task)
                self._active.append(task)
                chunks = tuple(task.missing.values()) or task.chunks
                return self._assign(member, task, chunks)
        return self._find_late(member) if self._is_planned else None

    def _assign(self, member: Member, task: Task, chunks: tuple[Chunk, ...]) -> Job:
        job = Job(member, task, chunks)
        task.jobs.append(job)
        return job

    def _find_late(self, member: Member) -> Job | None:
        """The later half of what will be ready last, if the member is faster."""
        latest_s, found = 0.0, None
        for task in self._active:
            if not self._may_help(member, task):
                continue
            rest = tuple(task.missing.values())
            half = rest[len(rest) // 2 :]
            rate = max(job.rate_bytes_s() for job in task.jobs)
            left_s = _seconds(rest, rate)
            own_s = _seconds(half, member.rate_bytes_s or rate)
            if not rate and all(job.is_silent() for job in task.jobs):
                own_s = 0.0  # nobody's rate is known, but one of them says nothing
            if len(rest) == 1:
                own_s *= 1.5
            if left_s > max(latest_s, own_s):
                latest_s, found = left_s, (task, half)
        return None if found is None else self._assign(member, *found)

    @staticmethod
    def _may_help(member: Member, task: Task) -> bool:
        return (
            task.is_restored
            and bool(task.missing and task.jobs)
            and member.may_give(task.partial.file.cid)
            and all(job.member is not member for job in task.jobs)
        )

    def restored(self, task: Task, missing: Sequence[Chunk]) -> None:
        """What of a task is not on disk already and must be fetched."""
        with self._changed:
            task.missing = {chunk.offset: chunk for chunk in missing}
            task.is_restored = True
            self._changed.notify_all()

    def is_wanted(self, job: Job, chunk: Chunk) -> bool:
        """Whether nobody else has brought the chunk, and the job may go on."""
        with self._changed:
            return chunk.offset in job.task.missing and not (
                self._is_stopped or job.member.dropped is not None
            )

    def took(self, job: Job, chunks: Sequence[Chunk]) -> int:
        """Verified chunks are written; how many bytes nobody else had brought."""
        with self._changed:
            member, missing = job.member, job.task.missing
            member.failures, member.error = 0, None
            first_bytes = 0
            for chunk in chunks:
                job.given_bytes += chunk.size
                if missing.pop(chunk.offset, None) is not None:
                    first_bytes += chunk.size
            if first_bytes:
                member.given_bytes += first_bytes
                job.task.partial.given_by(member.source.name, first_bytes)
            return first_bytes

    def end(
        self,
        job: Job,
        error: EtdbError | None = None,
        trouble: EtdbError | None = None,
    ) -> bool:
        """A job is over: by its source's `error`, by `trouble` here, or well.

        Whether its range is over, too: whoever is told so ends the range and
        calls `ended`, without which the transfer would wait for ever.
        """
        task, partial = job.task, job.task.partial
        with self._changed:
            task.jobs.remove(job)
            _note_rate(job)
            if error is not None and self._counts(job, error):
                self._judge(job, error)
            is_open = bool(task.missing) or not task.is_restored
            if trouble is not None and is_open:
                partial.fail(trouble)
            if partial.error is not None:
                task.missing.clear()
                is_open = False
            is_last = self._close(task, is_open=is_open)
            self._changed.notify_all()
        if is_last:
            _interrupt(task.jobs)
        return is_last

    def ended(self) -> None:
        """A range that was over is ended."""
        with self._changed:
            self._ending -= 1
            self._changed.notify_all()

    def _close(self, task: Task, *, is_open: bool) -> bool:
        """Out of the list of active tasks; whether the task is now over."""
        if task not in self._active or (is_open and task.jobs):
            return False
        self._active.remove(task)
        if is_open:
            self._queue.appendleft(task)
            return False
        self._ending += 1
        return True

    def _counts(self, job: Job, error: EtdbError) -> bool:
        """What breaks because it was no longer needed is nobody's fault."""
        is_lie = isinstance(error, ContentMismatchError)
        return not self._is_stopped and (is_lie or bool(job.task.missing))

    def _judge(self, job: Job, error: EtdbError) -> None:
        member, partial = job.member, job.task.partial
        member.error = error
        if self.is_alone:
            partial.fail(error)
            return
        cid = partial.file.cid
        if _is_lie(error):
            member.dropped = error
        elif isinstance(error, UnavailableError):
            member.rest(error, job.started_s)
        else:
            member.lacks[cid] = error
        if not any(one.is_well and one.may_give(cid) for one in self.members):
            partial.fail(error)


def _is_lie(error: EtdbError) -> bool:
    """Whether it sent what it was not asked for; a mere status is none."""
    is_odd = isinstance(error, InvalidDataError) and "status" not in error.facts
    return is_odd or isinstance(error, ContentMismatchError)


def _note_rate(job: Job) -> None:
    elapsed_s = time.monotonic() - job.started_s
    if job.given_bytes and elapsed_s > 0:
        rate = job.given_bytes / elapsed_s
        known = job.member.rate_bytes_s
        job.member.rate_bytes_s = (known + rate) / 2 if known else rate


def _interrupt(jobs: Sequence[Job]) -> None:
    for job in list(jobs):
        if job.arriving is not None:
            job.arriving.interrupt()


def _seconds(chunks: Sequence[Chunk], rate_bytes_s: float) -> float:
    size = sum(chunk.size for chunk in chunks)
    return size / rate_bytes_s if rate_bytes_s else float("inf")
