"""What a text proves, check by check."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from etdb.record.oip042 import wrap, wrap_publish
from etdb.record.rules import check_body
from etdb.testing.records import Author, body_in

ALL = ["text", "fields", "content signature", "OIP 0.42 signature"]


def held(body: dict[str, object], text: str) -> dict[str, bool]:
    return {check.name: check.holds for check in check_body(body, text)}


def test_of_a_record_of_ours_everything_holds(author: Author) -> None:
    root = author.publish()

    for text in (root, author.edit(root, 2), author.register("lab")):
        checks = check_body(body_in(text), text)

        assert [check.name for check in checks] == ALL
        assert all(check.holds for check in checks)
        assert author.address in checks[2].says
        assert author.address in checks[3].says


def test_of_an_old_record_the_metadata_are_not_signed(author: Author) -> None:
    text = author.publish_old()

    checks = check_body(body_in(text), text)

    assert [check.holds for check in checks] == [True, True, False, True]
    assert "does not cover the metadata" in checks[2].says


def test_a_body_that_is_not_the_texts_is_noticed(author: Author) -> None:
    text = author.publish()
    shown = body_in(text) | {"timestamp": True}

    assert held(shown, text) == dict.fromkeys(ALL, True) | {"fields": False}


def test_numbers_that_mean_the_same_are_the_same(author: Author) -> None:
    text = author.publish()
    shown = body_in(text)
    shown["timestamp"] = float(shown["timestamp"])

    assert held(shown, text)["fields"]


def test_a_body_that_json_cannot_hold_is_not_the_texts(author: Author) -> None:
    text = author.publish()

    assert not held(body_in(text) | {"x": 2**53}, text)["fields"]


def test_an_altered_title_breaks_the_content_signature_alone(author: Author) -> None:
    body = body_in(author.publish()) | {"info": {"title": "Other"}}

    expected = dict.fromkeys(ALL, True) | {"content signature": False}
    assert held(body, wrap_publish(body)) == expected


def test_without_an_address_no_signature_holds(author: Author) -> None:
    body = body_in(author.publish())
    del body["floAddress"]

    assert list(held(body, wrap_publish(body)).values()) == [True, True, False, False]


def test_an_old_edit_is_reported_as_it_is() -> None:
    text = wrap("edit", "artifact", {"txid": "ab" * 32, "patch": []})

    assert list(held(body_in(text), text).values()) == [True, True, False, False]


@pytest.mark.parametrize("text", ["", "json:{", "json:{}", "oip-mp(0,1,F,,S):"])
def test_a_text_that_cannot_be_read_is_one_failed_check(text: str) -> None:
    checks = check_body({}, text)

    assert [(check.name, check.holds) for check in checks] == [("text", False)]


@given(st.text() | st.text().map(lambda text: f'json:{{"oip042":{text}}}'))
def test_reporting_never_raises_on_any_text(text: str) -> None:
    assert check_body({}, text)
