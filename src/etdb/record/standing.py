"""What a set of statements says: the same in whatever order they arrived.

PROTOCOL R2, R3-C, R5, R6. Whoever calls has judged every statement; who may
edit or withdraw what is decided here.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from etdb.identity import Address, Digest
from etdb.record.message import Place
from etdb.record.statement import RecordClass, Revision, Statement


@dataclass(frozen=True)
class Standing:
    """What stands of one record, given the statements seen so far."""

    root: Statement
    current: Statement
    """The greatest number, of these the smallest digest."""
    history: tuple[Statement, ...]
    """From the root to the current one."""
    forks: tuple[Statement, ...]
    """Accepted edits that are not in the history."""
    pending: tuple[Statement, ...]
    """Edits whose ancestors have not been seen: not shown."""
    refused: tuple[Statement, ...]
    """Edits by others than the signers, or wrongly numbered (R5)."""
    withdrawn_by: Statement | None
    """The earliest signed of the deactivates that count."""


def best_class(classes: Iterable[RecordClass]) -> RecordClass:
    """The class of a statement: the best among its anchors (R2)."""
    return min(classes, key=list(RecordClass).index)


def attested_old(
    candidates: Iterable[tuple[Statement, Place]], has_better: bool
) -> frozenset[Digest]:
    """Which class C publishes count (R3-C); the others are unattested.

    `candidates` are anchors of class C of one address, location and timestamp,
    from any ledgers. The earliest of each ledger counts, and none where a
    publish or edit of class A or B says the same address, location and
    timestamp: then the old signature may have been taken from there.
    """
    if has_better:
        return frozenset()
    first: dict[str, tuple[int, int, Digest]] = {}
    for statement, place in candidates:
        found = (place.height, place.position, statement.digest)
        first[place.ledger] = min(found, first.get(place.ledger, found))
    return frozenset(digest for _, _, digest in first.values())


def resolve(
    root: Statement, edits: Iterable[Statement], deactivations: Iterable[Statement]
) -> Standing:
    """What stands of a record (R5, R6).

    `root` is its publish with the best class among its anchors; `edits` and
    `deactivations` may hold those of other records, and the same one twice.
    """
    signers = signers_of(root)
    accepted = {root.digest: root}
    pending: list[Statement] = []
    refused: list[Statement] = []
    for revision, edit in _edits_of(root, edits):
        previous = accepted.get(revision.previous)
        if edit.address not in signers:
            refused.append(edit)
        elif previous is None:
            pending.append(edit)
        elif revision.number != _number(previous) + 1:
            refused.append(edit)
        else:
            accepted[edit.digest] = edit
    current = min(accepted.values(), key=lambda s: (-_number(s), s.digest))
    history = _history(current, accepted)
    withdrawals = [
        statement
        for statement in deactivations
        if statement.target == root.digest and statement.address in signers
    ]
    return Standing(
        root=root,
        current=current,
        history=history,
        forks=tuple(s for s in accepted.values() if s not in history),
        pending=tuple(pending),
        refused=tuple(refused),
        withdrawn_by=min(
            withdrawals, key=lambda s: (s.timestamp, s.digest), default=None
        ),
    )


def current_register(registers: Iterable[Statement]) -> Statement | None:
    """What an address says of itself now (R6), of the registers of one address.

    An old-form one counts within its fence and where there is no content-signed
    one (R4).
    """
    counting = [
        s for s in registers if s.record_class in {RecordClass.A, RecordClass.C}
    ]
    return min(
        counting,
        key=lambda s: (s.record_class != RecordClass.A, -s.timestamp, s.digest),
        default=None,
    )


def signers_of(root: Statement) -> set[Address | None]:
    """Who may edit and withdraw the record that a publish began (R5, R6).

    Heirs count only where the publish is of class A, and are fixed by it.
    """
    signers: set[Address | None] = {root.address}
    details = root.body.get("details")
    if root.record_class is RecordClass.A and isinstance(details, dict):
        heirs = details.get("heirs")
        if isinstance(heirs, list):
            signers.update(Address(heir) for heir in heirs if isinstance(heir, str))
    return signers


def _edits_of(
    root: Statement, edits: Iterable[Statement]
) -> list[tuple[Revision, Statement]]:
    by_digest = {
        edit.digest: (edit.revision, edit)
        for edit in edits
        if edit.revision is not None and edit.revision.of == root.digest
    }
    return sorted(by_digest.values(), key=lambda pair: (pair[0].number, pair[1].digest))


def _number(statement: Statement) -> int:
    return 1 if statement.revision is None else statement.revision.number


def _history(
    current: Statement, accepted: dict[Digest, Statement]
) -> tuple[Statement, ...]:
    history = [current]
    while history[-1].revision is not None:
        history.append(accepted[history[-1].revision.previous])
    return tuple(reversed(history))
