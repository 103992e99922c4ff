"""A node's own index, asked as another node would be."""

from __future__ import annotations

from typing import Any

from etdb.identity import CID
from etdb.index import history, queries
from etdb.index.db import Index
from etdb.index.hosts import list_hosts


class LocalCatalogue:
    """The records of an index, as `Client` gives those of a node."""

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
        """One page: count, total, results, next."""
        page = queries.search(self._index, query, sort=sort, limit=limit, after=after)
        return {
            "count": len(page.results),
            "total": page.total,
            "results": page.results,
            "next": page.next,
        }

    def get_record(self, record_id: str) -> dict[str, Any]:
        """The record of an id, whole."""
        return queries.get_record(self._index, record_id)

    def list_versions(self, record_id: str) -> dict[str, Any]:
        """The history of a record: versions, who signed them, what they changed."""
        return history.list_versions(self._index, record_id)

    def list_hosts(self, root: CID) -> list[str]:
        """Gateways that publishers of a dataset have registered; hearsay."""
        return list_hosts(self._index, root)
