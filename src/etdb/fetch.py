"""HTTP with limits: size, time, redirects, attempts.

For whatever another machine serves us. It is not a browser: no cookies, no
cache, no compression, no proxies from the environment; and it believes
nothing: what arrives is for the caller to verify.

    >>> Limits().attempts
    5
"""

from __future__ import annotations

import email.utils
import itertools
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC
from typing import Any, TypeVar
from urllib.parse import urljoin, urlsplit, urlunsplit

import urllib3
from urllib3.exceptions import HTTPError, LocationValueError, ProtocolError

from etdb.address import PublicPool, Resolver, resolve
from etdb.errors import (
    InvalidDataError,
    NotAllowedError,
    NotFoundError,
    UnavailableError,
)
from etdb.guarded import guard, hurry, into

T = TypeVar("T")

_READ_BYTES = 1024 * 1024
"""At most at once: what has arrived, however much; a smaller piece costs more."""
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_FORBIDDEN = frozenset({401, 403})


@dataclass(frozen=True)
class Limits:
    """How long to wait for another machine, and how often to ask again."""

    connect_s: float = 10.0
    silence_s: float = 30.0
    """The longest time without a byte."""
    answer_s: float = 120.0
    """The longest time for one small answer, or one chunk of a large one."""
    attempts: int = 5
    backoff_s: float = 0.5
    """The pause before the second attempt; doubled before each further one."""
    retry_after_s: float = 60.0
    """A server that asks to be left alone for longer is given up."""
    redirects: int = 3

    def pause_s(self, error: UnavailableError, attempt: int) -> float | None:
        """Seconds before the attempt after this one; None to give up."""
        asked_s = error.facts.get("retry_after_s")
        if attempt >= self.attempts or self.is_sent_away(error):
            return None
        if isinstance(asked_s, float):
            return asked_s
        return float(self.backoff_s * 2 ** (attempt - 1))

    def is_sent_away(self, error: UnavailableError) -> bool:
        """Whether the server asks for a longer pause than we would make."""
        asked_s = error.facts.get("retry_after_s")
        return isinstance(asked_s, float) and asked_s > self.retry_after_s


LIMITS = Limits()


@dataclass(frozen=True)
class Answer:
    """A whole small answer."""

    status: int
    body: bytes


class Body:
    """The body of one answer while it arrives; close it when done."""

    def __init__(self, response: urllib3.BaseHTTPResponse, service: str) -> None:
        self._response = response
        self._service = service
        self.status = response.status
        self.headers: Mapping[str, str] = response.headers

    def read_some(self, limit_bytes: int) -> bytes:
        """The next bytes, at most `limit_bytes`; empty at the end.

        Raises UnavailableError when the server falls silent or cuts off.
        """
        return self._read(min(limit_bytes, _READ_BYTES))

    def read_into(self, view: memoryview) -> int:
        """Put what has arrived at the start of `view`; its length, 0 at the end.

        Errors as `read_some`.
        """
        with into(view):
            return len(self._read(len(view)))

    def _read(self, limit_bytes: int) -> bytes:
        try:
            return self._response.read1(limit_bytes, decode_content=False)
        except (HTTPError, OSError, ValueError) as exc:
            msg = f"{self._service} broke off: {reason_of(exc)}"
            raise UnavailableError(msg, service=self._service) from exc

    def close(self) -> None:
        """Give the connection back if it is still good, else drop it."""
        if self._response.length_remaining == 0:
            self._response.release_conn()
        self._response.close()

    def interrupt(self) -> None:
        """Make a `read` that waits in another thread return at once."""
        try:
            self._response.shutdown()
        except (ValueError, RuntimeError, OSError):
            return  # it has ended by itself


