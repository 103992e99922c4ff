"""Asking a node about records."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from etdb.client.catalogue import NodeCatalogue, iter_results, parse_node_url
from etdb.client.filters import is_included
from etdb.errors import (
    ConflictError,
    EtdbError,
    InvalidDataError,
    NotAllowedError,
    NotFoundError,
    UnavailableError,
)
from etdb.testing.catalogue import make_edited, make_history, make_record
from etdb.testing.gateway import FakeGateway
from etdb.testing.store import MemoryStore


@pytest.fixture
def gateway() -> Iterator[FakeGateway]:
    with FakeGateway(MemoryStore()) as gateway:
        yield gateway


@pytest.fixture
def client(gateway: FakeGateway, limits: Any) -> Iterator[NodeCatalogue]:
    with NodeCatalogue(gateway.url, limits=limits) as client:
        yield client


def problem(code: str, message: str, **details: Any) -> dict[str, Any]:
    return {"error": {"code": code, "message": message, "details": details}}


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://h:8000", ("http://h:8000", "")),
        ("http://h:8000/", ("http://h:8000", "")),
        ("https://h/etdb/", ("https://h/etdb", "")),
        ("https://h/records", ("https://h", "")),
        ("https://h/records/3f2a9c", ("https://h", "3f2a9c")),
        ("https://h/records/3f2a9c/?x=1#y", ("https://h", "3f2a9c")),
        ("https://h/etdb/records/3f2a9c", ("https://h/etdb", "3f2a9c")),
        ("https://h/api/records/3f2a9c", ("https://h", "3f2a9c")),
        ("https://h/records/3f2a9c/history", ("https://h", "3f2a9c")),
        ("https://h/api/records/3f2a9c/versions", ("https://h", "3f2a9c")),
    ],
)
def test_a_node_s_url_is_found_in_any_of_its_pages(
    url: str, expected: tuple[str, str]
) -> None:
    assert parse_node_url(url) == expected


@pytest.mark.parametrize("url", ["", "h:8000", "ftp://h", "http://", "http://[", "x"])
def test_what_is_no_url_is_refused(url: str) -> None:
    with pytest.raises(InvalidDataError, match="not the URL of a node"):
        NodeCatalogue(url)


class Paged:
    """A catalogue of these pages; the last one names itself as the next."""

    def __init__(self, *pages: str, is_endless: bool = False) -> None:
        self._pages = pages
        self._is_endless = is_endless

    def search(
        self, query: str, *, sort: str, limit: int, after: str | None
    ) -> dict[str, Any]:
        number = int(after or 0)
        last = len(self._pages) - 1
        following = min(number + 1, last) if self._is_endless else number + 1
        return {
            "results": [{"id": letter} for letter in self._pages[number]],
            "next": str(following) if following <= last else None,
        }

    def get_record(self, record_id: str) -> dict[str, Any]:
        raise NotFoundError("record", record_id)

    def list_versions(self, record_id: str) -> dict[str, Any]:
        raise NotFoundError("record", record_id)


def test_what_moves_to_a_later_page_comes_once() -> None:
    assert [one["id"] for one in iter_results(Paged("abb", "bc", "d"))] == [*"abcd"]


@pytest.mark.parametrize("pages", [("ab", "b"), ("ab", "")])
def test_pages_that_do_not_end_are_refused(pages: tuple[str, ...]) -> None:
    with pytest.raises(InvalidDataError, match="do not end"):
        list(iter_results(Paged(*pages, is_endless=True)))


@pytest.mark.parametrize(
    "asked", ["{id}", "{short}", "{txid}", "{url}/records/{short}"]
)
def test_a_record_is_found_by_any_of_its_names(
    gateway: FakeGateway, client: NodeCatalogue, dataset: Any, asked: str
) -> None:
    record = {**make_record(7), **dataset.record}
    names = {"id": record["id"], "txid": "cd" * 32, "short": record["id"][:6]}
    for name in names.values():
        gateway.answers[f"/api/records/{name}"] = record

    found = client.get_record(asked.format(url=gateway.url, **names))

    assert found == record


@pytest.mark.parametrize(
    "wrong",
    [
        {"anchor": None},
        {"details": {"sid": 5}},
        {"files": [{}]},
        {"files": ["name"]},
        {"checks": [{"name": "text"}]},
        {"size_bytes": "many"},
    ],
)
def test_a_record_of_another_shape_is_refused(
    gateway: FakeGateway, client: NodeCatalogue, wrong: dict[str, Any]
) -> None:
    record = {**make_record(7), **wrong}
    gateway.answers[f"/api/records/{record['id']}"] = record

    with pytest.raises(InvalidDataError, match="like an etdb node"):
        client.get_record(record["id"])


def test_a_withdrawn_record_is_said_to_be_withdrawn(
    gateway: FakeGateway, client: NodeCatalogue
) -> None:
    withdrawn = {"by": "oA", "time": 1_773_600_000, "reason": "wrong pixel size"}
    record = {"id": "ab" * 32, "txid": "cd" * 32, "withdrawn": withdrawn}
    history = {"id": record["id"], "withdrawn": {**withdrawn, "timestamp": 1e300}}
    gateway.answers[f"/api/records/{record['id']}"] = record
    gateway.answers[f"/api/records/{record['id']}/versions"] = history

    with pytest.raises(NotAllowedError, match=r"by oA on 2026-03-15$") as caught:
        client.get_record("ab" * 32)
    with pytest.raises(NotAllowedError, match=r"withdrawn by oA$"):
        client.list_versions("ab" * 32)

    assert caught.value.hint == "the reason given: wrong pixel size"


def test_an_edited_record_is_found_by_any_of_its_versions(
    gateway: FakeGateway, client: NodeCatalogue
) -> None:
    record = make_edited(7, 2)
    for version in record["versions"]:
        for name in (version["id"], version["txid"]):
            gateway.answers[f"/api/records/{name}"] = record
            assert client.get_record(name) == record


def test_the_history_of_a_record_is_asked_for_by_its_page(
    gateway: FakeGateway, client: NodeCatalogue
) -> None:
    history = make_history(make_edited(7, 2))
    gateway.answers[f"/api/records/{history['id']}/versions"] = history

    page = f"{gateway.url}/records/{history['id']}/history"

    assert client.list_versions(page) == history


@pytest.mark.parametrize(
    "wrong",
    [
        {"id": None},
        {"versions": None},
        {"versions": [{}]},
        {"versions": [7]},
        {"old": {}},
        {"old": [{"action": "edit"}]},
        {"changes": "words"},
        {"changes": [7]},
    ],
)
def test_a_history_of_another_shape_is_refused(
    gateway: FakeGateway, client: NodeCatalogue, wrong: dict[str, Any]
) -> None:
    history = {**make_history(make_edited(7, 1)), **wrong}
    if "changes" in wrong:
        history["versions"] = [history["versions"][0] | wrong]
    gateway.answers["/api/records/abcdef/versions"] = history

    with pytest.raises(InvalidDataError, match="like an etdb node"):
        client.list_versions("abcdef")


def test_a_list_of_things_that_are_no_records_is_refused(
    gateway: FakeGateway, client: NodeCatalogue
) -> None:
    gateway.answers["/api/records"] = {"total": 1, "results": [{}]}

    with pytest.raises(InvalidDataError, match="like an etdb node"):
        client.search()


def test_another_record_than_the_one_asked_for_is_refused(
    gateway: FakeGateway, client: NodeCatalogue, dataset: Any
) -> None:
    gateway.answers[f"/api/records/{'00' * 32}"] = dataset.record

    with pytest.raises(InvalidDataError, match="sent another"):
        client.get_record("00" * 32)


def test_a_search_is_handed_on_whole(
    gateway: FakeGateway, client: NodeCatalogue
) -> None:
    page = {"count": 0, "total": 0, "results": [], "next": None}
    gateway.answers["/api/records"] = page

    found = client.search('species:"a b" & c', sort="oldest", limit=5, after="x=")

    assert found == page
    assert gateway.requests == [
        "/api/records?q=species%3A%22a+b%22+%26+c&sort=oldest&limit=5&after=x%3D"
    ]


@pytest.mark.parametrize(
    ("status", "value", "kind", "says"),
    [
        (404, problem("not-found", "no record"), NotFoundError, "no record 3f2a9c"),
        (409, problem("conflict", "two", candidates=["a"]), ConflictError, "two"),
        (
            422,
            problem("invalid-data", "bad query", position=3),
            InvalidDataError,
            "bad",
        ),
        (422, ["odd"], InvalidDataError, "answers 422"),
        (422, {"error": {"code": 7, "details": 8}}, InvalidDataError, "answers 422"),
        (503, problem("unavailable", "down"), UnavailableError, "answers 503"),
        (200, [1], InvalidDataError, "JSON object"),
    ],
)
def test_a_node_s_error_is_raised_as_it_was_there(
    gateway: FakeGateway,
    client: NodeCatalogue,
    status: int,
    value: object,
    kind: type[EtdbError],
    says: str,
) -> None:
    gateway.answers["/api/records/3f2a9c"] = (status, value)

    with pytest.raises(kind, match=says) as caught:
        client.get_record("3f2a9c")

    assert type(caught.value) is kind


def test_facts_of_a_node_s_error_arrive(
    gateway: FakeGateway, client: NodeCatalogue
) -> None:
    gateway.answers["/api/records"] = (
        422,
        problem("invalid-data", "bad query", position=3, hint="close the quote"),
    )

    with pytest.raises(InvalidDataError) as caught:
        client.search('"')

    assert caught.value.facts["position"] == 3
    assert caught.value.hint == "close the quote"


def test_what_is_no_node_is_said_to_be_none(
    gateway: FakeGateway, client: NodeCatalogue
) -> None:
    gateway.answers["/api/records"] = {"results": 5}

    with pytest.raises(InvalidDataError, match="like an etdb node"):
        client.search()


@pytest.mark.parametrize(
    ("globs", "wanted"),
    [
        ([], True),
        (["*.st"], True),
        (["raw/*"], True),
        (["ts?1.st"], True),
        (["*.ST"], False),
        (["rec/*", "*.mrc"], False),
    ],
)
def test_globs_are_tried_on_the_name_and_its_last_part(
    globs: list[str], wanted: bool
) -> None:
    assert is_included("raw/ts 1.st", globs) is wanted
