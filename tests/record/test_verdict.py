"""R1, B2-B8: what one message of ours says."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from etdb.record.message import LedgerKind
from etdb.record.oip042 import wrap
from etdb.record.rules import (
    LAST_OLD_HEIGHT,
    RecordClass,
    Rejection,
    Revision,
    Statement,
)
from etdb.testing.records import DIRECTORY, SIGNED_AT, Author, body_in, digest_in

Hear = Callable[..., Any]


def test_a_content_signed_publish_counts_on_any_ledger(
    author: Author, hear: Hear
) -> None:
    text = author.publish()

    for kind in LedgerKind:
        said = hear(text, kind, height=LAST_OLD_HEIGHT + 1)

        assert said == Statement(
            action="publish",
            digest=digest_in(text),
            record_class=RecordClass.A,
            address=author.address,
            timestamp=SIGNED_AT,
            body=body_in(text),
            sid="syn-1",
            location=DIRECTORY,
            text=text,
        )


def test_sid_and_location_are_text_or_unknown(author: Author, hear: Hear) -> None:
    odd = author.artifact({"sid": 7})
    del odd["storage"]["location"]
    bare = {"floAddress": author.address, "timestamp": SIGNED_AT}

    for body in (odd, bare):
        said = hear(author.publish(body))

        assert (said.sid, said.location) == (None, None)


def test_an_edit_carries_the_new_record_and_its_revision(
    author: Author, hear: Hear
) -> None:
    root = author.publish()
    text = author.edit(root, 2, strain="O1")

    said = hear(text)

    revision = Revision(of=digest_in(root), number=2, previous=digest_in(root))
    assert (said.action, said.record_class) == ("edit", RecordClass.A)
    assert said.revision == revision
    assert said.body["details"]["strain"] == "O1"
    assert said.digest == digest_in(text) != digest_in(root)


def test_a_deactivate_names_the_record_it_withdraws(author: Author, hear: Hear) -> None:
    root = author.publish()

    said = hear(author.deactivate(root, reason="mislabelled"))

    assert (said.action, said.target) == ("deactivate", digest_in(root))
    assert said.body["reason"] == "mislabelled"


def test_the_old_signature_of_a_deactivate_is_not_looked_at(
    author: Author, hear: Hear
) -> None:
    body = body_in(author.deactivate(author.publish()))
    del body["signature"]

    assert hear(wrap("deactivate", "artifact", body)).target is not None


def test_a_register_says_what_an_address_calls_itself(
    author: Author, hear: Hear
) -> None:
    said = hear(author.register("Synthetic lab"))

    assert (said.action, said.record_class) == ("register", RecordClass.A)
    assert said.body["alias"] == "Synthetic lab"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "text:hello",
        "p64:AA==",
        "etdb-chain:1:F:0::s",
        "oip-mp(0,1,F,,S):json:{}",
        'json:{"oip-041":{}}',
        "json:{}",
    ],
)
def test_what_is_not_addressed_to_us_is_passed_over(text: str, hear: Hear) -> None:
    assert hear(text) is None


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("json:", "B1"),
        ("json:{", "B1"),
        ('json:{"a":1,"a":1}', "B1"),
        ('json:{"oip042":1e999}', "B1"),
        ('json:{"oip042":{}} ', "B1"),
        ("json:[]", "B2"),
        ('json:{"oip042":{}}', "B2"),
        ('json:{"oip042":{"publish":{"artifact":{}}},"x":1}', "B2"),
        ('json:{"oip042":{"publish":{"artifact":{}}}}', "R3"),
        ('json:{"oip042":{"register":{"pub":{}}}}', "R4"),
        ("json:" + " " * (1 << 20) + "{}", "R7"),
    ],
)
def test_a_refusal_names_its_clause(text: str, code: str, hear: Hear) -> None:
    rejection = hear(text)

    assert isinstance(rejection, Rejection)
    assert rejection.code == code
    assert rejection.reason


def test_the_old_strict_class_is_found_for_bytes_that_are_not_utf8(
    hear: Hear, author: Author
) -> None:
    raw = author.publish().encode().replace(b"Synthetic", b"Synth\xe9tic")

    assert hear(raw.decode("utf-8", "surrogateescape")).code == "B1"
