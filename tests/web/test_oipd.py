"""/oip answers as oipd did."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import httpx
import pytest

from etdb.errors import UnavailableError
from etdb.index import follow
from etdb.index.db import Index
from etdb.index.oip.oipd import OipIndex
from etdb.testing.ledger import MemoryLedger
from etdb.testing.records import Author
from etdb.web.oipd import MAX_TRANSACTIONS

ServeSite = Callable[..., httpx.Client]

RECORDS = 12
TXID = "5e03" * 16
TOO_DEEP = {
    "error": "page limit exceeded, use 'after' instead of 'page' for deep queries"
}
INVALID = {"error": "invalid search request"}
EMPTY = {"count": 0, "total": 0, "results": [], "next": ""}


def no_ledger(_ledger: str, _height: int, _position: int) -> bytes:
    raise UnavailableError("the ledger is not there")


def told_status() -> Mapping[str, Any]:
    ledgers = [
        {"height": 20, "tip_height": 20, "lag": 0, "time": 9},
        {"height": 75, "tip_height": 100, "lag": 25, "time": 1_700_000_000},
    ]
    return {"ledgers": ledgers}


@pytest.fixture(scope="module")
def ledger() -> MemoryLedger:
    author, ledger = Author(), MemoryLedger()
    for number in range(RECORDS):
        details = {"sid": f"s{number:02}", "strain": "50%" if number == 3 else "K12"}
        ledger.mine(author.publish(author.artifact(details)))
    return ledger


@pytest.fixture(scope="module")
def index(
    ledger: MemoryLedger, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Index]:
    path: Path = tmp_path_factory.mktemp("index") / "index.sqlite"
    with Index.create(path, [ledger.info]) as index:
        follow.follow(index, ledger)
        yield index


@pytest.fixture(scope="module")
def site(serve_site: ServeSite, index: Index) -> httpx.Client:
    return serve_site(oip=OipIndex(index, no_ledger), status=told_status)


def sids(answer: httpx.Response) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [hit["artifact"]["details"]["sid"] for hit in answer.json()["results"]]


def test_a_list_has_the_old_shape(site: httpx.Client) -> None:
    answer = site.get("/oip/artifact/get/latest")
    told = answer.json()

    assert list(told) == ["count", "total", "results", "next"]
    assert (told["count"], told["total"]) == (10, RECORDS)
    last = told["results"][-1]["meta"]
    assert unquote(told["next"]) == f'[{last["time"] * 1000},"{last["txid"]}"]'
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["access-control-allow-origin"] == "*"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "default-src 'none'" in answer.headers["content-security-policy"]


def test_paging_by_page_and_by_next(site: httpx.Client) -> None:
    path = "/oip/artifact/get/latest"
    everything = sids(site.get(path, params={"limit": 100}))
    first = site.get(path, params={"limit": 5})
    after = first.json()["next"]

    assert sids(site.get(f"{path}?limit=5&page=2")) == everything[5:10]
    assert sids(site.get(f"{path}?limit=5&page=1")) == sids(first) == everything[:5]
    assert sids(site.get(f"{path}?page=2")) == everything[:10], "only with a limit"
    assert sids(site.get(f"{path}?limit=5&after={after}")) == everything[5:10]
    half = unquote(after).replace(",", "%2C")
    assert sids(site.get(path, params={"limit": 5, "after": half})) == everything[5:10]
    assert site.get(f"{path}?limit=5&page=9").json() == {**EMPTY, "total": RECORDS}


@pytest.mark.parametrize("limit", ["", "x", "-1", "0", "1e3", "٣"])
def test_a_limit_that_is_none_is_the_usual_one(site: httpx.Client, limit: str) -> None:
    answer = site.get("/oip/artifact/get/latest", params={"limit": limit})

    assert answer.json()["count"] == 10


def test_deep_pages_are_refused_and_after_goes_on(site: httpx.Client) -> None:
    path = "/oip/artifact/get/latest"
    deep = site.get(f"{path}?limit=100&page=101")
    deepest = site.get(f"{path}?limit=100&page=100")
    after = site.get(f'{path}?limit=100&page=101&after=[1700000100000,"0"]')

    assert (deep.status_code, deep.json()) == (400, TOO_DEEP)
    assert deepest.json()["total"] == RECORDS
    assert after.json()["count"] > 0


def test_an_order_is_put_before_the_usual_one(site: httpx.Client) -> None:
    path = "/oip/artifact/get/latest"
    order = "artifact.details.strain:d$artifact.details.sid:a"
    found = sids(site.get(path, params={"sort": order, "limit": 100}))

    assert found == [*(f"s{n:02}" for n in range(RECORDS) if n != 3), "s03"]
    wrong = site.get(path, params={"sort": "nothing:a"})
    assert (wrong.status_code, wrong.json()) == (400, INVALID)


def test_pretty_is_for_people(site: httpx.Client) -> None:
    plain = site.get("/oip/artifact/get/latest?limit=1")
    pretty = site.get("/oip/artifact/get/latest?limit=1&pretty")

    assert plain.json() == pretty.json()
    assert "\n" not in plain.text
    assert '\n  "count": 1' in pretty.text


def test_a_query_is_decoded_twice(site: httpx.Client) -> None:
    query = 'artifact.details.strain:"50%"'
    once = site.get("/oip/artifact/search", params={"q": query})
    twice = site.get("/oip/artifact/search", params={"q": quote(query)})
    plus = site.get("/oip/artifact/search?q=%2Bs01+-s02")

    assert sids(once) == sids(twice) == ["s03"]
    assert sids(plus) == ["s01"]


@pytest.mark.parametrize(
    "query",
    [
        *("", "a~", "(", "nothing:1", "a" * 3000, "\0"),
        *("a^1.2.3", "a^.", "a~.", '"a b"~1.5', "a\0b"),
    ],
)
def test_a_query_that_cannot_be_served_is_400(site: httpx.Client, query: str) -> None:
    for path in ("artifact/search", "oip042/edit/search", "floData/search"):
        answer = site.get(f"/oip/{path}", params={"q": query})
        assert (answer.status_code, answer.json()) == (400, INVALID)
    assert site.get("/oip/flo/tx/search").status_code == 400


@pytest.mark.parametrize(
    "path",
    [
        "/artifact/get/{}",
        "/oip042/artifact/get/{}",
        "/oip042/record/get/{}",
        "/oip042/record/get/{0}/version/{0}",
        "/oip042/edit/get/{}",
        "/multipart/get/ref/{}",
        "/multipart/get/id/{}",
        "/floData/get/{}",
        "/flo/tx/get/{}",
    ],
)
def test_ids_are_hex(site: httpx.Client, path: str) -> None:
    unknown = site.get("/oip" + path.format(TXID))
    assert unknown.json() == EMPTY
    for wrong in ("XYZ", TXID.upper(), TXID + "0", "%00", "5e03%20"):
        answer = site.get("/oip" + path.format(wrong))
        assert (answer.status_code, answer.text) == (404, "404 not found")


def test_a_record_is_found_by_its_txid_or_a_beginning(
    site: httpx.Client, ledger: MemoryLedger
) -> None:
    txid = ledger.block(4).carried[0].txid

    assert sids(site.get(f"/oip/artifact/get/{txid[:12]}")) == ["s03"]
    assert sids(site.get(f"/oip/oip042/record/get/{txid}")) == ["s03"]
    version = f"/oip/oip042/record/get/{txid}/version/{txid}"
    assert sids(site.get(version)) == ["s03"]
    assert site.get(f"/oip/oip042/record/get/{txid[:12]}").status_code == 404
    (said,) = site.get(f"/oip/floData/get/{txid}").json()["results"]
    assert said["tx"]["floData"].startswith("json:")


def test_coinbases_can_be_asked_for_apart(site: httpx.Client) -> None:
    path = "/oip/floData/latest"
    totals = [
        site.get(path, params=params).json()["total"]
        for params in ({}, {"coinbase": "true"}, {"coinbase": "false"})
    ]

    assert totals == [RECORDS, 0, RECORDS]


def test_a_page_of_transactions_is_bounded(
    serve_site: ServeSite, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Each is read from its ledger."""
    author, ledger = Author(), MemoryLedger()
    texts = [
        author.register(f"name {number}") for number in range(MAX_TRANSACTIONS + 5)
    ]
    ledger.mine(*texts)
    with Index.create(
        tmp_path_factory.mktemp("i") / "i.sqlite", [ledger.info]
    ) as index:
        follow.follow(index, ledger)
        site = serve_site(oip=OipIndex(index, no_ledger))
        for path in ("/oip/floData/latest", "/oip/flo/tx/latest"):
            first = site.get(f"{path}?limit=1000").json()
            then = site.get(f"{path}?limit=1000&after={first['next']}").json()
            assert (first["count"], then["count"]) == (MAX_TRANSACTIONS, 5)


