"""Commands that write to a ledger, to be stopped at each of their effects.

A scenario is one command on a node of two synthetic datasets, from opening the
node's parts on; run again after a stop it must end in the one same state.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import mrcfile  # type: ignore[import-untyped]
import numpy as np
from sqlalchemy import func, select

from etdb.errors import EtdbError
from etdb.index import queries
from etdb.index.db import Index
from etdb.index.follow import check, follow
from etdb.index.schema import messages, records
from etdb.lab.folder import read_dataset
from etdb.ledger.base import Ledger
from etdb.publish.journal import Journal
from etdb.publish.publisher import Proposal, Publisher
from etdb.record.signing import PrivateKey
from etdb.testing.publishing import Watch, ignore, open_publisher

PUBLISHER = PrivateKey.from_bytes(b"\x11" * 32)
WALLET = PrivateKey.from_bytes(b"\x22" * 32)
SIDS = ("one", "two")
NAME = "A synthetic lab"
STRAIN = "PAO1"
REASON = "wrong sample"

EFFECTS: Mapping[str, str] = {
    "follow": "blocks read into the index",
    "store": "files hashed, and known to the store",
    "prepare": "coins split, where the wallet needs that",
    "open": "signed transactions and texts written down in the journal",
    "send": "the group handed to the ledger, which mines it or keeps it in its pool",
    "replace": "a set composed anew, in the place of the old one in the journal",
    "close": "what is anchored forgotten by the journal",
}
"""Every external effect of a command that writes, and what has happened then."""


@dataclass(frozen=True)
class Scenario:
    """One command."""

    name: str
    effects: tuple[str, ...]
    """What it does on a ledger that mines at once, in order."""
    run: Callable[[Path, Ledger, Watch], None]
    said: Mapping[str, int]
    """How many messages of each action stand on the ledger in the end."""
    needs_records: bool = True
    """Whether both datasets are published before it."""


def make_datasets(folder: Path) -> None:
    """Two small synthetic datasets under `folder/data`."""
    for number, sid in enumerate(SIDS):
        path = folder / "data" / sid
        path.mkdir(parents=True)
        with mrcfile.new(path / "cell.rec") as file:
            file.set_data(np.full((4, 16, 16), number, np.int8))
        (path / "dataset.toml").write_text('species = "S"\ndate = 2026-03-14\n')


def publish(node: Path, ledger: Ledger, watch: Watch = ignore) -> None:
    """`etdb publish` of both datasets."""
    with open_publisher(node, ledger, PUBLISHER, watch=watch) as publisher:
        publisher.resume()
        folders = [node / "data" / sid for sid in SIDS]
        plans = [publisher.plan(read_dataset(folder)) for folder in folders]
        publisher.publish(plans)


def resume(node: Path, ledger: Ledger, watch: Watch = ignore) -> None:
    """`etdb publish --resume`."""
    with open_publisher(node, ledger, PUBLISHER, watch=watch) as publisher:
        publisher.resume()


def edit(node: Path, ledger: Ledger, watch: Watch = ignore) -> None:
    """`etdb edit` of the first."""
    _make(
        *(node, ledger, watch, "edit"),
        lambda one: one.plan_edit(_first_id(one), {"strain": STRAIN}),
    )


def withdraw(node: Path, ledger: Ledger, watch: Watch = ignore) -> None:
    """`etdb withdraw` of the first."""
    _make(
        *(node, ledger, watch, "deactivate"),
        lambda one: one.plan_withdrawal(_first_id(one), REASON),
    )


def register(node: Path, ledger: Ledger, watch: Watch = ignore) -> None:
    """`etdb register`."""
    _make(
        *(node, ledger, watch, "register"),
        lambda one: one.plan_register(NAME),
    )


SCENARIOS = {
    one.name: one
    for one in (
        Scenario(
            name="publish",
            # Resumed; each planned (followed, files hashed, key images added);
            # followed again, written down and sent at once.
            effects=(
                *("follow 1", "follow 2", "store 1", "store 2"),
                *("follow 3", "store 3", "store 4", "follow 4"),
                *("prepare 1", "open 1", "send 1", "follow 5", "close 1"),
            ),
            run=publish,
            said={"publish": 2},
            needs_records=False,
        ),
        *(
            Scenario(
                name=run.__name__,
                effects=(
                    *("follow 1", "follow 2", "follow 3"),
                    *("prepare 1", "open 1", "send 1", "follow 4", "close 1"),
                ),
                run=run,
                said={"publish": 2, action: 1},
            )
            for run, action in (
                (edit, "edit"),
                (withdraw, "deactivate"),
                (register, "register"),
            )
        ),
    )
}


def verify_said_once(scenario: Scenario, ledger: Ledger, folder: Path) -> None:
    """Who reads the ledger from its beginning finds each statement once."""
    with Index.create(folder / "fresh.sqlite", [ledger.info]) as fresh:
        follow(fresh, ledger)
        with fresh.read() as connection:
            said = select(messages.c.action, func.count()).group_by(messages.c.action)
            found = {action: count for action, count in connection.execute(said)}
        assert found == dict(scenario.said), found
        assert queries.list_rejected(fresh).total == 0
        for sid in SIDS:
            _verify_record(scenario, fresh, sid)


def count_parts(ledger: Ledger) -> Counter[str]:
    """How many transactions of the ledger carry parts, by what they carry."""
    return Counter(
        carried.data.decode()
        for height in range(1, ledger.tip().height + 1)
        for carried in ledger.block(height).carried
        if carried.data.startswith(b"oip-mp(")
    )


def verify_at_rest(node: Path, ledger: Ledger) -> None:
    """Nothing is unfinished, and the index is that of the ledger."""
    assert Journal(node / "journal").list_open() == []
    with Index.open(node / "index.sqlite", [ledger.info]) as index:
        assert check(index, [ledger]) == []


def _make(
    node: Path,
    ledger: Ledger,
    watch: Watch,
    action: str,
    propose: Callable[[Publisher], Proposal],
) -> None:
    """As the command does: nothing more where it was finished just now."""
    with open_publisher(node, ledger, PUBLISHER, watch=watch) as publisher:
        finished = publisher.resume()
        try:
            proposal = propose(publisher)
        except EtdbError:
            if action in {one.action for one in finished}:
                return
            raise
        publisher.send(proposal)


def _first_id(publisher: Publisher) -> str:
    """Found also where it is withdrawn already."""
    with publisher.index.read() as connection:
        found = connection.scalars(
            select(records.c.id).where(records.c.sid == SIDS[0])
        ).one()
    return str(found)


def _verify_record(scenario: Scenario, index: Index, sid: str) -> None:
    record = queries.find_by_sid(index, PUBLISHER.address(), sid)
    is_first = sid == SIDS[0]
    if scenario.name == "withdraw" and is_first:
        assert record is None
        return
    assert record is not None
    assert (record["class"], len(record["anchors"])) == ("A", 1)
    edited = scenario.name == "edit" and is_first
    assert record["details"].get("strain") == (STRAIN if edited else None)
    assert len(record["versions"]) == (2 if edited else 1)
    named = scenario.name == "register"
    assert record["publisher"]["name"] == (NAME if named else None)
