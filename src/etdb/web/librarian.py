"""/alexandria/v2: the interface of the librarian, as oip-js and oip-index speak it.

A record keeps the txid that published it. What a wallet would have to do is
refused: a node holds nobody's coins or keys but its own.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from functools import partial
from itertools import chain, islice
from typing import TYPE_CHECKING, Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from etdb.errors import EtdbError, InvalidDataError
from etdb.index.oip.librarian import Sort
from etdb.web import header
from etdb.web.dialect import MAX_DEPTH, MAX_NUMBER, Routes, answer, number, refused

if TYPE_CHECKING:
    from etdb.index.oip.librarian import LibrarianIndex
    from etdb.web.site import Site

Asked = dict[str, Any]

PREFIX = "/alexandria/v2"
USUAL_RESULTS = 50
MAX_BODY_BYTES = 10_000
MAX_WORDS_CHARACTERS = 500
MAX_TEXTS = 30
PIECES_AT_ONCE = 200
"""How many pieces of a list are made before its answer begins."""

_ANY = frozenset({"", "*"})
_NONE = "-"
_NO_WALLET = "this node holds no wallet but its own: sign and send with your own node"


class Librarian:
    """The routes under /alexandria/v2."""

    def __init__(self, site: Site, librarian: LibrarianIndex) -> None:
        self._site = site
        self._librarian = librarian
        self._routes = Routes(PREFIX, _not_allowed)
        self.router = self._routes.router
        for path, endpoint in (
            ("/artifact/get/type", self._list),
            ("/artifact/get", self._get),
            ("/research/tomogram/summary", self._summary),
            ("/info", self._info),
            ("/publisher/get/all", self._publishers),
        ):
            self._routes.add(path, partial(_answered, endpoint))
        self._routes.add("/artifact/get/publisher", lambda _: answer([]))
        for kind in ("retailer", "promoter", "autominer", "autominerpool", "media"):
            self._routes.add(f"/{kind}/get/all", lambda _: answer([]))
        self._add_post("/search", self._search)
        self._add_post("/searchTxComment", self._search_texts)
        for path in ("/calcpubfee", "/v1/sign", "/v1/send"):
            self._add_post(path, _refuse_wallet)
        self._routes.add_rest(_unknown)

    def _add_post(self, path: str, endpoint: Callable[[Asked], Response]) -> None:
        async def post(request: Request) -> Response:
            body = await _read_body(request)
            if body is None:
                return refused(413, f"the request is over {MAX_BODY_BYTES} bytes")
            return await run_in_threadpool(_posted, endpoint, body)

        self._routes.add_post(path, post)

    def _list(self, request: Request) -> Response:
        """Records of a type; `results` is how many on a page, `*` or 0 all."""
        sort = Sort(_asked(request, "t"), _asked(request, "st"), _publisher(request))
        total = self._librarian.count(sort)
        size = number(request, "results", USUAL_RESULTS)
        is_all = request.query_params.get("results") == "*" or size == 0
        page = max(1, number(request, "page", 1))
        offset = 0 if is_all else min((page - 1) * size, MAX_NUMBER)
        pages = min(1, total) if is_all else -(-total // size)
        found = self._librarian.iter_records(
            sort, limit=None if is_all else size, offset=offset
        )
        return _begun(_stream(found, total, pages))

    def _get(self, request: Request) -> Response:
        digits = request.query_params.get("id", "").strip().lower()
        is_hex = 0 < len(digits) <= 64 and not set(digits) - set("0123456789abcdef")
        found = self._librarian.find(digits) if is_hex else None
        if found is None:
            return refused(404, "artifact not found")
        return answer(_shown(found))

    def _summary(self, _request: Request) -> Response:
        return answer(self._librarian.summary())

    def _info(self, _request: Request) -> Response:
        """`avgArtCost` is what publishing cost in this system's own tokens."""
        return answer(
            {
                "avgArtCost": 0,
                "artifactCount": self._librarian.count(Sort()),
                "publisherCount": len(self._librarian.list_publishers()),
                "version": self._site.version,
            }
        )

    def _publishers(self, _request: Request) -> Response:
        found = self._librarian.list_publishers()
        return answer([_shown_publisher(each) for each in found])

    def _search(self, asked: Asked) -> Response:
        """Both spellings of the keys: oip-js's and oip-index's."""
        words = _text(asked, "search-for", "searchFor")
        field = _text(asked, "search-on", "searchOn") or "*"
        like = asked.get("search-like", asked.get("searchLike", True))
        protocol = _text(asked, "protocol") or "media"
        if protocol == "media":
            records = self._librarian.search(field, words, is_like=bool(like))
            found = [_shown(record) for record in records]
        elif protocol == "publisher":
            found = self._find_publishers(field, words)
        else:
            found = []
        return answer({"status": "success", "response": found})

    def _find_publishers(self, field: str, words: str) -> list[Asked]:
        if field in {"address", "floAddress"}:
            found = self._librarian.list_publishers(address=words)
        else:
            found = self._librarian.list_publishers(name="" if words == "*" else words)
        return [_shown_publisher(each) for each in found]

    def _search_texts(self, asked: Asked) -> Response:
        """Texts of transactions; null after the last: clients stop at nothing else."""
        words = _text(asked, "search")
        if not words:
            return answer(None)
        size = min(_number(asked, "results-per-page", MAX_TEXTS) or 1, MAX_TEXTS)
        offset = _number(asked, "page", 0) * size
        if offset > MAX_DEPTH:
            return answer(None)
        found = self._librarian.find_words(words, limit=size, offset=offset)
        told = [{"Hash": each["txid"], "Message": each["text"]} for each in found]
        return answer(told or None)


