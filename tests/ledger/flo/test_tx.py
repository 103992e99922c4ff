"""Transactions: bytes, ids, and what a signature signs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from etdb.errors import InvalidDataError
from etdb.ledger.flo.tx import (
    OMIT_FLO_DATA,
    OutPoint,
    Transaction,
    TxIn,
    TxOut,
    _without_separators,
)

SINGLE = 3
PLAIN = Transaction(
    version=2,
    inputs=(TxIn(OutPoint(b"\x11" * 32, 0), b"\x51"),),
    outputs=(TxOut(5, b"\x52"),),
    flo_data=b"text",
)

outpoints = st.builds(
    OutPoint, st.binary(min_size=32, max_size=32), st.integers(0, 2**32 - 1)
)
transactions = st.builds(
    Transaction,
    version=st.integers(2, 2**31 - 1),
    inputs=st.lists(
        st.builds(TxIn, outpoints, st.binary(max_size=9), st.integers(0, 2**32 - 1)),
        min_size=1,
        max_size=3,
    ).map(tuple),
    outputs=st.lists(
        st.builds(TxOut, st.integers(0, 2**64 - 1), st.binary(max_size=9)), max_size=3
    ).map(tuple),
    lock_time=st.integers(0, 2**32 - 1),
    flo_data=st.binary(max_size=300),
)


@given(transactions)
def test_a_transaction_reads_back(transaction: Transaction) -> None:
    read = Transaction.parse(transaction.encode())

    assert read == transaction
    assert encoded_anew(read) == read.encode()


@given(st.binary(max_size=200))
def test_any_bytes_are_refused_or_written_back_the_same(data: bytes) -> None:
    try:
        transaction = Transaction.parse(data)
    except InvalidDataError:
        return

    assert transaction.encode() == data
    assert encoded_anew(transaction) == data


@given(transactions, st.integers(0, 255))
def test_a_signature_depends_on_the_flo_data_where_its_hash_does(
    transaction: Transaction, hash_type: int
) -> None:
    for index in range(len(transaction.inputs)):
        covering, omitting = (
            transaction.sighash(index, b"", kind)
            for kind in (hash_type, hash_type | OMIT_FLO_DATA)
        )

        assert transaction.is_data_signed(index, hash_type) is (covering != omitting)


def encoded_anew(transaction: Transaction) -> bytes:
    """A parsed one remembers its bytes; a copy does not."""
    return replace(transaction).encode()


def test_real_transactions_have_their_ids_and_flo_data(
    vectors: Callable[[str], Any],
) -> None:
    for vector in vectors("09_flo_transactions.json")["vectors"]:
        transaction = Transaction.parse(bytes.fromhex(vector["hex"]))

        assert transaction.txid == vector["txid"]
        assert transaction.flo_data == vector["floData"].encode()
        assert encoded_anew(transaction).hex() == vector["hex"]
        assert transaction.size_bytes == len(vector["hex"]) // 2


def test_200_signed_hashes_of_flo_core_are_reproduced(
    vectors: Callable[[str], Any],
) -> None:
    cases = vectors("09b_flo_core_sighash.json")["vectors"]
    assert len(cases) == 200
    for case in cases:
        transaction = Transaction.parse(bytes.fromhex(case["raw"]))

        sighash = transaction.sighash(
            case["input"], bytes.fromhex(case["script"]), case["hashType"]
        )

        assert sighash[::-1].hex() == case["sighash"]


@pytest.mark.parametrize("hash_type", [1, 2, 3, 0x81, 0x82, 0x83])
def test_flo_data_is_signed_under_every_hash_type_unless_omitted(
    hash_type: int,
) -> None:
    altered = replace(PLAIN, flo_data=b"other")
    omitting = hash_type | OMIT_FLO_DATA

    assert PLAIN.sighash(0, b"", hash_type) != altered.sighash(0, b"", hash_type)
    assert PLAIN.sighash(0, b"", omitting) == altered.sighash(0, b"", omitting)
    assert PLAIN.sighash(0, b"", hash_type) != PLAIN.sighash(0, b"", omitting)


@pytest.mark.parametrize(
    ("script", "signed"),
    [("ab51ab52", "5152"), ("02abab51ab", "02abab51"), ("ab4c05ab", "4c05ab")],
    ids=["between", "not inside a push", "not behind a push that is cut off"],
)
def test_code_separators_are_not_signed(script: str, signed: str) -> None:
    assert _without_separators(bytes.fromhex(script)).hex() == signed


def test_single_without_its_output_signs_the_number_one() -> None:
    transaction = replace(PLAIN, outputs=())

    assert transaction.sighash(0, b"", SINGLE) == b"\x01" + bytes(31)


def test_flo_data_is_part_of_the_id() -> None:
    assert replace(PLAIN, flo_data=b"other").txid != PLAIN.txid


def test_version_1_has_no_flo_data_field() -> None:
    transaction = replace(PLAIN, version=1, flo_data=b"")

    assert transaction.encode() == PLAIN.encode()[:-5].replace(b"\x02", b"\x01", 1)
    assert Transaction.parse(transaction.encode()) == transaction


def test_a_witness_is_read_and_is_not_part_of_the_id() -> None:
    witnessed = replace(PLAIN, witness=((b"signature", b"key"),))

    read = Transaction.parse(witnessed.encode())

    assert read == witnessed
    assert read.txid == PLAIN.txid
    assert read.flo_data == b"text"
    assert read.size_bytes == len(PLAIN.encode())


def test_an_announced_witness_that_is_empty_is_refused() -> None:
    witnessed = replace(PLAIN, witness=((b"x",),)).encode()
    empty = witnessed.replace(b"\x01\x01x", b"\x00")

    with pytest.raises(InvalidDataError, match="witness"):
        Transaction.parse(empty)


def test_a_transaction_cut_off_anywhere_is_refused() -> None:
    data = PLAIN.encode()
    for size in range(len(data)):
        with pytest.raises(InvalidDataError):
            Transaction.parse(data[:size])


def test_bytes_after_a_transaction_are_refused() -> None:
    with pytest.raises(InvalidDataError, match="after a transaction"):
        Transaction.parse(PLAIN.encode() + b"x")
