"""Statements on their way: written down, sent, looked for, forgotten when done.

The order is the point. Every transaction of a group is signed and on disk
before the first is sent, and an entry leaves the journal only when the index
holds its digest under a content signature, deeper than the ledger can be
reorganised. So whatever stops the program, and whatever branch the ledger
takes, running it again ends with each statement on the ledger once.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from etdb.errors import ConflictError, NotAllowedError, UnavailableError
from etdb.identity import Address, Digest, Txid
from etdb.index.anchor import Statement, count_confirmations
from etdb.index.db import Index
from etdb.ledger.base import Ledger, SignedTransaction
from etdb.ledger.flo.fee import show_flo
from etdb.progress import Progress, Silent
from etdb.publish.compose import compose, plan_sizes
from etdb.publish.draft import Draft, Signed, sign
from etdb.publish.journal import Entry, Journal
from etdb.record.signing import PrivateKey

Writing = Callable[[str], contextlib.AbstractContextManager[None]]
"""Holds the node's write lock; the text says what for."""

_MAX_TRIES = 3


class Outcome(StrEnum):
    """What became of one statement."""

    PUBLISHED = "published"
    SENT = "sent"
    """On its way: the ledger took it, and no block holds it yet."""
    PRESENT = "present"
    """It was published before; nothing was sent."""


@dataclass(frozen=True)
class Published:
    """One statement of a run."""

    id: Digest
    """The record's; of a registration its own digest."""
    txid: Txid
    cid: str
    sid: str
    file_count: int
    parts: int
    outcome: Outcome
    action: str = "publish"


