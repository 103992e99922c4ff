"""dag-pb bytes: what is written, what is read, what is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from etdb.errors import InvalidDataError
from etdb.identity import CID, DAG_PB, RAW
from etdb.store.dagpb import Link, encode_dagpb, parse_dagpb

CIDS = st.builds(
    CID, st.just(1), st.sampled_from([RAW, DAG_PB]), st.binary(min_size=32, max_size=32)
)
LINKS = st.builds(Link, st.text(), CIDS, st.integers(0, 2**63 - 1))
CHILD = CID(1, RAW, bytes(32))


@given(st.lists(LINKS, max_size=5), st.binary(max_size=100))
def test_what_is_written_is_read_again(links: list[Link], data: bytes) -> None:
    assert parse_dagpb(encode_dagpb(links, data)) == (tuple(links), data)


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(block: bytes) -> None:
    try:
        parse_dagpb(block)
    except InvalidDataError:
        return


def test_name_and_tsize_are_written_though_empty() -> None:
    block = encode_dagpb([Link("", CHILD, 0)], b"")

    assert block.hex() == "122a" + "0a24" + CHILD.to_bytes().hex() + "1200" + "1800" + (
        "0a00"
    )


def test_a_link_of_another_writer_may_lack_name_and_tsize() -> None:
    target = b"\x0a\x24" + CHILD.to_bytes()
    block = b"\x12" + bytes([len(target)]) + target

    links, data = parse_dagpb(block)

    assert links == (Link("", CHILD, None),)
    assert data is None


@pytest.mark.parametrize(
    "block",
    [
        pytest.param("0a00" + "0a00", id="two data fields"),
        pytest.param("1a00", id="a third field"),
        pytest.param("1200", id="a link without a target"),
        pytest.param("0a05aa", id="a field that is cut off"),
        pytest.param("0b", id="a group"),
        pytest.param("0a", id="a field without a length"),
        pytest.param("12021801", id="a link of only a tsize"),
        pytest.param("1204" + "12ff" + "0000", id="a name longer than its link"),
        pytest.param("12041202fffe", id="a name that is not UTF-8"),
        pytest.param("12021001", id="a name that is a number"),
        pytest.param("0801", id="data that is a number"),
        pytest.param("0d01000000", id="data of four bytes"),
        pytest.param("090100000000000000", id="data of eight bytes"),
    ],
)
def test_what_is_not_dag_pb_is_refused(block: str) -> None:
    with pytest.raises(InvalidDataError):
        parse_dagpb(bytes.fromhex(block))
