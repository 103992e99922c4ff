"""Who has a dataset's files, as those who published it have registered.

Hearsay: anybody may publish a record of any dataset and register any gateway.
Whoever asks there verifies what comes, and asks public addresses alone.
"""

from __future__ import annotations

from collections.abc import Mapping

from etdb.identity import CID, Address
from etdb.index import queries
from etdb.index.db import Index
from etdb.index.register import find_signed_body

MAX_PUBLISHERS = 8
MAX_GATEWAYS = 8
"""Of one publisher."""


def list_hosts(index: Index, cid: CID) -> list[str]:
    """URLs of gateways that are said to have a dataset or a file, each once.

    What publishers have registered now, of records that are listed and name the
    CID; as text that nobody has checked. No record names the blocks in a file,
    or a folder in a dataset: who has those is asked by the CID of the whole.
    """
    found = queries.search(
        index, f"cid:{cid}", sort="oldest", limit=MAX_PUBLISHERS, after=None
    )
    addresses = dict.fromkeys(one["publisher"]["address"] for one in found.results)
    urls = (url for one in addresses for url in _registered(index, Address(one)))
    return list(dict.fromkeys(urls))


def _registered(index: Index, address: Address) -> list[str]:
    info = (find_signed_body(index, address) or {}).get("info")
    listed = info.get("gateways") if isinstance(info, Mapping) else None
    urls = listed if isinstance(listed, list) else []
    return [url for url in urls if isinstance(url, str)][:MAX_GATEWAYS]
