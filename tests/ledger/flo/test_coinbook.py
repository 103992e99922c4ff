"""A coin book equals one built straight from the chain, whatever happened."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from etdb.errors import ConflictError, DamagedFileError, UnavailableError
from etdb.identity import Txid
from etdb.ledger.base import Tip
from etdb.ledger.flo.block import COIN_SAT, FloBlock, Header, coinbase
from etdb.ledger.flo.coinbook import Balance, CoinBook, Spend
from etdb.ledger.flo.coins import Coin
from etdb.ledger.flo.cointable import BookLimits
from etdb.ledger.flo.script import pay_to
from etdb.ledger.flo.tx import OutPoint, Transaction, TxIn, TxOut
from etdb.ledger.flo.wallet import Wallet
from etdb.record.signing import PrivateKey, hash160

KEY = PrivateKey.from_bytes(b"\x01" * 32)
OURS = pay_to(hash160(KEY.public_key))
THEIRS = b"\x51"
OTHER_FORM = b"\x21" + KEY.public_key + b"\xac"
LEDGER = "ab" * 32


def block(previous: bytes, height: int, *spending: Transaction, to: bytes) -> FloBlock:
    """A block without proof of work: who reads coins does not ask for it."""
    first = coinbase(height, TxOut(100 * COIN_SAT, to), os.urandom(4))
    header = Header(1, previous, bytes(32), height, 0, 0)
    made = FloBlock(header, (first, *spending))
    return replace(made, header=replace(header, root=made.merkle_root()))


class Chain:
    """Whole blocks in memory, which may be replaced from a height on."""

    def __init__(self) -> None:
        self.blocks: list[FloBlock] = []
        self.asked = 0
        """How many blocks were given out."""
        self.mine()

    def tip(self) -> Tip:
        """The last block."""
        return Tip(len(self.blocks) - 1, self.blocks[-1].header.hash)

    def iter_raw_blocks(self, first: int, last: int) -> Iterator[tuple[int, FloBlock]]:
        """Each with its height, while there are some."""
        for height in range(first, last + 1):
            if height >= len(self.blocks):
                return
            self.asked += 1
            yield height, self.blocks[height]

    def mine(self, *spending: Transaction, to: bytes = THEIRS, count: int = 1) -> None:
        """Blocks on top; the transactions are in the first."""
        for number in range(count):
            previous = self.blocks[-1].header.hash_bytes if self.blocks else bytes(32)
            held = spending if number == 0 else ()
            self.blocks.append(block(previous, len(self.blocks), *held, to=to))

    def undo(self, count: int) -> None:
        """Take the last blocks away."""
        del self.blocks[len(self.blocks) - count :]


class Scan:
    """What a chain holds for us, found the simple way."""

    def __init__(self, blocks: list[FloBlock], first_height: int = 0) -> None:
        self.rows: dict[OutPoint, tuple[int, int, bool, int | None, bytes | None]] = {}
        for height, item in enumerate(blocks):
            if height < first_height:
                continue
            for transaction in item.transactions:
                self._apply(transaction, height)

    def _apply(self, transaction: Transaction, height: int) -> None:
        txid = transaction.txid_bytes
        for spent in transaction.inputs:
            row = self.rows.get(spent.outpoint)
            if row is not None:
                self.rows[spent.outpoint] = (*row[:3], height, txid)
        for index, output in enumerate(transaction.outputs):
            if output.script == OURS:
                made = (output.value_sat, height, transaction.is_coinbase, None, None)
                self.rows[OutPoint(txid, index)] = made


def rows_of(path: Path) -> dict[OutPoint, tuple[Any, ...]]:
    """Every coin that a file holds."""
    with sqlite3.connect(path) as db:
        found = db.execute(
            "SELECT txid, output, value_sat, height, is_coinbase, spent_height,"
            " spent_by FROM coins"
        ).fetchall()
    db.close()
    return {OutPoint(row[0], row[1]): tuple(row[2:]) for row in found}


def spend(*outpoints: OutPoint, values: tuple[int, ...], to: bytes) -> Transaction:
    """Not signed: no script is run here."""
    inputs = tuple(TxIn(outpoint, b"") for outpoint in outpoints)
    return Transaction(2, inputs, tuple(TxOut(value, to) for value in values))


def mined_to_us(chain: Chain) -> OutPoint:
    """A coinbase of ours in a new block."""
    chain.mine(to=OURS)
    return OutPoint(chain.blocks[-1].transactions[0].txid_bytes, 0)


@pytest.fixture
def chain() -> Chain:
    """A chain of one block that is not ours."""
    return Chain()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where a book goes."""
    return tmp_path / "coins.sqlite"


