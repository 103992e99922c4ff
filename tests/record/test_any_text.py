"""R1: nothing that a ledger says is ever an exception."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from etdb.identity import Txid
from etdb.record.message import LedgerKind, Place
from etdb.record.oip042 import encode_artifact
from etdb.record.rules import (
    Rejection,
    Statement,
    judge,
)
from etdb.testing.records import SIGNED_AT, Author

Hear = Callable[..., Any]


@given(st.text() | st.text().map(lambda text: f"json:{text}"))
def test_judging_never_raises_on_any_text(text: str) -> None:
    place = Place("l", 1, 1, Txid("ef" * 32), 1)

    for kind in LedgerKind:
        assert not isinstance(judge(text, place=place, ledger_kind=kind), Statement)


LEAVES = (
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.floats(-1e15, 1e15)
    | st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))
    | st.sampled_from([Author().address, Author(2).address, "ab" * 32, SIGNED_AT])
)
NAMES = st.sampled_from(
    [
        "floAddress",
        "timestamp",
        "details",
        "storage",
        "location",
        "signature",
        "contentSignature",
        "revision",
        "of",
        "number",
        "previous",
        "digest",
        "alias",
        "artifactID",
        "txid",
        "patch",
        "op",
        "path",
        "value",
        "heirs",
    ]
)
BODIES = st.dictionaries(
    NAMES,
    st.recursive(LEAVES, lambda inner: st.lists(inner) | st.dictionaries(NAMES, inner)),
)
ENVELOPES = st.sampled_from(
    [
        ("publish", "artifact"),
        ("edit", "artifact"),
        ("transfer", "artifact"),
        ("deactivate", "artifact"),
        ("deactivate", "pub"),
        ("register", "pub"),
    ]
)


@given(ENVELOPES, BODIES)
def test_judging_never_raises_on_any_body(
    envelope: tuple[str, str], body: dict[str, Any]
) -> None:
    action, subject = envelope
    text = "json:" + encode_artifact({"oip042": {action: {subject: body}}})
    place = Place("l", 1, 1, Txid("ef" * 32), 1)

    for kind in LedgerKind:
        said = judge(text, place=place, ledger_kind=kind)
        assert isinstance(said, Rejection) or said is None or said.text == text


def test_judging_twice_gives_the_same(author: Author, hear: Hear) -> None:
    text = author.publish()

    assert hear(text) == hear(text)
