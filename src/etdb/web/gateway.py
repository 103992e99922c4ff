"""The IPFS gateway: files, directories, blocks, CARs and TARs by CID, read-only.

Path and trustless gateway as the IPFS gateway specifications have them. The
store hashes every block again when it is read, so what leaves here is what its
CID says, or the answer is 404, or the connection is cut; never other bytes,
never a short success.
"""

from __future__ import annotations

from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from etdb.errors import EtdbError, NotFoundError
from etdb.store.verified import BlockSource
from etdb.store.walk import Checkable, ReadingOn, Walk
from etdb.web import header
from etdb.web.answer import Place
from etdb.web.prepare import Answer, Preparation
from etdb.web.problem import Problems
from etdb.web.stream import HeldResponse, Reader, VerifiedResponse, primed
from etdb.web.template import Templates
from etdb.web.wanted import Form, Wanted, is_cached_only, parse_wanted

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
        ready = self._find_ready(wanted)
        with self._reader.slots.foreseen() as may_stream:
            preparation = Preparation(
                request, wanted, self._store, self._templates, may_stream=may_stream
            )
            if ready is None:
                answer = await self._reader.call(preparation.answer)
            else:
                answer = preparation.answer(ready)
        return answer if isinstance(answer, Response) else await self._begin(answer)

    def _find_ready(self, wanted: Wanted) -> Place | None:
        """A block that is in memory: a hop to a thread and back is spared."""
        if self._read_on is None or wanted.form is not Form.RAW or wanted.path:
            return None
        block = self._read_on.find_ready(wanted.root)
        if block is None:
            return None
        end = Walk(wanted.root, (wanted.root,), ())
        return Place(end, end.cid, size_bytes=len(block), block=block)

    async def _begin(self, answer: Answer) -> Response:
        begun = answer.begun
        if begun.is_whole:
            slot = self._reader.slots.held(is_small=True)
            return HeldResponse(slot, begun.first, answer.status, answer.headers)
        body = await primed(self._reader.run(begun), begun.pieces)
        return VerifiedResponse(body, answer.status, answer.headers)
