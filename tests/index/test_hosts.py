"""Gateways that publishers register are found by what they published."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from etdb.identity import CID, DAG_PB
from etdb.index.db import Index
from etdb.index.hosts import MAX_GATEWAYS, list_hosts
from etdb.record.oip042 import wrap
from etdb.record.signing import sign_body
from etdb.testing.ledger import MemoryLedger
from etdb.testing.records import DIRECTORY, SIGNED_AT, Author

ROOT = CID.parse(DIRECTORY)
OTHER = CID.parse("bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy")
OLD = str(CID(0, DAG_PB, b"o" * 32))
UNKNOWN = CID(0, DAG_PB, b"u" * 32)


def registered(author: Author, info: object) -> str:
    body: dict[str, Any] = {
        "alias": f"Lab {author.address[-4:]}",
        "floAddress": author.address,
        "timestamp": SIGNED_AT,
        "info": info,
    }
    return wrap("register", "pub", sign_body("register", body, author.key))


def test_each_publisher_of_a_dataset_says_who_has_it(
    ledger: MemoryLedger, make_index: Callable[..., Index]
) -> None:
    labs = [Author(number) for number in (1, 2, 3)]
    urls = ["https://one.example", "https://both.example"]
    ledger.mine(
        labs[0].publish(),
        registered(labs[0], {"gateways": urls}),
        labs[1].publish(),
        registered(labs[1], {"gateways": [*urls[1:], "no address", 7]}),
        registered(labs[2], {"gateways": ["https://stranger.example"]}),
    )
    index = make_index(ledger)

    assert sorted(list_hosts(index, ROOT)) == sorted([*urls, "no address"])
    assert sorted(list_hosts(index, ROOT.to_v1())) == sorted([*urls, "no address"])
    assert list_hosts(index, OTHER) == []


def test_each_file_of_a_dataset_is_where_the_dataset_is(
    ledger: MemoryLedger, make_index: Callable[..., Index], author: Author
) -> None:
    url, files = "https://one.example", {"a.mrc": str(OTHER), "raw/b.st": OLD}
    details = {"fileInfo": {name: {"cid": cid} for name, cid in files.items()}}
    rows = [{"fname": name, "fsize": 1} for name in files]
    storage = {"network": "ipfs", "location": DIRECTORY, "files": rows}
    ledger.mine(
        author.publish(author.artifact(details, storage=storage)),
        registered(author, {"gateways": [url]}),
    )
    index = make_index(ledger)

    for cid in (ROOT, OTHER, CID.parse(OLD), CID.parse(OLD).to_v1()):
        assert list_hosts(index, cid) == [url]
    assert list_hosts(index, UNKNOWN) == []


@pytest.mark.parametrize("info", [{}, {"gateways": "x"}, {"gateways": {}}, {"url": 1}])
def test_who_registers_no_gateways_has_none(
    ledger: MemoryLedger,
    make_index: Callable[..., Index],
    author: Author,
    info: object,
) -> None:
    ledger.mine(author.publish(), registered(author, info))

    assert list_hosts(make_index(ledger), ROOT) == []


def test_of_many_gateways_some_are_taken(
    ledger: MemoryLedger, make_index: Callable[..., Index], author: Author
) -> None:
    urls = [f"https://{number}.example" for number in range(MAX_GATEWAYS + 5)]
    ledger.mine(author.publish(), registered(author, {"gateways": urls}))

    assert list_hosts(make_index(ledger), ROOT) == urls[:MAX_GATEWAYS]
