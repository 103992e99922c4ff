"""One run of publishing, as a person follows it: read, show, ask, publish."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from etdb.cli.show import field_text
from etdb.cli.terminal import (
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
from etdb.lab.folder import Dataset, read_dataset
from etdb.node import Node
from etdb.publish.plan import verify_distinct, verify_publishable
from etdb.publish.publisher import Outcome, Plan, PlanState, Published
from etdb.record.model import FIELDS

SAT_PER_FLO = 100_000_000


class Publication:
    """A run on an open node; its results are printed by `report`."""

    def __init__(
        self, node: Node, *, is_json: bool = False, shows_plans: bool = True
    ) -> None:
        self._node = node
        self._is_json = is_json
        self._shows_plans = shows_plans and not is_json
        torn_bytes = node.ledger.torn_bytes
        self._publisher = node.publisher()
        if torn_bytes:
            say(f"the chain ended in {torn_bytes} bytes that a crash had left; cut off")
        self._progress = TerminalProgress()
        self._done: list[Published] = []
        self._planned: list[Plan] = []

    def resume(self) -> None:
        """Finish what an earlier run left open."""
        for one in self._publisher.resume():
            self._done.append(one)
            say(f"{one.sid}: finished what an earlier run had begun")

    def publish(
        self,
        paths: Sequence[Path],
        options: Mapping[str, object],
        *,
        is_dry: bool = False,
        assume_yes: bool = False,
    ) -> None:
        """Read, hash and show the datasets; publish those that are new."""
        datasets = [self._read(path, options) for path in paths]
        verify_distinct(datasets)
        plans = [self._plan(dataset) for dataset in datasets]
        new = [plan for plan in plans if plan.state is PlanState.NEW]
        for plan in plans if self._shows_plans else []:
            _show_plan(plan)
        if is_dry:
            self._planned = plans
            return
        verify_publishable(plans)
        if new and not confirm(_question(new), assume_yes=assume_yes):
            say("nothing was published")
            return
        self._done += self._publisher.publish(plans, self._progress)

    def report(self) -> None:
        """Print what was done, once for each record."""
        if self._is_json:
            results = [_summary(one) for one in self._done]
            results += [_dry_summary(plan) for plan in self._planned]
            show_json(results[0] if len(results) == 1 else {"published": results})
            return
        for one in self._done:
            if one.outcome is Outcome.PRESENT:
                show(f"{one.sid}: already published as {one.id[:12]}")
            else:
                show(f"{one.sid}: published as {one.id}")

    def _read(self, path: Path, options: Mapping[str, object]) -> Dataset:
        dataset = read_dataset(path, options=options, defaults=self._node.defaults())
        for warning in dataset.warnings:
            say(f"warning: {warning}")
        return dataset

    def _plan(self, dataset: Dataset) -> Plan:
        plan = self._publisher.plan(dataset, self._progress)
        for warning in plan.warnings[len(dataset.warnings) :]:
            say(f"warning: {warning}")
        return plan


def _question(plans: Sequence[Plan]) -> str:
    size = human_size(sum(plan.size_bytes for plan in plans))
    return f"Sign and publish {count(len(plans), 'dataset')}, {size}, for ever?"


def _show_plan(plan: Plan) -> None:
    if plan.state is PlanState.UNCHANGED:
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
    yield "Fee", f"{plan.fee_sat / SAT_PER_FLO:.8f} FLO"


def _summary(one: Published) -> dict[str, object]:
    return {
        "id": one.id,
        "txid": one.txid,
        "cid": one.cid,
        "sid": one.sid,
        "files": one.files,
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
