"""The JSON API: the same dicts that the pages show.

Lists are {"count", "total", "results", "next"}; errors have one shape
(`etdb.web.problem`). Read-only, and open to programs in any browser.
"""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query
from starlette.responses import JSONResponse

from etdb.web import header, schema
from etdb.web.follow import Following
from etdb.web.route import add_read
from etdb.web.site import Record, Site
from etdb.web.status import public_status, without_places

MAX_LIMIT = 200
MAX_QUERY_CHARACTERS = 2000

QueryText = Annotated[
    str, Query(max_length=MAX_QUERY_CHARACTERS, description="as in the search box")
]
Sort = Annotated[str, Query(max_length=40, description="the order of the list")]
Limit = Annotated[int, Query(ge=1, le=MAX_LIMIT, description="results on a page")]
After = Annotated[
    str | None, Query(max_length=1000, description="what the page before gave as next")
]

_FAILS: dict[int | str, dict[str, Any]] = {
    status: {"model": schema.ErrorShape, "description": says}
    for status, says in {
        404: "there is no such record",
        409: "the id is a prefix of several records: `details.candidates`",
        422: "a parameter or the query is wrong: `details.position`",
    }.items()
}


class Api:
    """The routes under /api."""

    def __init__(self, site: Site, following: Following | None) -> None:
        self._site = site
        self._following = following
        self.router = APIRouter(prefix="/api", default_response_class=JSONResponse)
        for path, endpoint, shape in (
            ("/records", self.list_records, schema.RecordListShape),
            (
                "/records/{id_text}",
                self.get_record,
                schema.FullRecordShape | schema.WithdrawnRecordShape,
            ),
            (
                "/records/{id_text}/versions",
                self.list_versions,
                schema.HistoryShape | schema.WithdrawnHistoryShape,
            ),
            ("/rejected", self.list_rejected, schema.RejectedListShape),
            ("/status", self.get_status, schema.StatusShape),
        ):
            responses = {200: {"model": shape}, **_FAILS}
            add_read(self.router, path, endpoint, responses=responses)

    def list_records(
        self,
        q: QueryText = "",
        sort: Sort = "newest",
        limit: Limit = 20,
        after: After = None,
    ) -> JSONResponse:
        """Records that match a query."""
        page = self._site.catalogue.search(q, sort=sort, limit=limit, after=after)
        return _answer(page)

    def get_record(self, id_text: str) -> JSONResponse:
        """One record by its digest, a txid, or a unique prefix of 6 or more."""
        return _answer(shown(self._site.catalogue.get_record(id_text)))

    def list_versions(self, id_text: str) -> JSONResponse:
        """What became of a record: its versions, who signed them, what changed."""
        return _answer(shown_history(self._site.catalogue.list_versions(id_text)))

    def list_rejected(self, limit: Limit = 50, after: After = None) -> JSONResponse:
        """Messages that the rules refused, with the rule's number."""
        page = self._site.catalogue.list_rejected(limit=limit, after=after)
        return _answer(page)

    def get_status(self) -> JSONResponse:
        """What this node holds, and how far it follows its ledgers."""
        return _answer(status_of(self._site, self._following))


def shown(record: Record) -> Record:
    """The record, or, if it is withdrawn, that and nothing else."""
    if record["withdrawn"] is None:
        return record
    kept = ("id", "txid", "publisher", "anchors", "withdrawn")
    return {key: record[key] for key in kept}


def shown_history(history: Record) -> Record:
    """The history, or, if the record is withdrawn, that and nothing else."""
    if history["withdrawn"] is None:
        return history
    return {key: history[key] for key in ("id", "withdrawn")}


def status_of(site: Site, following: Following | None) -> Record:
    """What visitors may know of the node, and whether following works."""
    problem = "" if following is None else following.problem
    return {
        **public_status(site.status()),
        "name": site.name,
        "version": site.version,
        "follow_problem": without_places(problem),
    }


def _answer(value: object) -> JSONResponse:
    return JSONResponse(value, headers=header.OPEN)
