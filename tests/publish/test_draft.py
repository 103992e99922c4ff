"""Drafts: what they cost, and the text that they become."""

from __future__ import annotations

from typing import Any

import pytest

from etdb.errors import InvalidRecordError, NotAllowedError, UnavailableError
from etdb.identity import Txid
from etdb.publish.compose import cost_of
from etdb.publish.draft import Draft, draft_artifact, estimate_cost, sign
from etdb.record.canonical import parse_message_text
from etdb.record.message import LedgerKind, Place
from etdb.record.oip042 import arrange, read_envelope
from etdb.record.rules import RecordClass, Statement, judge
from etdb.record.signing import PrivateKey
from etdb.testing.records import SIGNED_AT, Author, body_in

NOW = 1_700_000_000.7
AUTHOR = Author()
PLACE = Place("memory", 1, 1, Txid("00" * 32), 0)


def artifact(notes: str = "") -> dict[str, Any]:
    made = AUTHOR.artifact({"artNotes": notes})
    del made["timestamp"]
    return made


def edit() -> Draft:
    revision = {"of": "ab" * 32, "number": 2, "previous": "ab" * 32}
    body = {**AUTHOR.artifact({"artNotes": "edited"}), "timestamp": 0}
    body["details"]["revision"] = revision
    return Draft(action="edit", body=body, record_id="ab" * 32, first_txid="cd" * 32)


def withdrawal() -> Draft:
    body = {
        "artifactID": "cd" * 32,
        "floAddress": AUTHOR.address,
        "digest": "ab" * 32,
        "timestamp": 0,
        "reason": "wrong",
    }
    return Draft(action="deactivate", body=body, record_id="ab" * 32)


def registration() -> Draft:
    body = {"alias": "A lab", "floAddress": AUTHOR.address, "timestamp": 0}
    return Draft(action="register", body=body)


DRAFTS = {
    "publish": draft_artifact(artifact(), AUTHOR.address),
    "publish in parts": draft_artifact(artifact("µ" * 1000), AUTHOR.address),
    "edit": edit(),
    "deactivate": withdrawal(),
    "register": registration(),
}


@pytest.mark.parametrize("draft", DRAFTS.values(), ids=DRAFTS)
def test_the_rules_accept_what_a_draft_becomes_at_its_estimated_cost(
    draft: Draft,
) -> None:
    signed = sign(draft, NOW, AUTHOR.key)

    statement = judge(
        signed.text, place=PLACE, ledger_kind=LedgerKind.FLO_MAIN, parts=()
    )

    assert isinstance(statement, Statement)
    assert statement.record_class is RecordClass.A
    assert (statement.action, statement.digest) == (draft.action, signed.digest)
    assert statement.timestamp == signed.timestamp == SIGNED_AT
    cost = cost_of(signed.text, AUTHOR.address, lambda size: size)
    assert estimate_cost(draft, NOW, lambda size: size) == cost


@pytest.mark.parametrize("draft", DRAFTS.values(), ids=DRAFTS)
def test_a_key_of_another_address_signs_nothing(draft: Draft) -> None:
    with pytest.raises(NotAllowedError, match="not an address of this key"):
        sign(draft, NOW, PrivateKey.from_bytes(b"\x33" * 32))


def test_an_artifact_is_written_in_the_order_of_the_wire() -> None:
    body = body_in(sign(DRAFTS["publish"], NOW, AUTHOR.key).text)

    assert body == arrange(body)
    assert list(body) == list(arrange(body))
    assert list(body["details"])[-1] == "contentSignature"


def test_a_withdrawal_has_the_order_of_the_protocol() -> None:
    body = body_in(sign(withdrawal(), NOW, AUTHOR.key).text)

    assert list(body)[:5] == [
        "artifactID",
        "floAddress",
        "digest",
        "timestamp",
        "reason",
    ]


def test_an_edit_names_record_and_time_for_old_readers() -> None:
    text = sign(edit(), NOW, AUTHOR.key).text

    outer = read_envelope(parse_message_text(text)).body

    assert (outer["txid"], outer["timestamp"]) == ("cd" * 32, SIGNED_AT)


def test_what_must_be_later_is_later_whatever_the_clock_says() -> None:
    draft = Draft(
        action="register", body=registration().body, after_timestamp=SIGNED_AT + 5
    )

    assert sign(draft, NOW, AUTHOR.key).timestamp == SIGNED_AT + 6


@pytest.mark.parametrize("now", [0.0, 1_500_000_000.0, 2.0**32])
def test_a_clock_far_off_signs_nothing(now: float) -> None:
    with pytest.raises(UnavailableError, match="nothing can be signed") as caught:
        sign(DRAFTS["publish"], now, AUTHOR.key)

    assert "clock" in caught.value.hint


def test_a_short_message_takes_one_transaction() -> None:
    cost = estimate_cost(DRAFTS["publish"], NOW, lambda size: size)

    assert cost.parts == 1
    assert 200 < cost.fee_sat <= 1040


def test_a_long_message_pays_for_the_headers_of_its_parts_too() -> None:
    cost = estimate_cost(DRAFTS["publish in parts"], NOW, lambda size: size)

    assert cost.parts == 4
    assert cost.fee_sat > 2000 + 2 * 88 + 4 * (88 + 34)


def test_a_message_of_over_900_parts_is_refused() -> None:
    draft = draft_artifact(artifact("x" * 800_000), AUTHOR.address)

    with pytest.raises(InvalidRecordError, match="too long"):
        estimate_cost(draft, NOW, lambda size: size)


@pytest.mark.parametrize(
    "made", [{}, {"details": 1}, {"details": {"sid": ""}}, {"details": {"sid": "a"}}]
)
def test_an_artifact_without_id_or_storage_is_refused(made: dict[str, Any]) -> None:
    with pytest.raises(InvalidRecordError, match=r"details\.sid"):
        draft_artifact(made, AUTHOR.address)
