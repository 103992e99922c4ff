"""What is sent through a daemon is in its mempool or in a block, or why not."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from etdb.errors import (
    ConflictError,
    InvalidDataError,
    NotAllowedError,
    UnavailableError,
)
from etdb.identity import Txid
from etdb.ledger.base import SignedTransaction
from etdb.ledger.flo.block import COIN_SAT
from etdb.ledger.flo.coinbook import CoinBook
from etdb.ledger.flo.daemon import DaemonLedger
from etdb.ledger.flo.delivery import Pace
from etdb.ledger.flo.fanout import LEAST_CHANGE_SAT
from etdb.ledger.flo.params import REGTEST
from etdb.ledger.flo.rpc import Rpc
from etdb.ledger.flo.script import pay_to
from etdb.ledger.flo.tx import OutPoint, Transaction
from etdb.record.signing import TEST_P2PKH, PrivateKey, hash160
from etdb.testing.daemon import LOGIN, Dialect, FakeDaemon, Fault
from etdb.testing.mining import MAX_ANCESTORS

KEY = PrivateKey.from_bytes(b"\x05" * 32)
SCRIPT = pay_to(hash160(KEY.public_key))


@dataclass
class Clock:
    """Time passes only where somebody sleeps."""

    now_s: float = 0.0
    slept: list[float] = field(default_factory=list)
    on_sleep: Callable[[], object] = lambda: None

    def sleep(self, seconds: float) -> None:
        self.now_s += seconds
        self.slept.append(seconds)
        self.on_sleep()

    def pace(self) -> Pace:
        return Pace(5.0, lambda: self.now_s, self.sleep)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(params=["flod", "fcoin"])
def daemon(request: pytest.FixtureRequest) -> Iterator[FakeDaemon]:
    dialect: Dialect = request.param
    with FakeDaemon(dialect) as running:
        running.chain.fund(SCRIPT, coins=16)
        yield running


@pytest.fixture
def flod() -> Iterator[FakeDaemon]:
    with FakeDaemon("flod") as running:
        running.chain.fund(SCRIPT, coins=16)
        yield running


@pytest.fixture
def restart(tmp_path: Path, clock: Clock) -> Iterator[Callable[..., DaemonLedger]]:
    """A ledger as a new process opens it; the coin book is the one there was."""
    with contextlib.ExitStack() as stack:

        def opened(daemon: FakeDaemon, *, book: str = "coins") -> DaemonLedger:
            coins = CoinBook.open(tmp_path / book, SCRIPT, REGTEST.info(0).id)
            rpc = Rpc(daemon.url, *LOGIN)
            ledger = DaemonLedger.open(
                rpc, REGTEST, coins=coins, key=KEY, pace=clock.pace()
            )
            return stack.enter_context(ledger)

        yield opened


@pytest.fixture
def ledger(daemon: FakeDaemon, restart: Callable[..., DaemonLedger]) -> DaemonLedger:
    return restart(daemon)


def txids(transactions: list[SignedTransaction]) -> list[Txid]:
    return [item.txid for item in transactions]


def spent(transaction: SignedTransaction) -> set[OutPoint]:
    return {item.outpoint for item in Transaction.parse(transaction.raw).inputs}


def pool(daemon: FakeDaemon) -> list[Txid]:
    with daemon.using() as chain:
        return list(chain.pool)


def mine(daemon: FakeDaemon) -> None:
    with daemon.using() as chain:
        chain.mine()


def said(ledger: DaemonLedger) -> list[bytes]:
    blocks = ledger.iter_blocks(111, ledger.tip().height)
    return [one.data for block in blocks for one in block.carried]


def test_on_return_the_daemon_has_what_was_sent(
    daemon: FakeDaemon, ledger: DaemonLedger
) -> None:
    sent = [ledger.compose(b"text %d" % number) for number in range(40)]

    ledger.send(sent)

    assert pool(daemon) == txids(sent)
    mine(daemon)
    assert said(ledger) == [b"text %d" % number for number in range(40)]


def test_what_the_daemon_has_is_not_sent_again(
    daemon: FakeDaemon, ledger: DaemonLedger
) -> None:
    sent = [ledger.compose(b"one"), ledger.compose(b"two")]
    ledger.send(sent[:1])
    daemon.requests.clear()

    ledger.send(sent)
    ledger.send(sent)

    calls = [call for asked in daemon.requests for call in asked]
    assert calls.count("sendrawtransaction") == 1


def test_what_is_in_a_block_is_not_sent_again_by_another_process(
    daemon: FakeDaemon, ledger: DaemonLedger, restart: Callable[..., DaemonLedger]
) -> None:
    sent = [ledger.compose(b"one")]
    ledger.send(sent)
    mine(daemon)
    again = restart(daemon, book="another")
    daemon.requests.clear()

    again.send(sent)

    calls = [call for asked in daemon.requests for call in asked]
    assert "sendrawtransaction" not in calls
    assert pool(daemon) == []


def test_what_was_dropped_is_sent_again_as_it_was(
    daemon: FakeDaemon, ledger: DaemonLedger
) -> None:
    sent = [ledger.compose(b"one"), ledger.compose(b"two")]
    ledger.send(sent)
    daemon.chain.drop(sent[0].txid)
    assert sent[0].txid not in pool(daemon)

    ledger.send(sent)

    assert set(pool(daemon)) == set(txids(sent))


def test_what_a_reorganisation_took_out_is_sent_again(
    daemon: FakeDaemon, ledger: DaemonLedger
) -> None:
    sent = [ledger.compose(b"one")]
    ledger.send(sent)
    mine(daemon)
    ledger.settle()
    daemon.chain.reorganise(1)
    daemon.chain.drop(sent[0].txid)

    ledger.send([])
    ledger.send(sent)

    assert pool(daemon) == txids(sent)


def test_a_dropped_parent_is_sent_before_what_spends_it(
    daemon: FakeDaemon, restart: Callable[..., DaemonLedger]
) -> None:
    """All coins but one are held back, so that texts hang on each other."""
    ledger = restart(daemon)
    first = [ledger.compose(b"%d" % number) for number in range(16)]
    ledger.send(first)
    child = ledger.compose(b"child")
    parent = Transaction.parse(child.raw).inputs[0].outpoint.txid_bytes[::-1].hex()
    assert parent in txids(first)
    daemon.chain.drop(Txid(parent))

    ledger.send([child])

    assert {parent, child.txid} <= {*pool(daemon)}


def test_a_lost_reply_is_harmless(daemon: FakeDaemon, ledger: DaemonLedger) -> None:
    sent = [ledger.compose(b"one"), ledger.compose(b"two")]
    daemon.faults = [Fault("lost", "sendrawtransaction", times=2)]
    with pytest.raises(UnavailableError):
        ledger.send(sent)
    assert pool(daemon) == txids(sent)

    ledger.send(sent)

    assert pool(daemon) == txids(sent)


def test_a_daemon_that_was_down_gets_the_same_bytes_later(
    daemon: FakeDaemon, ledger: DaemonLedger
) -> None:
    sent = [ledger.compose(b"one")]
    for kind in ("status", "html", "half", "garbage"):
        daemon.faults = [Fault(kind, "sendrawtransaction", at=500)]
        with pytest.raises(UnavailableError):
            ledger.send(sent)
        with daemon.using() as chain:
            chain.drop(sent[0].txid)
    daemon.faults = []

    ledger.send(sent)

    assert pool(daemon) == txids(sent)


def test_a_block_that_comes_while_the_mempool_is_looked_at_counts(
    clock: Clock, restart: Callable[..., DaemonLedger]
) -> None:
    with FakeDaemon("fcoin") as daemon:
        daemon.chain.fund(SCRIPT)
        ledger = restart(daemon)
        sent = [ledger.compose(b"one")]
        clock.on_sleep = lambda: mine(daemon)

        ledger.send(sent)

        assert len(clock.slept) == 1
        assert said(ledger) == [b"one"]
        assert pool(daemon) == []


def test_a_coin_that_was_spent_otherwise_in_a_block_is_a_conflict(
    daemon: FakeDaemon, ledger: DaemonLedger
) -> None:
    sent = [ledger.compose(b"one"), ledger.compose(b"two")]
    ledger.send(sent)
    pool(daemon)
    stolen = daemon.chain.steal(sent[0].txid)

    with pytest.raises(ConflictError) as caught:
        ledger.send(sent)

    assert caught.value.facts["txids"] == [sent[0].txid]
    assert stolen.txid != sent[0].txid
    assert b"one" in said(ledger)


def test_after_a_conflict_other_coins_are_taken(
    daemon: FakeDaemon, ledger: DaemonLedger
) -> None:
    sent = [ledger.compose(b"one")]
    ledger.send(sent)
    pool(daemon)
    daemon.chain.steal(sent[0].txid)
    with pytest.raises(ConflictError):
        ledger.send(sent)

    anew = [ledger.compose(b"one")]
    ledger.send(anew)

    assert pool(daemon) == txids(anew)


def test_what_hangs_on_a_stolen_transaction_is_lost_with_it(
    daemon: FakeDaemon, ledger: DaemonLedger
) -> None:
    sent = [ledger.compose(b"%d" % number) for number in range(17)]
    ledger.send(sent)
    pool(daemon)
    outpoint = Transaction.parse(sent[16].raw).inputs[0].outpoint
    parent = Txid(outpoint.txid_bytes[::-1].hex())
    daemon.chain.steal(parent)

    with pytest.raises(ConflictError) as caught:
        ledger.send(sent)

    assert caught.value.facts["txids"] == [parent, sent[16].txid]


def test_a_coin_that_is_spent_in_the_mempool_is_a_conflict_that_flod_names(
    flod: FakeDaemon, restart: Callable[..., DaemonLedger]
) -> None:
    ledger = restart(flod)
    sent = [ledger.compose(b"one")]
    ledger.send(sent)
    other = flod.chain.swap(sent[0].txid)

    with pytest.raises(ConflictError, match="txn-mempool-conflict"):
        ledger.send(sent)

    anew = [ledger.compose(b"one")]
    ledger.send(anew)
    assert pool(flod) == [other.txid, *txids(anew)]


def test_a_coin_that_is_spent_in_fcoins_mempool_is_waited_for_in_vain(
    clock: Clock, restart: Callable[..., DaemonLedger]
) -> None:
    """It says nothing; once the other one is in a block, that is known."""
    with FakeDaemon("fcoin") as daemon:
        daemon.chain.fund(SCRIPT, coins=2)
        ledger = restart(daemon)
        sent = [ledger.compose(b"one")]
        ledger.send(sent)
        pool(daemon)
        daemon.chain.swap(sent[0].txid)
        clock.slept.clear()

        with pytest.raises(UnavailableError, match="does not say why") as caught:
            ledger.send(sent)

        assert caught.value.facts["txids"] == txids(sent)
        assert 5.0 <= sum(clock.slept) < 6.0
        mine(daemon)
        with pytest.raises(ConflictError):
            ledger.send(sent)


def test_a_coin_that_never_was_is_a_conflict(
    daemon: FakeDaemon, restart: Callable[..., DaemonLedger]
) -> None:
    """As where a fan-out was lost with the process that knew it."""
    ledger = restart(daemon)
    parents = [ledger.compose(b"%d" % number) for number in range(16)]
    assert parents
    other = restart(daemon, book="other")
    other.send(parents)
    child = other.compose(b"child")
    for txid in pool(daemon):
        daemon.chain.drop(txid)

    with pytest.raises(ConflictError) as caught:
        restart(daemon, book="third").send([child])

    assert caught.value.facts["txids"] == [child.txid]


REFUSALS = {
    "66: min relay fee not met": (-26, "fee"),
    "64: too-long-mempool-chain": (-26, "block"),
    "66: mempool full": (-26, "block"),
    "256: absurdly-high-fee": (-26, "repeat"),
    "Flo Data too large": (-25, "repeat"),
}


@pytest.mark.parametrize("words", REFUSALS)
def test_other_refusals_are_unavailable_in_the_daemons_words(
    flod: FakeDaemon, restart: Callable[..., DaemonLedger], clock: Clock, words: str
) -> None:
    code, hint = REFUSALS[words]
    ledger = restart(flod)
    sent = [ledger.compose(b"one"), ledger.compose(b"two")]
    # It says no and does not take them.
    flod.chain.sat_per_kb = 10**9
    flod.faults = [Fault("refuse", "sendrawtransaction", at=code, value=words)]

    with pytest.raises(UnavailableError) as caught:
        ledger.send(sent)

    assert words in caught.value.message
    assert caught.value.facts["txids"] == txids(sent)
    assert caught.value.facts["rpc_code"] == code
    assert hint in caught.value.hint
    assert clock.slept == []
    flod.chain.sat_per_kb = 1_000
    flod.faults = []
    ledger.send(sent)
    assert pool(flod) == txids(sent)


def test_where_a_parent_is_refused_its_reason_is_given_not_its_childs(
    flod: FakeDaemon, restart: Callable[..., DaemonLedger]
) -> None:
    """The child's coin is missing only because the parent's fee was too low."""
    ledger = restart(flod)
    sent = [ledger.compose(b"%d" % number) for number in range(17)]
    flod.chain.sat_per_kb = 10**9

    with pytest.raises(UnavailableError, match="min relay fee not met"):
        ledger.send(sent)

    assert pool(flod) == []


def raise_fee(daemon: FakeDaemon, ledger: DaemonLedger) -> list[SignedTransaction]:
    """Two that pay too little since; the wallet was told of both."""
    sent = [ledger.compose(b"one"), ledger.compose(b"two")]
    daemon.chain.sat_per_kb *= 2
    with pytest.raises(ConflictError, match="fee is too low") as caught:
        ledger.send(sent)
    assert caught.value.facts["txids"] == txids(sent)
    return sent


def test_what_pays_too_little_by_now_is_made_anew_of_the_same_coin(
    daemon: FakeDaemon, restart: Callable[..., DaemonLedger]
) -> None:
    ledger = restart(daemon)
    for old in raise_fee(daemon, ledger)[::-1]:
        with pytest.raises(ConflictError):
            ledger.send([old])
        anew = ledger.compose(Transaction.parse(old.raw).flo_data)
        ledger.send([anew])

        assert spent(anew) == spent(old)
        assert anew.fee_sat == ledger.fee_sat(3) > old.fee_sat
        assert pool(daemon)[-1] == anew.txid


def test_made_of_any_coin_both_could_be_mined(
    flod: FakeDaemon, restart: Callable[..., DaemonLedger]
) -> None:
    """The twin of the test above: nobody says in whose place it is made."""
    ledger = restart(flod)
    _, old = raise_fee(flod, ledger)
    other = restart(flod, book="other")
    anew = other.compose(b"two")
    other.send([anew])
    flod.chain.sat_per_kb = 1_000

    assert spent(anew) != spent(old)
    with flod.using() as chain:
        chain.accept(Transaction.parse(old.raw))
        assert {anew.txid, old.txid} <= chain.pool.keys()


def test_a_coin_too_small_for_the_higher_fee_is_spent_with_another(
    restart: Callable[..., DaemonLedger],
) -> None:
    with FakeDaemon() as daemon:
        daemon.chain.fund(SCRIPT, LEAST_CHANGE_SAT + 1_500)
        ledger = restart(daemon)
        old = ledger.compose(b"x" * 1_000)
        with daemon.using() as chain:
            chain.fund(SCRIPT, COIN_SAT)
            chain.sat_per_kb *= 3
        with pytest.raises(ConflictError):
            ledger.send([old])

        anew = ledger.compose(b"x" * 1_000)
        ledger.send([anew])

        assert spent(old) < spent(anew)
        assert pool(daemon) == [anew.txid]


def test_a_fan_out_that_pays_too_little_is_made_anew_when_asked_again(
    restart: Callable[..., DaemonLedger],
) -> None:
    with FakeDaemon() as daemon:
        daemon.chain.fund(SCRIPT, 10 * COIN_SAT)
        ledger = restart(daemon)
        ledger.fee_sat(100)
        daemon.chain.sat_per_kb *= 2
        with pytest.raises(UnavailableError, match="fee is too low"):
            ledger.prepare([100] * 100)
        assert pool(daemon) == []

        ledger.prepare([100] * 100)
        ledger.send([ledger.compose(b"x" * 100) for _ in range(100)])

        assert len(pool(daemon)) == 101


def test_what_the_daemon_says_is_in_a_block_is_looked_for_there(
    flod: FakeDaemon, restart: Callable[..., DaemonLedger], clock: Clock
) -> None:
    """Its block has come, and is not told of yet."""
    ledger = restart(flod)
    sent = [ledger.compose(b"one")]
    words = "transaction already in block chain"
    flod.faults = [
        Fault("lie", "getrawmempool", value=[]),
        Fault("refuse", "sendrawtransaction", at=-27, value=words),
    ]
    clock.on_sleep = lambda: mine(flod)

    ledger.send(sent)

    assert len(clock.slept) == 1
    assert said(ledger) == [b"one"]


def test_a_text_too_long_for_one_transaction_is_refused_before_it_is_signed(
    ledger: DaemonLedger,
) -> None:
    assert ledger.compose("é".encode() * 520)
    with pytest.raises(InvalidDataError):
        ledger.compose(b"x" * 1_041)


def test_bytes_that_are_no_transaction_are_refused(ledger: DaemonLedger) -> None:
    with pytest.raises(InvalidDataError):
        ledger.send([SignedTransaction(Txid("0" * 64), b"no transaction", 1)])


def test_the_fee_is_the_least_that_the_daemon_relays_for(
    daemon: FakeDaemon, ledger: DaemonLedger
) -> None:
    daemon.chain.sat_per_kb = 3_000

    assert ledger.compose(b"x" * 1_000).fee_sat == ledger.fee_sat(1_000)
    assert ledger.fee_sat(1_000) == pytest.approx(3_000 * 1.195, rel=0.01)


@pytest.mark.parametrize("answer", [None, {}, {"relayfee": "0.1"}, {"relayfee": -1}])
def test_without_a_least_fee_it_is_what_every_daemon_relays_for(
    daemon: FakeDaemon, ledger: DaemonLedger, answer: object
) -> None:
    daemon.faults = [Fault("lie", "getnetworkinfo", value=answer)]

    assert ledger.fee_sat(1_000) == pytest.approx(10_000 * 1.195, rel=0.01)


def test_a_daemon_that_does_not_know_its_fee_is_taken_for_any_other(
    daemon: FakeDaemon, ledger: DaemonLedger
) -> None:
    daemon.faults = [Fault("refuse", "getnetworkinfo", at=-32601, value="not found")]

    assert ledger.fee_sat(1_000) == pytest.approx(10_000 * 1.195, rel=0.01)


def test_a_fee_beyond_all_measure_is_not_paid(
    daemon: FakeDaemon, ledger: DaemonLedger
) -> None:
    daemon.faults = [Fault("lie", "getnetworkinfo", value={"relayfee": 0.9})]

    with pytest.raises(NotAllowedError):
        ledger.compose(b"x" * 1_000)


def test_without_coins_it_says_how_many_and_where_to_send_them(
    restart: Callable[..., DaemonLedger],
) -> None:
    with FakeDaemon() as daemon:
        ledger = restart(daemon)

        with pytest.raises(UnavailableError) as caught:
            ledger.prepare([1_000] * 10)

        assert KEY.address(TEST_P2PKH) in caught.value.hint
        with pytest.raises(UnavailableError):
            ledger.compose(b"x")


def test_one_coin_is_split_and_then_carries_thousands_of_texts(
    restart: Callable[..., DaemonLedger],
) -> None:
    """More than nodes take in one chain of unconfirmed transactions."""
    count = MAX_ANCESTORS + 250
    with FakeDaemon() as daemon:
        daemon.chain.fund(SCRIPT, 10 * COIN_SAT)
        ledger = restart(daemon)
        with pytest.raises(UnavailableError, match="wait for a block"):
            ledger.prepare([100] * count)
        assert len(pool(daemon)) == 1
        mine(daemon)

        ledger.prepare([100] * count)
        ledger.send([ledger.compose(b"x" * 100) for _ in range(count)])

        assert len(pool(daemon)) == count


def test_coins_are_found_again_by_reading_the_blocks(
    daemon: FakeDaemon, ledger: DaemonLedger, restart: Callable[..., DaemonLedger]
) -> None:
    ledger.send([ledger.compose(b"one")])
    mine(daemon)
    ledger.settle()
    known = ledger.status().wallet

    anew = restart(daemon, book="lost and made anew")
    anew.settle()

    assert anew.status().wallet == known
    assert known is not None
    assert known.coins == 16
    assert known.read_height == 112
    assert known.balance_sat == 16 * COIN_SAT - ledger.fee_sat(3)


def test_the_status_tells_what_waits_and_what_is_there(
    daemon: FakeDaemon, ledger: DaemonLedger
) -> None:
    before = ledger.status()
    assert before.wallet is not None
    assert before.wallet.read_height is None
    ledger.send([ledger.compose(b"one")])

    status = ledger.status()

    assert status.tip == daemon.chain.tip()
    assert status.mempool == 1
    assert status.wallet is not None
    assert status.wallet.address == KEY.address(TEST_P2PKH)
    assert status.wallet.balance_sat == 16 * COIN_SAT
    assert status.wallet.fee_sat_per_kb == 1_000