def opened(path: Path, first_height: int = 0, **limits: int) -> CoinBook:
    of = BookLimits(**limits)
    return CoinBook.open(path, OURS, LEDGER, first_height, wait_s=0.0, limits=of)


def test_coins_are_found_with_what_made_and_what_spent_them(
    chain: Chain, path: Path
) -> None:
    outpoint = mined_to_us(chain)
    paying = spend(outpoint, values=(7, 8), to=OURS)
    chain.mine(paying)

    with opened(path) as book:
        book.sync(chain)

        assert book.tip() == chain.tip()
        assert book.find(outpoint) is None
        assert book.find_spend(outpoint) == Spend(paying.txid, 2)
        change = OutPoint(paying.txid_bytes, 1)
        assert book.find(change) == Coin(TxOut(8, OURS), 2, is_coinbase=False)
        assert book.find_spend(change) is None
        assert [item for item, _ in book.iter_own(OURS)] == [
            change,
            OutPoint(paying.txid_bytes, 0),
        ]
        assert list(book.iter_own(THEIRS)) == []


def test_the_height_of_ones_own_transactions_is_known(chain: Chain, path: Path) -> None:
    outpoint = mined_to_us(chain)
    away = spend(outpoint, values=(7,), to=THEIRS)
    chain.mine(away)

    with opened(path) as book:
        book.sync(chain)

        assert book.find_height(Txid(outpoint.txid_bytes[::-1].hex())) == 1
        assert book.find_height(away.txid) == 2
        assert book.find_height(Txid("00" * 32)) is None


def test_a_coin_in_the_very_first_block_has_a_height(path: Path) -> None:
    chain = Chain()
    chain.blocks.clear()
    outpoint = mined_to_us(chain)

    with opened(path) as book:
        book.sync(chain)

        assert book.find_height(Txid(outpoint.txid_bytes[::-1].hex())) == 0


def test_a_coinbase_counts_when_the_next_block_may_spend_it(
    chain: Chain, path: Path
) -> None:
    mined_to_us(chain)
    with opened(path) as book:
        assert book.balance() == Balance(0, 0, 0)
        chain.mine(count=98)
        book.sync(chain)
        assert book.balance() == Balance(0, 100 * COIN_SAT, 1)

        chain.mine()
        book.sync(chain)

        assert book.balance() == Balance(100 * COIN_SAT, 0, 1)
        ((_, coin),) = book.iter_own(OURS)
        assert coin.is_mature(chain.tip().height + 1)


def test_other_forms_of_script_are_ignored(chain: Chain, path: Path) -> None:
    chain.mine(spend(OutPoint(b"x" * 32, 0), values=(5,), to=OTHER_FORM), to=THEIRS)

    with opened(path) as book:
        book.sync(chain)

        assert book.balance().coins == 0


def test_an_amount_that_cannot_be_is_ignored(chain: Chain, path: Path) -> None:
    chain.mine(spend(OutPoint(b"x" * 32, 0), values=(2**64 - 1, 3), to=OURS))

    with opened(path) as book:
        book.sync(chain)

        assert book.balance() == Balance(3, 0, 1)


def test_blocks_below_the_first_height_are_not_asked_for(
    chain: Chain, path: Path
) -> None:
    chain.mine(to=OURS, count=10)

    with opened(path, first_height=8) as book:
        book.sync(chain)

        assert chain.asked == 3
        assert book.balance().coins == 3


def test_nothing_is_asked_for_before_the_chain_is_that_high(
    chain: Chain, path: Path
) -> None:
    with opened(path, first_height=5) as book:
        book.sync(chain)

        assert book.tip() is None
        assert chain.asked == 0


def test_at_the_tip_no_block_is_asked_for(chain: Chain, path: Path) -> None:
    chain.mine(count=5)
    with opened(path) as book:
        book.sync(chain)
        chain.asked = 0

        book.sync(chain)

    assert chain.asked == 0


@pytest.mark.parametrize("depth", [1, 2, 3, 9, 30, 50])
def test_a_reorganisation_of_any_depth_is_followed(
    chain: Chain, path: Path, depth: int
) -> None:
    chain.mine(to=OURS, count=50)
    with opened(path) as book:
        book.sync(chain)
        chain.undo(depth)
        chain.mine(to=OURS, count=depth + 1)

        book.sync(chain)

        assert book.tip() == chain.tip()
    assert rows_of(path) == Scan(chain.blocks).rows


