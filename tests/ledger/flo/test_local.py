"""The embedded chain: created once, written in groups, read by anybody."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from etdb.durable import Log
from etdb.errors import (
    ConflictError,
    InvalidDataError,
    NotAllowedError,
    NotFoundError,
    UnavailableError,
)
from etdb.ledger.base import Ledger, SignedTransaction, Tip
from etdb.ledger.flo.block import COIN_SAT, FloBlock, mine
from etdb.ledger.flo.local import FIRST_BLOCKS, FIRST_COINS, EmbeddedChain
from etdb.ledger.flo.seal import Inspector
from etdb.ledger.flo.tx import Transaction
from etdb.record.message import Coverage, LedgerKind
from etdb.record.signing import MAIN_P2PKH, TEST_P2PKH, PrivateKey

NOW = 1_800_000_000


class Counting:
    """A progress that remembers what it was told."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.amount = 0

    def begin(self, task: str, total: int | None, unit: str) -> None:
        self.said.append(f"{task}: {total} {unit}")

    def advance(self, amount: int) -> None:
        self.amount += amount

    def end(self) -> None:
        self.said.append("end")


def make(folder: Path, keys: Any, **options: Any) -> EmbeddedChain:
    return EmbeddedChain.create(
        folder,
        publisher=keys.publisher,
        wallet=keys.wallet,
        address=keys.address,
        **options,
    )


def carried_by(chain: EmbeddedChain, height: int) -> list[bytes]:
    return [carried.data for carried in chain.block(height).carried]


def test_a_new_chain_has_110_blocks_with_times_ending_now(
    tmp_path: Path, keys: Any
) -> None:
    progress = Counting()

    chain = make(tmp_path / "chain", keys, clock=lambda: NOW + 0.9, progress=progress)

    times = [chain.block(height).time for height in range(1, FIRST_BLOCKS + 1)]
    assert times == list(range(NOW - 109, NOW + 1))
    assert chain.tip().height == 110
    assert progress.said == ["mining the first blocks: 110 blocks", "end"]
    assert progress.amount == 110
    chain.verify()


def test_a_new_chain_is_one_group_on_disk(chain: EmbeddedChain, tmp_path: Path) -> None:
    path = tmp_path / "chain" / "blocks.log"
    path.write_bytes(path.read_bytes()[:-1])

    assert Log(path).read_new() == []


def test_a_new_chain_can_compose_over_64_coins_at_once(chain: EmbeddedChain) -> None:
    spent = {
        Transaction.parse(chain.compose(b"").raw).inputs[0].outpoint.txid_bytes
        for _ in range(FIRST_COINS)
    }

    transaction = Transaction.parse(chain.raw_transaction(110, 1))
    assert len(transaction.outputs) == 64
    assert transaction.txid_bytes in spent


def test_the_chain_is_named_by_its_block_1_and_owned_by_its_address(
    chain: EmbeddedChain, keys: Any
) -> None:
    assert chain.info.id == chain.block(1).hash
    assert chain.info.kind is LedgerKind.EMBEDDED
    assert chain.address == keys.address


def test_two_chains_of_one_key_are_two_ledgers(tmp_path: Path, keys: Any) -> None:
    one = make(tmp_path / "1", keys, clock=lambda: NOW)
    two = make(tmp_path / "2", keys, clock=lambda: NOW)

    assert one.info.id != two.info.id


def test_a_lab_may_declare_its_main_address(tmp_path: Path, keys: Any) -> None:
    address = keys.publisher.address(MAIN_P2PKH)

    chain = EmbeddedChain.create(
        tmp_path / "chain",
        publisher=keys.publisher,
        wallet=keys.wallet,
        address=address,
    )

    assert chain.address == address
    chain.verify()


def test_an_address_of_another_key_is_refused(tmp_path: Path, keys: Any) -> None:
    with pytest.raises(NotAllowedError, match="not an address"):
        EmbeddedChain.create(
            tmp_path / "chain",
            publisher=keys.publisher,
            wallet=keys.wallet,
            address=keys.wallet.address(TEST_P2PKH),
        )

    assert not (tmp_path / "chain").exists()


def test_a_chain_is_not_created_over_another(
    chain: EmbeddedChain, tmp_path: Path, keys: Any
) -> None:
    tip = chain.tip()

    with pytest.raises(ConflictError, match="already holds a chain"):
        make(tmp_path / "chain", keys)

    assert chain.tip() == tip


def test_a_creation_that_was_cut_off_can_be_repeated(
    chain: EmbeddedChain, tmp_path: Path, keys: Any
) -> None:
    path = tmp_path / "chain" / "blocks.log"
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(NotFoundError):
        EmbeddedChain.open(tmp_path / "chain")

    make(tmp_path / "chain", keys).verify()


def test_a_chain_that_is_not_there_is_not_made_by_opening(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="embedded chain"):
        EmbeddedChain.open(tmp_path / "none")

    assert list(tmp_path.iterdir()) == []


