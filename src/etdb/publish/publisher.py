"""Publishing: dataset → CIDs → artifact → signatures → parts → journal → ledger.

Deciding and doing are two steps: `plan…` hashes, compares and signs nothing;
what it returns can be shown before it is sent. Sending is the outbox's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from etdb.errors import ConflictError, InvalidDataError
from etdb.identity import Address
from etdb.index import queries
from etdb.index.anchor import list_earlier_bodies, list_sids
from etdb.index.db import Index
from etdb.lab.folder import Dataset, LabFile
from etdb.progress import Progress, Silent
from etdb.publish.artifact import Artifact, Hashed, build_artifact, list_changes
from etdb.publish.compose import Cost
from etdb.publish.draft import Draft, draft_artifact, estimate_cost
from etdb.publish.journal import Entry
from etdb.publish.outbox import Outbox, Outcome, Published, published
from etdb.publish.picture import make_key_images
from etdb.publish.plan import (
    Comparison,
    Plan,
    PlanState,
    verify_complete,
    verify_distinct,
)
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
from etdb.store.inplace import Added, InPlaceStore, Tree

__all__ = ["Outcome", "Plan", "PlanState", "Proposal", "Published", "Publisher"]


@dataclass(frozen=True)
class Publisher:
    """Publishes under one address. One at a time per node: the caller's lock."""

    outbox: Outbox
    """What is on its way, and what sends it."""
    store: InPlaceStore
    derived: Path
    """The folder that key images are kept in."""
    threads: int = 2
    """How many threads hash files."""

    @property
    def index(self) -> Index:
        """What stands already."""
        return self.outbox.index

    @property
    def address(self) -> Address:
        """Under which it publishes."""
        return self.outbox.address

    def plan(self, dataset: Dataset, progress: Progress | None = None) -> Plan:
        """Hash a dataset where it lies and compare it with what is published.

        Signs and sends nothing. Raises InvalidRecordError listing all missing
        fields, and what the store raises for files that cannot be hashed.
        """
        verify_complete(dataset)
        self.outbox.follow()
        lab = {file.name: file for file in dataset.files}
        tree = self._add(lab, progress or Silent())
        made, warnings = self._make_pictures(dataset, tree)
        if made:
            lab |= {file.name: file for file in made}
            tree = self._add(lab, Silent())
        hashed = [_hashed(file, tree.files[name]) for name, file in lab.items()]
        artifact = build_artifact(dataset, hashed, tree.root, self.address)
        found = self._compare(dataset.sid, artifact)
        cost = self._cost(self._draft(artifact, found))
        return Plan(
            **vars(found),
            dataset=dataset,
            artifact=artifact,
            cids={name: added.cid for name, added in tree.files.items()},
            cid=tree.root,
            parts=cost.parts,
            fee_sat=cost.fee_sat,
            warnings=(*dataset.warnings, *warnings),
        )

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
        compared = [(p, self._compare(p.dataset.sid, p.artifact)) for p in plans]
        wanted = [(plan, now) for plan, now in compared if _is_to_be_sent(plan, now)]
        self._verify_files([plan for plan, _ in wanted])
        drafts = [self._draft(plan.artifact, now) for plan, now in wanted]
        sent = self.outbox.say(drafts, progress)
        done = {one.sid: one for one in sent}
        return [
            done.get(plan.dataset.sid) or self._standing(plan.dataset.sid)
            for plan in plans
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

        Signs and sends nothing. Raises InvalidDataError for unknown fields,
        NotAllowedError for a record that is not ours to edit, ConflictError for
        one that is withdrawn or has something on its way and where nothing would
        change, NotFoundError.
        """
        self.outbox.follow()
        found = propose_edit(self.index, self.address, record_id, changes)
        return self._proposal(found)

    def plan_withdrawal(self, record_id: str, why: str) -> Proposal:
        """A record taken back for good, on every ledger.

        Signs and sends nothing. Raises NotAllowedError for a record that is not
        ours, ConflictError for one that is withdrawn or about to be,
        InvalidDataError without a reason, NotFoundError.
        """
        self.outbox.follow()
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
        sends nothing. Raises InvalidDataError for what cannot be said,
        ConflictError where nothing would change.
        """
        self.outbox.follow()
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

    def list_open(self) -> list[Entry]:
        """What an earlier run left open, in the order it was begun."""
        return self.outbox.journal.list_open()

    def resume(self) -> list[Published]:
        """Finish what the journal holds, as far as the ledger has it.

        Raises ConflictError where it was begun on another ledger.
        """
        return self.outbox.resume()

    def wait(self, progress: Progress | None = None) -> list[Published]:
        """Wait for blocks until all that was sent is settled; what that was."""
        return self.outbox.wait(progress)

    def _proposal(self, found: Proposed) -> Proposal:
        self._verify_alone(found.draft)
        return Proposal(**vars(found), cost=self._cost(found.draft))

    def _cost(self, draft: Draft) -> Cost:
        return estimate_cost(draft, self.outbox.clock(), self.outbox.ledger.fee_sat)

    def _verify_alone(self, draft: Draft) -> None:
        """Nothing on its way makes the draft a repetition, or out of date."""
        for entry in self.outbox.list_about(draft.record_id):
            if draft.action != "deactivate" or entry.action == draft.action:
                what = draft.record_id[:12] or self.address
                msg = f"a message about {what} ({entry.action}) is on its way"
                raise ConflictError(
                    msg, hint="wait for its block: etdb publish --resume --wait"
                )

    def _verify_current(self, draft: Draft) -> None:
        self._verify_alone(draft)
        if draft.action == "register":
            return
        record = queries.get_record(self.index, draft.record_id)
        is_moved = draft.previous not in ("", record["versions"][-1]["id"])
        if is_moved or record["withdrawn"] is not None:
            msg = f"record {draft.record_id[:12]} is not any more what was shown"
            raise ConflictError(msg, hint="repeat the command and look again")

    def _compare(self, sid: str, artifact: Artifact) -> Comparison:
        """How a dataset's artifact stands to index and journal as they are now."""
        record = queries.find_by_sid(self.index, self.address, sid)
        if self.outbox.find_open(sid) is not None:
            return Comparison(state=PlanState.SENT, existing=record)
        if record is None:
            return Comparison(state=PlanState.NEW, existing=None)
        kept = keep_heirs(artifact, record["artifact"])
        changes = tuple(list_changes(record["artifact"], kept))
        if not changes or self._was_said(record, kept):
            return Comparison(state=PlanState.UNCHANGED, existing=record)
        return Comparison(state=PlanState.CHANGED, existing=record, changes=changes)

    def _was_said(self, record: Mapping[str, Any], artifact: Artifact) -> bool:
        """Whether an older version says the same, of the very same files.

        Then not the dataset has changed since it was published: the record was
        edited, which publishing the folder again must not take back.
        """
        return record["cid"] == artifact["storage"]["location"] and any(
            not list_changes(body, artifact)
            for body in list_earlier_bodies(self.index, record["id"])
        )

    def _draft(self, artifact: Artifact, now: Comparison) -> Draft:
        if now.state is PlanState.CHANGED and now.existing is not None:
            verify_editable(self.index, now.existing, self.address)
            return propose_version(now.existing, artifact, self.address).draft
        return draft_artifact(artifact, self.address)

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
            file_count=record["file_count"],
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


def _is_to_be_sent(shown: Plan, now: Comparison) -> bool:
    """Whether a plan is sent. Raises ConflictError where it is not as shown."""
    is_for_later = shown.state is PlanState.SENT and now.existing is not None
    if now.state not in (PlanState.NEW, PlanState.CHANGED) or is_for_later:
        return False
    if (now.state, now.changes) != (shown.state, shown.changes):
        msg = f"what is published of {shown.dataset.sid} is not any more what was shown"
        raise ConflictError(msg, hint="repeat the command and look again")
    return True


def _hashed(file: LabFile, added: Added) -> Hashed:
    """The file with the size that was hashed, whatever it was when listed."""
    return Hashed(replace(file, size_bytes=added.size_bytes), added.cid)
