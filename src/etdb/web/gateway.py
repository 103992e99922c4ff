"""The IPFS gateway: files, raw blocks and directories by CID, read-only.

Path gateway and trustless raw blocks as the IPFS gateway specifications have
them. The store hashes every block again when it is read, so what leaves here
is what its CID says, or the answer is 404, or the connection is cut; never
other bytes, never a short success.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from itertools import islice
from urllib.parse import quote

from fastapi import APIRouter
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Send

from etdb.errors import EtdbError, InvalidDataError, NotFoundError
from etdb.identity import CID, DAG_PB, RAW
from etdb.store.unixfs import Kind, parse_node
from etdb.store.verified import BlockSource, Entry, file_size, iter_entries, resolve
from etdb.web import header, media
from etdb.web.route import add_read
from etdb.web.span import Span, parse_span
from etdb.web.stream import Reader
from etdb.web.template import Templates

RAW_TYPE = "application/vnd.ipld.raw"
IMMUTABLE = "public, max-age=29030400, immutable"
LISTING_AGE = "public, max-age=604800, stale-while-revalidate=2678400"
MAX_LISTED = 1000

_log = logging.getLogger(__name__)

_CORS = {
    **header.OPEN,
    "Access-Control-Allow-Methods": "GET, HEAD, OPTIONS",
    "Access-Control-Allow-Headers": "Content-Type, Range, User-Agent, X-Requested-With",
    "Access-Control-Expose-Headers": (
        "Content-Length, Content-Range, X-Ipfs-Path, X-Ipfs-Roots"
    ),
}


@dataclass(frozen=True)
class Wanted:
    """What a request asks for."""

    root: CID
    path: str
    is_block: bool
    filename: str
    is_download: bool


@dataclass(frozen=True)
class Place:
    """What a path names, and every CID on the way to it."""

    cid: CID
    passed: tuple[CID, ...]
    size_bytes: int = 0
    is_directory: bool = False
    block: bytes = b""
    """The block itself, where that is what was asked for."""


class VerifiedResponse(StreamingResponse):
    """A stream that is cut, not ended, where a piece cannot be given.

    Returning before the promised Content-Length makes the server close the
    connection, which every client takes for a failure.
    """

    async def stream_response(self, send: Send) -> None:
        """Send piece by piece."""
        try:
            await super().stream_response(send)
        except EtdbError as exc:
            _log.warning("an answer was cut: %s", exc.message)


class Gateway:
    """The routes under /ipfs."""

    def __init__(
        self, store: BlockSource, reader: Reader, templates: Templates
    ) -> None:
        self._store = store
        self._reader = reader
        self._templates = templates
        self.router = APIRouter(include_in_schema=False)
        for path in ("/ipfs/{cid}", "/ipfs/{cid}/{path:path}"):
            add_read(self.router, path, self.serve)
            self.router.add_api_route(path, self.allow, methods=["OPTIONS"])

    async def allow(self) -> Response:
        """Tell a browser that any site may read here."""
        return Response(status_code=204, headers=_CORS)

    async def serve(self, request: Request, cid: str, path: str = "") -> Response:
        """A file, a block or a directory listing."""
        wanted = _parse_request(request, cid, path)
        try:
            place = await run_in_threadpool(self._find, wanted)
        except NotFoundError as exc:
            if "only-if-cached" in request.headers.get("cache-control", ""):
                raise HTTPException(412, exc.message) from exc
            raise
        headers = _headers(request, wanted, place)
        if _is_known(request, headers["ETag"]):
            return Response(status_code=304, headers=headers)
        if place.is_directory:
            return await self._serve_directory(request, wanted, place, headers)
        return await self._serve_bytes(request, wanted, place, headers)

    def _find(self, wanted: Wanted) -> Place:
        cid, passed = resolve(self._store, wanted.root, wanted.path)
        if wanted.is_block:
            block = self._store.get_block(cid)
            return Place(cid, passed, size_bytes=len(block), block=block)
        if cid.codec not in (RAW, DAG_PB):
            raise HTTPException(406, f"{cid} is not a file; ask with ?format=raw")
        try:
            return Place(cid, passed, size_bytes=file_size(self._store, cid))
        except InvalidDataError:
            if self._is_directory(cid):
                return Place(cid, passed, is_directory=True)
            raise

    def _is_directory(self, cid: CID) -> bool:
        kind = parse_node(self._store.get_block(cid)).kind
        return kind in (Kind.DIRECTORY, Kind.SHARD)

    async def _serve_bytes(
        self, request: Request, wanted: Wanted, place: Place, headers: dict[str, str]
    ) -> Response:
        span = _span(request, headers["ETag"], place.size_bytes)
        if span.is_part:
            last = span.stop - 1
            headers["Content-Range"] = f"bytes {span.start}-{last}/{place.size_bytes}"
        status = 206 if span.is_part else 200
        if wanted.is_block:
            return Response(place.block[span.start : span.stop], status, headers)
        headers["Content-Length"] = str(span.size)
        if request.method == "HEAD":
            first_byte = Span(0, min(1, span.size))
            await _primed(self._reader.stream(place.cid, first_byte))
            return Response(status_code=status, headers=headers)
        body = await _primed(self._reader.stream(place.cid, span))
        return VerifiedResponse(body, status, headers)

    async def _serve_directory(
        self, request: Request, wanted: Wanted, place: Place, headers: dict[str, str]
    ) -> Response:
        if not request.url.path.endswith("/"):
            query = f"?{request.url.query}" if request.url.query else ""
            headers["Location"] = f"{headers['X-Ipfs-Path']}/{query}"
            return Response(status_code=301, headers=headers)
        entries = await run_in_threadpool(self._list, place.cid)
        answer = self._templates.page(
            request,
            "listing.html",
            cid=str(place.cid),
            steps=[step for step in wanted.path.split("/") if step],
            root=str(wanted.root),
            entries=entries[:MAX_LISTED],
            is_cut=len(entries) > MAX_LISTED,
        )
        answer.headers.update(headers)
        return answer

    def _list(self, directory: CID) -> list[Entry]:
        return [*islice(iter_entries(self._store, directory), MAX_LISTED + 1)]


async def _primed(stream: AsyncGenerator[bytes]) -> AsyncGenerator[bytes]:
    """The stream with its first piece already there.

    A piece that cannot be given raises here, before any header is sent.
    """
    first = await anext(stream, b"")

    async def continued() -> AsyncGenerator[bytes]:
        async with aclosing(stream):
            yield first
            async for piece in stream:
                yield piece

    return continued()


def _parse_request(request: Request, cid_text: str, path: str) -> Wanted:
    try:
        root = CID.parse(cid_text)
    except InvalidDataError as exc:
        raise HTTPException(400, exc.message) from exc
    query = request.query_params
    return Wanted(
        root=root,
        path=path,
        is_block=_wants_block(request),
        filename=query.get("filename") or path.rstrip("/").rpartition("/")[2],
        is_download=query.get("download") == "true",
    )


def _wants_block(request: Request) -> bool:
    """`?format=` wins over Accept (IPIP-523). Raises 406 for what we have not."""
    accepted = request.headers.get("accept", "")
    wanted = request.query_params.get("format")
    if wanted is None and "application/vnd.ipld." in accepted:
        wanted = "raw" if RAW_TYPE in accepted else accepted
    if wanted not in (None, "raw"):
        raise HTTPException(
            406, f"this node has no {wanted[:80]!r}; ask with ?format=raw"
        )
    return wanted == "raw"


def _headers(request: Request, wanted: Wanted, place: Place) -> dict[str, str]:
    headers = {
        **_CORS,
        "ETag": f'"{place.cid}"',
        "X-Ipfs-Path": _requested_path(request),
        "X-Ipfs-Roots": ",".join(str(cid) for cid in place.passed),
        "Cache-Control": IMMUTABLE,
        header.CSP: header.CONTENT_POLICY,
    }
    if place.is_directory:
        headers["ETag"] = f'"DirIndex-etdb1_CID-{place.cid}"'
        headers["Cache-Control"] = LISTING_AGE
        headers[header.CSP] = header.LISTING_POLICY
        return headers
    headers["Accept-Ranges"] = "bytes"
    if wanted.is_block:
        headers["ETag"] = f'"{place.cid}.raw"'
        headers["Content-Type"] = RAW_TYPE
        name, is_attachment = request.query_params.get("filename"), True
        name = name or f"{place.cid}.bin"
    else:
        headers["Content-Type"] = media.type_of(wanted.filename)
        name, is_attachment = wanted.filename or str(place.cid), wanted.is_download
    headers["Content-Disposition"] = media.disposition(
        name, is_attachment=is_attachment
    )
    return headers


def _requested_path(request: Request) -> str:
    raw = request.scope.get("raw_path")
    return quote(request.url.path) if raw is None else raw.decode("latin-1")


def _is_known(request: Request, etag: str) -> bool:
    known = request.headers.get("if-none-match", "")
    tags = {tag.strip().removeprefix("W/") for tag in known.split(",")}
    return bool(tags & {etag, "*"})


def _span(request: Request, etag: str, size: int) -> Span:
    """The bytes to send. Range is for GET, and for the version it names."""
    if_range = request.headers.get("if-range", etag)
    if request.method != "GET" or if_range != etag:
        return Span(0, size)
    try:
        return parse_span(request.headers.get("range"), size)
    except InvalidDataError as exc:
        outside = {"Content-Range": f"bytes */{size}"}
        raise HTTPException(416, exc.message, headers=outside) from exc
