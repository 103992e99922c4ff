"""The API gives the index's dicts in one list shape and one error shape."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest
from pydantic import BaseModel

from etdb.errors import DamagedFileError, UnavailableError
from etdb.testing.catalogue import (
    MemoryCatalogue,
    make_edited,
    make_history,
    make_record,
)
from etdb.web import schema
from etdb.web.app import STATUS

ServeSite = Callable[..., httpx.Client]

WITHDRAWN = {"by": "oAddress", "time": 1_773_600_000, "reason": "wrong pixel size"}
REJECTED = {
    "ledger": "c0" * 32,
    "height": 112,
    "position": 1,
    "txid": "ee" * 32,
    "time": 1_773_600_000,
    "code": "R7",
    "reason": "part 2 does not verify",
}

PLACE = frozenset(
    {"ledger", "ledger_kind", "height", "position", "txid", "time", "coverage"}
)


@pytest.fixture(scope="module")
def catalogue() -> MemoryCatalogue:
    records = [make_record(number) for number in range(5)]
    twin = make_record(9, id=records[0]["id"][:6] + "cd" * 29)
    withdrawn = make_record(8, withdrawn=WITHDRAWN)
    edited = make_edited(7, 2)
    version = make_history(edited)["versions"][1]
    place = {key: value for key, value in version.items() if key in PLACE}
    signed = {key: version[key] for key in ("by", "by_name", "timestamp", "published")}
    old = {
        **place,
        "by": None,
        "timestamp": 0,
        "action": "edit",
        "says": "change nothing",
    }
    return MemoryCatalogue(
        [*records, twin, withdrawn, edited],
        [REJECTED],
        {
            edited["id"]: make_history(edited, old=[old], old_count=1),
            withdrawn["id"]: make_history(
                withdrawn, withdrawn={**place, **signed, "reason": "wrong"}
            ),
        },
    )


@pytest.fixture(scope="module")
def api(serve_site: ServeSite, catalogue: MemoryCatalogue) -> httpx.Client:
    return serve_site(
        catalogue=catalogue,
        status=lambda: {"records": 6, "stale_files": ["/disk/secret/tomogram.mrc"]},
    )


def _error(answer: httpx.Response) -> dict[str, Any]:
    return dict(schema.ErrorShape.model_validate(answer.json()).error)


def test_a_list_counts_and_says_how_to_go_on(api: httpx.Client) -> None:
    first = api.get("/api/records", params={"limit": 4}).json()
    second = api.get("/api/records", params={"limit": 4, "after": first["next"]}).json()

    assert (first["count"], first["total"]) == (4, 7)
    assert (second["count"], second["total"], second["next"]) == (3, 7, None)
    ids = [record["id"] for page in (first, second) for record in page["results"]]
    assert len(set(ids)) == 7


@pytest.mark.parametrize(
    ("path", "shape"),
    [
        ("/api/records/000000".replace("000000", "02abab"), schema.FullRecordShape),
        ("/api/records/07abab", schema.FullRecordShape),
        ("/api/records/08abab", schema.WithdrawnRecordShape),
        ("/api/records/02abab/versions", schema.HistoryShape),
        ("/api/records/07abab/versions", schema.HistoryShape),
        ("/api/records/0702cd/versions", schema.HistoryShape),
        ("/api/records/08abab/versions", schema.WithdrawnHistoryShape),
        ("/api/rejected", schema.RejectedListShape),
    ],
)
def test_answers_are_as_described(
    api: httpx.Client, path: str, shape: type[BaseModel]
) -> None:
    shape.model_validate(api.get(path).json())


def test_a_record_is_found_by_id_txid_and_prefix(
    api: httpx.Client, catalogue: MemoryCatalogue
) -> None:
    record = catalogue.records[1]

    for name in (record["id"], record["txid"], record["id"][:6]):
        assert api.get(f"/api/records/{name}").json() == record


def test_a_withdrawn_record_shows_nothing_else(api: httpx.Client) -> None:
    answer = api.get("/api/records/08abab").json()

    assert answer["withdrawn"] == WITHDRAWN
    assert not {"title", "files", "details", "text", "cid"} & set(answer)
    history = api.get("/api/records/08abab/versions").json()
    assert set(history) == {"id", "withdrawn"}


def test_a_superseded_version_leads_to_its_record(
    api: httpx.Client, catalogue: MemoryCatalogue
) -> None:
    record = catalogue.get_record("07abab")

    for version in record["versions"]:
        answer = api.get(f"/api/records/{version['id']}").json()
        assert answer["id"] == record["id"]


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/api/records/ffffffff", 404, "not-found"),
        ("/api/records/" + "00abab", 409, "conflict"),
        ("/api/records/ffffffff/versions", 404, "not-found"),
        ("/api/records/00abab/versions", 409, "conflict"),
        ("/api/records?q=%22open", 422, "invalid-data"),
        ("/api/records?sort=colour", 422, "invalid-data"),
        ("/api/records?limit=0", 422, "invalid-data"),
        ("/api/records?limit=1000000", 422, "invalid-data"),
        ("/api/records?limit=many", 422, "invalid-data"),
        ("/api/records?q=" + "x" * 3000, 422, "invalid-data"),
        ("/api/nothing", 404, "not-found"),
    ],
)
def test_every_error_has_the_one_shape(
    api: httpx.Client, path: str, status: int, code: str
) -> None:
    answer = api.get(path)

    assert answer.status_code == status
    assert _error(answer)["code"] == code


def test_a_wrong_query_says_where(api: httpx.Client) -> None:
    error = _error(api.get("/api/records", params={"q": 'a "b'}))

    assert error["details"]["position"] == 2


def test_an_ambiguous_id_lists_the_candidates(api: httpx.Client) -> None:
    error = _error(api.get("/api/records/00abab"))

    assert len(error["details"]["candidates"]) == 2


def test_the_parameter_at_fault_is_named(api: httpx.Client) -> None:
    error = _error(api.get("/api/records?limit=many"))

    assert error["message"].startswith("limit:")
    assert error["details"] == {"in": "limit"}


def test_status_names_stale_files_but_not_where_they_lie(api: httpx.Client) -> None:
    answer = api.get("/api/status")

    assert answer.json()["stale_files"] == ["tomogram.mrc"]
    assert "secret" not in answer.text
    assert answer.json()["version"] == "0"


def test_any_site_may_read_and_nobody_may_write(api: httpx.Client) -> None:
    assert api.get("/api/records").headers["access-control-allow-origin"] == "*"
    assert api.post("/api/records").status_code == 405
    assert api.head("/api/records").status_code == 200


def test_the_description_covers_every_path_and_is_local(api: httpx.Client) -> None:
    description = api.get("/api/openapi.json").json()
    page = api.get("/api/docs").text

    assert set(description["paths"]) == {
        "/api/records",
        "/api/records/{id_text}",
        "/api/records/{id_text}/versions",
        "/api/rejected",
        "/api/status",
    }
    for path in description["paths"]:
        assert path in page


@pytest.mark.parametrize("error", [DamagedFileError, UnavailableError])
def test_a_node_in_trouble_says_so(
    serve_site: ServeSite, error: type[DamagedFileError | UnavailableError]
) -> None:
    def fail() -> dict[str, Any]:
        raise error("it is broken", hint="mend it")

    answer = serve_site(status=fail).get("/api/status")

    assert answer.status_code == STATUS[error]
    assert _error(answer)["code"] == error.code
    assert _error(answer)["details"]["hint"] == "mend it"


def test_a_bug_shows_nothing_of_itself(serve_site: ServeSite) -> None:
    def fail() -> dict[str, Any]:
        raise RuntimeError("secret")

    site = serve_site(status=fail)

    for path in ("/api/status", "/status"):
        answer = site.get(path)
        assert answer.status_code == 500
        assert "secret" not in answer.text
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "default-src 'none'" in answer.headers["content-security-policy"]
