"""The web application: one site's pages, API and gateway.

Read-only: nothing here publishes, and nothing here writes but the index's
follower, if the site has one.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from fastapi import FastAPI
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Receive, Scope, Send

from etdb.web.api import Api
from etdb.web.follow import Following
from etdb.web.gateway import Gateway
from etdb.web.header import Guard
from etdb.web.librarian import Librarian
from etdb.web.oipd import Oipd
from etdb.web.pages import Pages
from etdb.web.problem import STATUS, Problems
from etdb.web.routing import Routing
from etdb.web.site import Site
from etdb.web.stream import Reader
from etdb.web.template import FOLDER, Templates

__all__ = ["STATUS", "Site", "create_app"]


def create_app(site: Site) -> ASGIApp:
    """The application of a site, ready for `server.serve`.

    A client that takes blocks one by one asks a thousand times: only what is
    not below /ipfs/ passes through FastAPI.
    """
    reader = Reader(site.max_streams)
    templates = Templates(site)
    content = Gateway(site.store, reader, templates)
    rest = _create_rest(site, reader, templates)

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        is_content = scope["type"] == "http" and scope["path"].startswith("/ipfs/")
        await (content if is_content else rest)(scope, receive, send)

    return answer


def _create_rest(site: Site, reader: Reader, templates: Templates) -> FastAPI:
    """Pages and API; it also starts and stops what runs beside the answers."""
    following = None if site.follow is None else Following(site.follow)
    app = FastAPI(
        title=f"{site.name}: electron tomography data",
        description="Signed records of tilt series and tomograms, and their files.",
        version=site.version,
        openapi_url="/api/openapi.json",
        docs_url=None,
        redoc_url=None,
        lifespan=lambda _: _lifespan(following, reader),
        telemetry={
            "tracing": False,
            "metrics": False,
            "logs": False,
            "operation_spans": False,
            "auto_configure": False,
        },
    )
    app.include_router(Api(site, following).router)
    app.include_router(Pages(site, templates, following).router)
    app.include_router(Routing(site.store, site.addresses, site.hosts).router)
    if site.oip is not None:
        app.include_router(Oipd(site, site.oip).router)
        app.include_router(Librarian(site, site.oip.librarian).router)
    app.mount("/static", StaticFiles(directory=FOLDER / "static"))
    app.add_middleware(Guard)
    Problems(templates).install(app)
    return app


@contextlib.asynccontextmanager
async def _lifespan(following: Following | None, reader: Reader) -> AsyncIterator[None]:
    task = None if following is None else asyncio.create_task(following.run())
    try:
        yield
    finally:
        if following is not None and task is not None:
            following.stop()
            await task
        reader.close()
