"""What is answered to a request below /ipfs/: found, and the first of it read.

Everything here waits for the store, so it is called in a thread, once for an
answer: a hop there and back costs what reading a block does.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from etdb.errors import InvalidDataError, NotFoundError
from etdb.identity import CID, DAG_PB, RAW
from etdb.store.unixfs import Kind, parse_node
from etdb.store.verified import BlockSource, Entry, file_size, iter_entries, resolve
from etdb.store.walk import Remembering, Walk, walk
from etdb.web.answer import Place, headers_of, is_known, requested_path
from etdb.web.jobs import (
    Begun,
    Job,
    begin,
    car_jobs,
    file_jobs,
    literal,
    tar_jobs,
)
from etdb.web.multipart import Multipart, content_range
from etdb.web.span import Span, parse_spans
from etdb.web.template import Templates
from etdb.web.wanted import Form, Wanted

MAX_LISTED = 1000
INDEX = "index.html"


@dataclass(frozen=True)
class Answer:
    """An answer whose content is read as it is sent."""

    status: int
    headers: dict[str, str]
    begun: Begun


class Preparation:
    """One request's answer, until there is something to send."""

    def __init__(
        self,
        request: Request,
        wanted: Wanted,
        store: BlockSource,
        templates: Templates,
        *,
        may_stream: bool,
    ) -> None:
        """`may_stream`: see `begin`."""
        self._request = request
        self._wanted = wanted
        self._source = Remembering(store)
        self._templates = templates
        self._is_head = request.method == "HEAD"
        # Nothing of it stays in memory.
        self._may_stream = may_stream or self._is_head

    def answer(self, place: Place | None = None) -> Response | Answer:
        """The answer; from what is at hand already, where a place is given."""
        if place is None:
            place = _find(self._source, self._wanted)
        headers = headers_of(self._request, self._wanted, place)
        is_directory = place.is_listing or place.is_index
        if is_directory and not self._request.url.path.endswith("/"):
            return _moved(self._request, headers)
        if is_known(self._request, place, headers["ETag"]):
            return Response(status_code=304, headers=headers)
        if place.is_listing:
            return self._show(place, headers)
        if self._wanted.form in (Form.CAR, Form.TAR):
            return self._send_archive(place, headers)
        return self._send_bytes(place, headers)

    def _send_bytes(self, place: Place, headers: dict[str, str]) -> Response | Answer:
        """A file or a block, or parts of it."""
        spans = _spans(self._request, headers["ETag"], place.size_bytes)
        if len(spans) > 1:
            return self._send_parts(place, spans, headers)
        sent, status = Span(0, place.size_bytes), 200
        if spans:
            sent, status = spans[0], 206
            headers["Content-Range"] = content_range(sent, place.size_bytes)
        headers["Content-Length"] = str(sent.size)
        if self._is_head:
            sent = Span(0, min(1, place.size_bytes))
        begun = self._begin(self._jobs(place, sent))
        if self._is_head:
            return Response(status_code=status, headers=headers)
        return Answer(status, headers, begun)

    def _send_parts(
        self, place: Place, spans: Sequence[Span], headers: dict[str, str]
    ) -> Answer:
        boundary = secrets.token_hex(16)
        parts = Multipart(boundary, headers["Content-Type"], spans, place.size_bytes)
        headers["Content-Type"] = parts.media_type
        headers["Content-Length"] = str(parts.size_bytes)
        jobs = parts.jobs(lambda span: self._jobs(place, span))
        # The first piece is a part's own head; the second is read.
        return Answer(206, headers, self._begin(jobs, pieces=2))

    def _jobs(self, place: Place, span: Span) -> Iterator[Job]:
        block = place.block
        if block is None:
            return file_jobs(self._source, place.content, span)
        return iter([literal(block[span.start : span.stop])])

    def _send_archive(self, place: Place, headers: dict[str, str]) -> Response | Answer:
        if self._wanted.form is Form.CAR:
            jobs = car_jobs(self._source, place.walk, self._wanted.car)
        else:
            jobs = tar_jobs(self._source, place.cid)
        # The first piece is the archive's own head; the second is read.
        begun = self._begin(jobs, pieces=2)
        if self._is_head:
            return StreamingResponse(iter(()), headers=headers)
        return Answer(200, headers, begun)

    def _begin(self, jobs: Iterator[Job], pieces: int = 1) -> Begun:
        return begin(jobs, pieces, may_stream=self._may_stream)

    def _show(self, place: Place, headers: dict[str, str]) -> Response:
        """The page of a directory."""
        entries = _list(self._source, place.cid)
        answer = self._templates.page(
            self._request,
            "listing.html",
            cid=str(place.cid),
            steps=self._wanted.steps,
            root=str(self._wanted.root),
            entries=entries[:MAX_LISTED],
            is_cut=len(entries) > MAX_LISTED,
        )
        answer.headers.update(headers)
        return answer


def _find(source: BlockSource, wanted: Wanted) -> Place:
    end = walk(source, wanted.root, wanted.path)
    if wanted.form is Form.CAR:
        source.get_block(end.cid)
        return Place(end, end.cid)
    if end.inside:
        raise NotFoundError("file", wanted.path)
    if wanted.form is Form.TAR:
        return Place(end, end.cid)
    if wanted.form is Form.RAW:
        block = source.get_block(end.cid)
        return Place(end, end.cid, size_bytes=len(block), block=block)
    is_file = end.cid.codec in (RAW, DAG_PB)
    if wanted.form is Form.CONTENT:
        is_file = is_file and not _is_directory(source, end.cid)
    if not is_file:
        raise HTTPException(406, f"{end.cid} is not a file; ask with ?format=raw")
    found = _find_directory(source, end)
    return found or Place(end, end.cid, size_bytes=file_size(source, end.cid))


def _find_directory(source: BlockSource, end: Walk) -> Place | None:
    """A directory: the index.html in it, or what it holds."""
    if not _is_directory(source, end.cid):
        return None
    try:
        index, _ = resolve(source, end.cid, INDEX)
    except NotFoundError as exc:
        if exc.facts.get("kind") != "file":
            raise
        return Place(end, end.cid, is_listing=True)
    if index.codec not in (RAW, DAG_PB) or _is_directory(source, index):
        return Place(end, end.cid, is_listing=True)
    size_bytes = file_size(source, index)
    return Place(end, index, size_bytes=size_bytes, is_index=True)


def _is_directory(source: BlockSource, cid: CID) -> bool:
    if cid.codec != DAG_PB:
        return False
    kind = parse_node(source.get_block(cid)).kind
    return kind in (Kind.DIRECTORY, Kind.SHARD)


def _list(source: BlockSource, directory: CID) -> list[Entry]:
    return [*islice(iter_entries(source, directory), MAX_LISTED + 1)]


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


def _moved(request: Request, headers: dict[str, str]) -> Response:
    query = f"?{request.url.query}" if request.url.query else ""
    location = f"{requested_path(request)}/{query}"
    return Response(status_code=301, headers={**headers, "Location": location})
