"""The IPFS gateway: files, directories, blocks, CARs and TARs by CID, read-only.

Path and trustless gateway as the IPFS gateway specifications have them. The
store hashes every block again when it is read, so what leaves here is what its
CID says, or the answer is 404, or the connection is cut; never other bytes,
never a short success.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from itertools import chain, islice

from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Message, Receive, Scope, Send

from etdb.errors import EtdbError, InvalidDataError, NotFoundError
from etdb.identity import CID, DAG_PB, RAW
from etdb.store.unixfs import Kind, parse_node
from etdb.store.verified import BlockSource, Entry, file_size, iter_entries, resolve
from etdb.store.walk import Checkable, ReadingOn, Walk, walk
from etdb.web import header
from etdb.web.answer import Place, headers_of, is_known, requested_path
from etdb.web.multipart import Multipart, content_range
from etdb.web.problem import Problems
from etdb.web.span import Span, parse_spans
from etdb.web.stream import (
    BlockResponse,
    Job,
    Reader,
    VerifiedResponse,
    literal,
    primed,
    probe,
)
from etdb.web.template import Templates
from etdb.web.wanted import Form, Wanted, is_cached_only, parse_wanted

MAX_LISTED = 1000
INDEX = "index.html"
METHODS = ("GET", "HEAD", "OPTIONS")


class Gateway:
    """The ASGI application below /ipfs/."""

    def __init__(
        self, store: BlockSource, reader: Reader, templates: Templates
    ) -> None:
        self._store = Checkable(store)
        self._read_on = store if isinstance(store, ReadingOn) else None
        self._reader = reader
        self._templates = templates
        self._problems = Problems(templates)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer; what is refused is a problem, what fails is one and is raised."""
        request = Request(scope)
        is_begun = False

        async def guarded(message: Message) -> None:
            nonlocal is_begun
            if message["type"] == "http.response.start":
                is_begun = True
                header.confine(MutableHeaders(scope=message))
            await send(message)

        try:
            answer = await self._answer(request)
            await answer(scope, receive, guarded)
        except Exception as exc:
            if is_begun:
                raise
            problem = self._problems.answer(request, exc)
            await problem(scope, receive, guarded)
            if not isinstance(exc, EtdbError | HTTPException):
                raise

    async def _answer(self, request: Request) -> Response:
        """A file, a block, an archive or a directory."""
        if request.method not in METHODS:
            raise HTTPException(405, headers={"Allow": ", ".join(METHODS)})
        if request.method == "OPTIONS":
            return Response(status_code=204, headers=header.GATEWAY_CORS)
        wanted = parse_wanted(request)
        try:
            return await self._serve(request, wanted)
        except NotFoundError as exc:
            if is_cached_only(request):
                raise HTTPException(412, exc.message) from exc
            raise

    async def _serve(self, request: Request, wanted: Wanted) -> Response:
        place = self._find_ready(wanted)
        if place is None:
            place = await self._reader.call(self._find, wanted)
        headers = headers_of(request, wanted, place)
        if (place.is_listing or place.is_index) and not _ends_in_slash(request):
            return _moved(request, headers)
        if is_known(request, place, headers["ETag"]):
            return Response(status_code=304, headers=headers)
        if place.is_listing:
            return await self._serve_listing(request, wanted, place, headers)
        if wanted.form in (Form.CAR, Form.TAR):
            return await self._serve_archive(request, wanted, place, headers)
        return await self._serve_bytes(request, place, headers)

    def _find_ready(self, wanted: Wanted) -> Place | None:
        """A block that is in memory: two hops to a thread and back are spared."""
        if self._read_on is None or wanted.form is not Form.RAW or wanted.path:
            return None
        block = self._read_on.find_ready(wanted.root)
        if block is None:
            return None
        end = Walk(wanted.root, (wanted.root,), ())
        return Place(end, end.cid, size_bytes=len(block), block=block)

    def _find(self, wanted: Wanted) -> Place:
        end = walk(self._store, wanted.root, wanted.path)
        if wanted.form is Form.CAR:
            self._store.get_block(end.cid)
            return Place(end, end.cid)
        if end.inside:
            raise NotFoundError("file", wanted.path)
        if wanted.form is Form.TAR:
            return Place(end, end.cid)
        if wanted.form is Form.RAW:
            block = self._store.get_block(end.cid)
            return Place(end, end.cid, size_bytes=len(block), block=block)
        is_file = end.cid.codec in (RAW, DAG_PB)
        if wanted.form is Form.CONTENT:
            is_file = is_file and not self._is_directory(end.cid)
        if not is_file:
            raise HTTPException(406, f"{end.cid} is not a file; ask with ?format=raw")
        return self._find_directory(end) or self._find_file(end)

    def _find_file(self, end: Walk) -> Place:
        return Place(end, end.cid, size_bytes=file_size(self._store, end.cid))

    def _find_directory(self, end: Walk) -> Place | None:
        """A directory: the index.html in it, or what it holds."""
        if not self._is_directory(end.cid):
            return None
        try:
            index, _ = resolve(self._store, end.cid, INDEX)
        except NotFoundError as exc:
            if exc.facts.get("kind") != "file":
                raise
            return Place(end, end.cid, is_listing=True)
        if index.codec not in (RAW, DAG_PB) or self._is_directory(index):
            return Place(end, end.cid, is_listing=True)
        size_bytes = file_size(self._store, index)
        return Place(end, index, size_bytes=size_bytes, is_index=True)

    def _is_directory(self, cid: CID) -> bool:
        if cid.codec != DAG_PB:
            return False
        kind = parse_node(self._store.get_block(cid)).kind
        return kind in (Kind.DIRECTORY, Kind.SHARD)

    async def _serve_bytes(
        self, request: Request, place: Place, headers: dict[str, str]
    ) -> Response:
        spans = _spans(request, headers["ETag"], place.size_bytes)
        whole = Span(0, place.size_bytes)
        size_bytes, status = place.size_bytes, 206 if spans else 200
        jobs = self._jobs(place, whole)
        if len(spans) == 1:
            headers["Content-Range"] = content_range(spans[0], place.size_bytes)
            size_bytes, jobs = spans[0].size, self._jobs(place, spans[0])
        elif spans:
            parts = Multipart(
                secrets.token_hex(16), headers["Content-Type"], spans, place.size_bytes
            )
            headers["Content-Type"] = parts.media_type
            size_bytes = parts.size_bytes
            jobs = parts.jobs(lambda span: self._jobs(place, span))
        headers["Content-Length"] = str(size_bytes)
        if request.method == "HEAD":
            first_byte = Span(0, min(1, place.size_bytes))
            await probe(self._reader.run(self._jobs(place, first_byte)))
            return Response(status_code=status, headers=headers)
        if place.block is not None:
            slot = self._reader.slots.held(is_small=True)
            pieces = chain.from_iterable(job() for job in jobs)
            return BlockResponse(slot, b"".join(pieces), status, headers)
        # The first piece of several parts is a head, made here; the second is read.
        body = await primed(self._reader.run(jobs), pieces=2 if len(spans) > 1 else 1)
        return VerifiedResponse(body, status, headers)

    def _jobs(self, place: Place, span: Span) -> Iterator[Job]:
        block = place.block
        if block is None:
            return self._reader.file_jobs(place.content, span)
        return iter([literal(block[span.start : span.stop])])

    async def _serve_archive(
        self, request: Request, wanted: Wanted, place: Place, headers: dict[str, str]
    ) -> Response:
        if wanted.form is Form.CAR:
            jobs = self._reader.car_jobs(place.walk, wanted.car)
        else:
            jobs = self._reader.tar_jobs(place.cid)
        # The first piece is the archive's own head; the second has been read.
        if request.method == "HEAD":
            await probe(self._reader.run(jobs), pieces=2)
            return StreamingResponse(iter(()), headers=headers)
        body = await primed(self._reader.run(jobs), pieces=2)
        return VerifiedResponse(body, headers=headers)

    async def _serve_listing(
        self, request: Request, wanted: Wanted, place: Place, headers: dict[str, str]
    ) -> Response:
        entries = await self._reader.call(self._list, place.cid)
        answer = self._templates.page(
            request,
            "listing.html",
            cid=str(place.cid),
            steps=wanted.steps,
            root=str(wanted.root),
            entries=entries[:MAX_LISTED],
            is_cut=len(entries) > MAX_LISTED,
        )
        answer.headers.update(headers)
        return answer

    def _list(self, directory: CID) -> list[Entry]:
        return [*islice(iter_entries(self._store, directory), MAX_LISTED + 1)]


def _ends_in_slash(request: Request) -> bool:
    return request.url.path.endswith("/")


def _moved(request: Request, headers: dict[str, str]) -> Response:
    query = f"?{request.url.query}" if request.url.query else ""
    location = f"{requested_path(request)}/{query}"
    return Response(status_code=301, headers={**headers, "Location": location})


def _spans(request: Request, etag: str, size: int) -> tuple[Span, ...]:
    """The ranges to send. Range is for GET, and for the version it names."""
    if_range = request.headers.get("if-range", etag)
    if request.method != "GET" or if_range != etag:
        return ()
    try:
        return parse_spans(request.headers.get("range"), size)
    except InvalidDataError as exc:
        outside = {"Content-Range": f"bytes */{size}"}
        raise HTTPException(416, exc.message, headers=outside) from exc
