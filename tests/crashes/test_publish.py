"""Publishing stopped at every effect: afterwards each record stands once.

An exception that nobody may catch stands for the kill where the ledger is in
memory; on the embedded chain the process really dies.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import mrcfile  # type: ignore[import-untyped]
import numpy as np
import pytest

from etdb.errors import UnavailableError
from etdb.index import queries
from etdb.index.db import Index
from etdb.index.follow import check, follow
from etdb.lab.folder import read_dataset
from etdb.ledger.base import Ledger, SignedTransaction
from etdb.ledger.flo.local import EmbeddedChain
from etdb.publish.journal import Entry, Journal
from etdb.publish.publisher import Published
from etdb.record.parts import parse_part
from etdb.record.signing import PrivateKey
from etdb.testing.ledger import MemoryLedger
from etdb.testing.publishing import Watch, ignore, open_publisher

PUBLISHER = PrivateKey.from_bytes(b"\x11" * 32)
WALLET = PrivateKey.from_bytes(b"\x22" * 32)
SIDS = ("one", "two")
KILLED = 137

# What a run of two datasets does, in order: each is planned (index followed,
# files hashed, key images added), then both are journaled and sent at once.
RUN = (
    "follow 1",
    "store 1",
    "store 2",
    "follow 2",
    "store 3",
    "store 4",
    "open 1",
    "open 2",
    "send 1",
    "follow 3",
    "close 1",
    "close 2",
)
# What the next run does first when both were journaled and none was sent.
RESUMED = ("follow 3", "send 1", "follow 4", "close 1", "close 2")


class Killed(BaseException):
    """The process dies here."""


class Watcher:
    """Counts effects; stops at the one it is told."""

    def __init__(
        self, stop_at: str = "", stop: Callable[[], None] | None = None
    ) -> None:
        self.seen: list[str] = []
        self._counts: Counter[str] = Counter()
        self._stop_at = stop_at
        self._stop = stop or self._die

    def __call__(self, point: str) -> None:
        """Told of an effect by the publisher's parts."""
        self._counts[point] += 1
        name = f"{point} {self._counts[point]}"
        self.seen.append(name)
        if name == self._stop_at:
            self._stop()

    @staticmethod
    def _die() -> None:
        raise Killed


def points(effects: Sequence[str]) -> list[str]:
    return [f"{when} {effect}" for effect in effects for when in ("before", "after")]


@pytest.fixture
def datasets(tmp_path: Path) -> list[Path]:
    """Two small synthetic datasets."""
    folders = []
    for number, sid in enumerate(SIDS):
        folder = tmp_path / "data" / sid
        folder.mkdir(parents=True)
        with mrcfile.new(folder / "cell.rec") as file:
            file.set_data(np.full((4, 16, 16), number, np.int8))
        (folder / "dataset.toml").write_text('species = "S"\ndate = 2026-03-14\n')
        folders.append(folder)
    return folders


@pytest.fixture
def node(tmp_path: Path) -> Path:
    """The folder that outlives a restart."""
    folder = tmp_path / "node"
    folder.mkdir()
    return folder


def run(
    node: Path, ledger: Ledger, datasets: Sequence[Path], watch: Watch = ignore
) -> list[Published]:
    """One whole `etdb publish`, from opening the node's parts."""
    with open_publisher(node, ledger, PUBLISHER, watch=watch) as publisher:
        plans = [publisher.plan(read_dataset(folder)) for folder in datasets]
        return publisher.publish(plans)


def verify_once(
    ledger: Ledger, published: Sequence[Published], index_path: Path
) -> None:
    """Every record stands once, whole, and nothing else was ever sent."""
    with Index.create(index_path, [ledger.info]) as fresh:
        follow(fresh, ledger)
        page = queries.search(fresh, "")
        assert page.total == len(SIDS)
        for one in published:
            record = queries.get_record(fresh, one.id)
            assert (record["class"], record["txid"]) == ("A", one.txid)
            assert len(record["anchors"]) == 1
        assert queries.list_rejected(fresh).total == 0
    sent = [
        carried
        for height in range(1, ledger.tip().height + 1)
        for carried in ledger.block(height).carried
        if carried.data.startswith(b"oip-mp(")
    ]
    assert len(sent) == sum(one.parts for one in published)


def verify_at_rest(node: Path, ledger: Ledger) -> None:
    """Nothing is unfinished, and the index is that of the ledger."""
    assert Journal(node / "journal").list_open() == []
    with Index.open(node / "index.sqlite", [ledger.info]) as index:
        assert check(index, [ledger]) == []


def test_the_table_names_every_effect_of_a_run(
    node: Path, datasets: list[Path]
) -> None:
    watcher = Watcher()

    run(node, MemoryLedger(), datasets, watcher)

    assert watcher.seen == points(RUN)


@pytest.mark.parametrize("point", points(RUN))
def test_a_run_killed_anywhere_ends_with_each_record_once(
    node: Path, datasets: list[Path], tmp_path: Path, point: str
) -> None:
    ledger = MemoryLedger()
    with pytest.raises(Killed):
        run(node, ledger, datasets, Watcher(point))

    published = run(node, ledger, datasets)

    verify_once(ledger, published, tmp_path / "fresh.sqlite")
    verify_at_rest(node, ledger)


