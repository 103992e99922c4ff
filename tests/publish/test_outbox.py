"""A ledger that others write too: on its way, dropped, copied, changed, snatched."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from etdb.errors import ConflictError, UnavailableError
from etdb.identity import Digest
from etdb.index import queries
from etdb.index.anchor import count_confirmations, is_anchored
from etdb.index.db import Index
from etdb.index.follow import follow
from etdb.ledger.base import SignedTransaction
from etdb.publish.plan import PlanState
from etdb.publish.publisher import Outcome, Publisher
from etdb.record.canonical import digest_of
from etdb.record.oip042 import wrap_publish
from etdb.record.parts import parse_part
from etdb.record.signing import PrivateKey
from etdb.testing.ledger import MemoryLedger
from etdb.testing.pool import PoolLedger, fail_nth
from etdb.testing.publishing import open_publisher, plan, publish, with_outbox
from etdb.testing.records import body_in

Make = Callable[..., Path]


@pytest.fixture
def pool() -> PoolLedger:
    """A shared ledger where our wallet has some coins."""
    return PoolLedger()


@pytest.fixture
def lab(node: Path, pool: PoolLedger, key: PrivateKey) -> Iterator[Publisher]:
    """A publisher on it."""
    with open_publisher(node, pool, key) as opened:
        yield opened


def record_of(publisher: Publisher, record_id: str) -> dict[str, Any]:
    return queries.get_record(publisher.index, record_id)


def verify_one_record(publisher: Publisher, pool: PoolLedger, tmp_path: Path) -> None:
    """The ledger says one thing once, to whoever reads it from the beginning."""
    assert publisher.outbox.journal.list_open() == []
    with Index.create(tmp_path / "fresh.sqlite", [pool.info]) as fresh:
        follow(fresh, pool)
        (found,) = queries.search(fresh, "").results
        assert len(queries.get_record(fresh, found["id"])["anchors"]) == 1


def test_what_no_block_holds_yet_stays_in_the_journal(
    lab: Publisher, pool: PoolLedger, dataset: Path
) -> None:
    (sent,) = publish(lab, dataset)
    waiting = lab.outbox.journal.list_open()
    pool.deliver()
    (finished,) = lab.resume()

    assert (sent.outcome, len(waiting)) == (Outcome.SENT, 1)
    assert finished == replace(sent, outcome=Outcome.PUBLISHED)
    assert lab.outbox.journal.list_open() == []
    assert lab.resume() == []


def test_publishing_again_what_is_on_its_way_sends_nothing_new(
    lab: Publisher, pool: PoolLedger, dataset: Path, tmp_path: Path
) -> None:
    (first,) = publish(lab, dataset)
    waiting = list(pool.pool)

    again = plan(lab, dataset)
    (second,) = lab.publish([again])
    (changed,) = lab.publish([plan(lab, dataset, title="Changed meanwhile")])

    assert again.state is PlanState.SENT
    assert first == second == changed
    assert pool.pool == waiting
    pool.deliver()
    lab.resume()
    verify_one_record(lab, pool, tmp_path)


def test_without_the_journal_it_would_be_published_twice(
    lab: Publisher, pool: PoolLedger, dataset: Path
) -> None:
    publish(lab, dataset)
    lab.outbox.journal.close(lab.outbox.journal.list_open())

    publish(with_outbox(lab, clock=lambda: time.time() + 1), dataset)

    pool.deliver()
    lab.outbox.follow()
    assert queries.search(lab.index, "").total == 2


def test_what_a_plan_showed_as_sent_is_for_a_later_run(
    lab: Publisher, pool: PoolLedger, dataset: Path
) -> None:
    publish(lab, dataset)
    shown = plan(lab, dataset, title="Changed meanwhile")
    pool.deliver()

    (left,) = lab.publish([shown])

    assert left.outcome is Outcome.PRESENT
    assert pool.pool == []
    assert plan(lab, dataset, title="Changed").state is PlanState.CHANGED


def test_what_the_pool_dropped_is_sent_again(
    lab: Publisher, pool: PoolLedger, dataset: Path, tmp_path: Path
) -> None:
    publish(lab, dataset)
    sent = list(pool.pool)
    pool.drop()

    (one,) = lab.resume()

    assert (one.outcome, pool.pool) == (Outcome.SENT, sent)
    pool.deliver()
    lab.resume()
    verify_one_record(lab, pool, tmp_path)


def test_what_is_anchored_already_is_not_sent_again(
    lab: Publisher, pool: PoolLedger, dataset: Path
) -> None:
    publish(lab, dataset)
    pool.deliver()
    pool.effect = lambda _: (False, UnavailableError("the coins are spent"))

    (finished,) = lab.resume()

    assert finished.outcome is Outcome.PUBLISHED


@pytest.mark.parametrize("number", [0, 1, 2])
def test_a_set_whose_coin_was_snatched_is_composed_anew(
    lab: Publisher, pool: PoolLedger, dataset: Path, tmp_path: Path, number: int
) -> None:
    (sent,) = publish(lab, dataset)
    (old,) = lab.outbox.journal.list_open()
    pool.snatch(number)
    pool.deliver()

    (again,) = lab.resume()

    (new,) = lab.outbox.journal.list_open()
    assert (again.outcome, again.id) == (Outcome.SENT, sent.id)
    assert (new.text, new.digest) == (old.text, old.digest)
    assert new.txid != old.txid
    pool.deliver()
    (finished,) = lab.resume()
    assert record_of(lab, sent.id)["txid"] == finished.txid == new.txid
    verify_one_record(lab, pool, tmp_path)


def test_part_0_changed_in_form_on_its_way_costs_no_record(
    lab: Publisher, pool: PoolLedger, dataset: Path, tmp_path: Path
) -> None:
    (sent,) = publish(lab, dataset)
    pool.malleate(0)
    pool.deliver()

    lab.resume()
    pool.deliver()
    (finished,) = lab.resume()

    assert (finished.id, finished.outcome) == (sent.id, Outcome.PUBLISHED)
    verify_one_record(lab, pool, tmp_path)


def test_a_short_message_mined_in_another_form_is_done(
    lab: Publisher, pool: PoolLedger
) -> None:
    lab.send(lab.plan_register("A lab"))
    other = pool.malleate(0)
    pool.deliver()

    (finished,) = lab.resume()

    assert finished.outcome is Outcome.PUBLISHED
    assert finished.txid != other.txid
    assert pool.pool == []


def test_a_copy_that_came_first_is_the_same_record(
    lab: Publisher, pool: PoolLedger, dataset: Path
) -> None:
    (sent,) = publish(lab, dataset)
    (entry,) = lab.outbox.journal.list_open()
    pool.drop()
    # Somebody carries our text in one transaction of theirs, with their coins.
    pool.mine(entry.text)

    (finished,) = lab.resume()

    assert (finished.id, finished.outcome) == (sent.id, Outcome.PUBLISHED)
    assert lab.outbox.journal.list_open() == []
    assert queries.search(lab.index, "").total == 1


def stripped(text: str) -> str:
    """A publish without its content signature: the old one still holds."""
    body = body_in(text)
    del body["details"]["contentSignature"]
    return wrap_publish(body)


def test_a_copy_stripped_of_its_content_signature_does_not_pass_for_ours(
    lab: Publisher, pool: PoolLedger, dataset: Path
) -> None:
    (sent,) = publish(lab, dataset)
    (entry,) = lab.outbox.journal.list_open()
    waiting = list(pool.pool)
    pool.mine(stripped(entry.text))

    (left,) = lab.resume()

    assert (left.outcome, pool.pool) == (Outcome.SENT, waiting)
    assert not is_anchored(lab.index, pool.info.id, "publish", sent.id)
    pool.deliver()
    (finished,) = lab.resume()
    assert finished.outcome is Outcome.PUBLISHED
    assert record_of(lab, sent.id)["class"] == "A"


def test_without_the_class_such_a_copy_would_pass(
    lab: Publisher, pool: PoolLedger, dataset: Path
) -> None:
    (sent,) = publish(lab, dataset)
    (entry,) = lab.outbox.journal.list_open()
    copy = stripped(entry.text)
    pool.mine(copy)
    lab.outbox.follow()

    assert digest_of("publish", body_in(copy)) == sent.id
    assert record_of(lab, sent.id)["class"] != "A"


def test_a_copy_on_another_ledger_does_not_stop_ours(
    lab: Publisher, dataset: Path, tmp_path: Path
) -> None:
    (sent,) = publish(lab, dataset)
    (entry,) = lab.outbox.journal.list_open()
    other = MemoryLedger("another")
    other.mine(entry.text)

    with Index.create(
        tmp_path / "both.sqlite", [lab.outbox.ledger.info, other.info]
    ) as both:
        follow(both, other)
        follow(both, lab.outbox.ledger)
        assert record_of(with_outbox(lab, index=both), sent.id)["class"] == "A"
        assert not is_anchored(both, lab.outbox.ledger.info.id, "publish", sent.id)
        assert is_anchored(both, other.info.id, "publish", sent.id)


def test_an_edit_on_its_way_is_not_doubled(
    lab: Publisher, pool: PoolLedger, dataset: Path
) -> None:
    (sent,) = publish(lab, dataset)
    pool.deliver()
    lab.resume()
    lab.send(lab.plan_edit(sent.id, {"strain": "PAO1"}))
    waiting = list(pool.pool)

    for changes in ({"strain": "PAO1"}, {"strain": "other"}):
        with pytest.raises(ConflictError, match=r"\(edit\) is on its way"):
            lab.plan_edit(sent.id, changes)
    (left,) = publish(lab, dataset)

    assert (left.action, left.outcome) == ("edit", Outcome.SENT)
    assert pool.pool == waiting
    pool.deliver()
    (finished,) = lab.resume()
    assert (finished.action, finished.outcome) == ("edit", Outcome.PUBLISHED)
    assert record_of(lab, sent.id)["details"]["strain"] == "PAO1"


def test_a_withdrawal_on_its_way_is_not_doubled_and_may_follow_an_edit(
    lab: Publisher, pool: PoolLedger, dataset: Path
) -> None:
    (sent,) = publish(lab, dataset)
    pool.deliver()
    lab.resume()
    lab.send(lab.plan_edit(sent.id, {"strain": "PAO1"}))

    lab.send(lab.plan_withdrawal(sent.id, "wrong"))

    with pytest.raises(ConflictError, match=r"\(deactivate\) is on its way"):
        lab.plan_withdrawal(sent.id, "wrong")
    assert plan(lab, dataset).state is PlanState.SENT
    pool.deliver()
    assert {one.outcome for one in lab.resume()} == {Outcome.PUBLISHED}
    assert record_of(lab, sent.id)["withdrawn"]["reason"] == "wrong"


def test_what_was_withdrawn_since_it_was_shown_as_sent_is_asked_again(
    lab: Publisher, pool: PoolLedger, dataset: Path
) -> None:
    (sent,) = publish(lab, dataset)
    pool.deliver()
    lab.resume()
    lab.send(lab.plan_withdrawal(sent.id, "wrong"))
    shown = plan(lab, dataset)
    pool.deliver()

    with pytest.raises(ConflictError, match="not any more what was shown"):
        lab.publish([shown])


def test_a_registration_on_its_way_is_not_doubled(lab: Publisher) -> None:
    lab.send(lab.plan_register("A lab"))

    with pytest.raises(ConflictError, match=r"\(register\) is on its way"):
        lab.plan_register("Another name")


def test_what_spends_the_change_of_a_lost_set_is_composed_anew_too(
    node: Path, key: PrivateKey, make_dataset: Make, tmp_path: Path
) -> None:
    pool = PoolLedger(coins=1)
    folders = [make_dataset(name) for name in ("a", "b")]
    with open_publisher(node, pool, key) as lab:
        first, second = publish(lab, *folders)
        pool.fund(1)
        pool.snatch(0)
        pool.deliver()

        lab.resume()
        assert {one.outcome for one in lab.resume()} == {Outcome.SENT}
        pool.deliver()
        lab.resume()

        assert lab.outbox.journal.list_open() == []
        assert queries.search(lab.index, "").total == 2
        assert record_of(lab, first.id)["id"] != record_of(lab, second.id)["id"]


class Grabber(PoolLedger):
    """Somebody else spends every coin before we can."""

    def send(self, transactions: Any) -> None:
        """Refuse."""
        msg = "the coin is spent otherwise"
        raise ConflictError(msg)


def test_coins_that_are_always_gone_are_an_error_and_the_journal_stays(
    node: Path, key: PrivateKey, dataset: Path
) -> None:
    with open_publisher(node, Grabber(100), key) as lab:
        with pytest.raises(ConflictError, match="again and again") as caught:
            publish(lab, dataset)

        assert "--resume" in caught.value.hint
        assert len(lab.outbox.journal.list_open()) == 1


def test_a_lock_that_is_held_is_not_taken_for_a_spent_coin(
    lab: Publisher, dataset: Path
) -> None:
    def held(_purpose: str) -> Any:
        msg = "the node is in use by another process"
        raise ConflictError(msg)

    with pytest.raises(ConflictError, match="in use by another process"):
        publish(with_outbox(lab, writing=held), dataset)

    (entry,) = lab.outbox.journal.list_open()
    first = entry.txid
    lab.resume()
    assert lab.outbox.journal.list_open()[0].txid == first


def test_without_coins_nothing_is_written_down(
    node: Path, key: PrivateKey, dataset: Path
) -> None:
    with open_publisher(node, PoolLedger(0), key) as lab:
        with pytest.raises(UnavailableError, match="no coins") as caught:
            publish(lab, dataset)

        assert "send some" in caught.value.hint
        assert lab.outbox.journal.list_open() == []


def test_coins_that_are_split_first_take_a_block(
    node: Path, key: PrivateKey, dataset: Path
) -> None:
    pool = PoolLedger(1, needs_fan_out=True)
    with open_publisher(node, pool, key) as lab:
        with pytest.raises(UnavailableError, match="a block must come first"):
            publish(lab, dataset)
        assert lab.outbox.journal.list_open() == []
        pool.deliver()

        (sent,) = publish(lab, dataset)

        assert sent.outcome is Outcome.SENT
        pool.deliver()
        assert lab.resume()[0].outcome is Outcome.PUBLISHED


@pytest.mark.parametrize("number", [1, 2, 3])
@pytest.mark.parametrize("is_applied", [False, True])
def test_a_reply_lost_between_two_parts_sends_nothing_twice(
    lab: Publisher,
    pool: PoolLedger,
    dataset: Path,
    tmp_path: Path,
    number: int,
    *,
    is_applied: bool,
) -> None:
    lost = UnavailableError("no answer")
    pool.effect = fail_nth("send", number, lost, is_applied=is_applied)
    with pytest.raises(UnavailableError):
        publish(lab, dataset)
    assert len(pool.pool) == number - (not is_applied)
    pool.restart()

    publish(lab, dataset)

    (entry,) = lab.outbox.journal.list_open()
    assert pool.pool == list(entry.transactions)
    pool.deliver()
    lab.resume()
    verify_one_record(lab, pool, tmp_path)


def test_waiting_ends_when_a_block_holds_everything(
    node: Path, pool: PoolLedger, key: PrivateKey, dataset: Path
) -> None:
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) == 3:
            pool.deliver()

    with open_publisher(node, pool, key, sleep=sleep) as lab:
        publish(lab, dataset)
        (settled,) = lab.wait()

        assert settled.outcome is Outcome.PUBLISHED
        assert len(slept) == 3
        assert lab.wait() == []


def test_a_dropped_message_is_sent_again_while_waiting(
    node: Path, pool: PoolLedger, key: PrivateKey, dataset: Path
) -> None:
    def sleep(_seconds: float) -> None:
        if pool.tip().height == 0:
            pool.drop()
        pool.deliver()

    with open_publisher(node, pool, key, sleep=sleep) as lab:
        publish(lab, dataset)

        assert lab.wait()[0].outcome is Outcome.PUBLISHED


def test_an_entry_is_kept_until_its_block_is_deep_enough(
    node: Path, pool: PoolLedger, key: PrivateKey, dataset: Path
) -> None:
    with open_publisher(node, pool, key, confirmations=3) as lab:
        publish(lab, dataset)
        pool.deliver()
        (first,) = lab.resume()
        kept = lab.outbox.journal.list_open()
        pool.deliver()
        lab.resume()
        assert lab.outbox.journal.list_open() == kept
        pool.deliver()
        lab.resume()

        assert (first.outcome, len(kept)) == (Outcome.PUBLISHED, 1)
        assert lab.outbox.journal.list_open() == []


def test_a_record_that_a_reorganisation_drops_is_sent_again(
    node: Path, pool: PoolLedger, key: PrivateKey, dataset: Path, tmp_path: Path
) -> None:
    with open_publisher(node, pool, key, confirmations=3) as lab:
        (sent,) = publish(lab, dataset)
        pool.deliver()
        lab.resume()
        pool.reorganise(1)
        assert plan(lab, dataset).state is PlanState.SENT
        transactions = lab.outbox.journal.list_open()[0].transactions

        (again,) = lab.resume()

        assert (again.id, again.outcome) == (sent.id, Outcome.SENT)
        assert pool.pool == list(transactions)
        for _ in range(3):
            pool.deliver()
        lab.resume()
        verify_one_record(lab, pool, tmp_path)


def test_with_one_confirmation_it_would_be_forgotten(
    lab: Publisher, pool: PoolLedger, dataset: Path
) -> None:
    publish(lab, dataset)
    pool.deliver()
    lab.resume()
    pool.reorganise(1)

    assert lab.resume() == []
    assert plan(lab, dataset).state is PlanState.NEW


def test_entries_of_another_address_are_finished_and_are_not_ours(
    node: Path, pool: PoolLedger, key: PrivateKey, dataset: Path
) -> None:
    with open_publisher(node, pool, key) as lab:
        publish(lab, dataset)
    other = PrivateKey.from_bytes(b"\x33" * 32)

    with open_publisher(node, pool, other) as second:
        assert plan(second, dataset).state is PlanState.NEW
        pool.deliver()
        (finished,) = second.resume()
        assert finished.outcome is Outcome.PUBLISHED
        assert second.outbox.journal.list_open() == []


def test_confirmations_are_counted_in_batches(
    lab: Publisher, pool: PoolLedger, dataset: Path
) -> None:
    (sent,) = publish(lab, dataset)
    pool.deliver()
    pool.deliver()
    lab.outbox.follow()
    others = [("publish", Digest(f"{number:064x}")) for number in range(1200)]
    asked = [*others, ("publish", sent.id), ("edit", sent.id)]

    found = count_confirmations(lab.index, pool.info.id, asked)

    assert found == {("publish", sent.id): 2}


def test_every_part_of_a_set_names_its_own_part_0(
    lab: Publisher, pool: PoolLedger, dataset: Path
) -> None:
    publish(lab, dataset)
    pool.snatch(0)
    pool.deliver()
    lab.resume()

    (entry,) = lab.outbox.journal.list_open()
    assert len(entry.transactions) > 2
    references = {parse_part(text_of(tx)).reference for tx in entry.transactions[1:]}
    assert references == {entry.txid}


def text_of(transaction: SignedTransaction) -> str:
    return transaction.raw[33:].decode()
