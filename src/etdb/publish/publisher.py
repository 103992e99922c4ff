"""Publishing: dataset → CIDs → artifact → signatures → parts → journal → ledger.

Deciding and doing are two steps: `plan…` hashes, compares and signs nothing;
what it returns can be shown before it is sent. Sending is the outbox's.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from etdb.errors import ConflictError, InvalidDataError
from etdb.identity import Address
from etdb.index import queries
from etdb.index.anchor import list_earlier_bodies, list_sids
from etdb.index.db import Index
from etdb.lab.folder import Dataset, LabFile
from etdb.ledger.base import Ledger
from etdb.progress import Progress, Silent
from etdb.publish.artifact import Artifact, Hashed, build_artifact, list_changes
from etdb.publish.compose import Cost
from etdb.publish.draft import Draft, draft_artifact, estimate_cost
from etdb.publish.journal import Journal
from etdb.publish.outbox import Outbox, Outcome, Published, Writing, published
from etdb.publish.picture import make_key_images
from etdb.publish.plan import Plan, PlanState, verify_complete, verify_distinct
from etdb.publish.proposal import (
    Proposal,
    Proposed,
    propose_edit,
    propose_registration,
    propose_version,
    propose_withdrawal,
    verify_editable,
)
from etdb.publish.revision import Changes, keep_heirs
from etdb.record.model import Role
from etdb.record.parts import plan_chunks
from etdb.record.signing import PrivateKey
from etdb.store.inplace import Added, InPlaceStore, Tree

__all__ = ["Outcome", "Plan", "PlanState", "Proposal", "Published", "Publisher"]


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
    sleep: Callable[[float], None] = time.sleep
    threads: int = 2
    """How many threads hash files."""
    confirmations: int = 1
    """Blocks from an anchor to the tip before a statement is reported as settled.

    1 where blocks stay (an embedded chain). Where they may be reorganised, the
    journal keeps what is settled until no reorganisation reaches it.
    """
    max_fee_factor: int = 10
    """How many times the fee that was agreed to may be paid where it rises."""

    @property
    def outbox(self) -> Outbox:
        """What is on its way, and what sends it."""
        return Outbox(
            index=self.index,
            ledger=self.ledger,
            journal=self.journal,
            follow=self.follow,
            writing=self.writing,
            address=self.address,
            key=self.key,
            clock=self.clock,
            sleep=self.sleep,
            confirmations=self.confirmations,
            max_fee_factor=self.max_fee_factor,
        )

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
        plan = Plan(
            dataset=dataset,
            artifact=build_artifact(dataset, hashed, tree.root, self.address),
            cids={name: added.cid for name, added in tree.files.items()},
            cid=tree.root,
            parts=0,
            fee_sat=0,
            state=PlanState.NEW,
            existing=None,
            changes=(),
            warnings=(*dataset.warnings, *warnings),
        )
        compared = self._compared(plan)
        cost = self._cost(self._draft(compared))
        return replace(compared, parts=cost.parts, fee_sat=cost.fee_sat)

    def publish(
        self, plans: Sequence[Plan], progress: Progress | None = None
    ) -> list[Published]:
        """Publish what is new, and edit what has changed; a result for each plan.

        What an earlier run left open is finished first; of what is on its way
        nothing is sent again. Raises ConflictError, with nothing new sent, where
        two plans have one id, a file is not what was planned, or a record is not
        what the plan shows; UnavailableError where ledger or disk refuse: then
        the next run goes on.
        """
        verify_distinct([plan.dataset for plan in plans])
        self.resume()
        compared = [self._compared(plan) for plan in plans]
        wanted = [
            plan
            for shown, plan in zip(plans, compared, strict=True)
            if _is_to_be_sent(shown, plan)
        ]
        self._verify_files(wanted)
        sent = self.outbox.say([self._draft(plan) for plan in wanted], progress)
        done = {one.sid: one for one in sent}
        return [
            done.get(plan.dataset.sid) or self._standing(plan.dataset.sid)
            for plan in compared
        ]

    def publish_artifacts(
        self, artifacts: Sequence[Artifact], progress: Progress | None = None
    ) -> list[Published]:
        """Publish many artifacts that are made already; a result for each.

        They are built like those of `plan`, with a `details.sid` and without
        timestamp and signatures, and need no files here. What is published
        under the same sid, or on its way, is left as it is. Raises ConflictError
        where two have one sid, and what `publish` raises.
        """
        drafts = [draft_artifact(artifact, self.address) for artifact in artifacts]
        if len({draft.sid for draft in drafts}) < len(drafts):
            msg = "two of the artifacts have the same sid"
            raise ConflictError(msg)
        self.resume()
        there = list_sids(self.index, self.address) | self.outbox.list_open_sids()
        new = [draft for draft in drafts if draft.sid not in there]
        done = {one.sid: one for one in self.outbox.say(new, progress)}
        return [done.get(draft.sid) or self._standing(draft.sid) for draft in drafts]

    def plan_edit(self, record_id: str, changes: Changes) -> Proposal:
        """Some fields of a record said otherwise: search word → value or None.

        Signs and sends nothing. Raises InvalidDataError for unknown fields and
        where nothing would change, NotAllowedError for a record that is not ours
        to edit, ConflictError for one that is withdrawn or has something on its
        way, NotFoundError.
        """
        self.follow()
        found = propose_edit(self.index, self.address, record_id, changes)
        return self._proposal(found)

    def plan_withdrawal(self, record_id: str, why: str) -> Proposal:
        """A record taken back for good, on every ledger.

        Signs and sends nothing. Raises NotAllowedError for a record that is not
        ours, ConflictError for one that is withdrawn or about to be,
        InvalidDataError without a reason, NotFoundError.
        """
        self.follow()
        found = propose_withdrawal(self.index, self.address, record_id, why)
        return self._proposal(found)

    def plan_register(
        self,
        alias: str,
        url: str | None = None,
        gateways: Sequence[str] | None = None,
    ) -> Proposal:
        """What our address says of itself: name, site, and who has its files.

        None leaves URL or gateways as they are; empty takes them away. Signs and
        sends nothing. Raises InvalidDataError for what cannot be said, and where
        nothing would change.
        """
        self.follow()
        return self._proposal(
            propose_registration(self.index, self.address, alias, url, gateways)
        )

    def send(self, proposal: Proposal, progress: Progress | None = None) -> Published:
        """Sign and send an edit, a withdrawal or a registration.

        What an earlier run left open is finished first. Raises ConflictError
        where that, or anybody else meanwhile, changed what the proposal is
        about, and UnavailableError as `publish` does.
        """
        self.resume()
        self._verify_current(proposal.draft)
        (done,) = self.outbox.say([proposal.draft], progress)
        return done

    def resume(self) -> list[Published]:
        """Finish what the journal holds, as far as the ledger has it.

        Raises ConflictError where it was begun on another ledger.
        """
        return self.outbox.resume()

    def wait(self, progress: Progress | None = None) -> list[Published]:
        """Wait for blocks until all that was sent is settled; what that was."""
        return self.outbox.wait(progress)

    def _proposal(self, found: Proposed) -> Proposal:
        draft, changes, title = found
        self._verify_alone(draft)
        return Proposal(draft, changes, title, self._cost(draft))

    def _cost(self, draft: Draft) -> Cost:
        return estimate_cost(draft, self.clock(), self.ledger.fee_sat)

    def _verify_alone(self, draft: Draft) -> None:
        """Nothing on its way makes the draft a repetition, or out of date."""
        for entry in self.outbox.list_about(draft.record):
            if draft.action != "deactivate" or entry.action == draft.action:
                what = draft.record[:12] or self.address
                msg = f"a message about {what} ({entry.action}) is on its way"
                raise ConflictError(
                    msg, hint="wait for its block: etdb publish --resume --wait"
                )

    def _verify_current(self, draft: Draft) -> None:
        self._verify_alone(draft)
        if draft.action == "register":
            return
        record = queries.get_record(self.index, draft.record)
        is_moved = draft.previous not in ("", record["versions"][-1]["id"])
        if is_moved or record["withdrawn"] is not None:
            msg = f"record {draft.record[:12]} is not any more what was shown"
            raise ConflictError(msg, hint="repeat the command and look again")

    def _compared(self, plan: Plan) -> Plan:
        """The plan in the light of index and journal as they are now."""
        record = queries.find_by_sid(self.index, self.address, plan.dataset.sid)
        found = replace(plan, state=PlanState.NEW, existing=record, changes=())
        if self.outbox.find_open(plan.dataset.sid) is not None:
            return replace(found, state=PlanState.SENT)
        if record is None:
            return found
        artifact = keep_heirs(plan.artifact, record["artifact"])
        changes = tuple(list_changes(record["artifact"], artifact))
        if not changes or self._was_said(record, artifact):
            return replace(found, state=PlanState.UNCHANGED)
        return replace(found, state=PlanState.CHANGED, changes=changes)

    def _was_said(self, record: Mapping[str, Any], artifact: Artifact) -> bool:
        """Whether an older version says the same, of the very same files.

        Then not the dataset has changed since it was published: the record was
        edited, which publishing the folder again must not take back.
        """
        return record["cid"] == artifact["storage"]["location"] and any(
            not list_changes(body, artifact)
            for body in list_earlier_bodies(self.index, record["id"])
        )

    def _draft(self, plan: Plan) -> Draft:
        if plan.state is PlanState.CHANGED and plan.existing is not None:
            verify_editable(self.index, plan.existing, self.address)
            artifact = plan.artifact
            draft, _, _ = propose_version(plan.existing, artifact, self.address)
            return draft
        return draft_artifact(plan.artifact, self.address)

    def _standing(self, sid: str) -> Published:
        """What stands already, or is on its way, under a lab's own id."""
        entry = self.outbox.find_open(sid)
        if entry is not None:
            return published(entry, is_anchored=False)
        record = queries.find_by_sid(self.index, self.address, sid)
        assert record is not None, "neither sent nor published"
        return Published(
            id=record["id"],
            txid=record["txid"],
            cid=record["cid"],
            sid=sid,
            files=record["file_count"],
            parts=len(plan_chunks(record["text"])),
            outcome=Outcome.PRESENT,
        )

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


def _is_to_be_sent(shown: Plan, now: Plan) -> bool:
    """Whether a plan is sent. Raises ConflictError where it is not as shown."""
    is_for_later = shown.state is PlanState.SENT and now.existing is not None
    if now.state not in (PlanState.NEW, PlanState.CHANGED) or is_for_later:
        return False
    if (now.state, now.changes) != (shown.state, shown.changes):
        msg = f"what is published of {now.dataset.sid} is not any more what was shown"
        raise ConflictError(msg, hint="repeat the command and look again")
    return True


def _hashed(file: LabFile, added: Added) -> Hashed:
    """The file with the size that was hashed, whatever it was when listed."""
    return Hashed(replace(file, size_bytes=added.size_bytes), added.cid)
