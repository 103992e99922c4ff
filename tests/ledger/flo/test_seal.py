"""Signed blocks: what makes one valid, and that each check is needed."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from etdb.errors import InvalidDataError
from etdb.ledger.flo.block import FloBlock, Header, coinbase, merkle_root, mine
from etdb.ledger.flo.params import REGTEST
from etdb.ledger.flo.seal import (
    Declaration,
    Draft,
    Inspector,
    block_text,
    declare,
    parse_declaration,
    seal,
)
from etdb.ledger.flo.tx import OutPoint, Transaction, TxIn, TxOut
from etdb.record.signing import TEST_P2PKH, PrivateKey, verify_strict_message

KEY = PrivateKey.from_bytes(b"\x01" * 32)
OTHER_KEY = PrivateKey.from_bytes(b"\x02" * 32)
NAMED = declare(KEY.address(TEST_P2PKH), "0f" * 16)
PAYOUT = TxOut(1, b"\x51")
TIME = 1_700_000_000


def carrying(data: bytes, mark: int = 0x11) -> Transaction:
    spent = TxIn(OutPoint(bytes([mark]) * 32, 0), b"\x51")
    return Transaction(2, (spent,), (PAYOUT,), 0, data)


def sealed(
    parent: FloBlock,
    height: int,
    *transactions: Transaction,
    time: int = TIME,
    key: PrivateKey = KEY,
) -> FloBlock:
    draft = Draft(height, parent.header, time + height, transactions, PAYOUT)
    return seal(draft, key, NAMED if height == 1 else None)


def remined(block: FloBlock, **changes: Any) -> FloBlock:
    header = replace(block.header, root=block.merkle_root(), nonce=0)
    return FloBlock(mine(replace(header, **changes)), block.transactions)


FIRST = sealed(REGTEST.genesis(), 1)
SECOND = sealed(FIRST, 2, carrying(b"said"), carrying(b"too", 0x22))


def inspected(block: FloBlock, inspector: Inspector | None = None) -> Inspector:
    inspector = inspector or Inspector()
    inspector.verify_next(FIRST)
    inspector.verify_next(block)
    return inspector


def test_sealed_blocks_are_valid() -> None:
    inspector = inspected(SECOND)

    assert inspector.height == 2
    assert inspector.declaration == NAMED


def test_the_text_of_a_block_is_what_r8_spells_out() -> None:
    signature = SECOND.transactions[0].flo_data.decode("ascii")
    unsigned = replace(SECOND.transactions[0], flo_data=b"")
    root = merkle_root(
        [item.txid_bytes for item in (unsigned, *SECOND.transactions[1:])]
    )
    said = (
        f"2:{FIRST.header.hash}:536870912:{TIME + 2}:545259519:{root[::-1].hex()}"
    ).encode("ascii")

    text = "etdb:1:block:" + hashlib.sha256(said).hexdigest()

    assert block_text(2, SECOND.header, root) == text
    assert len(signature) == 88
    verify_strict_message(KEY.address(TEST_P2PKH), signature, text)


def test_block_1_signs_whose_chain_it_is() -> None:
    flo_data = FIRST.transactions[0].flo_data.decode("ascii")
    declared, _, signature = flo_data.rpartition(":")
    root = replace(FIRST.transactions[0], flo_data=b"").txid_bytes

    text = block_text(1, FIRST.header, root) + ":" + declared

    assert declared == f"etdb-chain:1:{KEY.address(TEST_P2PKH)}:{'0f' * 16}:"
    verify_strict_message(KEY.address(TEST_P2PKH), signature, text)


def test_a_declaration_may_name_the_chain_it_continues() -> None:
    text = f"{NAMED.text}{'a' * 64}:120:{'b' * 64}"
    declaration = Declaration(text, NAMED.address)
    draft = Draft(1, REGTEST.genesis().header, TIME, (), PAYOUT)

    block = seal(draft, KEY, declaration)

    Inspector().verify_next(block)
    flo_data = block.transactions[0].flo_data
    assert parse_declaration(flo_data)[0] == declaration


@pytest.mark.parametrize(
    "flo_data",
    [
        b"",
        b"\xff",
        b"text:Florincoin genesis block",
        f"etdb-chain:2:{NAMED.address}:{'0f' * 16}::x".encode(),
        f"etdb-chain:1:{NAMED.address}:{'0F' * 16}::x".encode(),
        f"etdb-chain:1:{NAMED.address}:{'0f' * 16}:x".encode(),
        f"etdb-chain:1:{NAMED.address}:{'0f' * 16}:{'a' * 64}:01:{'b' * 64}:x".encode(),
    ],
)
def test_anything_else_in_block_1_declares_nothing(flo_data: bytes) -> None:
    with pytest.raises(InvalidDataError, match="does not declare"):
        parse_declaration(flo_data)


class WithoutHeader(Inspector):
    def _verify_header(self, header: Header) -> None:
        pass


class WithoutTransactions(Inspector):
    def _verify_transactions(self, block: FloBlock) -> None:
        pass


class WithoutSignature(Inspector):
    def _verify_signature(self, block: FloBlock) -> None:
        pass


def altered_flo_data() -> FloBlock:
    first, said, *rest = SECOND.transactions
    other = replace(said, flo_data=b"never said")
    return remined(FloBlock(SECOND.header, (first, other, *rest)))


def other_signer() -> FloBlock:
    return sealed(FIRST, 2, carrying(b"said"), key=OTHER_KEY)


def first_again() -> FloBlock:
    return sealed(FIRST, 2, carrying(b"said"), carrying(b"said"))


def two_coinbases() -> FloBlock:
    return sealed(FIRST, 2, coinbase(7, PAYOUT))


def ambiguous_size() -> FloBlock:
    transaction = carrying(b"x")
    assert transaction.size_bytes == 64
    return sealed(FIRST, 2, transaction)


def witnessed() -> FloBlock:
    return sealed(FIRST, 2, replace(carrying(b"said"), witness=((b"x",),)))


def too_long() -> FloBlock:
    return sealed(FIRST, 2, carrying(bytes(1_000_000)))


def without_coinbase() -> FloBlock:
    return remined(FloBlock(SECOND.header, SECOND.transactions[1:]))


def wrong_nonce() -> FloBlock:
    header = SECOND.header
    return FloBlock(replace(header, nonce=header.nonce + 1), SECOND.transactions)


def later_nonce() -> FloBlock:
    header = replace(SECOND.header, nonce=SECOND.header.nonce + 1)
    while not header.has_work:
        header = replace(header, nonce=header.nonce + 1)
    return FloBlock(header, SECOND.transactions)


def no_later() -> FloBlock:
    return sealed(FIRST, 2, time=TIME - 1)


def of_another_parent() -> FloBlock:
    return sealed(SECOND, 2)


def wrong_root() -> FloBlock:
    return remined(SECOND, root=b"\x01" * 32)


def easier_target() -> FloBlock:
    return remined(SECOND, bits=0x207FFFFE)


@pytest.mark.parametrize(
    ("make", "reason", "twin"),
    [
        (altered_flo_data, "did not sign", WithoutSignature),
        (other_signer, "did not sign", WithoutSignature),
        (wrong_root, "merkle root", WithoutTransactions),
        (first_again, "twice", WithoutTransactions),
        (two_coinbases, "two coinbases", WithoutTransactions),
        (ambiguous_size, "64 bytes", WithoutTransactions),
        (witnessed, "witness", WithoutTransactions),
        (too_long, "over 1 MB", WithoutTransactions),
        (without_coinbase, "no coinbase", None),
        (wrong_nonce, "smallest nonce", WithoutHeader),
        (later_nonce, "smallest nonce", WithoutHeader),
        (no_later, "not later", WithoutHeader),
        (of_another_parent, "child", WithoutHeader),
        (easier_target, "target", None),
    ],
)
def test_a_block_that_breaks_a_rule_is_refused_and_would_pass_without_the_check(
    make: Callable[[], FloBlock], reason: str, twin: type[Inspector] | None
) -> None:
    block = make()

    with pytest.raises(InvalidDataError, match=f"block 2: .*{reason}") as caught:
        inspected(block)

    assert caught.value.facts == {"rule": "R8", "height": 2}
    if twin is not None:
        inspected(block, twin())


def test_a_transaction_of_an_earlier_block_is_refused() -> None:
    inspector = inspected(SECOND)

    with pytest.raises(InvalidDataError, match="earlier block"):
        inspector.verify_next(sealed(SECOND, 3, carrying(b"said")))


def test_a_refused_block_leaves_the_inspector_where_it_was() -> None:
    inspector = Inspector()
    inspector.verify_next(FIRST)
    with pytest.raises(InvalidDataError):
        inspector.verify_next(wrong_root())

    inspector.verify_next(SECOND)

    assert inspector.height == 2