def test_a_shorter_chain_is_followed_too(chain: Chain, path: Path) -> None:
    chain.mine(to=OURS, count=20)
    with opened(path) as book:
        book.sync(chain)
        chain.undo(7)

        book.sync(chain)

        assert book.tip() == chain.tip()
    assert rows_of(path) == Scan(chain.blocks).rows


def test_below_the_hashes_that_are_kept_all_is_read_again(
    chain: Chain, path: Path
) -> None:
    chain.mine(to=OURS, count=50)
    with opened(path, kept_blocks=10) as book:
        book.sync(chain)
        chain.undo(20)
        chain.mine(to=OURS, count=21)
        chain.asked = 0

        book.sync(chain)

        assert chain.asked >= 52
    assert rows_of(path) == Scan(chain.blocks).rows


def test_only_the_last_hashes_are_kept(chain: Chain, path: Path) -> None:
    chain.mine(count=50)
    with opened(path, kept_blocks=10) as book:
        book.sync(chain)
    with sqlite3.connect(path) as db:
        heights = [row[0] for row in db.execute("SELECT height FROM blocks")]
    db.close()

    assert heights == list(range(41, 51))


def random_spending(
    chain: Chain, dice: random.Random, first_height: int
) -> list[Transaction]:
    """Transactions that a next block may hold, among them chains of them."""
    rows = Scan(chain.blocks, first_height).rows
    free = [outpoint for outpoint, row in rows.items() if row[3] is None]
    dice.shuffle(free)
    made = []
    while free and dice.random() < 0.7:
        taken = [free.pop() for _ in range(min(len(free), dice.randint(1, 3)))]
        to = dice.choice([OURS, OURS, THEIRS])
        values = tuple(dice.randrange(1, 10**6) for _ in range(dice.randint(1, 3)))
        made.append(spend(*taken, values=values, to=to))
        if to == OURS:
            free += [OutPoint(made[-1].txid_bytes, n) for n in range(len(values))]
    return made


@settings(max_examples=60)
@given(seed=st.integers(0, 2**32), first_height=st.integers(0, 6))
def test_after_random_reorganisations_it_equals_a_straight_scan(
    tmp_path_factory: pytest.TempPathFactory, seed: int, first_height: int
) -> None:
    dice, chain = random.Random(seed), Chain()
    path = tmp_path_factory.mktemp("book") / "coins.sqlite"
    with opened(path, first_height, batch_blocks=3) as book:
        for _ in range(dice.randint(1, 8)):
            chain.undo(dice.randint(0, min(len(chain.blocks) - 1, 12)))
            for _ in range(dice.randint(0, 8)):
                spending = random_spending(chain, dice, first_height)
                chain.mine(*spending, to=dice.choice([OURS, THEIRS]))
            book.sync(chain)
            assert book.balance().coins == sum(
                row[3] is None for row in Scan(chain.blocks, first_height).rows.values()
            )

    assert rows_of(path) == Scan(chain.blocks, first_height).rows


class Reorganised(Chain):
    """Loses its last blocks while it is being read, once."""

    depth = 3

    def iter_raw_blocks(self, first: int, last: int) -> Iterator[tuple[int, FloBlock]]:
        """Changes after half of what was asked for."""
        for height, item in super().iter_raw_blocks(first, last):
            yield height, item
            if self.depth and height == len(self.blocks) - 1 - self.depth // 2:
                self.undo(self.depth)
                self.mine(to=OURS, count=self.depth + 1)
                self.depth = 0


def test_a_chain_that_changes_while_it_is_read_is_followed(path: Path) -> None:
    chain = Reorganised()
    chain.mine(to=OURS, count=20)

    with opened(path) as book:
        book.sync(chain)

        assert book.tip() == chain.tip()
    assert rows_of(path) == Scan(chain.blocks).rows


class Torn(Chain):
    """A reader whose blocks do not follow each other."""

    def iter_raw_blocks(self, first: int, last: int) -> Iterator[tuple[int, FloBlock]]:
        """Each is new."""
        for height, item in super().iter_raw_blocks(first, last):
            yield height, replace(item, header=replace(item.header, nonce=self.asked))


def test_blocks_that_never_fit_together_end_in_an_error(path: Path) -> None:
    chain = Torn()
    chain.mine(count=20)

    with (
        opened(path) as book,
        pytest.raises(UnavailableError, match="change faster"),
    ):
        book.sync(chain)


