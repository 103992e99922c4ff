"""Coins are spent once, and last."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from etdb.errors import ConflictError, InvalidDataError, UnavailableError
from etdb.ledger.flo.block import COIN_SAT, coinbase
from etdb.ledger.flo.tx import OutPoint, Transaction, TxIn, TxOut
from etdb.ledger.flo.wallet import (
    MAX_DATA_BYTES,
    MAX_UNCONFIRMED_DEPTH,
    Coins,
    Wallet,
    fee_sat,
    verify_standard,
)
from etdb.record.signing import PrivateKey

KEY = PrivateKey.from_bytes(b"\x01" * 32)


def funded(*values_sat: int, data: bytes = b"") -> tuple[Wallet, Coins]:
    """A wallet that may spend one coin of each value."""
    wallet = Wallet(KEY)
    coins = Coins()
    outputs = tuple(TxOut(value_sat, wallet.script) for value_sat in values_sat)
    given = TxIn(OutPoint(b"\x11" * 32, 0), b"")
    coins.apply(Transaction(2, (given,), outputs, 0, data), 1)
    wallet.load(coins, 2)
    return wallet, coins


def test_a_composed_transaction_may_be_mined_and_pays_its_fee() -> None:
    wallet, coins = funded(COIN_SAT)

    transaction = wallet.compose(b"x" * 500)

    assert coins.verify_spend(transaction, 2) == fee_sat(500)
    assert transaction.flo_data == b"x" * 500
    assert transaction.outputs[0].script == wallet.script


@pytest.mark.parametrize("size_bytes", [0, 1, 252, 253, 1000, MAX_DATA_BYTES])
def test_the_fee_is_10_satoshis_a_byte_rounded_to_the_longest_signature(
    size_bytes: int,
) -> None:
    wallet, _ = funded(COIN_SAT)

    actual_bytes = wallet.compose(b"x" * size_bytes).size_bytes

    assert 0 <= fee_sat(size_bytes) - 10 * actual_bytes <= 30


def test_no_coin_is_spent_twice_before_it_is_in_a_block() -> None:
    wallet, coins = funded(*[COIN_SAT] * 3)

    composed = [wallet.compose(b"%d" % number) for number in range(30)]

    spent = {item.inputs[0].outpoint for item in composed}
    assert len(spent) == 30
    for transaction in composed:
        coins.verify_spend(transaction, 2)
        coins.apply(transaction, 2)


def test_unconfirmed_chains_grow_evenly_over_the_coins() -> None:
    wallet, _ = funded(*[COIN_SAT] * 64)

    spent = [wallet.compose(b"").inputs[0].outpoint for _ in range(128)]

    assert len({outpoint.txid_bytes for outpoint in spent[:64]}) == 1
    assert len({outpoint.txid_bytes for outpoint in spent[64:]}) == 64


def test_a_chain_of_unconfirmed_transactions_ends_at_1250() -> None:
    wallet, _ = funded(COIN_SAT)
    for _ in range(MAX_UNCONFIRMED_DEPTH):
        wallet.compose(b"")

    with pytest.raises(UnavailableError, match="1250 unconfirmed"):
        wallet.compose(b"")


def test_loading_again_does_not_offer_what_is_composed_and_not_sent() -> None:
    wallet, coins = funded(COIN_SAT, COIN_SAT)
    first = wallet.compose(b"1")

    wallet.load(coins, 2)
    second = wallet.compose(b"2")

    assert first.inputs[0].outpoint != second.inputs[0].outpoint
    wallet.load(coins, 2)
    with pytest.raises(UnavailableError, match="no coin"):
        wallet.compose(b"3")


def test_a_promised_change_is_not_offered_when_it_is_mined() -> None:
    wallet, coins = funded(COIN_SAT)
    first, second = wallet.compose(b"1"), wallet.compose(b"2")
    coins.apply(first, 2)
    wallet.settle(first)

    wallet.load(coins, 3)

    with pytest.raises(UnavailableError, match="no coin"):
        wallet.compose(b"3")
    coins.verify_spend(second, 3)


def test_coins_too_small_for_the_fee_are_passed_over() -> None:
    wallet, _ = funded(1000, COIN_SAT)

    assert wallet.compose(b"x").inputs[0].outpoint.output == 1

    poor, _ = funded(1000)
    with pytest.raises(UnavailableError, match="no coin"):
        poor.compose(b"x")


def test_coins_of_others_are_not_spent() -> None:
    wallet, coins = Wallet(KEY), Coins()
    coins.apply(coinbase(1, TxOut(COIN_SAT, b"\x51")), 1)
    wallet.load(coins, 200)

    with pytest.raises(UnavailableError, match="no coin"):
        wallet.compose(b"x")


def test_a_coinbase_is_not_spent_before_it_is_100_blocks_old() -> None:
    wallet, coins = Wallet(KEY), Coins()
    coins.apply(coinbase(10, TxOut(COIN_SAT, wallet.script)), 10)

    wallet.load(coins, 109)
    with pytest.raises(UnavailableError, match="no coin"):
        wallet.compose(b"x")
    wallet.load(coins, 110)
    transaction = wallet.compose(b"x")

    coins.verify_spend(transaction, 110)
    with pytest.raises(ConflictError, match="cannot be spent"):
        coins.verify_spend(transaction, 109)


def test_more_flo_data_than_flo_nodes_relay_is_refused() -> None:
    wallet, _ = funded(COIN_SAT)

    wallet.compose(("é" * 520).encode())
    with pytest.raises(InvalidDataError, match="1042 bytes"):
        wallet.compose(("é" * 521).encode())


def test_a_fan_out_makes_equal_coins_and_pays_its_fee() -> None:
    wallet, coins = Wallet(KEY), Coins()
    made = [
        coinbase(height, TxOut(100 * COIN_SAT, wallet.script)) for height in range(1, 9)
    ]
    for height, transaction in enumerate(made, 1):
        coins.apply(transaction, height)

    spread = wallet.fan_out(made, 64)

    assert len({output.value_sat for output in spread.outputs}) == 1
    assert len(spread.outputs) == 64
    fee = coins.verify_spend(spread, 110)
    assert 0 <= fee - 10 * spread.size_bytes <= 30 * 8 + 64


def test_a_group_is_checked_on_top_of_the_chain_without_touching_it() -> None:
    wallet, coins = funded(COIN_SAT)
    first, second = wallet.compose(b"1"), wallet.compose(b"2")
    group = Coins(coins)

    group.apply(first, 2)

    group.verify_spend(second, 2)
    with pytest.raises(ConflictError):
        group.verify_spend(first, 2)
    coins.verify_spend(first, 2)
    with pytest.raises(ConflictError):
        coins.verify_spend(second, 2)


@pytest.mark.parametrize(
    "change",
    [
        lambda tx: replace(tx, inputs=()),
        lambda tx: replace(tx, inputs=tx.inputs * 2),
        lambda tx: replace(tx, outputs=(TxOut(2 * COIN_SAT, b""),)),
        lambda tx: replace(tx, flo_data=b"other"),
    ],
    ids=["spends nothing", "spends twice", "pays too much", "altered"],
)
def test_a_wrong_spend_is_refused(change: Callable[[Transaction], Transaction]) -> None:
    wallet, coins = funded(COIN_SAT)

    with pytest.raises(InvalidDataError):
        coins.verify_spend(change(wallet.compose(b"x")), 2)


def test_paying_out_more_than_is_spent_is_refused_though_it_is_signed() -> None:
    wallet, coins = funded(COIN_SAT)
    rich = Wallet(KEY)
    rich._queue = [(0, -2 * COIN_SAT, wallet._queue[0][2])]

    with pytest.raises(InvalidDataError, match="pays out more"):
        coins.verify_spend(rich.compose(b"x"), 2)


def test_only_standard_transactions_may_be_mined() -> None:
    plain = funded(COIN_SAT)[0].compose(b"x")
    verify_standard(plain)

    with pytest.raises(InvalidDataError, match="witness"):
        verify_standard(replace(plain, witness=((b"x",),)))
    with pytest.raises(InvalidDataError, match="1041 bytes of floData"):
        verify_standard(replace(plain, flo_data=bytes(1041)))
    with pytest.raises(InvalidDataError, match="has 10 bytes"):
        verify_standard(Transaction(1, (), ()))


def test_the_first_coins_outlast_millions_of_transactions() -> None:
    """Even if no fee ever came back."""
    fan_out_sat = 10 * 100 * COIN_SAT

    assert fan_out_sat // fee_sat(MAX_DATA_BYTES) > 8_000_000
