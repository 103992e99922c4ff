"""Publishing: dataset → CIDs → artifact → signatures → parts → journal → ledger.

The order is the point. Every transaction of a run is signed and on disk before
the first is sent, a run is sent as one group, and an entry leaves the journal
only when the index holds its digest. So whatever stops the program, running it
again ends with each record on the ledger exactly once.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

from etdb.errors import ConflictError, InvalidDataError, NotFoundError
from etdb.identity import Address, Digest, Txid
from etdb.index import queries
from etdb.index.db import Index
from etdb.lab.folder import Dataset, LabFile
from etdb.ledger.base import Ledger, SignedTransaction
from etdb.progress import Progress, Silent
from etdb.publish.artifact import Artifact, Hashed, build_artifact, list_changes
from etdb.publish.journal import Entry, Journal
from etdb.publish.picture import make_key_images
from etdb.publish.plan import (
    Plan,
    PlanState,
    estimate_cost,
    verify_complete,
    verify_distinct,
    verify_publishable,
)
from etdb.record.canonical import digest_of
from etdb.record.model import Role
from etdb.record.oip042 import arrange, wrap_publish
from etdb.record.parts import encode_part, plan_chunks
from etdb.record.signing import PrivateKey, sign_body
from etdb.store.inplace import Added, InPlaceStore, Tree

__all__ = ["Outcome", "Plan", "PlanState", "Published", "Publisher"]

Writing = Callable[[str], contextlib.AbstractContextManager[None]]
"""Holds the node's write lock; the text says what for."""


class Outcome(StrEnum):
    """What became of one publication."""

    PUBLISHED = "published"
    SENT = "sent"
    """On its way: the ledger took it, and no block holds it yet."""
    PRESENT = "present"
    """It was published before; nothing was sent."""


@dataclass(frozen=True)
class Published:
    """One record of a run."""

    id: Digest
    txid: Txid
    cid: str
    sid: str
    files: int
    parts: int
    outcome: Outcome


