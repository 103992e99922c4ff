"""The suite's trustless-block group, and raw blocks at the end of paths."""

from __future__ import annotations

import re
from collections.abc import Callable

import httpx
import pytest

from etdb.identity import CID, RAW
from etdb.store.unixfs import parse_node
from etdb.testing.car import CarFile

Fixture = Callable[[str], CarFile]

RAW_TYPE = "application/vnd.ipld.raw"
BLOCKS = "gateway-raw-block"
ACCEPT = {"Accept": RAW_TYPE}


@pytest.fixture(scope="module")
def known(fixture: Fixture) -> dict[str, tuple[CID, bytes]]:
    """The directory of the fixture and the file in it, under every address."""
    car = fixture(BLOCKS)
    root = car.roots[0]
    (folder,) = parse_node(car.get_block(root)).links
    (file,) = parse_node(car.get_block(folder.cid)).links
    assert (folder.name, file.name, file.cid.codec) == ("dir", "ascii.txt", RAW)
    kept = {"dir": folder.cid, "dir/ascii.txt": file.cid}
    by_path = {f"{root}/{path}": cid for path, cid in kept.items()}
    by_cid = {str(cid): cid for cid in kept.values()}
    every = {**by_path, **by_cid, f"{root}/dir/": folder.cid}
    return {path: (cid, car.get_block(cid)) for path, cid in every.items()}


def test_a_block_by_either_way_of_asking(
    public: httpx.Client, known: dict[str, tuple[CID, bytes]]
) -> None:
    for path, (cid, block) in known.items():
        by_format = public.get(f"/ipfs/{path}?format=raw")
        by_accept = public.get(f"/ipfs/{path}", headers=ACCEPT)

        for answer in (by_format, by_accept):
            headers = answer.headers
            assert (answer.status_code, answer.content) == (200, block)
            assert headers["content-type"] == RAW_TYPE
            assert headers["content-length"] == str(len(block))
            name = r'attachment;\s*filename=".*\.bin"'
            assert re.match(name, headers["content-disposition"])
            assert headers["x-content-type-options"] == "nosniff"
            assert headers["etag"] == f'"{cid}.raw"'
            assert headers["x-ipfs-path"] == f"/ipfs/{path}"
            assert headers["x-ipfs-roots"].split(",")[-1] == str(cid)
            assert headers["cache-control"] == "public, max-age=29030400, immutable"


def test_a_block_under_another_name(
    public: httpx.Client, known: dict[str, tuple[CID, bytes]]
) -> None:
    for path in known:
        url = f"/ipfs/{path}?filename=foobar.bin"
        named = public.get(url, headers=ACCEPT).headers["content-disposition"]

        assert named.startswith('attachment; filename="foobar.bin"')


@pytest.mark.parametrize(("first", "last"), [(7, 9), (6, 16), (0, 4)])
def test_part_of_a_block(
    public: httpx.Client,
    known: dict[str, tuple[CID, bytes]],
    first: int,
    last: int,
) -> None:
    for path, (_, block) in known.items():
        asked = {**ACCEPT, "Range": f"bytes={first}-{last}"}
        answer = public.get(f"/ipfs/{path}", headers=asked)

        assert (answer.status_code, answer.content) == (206, block[first : last + 1])
        place = f"bytes {first}-{last}/{len(block)}"
        assert answer.headers["content-range"] == place
        assert answer.headers["content-type"] == RAW_TYPE


@pytest.mark.parametrize("asked", [((7, 9), (1, 3)), ((6, 16), (0, 4))])
def test_parts_of_a_block(
    public: httpx.Client,
    known: dict[str, tuple[CID, bytes]],
    asked: tuple[tuple[int, int], ...],
) -> None:
    for path, (_, block) in known.items():
        spans = ",".join(f"{first}-{last}" for first, last in asked)
        answer = public.get(
            f"/ipfs/{path}", headers={**ACCEPT, "Range": f"bytes={spans}"}
        )

        assert answer.status_code == 206
        assert answer.headers["content-type"].startswith("multipart/byteranges")
        assert f"Content-Type: {RAW_TYPE}".encode() in answer.content
        for first, last in asked:
            place = f"Content-Range: bytes {first}-{last}/{len(block)}"
            assert place.encode() in answer.content
            assert block[first : last + 1] in answer.content


LEAF = "bafkreicysg23kiwv34eg2d7qweipxwosdo2py4ldv42nbauguluen5v6am"
EITHER_ORDER = [
    "bafybeigqvyloizmfcdy6scaxnyltftzptaruqa3hnnplfzsbf4sqteiwlm",
    "bafybeigdcg7pksx2zk5336vrfsktjodlr4rbfz37qr3koc5xboxe5ekv24",
    "bafybeicwgy2rlqmqqu3yy2tqvm2wbgdvy3snu4sbbv4wqpvpnoplpzxz74",
    "bafybeicjwkfslu7gwyywffvqgse5kiibojtktxcdqhgv7ldj5fjdacuceq",
]


@pytest.mark.parametrize("root", EITHER_ORDER)
def test_a_node_in_either_order_of_its_fields(
    either_order: httpx.Client, root: str
) -> None:
    """A directory and a shard, each with its data first and last (IPIP-550)."""
    file = either_order.get(f"/ipfs/{root}/hello.txt")
    block = either_order.get(f"/ipfs/{root}", headers=ACCEPT)

    assert (file.status_code, file.content) == (200, b"hello\n")
    assert file.headers["x-ipfs-roots"] == f"{root},{LEAF}"
    assert (block.status_code, block.headers["etag"]) == (200, f'"{root}.raw"')
