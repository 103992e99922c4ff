"""The orders that /oip lists can be asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from etdb.errors import UnavailableError
from etdb.index import follow
from etdb.index.db import Index
from etdb.index.oip.oipd import OipIndex
from etdb.testing.ledger import MemoryLedger
from etdb.testing.records import Author

ServeSite = Callable[..., httpx.Client]
Hit = dict[str, Any]

RECORDS = "artifact/get/latest"
TEXTS = "floData/latest"
WHOLE = "flo/tx/latest"
EDITS = "oip042/edit/search"


def no_ledger(_ledger: str, _height: int, _position: int) -> bytes:
    raise UnavailableError("the ledger is not there")


@pytest.fixture(scope="module")
def parts(ledger: MemoryLedger) -> str:
    """The path of a list of parts."""
    author = Author()
    text = author.publish(author.artifact({"sid": "long", "artNotes": "ice " * 600}))
    first = ledger.compose(author.part_texts(text)[0].encode())
    texts = author.part_texts(text, first.txid)[1:]
    ledger.send([first])
    ledger.send([ledger.compose(part.encode()) for part in texts])
    return f"multipart/get/ref/{first.txid}"


@pytest.fixture(scope="module")
def ledger() -> MemoryLedger:
    """Several records in each block, and edits of two of them."""
    author, ledger = Author(), MemoryLedger()
    texts = [author.publish(author.artifact({"sid": f"s{n}"})) for n in range(6)]
    for start in (0, 2, 4):
        ledger.mine(*texts[start : start + 2])
    ledger.mine(author.edit(texts[0], 3, sid="s0", strain="K12"))
    ledger.mine(author.edit(texts[3], 2, sid="s3", strain="K13"))
    return ledger


@pytest.fixture(scope="module")
def site(
    serve_site: ServeSite,
    ledger: MemoryLedger,
    parts: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[httpx.Client]:
    path: Path = tmp_path_factory.mktemp("index") / "index.sqlite"
    with Index.create(path, [ledger.info]) as index:
        follow.follow(index, ledger)
        yield serve_site(oip=OipIndex(index, no_ledger))


def listed(site: httpx.Client, path: str, **asked: object) -> dict[str, Any]:
    params = {"q": "*", **{key: str(value) for key, value in asked.items()}}
    answer = site.get(f"/oip/{path}", params=params)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def value(hit: Hit, field: str) -> Any:
    for key in field.split("."):
        hit = hit[key]
    return hit


SORTS = [
    *((RECORDS, f"meta.{name}") for name in ("time", "block", "txid", "originalTxid")),
    *((TEXTS, f"tx.{name}") for name in ("time", "txid", "blockhash")),
    *((WHOLE, name) for name in ("block", "tx.time")),
    *((EDITS, f"meta.{name}") for name in ("time", "block", "txid")),
    (EDITS, "edit.timestamp"),
    *(("parts", f"meta.{name}") for name in ("time", "block", "txid", "block_hash")),
    *(("parts", name) for name in ("part", "max", "address")),
]


@pytest.mark.parametrize(("path", "field"), SORTS)
def test_a_list_is_ordered_as_asked_and_its_pages_go_on(
    site: httpx.Client, parts: str, path: str, field: str
) -> None:
    path = path.replace("parts", parts)
    for direction in "ad":
        sort = f"{field}:{direction}"
        everything = listed(site, path, sort=sort, limit=100)["results"]
        values = [value(hit, field) for hit in everything]
        assert values == sorted(values, reverse=direction == "d")
        assert len(everything) > 1

        page = listed(site, path, sort=sort, limit=2)
        seen = page["results"]
        while page["next"]:
            after = page["next"]
            page = listed(site, path, sort=sort, limit=2, after=after)
            seen += page["results"]
        assert seen == everything
        assert listed(site, path, sort=sort, limit=2, page=2)["results"] == seen[2:4]


@pytest.mark.parametrize("path", [RECORDS, TEXTS, EDITS, "parts"])
def test_the_usual_order_can_be_asked_for(
    site: httpx.Client, parts: str, path: str
) -> None:
    path = path.replace("parts", parts)
    place = "tx" if path == TEXTS else "meta"
    sort = f"{place}.time:d${place}.txid:a"

    usual = listed(site, path, limit=100)
    assert listed(site, path, limit=100, sort=sort)["results"] == usual["results"]


def test_within_equal_values_the_newest_is_first(site: httpx.Client) -> None:
    hits = listed(site, RECORDS, sort="artifact.type:a", limit=100)["results"]

    assert hits == listed(site, RECORDS, limit=100)["results"]


def test_several_orders_count_one_after_the_other(site: httpx.Client) -> None:
    hits = listed(site, WHOLE, sort="block:a$tx.txid:d", limit=100)["results"]

    heights = [hit["block"] for hit in hits]
    assert heights == sorted(heights)
    assert len(set(heights)) < len(heights), "some stand in one block"
    for height in set(heights):
        txids = [hit["tx"]["txid"] for hit in hits if hit["block"] == height]
        assert txids == sorted(txids, reverse=True)


@pytest.mark.parametrize(
    ("path", "field"),
    [
        (RECORDS, "meta.type"),
        (RECORDS, "tx.time"),
        (TEXTS, "tx.floData"),
        (TEXTS, "meta.time"),
        (WHOLE, "is_coinbase"),
        (EDITS, "edit.txid"),
        ("parts", "data"),
    ],
)
def test_what_no_list_is_ordered_by_is_400(
    site: httpx.Client, parts: str, path: str, field: str
) -> None:
    path = path.replace("parts", parts)
    answer = site.get(f"/oip/{path}", params={"q": "*", "sort": f"{field}:a"})

    assert (answer.status_code, answer.json()) == (
        400,
        {"error": "invalid search request"},
    )


def test_the_values_of_what_is_sorted_by_can_be_counted(site: httpx.Client) -> None:
    told = site.get("/oip/artifact/cardinality?f=meta.originalTxid").json()

    assert told["c"] == listed(site, RECORDS)["total"] == 7
