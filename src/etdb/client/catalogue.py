"""A node as its users see it: search, and records by any of their names.

It checks that an answer is about what was asked, and no more: what a record
proves is `verify`'s affair, and what its bytes are is the downloader's.

    >>> parse_node_url("https://etdb.example.org/records/3f2a9c41")
    ('https://etdb.example.org', '3f2a9c41')
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Protocol, Self
from urllib.parse import quote, urlencode, urlsplit

from etdb.client.record import verify_standing
from etdb.errors import (
    ConflictError,
    EtdbError,
    InvalidDataError,
    InvalidRecordError,
    NotAllowedError,
    NotFoundError,
    UnavailableError,
)
from etdb.fetch import LIMITS, Answer, Http, Limits, redact

_RECORD_PATH = re.compile(
    r"(.*?)(?:/api)?/records(?:/([^/]*)(?:/history|/versions)?)?/?"
)
MAX_ANSWER_BYTES = 32 * 1024 * 1024
PAGE_RECORDS = 100

_ERRORS: Mapping[str, type[EtdbError]] = {
    error.code: error
    for error in (
        ConflictError,
        InvalidDataError,
        InvalidRecordError,
        NotAllowedError,
        UnavailableError,
    )
}


_SUMMARY: Mapping[str, Any] = {
    "id": str,
    "title": str | None,
    "details": dict,
    "files": list,
    "size_bytes": int | None,
    "publisher": dict,
    "anchor": dict,
}
_WHOLE: Mapping[str, Any] = {**_SUMMARY, "txid": str, "text": str, "checks": list}
_STANDS: Mapping[str, Any] = {
    "timestamp": int,
    "by": str | None,
    "ledger": str,
    "height": int,
    "txid": str,
}
_VERSION: Mapping[str, Any] = {
    **_STANDS,
    "id": str,
    "number": int,
    "state": str,
    "by_name": str | None,
    "changes": list | None,
}
_OLD: Mapping[str, Any] = {**_STANDS, "action": str, "says": str}
_FILE = frozenset({"name", "role", "size_bytes", "cid"})
_CHECK = frozenset({"name", "holds", "says"})


class Catalogue(Protocol):
    """Whoever knows records: a node of one's own, or one asked over HTTP."""

    def search(
        self, query: str, *, sort: str, limit: int, after: str | None
    ) -> dict[str, Any]:
        """A page of record summaries: count, total, results, next."""

    def get_record(self, record_id: str) -> dict[str, Any]:
        """A record by id, txid, unique prefix or page URL."""

    def list_versions(self, record_id: str) -> dict[str, Any]:
        """The history of a record (`etdb.index.history.list_versions`)."""


def iter_results(
    catalogue: Catalogue, query: str = "", *, sort: str = "newest"
) -> Iterator[dict[str, Any]]:
    """Every record summary that a query finds, page after page as they are taken.

    What moved to a later page meanwhile comes once. Raises InvalidDataError for
    the query, and where the pages do not end.
    """
    known: set[str] = set()
    after: str | None = None
    while True:
        page = catalogue.search(query, sort=sort, limit=PAGE_RECORDS, after=after)
        new = {one["id"]: one for one in page["results"] if one["id"] not in known}
        known |= new.keys()
        yield from new.values()
        after = page["next"]
        if not isinstance(after, str):
            return
        if not new:
            raise InvalidDataError("the node's pages of results do not end")


