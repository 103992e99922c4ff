"""R7: parts, split and joined."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from etdb.errors import (
    InvalidDataError,
    InvalidMessageError,
    InvalidRecordError,
    InvalidSignatureError,
    NotAllowedError,
)
from etdb.identity import Txid
from etdb.record.canonical import MAX_TEXT_BYTES
from etdb.record.parts import (
    MAX_MESSAGE_BYTES,
    Part,
    encode_part,
    join,
    joins,
    parse_part,
    plan_chunks,
    verify_part,
)
from etdb.testing.records import Author

TXID = Txid("0123456789abcdef" * 4)
SIGNATURE = "A" * 88
WRITABLE = st.text(st.characters(exclude_categories=["Cs"]))


def part(index: int, last: int, data: str = "x", author: Author | None = None) -> Part:
    signer = author or Author()
    reference = TXID if index else ""
    return parse_part(
        encode_part(index, last, signer.address, reference, data, signer.key)
    )


def test_a_short_text_is_carried_whole() -> None:
    text = "é" * 520

    assert len(text.encode()) == MAX_MESSAGE_BYTES
    assert plan_chunks(text) == [text]
    assert plan_chunks("") == [""]


def test_a_longer_text_is_cut_into_840_and_then_790_bytes() -> None:
    chunks = plan_chunks("x" * 2421)

    assert [len(chunk) for chunk in chunks] == [840, 790, 790, 1]


def test_no_empty_part_is_written_where_the_last_is_full() -> None:
    assert [len(chunk) for chunk in plan_chunks("x" * 1630)] == [840, 790]


@given(WRITABLE.map(lambda text: text + "é€\U0001f52c" * 400))
def test_texts_are_cut_between_characters(text: str) -> None:
    chunks = plan_chunks(text)

    sizes = [len(chunk.encode()) for chunk in chunks]
    assert "".join(chunks) == text
    assert sizes[0] in range(837, 841)
    assert all(size in range(787, 791) for size in sizes[1:-1])
    assert sizes[-1] > 0


def test_a_text_of_more_than_900_parts_is_not_written() -> None:
    longest = "x" * (840 + 899 * 790)

    assert len(plan_chunks(longest)) == 900
    with pytest.raises(InvalidRecordError, match="901 parts"):
        plan_chunks(longest + "x")


def test_the_longest_part_fits_a_message(author: Author) -> None:
    text = encode_part(899, 899, author.address, TXID, "x" * 790, author.key)

    assert len(text) <= MAX_MESSAGE_BYTES


@given(st.integers(1, 999), st.data(), WRITABLE)
def test_a_part_is_encoded_parsed_and_verified(
    last: int, draw: st.DataObject, data: str
) -> None:
    index = draw.draw(st.integers(0, last))
    author = Author()
    reference = TXID if index else ""

    text = encode_part(index, last, author.address, reference, data, author.key)

    found = parse_part(text)
    assert found == Part(
        index, last, author.address, reference, found.signature, data, text
    )
    verify_part(found)


@given(st.binary(min_size=1041, max_size=6000), st.randoms())
def test_joining_undoes_splitting_in_any_order(
    data: bytes, order: random.Random
) -> None:
    text = data.decode("latin-1")
    parts = list(Author().parts(text))

    order.shuffle(parts)

    assert join(parts) == text


def test_a_part_is_signed_by_its_address_only(author: Author, stranger: Author) -> None:
    with pytest.raises(NotAllowedError):
        encode_part(0, 1, author.address, "", "x", stranger.key)


@pytest.mark.parametrize(
    "changes",
    [
        {"index": 2},
        {"max": 3},
        {"address": Author(2).address},
        {"reference": "f" * 64},
        {"data": "y"},
        {"signature": part(0, 2).signature},
    ],
)
def test_a_part_that_was_changed_is_not_verified(changes: dict[str, str]) -> None:
    with pytest.raises(InvalidSignatureError) as caught:
        verify_part(replace(part(1, 2), **changes))  # type: ignore[arg-type]

    assert caught.value.facts["rule"] == "R7"


@pytest.mark.parametrize("prefix", ["oip-mp", "alexandria-media-multipart"])
@pytest.mark.parametrize(
    ("header", "reference"),
    [
        ("0,1,A,,S", ""),
        ("0,1,A,,S,", ""),
        ("0,1,A,S", ""),
        (f"0,1,A,{'0' * 64},S", "0" * 64),
        (f"1,1,A,{TXID[:10]},S", TXID[:10]),
        (f"1,1,A,{TXID},S", TXID),
        (f"999,999,A,{TXID},S,", TXID),
    ],
)
def test_every_known_header_is_read(prefix: str, header: str, reference: str) -> None:
    found = parse_part(f"{prefix}({header}):da):ta")

    assert (found.address, found.reference, found.signature) == ("A", reference, "S")
    assert found.data == "da):ta"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "json:{}",
        "oip-mp",
        "oip-mp(",
        "oip-mp(0,1,A,,S)",
        "oip-mp(0,1,A,,S:x",
        "oip-mp(0,1,A):x",
        "oip-mp(0,1,A,,S,,):x",
        "oip-mp(0,1,A,,S,x):x",
        "OIP-MP(0,1,A,,S):x",
        " oip-mp(0,1,A,,S):x",
        "oip-mp(00,1,A,,S):x",
        "oip-mp(0,01,A,,S):x",
        "oip-mp(-0,1,A,,S):x",
        "oip-mp(+0,1,A,,S):x",
        "oip-mp( 0,1,A,,S):x",
        "oip-mp(0,1\n,A,,S):x",
        "oip-mp(0,1.0,A,,S):x",
        "oip-mp(\u0660,1,A,,S):x",
        "oip-mp(0,\uff11,A,,S):x",
        "oip-mp(0,0,A,,S):x",
        "oip-mp(0,1000,A,,S):x",
        f"oip-mp(2,1,A,{TXID},S):x",
        f"oip-mp(0,1,A,{TXID},S):x",
        "oip-mp(1,1,A,,S):x",
        "oip-mp(1,1,A,S):x",
        f"oip-mp(1,1,A,{TXID[:9]},S):x",
        f"oip-mp(1,1,A,{TXID}0,S):x",
        f"oip-mp(1,1,A,{TXID.upper()},S):x",
        f"oip-mp(1,1,A,{TXID}\n,S):x",
        "oip-mp(1,1,A,undefined,S):x",
        "oip-mp(0,1,A,,S):\udcff",
    ],
)
def test_other_texts_are_no_parts(text: str) -> None:
    with pytest.raises(InvalidMessageError) as caught:
        parse_part(text)

    assert caught.value.facts["rule"] in {"R7", "B1"}


@given(st.text() | st.text().map(lambda text: f"oip-mp({text}):"))
def test_parsing_and_verifying_raise_nothing_else_on_any_text(text: str) -> None:
    try:
        verify_part(parse_part(text))
    except InvalidDataError:
        return
    raise AssertionError(text)


def test_part_0_may_be_signed_with_64_zeros_for_its_empty_reference(
    author: Author,
) -> None:
    signature = author.key.sign_message(f"0-1-{author.address}-{'0' * 64}-data")

    verify_part(parse_part(f"oip-mp(0,1,{author.address},,{signature}):data"))


def test_part_0_may_be_signed_without_the_json_that_was_put_before_it(
    author: Author,
) -> None:
    signature = author.key.sign_message(f"0-1-{author.address}--{{}}")

    verify_part(parse_part(f"oip-mp(0,1,{author.address},,{signature}):json:{{}}"))


def test_a_later_part_has_no_such_licence(author: Author) -> None:
    signature = author.key.sign_message(f"1-1-{author.address}-{'0' * 64}-data")

    with pytest.raises(InvalidSignatureError):
        verify_part(parse_part(f"oip-mp(1,1,{author.address},{TXID},{signature}):data"))


def test_a_later_part_joins_the_sets_whose_txid_begins_with_its_reference() -> None:
    later = part(1, 1)
    short = replace(later, reference=TXID[:10])

    assert joins(later, TXID)
    assert joins(short, TXID)
    assert joins(short, Txid(TXID[:10] + "f" * 54))
    assert not joins(later, Txid(TXID[:10] + "f" * 54))
    assert not joins(part(0, 1), TXID)


def test_an_empty_last_part_is_joined(author: Author) -> None:
    parts = [part(0, 1, "whole"), part(1, 1, "")]

    assert join(parts) == "whole"


@pytest.mark.parametrize(
    "indexes", [[], [0], [1], [0, 0], [0, 1, 1], [0, 2], [1, 2], [0, 1, 2, 2]]
)
def test_a_set_with_a_gap_or_a_double_is_not_joined(indexes: list[int]) -> None:
    with pytest.raises(InvalidMessageError):
        join([part(index, 2) for index in indexes])


def test_parts_of_another_signer_or_another_max_are_not_joined(
    author: Author, stranger: Author
) -> None:
    first = part(0, 1, author=author)

    for foreign in (part(1, 1, author=stranger), part(1, 2, author=author)):
        with pytest.raises(InvalidMessageError, match="one set"):
            join([first, foreign])


def test_twin_by_their_reference_alone_they_would_join(stranger: Author) -> None:
    assert joins(part(1, 1, author=stranger), TXID)


def test_a_joined_text_over_1_mib_is_refused() -> None:
    half = "x" * (MAX_TEXT_BYTES // 2)
    fits = [part(0, 1, half), part(1, 1, half)]

    assert len(join(fits)) == MAX_TEXT_BYTES
    with pytest.raises(InvalidMessageError) as caught:
        join([fits[0], part(1, 1, half + "x")])
    assert caught.value.facts["rule"] == "R7"