class Http:
    """A small pool of connections; may be used by many threads."""

    def __init__(
        self,
        limits: Limits = LIMITS,
        *,
        connections: int = 4,
        is_public_only: bool = False,
        resolver: Resolver | None = None,
    ) -> None:
        """`is_public_only` is for URLs that no person gave.

        Then only https at public addresses is fetched, also after redirects;
        anything else raises NotAllowedError.
        """
        self.limits = limits
        self._is_public_only = is_public_only
        self._closed = threading.Event()
        self._bodies: set[Body] = set()
        self._is_down = False
        self._quiet_until_s: dict[str, float] = {}
        """Until when a host asked to be left alone, on the monotonic clock."""
        options: dict[str, Any] = {
            "maxsize": connections,
            "retries": False,
            "timeout": urllib3.Timeout(connect=limits.connect_s, read=limits.silence_s),
        }
        self._pool = (
            PublicPool(resolver or resolve, **options)
            if is_public_only
            else urllib3.PoolManager(**options)
        )
        guard(self._pool)

    def fetch(
        self, url: str, *, accept: str, max_bytes: int, may_wait: bool = True
    ) -> Answer:
        """A whole answer of at most `max_bytes`, asked for again if need be.

        Statuses that say "later" are retried; any other is returned with its
        body. Raises UnavailableError, InvalidDataError (too large, redirects).
        """
        return self.retry(
            lambda: self._fetch_once(url, accept, max_bytes), may_wait=may_wait
        )

    def _fetch_once(self, url: str, accept: str, max_bytes: int) -> Answer:
        deadline = self.deadline()
        body = self.open(url, {"Accept": accept})
        try:
            received = bytearray()
            with hurry(deadline.at_s):
                while data := body.read_some(max_bytes + 1 - len(received)):
                    received += data
                    if len(received) > max_bytes:
                        msg = f"{redact(url)} sends more than {max_bytes} bytes"
                        raise InvalidDataError(msg, hint="ask another source")
                    deadline.check(url)
            return Answer(body.status, bytes(received))
        finally:
            self.release(body)

    def open(self, url: str, headers: Mapping[str, str]) -> Body:
        """Ask once; the answer's body, which must be handed to `release`.

        Raises UnavailableError when nobody answers or the answer is "later"
        (408, 429, 5xx), InvalidDataError for a redirect that is not followed.
        """
        _verify_url(url)
        for _ in range(self.limits.redirects + 1):
            body = self._open_once(url, headers)
            if body.status not in _REDIRECTS or "Location" not in body.headers:
                return self._usable(body, url)
            self.release(body)
            url = _redirected(url, body.headers["Location"])
        msg = f"{redact(url)} redirects more than {self.limits.redirects} times"
        raise InvalidDataError(msg)

    def _open_once(self, url: str, headers: Mapping[str, str]) -> Body:
        service = redact(url)
        if self._closed.is_set():
            msg = f"the connection to {service} was closed"
            raise UnavailableError(msg, service=service)
        quiet_s = self._quiet_until_s.get(urlsplit(url).netloc, 0.0) - time.monotonic()
        if quiet_s > 0:
            raise _later(service, quiet_s)
        if self._is_public_only and urlsplit(url).scheme != "https":
            msg = f"{service} is not fetched: only https is, from strangers' URLs"
            raise NotAllowedError(msg, hint="give the URL yourself if it is meant")
        try:
            with hurry(time.monotonic() + self.limits.answer_s):
                response = self._pool.request(
                    "GET",
                    url,
                    headers={"Accept-Encoding": "identity", "User-Agent": "etdb"}
                    | dict(headers),
                    preload_content=False,
                    redirect=False,
                )
        except (LocationValueError, UnicodeError) as exc:
            raise _no_url(url) from exc
        except (HTTPError, OSError) as exc:
            msg = f"no answer from {service}: {reason_of(exc)}"
            raise UnavailableError(msg, service=service) from exc
        body = Body(response, service)
        self._bodies.add(body)
        return body

    def _usable(self, body: Body, url: str) -> Body:
        if body.status not in {408, 425, 429} and body.status < 500:
            encoding = body.headers.get("Content-Encoding", "identity")
            if encoding.strip().lower() in {"", "identity"}:
                return body
            self.release(body)
            msg = f"{redact(url)} sends its answer in the encoding {encoding[:20]!r}"
            raise InvalidDataError(msg, hint="ask another source")
        self.release(body)
        quiet_s = _retry_after_s(body.headers.get("Retry-After", ""))
        if quiet_s:
            self._quiet_until_s[urlsplit(url).netloc] = time.monotonic() + quiet_s
        raise _later(redact(url), quiet_s, body.status)

    def release(self, body: Body) -> None:
        """Done with a body, read to its end or not."""
        self._bodies.discard(body)
        body.close()

    def retry(self, once: Callable[[], T], *, may_wait: bool = True) -> T:
        """Call until it succeeds or has raised UnavailableError too often.

        Other errors are not retried: asking again cannot help. Once that many
        attempts were in vain, each call has one, until one succeeds: a server
        that is down is not waited for again and again.
        """
        if not may_wait:
            return once()
        for attempt in itertools.count(1):
            try:
                found = once()
            except UnavailableError as exc:
                pause_s = None if self._is_down else self.limits.pause_s(exc, attempt)
                if pause_s is None or self._closed.wait(pause_s):
                    self._is_down = True
                    raise
            else:
                self._is_down = False
                return found
        raise AssertionError

    def deadline(self) -> Deadline:
        """The moment by which one answer or chunk must be here."""
        return Deadline(time.monotonic() + self.limits.answer_s)

    def close(self) -> None:
        """Wake every thread that waits here; nothing can be fetched after."""
        self._closed.set()
        for body in list(self._bodies):
            body.interrupt()
        self._pool.clear()


