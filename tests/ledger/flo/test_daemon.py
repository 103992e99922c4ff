"""A FLO network is read through a daemon that is not trusted to be sane."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from etdb.errors import (
    ConflictError,
    NotAllowedError,
    NotFoundError,
    UnavailableError,
)
from etdb.ledger.base import Block, Carried
from etdb.ledger.flo import params
from etdb.ledger.flo.block import FloBlock
from etdb.ledger.flo.daemon import DaemonLedger
from etdb.ledger.flo.params import REGTEST
from etdb.ledger.flo.rpc import Rpc
from etdb.ledger.flo.tx import OMIT_FLO_DATA, SIGHASH_ALL, OutPoint, TxOut
from etdb.record.message import Coverage
from etdb.testing.daemon import LOGIN, Dialect, FakeDaemon, Fault
from etdb.testing.mining import FAUCET, FAUCET_SCRIPT, FloChain, sign

ODD = {
    "not UTF-8": b"\xff\xfe\x00 is no text",
    "a byte beyond what nodes relay": b"x" * 1_041,
    "nearly a whole block": b"y" * 900_000,
}


@pytest.fixture(params=["flod", "fcoin"])
def daemon(request: pytest.FixtureRequest) -> Iterator[FakeDaemon]:
    dialect: Dialect = request.param
    with FakeDaemon(dialect) as running:
        yield running


@pytest.fixture
def ledger(daemon: FakeDaemon) -> Iterator[DaemonLedger]:
    with DaemonLedger.open(Rpc(daemon.url, *LOGIN), REGTEST) as open_ledger:
        yield open_ledger


def carried(ledger: DaemonLedger, first: int) -> list[Carried]:
    blocks = ledger.iter_blocks(first, ledger.tip().height)
    return [one for block in blocks for one in block.carried]


def test_nothing_is_asked_of_a_daemon_before_it_is_needed(
    daemon: FakeDaemon, ledger: DaemonLedger
) -> None:
    assert ledger.info == REGTEST.info(0)
    assert daemon.requests == []


def test_the_network_says_how_deep_it_is_reorganised(ledger: DaemonLedger) -> None:
    assert ledger.info.max_reorg_blocks == 10
    assert params.MAIN.info(5).max_reorg_blocks == 100


def test_each_text_comes_with_transaction_position_and_block(
    daemon: FakeDaemon, ledger: DaemonLedger
) -> None:
    block = daemon.chain.mine("one", "two")

    (*_, found) = ledger.iter_blocks(0, ledger.tip().height)

    assert (found.height, found.hash) == (111, block.header.hash)
    assert found.time == block.header.time
    assert found.carried == (
        Carried(block.transactions[1].txid, 1, b"one", Coverage.COVERED),
        Carried(block.transactions[2].txid, 2, b"two", Coverage.COVERED),
    )
    assert ledger.raw_transaction(111, 2) == block.transactions[2].encode()


@pytest.mark.parametrize("name", ODD)
def test_odd_texts_are_read_as_they_are(
    daemon: FakeDaemon, ledger: DaemonLedger, name: str
) -> None:
    daemon.chain.mine(ODD[name])
    daemon.chain.mine(said=ODD[name])
    daemon.chain.mine("after")

    found = carried(ledger, 111)

    assert [(one.position, one.data) for one in found] == [
        (1, ODD[name]),
        (0, ODD[name]),
        (1, b"after"),
    ]
    assert found[1].coverage is Coverage.UNKNOWN


def test_a_signature_that_leaves_the_text_out_is_told_from_one_that_does_not(
    daemon: FakeDaemon, ledger: DaemonLedger
) -> None:
    chain = daemon.chain
    coin = OutPoint(chain.blocks[1].transactions[0].txid_bytes, 0)
    output = TxOut(1_000, FAUCET_SCRIPT)
    old = sign(FAUCET, [coin], [output], b"old", SIGHASH_ALL | OMIT_FLO_DATA)
    chain.add([old])
    chain.mine("new")

    assert [(one.data, one.coverage) for one in carried(ledger, 111)] == [
        (b"old", Coverage.OMITTED),
        (b"new", Coverage.COVERED),
    ]


def test_many_blocks_are_read_in_few_requests(
    daemon: FakeDaemon, ledger: DaemonLedger
) -> None:
    assert len(list(ledger.iter_blocks(0, 110))) == 111
    assert len(daemon.requests) < 10


def test_large_blocks_are_asked_for_fewer_at_a_time(
    daemon: FakeDaemon, ledger: DaemonLedger
) -> None:
    for _ in range(85):
        daemon.chain.mine(b"z" * 200_000)

    found = carried(ledger, 111)

    assert len(found) == 85
    batches = [asked for asked in daemon.requests if asked[0] == "getblock"]
    assert [len(asked) for asked in batches[1:]] == [50, 19, 16]


def test_a_batch_that_is_too_large_is_asked_for_in_halves(daemon: FakeDaemon) -> None:
    for _ in range(6):
        daemon.chain.mine(b"z" * 400_000)
    rpc = Rpc(daemon.url, *LOGIN, max_answer_bytes=2_000_000)
    with DaemonLedger.open(rpc, REGTEST) as ledger:
        assert len(carried(ledger, 100)) == 6


def test_a_single_block_that_is_too_large_is_unavailable(daemon: FakeDaemon) -> None:
    """The twin: there is nothing to halve."""
    daemon.chain.mine(b"z" * 400_000)
    rpc = Rpc(daemon.url, *LOGIN, max_answer_bytes=500_000)
    with (
        DaemonLedger.open(rpc, REGTEST) as ledger,
        pytest.raises(UnavailableError, match="over 500000 bytes"),
    ):
        carried(ledger, 111)


def test_a_reorganisation_shows_in_the_tip_and_in_the_blocks(
    daemon: FakeDaemon, ledger: DaemonLedger
) -> None:
    before = [block.hash for block in ledger.iter_blocks(100, 110)]

    daemon.chain.reorganise(3)

    after = [block.hash for block in ledger.iter_blocks(100, 111)]
    assert after[:8] == before[:8]
    assert after[8] != before[8]
    assert ledger.tip().height == 111
    assert ledger.tip().hash == after[-1]


def test_a_tip_that_changes_between_two_calls_is_asked_for_again(
    daemon: FakeDaemon, ledger: DaemonLedger
) -> None:
    """A count of one moment and a hash of another are no tip."""
    best = daemon.chain.tip()
    daemon.faults = [Fault("lie", "getblockcount", value=109, times=1)]

    assert ledger.tip() == best


def test_a_tip_that_never_fits_is_unavailable(
    daemon: FakeDaemon, ledger: DaemonLedger
) -> None:
    daemon.faults = [Fault("lie", "getblockcount", value=109)]

    with pytest.raises(UnavailableError, match="which block is last"):
        ledger.tip()


@pytest.mark.parametrize("network", [params.MAIN, params.TEST])
def test_a_daemon_of_another_network_is_a_conflict_that_names_both(
    daemon: FakeDaemon, network: params.Params
) -> None:
    with DaemonLedger.open(Rpc(daemon.url, *LOGIN), network) as ledger:
        for ask in (ledger.tip, lambda: ledger.block(5), ledger.status):
            with pytest.raises(ConflictError) as caught:
                ask()
            assert network.kind.value in caught.value.message
            assert "flo-regtest" in caught.value.message
            assert "ledger.network" in caught.value.hint


def test_a_daemon_that_is_of_another_network_from_now_on_is_noticed(
    daemon: FakeDaemon, ledger: DaemonLedger
) -> None:
    ledger.tip()
    genesis = params.MAIN.genesis().header.hash
    daemon.faults = [Fault("lie", "getblockhash", value=genesis)]

    with pytest.raises(ConflictError, match="flo-main"):
        ledger.tip()


def other_block(chain: FloChain) -> str:
    return chain.blocks[108].encode().hex()


def altered_text(chain: FloChain) -> str:
    block = chain.blocks[109]
    first, said = block.transactions
    return FloBlock(block.header, (first, replace(said, flo_data=b"no"))).encode().hex()


def repeated_last(chain: FloChain) -> str:
    """Its merkle root is that of the block without the repetition."""
    block = chain.blocks[110]
    transactions = (*block.transactions, block.transactions[-1])
    assert FloBlock(block.header, transactions).merkle_root() == block.header.root
    return FloBlock(block.header, transactions).encode().hex()


def cut(chain: FloChain) -> str:
    return chain.blocks[110].encode().hex()[:-2]


WRONG = {
    "another block": (108, other_block),
    "an altered text": (109, altered_text),
    "a repeated transaction": (110, repeated_last),
    "half a block": (110, cut),
    "no hex": (110, lambda _chain: "xyz"),
    "nothing": (110, lambda _chain: ""),
    "no string": (110, lambda _chain: {"hash": "0"}),
    "no transactions": (
        110,
        lambda chain: chain.blocks[110].encode()[:80].hex() + "00",
    ),
}


@pytest.fixture
def three_texts(daemon: FakeDaemon) -> FakeDaemon:
    """Blocks 109 and 110 carry something; what is before stays as it is."""
    del daemon.chain.blocks[109:]
    daemon.chain.reorganise(1, blocks=1)
    daemon.chain.mine("one")
    daemon.chain.mine("two", "three")
    return daemon


@pytest.mark.parametrize("name", WRONG)
def test_a_block_that_is_not_what_was_asked_for_is_refused(
    three_texts: FakeDaemon, ledger: DaemonLedger, name: str
) -> None:
    ledger.block(107)
    height, alter = WRONG[name]
    assert three_texts.chain.tip().height == 110
    raw = alter(three_texts.chain)
    asked = 110 if height == 108 else height
    three_texts.faults = [Fault("lie", "getblock", value=raw)]

    with pytest.raises(UnavailableError) as caught:
        ledger.block(asked)

    assert caught.value.facts["height"] == asked
    assert caught.value.hint
    three_texts.faults = []
    assert ledger.block(asked).height == asked


@pytest.mark.parametrize("value", [None, 5, "xyz", "0" * 63, ["0" * 64]])
def test_a_hash_that_is_none_is_refused(
    daemon: FakeDaemon, ledger: DaemonLedger, value: object
) -> None:
    ledger.tip()
    daemon.faults = [Fault("lie", "getblockhash", value=value)]

    for ask in (ledger.tip, lambda: ledger.block(5)):
        with pytest.raises(UnavailableError, match="hash"):
            ask()


def test_a_daemon_that_is_starting_says_so(
    daemon: FakeDaemon, ledger: DaemonLedger
) -> None:
    daemon.faults = [Fault("refuse", at=-28, value="Loading block index...")]

    for ask in (ledger.tip, lambda: ledger.block(5)):
        with pytest.raises(UnavailableError, match="Loading block index"):
            ask()


def test_a_block_that_the_daemon_no_longer_has_is_unavailable(
    daemon: FakeDaemon, ledger: DaemonLedger
) -> None:
    ledger.block(5)
    daemon.faults = [
        Fault("refuse", "getblock", at=-1, value="Block not available (pruned data)")
    ]

    with pytest.raises(UnavailableError, match="pruned"):
        ledger.block(5)


def test_a_daemon_that_has_no_raw_form_is_unavailable(
    daemon: FakeDaemon, ledger: DaemonLedger
) -> None:
    daemon.faults = [Fault("lie", "getblock", value={"tx": []})]

    with pytest.raises(UnavailableError, match="raw blocks"):
        ledger.block(5)


def test_an_error_while_reading_ahead_comes_where_it_belongs(
    daemon: FakeDaemon, ledger: DaemonLedger
) -> None:
    ledger.block(0)
    daemon.faults = [Fault("status", "getblock", at=500, after=1)]
    read: list[Block] = []

    with pytest.raises(UnavailableError):
        read.extend(ledger.iter_blocks(0, 110))

    assert [block.height for block in read] == [*range(50)]


def test_without_a_key_it_is_there_to_be_read(ledger: DaemonLedger) -> None:
    for write in (
        lambda: ledger.compose(b"x"),
        lambda: ledger.prepare([1]),
        lambda: ledger.fee_sat(1),
        lambda: ledger.send([]),
        ledger.settle,
    ):
        with pytest.raises(NotAllowedError, match="key"):
            write()
    status = ledger.status()
    assert status.wallet is None
    assert status.tip.height == 110
    assert status.mempool == 0


def test_places_that_no_chain_has_are_not_found(ledger: DaemonLedger) -> None:
    for height in (-1, 111, 2**31, 2**70):
        with pytest.raises(NotFoundError):
            ledger.block(height)


def test_transactions_of_one_block_are_read_with_one_block(
    daemon: FakeDaemon, ledger: DaemonLedger
) -> None:
    block = daemon.chain.mine("one", "two", "three")
    ledger.raw_transaction(111, 1)
    daemon.requests.clear()

    for position in (2, 3):
        found = ledger.raw_transaction(111, position)
        assert found == block.transactions[position].encode()
    assert daemon.requests == [["getblockhash"]] * 2


def test_a_kept_block_is_not_given_once_it_is_replaced(
    daemon: FakeDaemon, ledger: DaemonLedger
) -> None:
    daemon.chain.mine("one")
    ledger.raw_transaction(111, 1)
    (branch, _) = daemon.chain.reorganise(1)

    assert ledger.raw_transaction(111, 0) == branch.transactions[0].encode()
    with pytest.raises(NotFoundError):
        ledger.raw_transaction(111, 1)
