"""Headers, work, roots and subsidies."""

from __future__ import annotations

from dataclasses import replace

import pytest

from etdb.errors import InvalidDataError
from etdb.ledger.flo.block import (
    COIN_SAT,
    FloBlock,
    Header,
    coinbase,
    merkle_root,
    mine,
    subsidy_sat,
    target_of,
)
from etdb.ledger.flo.params import MAIN, REGTEST, TEST, Params
from etdb.ledger.flo.tx import TxOut
from etdb.ledger.flo.wire import sha256d

HEADER = Header(0x20000000, bytes(32), bytes(32), 1_700_000_000, REGTEST.bits, 0)


@pytest.mark.parametrize(
    ("params", "block_hash"),
    [
        (MAIN, "09c7781c9df90708e278c35d38ea5c9041d7ecfcdd1c56ba67274b7cff3e1cea"),
        (TEST, "9b7bc86236c34b5e3a39367c036b7fe8807a966c22a7a1f0da2a198a27e03731"),
        (REGTEST, "ec42fa26ca6dcb1103b59a1d24b161935ea4566f8d5736db8917d5b9a8dee0d7"),
    ],
)
def test_the_first_block_of_each_network_is_flos(
    params: Params, block_hash: str
) -> None:
    genesis = params.genesis()

    assert genesis.header.hash == block_hash
    assert genesis.header.has_work
    assert genesis.header.root == genesis.merkle_root()
    assert genesis.transactions[0].flo_data == b"text:Florincoin genesis block"
    assert FloBlock.parse(genesis.encode()) == genesis


def test_mining_finds_the_smallest_nonce_that_has_the_work() -> None:
    mined = mine(HEADER)

    assert mined.has_work
    for nonce in range(mined.nonce):
        assert not replace(HEADER, nonce=nonce).has_work


def test_a_target_of_nothing_is_never_met() -> None:
    assert target_of(0x01800001) == 0
    assert not replace(HEADER, bits=0x01800001).has_work


@pytest.mark.parametrize(
    ("bits", "target"),
    [(0x207FFFFF, 0x7FFFFF << 232), (0x1E0FFFF0, 0x0FFFF0 << 216), (0x01120000, 0x12)],
)
def test_compact_targets_are_spelt_out(bits: int, target: int) -> None:
    assert target_of(bits) == target


def test_an_odd_leaf_is_paired_with_itself() -> None:
    one, two, three = (bytes([n]) * 32 for n in (1, 2, 3))

    root = merkle_root([one, two, three])

    assert root == sha256d(sha256d(one + two) + sha256d(three + three))
    assert merkle_root([one]) == one


@pytest.mark.parametrize(
    ("height", "coins"), [(1, 100), (149, 100), (150, 50), (299, 50), (300, 25)]
)
def test_regtests_subsidy_halves_every_150_blocks(height: int, coins: int) -> None:
    assert subsidy_sat(height, REGTEST.halving_blocks) == coins * COIN_SAT


def test_the_subsidy_comes_to_nothing() -> None:
    assert subsidy_sat(34 * 150 - 1, 150) == 1
    assert subsidy_sat(34 * 150, 150) == 0
    assert subsidy_sat(10_000_000, 150) == 0


@pytest.mark.parametrize(
    ("height", "script"),
    [
        (1, "5100"),
        (16, "6000"),
        (17, "011100"),
        (127, "017f00"),
        (128, "02800000"),
        (255, "02ff0000"),
        (256, "02000100"),
        (32768, "0300800000"),
    ],
)
def test_a_coinbase_pushes_its_height(height: int, script: str) -> None:
    transaction = coinbase(height, TxOut(1, b""))

    assert transaction.inputs[0].script.hex() == script
    assert transaction.is_coinbase


def test_a_block_reads_back_and_is_refused_cut_off_or_empty() -> None:
    first = coinbase(1, TxOut(1, b"\x51"), b"text")
    block = FloBlock(replace(HEADER, root=first.txid_bytes), (first,))
    data = block.encode()

    assert FloBlock.parse(data) == block
    assert Header.parse(data[:80]) == block.header
    for size in range(len(data)):
        with pytest.raises(InvalidDataError):
            FloBlock.parse(data[:size])
    with pytest.raises(InvalidDataError, match="no transactions"):
        FloBlock.parse(HEADER.encode() + b"\x00")
