"""What the web is given: a site's parts and texts.

The web reads no settings and opens no files of the node; `node` builds the
parts and hands them over in one `Site`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from etdb.identity import CID
from etdb.store.verified import BlockSource

if TYPE_CHECKING:
    from etdb.index.oip.oipd import OipIndex

Record = dict[str, Any]
"""The one plain dict that the API, the pages and the command line share."""


class Catalogue(Protocol):
    """All that the web asks of an index. Called from many threads at once.

    Lists are dicts of count, total, results and next: an opaque token for `after`,
    or None on the last page.
    """

    @property
    def sorts(self) -> Mapping[str, str]:
        """The orders a list can have: word in the URL → what people read."""

    def search(self, query: str, *, sort: str, limit: int, after: str | None) -> Record:
        """Records that match. Raises InvalidDataError with its `position`."""

    def get_record(self, record_id: str) -> Record:
        """One record by any spelling of its id.

        Raises NotFoundError; ConflictError with `candidates` if ambiguous.
        """

    def list_versions(self, record_id: str) -> Record:
        """The history of a record (`etdb.index.history`). Raises as get_record."""

    def list_rejected(self, *, limit: int, after: str | None) -> Record:
        """Messages that the rules refused, newest first."""

    def count(self) -> Mapping[str, int]:
        """How many `records`, `species` and `labs` there are."""


@dataclass(frozen=True)
class Site:
    """One web site of one node."""

    catalogue: Catalogue
    store: BlockSource
    """Blocks by CID, each hashed again whenever it is read."""
    name: str
    version: str
    status: Callable[[], Mapping[str, Any]]
    """What the node says of itself, as JSON values."""
    banner: str = ""
    """A sentence above every page, such as that all data are synthetic."""
    follow: Callable[[Callable[[], bool]], object] | None = None
    """Applies new blocks to the index until it is told to stop; called about
    once a second."""
    addresses: Sequence[str] = ()
    """Where others reach this site's gateway: URLs or multiaddrs."""
    hosts: Callable[[CID], Sequence[str]] = lambda _cid: ()
    """URLs of other gateways that are said to have the dataset or file of a CID."""
    max_streams: int = 128
    """How many downloads may be under way at once; of one block, twice as many."""
    oip: OipIndex | None = None
    """The index as the old daemons' clients ask it; without it they find nothing."""
