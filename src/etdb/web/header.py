"""Security headers: what a browser may do with each kind of answer.

Pages run only scripts that carry the answer's nonce, and load nothing from
elsewhere. Content under /ipfs/ is anybody's: sandboxed, never sniffed.
"""

from __future__ import annotations

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

CSP = "Content-Security-Policy"

OPEN = {"Access-Control-Allow-Origin": "*"}
"""Data for programs, which any site's scripts may read."""

GATEWAY_CORS = {
    **OPEN,
    "Access-Control-Allow-Methods": "GET, HEAD, OPTIONS",
    "Access-Control-Allow-Headers": "Content-Type, Range, User-Agent, X-Requested-With",
    "Access-Control-Expose-Headers": (
        "Content-Length, Content-Range, Ipfs-Uri, X-Chunked-Output, X-Ipfs-Path, "
        "X-Ipfs-Roots, X-Stream-Output"
    ),
}
"""The same under /ipfs/, in the words of the gateway specification."""

DATA_POLICY = "default-src 'none'; frame-ancestors 'none'"

CONTENT_POLICY = (
    "sandbox; default-src 'none'; img-src 'self' data:; media-src 'self' data:; "
    "style-src 'unsafe-inline'"
)

LISTING_POLICY = (
    "sandbox allow-downloads; default-src 'none'; img-src 'self'; style-src 'self'"
)


def page_policy(nonce: str) -> str:
    """The policy of one of our own pages."""
    return (
        "default-src 'none'; img-src 'self'; style-src 'self'; "
        f"script-src 'nonce-{nonce}'; form-action 'self'; base-uri 'none'; "
        "frame-ancestors 'none'"
    )


class Guard:
    """ASGI middleware: no answer leaves without the headers that confine it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Add what the answer does not set itself."""

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                confine(MutableHeaders(scope=message))
            await send(message)

        await self._app(scope, receive, guarded)


def confine(headers: MutableHeaders) -> None:
    """Set the headers every answer has; a policy already there stays."""
    headers.setdefault(CSP, DATA_POLICY)
    headers["X-Content-Type-Options"] = "nosniff"
    headers["Referrer-Policy"] = "no-referrer"
