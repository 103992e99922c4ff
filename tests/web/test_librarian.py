"""/alexandria/v2 answers as the librarian did."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from etdb.errors import DamagedFileError, UnavailableError
from etdb.index import follow
from etdb.index.db import Index
from etdb.index.oip.librarian import LibrarianIndex, Sort
from etdb.index.oip.oipd import OipIndex
from etdb.index.oip.record import Document
from etdb.testing.ledger import MemoryLedger
from etdb.testing.records import Author
from etdb.web.dialect import MAX_DEPTH
from etdb.web.librarian import MAX_BODY_BYTES, MAX_TEXTS, PIECES_AT_ONCE

ServeSite = Callable[..., httpx.Client]

V2 = "/alexandria/v2"
RECORDS = 7


def no_ledger(_ledger: str, _height: int, _position: int) -> bytes:
    raise UnavailableError("the ledger is not there")


@pytest.fixture(scope="module")
def ledger() -> MemoryLedger:
    author, ledger = Author(), MemoryLedger()
    for number in range(RECORDS - 1):
        details = {"sid": f"s{number}", "speciesName": f"Species {number % 3}"}
        artifact = author.artifact(details, timestamp=1_700_000_000 + number)
        text = author.publish(artifact)
        ledger.mine(text)
    ledger.mine(author.edit(text, 2, sid="edited", strain="K12"))
    other = Author(2)
    ledger.mine(other.publish(other.artifact({"sid": "x"}, type="Video", subtype="")))
    ledger.mine(author.register("Synthetic lab"))
    return ledger


@pytest.fixture(scope="module")
def site(
    serve_site: ServeSite, ledger: MemoryLedger, tmp_path_factory: Any
) -> Iterator[httpx.Client]:
    path: Path = tmp_path_factory.mktemp("index") / "index.sqlite"
    with Index.create(path, [ledger.info]) as index:
        follow.follow(index, ledger)
        yield serve_site(oip=OipIndex(index, no_ledger))


def sids(records: list[dict[str, Any]]) -> list[str]:
    return [record["oip042"]["artifact"]["details"]["sid"] for record in records]


def listed(site: httpx.Client, query: str) -> dict[str, Any]:
    answer = site.get(f"{V2}/artifact/get/type?{query}")
    assert answer.status_code == 200, answer.text
    assert answer.headers["access-control-allow-origin"] == "*"
    return dict(answer.json())


def test_all_records_newest_first(site: httpx.Client) -> None:
    for query in ("t=*&st=*&results=*&page=1", "results=0", "results=00&page=null"):
        told = listed(site, query)
        assert (told["total"], told["count"], told["pages"]) == (RECORDS, RECORDS, 1)
        assert sids(told["results"])[:3] == ["s4", "s3", "s2"]


@pytest.mark.parametrize(
    ("page", "count"), [(1, 3), (2, 3), (3, 1), (4, 0), (999_999_999, 0)]
)
def test_pages_are_computed_from_the_total(
    site: httpx.Client, page: int, count: int
) -> None:
    told = listed(site, f"t=*&st=*&results=3&page={page}&pub=")

    assert (told["total"], told["count"], told["pages"]) == (RECORDS, count, 3)
    assert len(told["results"]) == count


@pytest.mark.parametrize(
    ("query", "total"),
    [
        ("t=research&st=tomogram", RECORDS - 1),
        ("t=Research&st=Tomogram", RECORDS - 1),
        ("t=video&st=-", 1),
        ("t=research&st=-", 0),
        ("t=-&st=-", 0),
        ("t=&st=", RECORDS),
        ("pub=oNobody", 0),
    ],
)
def test_types_and_publishers_are_told_apart(
    site: httpx.Client, query: str, total: int
) -> None:
    assert listed(site, query)["total"] == total


class BrokenLibrarian(LibrarianIndex):
    """An index that is found broken after some of its records."""

    def __init__(self, index: Index, whole: int) -> None:
        super().__init__(index)
        self._whole = whole

    def iter_records(
        self, sort: Sort, *, limit: int | None, offset: int
    ) -> Iterator[Document]:
        """As many records as are whole."""
        found = list(super().iter_records(sort, limit=limit, offset=offset))
        while self._whole > 0:
            yield from found[: self._whole]
            self._whole -= len(found)
        raise DamagedFileError("a record is not there", path=Path("/home/of/somebody"))


@pytest.fixture
def serve_broken(
    serve_site: ServeSite, ledger: MemoryLedger, tmp_path: Path
) -> Iterator[Callable[[int], httpx.Client]]:
    with Index.create(tmp_path / "index.sqlite", [ledger.info]) as index:
        follow.follow(index, ledger)

        def serve(whole: int) -> httpx.Client:
            oip = OipIndex(index, no_ledger)
            oip.librarian = BrokenLibrarian(index, whole)
            return serve_site(oip=oip)

        yield serve


@pytest.mark.parametrize("whole", [0, 1, RECORDS, PIECES_AT_ONCE - 10])
def test_a_list_that_cannot_be_made_is_no_answer(
    serve_broken: Callable[[int], httpx.Client], whole: int
) -> None:
    answer = serve_broken(whole).get(f"{V2}/artifact/get/type?results=*")

    assert answer.status_code == 500
    assert answer.json() == {"error": "unable to answer", "status": "error"}


def test_a_list_longer_than_its_beginning_is_whole(
    serve_site: ServeSite, tmp_path: Path
) -> None:
    author, ledger = Author(), MemoryLedger()
    count = PIECES_AT_ONCE + 5
    ledger.mine(
        *(author.publish(author.artifact({"sid": f"s{n}"})) for n in range(count))
    )
    with Index.create(tmp_path / "index.sqlite", [ledger.info]) as index:
        follow.follow(index, ledger)
        told = listed(serve_site(oip=OipIndex(index, no_ledger)), "results=*")

    assert told["count"] == told["total"] == len(set(sids(told["results"]))) == count


def test_nothing_is_an_empty_list(site: httpx.Client) -> None:
    assert listed(site, "pub=oNobody&results=*") == {
        "results": [],
        "total": 0,
        "count": 0,
        "pages": 0,
    }


def test_an_edited_record_keeps_the_txid_that_published_it(
    site: httpx.Client, ledger: MemoryLedger
) -> None:
    original = ledger.block(RECORDS - 1).carried[0].txid
    edit = ledger.block(RECORDS).carried[0].txid

    for digits in (original, original[:6], original[:6].upper(), edit):
        told = site.get(f"{V2}/artifact/get?id={digits}").json()
        assert told["txid"] == original
        assert told["oip042"]["artifact"]["details"]["strain"] == "K12"
        assert told["publisher"] == Author().address
        assert told["publisherName"] == "Synthetic lab"


@pytest.mark.parametrize("digits", ["", "5e03" * 16, "xyz", "%00", "5e03" * 17, "%"])
def test_an_artifact_that_is_not_there(site: httpx.Client, digits: str) -> None:
    answer = site.get(f"{V2}/artifact/get?id={digits}")

    assert answer.status_code == 404
    assert answer.json() == {"error": "artifact not found"}


def test_summary_and_info(site: httpx.Client) -> None:
    summary = site.get(f"{V2}/research/tomogram/summary").json()

    assert summary == {
        "total": RECORDS - 1,
        "species": 4,
        "publishers": {Author().address: RECORDS - 1},
    }
    assert site.get(f"{V2}/info").json() == {
        "avgArtCost": 0,
        "artifactCount": RECORDS,
        "publisherCount": 1,
        "version": "0",
    }


def test_publishers_in_both_shapes_that_clients_read(site: httpx.Client) -> None:
    (told,) = site.get(f"{V2}/publisher/get/all").json()

    assert told["alias"] == "Synthetic lab"
    assert told["floAddress"] == Author().address
    assert told["oip042"]["publisher"]["alias"] == "Synthetic lab"
    old = told["publisher-data"]["alexandria-publisher"]
    assert (old["name"], old["address"]) == ("Synthetic lab", Author().address)
    assert len(told["txid"]) == 64


@pytest.mark.parametrize(
    "kind", ["retailer", "promoter", "autominer", "autominerpool", "media"]
)
def test_what_this_system_has_none_of_is_an_empty_list(
    site: httpx.Client, kind: str
) -> None:
    assert site.get(f"{V2}/{kind}/get/all").json() == []


def test_a_publisher_that_nobody_names_is_an_empty_list(site: httpx.Client) -> None:
    """oip-index asks for one without saying which."""
    answer = site.get(f"{V2}/artifact/get/publisher")

    assert (answer.status_code, answer.json()) == (200, [])
    assert answer.headers["access-control-allow-origin"] == "*"


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({"protocol": "media", "search-on": "*", "search-for": "K12"}, ["edited"]),
        ({"search-for": "K1"}, ["edited"]),
        ({"search-for": "K1", "search-like": False}, []),
        ({"searchFor": "edited", "searchOn": "sid", "searchLike": False}, ["edited"]),
        ({"search-on": "type", "search-for": "Video"}, ["x"]),
        ({"search-for": ""}, []),
        ({"search-for": None, "protocol": ["x"]}, []),
        ({"search-on": "address", "search-for": Author(2).address}, ["x"]),
        ({"search-on": "publisher", "search-for": Author(2).address}, ["x"]),
        ({}, []),
    ],
)
def test_search_takes_both_spellings(
    site: httpx.Client, asked: dict[str, Any], found: list[str]
) -> None:
    told = site.post(f"{V2}/search", json=asked).json()

    assert told["status"] == "success"
    assert sids(told["response"]) == found


def test_search_for_publishers_and_for_what_is_not_kept(site: httpx.Client) -> None:
    def ask(**asked: str) -> list[dict[str, Any]]:
        told = {key.replace("_", "-"): value for key, value in asked.items()}
        return list(site.post(f"{V2}/search", json=told).json()["response"])

    by_address = ask(
        protocol="publisher", search_on="address", search_for=Author().address
    )
    by_name = ask(protocol="publisher", search_on="name", search_for="synth")
    every = ask(protocol="publisher", search_on="*", search_for="*")
    assert by_address == by_name == every
    assert len(every) == 1
    nobody = ask(protocol="publisher", search_on="address", search_for="")
    assert nobody == ask(protocol="retailer", search_on="*", search_for="x") == []


def test_a_search_in_a_field_that_is_not_kept_is_refused(site: httpx.Client) -> None:
    answer = site.post(f"{V2}/search", json={"search-on": "mood", "search-for": "x"})

    assert answer.status_code == 400
    assert "mood" in answer.json()["error"]


def test_texts_of_transactions_end_with_null(
    site: httpx.Client, ledger: MemoryLedger
) -> None:
    """oip-index asks for the next page until it is told null."""

    def ask(**asked: object) -> Any:
        told = {key.replace("_", "-"): value for key, value in asked.items()}
        return site.post(f"{V2}/searchTxComment", json=told).json()

    everything = ask(search="oip042")
    assert len(everything) == ledger.tip().height
    assert all(set(each) == {"Hash", "Message"} for each in everything)
    paged = [ask(search="oip042", page=page, results_per_page=4) for page in range(4)]
    assert [each for page in paged[:3] for each in page] == everything
    assert paged[3] is None
    for nothing in (
        {"search": "nowhere"},
        {"search": ""},
        {"search": "x", "page": 10**30},
    ):
        assert ask(**nothing) is None
    assert len(ask(search="oip042", results_per_page=10_000)) <= 30


class CountingLibrarian(LibrarianIndex):
    """It remembers how deep it was asked to look."""

    def __init__(self, index: Index) -> None:
        super().__init__(index)
        self.offsets: list[int] = []

    def find_words(self, words: str, *, limit: int, offset: int) -> list[Document]:
        """What is found, of which this has no say."""
        self.offsets.append(offset)
        return super().find_words(words, limit=limit, offset=offset)


def test_no_text_is_looked_for_beyond_the_greatest_depth(
    serve_site: ServeSite, ledger: MemoryLedger, tmp_path: Path
) -> None:
    """All that comes before a page is read as well."""
    with Index.create(tmp_path / "index.sqlite", [ledger.info]) as index:
        follow.follow(index, ledger)
        oip = OipIndex(index, no_ledger)
        oip.librarian = counting = CountingLibrarian(index)
        site = serve_site(oip=oip)
        for page, size in (
            (100, 100),
            (10_000, 1),
            (10_001, 1),
            (10**9, 30),
            (334, 30),
        ):
            asked = {"search": "oip042", "page": page, "results-per-page": size}
            told = site.post(f"{V2}/searchTxComment", json=asked)
            assert (told.status_code, told.json()) == (200, None)

    assert counting.offsets == [100 * MAX_TEXTS, MAX_DEPTH]


@pytest.mark.parametrize("words", ["\\u0000", "K12\\u0000", "\\u0001", "\\ud800"])
@pytest.mark.parametrize("field", ["*", "type", "address", "strain", "name"])
def test_words_that_no_text_can_hold_are_answered(
    site: httpx.Client, words: str, field: str
) -> None:
    for protocol in ("media", "publisher"):
        body = (
            f'{{"protocol":"{protocol}","search-for":"{words}",'
            f'"search-on":"{field}","search":"{words}"}}'
        )
        for path in ("/search", "/searchTxComment"):
            assert site.post(V2 + path, content=body).status_code in {200, 400}


@pytest.mark.parametrize("path", ["/calcpubfee", "/v1/sign", "/v1/send"])
def test_what_needs_a_wallet_is_refused(site: httpx.Client, path: str) -> None:
    answer = site.post(V2 + path, json={"address": "F", "text": "sign me"})

    assert answer.status_code == 403
    assert "no wallet" in answer.json()["error"]
    assert answer.json()["status"] == "error"


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"1", b"null", b"[" * 9000, b"\xff", b'"\\ud800"']
)
def test_a_request_that_is_no_json_object_is_400(
    site: httpx.Client, body: bytes
) -> None:
    answer = site.post(f"{V2}/search", content=body)

    assert answer.status_code == 400


def test_a_long_request_is_not_read(site: httpx.Client) -> None:
    limit = b'{"search-for":"' + b"x" * (MAX_BODY_BYTES - 17) + b'"}'
    assert len(limit) == MAX_BODY_BYTES
    fits = site.post(f"{V2}/search", content=limit)
    longer = site.post(f"{V2}/search", content=limit + b" ")
    unending = site.post(f"{V2}/search", content=(b" " * 1000 for _ in range(5000)))

    assert fits.status_code == 200
    assert longer.status_code == unending.status_code == 413


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3),
    max_leaves=4,
)
WORDS = "protocol search search-for search-on searchLike page results-per-page"
KEYS = st.sampled_from(WORDS.split())


@given(st.dictionaries(KEYS, JSON | st.sampled_from(["media", "publisher", "*"])))
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_object_is_answered_or_refused(
    site: httpx.Client, asked: dict[str, Any]
) -> None:
    for path in ("/search", "/searchTxComment"):
        assert site.post(V2 + path, json=asked).status_code in {200, 400}


def test_a_browser_may_post(site: httpx.Client) -> None:
    answer = site.options(
        f"{V2}/search",
        headers={
            "Origin": "https://example.org",
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "content-type",
        },
    )

    assert answer.status_code == 204
    assert answer.headers["access-control-allow-origin"] == "*"
    assert "POST" in answer.headers["access-control-allow-methods"]
    assert "Content-Type" in answer.headers["access-control-allow-headers"]


@pytest.mark.parametrize("path", ["", "/nothing", "/artifact/get", "/info"])
def test_a_browser_may_read(site: httpx.Client, path: str) -> None:
    answer = site.options(V2 + path, headers={"Origin": "https://example.org"})

    assert (answer.status_code, answer.content) == (204, b"")
    assert answer.headers["access-control-allow-origin"] == "*"
    assert "GET" in answer.headers["access-control-allow-methods"]


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("POST", "/artifact/get/type", "GET, HEAD, OPTIONS"),
        ("DELETE", "/artifact/get", "GET, HEAD, OPTIONS"),
        ("PROPFIND", "/retailer/get/all", "GET, HEAD, OPTIONS"),
        ("GET", "/search", "POST, OPTIONS"),
        ("PUT", "/v1/send", "POST, OPTIONS"),
    ],
)
def test_another_method_is_refused_as_json_that_scripts_may_read(
    site: httpx.Client, method: str, path: str, allowed: str
) -> None:
    answer = site.request(method, V2 + path)

    assert answer.status_code == 405
    assert answer.json() == {"error": "this path is not asked with that method"}
    assert answer.headers["allow"] == allowed
    assert answer.headers["access-control-allow-origin"] == "*"


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
@pytest.mark.parametrize("path", ["", "/", "/nothing"])
def test_other_paths_are_not_found_and_confined(
    site: httpx.Client, method: str, path: str
) -> None:
    answer = site.request(method, V2 + path)

    assert answer.status_code == 404
    assert answer.json() == {"error": "there is no such path"}
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "default-src 'none'" in answer.headers["content-security-policy"]
