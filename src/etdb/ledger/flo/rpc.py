"""JSON-RPC as FLO daemons speak it: one call or many in one request.

flod and fcoin differ in what they answer, not in how. Nothing that arrives is
believed: an answer is bounded in size, in time and in what it unfolds to, is
JSON-RPC and is to what was asked, or it is an error. User and password are in
no error and no repr.
"""

from __future__ import annotations

import base64
import itertools
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import SplitResult, unquote, urlsplit, urlunsplit

import urllib3
from urllib3.exceptions import HTTPError, ProtocolError

from etdb.errors import InvalidDataError, NotAllowedError, UnavailableError
from etdb.fetch import Deadline, reason_of
from etdb.guarded import guard, hurry

TIMEOUT_S = 30.0
MAX_ANSWER_BYTES = 32 * 1024 * 1024
_ANSWER_TIMEOUTS = 4
"""How many times the longest silence one answer may take in all."""
_READ_BYTES = 1024 * 1024
_SHORT_BYTES = 1024 * 1024
"""The most that is read of an answer to calls that are not of `_LONG`."""
_LONG = frozenset({"getblock", "getrawmempool"})
_STRUCTURES = 2_000
_STRUCTURES_PER_CALL = 16
_MEMPOOL_COMMAS = 500_000
"""More than identities of transactions fit into the longest answer."""
_CONNECTIONS = 4
_MAX_MESSAGE_CHARACTERS = 300
_HINT_LOGIN = "look at the settings ledger.user and ledger.password_file"
_HINT_WARMING = "it is starting; wait a minute, then repeat"
_WARMING = -28
_HINT_ADDRESS = "look at the setting ledger.url, and whether the daemon runs"

Call = tuple[object, ...]
"""A method and its parameters."""


@dataclass(frozen=True)
class Refusal:
    """A daemon's own words for why it does not do what it was asked."""

    code: int
    message: str

    def __str__(self) -> str:
        return f"{self.message} ({self.code})"


@dataclass(frozen=True)
class _Bounds:
    """The most that an answer to some calls can come to.

    A few bytes of JSON can unfold to a hundred times their size; what is long
    in an honest answer is one text, or a list of texts.
    """

    size_bytes: int
    containers: int
    commas: int

    @classmethod
    def of(cls, calls: Sequence[Call], most_bytes: int) -> _Bounds:
        methods = {call[0] for call in calls}
        is_short = methods.isdisjoint(_LONG)
        few = _STRUCTURES + _STRUCTURES_PER_CALL * len(calls)
        return cls(
            min(most_bytes, _SHORT_BYTES) if is_short else most_bytes,
            few,
            few + (_MEMPOOL_COMMAS if "getrawmempool" in methods else 0),
        )

    def is_kept(self, body: bytearray) -> bool:
        # One odd character makes each of a long text take four bytes.
        is_plain = body.isascii() and b"\\" not in body
        return (
            body.count(b"{") + body.count(b"[") <= self.containers
            and body.count(b",") <= self.commas
            and (is_plain or len(body) <= _SHORT_BYTES)
        )


