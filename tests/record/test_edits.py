"""B7, R4: edits of ours, and the historical forms."""

from __future__ import annotations

from typing import Any

import pytest

from etdb.errors import InvalidMessageError, InvalidRecordError
from etdb.identity import Txid
from etdb.record.canonical import parse_message_text
from etdb.record.edits import (
    decode_old_edit,
    named_txid,
    replacement_of,
    wrap_edit,
)
from etdb.record.oip042 import read_envelope
from etdb.record.signing import verify_message
from etdb.testing.records import SIGNED_AT, Author

TXID = Txid("ab" * 32)


def test_an_edit_of_ours_is_a_2019_edit_that_replaces_the_whole(author: Author) -> None:
    body = author.artifact()

    envelope = read_envelope(parse_message_text(wrap_edit(body, TXID, author.key)))

    operation = {"op": "replace", "path": "", "value": body}
    assert list(envelope.body) == ["txid", "timestamp", "patch"]
    assert envelope.body["patch"] == [operation]
    assert replacement_of(envelope.body) == body
    assert decode_old_edit(envelope.body).operations == (operation,)
    assert envelope.signature_beside is not None
    verify_message(author.address, envelope.signature_beside, f"{TXID}-{SIGNED_AT}")


def test_an_edit_without_a_time_is_not_written(author: Author) -> None:
    with pytest.raises(InvalidRecordError):
        wrap_edit({}, TXID, author.key)


REPLACE = {"op": "replace", "path": "", "value": {}}


@pytest.mark.parametrize(
    "patch",
    [
        None,
        "[]",
        '[{"op":"replace","path":"","value":{}}]',
        {},
        REPLACE,
        [],
        [REPLACE, REPLACE],
        [REPLACE | {"op": "add"}],
        [REPLACE | {"path": "/"}],
        [REPLACE | {"value": []}],
        [REPLACE | {"value": "{}"}],
        [REPLACE | {"from": ""}],
        [{"op": "replace", "path": ""}],
    ],
)
def test_any_other_patch_is_a_historical_one(patch: Any) -> None:
    assert replacement_of({"patch": patch}) is None


def test_a_2018_patch_is_decoded_in_the_order_it_was_applied() -> None:
    edit = {
        "artifactID": TXID,
        "patch": {
            "replace": [{"path": "/info/title", "value": "b"}],
            "add": {"path": "/x", "value": 1},
            "remove": ["/details/members"],
        },
    }

    decoded = decode_old_edit(edit)

    assert decoded.txid == TXID
    assert decoded.operations == (
        {"op": "remove", "path": "/details/members"},
        {"op": "add", "path": "/x", "value": 1},
        {"op": "replace", "path": "/info/title", "value": "b"},
    )


def test_a_2019_patch_may_be_text() -> None:
    edit = {"txid": TXID, "patch": '[{"op":"remove","path":"/x"}]'}

    assert decode_old_edit(edit).operations == ({"op": "remove", "path": "/x"},)


@pytest.mark.parametrize(
    "edit",
    [
        {},
        {"txid": 1, "patch": []},
        {"txid": TXID},
        {"txid": TXID, "patch": 1},
        {"txid": TXID, "patch": "{"},
        {"txid": TXID, "patch": "1"},
        {"txid": TXID, "patch": [1]},
        {"txid": TXID, "patch": {"remove": [1]}},
    ],
)
def test_what_cannot_be_decoded_is_refused(edit: dict[str, Any]) -> None:
    with pytest.raises(InvalidMessageError):
        decode_old_edit(edit)


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({"txid": TXID}, TXID),
        ({"artifactID": TXID.upper()}, TXID),
        ({"txid": TXID[:10]}, None),
        ({"txid": TXID + "\n"}, None),
        ({"artifactID": 1}, None),
        ({}, None),
    ],
)
def test_a_historical_message_names_a_transaction_or_nothing(
    body: dict[str, Any], named: Txid | None
) -> None:
    assert named_txid(body) == named
