"""A node's index as its web site asks it."""

from __future__ import annotations

from typing import Any

from etdb.index import history, queries
from etdb.index.db import Index
from etdb.index.paging import Page
from etdb.web.site import Counts


class IndexCatalogue:
    """The `Catalogue` of a site, answered from an index."""

    sorts = queries.SORTS

    def __init__(self, index: Index) -> None:
        self._index = index

    def search(self, query: str, *, sort: str, limit: int, after: str | None) -> Page:
        """One page of summaries."""
        return queries.search(self._index, query, sort=sort, limit=limit, after=after)

    def get_record(self, id_text: str) -> dict[str, Any]:
        """The record of an id, whole."""
        return queries.get_record(self._index, id_text)

    def list_versions(self, id_text: str) -> dict[str, Any]:
        """The history of a record: versions, who signed them, what they changed."""
        return history.list_versions(self._index, id_text)

    def list_rejected(self, *, limit: int, after: str | None) -> Page:
        """Messages that the rules refused, newest first."""
        return queries.list_rejected(self._index, limit=limit, after=after)

    def count(self) -> Counts:
        """How many tilt series, species and labs there are."""
        found = queries.count(self._index)
        return Counts(found["records"], found["species"], found["labs"])