class Lost(Chain):
    """A daemon that goes away after some blocks."""

    left = 0

    def iter_raw_blocks(self, first: int, last: int) -> Iterator[tuple[int, FloBlock]]:
        """Some of them."""
        for height, item in super().iter_raw_blocks(first, last):
            if self.left == 0:
                msg = "the daemon is gone"
                raise UnavailableError(msg)
            self.left -= 1
            yield height, item


def test_what_was_read_before_the_daemon_went_is_not_read_again(path: Path) -> None:
    chain = Lost()
    chain.mine(to=OURS, count=20)
    chain.left = 10
    with (
        opened(path, batch_blocks=4) as book,
        pytest.raises(UnavailableError, match="is gone"),
    ):
        book.sync(chain)
    chain.left, chain.asked = 100, 0

    with opened(path) as book:
        assert book.tip() == Tip(7, chain.blocks[7].header.hash)
        book.sync(chain)

    assert chain.asked == 13
    assert rows_of(path) == Scan(chain.blocks).rows


KILLED = """
import os, random, signal, sys
from pathlib import Path
from etdb.ledger.flo import coinbook, cointable
from etdb.ledger.flo.block import FloBlock
from tests.ledger.flo import test_coinbook as tests

path, blocks, is_whole = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3] == "whole"
chain = tests.Chain()
chain.blocks = [FloBlock.parse(bytes.fromhex(line)) for line in blocks.open()]
real, written = cointable.write, 0

def write(db, batch):
    global written
    written += 1
    if written < 3:
        return real(db, batch)
    db.executemany("INSERT INTO blocks VALUES (?, ?)", batch.hashes)
    if not is_whole:
        db.execute("COMMIT")
    os.kill(os.getpid(), signal.SIGKILL)

coinbook.write = write
tests.opened(path, batch_blocks=5).sync(chain)
"""


@pytest.mark.parametrize("transaction", ["whole", "in pieces"])
def test_a_killed_reader_goes_on_where_it_was(
    chain: Chain, path: Path, tmp_path: Path, transaction: str
) -> None:
    """Twin: with batches written in pieces, coins would be lost for good."""
    dice = random.Random(5)
    for _ in range(40):
        chain.mine(*random_spending(chain, dice, 0), to=OURS)
    lines = tmp_path / "blocks"
    lines.write_text("".join(f"{item.encode().hex()}\n" for item in chain.blocks))
    root = Path(__file__).parents[3]

    done = subprocess.run(
        [sys.executable, "-c", KILLED, path, lines, transaction],
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(root)},
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    with opened(path) as book:
        book.sync(chain)

    is_equal = rows_of(path) == Scan(chain.blocks).rows
    assert is_equal == (transaction == "whole")


def test_two_readers_of_one_file_do_each_block_once(chain: Chain, path: Path) -> None:
    dice = random.Random(7)
    for _ in range(60):
        chain.mine(*random_spending(chain, dice, 0), to=OURS)
    few = BookLimits(batch_blocks=2)
    books = [CoinBook.open(path, OURS, LEDGER, limits=few) for _ in range(2)]
    threads = [threading.Thread(target=book.sync, args=(chain,)) for book in books]

    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert [book.tip() for book in books] == [chain.tip()] * 2
    for book in books:
        book.close()
    assert rows_of(path) == Scan(chain.blocks).rows


def test_the_file_is_kept_for_the_same_wallet(chain: Chain, path: Path) -> None:
    chain.mine(to=OURS, count=3)
    with opened(path) as book:
        book.sync(chain)

    with opened(path) as book:
        assert book.tip() == chain.tip()
    with opened(path, first_height=2) as book:
        assert book.balance().coins == 3


@pytest.mark.parametrize(
    ("script", "ledger_id", "first_height"),
    [(THEIRS, LEDGER, 2), (OURS, "cd" * 32, 2), (OURS, LEDGER, 1)],
    ids=["another script", "another ledger", "from further below"],
)
def test_for_another_wallet_or_ledger_the_file_is_begun_anew(
    chain: Chain, path: Path, script: bytes, ledger_id: str, first_height: int
) -> None:
    chain.mine(to=OURS, count=3)
    with opened(path, first_height=2) as book:
        book.sync(chain)

    with CoinBook.open(path, script, ledger_id, first_height) as book:
        assert book.tip() is None
        assert book.balance().coins == 0
        book.sync(chain)
        assert book.tip() == chain.tip()


