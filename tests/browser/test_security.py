"""Nothing that a ledger or a file says runs on the site's pages.

Three layers, each shown to hold by itself: what a record says is escaped; a
page's policy runs no script without its nonce; the gateway serves no file as a
script. Only with the last two taken away does an injected tag run.
"""

from __future__ import annotations

from typing import Any

import pytest
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from etdb.web import header
from etdb.web.app import create_app
from etdb.web.server import running

pytestmark = pytest.mark.browser


class Tampered:
    """A site whose front page got a tag injected, with layers taken away."""

    def __init__(
        self, app: ASGIApp, tag: str, *, has_policy: bool, has_types: bool
    ) -> None:
        self._app = app
        self._tag = tag.encode()
        self._has_policy = has_policy
        self._has_types = has_types

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope.get("path", "")

        async def tampered(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._spoil_headers(path, MutableHeaders(scope=message))
            elif path == "/" and not message.get("more_body"):
                message["body"] = message["body"].replace(b"</body>", self._tag)
            await send(message)

        await self._app(scope, receive, tampered)

    def _spoil_headers(self, path: str, headers: MutableHeaders) -> None:
        if path == "/":
            length = int(headers["Content-Length"])
            headers["Content-Length"] = str(length - len("</body>") + len(self._tag))
            if not self._has_policy:
                del headers[header.CSP]
        if path.startswith("/ipfs/") and not self._has_types:
            headers["Content-Type"] = "text/javascript"
            del headers["X-Content-Type-Options"]


@pytest.mark.parametrize(
    ("has_policy", "has_types", "runs"),
    [
        (True, True, False),
        (True, False, False),
        (False, True, False),
        (False, False, True),
    ],
)
def test_an_injected_tag_that_points_at_a_file_runs_only_without_both_layers(
    served: Any, open_page: Any, has_policy: bool, has_types: bool, runs: bool
) -> None:
    tag = f'<script src="{served.program_url}"></script></body>'
    app = create_app(served.site)
    spoilt = Tampered(app, tag, has_policy=has_policy, has_types=has_types)

    with running(spoilt) as url:
        page = open_page()
        page.goto(url, wait_until="networkidle")

        assert (page.title() == "ran") is runs


@pytest.mark.parametrize(("has_policy", "runs"), [(True, False), (False, True)])
def test_an_injected_inline_script_runs_only_without_the_policy(
    served: Any, open_page: Any, has_policy: bool, runs: bool
) -> None:
    tag = "<script>document.title = 'ran'</script></body>"
    spoilt = Tampered(
        create_app(served.site), tag, has_policy=has_policy, has_types=True
    )

    with running(spoilt) as url:
        page = open_page()
        page.goto(url, wait_until="networkidle")

        assert (page.title() == "ran") is runs


@pytest.mark.parametrize(
    "path", ["/", "/records", "/records?view=table", "/records/33abab", "/rejected"]
)
def test_a_hostile_record_is_text(
    served: Any, open_page: Any, watch: Any, path: str
) -> None:
    page = open_page()

    page.goto(served.url + path, wait_until="networkidle")

    assert page.title() != "ran"
    assert page.locator("script").count() == 1
    assert page.locator("img[onerror]").count() == 0
    assert watch.errors == []


def test_a_page_in_a_dataset_is_shown_and_runs_nothing(
    served: Any, open_page: Any
) -> None:
    page = open_page()
    root = served.site.catalogue.get_record("01abab")["cid"]

    page.goto(f"{served.url}/ipfs/{root}/page.html", wait_until="networkidle")

    assert page.title() != "ran"
    assert page.evaluate("self.origin") == "null"


def test_without_the_sandbox_a_page_in_a_dataset_would_run(
    served: Any, open_page: Any
) -> None:
    root = served.site.catalogue.get_record("01abab")["cid"]

    with running(_Unconfined(create_app(served.site))) as url:
        page = open_page()
        page.goto(f"{url}/ipfs/{root}/page.html", wait_until="networkidle")

        assert page.title() == "ran"


class _Unconfined:
    """A site without any policy."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def unconfined(message: Message) -> None:
            if message["type"] == "http.response.start":
                del MutableHeaders(scope=message)[header.CSP]
            await send(message)

        await self._app(scope, receive, unconfined)


def test_another_site_cannot_frame_a_page(served: Any, open_page: Any) -> None:
    page = open_page()

    page.set_content(f'<iframe src="{served.url}/"></iframe>')
    page.wait_for_load_state("networkidle")

    frame = page.frames[1]
    assert frame.url.startswith("chrome-error:")
