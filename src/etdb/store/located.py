"""Blocks looked up beforehand, many at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from etdb.identity import CID
from etdb.store.catalogue import Place

MAX_LOCATED = 256
"""How many blocks are looked up at once; the rest are when they are read."""


class Located:
    """A store's blocks, the places of some of which are known.

    Only places are kept: what is read there is hashed every time.
    """

    def __init__(
        self,
        get_block: Callable[[CID, Place | None], bytes],
        places: Mapping[bytes, Place],
    ) -> None:
        self._get_block = get_block
        self._places = places

    def get_block(self, cid: CID) -> bytes:
        """As the store's."""
        return self._get_block(cid, self._places.get(cid.digest))
