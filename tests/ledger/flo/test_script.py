"""Which signatures hold the floData in place."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from etdb.errors import InvalidSignatureError
from etdb.ledger.flo.script import (
    Unlock,
    coverage_of,
    find_unlock,
    pay_to,
    verify_input,
)
from etdb.ledger.flo.tx import OMIT_FLO_DATA, OutPoint, Transaction, TxIn, TxOut
from etdb.record.message import Coverage
from etdb.record.signing import PrivateKey, hash160

ALL = 1
SINGLE = 3
ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
KEY = PrivateKey.from_bytes(b"\x03" * 32)
SCRIPT = pay_to(hash160(KEY.public_key))
UNSIGNED = Transaction(
    version=2,
    inputs=(
        TxIn(OutPoint(b"\x11" * 32, 0), b""),
        TxIn(OutPoint(b"\x22" * 32, 1), b""),
    ),
    outputs=(TxOut(5, SCRIPT),),
    flo_data=b"json:{}",
)


def sign(transaction: Transaction, index: int, hash_type: int = ALL) -> Transaction:
    sighash = transaction.sighash(index, SCRIPT, hash_type)
    unlock = Unlock(KEY.sign_hash(sighash), hash_type & 0xBF, KEY.public_key)
    inputs = list(transaction.inputs)
    inputs[index] = inputs[index]._replace(script=unlock.encode())
    return replace(transaction, inputs=tuple(inputs))


def with_high_s(unlock: Unlock) -> Unlock:
    der = unlock.signature
    r_end = 4 + der[3]
    r = der[2:r_end]
    s = ORDER - int.from_bytes(der[r_end + 2 :], "big")
    s_bytes = s.to_bytes(33, "big")
    body = r + bytes([2, len(s_bytes)]) + s_bytes
    return replace(unlock, signature=bytes([0x30, len(body)]) + body)


def test_signatures_of_real_transactions_cover_their_flo_data(
    vectors: Callable[[str], Any],
) -> None:
    for vector in vectors("09_flo_transactions.json")["vectors"]:
        transaction = Transaction.parse(bytes.fromhex(vector["hex"]))
        altered = replace(transaction, flo_data=transaction.flo_data + b"!")

        assert coverage_of(transaction) is Coverage.COVERED
        assert coverage_of(altered) is Coverage.UNKNOWN


def test_a_signature_of_an_old_wallet_omits_the_flo_data() -> None:
    signed = sign(sign(UNSIGNED, 0, ALL | OMIT_FLO_DATA), 1, ALL | OMIT_FLO_DATA)
    altered = replace(signed, flo_data=b"json:[]")

    assert coverage_of(signed) is Coverage.OMITTED
    assert coverage_of(altered) is Coverage.OMITTED


def test_one_covering_signature_is_enough() -> None:
    signed = sign(sign(UNSIGNED, 0, ALL | OMIT_FLO_DATA), 1, ALL)

    assert coverage_of(signed) is Coverage.COVERED


def test_an_input_that_cannot_be_checked_leaves_it_unknown() -> None:
    signed = sign(UNSIGNED, 0, ALL | OMIT_FLO_DATA)

    assert coverage_of(signed) is Coverage.UNKNOWN


def test_a_signature_over_the_number_one_covers_nothing() -> None:
    signed = sign(sign(UNSIGNED, 0, ALL | OMIT_FLO_DATA), 1, SINGLE)
    altered = replace(signed, flo_data=b"json:[]")

    assert coverage_of(signed) is Coverage.OMITTED
    assert coverage_of(altered) is Coverage.OMITTED


def test_a_high_s_is_as_good_as_a_low_one() -> None:
    signed = sign(UNSIGNED, 0)
    unlock = find_unlock(signed.inputs[0].script)
    assert unlock is not None
    high = signed.inputs[0]._replace(script=with_high_s(unlock).encode())

    transaction = replace(signed, inputs=(high, signed.inputs[1]))

    assert coverage_of(transaction) is Coverage.COVERED


def test_checking_stops_after_sixteen_inputs() -> None:
    inputs = tuple(TxIn(OutPoint(bytes([n]) * 32, 0), b"") for n in range(17))
    many = replace(UNSIGNED, inputs=inputs)

    assert coverage_of(sign(many, 15)) is Coverage.COVERED
    assert coverage_of(sign(many, 16)) is Coverage.UNKNOWN


@pytest.mark.parametrize(
    "script",
    [
        b"",
        b"\x47",
        b"\x51",
        b"\x47" + bytes(71) + b"\x21" + bytes(33),
        b"\x47" + b"\x30" * 71 + b"\x21" + b"\x02" * 33,
        b"\x47" + b"\x30" * 71 + b"\x21" + b"\x02" * 33 + b"\x00",
        b"\x08" + bytes(8) + b"\x21" + bytes(33),
    ],
)
def test_scripts_of_other_forms_are_unknown(script: bytes) -> None:
    inputs = (UNSIGNED.inputs[0]._replace(script=script),)

    assert coverage_of(replace(UNSIGNED, inputs=inputs)) is Coverage.UNKNOWN


def test_an_input_signed_by_its_coins_key_may_spend_it() -> None:
    verify_input(sign(UNSIGNED, 0), 0, SCRIPT)


@pytest.mark.parametrize(
    ("transaction", "script"),
    [
        (UNSIGNED, SCRIPT),
        (sign(UNSIGNED, 0), pay_to(bytes(20))),
        (sign(UNSIGNED, 0), b"\x51"),
        (sign(UNSIGNED, 0, ALL | OMIT_FLO_DATA), SCRIPT),
        (sign(UNSIGNED, 0, SINGLE), SCRIPT),
        (replace(sign(UNSIGNED, 0), flo_data=b"json:[]"), SCRIPT),
    ],
    ids=["unsigned", "other key", "other script", "omits", "single", "altered"],
)
def test_other_inputs_may_not(transaction: Transaction, script: bytes) -> None:
    with pytest.raises(InvalidSignatureError, match="input 0"):
        verify_input(transaction, 0, script)