class Rpc:
    """One daemon. Keeps connections; may be used by many threads.

    `timeout_s` is the longest silence; an answer may take `answer_s` in all,
    four times as long where it is not given. `max_answer_bytes` bounds answers
    with blocks; others are short.
    Raises InvalidDataError for what is no address of http or https.
    """

    def __init__(
        self,
        url: str,
        user: str = "",
        password: str = "",
        *,
        timeout_s: float = TIMEOUT_S,
        answer_s: float | None = None,
        max_answer_bytes: int = MAX_ANSWER_BYTES,
    ) -> None:
        parts = _split(url)
        self.address = urlunsplit(
            (parts.scheme, parts.netloc.rpartition("@")[2], parts.path or "/", "", "")
        )
        """Where the daemon is, without user and password."""
        self._headers = {
            "Content-Type": "application/json",
            "Accept-Encoding": "identity",
            "User-Agent": "etdb",
        } | _authorization(parts, user, password)
        self._timeout_s = timeout_s
        self._answer_s = _ANSWER_TIMEOUTS * timeout_s if answer_s is None else answer_s
        self._max_answer_bytes = max_answer_bytes
        self._ids = itertools.count(1)
        self._pool = urllib3.PoolManager(maxsize=_CONNECTIONS, retries=False)
        guard(self._pool)

    def __repr__(self) -> str:
        return f"Rpc({self.address!r})"

    def __enter__(self) -> Rpc:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Drop the connections."""
        self._pool.clear()

    def call(self, method: str, *params: object) -> Any:
        """The result of one call.

        Raises UnavailableError, with `facts` of `rpc_code` and `rpc_message`
        where the daemon refuses, NotAllowedError where it does not know us.
        """
        result = self.ask(method, *params)
        if isinstance(result, Refusal):
            raise self.refused(method, result)
        return result

    def ask(self, method: str, *params: object) -> Any | Refusal:
        """As `call`, but a refusal is returned."""
        number = next(self._ids)
        call = (method, *params)
        answered, outcome = self._outcome(self._post(_request(number, call), [call]))
        # Where a daemon cannot read a request it cannot name it either.
        is_unread = answered is None and isinstance(outcome, Refusal)
        if answered != number and not is_unread:
            raise self._strange("an answer to something else")
        return outcome

    def batch(self, calls: Sequence[Call]) -> list[Any | Refusal]:
        """The results of many calls in one request, in the order of the calls.

        Refusals are among them. Raises as `call` does.
        """
        if not calls:
            return []
        numbers = [next(self._ids) for _ in calls]
        answers = self._post([*map(_request, numbers, calls)], calls)
        if isinstance(answers, Mapping):
            _, outcome = self._outcome(answers)
            if isinstance(outcome, Refusal):
                raise self.refused("a batch of calls", outcome)
            raise self._strange("one answer to many calls")
        # Daemons may answer in any order.
        outcomes = dict(map(self._outcome, answers))
        if len(answers) != len(calls) or outcomes.keys() != {*numbers}:
            raise self._strange("not one answer to each call")
        return [outcomes[number] for number in numbers]

    def refused(self, what: str, refusal: Refusal) -> UnavailableError:
        """The error for a refusal that nothing can be done about."""
        msg = f"the FLO daemon at {self.address} refuses {what}: {refusal}"
        return UnavailableError(
            msg,
            hint=_HINT_WARMING if refusal.code == _WARMING else "",
            rpc_code=refusal.code,
            rpc_message=refusal.message,
        )

    def _outcome(self, answer: object) -> tuple[int | None, Any | Refusal]:
        """Which call an answer is to, and its result or refusal."""
        if not isinstance(answer, Mapping):
            raise self._strange("an answer is no object")
        number, error = answer.get("id"), answer.get("error")
        if number is not None and type(number) is not int:
            raise self._strange("an answer to something else")
        if error is not None:
            return number, self._refusal(error)
        if "result" not in answer:
            raise self._strange("neither result nor error")
        return number, answer["result"]

    def _refusal(self, error: object) -> Refusal:
        if not isinstance(error, Mapping):
            raise self._strange("an error is no object")
        code = error.get("code")
        said = str(error.get("message"))[:_MAX_MESSAGE_CHARACTERS]
        clean = "".join(c if c.isprintable() else " " for c in said)
        return Refusal(code if type(code) is int else 0, clean)

    def _post(self, request: object, calls: Sequence[Call]) -> Any:
        """Whatever JSON is answered, by whatever status."""
        bounds = _Bounds.of(calls, self._max_answer_bytes)
        status, body = self._exchange(json.dumps(request).encode(), bounds.size_bytes)
        if status in {401, 403}:
            msg = f"the FLO daemon at {self.address} does not accept user and password"
            raise NotAllowedError(msg, hint=_HINT_LOGIN, status=status)
        if not bounds.is_kept(body):
            raise self._strange("more structure than any answer has")
        try:
            answer = json.loads(body.decode())
        except (ValueError, RecursionError) as exc:
            raise self._unreadable(status) from exc
        is_answer = isinstance(answer, Mapping) and "id" in answer
        if not is_answer and not isinstance(answer, list):
            raise self._unreadable(status)
        return answer

    def _exchange(self, request: bytes, most_bytes: int) -> tuple[int, bytearray]:
        deadline = Deadline(time.monotonic() + self._answer_s)
        try:
            with hurry(deadline.at_s):
                response = self._send(request, deadline)
                try:
                    body = self._read(response, most_bytes)
                    response.release_conn()
                    return response.status, body
                finally:
                    response.close()
        except (HTTPError, OSError, ValueError) as exc:
            deadline.check(self.address)
            msg = f"no answer from the FLO daemon at {self.address}: {reason_of(exc)}"
            raise UnavailableError(msg, hint=_HINT_ADDRESS) from exc

    def _send(self, request: bytes, deadline: Deadline) -> urllib3.BaseHTTPResponse:
        """The answer once it begins.

        Daemons close connections that were idle for a few seconds, some just
        as the next request comes. All calls may be repeated, so it is asked
        once more.
        """
        try:
            return self._send_once(request, deadline)
        except ProtocolError:
            return self._send_once(request, deadline)

    def _send_once(
        self, request: bytes, deadline: Deadline
    ) -> urllib3.BaseHTTPResponse:
        return self._pool.request(
            "POST",
            self.address,
            body=request,
            headers=self._headers,
            preload_content=False,
            redirect=False,
            timeout=urllib3.Timeout(
                total=deadline.at_s - time.monotonic(),
                connect=self._timeout_s,
                read=self._timeout_s,
            ),
        )

    def _read(self, response: urllib3.BaseHTTPResponse, most_bytes: int) -> bytearray:
        body = bytearray()
        while data := response.read1(_READ_BYTES, decode_content=False):
            body += data
            if len(body) > most_bytes:
                msg = (
                    f"the FLO daemon at {self.address} answers with over "
                    f"{most_bytes} bytes"
                )
                raise UnavailableError(msg, limit_bytes=most_bytes)
        return body

    def _unreadable(self, status: int) -> UnavailableError:
        if status == 200:
            return self._strange("not JSON, or cut off")
        msg = f"the FLO daemon at {self.address} answers with status {status}"
        return UnavailableError(msg, hint=_HINT_ADDRESS, status=status)

    def _strange(self, why: str) -> UnavailableError:
        msg = f"what answers at {self.address} does not speak JSON-RPC: {why}"
        return UnavailableError(msg, hint=_HINT_ADDRESS)


def _request(number: int, call: Call) -> dict[str, object]:
    method, *params = call
    return {"jsonrpc": "1.0", "id": number, "method": method, "params": params}


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        if parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0:
            return parts
    except ValueError:
        pass
    # What is no address may hold a password all the same: it is not quoted.
    msg = "the FLO daemon's address must look like http://127.0.0.1:7313"
    raise InvalidDataError(msg, hint="look at the setting ledger.url")


def _authorization(parts: SplitResult, user: str, password: str) -> dict[str, str]:
    name = user or unquote(parts.username or "")
    secret = password or unquote(parts.password or "")
    if not name and not secret:
        return {}
    token = base64.b64encode(f"{name}:{secret}".encode()).decode("ascii")
    return {"Authorization": f"Basic {token}"}