@pytest.mark.parametrize("path", ["floData/latest", "flo/tx/latest", "flo/tx/search"])
def test_a_silent_ledger_is_asked_once_a_page(
    serve_site: ServeSite, index: Index, path: str
) -> None:
    asked: list[int] = []

    def silent(_ledger: str, height: int, _position: int) -> bytes:
        asked.append(height)
        raise UnavailableError("the daemon did not answer in 30 s")

    site = serve_site(oip=OipIndex(index, silent))
    pages = [
        site.get(f"/oip/{path}", params={"limit": 100, "q": "*"}).json()
        for _ in range(2)
    ]

    assert [page["count"] for page in pages] == [RECORDS, RECORDS]
    assert all(hit["tx"]["floData"] for page in pages for hit in page["results"])
    assert len(asked) == len(pages), "and on the next page again"


def test_cardinality(site: httpx.Client) -> None:
    field = "artifact.details.sid"

    assert site.get(f"/oip/artifact/cardinality?f={field}").json() == {
        "c": RECORDS,
        "f": field,
    }
    assert site.get("/oip/artifact/cardinality").json() == INVALID


def test_sync_status_is_that_of_the_ledger_furthest_behind(site: httpx.Client) -> None:
    assert site.get("/oip/sync/status").json() == {
        "IsInitialSync": True,
        "MultipartSyncComplete": True,
        "EditSyncComplete": True,
        "Height": 75,
        "Timestamp": 1_700_000_000,
        "LatestHeight": 100,
        "Progress": 0.75,
    }


