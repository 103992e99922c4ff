"""B3-B6: the two signatures of a body."""

from __future__ import annotations

from typing import Any

import pytest

from etdb.errors import (
    InvalidRecordError,
    InvalidSignatureError,
    NotAllowedError,
)
from etdb.identity import Address
from etdb.record.canonical import digest_of
from etdb.record.signing import (
    old_preimage,
    sign_body,
    timestamp_of,
    verify_alias,
    verify_content_signature,
    verify_old_signature,
)
from etdb.testing.records import SIGNED_AT, Author


def test_an_old_signature_is_text(author: Author) -> None:
    with pytest.raises(InvalidSignatureError) as caught:
        verify_old_signature(author.address, None, "a-b-1")

    assert caught.value.facts["rule"] == "B6"


@pytest.mark.parametrize(
    ("action", "body", "preimage"),
    [
        ("publish", {"storage": {"location": "Qm"}}, "Qm-oX-12"),
        ("edit", {"storage": {"location": "Qm"}}, "Qm-oX-12"),
        ("publish", {}, "-oX-12"),
        ("publish", {"storage": {}}, "-oX-12"),
        ("publish", {"storage": "x"}, "-oX-12"),
        ("register", {"alias": "lab"}, "lab-oX-12"),
        ("deactivate", {"artifactID": "ab"}, "ab-oX-12"),
    ],
)
def test_old_signatures_cover_subject_address_and_time(
    action: str, body: dict[str, Any], preimage: str
) -> None:
    given = {"floAddress": "oX", "timestamp": 12, **body}

    assert old_preimage(action, given) == preimage


@pytest.mark.parametrize(
    "body",
    [
        {"timestamp": 12},
        {"floAddress": 1, "timestamp": 12},
        {"floAddress": "oX"},
        {"floAddress": "oX", "timestamp": "12"},
        {"floAddress": "oX", "timestamp": 12.0},
        {"floAddress": "oX", "timestamp": True},
        {"floAddress": "oX", "timestamp": 12, "storage": {"location": 1}},
        {"floAddress": "oX", "timestamp": 12, "storage": {"location": None}},
    ],
)
def test_a_body_of_other_types_has_no_old_preimage(body: dict[str, Any]) -> None:
    with pytest.raises(InvalidRecordError):
        old_preimage("publish", body)


@pytest.mark.parametrize("timestamp", [1_600_000_000, 2**32 - 1])
def test_times_within_range_are_taken(timestamp: int) -> None:
    assert timestamp_of({"timestamp": timestamp}) == timestamp


@pytest.mark.parametrize(
    "timestamp",
    [None, "1700000000", 1.7e9, True, 0, -1, 1_599_999_999, 2**32, 1_700_000_000_000],
)
def test_other_times_are_refused(timestamp: object) -> None:
    with pytest.raises(InvalidRecordError) as caught:
        timestamp_of({"timestamp": timestamp})

    assert caught.value.facts["rule"] == "B5"


@pytest.mark.parametrize("action", ["publish", "edit"])
def test_an_artifact_gets_both_signatures_and_keeps_what_it_says(
    action: str, author: Author
) -> None:
    body = author.artifact()

    signed = sign_body(action, body, author.key)

    digest = digest_of(action, signed)
    content = signed["details"]["contentSignature"]
    assert digest == digest_of(action, body)
    assert "signature" not in body
    assert "contentSignature" not in body["details"]
    assert list(signed)[-1] == "signature"
    verify_content_signature(author.address, content, action, digest)
    verify_old_signature(
        author.address, signed["signature"], old_preimage(action, signed)
    )


def test_signing_again_replaces_both_signatures(author: Author) -> None:
    once = sign_body("publish", author.artifact(), author.key)

    assert sign_body("publish", once, author.key) == once


def test_an_artifact_without_details_gets_some(author: Author) -> None:
    body = {"floAddress": author.address, "timestamp": SIGNED_AT}

    signed = sign_body("publish", body, author.key)

    content = signed["details"]["contentSignature"]
    digest = digest_of("publish", signed)
    verify_content_signature(author.address, content, "publish", digest)


@pytest.mark.parametrize("action", ["register", "deactivate"])
def test_other_bodies_are_signed_at_their_top(action: str, author: Author) -> None:
    body = {
        "alias": "lab",
        "artifactID": "ab" * 32,
        "floAddress": author.address,
        "timestamp": SIGNED_AT,
    }

    signed = sign_body(action, body, author.key)

    content = signed["contentSignature"]
    digest = digest_of(action, signed)
    verify_content_signature(author.address, content, action, digest)
    verify_old_signature(
        author.address, signed["signature"], old_preimage(action, signed)
    )


def test_a_body_of_another_address_is_not_signed(
    author: Author, stranger: Author
) -> None:
    with pytest.raises(NotAllowedError):
        sign_body("publish", author.artifact(), stranger.key)


@pytest.mark.parametrize(
    "changes",
    [{"timestamp": 1}, {"storage": {"location": 5}}, {"details": "text"}],
)
def test_a_body_that_nobody_could_read_is_not_signed(
    changes: dict[str, Any], author: Author
) -> None:
    body = author.artifact() | changes

    with pytest.raises(InvalidRecordError):
        sign_body("publish", body, author.key)


@pytest.mark.parametrize(
    "alias",
    [
        None,
        1,
        "",
        "deactivate",
        "ab" * 32,
        "AB" * 32,
        "QmfJxwEBCbfe5SRQpP1T1jaJrCLMuBSwP8FgpeV54rsPLx",
        "bafybeiczsscdsbs7ffqz55asqdf3smv6klcw3gofszvwlyarci47bgf354",
    ],
)
def test_an_alias_that_could_pass_as_something_else_is_not_signed(
    alias: object, author: Author
) -> None:
    body = {"alias": alias, "floAddress": author.address, "timestamp": SIGNED_AT}

    with pytest.raises(InvalidRecordError) as caught:
        sign_body("register", body, author.key)

    assert caught.value.facts["rule"] == "R4"


def test_twin_such_an_alias_would_make_the_signature_of_a_publish(
    author: Author,
) -> None:
    location = "QmfJxwEBCbfe5SRQpP1T1jaJrCLMuBSwP8FgpeV54rsPLx"
    common = {"floAddress": author.address, "timestamp": SIGNED_AT}

    register = old_preimage("register", common | {"alias": location})

    publish = old_preimage("publish", common | {"storage": {"location": location}})
    assert register == publish


@pytest.mark.parametrize("alias", ["Jensen Lab", "a", "Lab-1", "deactivated", "Bäcker"])
def test_other_aliases_are_taken(alias: str) -> None:
    verify_alias(alias)


def test_addresses_are_compared_as_written(author: Author) -> None:
    assert author.key.owns(author.address)
    assert not author.key.owns(Address(author.address + " "))