def test_a_process_notices_that_the_file_went_to_another_wallet(
    chain: Chain, path: Path
) -> None:
    with opened(path) as book:
        book.sync(chain)
        CoinBook.open(path, THEIRS, LEDGER).close()

        with pytest.raises(ConflictError, match="another wallet"):
            book.sync(chain)
        with pytest.raises(ConflictError, match="another wallet"):
            list(book.iter_own(OURS))


def test_a_locked_file_is_an_error_with_the_next_step(chain: Chain, path: Path) -> None:
    with opened(path) as book:
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(UnavailableError, match="locked") as caught:
            book.sync(chain)
        other.execute("ROLLBACK")
        other.close()

        assert "wait for other programs" in caught.value.hint
        book.sync(chain)
        assert book.tip() == chain.tip()


def test_a_file_that_cannot_be_made_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError, match="unable to open"):
        opened(tmp_path / "no such folder" / "coins.sqlite")


def test_a_file_that_is_no_database_is_an_error(path: Path) -> None:
    path.write_bytes(b"not a database, and long enough to be looked at" * 40)

    with pytest.raises(DamagedFileError, match="is broken") as caught:
        opened(path)

    assert caught.value.path == path
    assert "made again from the ledger" in caught.value.hint


def test_another_database_is_left_alone(path: Path) -> None:
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE coins (value)")
    db.close()

    with pytest.raises(DamagedFileError, match="is no coin book"):
        opened(path)

    with sqlite3.connect(path) as db:
        assert db.execute("SELECT count(*) FROM coins").fetchone() == (0,)
    db.close()


def test_a_damaged_file_is_an_error(chain: Chain, path: Path) -> None:
    chain.mine(to=OURS, count=300)
    with opened(path) as book:
        book.sync(chain)
    data = bytearray(path.read_bytes())
    data[4096 * 2 :] = b"\xff" * (len(data) - 4096 * 2)
    path.write_bytes(data)

    with pytest.raises(DamagedFileError, match="is broken"), opened(path) as book:
        book.sync(chain)
        list(book.iter_own(OURS))
        book.balance()


def funded(chain: Chain) -> None:
    """Give the wallet two coins that it may spend at once."""
    chain.mine(spend(OutPoint(b"x" * 32, 0), values=(COIN_SAT, COIN_SAT), to=OURS))


def loaded(book: CoinBook, chain: Chain) -> Wallet:
    wallet = Wallet(KEY)
    book.sync(chain)
    wallet.load(book, chain.tip().height + 1)
    return wallet


def test_what_a_reorganisation_took_out_is_pending_again(
    chain: Chain, path: Path
) -> None:
    funded(chain)
    with opened(path) as book:
        wallet = loaded(book, chain)
        sent = [wallet.compose(b"%d" % number) for number in range(3)]
        chain.mine(*sent)
        book.sync(chain)
        assert list(book.list_undone()) == []
        chain.undo(1)
        chain.mine(count=2)

        after = loaded(book, chain)

        assert list(book.list_undone()) == sent
        assert after.list_pending() == sent
        spent = {item.inputs[0].outpoint for item in sent}
        assert after.compose(b"x").inputs[0].outpoint not in spent
        chain.mine(*sent)
        book.sync(chain)
        assert list(book.list_undone()) == []


class Forgetful(CoinBook):
    """A book that does not keep what was undone."""

    def list_undone(self) -> list[Transaction]:
        """Nothing."""
        return []


def test_without_them_a_coin_of_theirs_would_be_spent_again(
    chain: Chain, path: Path
) -> None:
    funded(chain)
    with Forgetful.open(path, OURS, LEDGER) as book:
        wallet = loaded(book, chain)
        sent = [wallet.compose(b"1"), wallet.compose(b"2")]
        chain.mine(*sent)
        book.sync(chain)
        chain.undo(1)
        chain.mine(count=2)

        again = loaded(book, chain).compose(b"x")

    assert again.inputs[0].outpoint in {item.inputs[0].outpoint for item in sent}


def test_what_can_no_longer_be_mined_is_not_pending(chain: Chain, path: Path) -> None:
    funded(chain)
    with opened(path) as book:
        wallet = loaded(book, chain)
        sent = [wallet.compose(b"%d" % number) for number in range(4)]
        chain.mine(*sent)
        book.sync(chain)
        chain.undo(1)
        chain.mine(replace(sent[0], flo_data=b"malleated"))

        after = loaded(book, chain)

        lost = {sent[0].txid_bytes}
        kept = [tx for tx in sent[1:] if tx.inputs[0].outpoint.txid_bytes not in lost]
        assert len(kept) == 2
        assert list(book.list_undone()) == kept
        assert after.list_pending() == kept