def test_another_publishers_key_does_not_open_a_chain(
    chain: EmbeddedChain, tmp_path: Path, keys: Any
) -> None:
    with pytest.raises(NotAllowedError, match=f"belongs to {chain.address}"):
        EmbeddedChain.open(
            tmp_path / "chain", publisher=keys.wallet, wallet=keys.wallet
        )


def test_without_keys_a_chain_can_be_read_and_not_written(
    chain: EmbeddedChain, tmp_path: Path
) -> None:
    composed = chain.compose(b"said")
    reader = EmbeddedChain.open(tmp_path / "chain")

    with pytest.raises(NotAllowedError, match="keys"):
        reader.compose(b"said")
    with pytest.raises(NotAllowedError, match="keys"):
        reader.send([composed])
    chain.send([composed])

    assert carried_by(reader, 111)[1:] == [b"said"]


def test_what_is_sent_is_on_disk_and_found_by_another_process(
    chain: EmbeddedChain, reopen: Callable[[], EmbeddedChain]
) -> None:
    sent = [chain.compose(b"one"), chain.compose("zwei é".encode())]

    chain.send(sent)

    again = reopen()
    block = again.block(111)
    assert again.tip() == Tip(111, block.hash)
    assert [carried.data for carried in block.carried[1:]] == [
        item_data(x) for x in sent
    ]
    assert [carried.txid for carried in block.carried[1:]] == [x.txid for x in sent]
    assert [carried.position for carried in block.carried] == [0, 1, 2]
    assert [carried.coverage for carried in block.carried] == [
        Coverage.UNKNOWN,
        Coverage.COVERED,
        Coverage.COVERED,
    ]


def item_data(item: SignedTransaction) -> bytes:
    return Transaction.parse(item.raw).flo_data


def test_sending_again_is_harmless(
    chain: EmbeddedChain, reopen: Callable[[], EmbeddedChain]
) -> None:
    sent = [chain.compose(b"one"), chain.compose(b"two")]
    chain.send([sent[0]])

    reopen().send([*sent, *sent])
    tip = chain.tip()
    chain.send(sent)

    assert chain.tip() == tip
    assert carried_by(chain, 112)[1:] == [b"two"]


def test_sending_nothing_makes_no_block(chain: EmbeddedChain) -> None:
    chain.send([])

    assert chain.tip().height == 110


def test_a_group_is_filled_to_750_kb_a_block_and_written_at_once(
    chain: EmbeddedChain, tmp_path: Path
) -> None:
    path = tmp_path / "chain" / "blocks.log"
    before = path.stat().st_size
    sent = [chain.compose(b"x" * 1040) for _ in range(1500)]

    chain.send(sent)

    assert chain.tip().height == 113
    sizes = [len(raw_block(chain, height)) for height in (111, 112, 113)]
    assert max(sizes) <= 750_000
    assert min(sizes[:2]) > 747_000
    txids = [
        carried.txid
        for height in (111, 112, 113)
        for carried in chain.block(height).carried[1:]
    ]
    assert txids == [item.txid for item in sent]
    chain.verify()

    with path.open("r+b") as file:
        file.truncate(path.stat().st_size - 1)
    torn = EmbeddedChain.open(tmp_path / "chain")
    assert torn.tip().height == 110
    assert torn.torn_bytes == path.stat().st_size - before


def raw_block(chain: EmbeddedChain, height: int) -> bytes:
    ((_, block),) = chain.iter_raw_blocks(height, height)
    return block.encode()


def test_a_run_of_5000_transactions_is_composed_before_the_first_is_sent(
    chain: EmbeddedChain,
) -> None:
    composed = [chain.compose(b"%d " % number) for number in range(5000)]

    chain.send(composed)

    blocks = chain.iter_blocks(111, chain.tip().height)
    mined = [one.txid for block in blocks for one in block.carried if one.position]
    assert mined == [one.txid for one in composed]


def test_fees_come_back_through_the_coinbase(chain: EmbeddedChain) -> None:
    sent = [chain.compose(b"x" * 500) for _ in range(3)]
    fees_sat = sum(item.fee_sat for item in sent)

    chain.send(sent)

    paid = FloBlock.parse(raw_block(chain, 111)).transactions[0].outputs[0]
    assert paid.value_sat == 100 * COIN_SAT + fees_sat
    assert fees_sat == 3 * chain.fee_sat(500)


def test_a_spent_coin_is_refused_and_nothing_is_written(
    chain: EmbeddedChain, reopen: Callable[[], EmbeddedChain]
) -> None:
    rival = reopen()
    first, second = rival.compose(b"theirs"), chain.compose(b"ours")
    rival.send([first])

    with pytest.raises(ConflictError, match="cannot be spent"):
        chain.send([second])

    assert chain.tip().height == 111
    chain.send([chain.compose(b"ours")])
    assert carried_by(chain, 112)[1:] == [b"ours"]


def test_one_wrong_transaction_stops_the_whole_group(chain: EmbeddedChain) -> None:
    good, other = chain.compose(b"good"), chain.compose(b"bad")
    bad = replace(Transaction.parse(other.raw), flo_data=b"altered")

    with pytest.raises(InvalidDataError, match="not signed"):
        chain.send([good, SignedTransaction(bad.txid, bad.encode(), 0)])

    assert chain.tip().height == 110


