"""The daemon of the tests refuses what real ones do, in their words."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from etdb.ledger.flo.rpc import Refusal, Rpc
from etdb.ledger.flo.tx import OMIT_FLO_DATA, SIGHASH_ALL, OutPoint, Transaction, TxOut
from etdb.testing.daemon import LOGIN, FakeDaemon
from etdb.testing.mining import (
    FAUCET,
    FAUCET_SCRIPT,
    MAX_ANCESTORS,
    FloChain,
    RefusedError,
    malleate,
    sign,
)

COINBASE_SAT = 100 * 100_000_000


def coin(chain: FloChain) -> OutPoint:
    return OutPoint(chain.blocks[1].transactions[0].txid_bytes, 0)


def spend(chain: FloChain, data: bytes = b"text", fee_sat: int = 5_000) -> Transaction:
    output = TxOut(COINBASE_SAT - fee_sat, FAUCET_SCRIPT)
    return sign(FAUCET, [coin(chain)], [output], data)


def mined(chain: FloChain) -> Transaction:
    chain.accept(spend(chain))
    return chain.mine().transactions[1]


def second_spend(chain: FloChain) -> Transaction:
    chain.accept(spend(chain))
    return spend(chain, b"other")


def altered(chain: FloChain) -> Transaction:
    return replace(spend(chain), flo_data=b"other")


def unknown_coin(_chain: FloChain) -> Transaction:
    output = TxOut(1, FAUCET_SCRIPT)
    return sign(FAUCET, [OutPoint(b"\x01" * 32, 0)], [output])


REFUSED: dict[str, tuple[Callable[[FloChain], Transaction], int, str]] = {
    "in a block": (mined, -27, "already in block chain"),
    "spent in the mempool": (second_spend, -26, "258: txn-mempool-conflict"),
    "spent in a block": (lambda c: malleate(mined(c)), -25, "Missing inputs"),
    "never there": (unknown_coin, -25, "Missing inputs"),
    "altered": (altered, -26, "16: mandatory-script-verify-flag-failed"),
    "too long": (lambda c: spend(c, b"x" * 1_041), -25, "Flo Data too large"),
    "cheap": (lambda c: spend(c, fee_sat=190), -26, "66: min relay fee not met"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_flod_refuses(name: str) -> None:
    make, code, words = REFUSED[name]
    chain = FloChain()
    transaction = make(chain)

    with pytest.raises(RefusedError, match=words) as caught:
        chain.accept(transaction)

    assert caught.value.code == code


def test_what_is_not_refused_is_in_the_next_block() -> None:
    chain = FloChain()
    transaction = spend(chain, b"x" * 1_040)

    chain.accept(transaction)

    assert list(chain.pool) == [transaction.txid]
    assert chain.mine("another").transactions[1] == transaction
    assert chain.pool == {}


def test_a_chain_of_unconfirmed_transactions_ends_at_1250() -> None:
    chain = FloChain(sat_per_kb=0)
    outpoint = coin(chain)
    for number in range(MAX_ANCESTORS + 1):
        output = TxOut(COINBASE_SAT, FAUCET_SCRIPT)
        transaction = sign(FAUCET, [outpoint], [output], b"%d" % number)
        if number < MAX_ANCESTORS:
            chain.accept(transaction)
        outpoint = OutPoint(transaction.txid_bytes, 0)

    with pytest.raises(RefusedError, match="64: too-long-mempool-chain"):
        chain.accept(transaction)


def test_fcoin_has_no_limit_for_data() -> None:
    chain = FloChain(has_data_limit=False)

    chain.accept(spend(chain, b"x" * 1_041))

    assert len(chain.pool) == 1


def test_a_malleated_transaction_is_as_good_and_another() -> None:
    chain = FloChain()
    transaction = spend(chain)

    other = malleate(transaction)

    assert other.txid != transaction.txid
    assert other.flo_data == transaction.flo_data
    chain.accept(transaction)
    assert chain.steal(transaction.txid) == other
    assert chain.pool == {}
    assert chain.blocks[-1].transactions[1:] == (other,)


def test_what_a_reorganisation_takes_out_waits_again() -> None:
    chain = FloChain()
    transaction = mined(chain)
    left = chain.tip()

    branch = chain.reorganise(3)

    assert len(branch) == 4
    assert chain.tip().height == left.height + 1
    assert list(chain.pool) == [transaction.txid]
    assert chain.find_block(left.hash) is not None
    assert all(block.header.has_work for block in branch)


def test_an_old_signature_is_not_relayed_and_can_be_mined() -> None:
    chain = FloChain()
    output = TxOut(COINBASE_SAT - 5_000, FAUCET_SCRIPT)
    old = sign(FAUCET, [coin(chain)], [output], b"x", SIGHASH_ALL | OMIT_FLO_DATA)

    with pytest.raises(RefusedError):
        chain.accept(old)
    assert chain.add([old]).transactions[1] == old


@pytest.fixture
def fcoin() -> Iterator[FakeDaemon]:
    with FakeDaemon("fcoin") as daemon:
        yield daemon


def test_fcoin_answers_before_it_has_decided_and_never_says_no(
    fcoin: FakeDaemon,
) -> None:
    good, bad = spend(fcoin.chain), unknown_coin(fcoin.chain)
    with Rpc(fcoin.url, *LOGIN) as rpc:
        for transaction in (good, bad):
            answer = rpc.call("sendrawtransaction", transaction.encode().hex())
            assert answer == transaction.txid

        assert rpc.call("getrawmempool") == []
        assert rpc.call("getrawmempool") == [good.txid]


@pytest.mark.parametrize(("dialect", "raw"), [("flod", 0), ("fcoin", False)])
def test_each_has_its_own_word_for_raw(dialect: str, raw: object) -> None:
    with FakeDaemon(dialect) as daemon:  # type: ignore[arg-type] # from a table
        block = daemon.chain.blocks[1]
        with Rpc(daemon.url, *LOGIN) as rpc:
            for form in (0, False):
                answer = rpc.ask("getblock", block.header.hash, form)
                if form is raw:
                    assert answer == block.encode().hex()
                else:
                    assert isinstance(answer, Refusal)
