"""The HTML pages: each has a JSON twin under /api and works without JavaScript."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from etdb.errors import InvalidDataError
from etdb.web import past
from etdb.web.api import After, QueryText, Sort, shown, status_of
from etdb.web.follow import Following
from etdb.web.problem import STATUS
from etdb.web.route import add_read
from etdb.web.site import Site
from etdb.web.template import Templates

WALL_SIZE = 24
GRID_SIZE = 24
TABLE_SIZE = 50
REJECTED_SIZE = 50

View = Annotated[Literal["grid", "table"], Query()]


class Pages:
    """The routes that people look at."""

    def __init__(
        self, site: Site, templates: Templates, following: Following | None
    ) -> None:
        self._site = site
        self._templates = templates
        self._following = following
        self.router = APIRouter(include_in_schema=False)
        for path, endpoint in (
            ("/", self.show_home),
            ("/records", self.list_records),
            ("/records/{id_text}", self.show_record),
            ("/records/{id_text}/history", self.show_history),
            ("/status", self.show_status),
            ("/rejected", self.list_rejected),
            ("/about", self.show_about),
            ("/api/docs", self.show_api),
        ):
            add_read(self.router, path, endpoint)

    def show_home(self, request: Request) -> Response:
        """What this is, and a wall of pictures."""
        newest = self._site.catalogue.search(
            "", sort="newest", limit=WALL_SIZE, after=None
        )
        return self._templates.page(
            request,
            "home.html",
            counts=self._site.catalogue.count(),
            records=newest["results"],
        )

    def list_records(
        self,
        request: Request,
        q: QueryText = "",
        sort: Sort = "newest",
        view: View = "grid",
        after: After = None,
    ) -> Response:
        """Records that match, as pictures or as a table."""
        state = {"q": q, "sort": sort, "view": view}
        limit = GRID_SIZE if view == "grid" else TABLE_SIZE
        try:
            page = self._site.catalogue.search(q, sort=sort, limit=limit, after=after)
        except InvalidDataError as exc:
            return self._templates.page(
                request,
                "records.html",
                status=STATUS[type(exc)],
                state=state,
                after=after,
                page=None,
                error=exc,
            )
        return self._templates.page(
            request, "records.html", state=state, after=after, page=page, error=None
        )

    def show_record(self, request: Request, id_text: str) -> Response:
        """One dataset."""
        record = shown(self._site.catalogue.get_record(id_text))
        if record["withdrawn"] is not None:
            return self._templates.page(request, "withdrawn.html", record=record)
        return self._templates.page(
            request,
            "record.html",
            record=record,
            asked=past.superseded(record, id_text),
            site_url=str(request.base_url),
        )

    def show_history(self, request: Request, id_text: str) -> Response:
        """What became of one record."""
        history = self._site.catalogue.list_versions(id_text)
        record = self._site.catalogue.get_record(history["id"])
        if record["withdrawn"] is not None:
            return self._templates.page(request, "withdrawn.html", record=shown(record))
        return self._templates.page(
            request, "history.html", record=record, history=history
        )

    def show_status(self, request: Request) -> Response:
        """What this node holds."""
        node = status_of(self._site, self._following)
        return self._templates.page(request, "status.html", node=node)

    def list_rejected(self, request: Request, after: After = None) -> Response:
        """Messages that the rules refused."""
        page = self._site.catalogue.list_rejected(limit=REJECTED_SIZE, after=after)
        return self._templates.page(request, "rejected.html", page=page, after=after)

    def show_about(self, request: Request) -> Response:
        """What electron tomography is and how this works."""
        return self._templates.page(request, "about.html")

    def show_api(self, request: Request) -> Response:
        """The API's description, from its OpenAPI document."""
        return self._templates.page(
            request,
            "api.html",
            api=request.app.openapi(),
            site_url=str(request.base_url),
        )