@pytest.mark.parametrize(
    ("status", "progress"),
    [
        ({}, 1.0),
        ({"ledgers": []}, 1.0),
        ({"ledgers": [{"height": None, "tip_height": 8, "lag": None}]}, 0.0),
        ({"ledgers": [{"height": 5, "tip_height": None, "lag": None}]}, 1.0),
        ({"ledgers": [{"height": 0, "tip_height": 0, "lag": 0}]}, 1.0),
    ],
)
def test_sync_status_of_a_node_that_knows_little(
    serve_site: ServeSite, index: Index, status: dict[str, Any], progress: float
) -> None:
    site = serve_site(oip=OipIndex(index, no_ledger), status=lambda: status)

    assert site.get("/oip/sync/status").json()["Progress"] == progress


def test_what_cannot_be_read_is_said_as_oipd_said_it(
    serve_site: ServeSite, index: Index
) -> None:
    def broken() -> Mapping[str, Any]:
        raise UnavailableError("the disk is full", path="/home/of/somebody")

    site = serve_site(oip=OipIndex(index, no_ledger), status=broken)
    answer = site.get("/oip/sync/status")

    assert answer.status_code == 500
    assert answer.json() == {"error": "unable to execute search"}


@pytest.mark.parametrize(
    "path",
    [
        "/oip041/artifact/get/latest",
        f"/oip041/artifact/get/{TXID}",
        "/alexandria/artifact/get/latest",
        f"/alexandria/artifact/get/{TXID}",
        "/alexandria/publisher/get/latest/",
        "/alexandria/publisher/get/FTSTq8xx8yWUKJA5E3bgXLzZqqG9V6dvnr",
        "/historian/get/latest",
        f"/historian/get/{TXID}",
        "/o5/record/get/latest",
        f"/o5/record/get/{TXID}",
        "/o5/record/search?q=Davi",
        "/o5/template/get/latest",
        f"/o5/template/get/{TXID}",
        "/o5/template/search?q=x~",
    ],
)
def test_kinds_of_records_that_are_not_kept_are_empty_lists(
    site: httpx.Client, path: str
) -> None:
    assert site.get("/oip" + path).json() == EMPTY


