"""Whatever stands on a ledger is read, rejected with a code, or ignored.

Bytes as floData, the whole way: judged, explained, applied to an index,
searched and shown again.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from etdb.errors import InvalidDataError
from etdb.identity import Txid
from etdb.index import queries
from etdb.index.db import Index
from etdb.index.follow import follow
from etdb.record.canonical import canonical_bytes
from etdb.record.explain import explain, explain_parts
from etdb.record.message import LedgerKind, Place
from etdb.record.parts import join, parse_part, plan_chunks, verify_part
from etdb.record.rules import RecordClass, Rejection, Statement, judge
from etdb.testing.ledger import MemoryLedger
from etdb.testing.records import Author

CODES = {"B1", "B2", "B4", "B5", "B6", "B8", "R3", "R4", "R5", "R7"}
PLACE = Place("l", 1, 1, Txid("ef" * 32), 1_700_000_000)
Mutants = Callable[[Sequence[bytes], int], Iterator[bytes]]


def judge_everywhere(text: str) -> list[Statement | Rejection | None]:
    return [judge(text, place=PLACE, ledger_kind=kind) for kind in LedgerKind]


def verify_bounds(data: bytes) -> None:
    """What holds of any bytes whatever."""
    text = data.decode("utf-8", "surrogateescape")
    for said in judge_everywhere(text):
        if isinstance(said, Rejection):
            assert said.code in CODES
            assert len(said.reason) < 2 * len(text) + 500
        elif said is not None:
            assert said.text == text
            assert len(said.digest) == 64
            canonical_bytes(said.body)
    said_to_people = explain(text)
    json.dumps(said_to_people.facts)
    explain_parts([(text, None)])
    try:
        part = parse_part(text)
        verify_part(part)
        join([part])
    except InvalidDataError as exc:
        assert exc.facts["rule"] in {"B1", "R7"}


def test_no_mutant_of_a_message_raises_or_has_no_code(
    messages: list[bytes], mutants: Mutants
) -> None:
    for data in mutants(messages, 3000):
        verify_bounds(data)


def test_no_mutant_of_a_signed_message_is_believed_to_say_something_else(
    messages: list[bytes], mutants: Mutants
) -> None:
    known = {
        (said.action, said.digest)
        for data in messages
        for said in judge_everywhere(data.decode())
        if isinstance(said, Statement) and said.record_class is RecordClass.A
    }

    for data in mutants(messages, 3000):
        for said in judge_everywhere(data.decode("utf-8", "surrogateescape")):
            if isinstance(said, Statement) and said.record_class is RecordClass.A:
                assert (said.action, said.digest) in known


@given(st.binary(max_size=2000))
def test_no_bytes_at_all_raise(data: bytes) -> None:
    verify_bounds(data)
    verify_bounds(b"json:" + data)
    verify_bounds(b"oip-mp(" + data)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters()), inner),
)


@given(JSON)
def test_no_json_raises_whatever_its_numbers_and_characters(value: Any) -> None:
    for ascii_only in (True, False):
        text = json.dumps(value, ensure_ascii=ascii_only)
        for wrapped in (
            f"json:{text}",
            f'json:{{"oip042":{text}}}',
            f'json:{{"oip042":{{"publish":{{"artifact":{text}}}}}}}',
            f'json:{{"oip042":{{"edit":{{"artifact":{{"patch":{text}}}}}}}}}',
        ):
            verify_bounds(wrapped.encode("utf-8", "surrogatepass"))


@given(st.text(min_size=1041).map(lambda text: text * 3))
def test_any_text_is_split_between_characters_into_no_empty_part(text: str) -> None:
    chunks = plan_chunks(text)

    sizes = [len(chunk.encode()) for chunk in chunks]
    assert "".join(chunks) == text
    assert min(sizes) > 0
    assert 836 < sizes[0] <= 840
    assert max(sizes[1:]) <= 790


# The whole way.


@pytest.fixture
def index(tmp_path: Path) -> Iterator[tuple[Index, MemoryLedger]]:
    ledger = MemoryLedger()
    with Index.create(tmp_path / "index.sqlite", [ledger.info]) as opened:
        yield opened, ledger


def verify_readable(index: Index) -> None:
    """Everything that is held can be listed, shown and written as JSON."""
    listed = queries.search(index, limit=100).results
    for record in listed:
        json.dumps(queries.get_record(index, record["id"]))
    json.dumps(queries.status(index))
    for rejected in queries.list_rejected(index, limit=100).results:
        assert rejected["code"] in CODES
        assert len(rejected["reason"]) <= 300


def test_blocks_of_mutants_are_followed_and_undone(
    index: tuple[Index, MemoryLedger], messages: list[bytes], mutants: Mutants
) -> None:
    opened, ledger = index
    batch: list[bytes] = [*messages]
    for data in mutants(messages, 1500):
        batch.append(data)
        if len(batch) >= 300:
            ledger.mine(*batch)
            batch.clear()
    ledger.mine(*batch)

    follow(opened, ledger)
    verify_readable(opened)
    assert queries.list_rejected(opened).total > 500

    ledger.reorganise(ledger.tip().height)
    follow(opened, ledger)
    assert queries.search(opened).total == queries.list_rejected(opened).total == 0


FIELD_NAMES = st.sampled_from(
    ["date", "NCBItaxID", "artNotes", "sid", "defocus", "tiltConstant", "heirs",
     "fileInfo", "authors", "related", "quality", "emdb", "x", "é", ""]
)  # fmt: skip
WRITABLE = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))
MEMBERS = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.floats(-9e15, 9e15)
    | WRITABLE,
    lambda inner: st.lists(inner) | st.dictionaries(WRITABLE, inner),
    max_leaves=8,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.dictionaries(FIELD_NAMES, MEMBERS),
    st.dictionaries(st.sampled_from(["info", "storage", "type", "payment"]), MEMBERS),
)
def test_whatever_a_publisher_signs_is_indexed_and_shown(
    index: tuple[Index, MemoryLedger], details: dict[str, Any], top: dict[str, Any]
) -> None:
    opened, ledger = index
    author = Author()
    artifact = author.artifact()
    artifact["details"] |= details
    for name, value in top.items():
        if name != "storage" or not isinstance(value, dict):
            artifact[name] = value

    try:
        text = author.publish(artifact)
    except InvalidDataError:
        return
    ledger.mine(text)
    follow(opened, ledger)

    said = judge(text, place=PLACE, ledger_kind=LedgerKind.EMBEDDED)
    assert isinstance(said, Statement)
    json.dumps(queries.get_record(opened, said.digest))