@pytest.mark.parametrize("point", points(RESUMED))
def test_a_resumed_run_killed_anywhere_ends_with_each_record_once(
    node: Path, datasets: list[Path], tmp_path: Path, point: str
) -> None:
    ledger = MemoryLedger()
    with pytest.raises(Killed):
        run(node, ledger, datasets, Watcher("before send 1"))
    with pytest.raises(Killed):
        run(node, ledger, datasets, Watcher(point))

    published = run(node, ledger, datasets)

    verify_once(ledger, published, tmp_path / "fresh.sqlite")
    verify_at_rest(node, ledger)


@pytest.mark.parametrize("is_applied", [False, True])
def test_a_send_that_fails_before_or_after_its_effect_is_repeated_safely(
    node: Path, datasets: list[Path], tmp_path: Path, is_applied: bool
) -> None:
    ledger = MemoryLedger()
    ledger.effect = lambda _: (is_applied, UnavailableError("no answer"))
    with pytest.raises(UnavailableError):
        run(node, ledger, datasets)
    ledger.effect = lambda _: (True, None)

    published = run(node, ledger, datasets)

    verify_once(ledger, published, tmp_path / "fresh.sqlite")


class HalfLedger(MemoryLedger):
    """Takes the first transactions of its first group, then fails."""

    def __init__(self, taken: int) -> None:
        super().__init__()
        self._taken: int | None = taken

    def send(self, transactions: Sequence[SignedTransaction]) -> None:
        """As it can."""
        taken, self._taken = self._taken, None
        super().send(transactions[:taken])
        if taken is not None:
            msg = "cut off"
            raise UnavailableError(msg)


class ForgetfulJournal(Journal):
    """Writes nothing down."""

    def open(self, entry: Entry) -> None:
        """Forget it."""


def first_parts(ledger: Ledger) -> int:
    texts = [
        carried.data.decode()
        for height in range(1, ledger.tip().height + 1)
        for carried in ledger.block(height).carried
    ]
    return sum(parse_part(text).index == 0 for text in texts)


@pytest.mark.parametrize("taken", [1, 2, 3])
def test_a_group_that_was_taken_in_part_is_completed_by_the_same_transactions(
    node: Path, datasets: list[Path], tmp_path: Path, taken: int
) -> None:
    ledger = HalfLedger(taken)
    with pytest.raises(UnavailableError):
        run(node, ledger, datasets)

    published = run(node, ledger, datasets)

    verify_once(ledger, published, tmp_path / "fresh.sqlite")
    assert first_parts(ledger) == len(SIDS)


def test_without_the_journal_it_would_be_sent_anew(
    node: Path, datasets: list[Path]
) -> None:
    ledger = HalfLedger(taken=1)
    for _ in range(2):
        with open_publisher(node, ledger, PUBLISHER) as publisher:
            forgetful = ForgetfulJournal(node / "journal")
            object.__setattr__(publisher, "journal", forgetful)
            plans = [publisher.plan(read_dataset(folder)) for folder in datasets]
            try:
                publisher.publish(plans)
            except UnavailableError:
                continue

    assert first_parts(ledger) == len(SIDS) + 1


@pytest.fixture(scope="module")
def new_chain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An embedded chain before anything was published on it."""
    folder = tmp_path_factory.mktemp("template") / "chain"
    EmbeddedChain.create(
        folder, publisher=PUBLISHER, wallet=WALLET, address=PUBLISHER.address()
    )
    return folder


def open_chain(node: Path) -> EmbeddedChain:
    return EmbeddedChain.open(node / "chain", publisher=PUBLISHER, wallet=WALLET)


KILL = """
import os, sys
from pathlib import Path
sys.path.insert(0, {here!r})
import test_publish as crashes
node, point, *folders = sys.argv[1:]
watcher = crashes.Watcher(point, lambda: os._exit({killed}))
chain = crashes.open_chain(Path(node))
crashes.run(Path(node), chain, [Path(f) for f in folders], watcher)
"""


@pytest.mark.parametrize(
    "point",
    [
        "after store 2",
        "after open 1",
        "before send 1",
        "after send 1",
        "after follow 3",
        "after close 1",
    ],
)
def test_a_killed_process_leaves_each_record_once_on_the_embedded_chain(
    node: Path, datasets: list[Path], new_chain: Path, tmp_path: Path, point: str
) -> None:
    shutil.copytree(new_chain, node / "chain")
    script = KILL.format(here=str(Path(__file__).parent), killed=KILLED)
    died = subprocess.run(
        [sys.executable, "-c", script, str(node), point, *map(str, datasets)],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert died.returncode == KILLED, died.stderr

    published = run(node, open_chain(node), datasets)

    chain = open_chain(node)
    chain.verify()
    verify_once(chain, published, tmp_path / "fresh.sqlite")
    verify_at_rest(node, chain)