def test_what_we_signed_is_taken_as_ours_only_while_it_is_the_same(
    chain: EmbeddedChain,
) -> None:
    ours = chain.compose(b"ours")
    altered = replace(Transaction.parse(ours.raw), flo_data=b"altered").encode()

    with pytest.raises(InvalidDataError, match="not signed"):
        chain.send([replace(ours, raw=altered)])

    chain.send([ours])
    assert carried_by(chain, 111)[1:] == [b"ours"]


def test_a_block_is_later_than_its_parent_whatever_the_clock_says(
    tmp_path: Path, keys: Any
) -> None:
    chain = make(tmp_path / "chain", keys, clock=lambda: NOW)

    chain.send([chain.compose(b"1")])
    chain.send([chain.compose(b"2")])

    assert [chain.block(height).time for height in (111, 112)] == [NOW + 1, NOW + 2]
    chain.verify()


def test_the_writer_waits_where_a_block_would_be_an_hour_ahead(
    tmp_path: Path, keys: Any
) -> None:
    clock = itertools.chain([NOW], itertools.count(NOW - 3605))
    chain = make(tmp_path / "chain", keys, clock=lambda: next(clock))

    chain.send([chain.compose(b"1")])

    assert chain.block(111).time == NOW + 1
    assert next(clock) == NOW - 3598


def test_a_clock_far_behind_the_chain_is_named_at_once(
    tmp_path: Path, keys: Any
) -> None:
    clock = itertools.chain([NOW], itertools.repeat(NOW - 86_400))
    chain = make(tmp_path / "chain", keys, clock=lambda: next(clock))

    with pytest.raises(UnavailableError, match="clock is 86401 s behind"):
        chain.send([chain.compose(b"1")])

    assert chain.tip().height == 110


def test_unknown_heights_and_transactions(chain: EmbeddedChain) -> None:
    for height in (-1, 111):
        with pytest.raises(NotFoundError):
            chain.block(height)
    for position in (-1, 2):
        with pytest.raises(NotFoundError):
            chain.raw_transaction(110, position)


def test_block_0_is_regtests(chain: EmbeddedChain) -> None:
    assert carried_by(chain, 0) == [b"text:Florincoin genesis block"]
    assert chain.block(1).previous == chain.block(0).hash


def test_raw_blocks_are_those_that_a_node_would_take(chain: EmbeddedChain) -> None:
    composed = chain.compose(b"said")
    chain.send([composed])

    ((height, block),) = chain.iter_raw_blocks(111, 200)

    assert height == 111
    assert block.header.hash == chain.tip().hash
    assert block.header.has_work
    assert block.transactions[1].txid == composed.txid


def test_a_chain_is_a_ledger(chain: EmbeddedChain) -> None:
    ledger: Ledger = chain

    assert ledger.tip().height == 110


class Credulous(Inspector):
    """The twin: checks no signatures."""

    def _verify_signature(self, block: FloBlock) -> None:
        pass


class Unrooted(Inspector):
    """The twin: does not look at the transactions."""

    def _verify_transactions(self, block: FloBlock) -> None:
        pass


def altered_flo_data(block: FloBlock) -> FloBlock:
    first, said = block.transactions
    return rooted(FloBlock(block.header, (first, replace(said, flo_data=b"unsaid"))))


def altered_signature(block: FloBlock) -> FloBlock:
    first, said = block.transactions
    signature = PrivateKey.from_bytes(b"\x09" * 32).sign_message("text").encode()
    return rooted(FloBlock(block.header, (replace(first, flo_data=signature), said)))


def altered_root(block: FloBlock) -> FloBlock:
    header = replace(block.header, root=b"\x01" * 32, nonce=0)
    return FloBlock(mine(header), block.transactions)


def rooted(block: FloBlock) -> FloBlock:
    header = replace(block.header, root=block.merkle_root(), nonce=0)
    return FloBlock(mine(header), block.transactions)


@pytest.mark.parametrize(
    ("alter", "reason", "twin"),
    [
        (altered_flo_data, "sign", Credulous),
        (altered_signature, "sign", Credulous),
        (altered_root, "merkle root", Unrooted),
    ],
)
def test_an_altered_last_block_is_found_and_only_by_its_check(
    chain: EmbeddedChain,
    tmp_path: Path,
    alter: Callable[[FloBlock], FloBlock],
    reason: str,
    twin: type[Inspector],
) -> None:
    chain.send([chain.compose(b"said")])
    log = Log(tmp_path / "chain" / "blocks.log")
    blocks = [FloBlock.parse(entry) for _, entry in log.read_new()]
    altered = [*blocks[:-1], alter(blocks[-1])]
    log.path.unlink()
    Log(log.path).append([block.encode() for block in altered])

    with pytest.raises(InvalidDataError, match=f"block 111: .*{reason}"):
        EmbeddedChain.open(tmp_path / "chain").verify()

    inspector = twin()
    for block in altered:
        inspector.verify_next(block)
