"""etdb: publish, find and fetch electron tomography data.

    import etdb

    with etdb.Client("https://etdb.example.org") as client:
        for record in client.search('species:"Vibrio cholerae"'):
            print(record.title)
            for file in record.files:
                file.download("data")

These names are all there is to rely on; every error is an `EtdbError`.
"""

from importlib import import_module as _import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from etdb.client.remote import Client, File, Record
    from etdb.errors import (
        ConflictError,
        ContentMismatchError,
        EtdbError,
        InvalidDataError,
        InvalidSignatureError,
        NotAllowedError,
        NotFoundError,
        UnavailableError,
    )
    from etdb.progress import Progress

__all__ = [
    "Client",
    "ConflictError",
    "ContentMismatchError",
    "EtdbError",
    "File",
    "InvalidDataError",
    "InvalidSignatureError",
    "NotAllowedError",
    "NotFoundError",
    "Progress",
    "Record",
    "UnavailableError",
]

_HOMES = {
    "Client": "etdb.client.remote",
    "File": "etdb.client.remote",
    "Record": "etdb.client.remote",
    "Progress": "etdb.progress",
}


def __getattr__(name: str) -> object:
    """Each name from its home when it is first used: importing costs nothing."""
    if name not in __all__:
        msg = f"module 'etdb' has no attribute {name!r}"
        raise AttributeError(msg)
    return getattr(_import_module(_HOMES.get(name, "etdb.errors")), name)


def __dir__() -> list[str]:
    return __all__
