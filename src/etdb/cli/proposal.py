"""One statement, as a person makes it: shown, asked about, sent."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from etdb.cli.publication import (
    open_publisher,
    result_text,
    resume,
    summary,
)
from etdb.cli.terminal import (
    TerminalProgress,
    confirm,
    say,
    show,
    show_facts,
    show_json,
)
from etdb.errors import ConflictError
from etdb.index import queries
from etdb.ledger.flo.fee import show_flo
from etdb.node import Node
from etdb.publish.publisher import Outcome, Proposal, Published, Publisher


@dataclass(frozen=True)
class Wanted:
    """What was asked for on the command line."""

    action: str
    propose: Callable[[Publisher], Proposal]
    question: str
    record_id: str = ""
    """As it was typed; empty where it is about no record."""
    is_dry: bool = False
    assume_yes: bool = False
    is_json: bool = False


def make_statement(node: Node, wanted: Wanted) -> None:
    """Show what would be said, ask, and say it.

    What an earlier run left open is finished first; where that was this very
    statement, nothing more is said.
    """
    publisher = open_publisher(node)
    finished = [] if wanted.is_dry else resume(publisher)
    try:
        proposal = wanted.propose(publisher)
    except ConflictError:
        # What was finished just now may be why there is nothing left to say.
        done = _finished(publisher, finished, wanted)
        if done is None:
            raise
        _report(done, wanted)
        return
    if not wanted.is_json:
        _show(proposal)
    elif wanted.is_dry:
        show_json(_dry_summary(proposal))
    if wanted.is_dry:
        return
    if not confirm(wanted.question, assume_yes=wanted.assume_yes):
        say("nothing was sent")
        return
    _report(publisher.send(proposal, TerminalProgress()), wanted)


def _finished(
    publisher: Publisher, finished: list[Published], wanted: Wanted
) -> Published | None:
    """The same kind of statement about the same record, finished just now."""
    named = wanted.record_id
    subject = queries.get_record(publisher.index, named)["id"] if named else None
    return next(
        (
            one
            for one in finished
            if one.action == wanted.action
            and one.outcome is Outcome.PUBLISHED
            and subject in (None, one.id)
        ),
        None,
    )


def _show(proposal: Proposal) -> None:
    draft = proposal.draft
    facts = [
        ("Record", f"{draft.record_id[:12]} {proposal.title}".strip()),
        ("Signed by", draft.address),
        ("Parts", str(proposal.cost.parts)),
        ("Fee", show_flo(proposal.cost.fee_sat)),
    ]
    show_facts(facts if draft.record_id else facts[1:])
    for change in proposal.changes:
        show(f"  {change}")


def _report(done: Published, wanted: Wanted) -> None:
    if wanted.is_json:
        show_json(summary(done))
    else:
        show(result_text(done))


def _dry_summary(proposal: Proposal) -> dict[str, object]:
    return {
        "action": proposal.draft.action,
        "id": proposal.draft.record_id or None,
        "changes": list(proposal.changes),
        "parts": proposal.cost.parts,
        "fee_sat": proposal.cost.fee_sat,
        "body": {k: v for k, v in proposal.draft.body.items() if k != "timestamp"},
    }