def _answered(endpoint: Callable[[Request], Response], request: Request) -> Response:
    try:
        return endpoint(request)
    except EtdbError as exc:
        return _failed(exc)


def _posted(endpoint: Callable[[Asked], Response], body: bytes) -> Response:
    try:
        asked = json.loads(body)
    except (ValueError, RecursionError):
        return refused(400, "the request is not JSON")
    if not isinstance(asked, dict):
        return refused(400, "the request is not a JSON object")
    try:
        return endpoint(asked)
    except EtdbError as exc:
        return _failed(exc)


def _failed(error: EtdbError) -> Response:
    if isinstance(error, InvalidDataError):
        return refused(400, error.message, status="error")
    return refused(500, "unable to answer", status="error")


async def _read_body(request: Request) -> bytes | None:
    """The body; None if it is too long, of which no more is read than is needed."""
    body = b""
    async for piece in request.stream():
        body += piece
        if len(body) > MAX_BODY_BYTES:
            return None
    return body


def _refuse_wallet(_asked: Asked) -> Response:
    return refused(403, _NO_WALLET, status="error", response=[])


def _unknown(_request: Request) -> Response:
    return refused(404, "there is no such path")


def _not_allowed(_request: Request) -> Response:
    return refused(405, "this path is not asked with that method")


def _begun(pieces: Iterator[bytes]) -> Response:
    """An answer whose beginning, or all of it if it is short, could be made.

    What goes wrong later can only break the answer off.
    """
    first = list(islice(pieces, PIECES_AT_ONCE))
    if len(first) < PIECES_AT_ONCE:
        return Response(b"".join(first), 200, header.OPEN, "application/json")
    whole = chain([b"".join(first)], pieces)
    return StreamingResponse(whole, 200, header.OPEN, "application/json")


def _stream(found: Iterator[Asked], total: int, pages: int) -> Iterator[bytes]:
    """The list a record at a time: all records may be asked for at once."""
    count = 0
    yield b'{"results":['
    for record in found:
        comma = "," if count else ""
        text = json.dumps(_shown(record), ensure_ascii=False, separators=(",", ":"))
        yield (comma + text).encode()
        count += 1
    told = json.dumps({"total": total, "count": count, "pages": pages})
    yield b"]," + told[1:].encode()


def _shown(record: Asked) -> Asked:
    meta = record["meta"]
    return {
        "oip042": {"artifact": record["artifact"]},
        "txid": meta["originalTxid"],
        "publisher": meta["publisher"],
        "publisherName": meta["publisher_name"],
    }


def _shown_publisher(found: Asked) -> Asked:
    """In both shapes that clients read."""
    said = found["publisher"]
    info = said.get("info")
    more = info if isinstance(info, dict) else {}
    old = {
        "name": said.get("alias"),
        "address": said.get("floAddress"),
        "timestamp": said.get("timestamp"),
        "emailmd5": more.get("emailmd5", ""),
        "bitmessage": more.get("bitmessage", ""),
    }
    return {
        "publisher-data": {"alexandria-publisher": old},
        "oip042": {"publisher": said},
        "txid": found["txid"],
        "floAddress": said.get("floAddress"),
        "alias": said.get("alias"),
    }


def _asked(request: Request, name: str) -> str | None:
    """A type: None is any, an empty word those that state none."""
    word = request.query_params.get(name, "").lower()
    if word in _ANY:
        return None
    return "" if word == _NONE else word


def _publisher(request: Request) -> str | None:
    word = request.query_params.get("pub", "")
    return None if word in _ANY else word


def _text(asked: Asked, *names: str) -> str:
    for name in names:
        value = asked.get(name)
        if isinstance(value, str | int | float):
            return str(value)[:MAX_WORDS_CHARACTERS]
    return ""


def _number(asked: Asked, name: str, otherwise: int) -> int:
    value = asked.get(name)
    return min(value, MAX_NUMBER) if type(value) is int and value >= 0 else otherwise