class NodeCatalogue:
    """A node at a URL: its front page's, or that of any of its records."""

    def __init__(self, url: str, *, limits: Limits = LIMITS) -> None:
        self.url, self.record_id = parse_node_url(url)
        self._http = Http(limits)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close every connection."""
        self._http.close()

    def search(
        self,
        query: str = "",
        *,
        sort: str = "newest",
        limit: int = 20,
        after: str | None = None,
    ) -> dict[str, Any]:
        """A page of record summaries. Raises InvalidDataError for the query."""
        asked = {"q": query, "sort": sort, "limit": limit}
        if after is not None:
            asked["after"] = after
        page = self._fetch(f"/api/records?{urlencode(asked)}", "search")
        results = page.get("results")
        if not isinstance(results, list) or not isinstance(page.get("total"), int):
            raise _not_a_node(self.url)
        for record in results:
            _verify_shape(record, _SUMMARY, self.url)
        return {**page, "count": len(results), "next": page.get("next")}

    def get_record(self, record_id: str) -> dict[str, Any]:
        """A record by id, txid, a unique prefix of 6 or more, or page URL.

        Raises NotFoundError; ConflictError for an ambiguous prefix;
        InvalidDataError when the node answers with another record.
        """
        record_id = _parse_name(record_id)
        record = self._fetch(f"/api/records/{quote(record_id, safe='')}", record_id)
        if not any(name.startswith(record_id) for name in _names(record)):
            msg = f"{self.url} was asked for record {record_id} and sent another"
            raise InvalidDataError(msg, hint="ask another node")
        verify_standing(record)
        _verify_shape(record, _WHOLE, self.url)
        return record

    def list_versions(self, record_id: str) -> dict[str, Any]:
        """The history of a record, named as for `get_record`; its node's word.

        Raises as get_record.
        """
        record_id = _parse_name(record_id)
        path = f"/api/records/{quote(record_id, safe='')}/versions"
        history = self._fetch(path, record_id)
        verify_standing(history)
        _verify_history(history, self.url)
        return history

    def _fetch(self, path: str, wanted: str) -> dict[str, Any]:
        url = self.url + path
        answer = self._http.fetch(
            url, accept="application/json", max_bytes=MAX_ANSWER_BYTES
        )
        try:
            value = json.loads(answer.body)
        except (ValueError, RecursionError):
            value = None
        if answer.status != 200:
            raise _error(answer, value, url, wanted)
        if not isinstance(value, dict):
            msg = f"{redact(url)} does not answer with a JSON object"
            raise InvalidDataError(msg)
        return value


def _parse_name(text: str) -> str:
    """The digits that name a record; of the URL of its page those in it."""
    digits = parse_node_url(text)[1] if "://" in text else text
    if not digits:
        raise InvalidDataError("no record is named", hint="give its id")
    return digits.lower()


def _verify_history(history: dict[str, Any], url: str) -> None:
    lists = ((history.get("versions"), _VERSION), (history.get("old"), _OLD))
    for items, shape in lists:
        if not isinstance(items, list) or not all(_has_shape(i, shape) for i in items):
            raise _not_a_node(url)
    if not isinstance(history.get("id"), str):
        raise _not_a_node(url)
    changes = [version.get("changes") or [] for version in history["versions"]]
    if not all(isinstance(lines, list) for lines in changes) or not all(
        isinstance(line, str) for lines in changes for line in lines
    ):
        raise _not_a_node(url)


def _has_shape(item: object, shape: Mapping[str, Any]) -> bool:
    return isinstance(item, dict) and all(
        isinstance(item.get(key), kind) for key, kind in shape.items()
    )


def _verify_shape(record: object, shape: Mapping[str, Any], url: str) -> None:
    """What is shown must be of the kinds that are shown (docs/api.md)."""
    if not isinstance(record, dict) or not _has_shape(record, shape):
        raise _not_a_node(url)
    parts = ((record["files"], _FILE), (record.get("checks", []), _CHECK))
    for items, keys in parts:
        if not all(isinstance(item, dict) and keys <= item.keys() for item in items):
            raise _not_a_node(url)
    if not isinstance(record["details"].get("sid"), str | None):
        raise _not_a_node(url)


def _not_a_node(url: str) -> InvalidDataError:
    msg = f"{url} does not answer like an etdb node"
    return InvalidDataError(msg)


def parse_node_url(url: str) -> tuple[str, str]:
    """(the node's address, the id of the record or ""). Raises InvalidDataError.

    Both a record's page and its JSON are understood, also below a path.
    """
    try:
        parts = urlsplit(url)
    except ValueError:
        parts = urlsplit("")
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        msg = f"not the URL of a node: {url[:200]!r}"
        raise InvalidDataError(msg, hint="give it as http://host:port")
    found = _RECORD_PATH.fullmatch(parts.path)
    path, record_id = found.groups() if found else (parts.path.rstrip("/"), "")
    return f"{parts.scheme}://{parts.netloc}{path}", record_id or ""


def _names(record: Mapping[str, Any]) -> list[str]:
    """By which a record may have been asked for; its own word, but for the id."""
    named = [record]
    for key in ("anchors", "versions"):
        listed = record.get(key)
        items = listed if isinstance(listed, list) else []
        named += [item for item in items if isinstance(item, dict)]
    names = [item.get(key) for item in named for key in ("id", "txid")]
    return [name for name in names if isinstance(name, str)]


def _error(answer: Answer, value: object, url: str, wanted: str) -> EtdbError:
    """The error a node reports, as the class it was there."""
    told = value.get("error") if isinstance(value, dict) else None
    told = told if isinstance(told, dict) else {}
    facts = told.get("details")
    facts = facts if isinstance(facts, dict) else {}
    hint = str(facts.get("hint", ""))
    if answer.status == 404:
        return NotFoundError("record", wanted, hint=hint or f"asked {redact(url)}")
    message = str(told.get("message") or f"{redact(url)} answers {answer.status}")
    error = _ERRORS.get(str(told.get("code")), InvalidDataError)(message, hint=hint)
    error.facts.update(facts)
    return error
