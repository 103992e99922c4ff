"""Pages from templates: every value escaped, every page with its own nonce."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import HTMLResponse

from etdb.web import header, link, past, present, status, text, trust
from etdb.web.site import Site

FOLDER = Path(__file__).parent


class Templates:
    """The site's templates. A name that is not given is an error, not empty."""

    def __init__(self, site: Site) -> None:
        self._environment = Environment(
            loader=FileSystemLoader(FOLDER / "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._environment.globals.update(
            site=site,
            link=link,
            past=past,
            present=present,
            status=status,
            text=text,
            trust=trust,
        )

    def page(
        self, request: Request, name: str, *, status: int = 200, **values: Any
    ) -> HTMLResponse:
        """A page that may run the site's own script and nothing else."""
        nonce = secrets.token_urlsafe(16)
        template = self._environment.get_template(name)
        html = template.render(path=request.url.path, nonce=nonce, **values)
        answer = HTMLResponse(html, status)
        answer.headers[header.CSP] = header.page_policy(nonce)
        header.confine(MutableHeaders(raw=answer.raw_headers))
        return answer