@dataclass(frozen=True)
class Deadline:
    """A moment on the monotonic clock, in seconds."""

    at_s: float

    def check(self, url: str) -> None:
        """Raises UnavailableError when the moment has passed."""
        if time.monotonic() > self.at_s:
            msg = f"{redact(url)} is too slow"
            raise UnavailableError(msg, service=redact(url))


def verify_status(status: int, url: str, what: str, identity: object) -> None:
    """Raises the error that a status other than 200 or 206 stands for."""
    if status in {200, 206}:
        return
    if status in {404, 410}:
        raise NotFoundError(what, identity, hint=f"asked {redact(url)}")
    msg = f"{redact(url)} answers {status}"
    kind = NotAllowedError if status in _FORBIDDEN else InvalidDataError
    raise kind(msg, status=status)


def _verify_url(url: str) -> None:
    try:
        parts = urlsplit(url)
    except ValueError as exc:
        raise _no_url(url) from exc
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise _no_url(url)


def _no_url(url: str) -> InvalidDataError:
    msg = f"not a URL of http or https: {url[:200]!r}"
    return InvalidDataError(msg)


def redact(url: str) -> str:
    """A URL as it may be shown: without user, password and query."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return url.partition("?")[0].rpartition("@")[2]
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit((parts.scheme, host, parts.path, "", ""))


def _later(
    service: str, quiet_s: float | None, status: int | None = None
) -> UnavailableError:
    said = [f"answers {status}"] if status else []
    if quiet_s:
        said.append(f"asks to be left alone for {quiet_s:.0f} s")
    msg = f"{service} {' and '.join(said)}"
    return UnavailableError(msg, service=service, status=status, retry_after_s=quiet_s)


def _redirected(url: str, location: str) -> str:
    try:
        target = urljoin(url, location)
        scheme = urlsplit(target).scheme
    except ValueError as exc:
        raise _no_url(location) from exc
    allowed = {"https"} if urlsplit(url).scheme == "https" else {"http", "https"}
    if scheme not in allowed:
        msg = f"{redact(url)} redirects to {redact(target)}, which is not followed"
        raise InvalidDataError(msg)
    return target


def _retry_after_s(header: str) -> float | None:
    if header.isascii() and header.isdigit():
        return float(header[:9])
    try:
        moment = email.utils.parsedate_to_datetime(header)
        if moment.tzinfo is None:  # written -0000: it is UTC all the same
            moment = moment.replace(tzinfo=UTC)
        return max(0.0, moment.timestamp() - time.time())
    except (ValueError, OverflowError):
        return None


def reason_of(error: BaseException) -> str:
    """What went wrong on the way, without the names of classes around it."""
    if isinstance(error, ProtocolError):
        return "the connection ended before the answer did"
    return str(error).rpartition(": ")[2] or type(error).__name__