def test_replies_have_the_keys_of_real_ones(
    site: httpx.Client, vectors: Callable[[str], Any]
) -> None:
    real = vectors("15_oipd_api_examples.json")["vectors"]
    lists = [each for each in real if "results" in each["response"]]
    for each in real:
        path = each["request"].partition("1606")[2]
        answer = site.get(path)
        assert answer.status_code == 200
        if each in lists:
            assert set(answer.json()) == {"count", "total", "results", "next"}
            assert set(each["response"]) <= set(answer.json())
    place = lists[0]["response"]["results"][0]["meta"]
    (hit,) = site.get("/oip/artifact/get/latest?limit=1").json()["results"]
    assert set(place) - {"signed_by"} <= set(hit["meta"])


def test_paths_that_are_unknown_and_the_24_hours(site: httpx.Client) -> None:
    unknown = site.get("/oip/nothing/here")
    hours = site.get("/oip/historian/24hr")

    assert (unknown.status_code, unknown.text) == (404, "404 not found")
    assert unknown.headers["content-type"].startswith("text/plain")
    assert hours.status_code == 400
    assert site.head("/oip/artifact/get/latest").status_code == 200


KNOWN = [
    "/daemon/version",
    "/artifact/get/latest",
    "/o5/record/search",
    "/flo/tx/latest",
]


@pytest.mark.parametrize("path", KNOWN)
@pytest.mark.parametrize(
    "method", ["POST", "PUT", "DELETE", "PATCH", "TRACE", "PROPFIND"]
)
def test_another_method_is_refused_as_text_that_scripts_may_read(
    site: httpx.Client, path: str, method: str
) -> None:
    answer = site.request(method, "/oip" + path, content=b"x" * 100_000)

    assert (answer.status_code, answer.text) == (405, "405 method not allowed")
    assert answer.headers["content-type"].startswith("text/plain")
    assert answer.headers["allow"] == "GET, HEAD, OPTIONS"
    assert answer.headers["access-control-allow-origin"] == "*"
    assert "default-src 'none'" in answer.headers["content-security-policy"]


@pytest.mark.parametrize("path", ["", "/", "/nothing/here"])
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_a_path_that_is_unknown_is_so_by_any_method(
    site: httpx.Client, path: str, method: str
) -> None:
    answer = site.request(method, "/oip" + path)

    assert (answer.status_code, answer.text) == (404, "404 not found")
    assert answer.headers["access-control-allow-origin"] == "*"


@pytest.mark.parametrize("path", ["", "/nothing/here", *KNOWN])
def test_a_browser_may_ask_beforehand(site: httpx.Client, path: str) -> None:
    asked = {
        "Origin": "https://example.org",
        "Access-Control-Request-Method": "GET",
        "Access-Control-Request-Headers": "x-requested-with",
    }
    answer = site.options("/oip" + path, headers=asked)

    assert (answer.status_code, answer.content) == (204, b"")
    assert answer.headers["access-control-allow-origin"] == "*"
    assert "GET" in answer.headers["access-control-allow-methods"]
    allowed = answer.headers["access-control-allow-headers"].lower()
    assert "x-requested-with" in allowed


def test_the_old_paths_are_not_in_our_own_description(site: httpx.Client) -> None:
    paths = site.get("/api/openapi.json").json()["paths"]

    assert not [path for path in paths if not path.startswith("/api/")]


def test_a_site_without_it_answers_nothing_there(serve_site: ServeSite) -> None:
    assert serve_site().get("/oip/daemon/version").status_code == 404


def test_next_is_a_json_array_whatever_the_values(site: httpx.Client) -> None:
    order = "artifact.details.speciesName:a"
    told = site.get("/oip/artifact/get/latest", params={"sort": order, "limit": 1})
    species, time, txid = json.loads(unquote(told.json()["next"]))

    assert (species, len(txid)) == ("Vibrio cholerae", 64)
    assert time % 1000 == 0
