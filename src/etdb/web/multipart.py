"""Several ranges of a file in one answer: multipart/byteranges (RFC 9110, 14.6)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from etdb.web.jobs import Job, literal
from etdb.web.span import Span


@dataclass(frozen=True)
class Multipart:
    """An answer in parts. The boundary must not occur in the content."""

    boundary: str
    content_type: str
    spans: Sequence[Span]
    total_bytes: int

    @property
    def media_type(self) -> str:
        """The Content-Type of the whole answer."""
        return f"multipart/byteranges; boundary={self.boundary}"

    @property
    def size_bytes(self) -> int:
        """The Content-Length of the whole answer."""
        parts = sum(len(self._head(span)) + span.size for span in self.spans)
        return parts + len(self._tail())

    def jobs(self, read: Callable[[Span], Iterator[Job]]) -> Iterator[Job]:
        """The whole answer, around the content that `read` plans."""
        for span in self.spans:
            yield literal(self._head(span))
            yield from read(span)
        yield literal(self._tail())

    def _head(self, span: Span) -> bytes:
        return (
            f"\r\n--{self.boundary}\r\nContent-Type: {self.content_type}\r\n"
            f"Content-Range: {content_range(span, self.total_bytes)}\r\n\r\n"
        ).encode("latin-1")

    def _tail(self) -> bytes:
        return f"\r\n--{self.boundary}--\r\n".encode("latin-1")


def content_range(span: Span, total_bytes: int) -> str:
    """The value of a Content-Range header."""
    return f"bytes {span.start}-{span.stop - 1}/{total_bytes}"
