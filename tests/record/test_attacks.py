"""B2-B8, R5: what nobody can make a signature say.

Every attack that a check is there for has a twin: the same text with that one
check taken out, which then is believed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from etdb.identity import Txid, encode_address
from etdb.record.canonical import canonical_bytes, digest_of
from etdb.record.message import LedgerKind, Place
from etdb.record.oip042 import wrap, wrap_publish, wrap_value
from etdb.record.rules import (
    RecordClass,
    Rejection,
    Statement,
    judge,
)
from etdb.record.signing import (
    content_text,
    hash160,
    sign_body,
)
from etdb.testing.records import SIGNED_AT, Author, body_in, digest_in

Hear = Callable[..., Any]
Without = Callable[[str], None]
CONTENT = "etdb.record.verdict.verify_content_signature"
OLD = "etdb.record.verdict.verify_old_signature"
TIME = "etdb.record.verdict.timestamp_of"
REFUSE = "etdb.record.verdict.refuse"


def with_body(text: str, **changes: Any) -> str:
    return wrap_publish(body_in(text) | changes)


def with_details(text: str, **changes: Any) -> str:
    body = body_in(text)
    return wrap_publish(body | {"details": body["details"] | changes})


def sign_content_as(action: str, author: Author) -> str:
    body = author.artifact()
    content = author.key.sign_message(content_text(action, digest_of("publish", body)))
    body["details"]["contentSignature"] = content
    return wrap_publish(author.sign_old("publish", body))


def changed_title(author: Author) -> str:
    return with_body(author.publish(), info={"title": "Other"})


def changed_detail(author: Author) -> str:
    return with_details(author.publish(), strain="O1")


def signed_as_edit(author: Author) -> str:
    return sign_content_as("edit", author)


def signed_by_stranger(author: Author) -> str:
    theirs = Author(2).publish()
    content = body_in(theirs)["details"]["contentSignature"]
    return with_details(author.publish(), contentSignature=content)


def null_content_signature(author: Author) -> str:
    return with_details(author.publish(), contentSignature=None)


def empty_content_signature(author: Author) -> str:
    return with_details(author.publish(), contentSignature="")


def old_signature_gone(author: Author) -> str:
    body = body_in(author.publish())
    del body["signature"]
    return wrap_publish(body)


def old_signature_of_another_time(author: Author) -> str:
    other = author.sign_old("publish", author.artifact(timestamp=SIGNED_AT + 1))
    return with_body(author.publish(), signature=other["signature"])


def other_address_version(author: Author) -> str:
    address = encode_address(0, hash160(author.key.public_key))
    body = author.artifact(floAddress=address)
    content = author.key.sign_message(
        content_text("publish", digest_of("publish", body))
    )
    body["details"]["contentSignature"] = content
    return wrap_publish(author.sign_old("publish", body))


def register_as_deactivate(author: Author) -> str:
    body = body_in(author.register("lab")) | {"digest": "ab" * 32}
    return wrap("deactivate", "artifact", body)


@pytest.mark.parametrize(
    ("attack", "code", "checks"),
    [
        (changed_title, "B4", [CONTENT]),
        (changed_detail, "B4", [CONTENT]),
        (signed_as_edit, "B4", [CONTENT]),
        (signed_by_stranger, "B4", [CONTENT]),
        (null_content_signature, "B5", [CONTENT]),
        (empty_content_signature, "B5", [CONTENT]),
        (other_address_version, "B5", [CONTENT, OLD]),
        (old_signature_gone, "B6", [OLD]),
        (old_signature_of_another_time, "B6", [OLD]),
        (register_as_deactivate, "B4", [CONTENT]),
    ],
)
def test_an_attack_is_rejected_and_its_twin_without_the_check_is_believed(
    attack: Callable[[Author], str],
    code: str,
    checks: list[str],
    author: Author,
    hear: Hear,
    without: Without,
) -> None:
    text = attack(author)

    for kind in LedgerKind:  # never a downgrade to an old class, on no ledger
        rejection = hear(text, kind)
        assert isinstance(rejection, Rejection)
        assert rejection.code == code

    for check in checks:
        without(check)
    assert hear(text).record_class is RecordClass.A


def test_the_time_of_a_content_signed_body_is_within_range(
    author: Author, hear: Hear, without: Without
) -> None:
    early = author.artifact(timestamp=1_599_999_999)
    content = content_text("publish", digest_of("publish", early))
    early["details"]["contentSignature"] = author.key.sign_message(content)
    text = wrap_publish(author.sign_old("publish", early))

    assert hear(text).code == "B5"

    without(TIME)
    assert hear(text).record_class is RecordClass.A


def test_a_time_spelt_as_a_real_number_is_no_integer_literal(
    author: Author, hear: Hear
) -> None:
    text = author.publish().replace(f":{SIGNED_AT},", f":{SIGNED_AT}.0,")

    assert hear(text).code == "B5"


def test_a_signature_beside_a_content_signed_publish_is_refused(
    author: Author, hear: Hear, without: Without
) -> None:
    wrapped = {"artifact": body_in(author.publish()), "signature": "x"}
    text = wrap_value({"publish": wrapped})

    assert hear(text).code == "B2"

    without(REFUSE)
    assert hear(text).record_class is RecordClass.A


def test_a_stripped_content_signature_leaves_an_old_record_with_the_same_id(
    author: Author, hear: Hear
) -> None:
    text = author.publish()
    body = body_in(text)
    del body["details"]["contentSignature"]

    stripped = hear(wrap_publish(body))

    assert stripped.record_class is RecordClass.UNATTESTED
    assert stripped.digest == digest_in(text)


def test_a_publish_with_a_revision_is_refused_signed_or_not(
    author: Author, hear: Hear, without: Without
) -> None:
    body = author.artifact()
    body["details"]["revision"] = None
    texts = [author.publish(body), author.publish_old(body)]

    assert [hear(text).code for text in texts] == ["R5", "R5"]

    without(REFUSE)
    assert [hear(text).action for text in texts] == ["publish", "publish"]


def test_an_edit_stripped_to_a_publish_is_refused(author: Author, hear: Hear) -> None:
    body = body_in(author.edit(author.publish(), 2))
    del body["details"]["contentSignature"]

    assert hear(wrap_publish(body), LedgerKind.FLO_REGTEST).code == "R5"


REVISION = {"of": "ab" * 32, "number": 2, "previous": "cd" * 32}


@pytest.mark.parametrize(
    "revision",
    [
        None,
        [],
        {},
        REVISION | {"of": None},
        REVISION | {"of": "AB" * 32},
        REVISION | {"previous": "cd"},
        REVISION | {"number": 1},
        REVISION | {"number": 0},
        REVISION | {"number": -2},
        REVISION | {"number": 2.5},
        REVISION | {"number": "2"},
        REVISION | {"number": True},
        REVISION | {"number": None},
    ],
)
def test_an_edit_with_another_revision_is_refused(
    revision: object, author: Author, hear: Hear
) -> None:
    artifact = author.artifact()
    artifact["details"]["revision"] = revision
    body = sign_body("edit", artifact, author.key)
    patch = [{"op": "replace", "path": "", "value": body}]

    assert hear(wrap_value({"edit": {"artifact": {"patch": patch}}})).code == "R5"


def test_an_edit_without_a_revision_is_refused(author: Author, hear: Hear) -> None:
    body = sign_body("edit", author.artifact(), author.key)
    patch = [{"op": "replace", "path": "", "value": body}]

    assert hear(wrap_value({"edit": {"artifact": {"patch": patch}}})).code == "R5"


def test_a_revision_is_the_number_that_its_literal_means(
    author: Author, hear: Hear
) -> None:
    text = author.edit(author.publish(), 2).replace('"number":2,', '"number":2.0,')

    assert '"number":2.0,' in text
    assert hear(text).revision.number == 2


@pytest.mark.parametrize("digest", [None, 1, "", "AB" * 32, "ab" * 31])
def test_a_deactivate_of_no_digest_is_refused(
    digest: object, author: Author, hear: Hear
) -> None:
    assert hear(author.deactivate(author.publish(), digest=digest)).code == "B8"


@given(st.data())
def test_a_flipped_byte_changes_nothing_or_is_not_believed(draw: st.DataObject) -> None:
    raw = bytearray(Author().publish().encode())
    at = draw.draw(st.integers(0, len(raw) - 1))
    before = canonical_bytes(body_in(raw.decode()))

    raw[at] ^= draw.draw(st.integers(1, 255))

    said = judge(
        raw.decode("utf-8", "surrogateescape"),
        place=Place("l", 1, 1, Txid("ef" * 32), 1),
        ledger_kind=LedgerKind.EMBEDDED,
    )
    if isinstance(said, Statement) and said.record_class is not RecordClass.UNATTESTED:
        assert canonical_bytes(said.body) == before


def test_no_flipped_bit_of_a_signed_record_is_believed(
    author: Author, hear: Hear
) -> None:
    raw = author.publish().encode()
    stripped = set()

    for at in range(len(raw)):
        flipped = bytearray(raw)
        flipped[at] ^= 1

        said = hear(flipped.decode("utf-8", "surrogateescape"))

        if isinstance(said, Statement):
            assert said.record_class is RecordClass.UNATTESTED
            stripped.add(at)

    # Without its name the content signature is none, and what is left is an old
    # record of another digest, whose signature never covered what it says.
    names = [raw.index(b"details"), raw.index(b"contentSignature")]
    lengths = [len(b"details"), len(b"contentSignature")]
    assert stripped <= {
        at
        for start, length in zip(names, lengths, strict=True)
        for at in range(start, start + length)
    }
