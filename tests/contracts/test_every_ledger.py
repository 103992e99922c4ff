"""What every ledger promises, asked of each of ours."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path

import pytest

from etdb.errors import NotFoundError
from etdb.identity import Txid
from etdb.ledger.base import Ledger
from etdb.ledger.flo.local import EmbeddedChain
from etdb.record.signing import TEST_P2PKH, PrivateKey
from etdb.testing.ledger import MemoryLedger


def embedded(folder: Path) -> Ledger:
    key = PrivateKey.generate()
    return EmbeddedChain.create(
        folder / "chain",
        publisher=key,
        wallet=PrivateKey.generate(),
        address=key.address(TEST_P2PKH),
    )


def memory(_folder: Path) -> Ledger:
    return MemoryLedger()


@pytest.fixture(params=[embedded, memory])
def ledger(request: pytest.FixtureRequest, tmp_path: Path) -> Ledger:
    make: Callable[[Path], Ledger] = request.param
    return make(tmp_path)


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
        self, ledger: Ledger
    ) -> None:
        ledger.send([ledger.compose(b"one")])

        blocks = [ledger.block(height) for height in range(ledger.tip().height + 1)]

        for before, after in itertools.pairwise(blocks):
            assert after.previous == before.hash
            assert after.height == before.height + 1
            assert after.time > before.time
        assert blocks[-1].hash == ledger.tip().hash

    def test_a_height_without_a_block_is_not_found(self, ledger: Ledger) -> None:
        for height in (-1, ledger.tip().height + 1):
            with pytest.raises(NotFoundError):
                ledger.block(height)

    def test_what_is_composed_is_nowhere_until_it_is_sent(self, ledger: Ledger) -> None:
        tip = ledger.tip()

        composed = ledger.compose(b"said")

        assert ledger.tip() == tip
        assert ledger.find_height(composed.txid) is None

    def test_what_is_sent_is_carried_verbatim_and_in_order(
        self, ledger: Ledger
    ) -> None:
        height = ledger.tip().height
        texts = [b"json:{}", "é".encode() * 520, b"\xff\x00 not UTF-8", b"x"]
        sent = [ledger.compose(text) for text in texts]

        ledger.send(sent)

        assert carried_since(ledger, height) == [
            (item.txid, text) for item, text in zip(sent, texts, strict=True)
        ]
        assert all(ledger.find_height(item.txid) is not None for item in sent)

    def test_positions_in_a_block_rise(self, ledger: Ledger) -> None:
        ledger.send([ledger.compose(b"x") for _ in range(5)])

        positions = [
            carried.position for carried in ledger.block(ledger.tip().height).carried
        ]

        assert positions == sorted(set(positions))

    def test_the_same_text_twice_is_two_transactions(self, ledger: Ledger) -> None:
        height = ledger.tip().height
        sent = [ledger.compose(b"same"), ledger.compose(b"same")]

        ledger.send(sent)

        assert sent[0].txid != sent[1].txid
        assert len(carried_since(ledger, height)) == 2

    def test_sending_again_changes_nothing(self, ledger: Ledger) -> None:
        sent = [ledger.compose(b"one"), ledger.compose(b"two")]
        ledger.send(sent)
        tip = ledger.tip()

        ledger.send(sent)

        assert ledger.tip() == tip

    def test_of_a_group_half_sent_only_the_rest_is_added(self, ledger: Ledger) -> None:
        height = ledger.tip().height
        sent = [ledger.compose(b"one"), ledger.compose(b"two"), ledger.compose(b"3")]
        ledger.send(sent[:1])

        ledger.send(sent)

        assert [txid for txid, _ in carried_since(ledger, height)] == [
            item.txid for item in sent
        ]

    def test_sending_nothing_is_no_block(self, ledger: Ledger) -> None:
        tip = ledger.tip()

        ledger.send([])

        assert ledger.tip() == tip

    def test_a_fee_is_what_it_was_said_to_be_and_rises_with_size(
        self, ledger: Ledger
    ) -> None:
        assert ledger.compose(b"x" * 300).fee_sat == ledger.fee_sat(300)
        assert 0 < ledger.fee_sat(1) < ledger.fee_sat(1000)

    def test_a_ledger_stays_the_same_ledger(self, ledger: Ledger) -> None:
        info = ledger.info

        ledger.send([ledger.compose(b"x")])

        assert ledger.info == info

    def test_an_unknown_transaction_has_no_height(self, ledger: Ledger) -> None:
        assert ledger.find_height(Txid("0" * 64)) is None
