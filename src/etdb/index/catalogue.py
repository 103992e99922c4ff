"""An index as a node's pages, its API and its own commands ask it."""

from __future__ import annotations

from typing import Any

from etdb.identity import CID
from etdb.index import history, hosts, queries
from etdb.index.db import Index


class IndexCatalogue:
    """The records of an index; lists are dicts of count, total, results, next."""

    sorts = queries.SORTS
    """The orders a search can have: word of the query → what people read."""

    def __init__(self, index: Index) -> None:
        self._index = index

    def search(
        self,
        query: str = "",
        *,
        sort: str = "newest",
        limit: int = 20,
        after: str | None = None,
    ) -> dict[str, Any]:
        """One page of summaries."""
        return queries.search(
            self._index, query, sort=sort, limit=limit, after=after
        ).as_dict()

    def get_record(self, record_id: str) -> dict[str, Any]:
        """The record of an id, whole."""
        return queries.get_record(self._index, record_id)

    def list_versions(self, record_id: str) -> dict[str, Any]:
        """The history of a record: versions, who signed them, what they changed."""
        return history.list_versions(self._index, record_id)

    def list_rejected(self, *, limit: int, after: str | None) -> dict[str, Any]:
        """Messages that the rules refused, newest first."""
        return queries.list_rejected(self._index, limit=limit, after=after).as_dict()

    def list_hosts(self, cid: CID) -> list[str]:
        """Gateways that a dataset's or a file's publishers have registered; hearsay."""
        return hosts.list_hosts(self._index, cid)

    def count(self) -> dict[str, int]:
        """How many records, species and labs there are."""
        return queries.count(self._index)
