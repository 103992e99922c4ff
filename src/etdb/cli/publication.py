"""One run of publishing, as a person follows it: read, show, ask, publish."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from etdb.cli.options import SHOWN_BLOCKS, verify_not_own
from etdb.cli.show import field_text
from etdb.cli.terminal import (
    SomeFailed,
    TerminalProgress,
    confirm,
    count,
    human_size,
    say,
    show,
    show_facts,
    show_json,
    show_table,
)
from etdb.errors import EtdbError
from etdb.lab.folder import Dataset, read_dataset
from etdb.ledger.flo.fee import show_flo
from etdb.node import Node
from etdb.publish.plan import verify_distinct
from etdb.publish.publisher import Outcome, Plan, PlanState, Published, Publisher
from etdb.record.model import FIELDS

Thing = TypeVar("Thing")
Done = TypeVar("Done")


class Publication:
    """A run on an open node; its results are printed by `report`."""

    def __init__(
        self, node: Node, *, is_json: bool = False, shows_plans: bool = True
    ) -> None:
        self._node = node
        self._is_json = is_json
        self._shows_plans = shows_plans and not is_json
        self._publisher = open_publisher(node)
        self._progress = TerminalProgress()
        self._done: list[Published] = []
        self._planned: list[Plan] = []
        self._failed: list[str] = []
        self._is_batch = False

    def resume(self) -> bool:
        """Finish what an earlier run left open; whether there was anything."""
        found = resume(self._publisher)
        self._done += found
        return bool(found)

    def show_open(self) -> bool:
        """Say what an earlier run left open, and finish none of it."""
        found = self._publisher.list_open()
        for one in found:
            say(f"{one.sid or one.action}: begun by an earlier run; the next ends it")
        return bool(found)

    def wait(self) -> None:
        """Wait until what was sent is settled on the ledger."""
        settled = {(one.action, one.id): one for one in self._await()}
        self._done = [settled.pop((one.action, one.id), one) for one in self._done]
        self._done += settled.values()

    def _await(self) -> list[Published]:
        return self._publisher.wait(self._progress)

    def publish(
        self,
        paths: Sequence[Path],
        options: Mapping[str, object],
        *,
        is_dry: bool = False,
        assume_yes: bool = False,
    ) -> None:
        """Read, hash and show the datasets; publish what is new or has changed.

        Of several, one that cannot be published holds up no other: it is
        listed by `report`. The error of a single one is raised.
        """
        datasets = self._each(paths, lambda path: self._read(path, options))
        verify_distinct(datasets)
        plans = self._each(datasets, self._plan)
        for plan in plans if self._shows_plans else []:
            _show_plan(plan)
        if is_dry:
            self._planned = plans
            return
        wanted = [
            plan for plan in plans if plan.state in (PlanState.NEW, PlanState.CHANGED)
        ]
        if wanted and not confirm(_question(wanted), assume_yes=assume_yes):
            say("nothing was published")
            return
        results = self._publisher.publish(plans, self._progress)
        known = {one.id for one in results if one.outcome is not Outcome.PRESENT}
        resumed = [one for one in self._done if one.id not in known]
        shown = {one.id for one in resumed}
        self._done = resumed + [one for one in results if one.id not in shown]

    def report(self) -> None:
        """Print what was done, once for each record.

        Raises SomeFailed when some could not be published.
        """
        self._print()
        for message in self._failed:
            say(f"failed: {message}")
        if self._failed:
            raise SomeFailed

    def _print(self) -> None:
        if self._is_json:
            results = [summary(one) for one in self._done]
            results += [_dry_summary(plan) for plan in self._planned]
            is_one = len(results) == 1 and not self._failed
            rest = {"published": results, "failed": self._failed}
            show_json(results[0] if is_one else rest)
            return
        for plan in self._planned:
            if plan.existing is not None and plan.state is PlanState.UNCHANGED:
                record_id = plan.existing["id"][:12]
                show(f"{plan.dataset.sid}: already published as {record_id}")
        for one in self._done:
            show(f"{one.sid or one.action}: {result_text(one)}")

    def _each(
        self, things: Sequence[Thing], step: Callable[[Thing], Done]
    ) -> list[Done]:
        """The results of a step; with several things, failures are collected."""
        done = []
        self._is_batch = self._is_batch or len(things) > 1
        for thing in things:
            try:
                done.append(step(thing))
            except EtdbError as error:
                if not self._is_batch:
                    raise
                self._failed.append(error.message)
        return done

    def _read(self, path: Path, options: Mapping[str, object]) -> Dataset:
        verify_not_own(self._node, path)
        dataset = read_dataset(path, options=options, defaults=self._node.defaults())
        for warning in dataset.warnings:
            say(f"warning: {warning}")
        return dataset

    def _plan(self, dataset: Dataset) -> Plan:
        plan = self._publisher.plan(dataset, self._progress)
        for warning in plan.warnings[len(dataset.warnings) :]:
            say(f"warning: {warning}")
        return plan


def open_publisher(node: Node) -> Publisher:
    """What publishes into a node; says what was cut off its chain."""
    torn_bytes = node.torn_bytes
    publisher = node.publisher()
    if torn_bytes:
        say(f"the chain ended in {torn_bytes} bytes that a crash had left; cut off")
    node.catch_up(TerminalProgress(SHOWN_BLOCKS))
    return publisher


def resume(publisher: Publisher) -> list[Published]:
    """Finish what an earlier run left open, and say so."""
    finished = publisher.resume()
    for one in finished:
        what = one.sid or one.action
        if one.outcome is Outcome.SENT:
            say(f"{what}: sent by an earlier run, and not in a block yet")
        else:
            say(f"{what}: finished what an earlier run had begun")
    return finished


def result_text(one: Published) -> str:
    """What became of a statement, as people read it."""
    if one.outcome is Outcome.SENT:
        return f"on its way as {one.id}; see it through: etdb publish --resume --wait"
    if one.outcome is Outcome.PRESENT:
        return f"already published as {one.id[:12]}"
    return f"{_DONE[one.action]} {one.id}"


_DONE = {
    "publish": "published as",
    "edit": "edited, now the current version of",
    "deactivate": "withdrawn for good:",
    "register": "registered by",
}


def _question(plans: Sequence[Plan]) -> str:
    new = [plan for plan in plans if plan.state is PlanState.NEW]
    edits = len(plans) - len(new)
    wanted = []
    if new:
        size = human_size(sum(plan.size_bytes for plan in new))
        wanted.append(f"publish {count(len(new), 'dataset')}, {size},")
    if edits:
        wanted.append(f"edit {count(edits, 'record')}")
    return f"Sign and {' and '.join(wanted).removesuffix(',')}, for ever?"


def _show_plan(plan: Plan) -> None:
    if plan.state is PlanState.UNCHANGED:
        return
    if plan.state is PlanState.SENT:
        show(f"{plan.dataset.sid}: a message about it is on its way already")
        return
    show(f"{plan.dataset.path}")
    show_facts((f"  {label}", value) for label, value in _plan_facts(plan))
    show_table(
        ("  role", "size", "name"),
        (
            (f"  {row['subtype']}", human_size(row["fsize"]), row["fname"])
            for row in plan.artifact["storage"]["files"]
        ),
    )
    for change in plan.changes:
        show(f"  changed: {change}")
    show("")


def _plan_facts(plan: Plan) -> Iterator[tuple[str, str]]:
    for spec in FIELDS:
        value: Any = plan.artifact
        for key in spec.path:
            value = value.get(key) if isinstance(value, Mapping) else None
        if value is not None and spec.search not in ("cid", "published"):
            yield spec.label, field_text(spec, value)
    yield "Files", f"{len(plan.cids)}, {human_size(plan.size_bytes)}"
    yield "CID", str(plan.cid)
    yield "Parts", str(plan.parts)
    yield "Fee", show_flo(plan.fee_sat)


def summary(one: Published) -> dict[str, object]:
    """What became of a statement, as JSON values."""
    return {
        "action": one.action,
        "id": one.id,
        "txid": one.txid,
        "cid": one.cid,
        "sid": one.sid,
        "files": one.file_count,
        "parts": one.parts,
        "outcome": one.outcome.value,
    }


def _dry_summary(plan: Plan) -> dict[str, object]:
    return {
        "id": None if plan.existing is None else plan.existing["id"],
        "cid": str(plan.cid),
        "sid": plan.dataset.sid,
        "files": len(plan.cids),
        "size_bytes": plan.size_bytes,
        "parts": plan.parts,
        "fee_sat": plan.fee_sat,
        "state": plan.state.value,
        "changes": list(plan.changes),
        "artifact": plan.artifact,
    }
