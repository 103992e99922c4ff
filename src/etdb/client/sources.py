"""Where bytes come from: a gateway over HTTP, or a store at hand.

A source is never believed: whoever draws on one hashes what it gives.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol, Self

from etdb.errors import InvalidDataError, UnavailableError
from etdb.fetch import LIMITS, Body, Http, Limits, redact, verify_status
from etdb.guarded import hurry
from etdb.identity import CID
from etdb.store.unixfs import MAX_BLOCK_BYTES
from etdb.store.verified import BlockSource, Chunk, iter_chunks, read_chunk


class Range(Protocol):
    """Bytes of one file, from `start` to `stop`, in order."""

    def fill(self, view: memoryview) -> None:
        """Fill the view with the next bytes, all of it.

        Raises UnavailableError, NotFoundError, InvalidDataError; the range
        cannot be used after an error.
        """

    def interrupt(self) -> None:
        """Make a `fill` that waits in another thread fail, if that can be done."""

    def close(self) -> None:
        """Give back what the range holds, read to its end or not."""


class Source(Protocol):
    """One place that has files by their CIDs; may be used by many threads."""

    @property
    def name(self) -> str:
        """How the source is named to people; without secrets."""

    @property
    def connections(self) -> int:
        """How many threads may usefully draw on it at once."""

    @property
    def limits(self) -> Limits:
        """How patient to be with it."""

    def get_block(self, cid: CID, *, may_wait: bool = True) -> bytes:
        """A block, not verified. Raises NotFoundError, UnavailableError.

        With `may_wait` false a source that fails is not asked again.
        """

    def open_range(
        self, cid: CID, start: int, stop: int, *, may_wait: bool = True
    ) -> Range:
        """Bytes `start` to `stop` of the file of this CID, not verified."""

    def close(self) -> None:
        """Wake every thread that waits for this source; it is done with."""


class HttpSource:
    """A node's gateway, or any other IPFS gateway: blocks and byte ranges.

    `url` is the address under which `/ipfs/<cid>` stands.
    """

    def __init__(
        self,
        url: str,
        *,
        limits: Limits = LIMITS,
        connections: int = 2,
        is_public_only: bool = False,
    ) -> None:
        """`is_public_only`: see `Http`; for a URL that no person gave."""
        self._base = url.rstrip("/")
        self.limits = limits
        self.name = redact(self._base)
        self.connections = connections
        self._http = Http(
            limits, connections=connections + 1, is_public_only=is_public_only
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def get_block(self, cid: CID, *, may_wait: bool = True) -> bytes:
        """`/ipfs/<cid>?format=raw`, at most 2 MiB."""
        url = f"{self._base}/ipfs/{cid}?format=raw"
        answer = self._http.fetch(
            url,
            accept="application/vnd.ipld.raw",
            max_bytes=MAX_BLOCK_BYTES,
            may_wait=may_wait,
        )
        verify_status(answer.status, url, "block", cid)
        return answer.body

    def open_range(
        self, cid: CID, start: int, stop: int, *, may_wait: bool = True
    ) -> Range:
        """One range request on `/ipfs/<cid>`, gone on with where it breaks."""
        url = f"{self._base}/ipfs/{cid}"
        return _HttpRange(self._http, url, start, stop, may_wait=may_wait)

    def close(self) -> None:
        """Close every connection."""
        self._http.close()


class _HttpRange:
    def __init__(
        self, http: Http, url: str, start: int, stop: int, *, may_wait: bool
    ) -> None:
        self._http = http
        self._may_wait = may_wait
        self._url = url
        self._position = start
        self._stop = stop
        self._body: Body | None = None

    def fill(self, view: memoryview) -> None:
        end = self._position + len(view)
        self._http.retry(lambda: self._fill_to(end, view), may_wait=self._may_wait)

    def _fill_to(self, end: int, view: memoryview) -> None:
        deadline = self._http.deadline()
        try:
            with hurry(deadline.at_s):
                while self._position < end:
                    self._read_into(view[self._position - end :])
                    deadline.check(self._url)
                if self._position == self._stop:
                    self._verify_end()
        except BaseException:
            self.close()
            raise

    def _read_into(self, view: memoryview) -> None:
        count = (self._body or self._open()).read_into(view)
        if not count:
            msg = f"{redact(self._url)} broke off"
            raise UnavailableError(msg, service=redact(self._url))
        self._position += count

    def _open(self) -> Body:
        headers = {"Range": f"bytes={self._position}-{self._stop - 1}"}
        body = self._body = self._http.open(self._url, headers)
        verify_status(body.status, self._url, "file", self._url.rpartition("/")[2])
        sent = body.headers.get("Content-Range", "").partition("/")[0]
        if body.status != 206 or sent != f"bytes {headers['Range'][6:]}":
            msg = (
                f"{redact(self._url)} was asked for {headers['Range']}"
                f" and sends {sent or 'another part of the file'}"
            )
            raise InvalidDataError(msg, hint="ask another source")
        return body

    def _verify_end(self) -> None:
        if self._body is not None and self._body.read_some(1):
            msg = f"{redact(self._url)} sends more than it was asked for"
            raise InvalidDataError(msg, hint="ask another source")
        self.close()

    def interrupt(self) -> None:
        body = self._body
        if body is not None:
            body.interrupt()

    def close(self) -> None:
        if self._body is not None:
            self._http.release(self._body)
            self._body = None


class StoreSource:
    """A store at hand, such as one's own node's."""

    connections = 2
    limits = LIMITS

    def __init__(self, blocks: BlockSource, name: str = "this node") -> None:
        self._blocks = blocks
        self.name = name

    def get_block(self, cid: CID, *, may_wait: bool = True) -> bytes:
        """A block of the store."""
        return self._blocks.get_block(cid)

    def open_range(
        self, cid: CID, start: int, stop: int, *, may_wait: bool = True
    ) -> Range:
        """Bytes of a file, read chunk by chunk."""
        return _StoredRange(self._blocks, cid, start, stop)

    def close(self) -> None:
        """Nothing to wake: a store answers at once."""


class _StoredRange:
    def __init__(self, blocks: BlockSource, cid: CID, start: int, stop: int) -> None:
        self._blocks = blocks
        self._start, self._stop = start, stop
        self._chunks: Iterator[Chunk] = iter_chunks(blocks, cid, start, stop)
        self._rest = b""

    def fill(self, view: memoryview) -> None:
        position = 0
        while position < len(view):
            if not self._rest:
                self._rest = self._next()
            data = self._rest[: len(view) - position]
            view[position : position + len(data)] = data
            position += len(data)
            self._rest = self._rest[len(data) :]

    def _next(self) -> bytes:
        chunk = next(self._chunks, None)
        if chunk is None:
            raise InvalidDataError("the file ends before the range does")
        data = read_chunk(self._blocks, chunk)
        first = max(0, self._start - chunk.offset)
        return data[first : max(0, self._stop - chunk.offset)]

    def interrupt(self) -> None:
        """A store answers at once."""

    def close(self) -> None:
        self._rest = b""