@dataclass(frozen=True)
class Outbox:
    """Sends statements of one address to one ledger; one at a time per node."""

    index: Index
    ledger: Ledger
    journal: Journal
    follow: Callable[[], object]
    """Brings the index to the ledger's tip."""
    writing: Writing
    address: Address
    key: PrivateKey | None = None
    """Needed to send, not to look."""
    clock: Callable[[], float] = time.time
    sleep: Callable[[float], None] = time.sleep
    confirmations: int = 1
    """Blocks from an anchor to the tip before a statement is reported as settled.

    1 where blocks stay (an embedded chain). Where they may be reorganised, the
    journal keeps what is settled until no reorganisation reaches it.
    """
    max_fee_factor: int = 10
    """How many times the fee that was agreed to may be paid where it rises."""
    max_group_messages: int = 500
    """Of those that are written down and sent at once; see also their bytes."""
    max_group_bytes: int = 4_000_000

    def find_open(self, sid: str) -> Entry | None:
        """What is on its way about a dataset of ours, if anything."""
        about = (entry for entry in self._own() if entry.sid == sid)
        return next(iter(self._on_its_way(about)), None)

    def list_about(self, record_id: str) -> list[Entry]:
        """What is on its way about a record."""
        return self._on_its_way(
            entry for entry in self._own() if entry.record_id == record_id
        )

    def list_open_sids(self) -> frozenset[str]:
        """The datasets of ours that something is on its way about."""
        return frozenset(entry.sid for entry in self._on_its_way(self._own()))

    def resume(self) -> list[Published]:
        """Read the ledger, then send again what the journal holds and it does not.

        What is settled, and still is, is not in the result. Raises ConflictError
        where something on its way was begun on another ledger.
        """
        entries = []
        for entry in self.journal.list_kept():
            if entry.ledger == self.ledger.info.id:
                entries.append(entry)
            elif not entry.is_settled:
                what = entry.sid or entry.action
                msg = f"{what} was begun on ledger {entry.ledger}, not on this one"
                raise ConflictError(msg, hint="finish it on that ledger first")
        self.follow()
        return self._finish(entries) if entries else []

    def say(
        self, drafts: Sequence[Draft], progress: Progress | None = None
    ) -> list[Published]:
        """Sign, write down and send, in groups; a result for each draft.

        `resume` comes first. Raises UnavailableError where ledger or disk
        refuse; what is in the journal then is finished by the next `resume`.
        """
        listener = progress or Silent()
        done: list[Published] = []
        listener.begin("sending", len(drafts), "messages")
        try:
            for group in self._groups(drafts):
                done += self._finish(self._open(group))
                listener.advance(len(group))
        finally:
            listener.end()
        return done

    def wait(
        self, progress: Progress | None = None, *, poll_s: float = 10.0
    ) -> list[Published]:
        """Resume with each new block until nothing is on its way; what was.

        Raises what `resume` raises.
        """
        listener = progress or Silent()
        last: dict[tuple[str, Digest], Published] = {}
        waiting = len(self.journal.list_open())
        listener.begin("waiting for blocks", waiting, "records")
        try:
            while waiting:
                tip = self.ledger.tip()
                for one in self.resume():
                    last[one.action, one.id] = one
                left = len(self.journal.list_open())
                listener.advance(max(0, waiting - left))
                waiting = left
                while waiting and self.ledger.tip() == tip:
                    self.sleep(poll_s)
        finally:
            listener.end()
        return list(last.values())

    def _own(self) -> Iterator[Entry]:
        for entry in self.journal.list_kept():
            if entry.address == self.address:
                yield entry

    def _on_its_way(self, entries: Iterable[Entry]) -> list[Entry]:
        """Those not settled, or that the index as it is now does not hold."""
        found = list(entries)
        depths = self._confirmations([entry for entry in found if entry.is_settled])
        return [
            entry
            for entry in found
            if not entry.is_settled
            or (entry.ledger == self.ledger.info.id and entry.key not in depths)
        ]

    def _groups(self, drafts: Sequence[Draft]) -> Iterator[list[Signed]]:
        """Signed drafts, as many as are written down and sent at once."""
        group: list[Signed] = []
        size_bytes = 0
        for draft in drafts:
            signed = sign(draft, self.clock(), self._required_key())
            size_bytes += len(signed.text)
            is_many = len(group) == self.max_group_messages
            is_full = is_many or size_bytes > self.max_group_bytes
            if group and is_full:
                yield group
                group, size_bytes = [], len(signed.text)
            group.append(signed)
        if group:
            yield group

    def _open(self, group: Sequence[Signed]) -> list[Entry]:
        """Journal entries with every transaction signed; nothing is sent."""
        self.ledger.prepare(
            [size for one in group for size in plan_sizes(one.text, self.address)]
        )
        first = self._next_position()
        entries = [
            self._entry(signed, first + number) for number, signed in enumerate(group)
        ]
        self.journal.open(entries)
        return entries

    def _entry(self, signed: Signed, position: int) -> Entry:
        draft = signed.draft
        is_root = draft.action == "publish"
        return Entry(
            ledger=self.ledger.info.id,
            timestamp=signed.timestamp,
            position=position,
            action=draft.action,
            digest=signed.digest,
            record_id=signed.digest if is_root else draft.record_id,
            address=self.address,
            sid=draft.sid,
            cid=draft.cid,
            file_count=draft.file_count,
            text=signed.text,
            transactions=self._compose(signed.text),
        )

    def _compose(self, text: str) -> tuple[SignedTransaction, ...]:
        return compose(text, self.address, self._required_key(), self.ledger)

    def _finish(self, entries: Sequence[Entry]) -> list[Published]:
        """Send what is not in the index, follow, and mark or close what is."""
        depths = self._confirmations(entries)
        is_old = {e.key for e in entries if e.is_settled and e.key in depths}
        waiting = [
            replace(entry, is_settled=False)
            for entry in entries
            if entry.key not in depths
        ]
        if waiting:
            # A reorganisation may have taken back what was settled.
            self.journal.mark(waiting)
            with _saying_what_is_kept():
                resent = {entry.key: entry for entry in self._send(waiting)}
                entries = [resent.get(entry.key, entry) for entry in entries]
                self.follow()
            depths = self._confirmations(entries)
        return [
            published(entry, entry.key in depths)
            for entry in self._settle(entries, depths)
            if not (entry.is_settled and entry.key in is_old)
        ]

    def _settle(
        self, entries: Sequence[Entry], depths: Mapping[Statement, int]
    ) -> list[Entry]:
        """Mark what is deep enough to be reported; close what cannot be undone."""
        marked = [
            replace(entry, is_settled=depths.get(entry.key, 0) >= self.confirmations)
            for entry in entries
        ]
        final = self._final_depth()
        closed = [entry for entry in marked if depths.get(entry.key, 0) >= final]
        if closed:
            self.journal.close(closed)
        self.journal.mark(marked)
        return marked

    def _final_depth(self) -> int:
        """Blocks from an anchor to the tip that no reorganisation goes through.

        A ledger that names no limit is one that stays, like an embedded chain.
        """
        limit = self.ledger.info.max_reorg_blocks
        return max(self.confirmations, 0 if limit is None else limit + 1)

    def _confirmations(self, entries: Sequence[Entry]) -> dict[Statement, int]:
        statements = [entry.key for entry in entries]
        return count_confirmations(self.index, self.ledger.info.id, statements)

    def _send(self, entries: Sequence[Entry]) -> list[Entry]:
        """Hand over a group; the entries, some of them composed anew."""
        if self._is_taken([tx for entry in entries for tx in entry.transactions]):
            return list(entries)
        return [self._send_alone(entry) for entry in entries]

    def _send_alone(self, entry: Entry) -> Entry:
        """Send one statement, composed anew where it must be.

        Somebody changed the form of a transaction of ours on its way, another
        copy of the wallet spent the coin, or the fee became too low. What is
        said, and its digest and signature, stay the same, so that it counts
        once (PROTOCOL R2).
        """
        for _ in range(_MAX_TRIES):
            if self._is_taken(entry.transactions):
                return entry
            self.follow()
            if self._confirmations([entry]):
                return entry
            sizes = plan_sizes(entry.text, self.address)
            self._verify_fee(entry, sum(map(self.ledger.fee_sat, sizes)))
            self.ledger.prepare(sizes)
            entry = replace(
                entry,
                begun_sat=entry.agreed_sat,
                transactions=self._compose(entry.text),
                position=self._next_position(),
            )
            self.journal.replace(entry)
        msg = f"the coins of {entry.sid or entry.action} are spent again and again"
        raise ConflictError(
            msg, hint="is this wallet used elsewhere? then: etdb publish --resume"
        )

    def _verify_fee(self, entry: Entry, asked_sat: int) -> None:
        agreed_sat = entry.agreed_sat
        if asked_sat <= self.max_fee_factor * agreed_sat:
            return
        msg = (
            f"the fee for {entry.sid or entry.action} is {show_flo(asked_sat)} by now,"
            f" and was {show_flo(agreed_sat)} when it was begun"
        )
        raise UnavailableError(
            msg,
            hint="repeat it when the ledger asks for less: etdb publish --resume;"
            f" up to {self.max_fee_factor} times as much is paid, by the setting"
            " ledger.max_fee_factor",
            asked_sat=asked_sat,
            agreed_sat=agreed_sat,
        )

    def _is_taken(self, transactions: Sequence[SignedTransaction]) -> bool:
        """Send; False where some must be composed anew."""
        with self.writing("publishing"):
            # Only the ledger's own: a lock that is held is a conflict too.
            try:
                self.ledger.send(transactions)
            except ConflictError:
                return False
        return True

    def _next_position(self) -> int:
        kept = self.journal.list_kept()
        return kept[-1].position + 1 if kept else 0

    def _required_key(self) -> PrivateKey:
        if self.key is None:
            msg = "a publisher without its key can plan, not publish"
            raise RuntimeError(msg)
        return self.key


def published(entry: Entry, is_anchored: bool) -> Published:
    """An entry as the result of a run."""
    return Published(
        id=Digest(entry.record_id or entry.digest),
        txid=entry.txid,
        cid=entry.cid,
        sid=entry.sid,
        file_count=entry.file_count,
        parts=len(entry.transactions),
        outcome=Outcome.PUBLISHED if is_anchored else Outcome.SENT,
        action=entry.action,
    )


@contextlib.contextmanager
def _saying_what_is_kept() -> Iterator[None]:
    """Who cannot be served now need not sign again."""
    try:
        yield
    except (NotAllowedError, UnavailableError) as exc:
        kept = "what is signed is kept: `etdb publish --resume` finishes it"
        if "--resume" not in exc.hint:
            exc.hint = f"{exc.hint}; {kept}" if exc.hint else kept
        raise
