"""The site over a real index: what it is given is what it describes."""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from etdb.index import follow
from etdb.index.catalogue import IndexCatalogue
from etdb.index.db import Index
from etdb.index.search import parse
from etdb.record.oip042 import wrap_value
from etdb.testing.ledger import MemoryLedger
from etdb.testing.records import Author, digest_in
from etdb.web import schema

ServeSite = Callable[..., httpx.Client]


@pytest.fixture(scope="module")
def withdrawn_id() -> str:
    author = Author()
    return digest_in(author.publish(author.artifact({"sid": "gone"})))


@pytest.fixture(scope="module")
def site(
    serve_site: ServeSite, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[httpx.Client]:
    author, ledger = Author(), MemoryLedger()
    for number in range(3):
        details = {"sid": f"s{number}", "tiltMin": -60, "dosage": 0, "labKey": [1]}
        ledger.mine(author.publish(author.artifact(details)))
    ledger.mine('json:{"oip042":{"publish":{"artifact":{}}}}')
    root = author.publish(author.artifact({"sid": "edited", "strain": "a"}))
    edit = author.edit(root, 2, sid="edited", strain="b")
    txid = ledger.mine(root, edit, author.edit(root, 2, strain="c")).carried[0].txid
    old = {"txid": txid, "timestamp": 1, "patch": [{"op": "remove", "path": "/info"}]}
    ledger.mine(wrap_value({"edit": {"artifact": old}}))
    gone = author.publish(author.artifact({"sid": "gone"}))
    ledger.mine(gone, author.deactivate(gone, reason="wrong pixel size"))
    path: Path = tmp_path_factory.mktemp("index") / "index.sqlite"
    with Index.create(path, [ledger.info]) as index:
        follow.follow(index, ledger)
        yield serve_site(catalogue=IndexCatalogue(index))


def test_lists_and_records_are_as_described(site: httpx.Client) -> None:
    page = schema.RecordListShape.model_validate(site.get("/api/records").json())
    record_id = page.results[0].id

    schema.FullRecordShape.model_validate(site.get(f"/api/records/{record_id}").json())
    rejected = site.get("/api/rejected").json()
    schema.RejectedListShape.model_validate(rejected)
    assert (page.total, rejected["total"]) == (4, 1)


def test_histories_are_as_described(site: httpx.Client) -> None:
    edited = site.get("/api/records", params={"q": "strain:b OR strain:c"}).json()
    (record,) = edited["results"]
    page = site.get(f"/records/{record['id']}/history").text

    whole = site.get(f"/api/records/{record['id']}").json()
    history = site.get(f"/api/records/{record['id']}/versions").json()

    schema.FullRecordShape.model_validate(whole)
    told = schema.HistoryShape.model_validate(history)
    assert sorted(one.state for one in told.versions) == ["current", "fork", "root"]
    assert whole["versions"][-1]["id"] == told.current
    assert "Strain: &#34;a&#34; → &#34;" in page
    assert "remove /info" in page


def test_a_withdrawn_record_is_found_by_its_address_alone(
    site: httpx.Client, withdrawn_id: str
) -> None:
    answer = site.get(f"/api/records/{withdrawn_id}").json()
    history = site.get(f"/api/records/{withdrawn_id}/versions").json()
    page = site.get(f"/records/{withdrawn_id}").text

    schema.WithdrawnRecordShape.model_validate(answer)
    schema.WithdrawnHistoryShape.model_validate(history)
    assert withdrawn_id not in site.get("/api/records?limit=200").text
    assert "wrong pixel size" in page
    assert "by its publisher, " in page


def test_pages_show_what_the_index_holds(site: httpx.Client) -> None:
    front = site.get("/").text
    (first, *_) = re.findall(r'href="(/records/\w{64})"', front)
    record = site.get(first).text

    assert "<b>4</b> records" in front
    assert "<i>Vibrio cholerae</i>" in record
    assert 'Total dose</dt>\n  <dd>0<span class="unit">' in record
    assert "labKey" in record
    assert "signed all of it" in record
    assert re.search(r'<th scope="row">[BR]\d', site.get("/rejected").text)


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
