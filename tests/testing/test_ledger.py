"""The ledger in memory can be reorganised and can fail."""

from __future__ import annotations

import pytest

from etdb.errors import UnavailableError
from etdb.record.message import Coverage, LedgerKind
from etdb.testing.ledger import MemoryLedger


def texts_of(ledger: MemoryLedger) -> list[list[bytes]]:
    return [
        [carried.data for carried in ledger.block(height).carried]
        for height in range(ledger.tip().height + 1)
    ]


def test_texts_are_mined_into_a_block_with_their_coverage() -> None:
    ledger = MemoryLedger("ours", LedgerKind.FLO_MAIN)

    block = ledger.mine("one", b"\xff", coverage=Coverage.OMITTED)

    assert block == ledger.block(1)
    assert [item.data for item in block.carried] == [b"one", b"\xff"]
    assert {item.coverage for item in block.carried} == {Coverage.OMITTED}
    assert (ledger.info.id, ledger.info.kind) == ("ours", LedgerKind.FLO_MAIN)


def test_a_reorganisation_puts_a_longer_branch_in_place() -> None:
    ledger = MemoryLedger()
    for text in ("a", "b", "c"):
        ledger.mine(text)
    kept = ledger.block(1)

    dropped = ledger.reorganise(2, [["c"], ["d", "e"]])

    assert texts_of(ledger) == [[], [b"a"], [b"c"], [b"d", b"e"], []]
    assert [item.data for item in dropped] == [b"b", b"c"]
    assert ledger.block(1) == kept
    assert ledger.block(2).previous == kept.hash


def test_the_same_texts_in_another_branch_are_other_blocks() -> None:
    ledger = MemoryLedger()
    before = ledger.mine("a")

    ledger.reorganise(1, [["a"]])

    assert ledger.block(1).hash != before.hash


def test_what_fell_out_can_be_sent_again() -> None:
    ledger = MemoryLedger()
    sent = ledger.compose(b"said")
    ledger.send([sent])

    ledger.reorganise(1)
    assert ledger.find_height(sent.txid) is None
    ledger.send([sent])

    assert ledger.find_height(sent.txid) == 3


@pytest.mark.parametrize("is_applied", [False, True])
def test_sending_can_fail_before_or_after_its_effect(is_applied: bool) -> None:
    error = UnavailableError("the daemon went away")
    ledger = MemoryLedger(effect=lambda _effect: (is_applied, error))

    with pytest.raises(UnavailableError):
        ledger.send([ledger.compose(b"said")])

    assert ledger.tip().height == int(is_applied)


def test_two_ledgers_have_no_transaction_in_common() -> None:
    one, two = MemoryLedger("one"), MemoryLedger("two")

    assert one.compose(b"x").txid != two.compose(b"x").txid
