"""The wire form: envelopes in every variant, bytes as go-etdb wrote them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from etdb.errors import InvalidMessageError, InvalidRecordError
from etdb.record import oip042
from etdb.record.canonical import parse_json
from etdb.record.oip042 import (
    arrange,
    encode_artifact,
    is_oip042,
    read_envelope,
    wrap,
    wrap_publish,
)


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (-60.0, "-60"),
        (1e-7, "1e-7"),
        (0, "0"),
        (0.0, "0"),
        (True, "true"),
        (None, "null"),
        ([], "[]"),
        ({}, "{}"),
        ((1, "a"), '[1,"a"]'),
        ({"b": 1, "a": [{}]}, '{"b":1,"a":[{}]}'),
        ("<a> & b", '"\\u003ca\\u003e \\u0026 b"'),
        ("\u2028\u2029", '"\\u2028\\u2029"'),
        ('"\\/', '"\\"\\\\/"'),
        ("\n\r\t\b\f\x1f\x7f", '"\\n\\r\\t\\u0008\\u000c\\u001f\x7f"'),
        ("µm Å é \U0001f52c", '"µm Å é \U0001f52c"'),
    ],
)
def test_values_are_written_as_go_wrote_them(value: Any, written: str) -> None:
    assert encode_artifact(value) == written
    assert parse_json(written) == (list(value) if isinstance(value, tuple) else value)


def test_zero_is_written_and_unknown_is_absent() -> None:
    artifact = {"details": {"tiltMin": 0.0, "defocus": None, "tiltMax": 60}}

    assert (
        encode_artifact(arrange(artifact)) == '{"details":{"tiltMin":0,"tiltMax":60}}'
    )


def test_keys_are_arranged_as_the_original_publisher_had_them() -> None:
    artifact = {
        "storage": {
            "files": [{"subtype": "tiltSeries", "x": 1, "fname": "a", "dname": None}],
            "location": "Qm",
            "network": "ipfs",
        },
        "details": {"sid": "s", "fileInfo": {"a": {"cid": None}}, "date": 1},
        "extra": 0,
        "info": {"description": "d", "title": "t"},
        "floAddress": "o",
    }

    assert encode_artifact(arrange(artifact)) == (
        '{"floAddress":"o","info":{"title":"t","description":"d"},'
        '"details":{"date":1,"sid":"s","fileInfo":{"a":{}}},'
        '"storage":{"network":"ipfs","location":"Qm",'
        '"files":[{"fname":"a","subtype":"tiltSeries","x":1}]},"extra":0}'
    )


def test_arranging_adds_nothing() -> None:
    assert arrange({}) == {}
    assert arrange({"storage": {}}) == {"storage": {}}


def test_a_publish_is_wrapped_and_read_back() -> None:
    text = wrap_publish({"info": {"title": "t"}})

    assert text == 'json:{"oip042":{"publish":{"artifact":{"info":{"title":"t"}}}}}'


@pytest.mark.parametrize("title", ["\0", "\ud800"])
def test_what_could_not_be_read_again_is_not_written(title: str) -> None:
    with pytest.raises(InvalidMessageError):
        wrap_publish({"info": {"title": title}})


def test_a_number_that_json_cannot_hold_is_not_written() -> None:
    with pytest.raises(InvalidRecordError):
        wrap("publish", "artifact", {"timestamp": 2**53})


@pytest.mark.parametrize(
    ("action", "subject"),
    [
        ("publish", "artifact"),
        ("edit", "artifact"),
        ("transfer", "artifact"),
        ("deactivate", "artifact"),
        ("deactivate", "pub"),
        ("register", "pub"),
    ],
)
def test_every_known_envelope_is_read(action: str, subject: str) -> None:
    envelope = read_envelope({"oip042": {action: {subject: {"a": 1}}}})

    assert (envelope.action, envelope.subject) == (action, subject)
    assert envelope.body == {"a": 1}
    assert envelope.signature_beside is None


def test_a_signature_beside_the_body_is_read() -> None:
    wrapped = {"artifact": {"signature": "inside"}, "signature": "beside"}

    envelope = read_envelope({"oip042": {"edit": wrapped}})

    assert envelope.signature_beside == "beside"
    assert envelope.body == {"signature": "inside"}


@pytest.mark.parametrize(
    "value",
    [
        {},
        {"oip042": {}},
        {"oip042": []},
        {"oip042": None},
        {"oip042": {"publish": {"artifact": {}}}, "more": 1},
        {"oip042": {"publish": {"artifact": {}}, "edit": {"artifact": {}}}},
        {"oip042": {"publish": {"artifact": {}, "pub": {}}}},
        {"oip042": {"publish": {"artifact": []}}},
        {"oip042": {"publish": {"artifact": "x"}}},
        {"oip042": {"publish": {}}},
        {"oip042": {"publish": {"signature": "alone"}}},
        {"oip042": {"publish": {"pub": {}}}},
        {"oip042": {"publish": {"artifact": {}, "signature": None}}},
        {"oip042": {"publish": {"artifact": {}, "signature": 1}}},
        {"oip042": {"register": {"artifact": {}}}},
        {"oip042": {"register": {"influencer": {}}}},
        {"oip042": {"Publish": {"artifact": {}}}},
        {"oip042": {"burn": {"artifact": {}}}},
    ],
)
def test_an_envelope_of_another_shape_is_refused(value: dict[str, Any]) -> None:
    with pytest.raises(InvalidMessageError) as caught:
        read_envelope(value)

    assert caught.value.facts["rule"] == "B2"


def test_messages_of_other_protocols_do_not_claim_to_be_ours() -> None:
    assert is_oip042({"oip042": 1})
    assert not is_oip042({"oip-041": {}})


MARKS = st.sampled_from('\b\f\n\r\t\0\x1f"\\<>&\u2028\u2029bfu')
JSON = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(2**53) + 1, 2**53 - 1),
        st.floats(allow_nan=False, allow_infinity=False),
        st.text(alphabet=st.one_of(st.characters(exclude_categories=["Cs"]), MARKS)),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(st.text(), inner, max_size=4)
    ),
    max_leaves=20,
)


@given(st.dictionaries(st.text(), JSON, max_size=4))
def test_the_quick_way_writes_what_the_slow_one_does(value: dict[str, Any]) -> None:
    assert oip042.encode_artifact(value) == oip042._encode_slowly(value)
