"""Through a real FLO node: sent, mined, read, reorganised, and never fatal.

fcoin cannot mine as it is published, so blocks are mined here and submitted.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from etdb.errors import ConflictError, NotAllowedError, UnavailableError
from etdb.index.db import Index
from etdb.index.follow import check, follow
from etdb.ledger.flo.block import COIN_SAT
from etdb.ledger.flo.coinbook import CoinBook
from etdb.ledger.flo.daemon import DaemonLedger
from etdb.ledger.flo.delivery import Pace
from etdb.ledger.flo.params import MAIN, REGTEST
from etdb.ledger.flo.rpc import Rpc
from etdb.ledger.flo.script import pay_to
from etdb.ledger.flo.tx import Transaction
from etdb.record.message import Coverage
from etdb.record.signing import PrivateKey, hash160
from etdb.testing.mining import malleate

KEY = PrivateKey.from_bytes(b"\x05" * 32)
SCRIPT = pay_to(hash160(KEY.public_key))
BINARY = b"\xff\xfe\x00\x80 is no text"


@pytest.fixture
def ledger(fcoin: Any, miner: Any, tmp_path: Path) -> Iterator[DaemonLedger]:
    assert miner.chain.tip().height == 110
    coins = CoinBook.open(tmp_path / "coins.sqlite", SCRIPT, REGTEST.info(0).id)
    rpc = Rpc(fcoin.url, *fcoin.login)
    with DaemonLedger.open(
        rpc, REGTEST, coins=coins, key=KEY, pace=Pace(3.0)
    ) as opened:
        yield opened


@pytest.fixture
def index(ledger: DaemonLedger, tmp_path: Path) -> Iterator[Index]:
    with Index.create(tmp_path / "index.sqlite", [ledger.info]) as opened:
        yield opened


def said(ledger: DaemonLedger, first: int = 111) -> list[bytes]:
    blocks = ledger.iter_blocks(first, ledger.tip().height)
    return [one.data for block in blocks for one in block.carried]


def test_texts_are_sent_seen_in_the_mempool_mined_and_read_back(
    ledger: DaemonLedger, miner: Any
) -> None:
    miner.fund(SCRIPT, 8)
    texts = [b"json:{}", "é".encode() * 520, BINARY, b"x" * 1_040]
    ledger.prepare([len(text) for text in texts])
    sent = [ledger.compose(text) for text in texts]

    ledger.send(sent)

    assert miner.pool() == {item.txid for item in sent}
    status = ledger.status()
    assert status.mempool == 4
    miner.mine()
    assert miner.pool() == set()
    ledger.send(sent)
    assert miner.pool() == set()
    block = ledger.block(ledger.tip().height)
    assert {one.txid: one.data for one in block.carried} == {
        item.txid: text for item, text in zip(sent, texts, strict=True)
    }
    assert {one.coverage for one in block.carried} == {Coverage.COVERED}
    for one in block.carried:
        assert ledger.raw_transaction(block.height, one.position) in {
            item.raw for item in sent
        }
    ledger.settle()
    wallet = ledger.status().wallet
    assert wallet is not None
    assert wallet.balance_sat == 8 * COIN_SAT - sum(item.fee_sat for item in sent)


def test_more_texts_than_one_chain_may_hold_go_out_at_once(
    ledger: DaemonLedger, miner: Any
) -> None:
    """One coin; nodes take 1,250 unconfirmed transactions in a row."""
    count = 1_300
    miner.fund(SCRIPT, 1, 10 * COIN_SAT)
    with pytest.raises(UnavailableError, match="wait for a block"):
        ledger.prepare([20] * count)
    assert len(miner.pool()) == 1
    miner.mine()
    ledger.prepare([20] * count)
    sent = [ledger.compose(b"%020d" % number) for number in range(count)]

    ledger.send(sent)

    assert miner.pool() == {item.txid for item in sent}
    miner.mine()
    assert sorted(said(ledger)) == [b"%020d" % number for number in range(count)]


@pytest.mark.parametrize("depth", [3, 9])
def test_a_reorganisation_is_followed_and_what_fell_out_can_be_sent_again(
    ledger: DaemonLedger, miner: Any, index: Index, depth: int
) -> None:
    miner.fund(SCRIPT, 8)
    for _ in range(10 - depth):
        miner.mine()
    fork = ledger.tip()
    sent = [ledger.compose(b"one"), ledger.compose(b"two")]
    ledger.send(sent)
    miner.mine()
    for _ in range(depth - 1):
        miner.mine("somebody else's")
    follow(index, ledger)
    left = ledger.tip()

    miner.reorganise(depth)

    assert ledger.tip().height == left.height + 1
    assert ledger.block(fork.height).hash == fork.hash
    assert follow(index, ledger) == depth + 1
    assert check(index, [ledger]) == []
    assert said(ledger) == []
    ledger.send(sent)
    miner.mine()
    assert follow(index, ledger) == 1
    assert {b"one", b"two"} <= {*said(ledger)}
    assert check(index, [ledger]) == []


def test_odd_texts_are_read_and_never_fatal(
    ledger: DaemonLedger, miner: Any, index: Index
) -> None:
    """Not UTF-8; a byte more than is relayed; nearly a block; in a coinbase."""
    texts = [BINARY, b"x" * 1_041, b"json:" + b"[" * 900_000]
    coinbases = [b"json:{}", BINARY * 120]
    for text in texts:
        miner.mine(text)
    for text in coinbases:
        miner.mine(said=text)
    miner.mine("after")

    assert follow(index, ledger) == 117
    found = [block.carried for block in ledger.iter_blocks(111, 116)]

    assert [len(carried) for carried in found] == [1] * 6
    assert [(one.position, one.data) for (one,) in found] == [
        *((1, text) for text in texts),
        *((0, text) for text in coinbases),
        (1, b"after"),
    ]
    assert check(index, [ledger]) == []


def test_a_transaction_that_was_malleated_is_a_conflict_and_composed_anew(
    ledger: DaemonLedger, miner: Any
) -> None:
    miner.fund(SCRIPT, 2)
    sent = ledger.compose(b"ours")
    ledger.send([sent])
    stolen = malleate(Transaction.parse(sent.raw))
    miner.add(stolen)

    with pytest.raises(ConflictError) as caught:
        ledger.send([sent])

    assert caught.value.facts["txids"] == [sent.txid]
    anew = ledger.compose(b"ours")
    ledger.send([anew])
    miner.mine()
    assert said(ledger) == [b"ours", b"ours"]


def test_a_wrong_password_and_a_wrong_network_are_told_apart(
    fcoin: Any, miner: Any
) -> None:
    user, password = fcoin.login
    assert miner.chain.tip().height == 110
    with (
        DaemonLedger.open(Rpc(fcoin.url, user, "wrong"), REGTEST) as ledger,
        pytest.raises(NotAllowedError, match="password"),
    ):
        ledger.tip()
    with (
        DaemonLedger.open(Rpc(fcoin.url, user, password), MAIN) as ledger,
        pytest.raises(ConflictError, match="flo-regtest"),
    ):
        ledger.tip()
