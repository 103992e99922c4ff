"""Coins are spent once, and last."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from etdb.errors import (
    ConflictError,
    InvalidDataError,
    NotAllowedError,
    UnavailableError,
)
from etdb.ledger.flo.block import COIN_SAT, coinbase
from etdb.ledger.flo.coins import Coin, Coins, verify_standard
from etdb.ledger.flo.fanout import LEAST_CHANGE_SAT, useful_sat
from etdb.ledger.flo.fee import SAT_PER_KB, fee_sat, records_left, show_flo
from etdb.ledger.flo.package import (
    MAX_PACKAGE_BYTES,
    MAX_PACKAGE_TRANSACTIONS,
    Package,
)
from etdb.ledger.flo.params import MAIN, REGTEST
from etdb.ledger.flo.tx import OutPoint, Transaction, TxIn, TxOut
from etdb.ledger.flo.wallet import Need, Wallet
from etdb.record.parts import MAX_MESSAGE_BYTES
from etdb.record.signing import PrivateKey

KEY = PrivateKey.from_bytes(b"\x01" * 32)


def funded(
    *values_sat: int, coins: Coins | None = None, sat_per_kb: int = SAT_PER_KB
) -> tuple[Wallet, Coins]:
    """A wallet that may spend one coin of each value."""
    wallet = Wallet(KEY, sat_per_kb=sat_per_kb)
    coins = Coins() if coins is None else coins
    outputs = tuple(TxOut(value_sat, wallet.script) for value_sat in values_sat)
    given = TxIn(OutPoint(b"\x11" * 32, 0), b"")
    coins.apply(Transaction(2, (given,), outputs), 1)
    wallet.load(coins, 2)
    return wallet, coins


def mine(coins: Coins, height: int, transactions: Iterable[Transaction]) -> None:
    """Apply what a block holds, each after it was checked."""
    for transaction in transactions:
        coins.verify_spend(transaction, height)
        coins.apply(transaction, height)


def prepared(wallet: Wallet, sizes: Sequence[int]) -> Transaction:
    """The fan-out that must come first, noted as sent."""
    fan_out = wallet.prepare(sizes)
    assert fan_out is not None
    assert wallet.note_pending(fan_out)
    return fan_out


class Mempool:
    """Takes what a FLO node of 0.15.2 or later takes."""

    def __init__(self) -> None:
        self.sizes: dict[bytes, int] = {}
        self.above: dict[bytes, set[bytes]] = {}
        self.below: dict[bytes, tuple[int, int]] = {}

    def send(self, transaction: Transaction) -> None:
        """Assert that neither ancestors nor descendants become too many."""
        txid, size = transaction.txid_bytes, transaction.size_bytes
        above = {txid}
        for item in transaction.inputs:
            above |= self.above.get(item.outpoint.txid_bytes, set())
        self.sizes[txid], self.above[txid] = size, above
        assert len(above) <= 1250
        assert sum(self.sizes[item] for item in above) <= 1_750_000
        for ancestor in above:
            count, total = self.below.get(ancestor, (0, 0))
            self.below[ancestor] = (count + 1, total + size)
            assert count < 1250
            assert total + size <= 1_750_000

    def confirm(self, transactions: Iterable[Transaction]) -> None:
        """A block holds these."""
        gone = {item.txid_bytes for item in transactions}
        self.above = {k: v - gone for k, v in self.above.items() if k not in gone}
        self.below = {k: v for k, v in self.below.items() if k not in gone}


def test_a_composed_transaction_may_be_mined_and_pays_its_fee() -> None:
    wallet, coins = funded(COIN_SAT)

    transaction = wallet.compose(b"x" * 500)

    assert coins.verify_spend(transaction, 2) == fee_sat(500)
    assert transaction.flo_data == b"x" * 500
    assert transaction.outputs[0].script == wallet.script


@pytest.mark.parametrize("size_bytes", [0, 1, 252, 253, 1000, MAX_MESSAGE_BYTES])
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
    for _ in range(MAX_PACKAGE_TRANSACTIONS):
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


class Boastful(Coins):
    """Says that each coin is worth twice what it is."""

    def iter_own(self, script: bytes) -> Iterator[tuple[OutPoint, Coin]]:
        for outpoint, coin in super().iter_own(script):
            output = TxOut(2 * coin.output.value_sat, script)
            yield outpoint, replace(coin, output=output)


def test_paying_out_more_than_is_spent_is_refused_though_it_is_signed() -> None:
    wallet, coins = funded(COIN_SAT, coins=Boastful())

    with pytest.raises(InvalidDataError, match="pays out more"):
        coins.verify_spend(wallet.compose(b"x"), 2)


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

    assert fan_out_sat // fee_sat(MAX_MESSAGE_BYTES) > 8_000_000


def test_change_of_what_was_sent_is_on_offer_again_after_loading() -> None:
    wallet, coins = funded(COIN_SAT)
    sent = wallet.compose(b"1")
    assert wallet.note_pending(sent)

    wallet.load(coins, 2)

    assert wallet.list_pending() == [sent]
    assert wallet.compose(b"2").inputs[0].outpoint.txid_bytes == sent.txid_bytes


def test_another_process_goes_on_from_what_was_sent() -> None:
    first, coins = funded(COIN_SAT)
    sent = [first.compose(b"%d" % number) for number in range(3)]
    second = Wallet(KEY)
    second.load(coins, 2)

    assert all(second.note_pending(item) for item in sent)

    assert second.compose(b"x").inputs[0].outpoint.txid_bytes == sent[2].txid_bytes


def test_without_noting_what_was_sent_its_coin_would_be_spent_twice() -> None:
    first, coins = funded(COIN_SAT)
    sent = first.compose(b"1")
    second = Wallet(KEY)
    second.load(coins, 2)

    assert second.compose(b"2").inputs[0].outpoint == sent.inputs[0].outpoint


def test_noting_before_loading_is_as_good() -> None:
    first, coins = funded(COIN_SAT, COIN_SAT)
    mined, sent = first.compose(b"1"), first.compose(b"2")
    mine(coins, 2, [mined])
    second = Wallet(KEY)

    second.note_pending(mined)
    second.note_pending(sent)
    second.load(coins, 3)

    assert second.list_pending() == [sent]


def test_what_is_in_a_block_is_not_noted() -> None:
    wallet, coins = funded(COIN_SAT)
    sent = wallet.compose(b"1")
    mine(coins, 2, [sent])
    other = Wallet(KEY)
    other.load(coins, 3)

    assert not other.note_pending(sent)
    assert other.list_pending() == []


def test_a_coin_spent_by_another_transaction_takes_ours_with_it() -> None:
    wallet, coins = funded(COIN_SAT, COIN_SAT)
    lost = wallet.compose(b"1")
    after = wallet.compose(b"2"), wallet.compose(b"3")
    for item in (lost, *after):
        wallet.note_pending(item)
    coins.apply(replace(lost, flo_data=b"malleated"), 2)

    wallet.load(coins, 3)

    assert wallet.list_pending() == [
        item for item in after if item.inputs[0].outpoint.txid_bytes != lost.txid_bytes
    ]


def test_what_is_forgotten_gives_its_coins_back_and_its_children_up() -> None:
    wallet, coins = funded(COIN_SAT)
    first, second = wallet.compose(b"1"), wallet.compose(b"2")
    wallet.note_pending(first)
    wallet.note_pending(second)

    wallet.forget([first])
    wallet.load(coins, 2)

    assert wallet.list_pending() == []
    assert wallet.compose(b"3").inputs[0].outpoint == first.inputs[0].outpoint


def test_a_coin_that_is_held_is_not_on_offer_until_a_block_spends_it() -> None:
    wallet, coins = funded(COIN_SAT)
    ours = wallet.compose(b"1")
    wallet.note_pending(ours)

    wallet.hold(ours.inputs[0].outpoint)
    wallet.load(coins, 2)

    assert wallet.list_pending() == []
    with pytest.raises(UnavailableError, match="no coin"):
        wallet.compose(b"2")
    theirs = replace(ours, flo_data=b"malleated")
    coins.apply(theirs, 2)
    wallet.load(coins, 3)
    assert wallet.compose(b"3").inputs[0].outpoint.txid_bytes == theirs.txid_bytes


def test_the_change_of_what_was_composed_and_never_sent_is_not_built_upon() -> None:
    wallet, coins = funded(COIN_SAT)
    unsent = wallet.compose(b"1")

    wallet.load(coins, 2)

    with pytest.raises(UnavailableError, match="no coin"):
        wallet.compose(b"2")
    wallet.note_pending(unsent)
    assert wallet.compose(b"3").inputs[0].outpoint.txid_bytes == unsent.txid_bytes


def test_all_that_hangs_on_an_unconfirmed_fan_out_shares_one_budget() -> None:
    wallet, _ = funded(COIN_SAT)
    fan_out = prepared(wallet, [10] * 100)
    pool = Mempool()
    pool.send(fan_out)

    for number in range(MAX_PACKAGE_TRANSACTIONS - 1):
        pool.send(wallet.compose(b"%d" % number))
    with pytest.raises(UnavailableError, match="1250 unconfirmed"):
        wallet.compose(b"")


def test_a_budget_per_coin_would_be_refused_below_an_unconfirmed_fan_out() -> None:
    wallet, coins = funded(COIN_SAT)
    fan_out = prepared(wallet, [10] * 100)
    naive = Wallet(KEY)
    coins.apply(fan_out, 1)
    naive.load(coins, 2)
    pool = Mempool()
    pool.send(fan_out)

    with pytest.raises(AssertionError):
        for number in range(MAX_PACKAGE_TRANSACTIONS):
            pool.send(naive.compose(b"%d" % number))


def test_each_coin_has_a_budget_of_its_own_once_the_fan_out_is_in_a_block() -> None:
    wallet, coins = funded(COIN_SAT)
    fan_out = prepared(wallet, [10] * 100)
    mine(coins, 2, [fan_out])

    wallet.load(coins, 3)

    composed = [wallet.compose(b"") for _ in range(2 * MAX_PACKAGE_TRANSACTIONS)]
    assert len(composed) == 2500


def test_a_package_has_room_again_when_a_part_of_it_is_in_a_block() -> None:
    wallet, coins = funded(COIN_SAT)
    sent = [wallet.compose(b"") for _ in range(MAX_PACKAGE_TRANSACTIONS)]
    for item in sent:
        wallet.note_pending(item)
    mine(coins, 2, sent[:10])

    wallet.load(coins, 3)

    assert len([wallet.compose(b"") for _ in range(10)]) == 10
    with pytest.raises(UnavailableError, match="1250 unconfirmed"):
        wallet.compose(b"")


Step = tuple[str, int]
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("compose"), st.integers(0, MAX_MESSAGE_BYTES)),
        st.tuples(st.just("fan out"), st.integers(1, 3000)),
        st.tuples(st.just("mine"), st.integers(0, 60)),
        st.tuples(st.just("many"), st.integers(0, 400)),
    ),
    max_size=25,
)


@settings(max_examples=30)
@given(
    values=st.lists(st.integers(1, 5 * COIN_SAT), min_size=1, max_size=30),
    steps=STEPS,
    rate=st.integers(0, 100_000),
)
def test_whatever_is_done_nothing_is_spent_twice_or_lost_or_too_much(
    values: list[int], steps: list[Step], rate: int
) -> None:
    wallet, coins = funded(*values, sat_per_kb=rate)
    pool, waiting = Mempool(), Coins(coins)
    unmined: list[Transaction] = []
    height, fees_sat = 2, 0
    for step, number in steps:
        made: list[Transaction] = []
        try:
            if step == "compose":
                made = [wallet.compose(b"x" * number)]
            elif step == "many":
                made = [wallet.compose(b"") for _ in range(number)]
            elif step == "fan out":
                made = [tx for tx in [wallet.prepare([100] * number)] if tx]
            else:
                mine(coins, height, unmined[:number])
                pool.confirm(unmined[:number])
                unmined, height = unmined[number:], height + 1
                wallet.load(coins, height)
        except UnavailableError:
            # The rest of "many" was composed and never sent.
            continue
        for transaction in made:
            fee = waiting.verify_spend(transaction, height)
            assert fee * 1000 >= transaction.size_bytes * max(rate, 1000)
            waiting.apply(transaction, height)
            pool.send(transaction)
            assert wallet.note_pending(transaction)
            fees_sat += fee
        unmined += made
    mine(coins, height, unmined)
    held_sat = sum(coin.output.value_sat for _, coin in coins.iter_own(wallet.script))
    assert held_sat + fees_sat == sum(values)


def test_a_few_texts_need_nothing_first() -> None:
    wallet, _ = funded(COIN_SAT)

    assert wallet.plan([1000] * 25).need is Need.NOTHING
    assert wallet.prepare([]) is None


def test_coins_are_fanned_out_before_a_chain_becomes_long() -> None:
    wallet, coins = funded(100 * COIN_SAT)

    plan = wallet.plan([1000] * 1000)

    assert plan.need is Need.FAN_OUT
    assert plan.fan_out is not None
    assert len(plan.fan_out.outputs) == 64
    coins.verify_spend(plan.fan_out, 2)
    wallet.note_pending(plan.fan_out)
    assert wallet.prepare([1000] * 1000) is None


def test_more_than_a_package_holds_waits_for_the_fan_out_to_be_in_a_block() -> None:
    wallet, coins = funded(100 * COIN_SAT)
    sizes = [1000] * 11_293

    fan_out = prepared(wallet, sizes)

    assert wallet.plan(sizes).need is Need.BLOCK
    with pytest.raises(UnavailableError, match="wait for a block"):
        wallet.prepare(sizes)
    mine(coins, 2, [fan_out])
    wallet.load(coins, 3)
    assert wallet.prepare(sizes) is None
    assert len([wallet.compose(b"x" * size) for size in sizes[:3000]]) == 3000


def test_more_than_64_coins_carry_is_fanned_out_further() -> None:
    wallet, coins = funded(*[100 * COIN_SAT] * 64)
    sizes = [100] * (64 * MAX_PACKAGE_TRANSACTIONS + 1)

    fan_out = prepared(wallet, sizes)
    mine(coins, 2, [fan_out])
    wallet.load(coins, 3)

    assert len(fan_out.outputs) == 128
    assert wallet.prepare(sizes) is None


def test_the_same_coins_make_the_same_fan_out() -> None:
    first, second = (funded(COIN_SAT, 3 * COIN_SAT, 5)[0] for _ in range(2))

    assert prepared(first, [10] * 100).txid == prepared(second, [999] * 700).txid


def test_there_is_one_fan_out_at_a_time() -> None:
    wallet, _ = funded(COIN_SAT, *[useful_sat(SAT_PER_KB)] * 5)
    prepared(wallet, [10] * 2000)

    assert wallet.plan([10] * 5000).need is not Need.FAN_OUT


def test_small_coins_are_swept_along_and_dust_is_left() -> None:
    small_sat, dust_sat = 50_000, 1_000
    wallet, coins = funded(COIN_SAT, *[small_sat] * 10, dust_sat)

    fan_out = prepared(wallet, [1000] * 500)

    assert len(fan_out.inputs) == 11
    fee = coins.verify_spend(fan_out, 2)
    total = sum(output.value_sat for output in fan_out.outputs)
    assert total == COIN_SAT + 10 * small_sat - fee


def test_coins_too_small_to_be_used_alone_are_put_together() -> None:
    wallet, coins = funded(*[90_000] * 20)
    with pytest.raises(UnavailableError, match="no coin"):
        wallet.compose(b"x" * 1000)

    fan_out = prepared(wallet, [1000])
    mine(coins, 2, [fan_out])
    wallet.load(coins, 3)

    assert wallet.prepare([1000]) is None
    wallet.compose(b"x" * 1000)


def test_middling_coins_keep_a_budget_of_their_own() -> None:
    wallet, _ = funded(100 * COIN_SAT, *[COIN_SAT] * 10)

    fan_out = prepared(wallet, [1000] * 1000)

    assert len(fan_out.inputs) == 1
    assert len(fan_out.outputs) == 54


def test_too_few_coins_are_named_with_where_to_send_more() -> None:
    wallet, _ = funded(LEAST_CHANGE_SAT + fee_sat(1000))
    assert wallet.prepare([1000]) is None

    with pytest.raises(UnavailableError, match=r"0\.000239 FLO") as caught:
        wallet.prepare([1000, 1000])

    assert wallet.address in caught.value.hint
    assert caught.value.facts["needed_sat"] == 2 * fee_sat(1000)
    assert caught.value.facts["spendable_sat"] == fee_sat(1000)
    missing = show_flo(fee_sat(1000) + LEAST_CHANGE_SAT)
    assert f"send {missing} or more" in caught.value.hint


def test_coins_that_are_not_old_enough_are_said_to_come() -> None:
    wallet, coins = Wallet(KEY), Coins()
    coins.apply(coinbase(1, TxOut(COIN_SAT, wallet.script)), 1)
    wallet.load(coins, 2)

    plan = wallet.plan([100])

    assert (plan.need, plan.immature_sat) == (Need.COINS, COIN_SAT)
    with pytest.raises(UnavailableError, match=r"\(1 FLO more in 100 blocks"):
        wallet.prepare([100])


def test_planning_changes_nothing() -> None:
    wallet, _ = funded(*[COIN_SAT] * 3)
    wallet.note_pending(wallet.compose(b"x"))
    other, _ = funded(*[COIN_SAT] * 3)
    other.note_pending(other.compose(b"x"))

    for sizes in ([10], [10] * 1000, [1000] * 10_000):
        wallet.plan(sizes)

    assert [wallet.compose(b"x").txid for _ in range(9)] == [
        other.compose(b"x").txid for _ in range(9)
    ]


@given(
    values=st.lists(st.integers(1, 10 * COIN_SAT), min_size=1, max_size=300),
    rate=st.integers(1_000, 1_000_000),
)
@settings(max_examples=60)
def test_a_fan_out_is_standard_and_leaves_more_useful_coins(
    values: list[int], rate: int
) -> None:
    wallet, coins = funded(*values, sat_per_kb=rate)

    fan_out = wallet._find_fan_out()

    if fan_out is not None:
        verify_standard(fan_out)
        fee = coins.verify_spend(fan_out, 2)
        assert fan_out.size_bytes * rate <= fee * 1000 <= 10_000_000_000
        spent = [coins.find(item.outpoint) for item in fan_out.inputs]
        useful = [c for c in spent if c and c.output.value_sat >= useful_sat(rate)]
        assert len(fan_out.outputs) > len(useful)
        assert fan_out.outputs[0].value_sat >= useful_sat(rate)


def test_no_transaction_pays_more_than_nodes_allow() -> None:
    wallet, _ = funded(100 * COIN_SAT, sat_per_kb=100_000_000)

    with pytest.raises(NotAllowedError, match=r"nodes refuse more than 0\.1 FLO"):
        wallet.compose(b"x")


def test_no_rate_goes_below_what_nodes_relay() -> None:
    assert funded(COIN_SAT, sat_per_kb=1)[0].sat_per_kb == 1000


def test_the_wallet_has_its_networks_address() -> None:
    assert Wallet(KEY, network=MAIN).address.startswith("F")
    assert Wallet(KEY, network=REGTEST).address.startswith("o")


@pytest.mark.parametrize(
    ("balance_sat", "fee", "records"),
    [(100, 10, 10), (109, 10, 10), (0, 10, 0), (-5, 10, 0), (5, 0, 5)],
)
def test_a_balance_lasts_for_so_many_records(
    balance_sat: int, fee: int, records: int
) -> None:
    assert records_left(balance_sat, fee) == records


@pytest.mark.parametrize(
    ("amount_sat", "text"),
    [
        (0, "0 FLO"),
        (1, "0.00000001 FLO"),
        (10 * COIN_SAT, "10 FLO"),
        (150_000_000, "1.5 FLO"),
    ],
)
def test_amounts_read_as_people_write_them(amount_sat: int, text: str) -> None:
    assert show_flo(amount_sat) == text


def test_packages_that_a_transaction_joins_share_one_budget() -> None:
    wallet, _ = funded(COIN_SAT, COIN_SAT)
    sides: list[list[Transaction]] = [[], []]
    for number in range(1200):
        sides[number % 2].append(wallet.compose(b"%d" % number))
    joining = wallet.fan_out([side[-1] for side in sides], 2)
    assert wallet.note_pending(joining)

    pool = Mempool()
    for transaction in (*sides[0], *sides[1], joining):
        pool.send(transaction)
    for number in range(49):
        pool.send(wallet.compose(b"%d" % number))
    with pytest.raises(UnavailableError, match="1250 unconfirmed"):
        wallet.compose(b"")


def test_a_package_is_full_by_its_size_too() -> None:
    package = Package(3, MAX_PACKAGE_BYTES - 100)

    assert package.has_room(100)
    assert not package.has_room(101)
    package.add(100)
    assert not package.has_room(1)
