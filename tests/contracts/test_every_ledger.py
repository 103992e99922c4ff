"""What every ledger promises, asked of each of ours."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from etdb.errors import NotFoundError
from etdb.identity import Txid
from etdb.ledger.base import Ledger
from etdb.ledger.flo.coinbook import CoinBook
from etdb.ledger.flo.daemon import DaemonLedger
from etdb.ledger.flo.local import EmbeddedChain
from etdb.ledger.flo.params import REGTEST
from etdb.ledger.flo.rpc import Rpc
from etdb.ledger.flo.script import pay_to
from etdb.record.signing import TEST_P2PKH, PrivateKey, hash160
from etdb.testing.daemon import LOGIN, Dialect, FakeDaemon
from etdb.testing.ledger import MemoryLedger
from etdb.testing.pool import PoolLedger

Mine = Callable[[], object]
"""Puts what was sent into a block, where sending does not."""


@contextlib.contextmanager
def embedded(folder: Path) -> Iterator[tuple[Ledger, Mine]]:
    key = PrivateKey.generate()
    chain = EmbeddedChain.create(
        folder / "chain",
        publisher=key,
        wallet=PrivateKey.generate(),
        address=key.address(TEST_P2PKH),
    )
    yield chain, lambda: None


@contextlib.contextmanager
def memory(_folder: Path) -> Iterator[tuple[Ledger, Mine]]:
    yield MemoryLedger(), lambda: None


@contextlib.contextmanager
def pool(_folder: Path) -> Iterator[tuple[Ledger, Mine]]:
    ledger = PoolLedger()
    yield ledger, lambda: ledger.deliver() if ledger.pool else None


@contextlib.contextmanager
def daemon(folder: Path, dialect: Dialect) -> Iterator[tuple[Ledger, Mine]]:
    key = PrivateKey.generate()
    script = pay_to(hash160(key.public_key))
    coins = CoinBook.open(folder / "coins.sqlite", script, REGTEST.info(0).id)
    with (
        FakeDaemon(dialect) as running,
        DaemonLedger.open(
            Rpc(running.url, *LOGIN), REGTEST, coins=coins, key=key
        ) as ledger,
    ):
        running.chain.fund(script, coins=8)

        def mine() -> None:
            with running.using() as chain:
                if chain.pool:
                    chain.mine()

        yield ledger, mine


def flod(folder: Path) -> AbstractContextManager[tuple[Ledger, Mine]]:
    return daemon(folder, "flod")


def fcoin(folder: Path) -> AbstractContextManager[tuple[Ledger, Mine]]:
    return daemon(folder, "fcoin")


@pytest.fixture(params=[embedded, memory, pool, flod, fcoin])
def made(
    request: pytest.FixtureRequest, tmp_path: Path
) -> Iterator[tuple[Ledger, Mine]]:
    with request.param(tmp_path) as pair:
        yield pair


@pytest.fixture
def ledger(made: tuple[Ledger, Mine]) -> Ledger:
    return made[0]


@pytest.fixture
def mine(made: tuple[Ledger, Mine]) -> Mine:
    return made[1]


def carried_since(ledger: Ledger, height: int) -> list[tuple[Txid, bytes]]:
    """What blocks after a height carry, without coinbases."""
    return [
        (carried.txid, carried.data)
        for above in range(height + 1, ledger.tip().height + 1)
        for carried in ledger.block(above).carried
        if carried.position > 0
    ]


class TestEveryLedger:
    def test_each_block_names_the_one_before_and_is_no_earlier(
        self, ledger: Ledger, mine: Mine
    ) -> None:
        ledger.send([ledger.compose(b"one")])
        mine()

        blocks = [ledger.block(height) for height in range(ledger.tip().height + 1)]

        for before, after in itertools.pairwise(blocks):
            assert after.previous == before.hash
            assert after.height == before.height + 1
            assert after.time > before.time
        assert blocks[-1].hash == ledger.tip().hash

    def test_many_blocks_are_the_same_as_one_by_one(
        self, ledger: Ledger, mine: Mine
    ) -> None:
        ledger.send([ledger.compose(b"one"), ledger.compose(b"two")])
        mine()
        last = ledger.tip().height

        blocks = list(ledger.iter_blocks(0, last))

        assert blocks == [ledger.block(height) for height in range(last + 1)]
        assert list(ledger.iter_blocks(last, last + 5)) == blocks[-1:]
        assert list(ledger.iter_blocks(last + 1, last + 5)) == []
        assert list(ledger.iter_blocks(1, 0)) == []

    def test_whoever_stops_reading_blocks_may_read_on_later(
        self, ledger: Ledger, mine: Mine
    ) -> None:
        ledger.send([ledger.compose(b"one")])
        mine()
        blocks = ledger.iter_blocks(0, ledger.tip().height)

        first = next(blocks)
        blocks.close()  # type: ignore[attr-defined] # a generator, all of them

        assert first == ledger.block(0)
        assert next(iter(ledger.iter_blocks(1, 1))) == ledger.block(1)

    def test_a_height_without_a_block_is_not_found(self, ledger: Ledger) -> None:
        for height in (-1, ledger.tip().height + 1):
            with pytest.raises(NotFoundError):
                ledger.block(height)
            assert ledger.find_hash(height) is None

    def test_a_height_is_asked_for_its_hash_alone(
        self, ledger: Ledger, mine: Mine
    ) -> None:
        ledger.send([ledger.compose(b"one")])
        mine()

        tip = ledger.tip()

        assert ledger.find_hash(tip.height) == tip.hash
        assert ledger.find_hash(0) == ledger.block(0).hash

    def test_a_transaction_is_had_whole_by_its_place(
        self, ledger: Ledger, mine: Mine
    ) -> None:
        sent = [ledger.compose(b"one"), ledger.compose(b"two")]
        ledger.send(sent)
        mine()
        height = ledger.tip().height

        raws = {
            carried.txid: ledger.raw_transaction(height, carried.position)
            for carried in ledger.block(height).carried
            if carried.position > 0
        }

        assert raws == {item.txid: item.raw for item in sent}
        for place in ((height, 3), (height, -1), (height + 1, 0)):
            with pytest.raises(NotFoundError):
                ledger.raw_transaction(*place)

    def test_what_is_composed_is_nowhere_until_it_is_sent(
        self, ledger: Ledger, mine: Mine
    ) -> None:
        tip = ledger.tip()

        ledger.compose(b"said")

        mine()
        assert ledger.tip() == tip

    def test_what_is_sent_is_carried_verbatim(self, ledger: Ledger, mine: Mine) -> None:
        height = ledger.tip().height
        texts = [b"json:{}", "é".encode() * 520, b"\xff\x00 not UTF-8", b"x"]
        sent = [ledger.compose(text) for text in texts]

        ledger.send(sent)

        mine()
        assert carried_since(ledger, height) == [
            (item.txid, text) for item, text in zip(sent, texts, strict=True)
        ]

    def test_positions_in_a_block_rise(self, ledger: Ledger, mine: Mine) -> None:
        ledger.send([ledger.compose(b"x") for _ in range(5)])
        mine()

        positions = [
            carried.position for carried in ledger.block(ledger.tip().height).carried
        ]

        assert positions == sorted(set(positions))

    def test_the_same_text_twice_is_two_transactions(
        self, ledger: Ledger, mine: Mine
    ) -> None:
        height = ledger.tip().height
        sent = [ledger.compose(b"same"), ledger.compose(b"same")]

        ledger.send(sent)

        mine()
        assert sent[0].txid != sent[1].txid
        assert len(carried_since(ledger, height)) == 2

    def test_sending_again_changes_nothing(self, ledger: Ledger, mine: Mine) -> None:
        sent = [ledger.compose(b"one"), ledger.compose(b"two")]
        ledger.send(sent)
        ledger.send(sent)
        mine()
        tip = ledger.tip()

        ledger.send(sent)

        mine()
        assert ledger.tip() == tip

    def test_of_a_group_half_sent_only_the_rest_is_added(
        self, ledger: Ledger, mine: Mine
    ) -> None:
        height = ledger.tip().height
        sent = [ledger.compose(b"one"), ledger.compose(b"two"), ledger.compose(b"3")]
        ledger.send(sent[:1])

        ledger.send(sent)

        mine()
        assert [txid for txid, _ in carried_since(ledger, height)] == [
            item.txid for item in sent
        ]

    def test_sending_nothing_is_no_block(self, ledger: Ledger, mine: Mine) -> None:
        tip = ledger.tip()

        ledger.send([])

        mine()
        assert ledger.tip() == tip

    def test_a_fee_is_what_it_was_said_to_be_and_rises_with_size(
        self, ledger: Ledger
    ) -> None:
        ledger.prepare([300])

        assert ledger.compose(b"x" * 300).fee_sat == ledger.fee_sat(300)
        assert 0 < ledger.fee_sat(1) < ledger.fee_sat(1000)

    def test_a_ledger_stays_the_same_ledger(self, ledger: Ledger, mine: Mine) -> None:
        info = ledger.info

        ledger.send([ledger.compose(b"x")])

        mine()
        assert ledger.info == info
