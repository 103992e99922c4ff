"""The site over a real index: what it is given is what it describes."""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from etdb.index import follow
from etdb.index.db import Index
from etdb.index.search import parse
from etdb.node import SiteCatalogue
from etdb.testing.ledger import MemoryLedger
from etdb.testing.records import Author
from etdb.web import schema

ServeSite = Callable[..., httpx.Client]


@pytest.fixture(scope="module")
def site(
    serve_site: ServeSite, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[httpx.Client]:
    author, ledger = Author(), MemoryLedger()
    for number in range(3):
        details = {"sid": f"s{number}", "tiltMin": -60, "dosage": 0, "labKey": [1]}
        ledger.mine(author.publish(author.artifact(details)))
    ledger.mine('json:{"oip042":{"publish":{"artifact":{}}}}')
    path: Path = tmp_path_factory.mktemp("index") / "index.sqlite"
    with Index.create(path, [ledger.info]) as index:
        follow.follow(index, ledger)
        yield serve_site(catalogue=SiteCatalogue(index))


def test_lists_and_records_are_as_described(site: httpx.Client) -> None:
    page = schema.RecordListShape.model_validate(site.get("/api/records").json())
    record_id = page.results[0].id

    schema.FullRecordShape.model_validate(site.get(f"/api/records/{record_id}").json())
    rejected = site.get("/api/rejected").json()
    schema.RejectedListShape.model_validate(rejected)
    assert (page.total, rejected["total"]) == (3, 1)


def test_pages_show_what_the_index_holds(site: httpx.Client) -> None:
    front = site.get("/").text
    (first, *_) = re.findall(r'href="(/records/\w{64})"', front)
    record = site.get(first).text

    assert "<b>3</b> tilt series" in front
    assert "<i>Vibrio cholerae</i>" in record
    assert 'Total dose</dt>\n  <dd>0<span class="unit">' in record
    assert "labKey" in record
    assert "signed all of it" in record
    assert "B" in site.get("/rejected").text


def test_every_order_offered_works(site: httpx.Client) -> None:
    text = site.get("/records?q=vibrio").text
    orders = re.findall(r'href="(/records\?[^"]*sort=\w+[^"]*)"', text)

    assert len(orders) > 3
    for order in orders:
        assert site.get(html.unescape(order)).status_code == 200


def test_every_example_of_the_help_can_be_asked(site: httpx.Client) -> None:
    text = site.get("/records").text
    examples = re.findall(r"<dt><code>(.*?)</code>", text)

    assert len(examples) > 5
    for example in examples:
        parse(html.unescape(example))


def test_a_wrong_query_points_at_the_place(site: httpx.Client) -> None:
    answer = site.get("/records", params={"q": 'species:"Vibrio'})

    assert answer.status_code == 422
    assert "species:&#34;Vibrio\n        ↑" in answer.text
