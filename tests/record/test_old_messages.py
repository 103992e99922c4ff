"""R3, R4: messages of OIP 0.42 without a content signature."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from etdb.record.message import LedgerKind
from etdb.record.oip042 import wrap, wrap_publish, wrap_value
from etdb.record.parts import parse_part
from etdb.record.rules import (
    LAST_OLD_HEIGHT,
    RecordClass,
)
from etdb.record.signing import (
    MAIN_P2PKH,
    old_preimage,
)
from etdb.testing.records import DIRECTORY, SIGNED_AT, Author, body_in

Hear = Callable[..., Any]
Without = Callable[[str], None]
OLD = "etdb.record.clause.verify_old_signature"


def with_body(text: str, **changes: Any) -> str:
    return wrap_publish(body_in(text) | changes)


def test_an_old_record_counts_on_flo_main_up_to_the_fence(
    author: Author, hear: Hear
) -> None:
    text = author.publish_old()

    inside = hear(text, LedgerKind.FLO_MAIN, height=LAST_OLD_HEIGHT)
    outside = hear(text, LedgerKind.FLO_MAIN, height=LAST_OLD_HEIGHT + 1)

    assert inside.record_class is RecordClass.C
    assert outside.record_class is RecordClass.UNATTESTED


@pytest.mark.parametrize("kind", [LedgerKind.FLO_TEST, LedgerKind.FLO_REGTEST])
def test_an_old_record_counts_on_test_networks_with_test_addresses(
    kind: LedgerKind, author: Author, hear: Hear
) -> None:
    main = Author(1, MAIN_P2PKH)

    assert hear(author.publish_old(), kind).record_class is RecordClass.C
    assert hear(main.publish_old(), kind).record_class is RecordClass.UNATTESTED


def test_an_old_record_never_counts_on_an_embedded_chain(
    author: Author, hear: Hear
) -> None:
    assert hear(author.publish_old()).record_class is RecordClass.UNATTESTED


def test_twin_without_the_fence_it_would_count_anywhere(
    author: Author, hear: Hear, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("etdb.record.verdict.is_inside_fence", lambda *_: True)

    assert hear(author.publish_old()).record_class is RecordClass.C


def test_an_old_record_in_parts_signed_by_its_publisher_is_class_b(
    author: Author, hear: Hear
) -> None:
    text = author.publish_old(author.artifact({"artNotes": "x" * 2000}))
    parts = author.parts(text)

    assert len(parts) > 1
    for kind in LedgerKind:
        said = hear(text, kind, height=LAST_OLD_HEIGHT + 1, parts=parts)
        assert said.record_class is RecordClass.B


def test_a_content_signed_record_in_parts_is_class_a(
    author: Author, stranger: Author, hear: Hear
) -> None:
    text = author.publish(author.artifact({"artNotes": "x" * 2000}))

    for sender in (author, stranger):
        assert hear(text, parts=sender.parts(text)).record_class is RecordClass.A


def test_parts_from_another_signer_do_not_make_class_b(
    author: Author, stranger: Author, hear: Hear
) -> None:
    text = author.publish_old(author.artifact({"artNotes": "x" * 2000}))
    mixed = [*author.parts(text)[:-1], stranger.parts(text)[-1]]

    for parts in (stranger.parts(text), mixed):
        assert hear(text, parts=parts).record_class is RecordClass.UNATTESTED


def test_a_reference_that_was_cut_short_does_not_make_class_b(
    author: Author, hear: Hear
) -> None:
    text = author.publish_old(author.artifact({"artNotes": "x" * 2000}))
    whole = author.part_texts(text)
    cut = author.part_texts(text, first_txid="cd" * 31)

    parts = [parse_part(part) for part in [whole[0], *cut[1:]]]

    assert hear(text, parts=parts).record_class is RecordClass.UNATTESTED


@pytest.mark.parametrize("check", ["verify_part", "join"])
def test_parts_that_do_not_carry_the_text_do_not_make_class_b(
    check: str, author: Author, hear: Hear, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = author.publish_old(author.artifact({"artNotes": "x" * 2000}))
    altered = said.replace("Synthetic", "Synthesis")
    forged = {
        "verify_part": [
            parse_part(part.replace("Synthetic", "Synthesis"))
            for part in author.part_texts(said)
        ],
        "join": author.parts(said),
    }[check]

    assert hear(altered, parts=forged).record_class is RecordClass.UNATTESTED
    assert hear(altered, parts=forged[:1]).record_class is RecordClass.UNATTESTED

    monkeypatch.setattr(f"etdb.record.clause.{check}", lambda _: altered)  # the twin
    assert hear(altered, parts=forged).record_class is RecordClass.B


def test_the_old_signature_may_stand_beside_the_body(
    author: Author, hear: Hear
) -> None:
    body = author.artifact()
    signature = author.key.sign_message(old_preimage("publish", body))
    text = wrap_value({"publish": {"artifact": body, "signature": signature}})

    said = hear(text, LedgerKind.FLO_REGTEST)

    assert said.record_class is RecordClass.C


@pytest.mark.parametrize(
    "changes",
    [
        {"signature": "x"},
        {"signature": None},
        {"floAddress": "oX"},
        {"floAddress": None},
        {"floAddress": Author(2).address},
        {"timestamp": SIGNED_AT + 1},
        {"storage": {"location": "Qm"}},
        {"storage": {"location": 1}},
        {"storage": None},
    ],
)
def test_an_old_record_whose_signature_does_not_hold_is_refused(
    changes: dict[str, Any], author: Author, hear: Hear, without: Without
) -> None:
    text = with_body(author.publish_old(), **changes)

    assert hear(text, LedgerKind.FLO_MAIN).code == "R3"


def test_twin_without_the_old_signature_anybody_could_have_written_it(
    author: Author, hear: Hear, without: Without
) -> None:
    text = with_body(author.publish_old(), signature="x")

    without(OLD)

    assert hear(text, LedgerKind.FLO_MAIN).record_class is RecordClass.C


@pytest.mark.parametrize("location", ["lab", "ab" * 32, "deactivate", "", None])
def test_an_old_record_of_no_directory_is_unattested(
    location: str | None, author: Author, hear: Hear
) -> None:
    storage = {} if location is None else {"location": location}
    text = author.publish_old(author.artifact(storage=storage))

    assert hear(text, LedgerKind.FLO_MAIN).record_class is RecordClass.UNATTESTED


def test_an_old_signature_does_not_cover_the_title_and_the_class_says_so(
    author: Author, hear: Hear
) -> None:
    text = with_body(author.publish_old(), info={"title": "Other"})

    assert hear(text).record_class is RecordClass.UNATTESTED


@pytest.mark.parametrize(
    ("timestamp", "seconds"),
    [(1, 1), (1_524_439_936, 1_524_439_936), (1_524_439_936_999, 1_524_439_936)],
)
def test_old_times_are_seconds_or_milliseconds(
    timestamp: int, seconds: int, author: Author, hear: Hear
) -> None:
    text = author.publish_old(author.artifact(timestamp=timestamp))

    assert hear(text).timestamp == seconds


@pytest.mark.parametrize("timestamp", [0, -1, 2**32, 10**11 - 1, 2**53 - 1])
def test_old_times_out_of_any_range_are_refused(
    timestamp: int, author: Author, hear: Hear
) -> None:
    text = author.publish_old(author.artifact(timestamp=timestamp))

    assert hear(text).code == "R3"


def old_register(author: Author, alias: object) -> str:
    body = {"alias": alias, "floAddress": author.address, "timestamp": SIGNED_AT}
    return wrap("register", "pub", author.sign_old("register", body))


def test_an_old_register_counts_within_the_fence(author: Author, hear: Hear) -> None:
    text = old_register(author, "lab")

    classes = [hear(text, kind).record_class for kind in LedgerKind]

    assert classes == ["C", "C", "C", "unattested"]


@pytest.mark.parametrize("alias", [DIRECTORY, "ab" * 32, "deactivate", ""])
def test_an_old_register_whose_signature_could_be_anothers_is_refused(
    alias: str, author: Author, hear: Hear, without: Without
) -> None:
    text = old_register(author, alias)

    assert hear(text, LedgerKind.FLO_MAIN).code == "R4"

    without("etdb.record.verdict.verify_alias")
    assert hear(text, LedgerKind.FLO_MAIN).record_class is RecordClass.C


def test_an_old_register_that_nobody_signed_is_refused(
    author: Author, hear: Hear
) -> None:
    text = wrap("register", "pub", {"alias": "lab", "floAddress": author.address})

    assert hear(text, LedgerKind.FLO_MAIN).code == "R3"


OLD_FORMS: list[tuple[str, str, dict[str, Any]]] = [
    ("edit", "artifact", {"txid": "ab" * 32, "patch": []}),
    ("edit", "artifact", {"artifactID": "ab" * 32, "patch": {"remove": ["/x"]}}),
    (
        "edit",
        "artifact",
        {"patch": [{"op": "replace", "path": "", "value": {"details": {}}}]},
    ),
    ("deactivate", "artifact", {"artifactID": "ab" * 32, "digest": "ab" * 32}),
    ("deactivate", "pub", {"address": "oX"}),
    ("transfer", "artifact", {"artifactID": "ab" * 32, "fromFloAddress": "oX"}),
    ("transfer", "artifact", {"contentSignature": "x"}),
]


@pytest.mark.parametrize(("action", "subject", "body"), OLD_FORMS)
def test_old_forms_are_shown_and_have_no_effect(
    action: str, subject: str, body: dict[str, Any], hear: Hear
) -> None:
    text = wrap(action, subject, body)

    said = hear(text, LedgerKind.FLO_MAIN)

    assert (said.action, said.record_class) == (action, RecordClass.SHOWN)
    assert (said.revision, said.target) == (None, None)
    assert said.body == body
    assert said.timestamp == 1_700_000_100


def test_a_shown_message_names_whom_and_when_it_names(hear: Hear) -> None:
    transfer = {"fromFloAddress": "oX", "timestamp": 1_524_439_936_000}
    nobody = {"floAddress": 1, "timestamp": "x"}

    said = hear(wrap("transfer", "artifact", transfer))
    silent = hear(wrap("transfer", "artifact", nobody))

    assert (said.address, said.timestamp) == ("oX", 1_524_439_936)
    assert silent.address is None