@dataclass(frozen=True)
class Publisher:
    """Publishes under one address. One at a time per node: the caller's lock."""

    index: Index
    ledger: Ledger
    store: InPlaceStore
    journal: Journal
    derived: Path
    """The folder that key images are kept in."""
    address: Address
    follow: Callable[[], object]
    """Brings the index to the ledger's tip."""
    writing: Writing
    key: PrivateKey | None = None
    """Needed to publish, not to plan."""
    clock: Callable[[], float] = time.time
    threads: int = 2
    """How many threads hash files."""

    def plan(self, dataset: Dataset, progress: Progress | None = None) -> Plan:
        """Hash a dataset where it lies and compare it with what is published.

        Signs and sends nothing. Raises InvalidRecordError listing all missing
        fields, and what the store raises for files that cannot be hashed.
        """
        verify_complete(dataset)
        self.follow()
        lab = {file.name: file for file in dataset.files}
        tree = self._add(lab, progress or Silent())
        made, warnings = self._make_pictures(dataset, tree)
        if made:
            lab |= {file.name: file for file in made}
            tree = self._add(lab, Silent())
        hashed = [_hashed(file, tree.files[name]) for name, file in lab.items()]
        artifact = build_artifact(dataset, hashed, tree.root, self.address)
        cost = estimate_cost(artifact, int(self.clock()), self.ledger.fee_sat)
        plan = Plan(
            dataset=dataset,
            artifact=artifact,
            cids={name: added.cid for name, added in tree.files.items()},
            cid=tree.root,
            parts=cost.parts,
            fee_sat=cost.fee_sat,
            state=PlanState.NEW,
            existing=None,
            changes=(),
            warnings=(*dataset.warnings, *warnings),
        )
        return self._compared(plan)

    def publish(
        self, plans: Sequence[Plan], progress: Progress | None = None
    ) -> list[Published]:
        """Publish what is new, as one commit group; a result for each plan.

        What an earlier run left open is finished first. Raises ConflictError,
        with nothing sent, where two plans have one id, a published dataset has
        changed, or a file is not what was planned; UnavailableError where
        ledger or disk refuse: then the next run goes on.
        """
        verify_distinct([plan.dataset for plan in plans])
        self.resume()
        plans = [self._compared(plan) for plan in plans]
        verify_publishable(plans)
        new = [plan for plan in plans if plan.state is PlanState.NEW]
        self._verify_files(new)
        entries = self._sign(new, progress or Silent())
        for entry in entries:
            self.journal.open(entry)
        done = {one.sid: one for one in self._finish(entries)}
        return [done.get(plan.dataset.sid) or _present(plan) for plan in plans]

    def resume(self) -> list[Published]:
        """Finish what the journal holds; nothing where it is empty.

        Raises ConflictError where it was begun on another ledger.
        """
        entries = self.journal.list_open()
        for entry in entries:
            if entry.ledger != self.ledger.info.id:
                msg = f"{entry.sid} was begun on ledger {entry.ledger}, not on this one"
                raise ConflictError(msg, hint="finish it on that ledger first")
        if not entries:
            return []
        self.follow()
        return self._finish(entries)

    def _finish(self, entries: Sequence[Entry]) -> list[Published]:
        """Send what is not in the index, follow, and close what then is."""
        waiting = [entry for entry in entries if not self._is_anchored(entry)]
        if waiting:
            with self.writing("publishing"):
                self.ledger.send([tx for entry in waiting for tx in entry.transactions])
            self.follow()
        return [self._close(entry) for entry in entries]

    def _close(self, entry: Entry) -> Published:
        is_anchored = self._is_anchored(entry)
        if is_anchored:
            self.journal.close(entry)
        return Published(
            id=entry.digest,
            txid=entry.txid,
            cid=entry.cid,
            sid=entry.sid,
            files=entry.files,
            parts=len(entry.transactions),
            outcome=Outcome.PUBLISHED if is_anchored else Outcome.SENT,
        )

    def _is_anchored(self, entry: Entry) -> bool:
        try:
            queries.get_text(self.index, entry.digest)
        except NotFoundError:
            return False
        return True

    def _compared(self, plan: Plan) -> Plan:
        """The plan in the light of the index as it is now."""
        record = queries.find_by_sid(self.index, self.address, plan.dataset.sid)
        if record is None:
            return replace(plan, state=PlanState.NEW, existing=None, changes=())
        changes = tuple(list_changes(record["artifact"], plan.artifact))
        state = PlanState.CHANGED if changes else PlanState.UNCHANGED
        return replace(plan, state=state, existing=record, changes=changes)

    def _add(self, files: dict[str, LabFile], progress: Progress) -> Tree:
        paths = {name: file.path for name, file in files.items()}
        return self.store.add_tree(paths, threads=self.threads, progress=progress)

    def _make_pictures(
        self, dataset: Dataset, tree: Tree
    ) -> tuple[tuple[LabFile, ...], tuple[str, ...]]:
        """(key images to link in, warnings); none where the lab has its own."""
        volume = next(
            (file for file in dataset.files if file.path == dataset.key_volume), None
        )
        has_own = any(
            file.role in (Role.KEYIMG, Role.THUMBNAIL) for file in dataset.files
        )
        if volume is None or has_own:
            return (), ()
        cid = tree.files[volume.name].cid
        try:
            return make_key_images(volume, cid, dataset.sid, self.derived), ()
        except InvalidDataError as exc:
            return (), (f"{volume.name}: no key image: {exc.message}",)

    def _verify_files(self, plans: Sequence[Plan]) -> None:
        """What is signed must be there: files may have changed since the plan."""
        for plan in plans:
            for name, cid in plan.cids.items():
                if self.store.path_of(cid) is None:
                    msg = f"{name} of {plan.dataset.sid} changed since it was planned"
                    raise ConflictError(
                        msg, hint="repeat the command when nothing writes to it"
                    )

    def _sign(self, plans: Sequence[Plan], progress: Progress) -> list[Entry]:
        """Journal entries with every transaction signed; nothing is written."""
        if not plans:
            return []
        timestamp = int(self.clock())
        progress.begin("signing", sum(plan.parts for plan in plans), "parts")
        try:
            return [
                self._entry(plan, timestamp, position, progress)
                for position, plan in enumerate(plans)
            ]
        finally:
            progress.end()

    def _entry(
        self, plan: Plan, timestamp: int, position: int, progress: Progress
    ) -> Entry:
        key = self._required_key()
        unsigned = arrange(plan.artifact | {"timestamp": timestamp})
        signed: Artifact = arrange(sign_body("publish", unsigned, key))
        chunks = plan_chunks(wrap_publish(signed))
        transactions: list[SignedTransaction] = []
        for index, chunk in enumerate(chunks):
            reference = transactions[0].txid if index else ""
            text = chunk
            if len(chunks) > 1:
                last = len(chunks) - 1
                text = encode_part(index, last, self.address, reference, chunk, key)
            transactions.append(self.ledger.compose(text.encode()))
            progress.advance(1)
        return Entry(
            ledger=self.ledger.info.id,
            timestamp=timestamp,
            position=position,
            digest=digest_of("publish", signed),
            address=self.address,
            sid=plan.dataset.sid,
            cid=str(plan.cid),
            files=len(plan.cids),
            transactions=tuple(transactions),
        )

    def _required_key(self) -> PrivateKey:
        if self.key is None:
            msg = "a publisher without its key can plan, not publish"
            raise RuntimeError(msg)
        return self.key


def _hashed(file: LabFile, added: Added) -> Hashed:
    """The file with the size that was hashed, whatever it was when listed."""
    return Hashed(replace(file, size_bytes=added.size_bytes), added.cid)


def _present(plan: Plan) -> Published:
    assert plan.existing is not None, "neither new nor published"
    record = plan.existing
    return Published(
        id=record["id"],
        txid=record["txid"],
        cid=record["cid"],
        sid=plan.dataset.sid,
        files=record["file_count"],
        parts=len(plan_chunks(record["text"])),
        outcome=Outcome.PRESENT,
    )
