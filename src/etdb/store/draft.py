"""A large file's digests, kept while it is read: a stopped import goes on."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path
from typing import Self

from etdb.errors import ConflictError, EtdbError
from etdb.store.catalogue import Catalogue
from etdb.store.hashing import DIGEST_BYTES, Draft
from etdb.store.openfiles import Stamp
from etdb.store.pieces import Piece, Unfinished
from etdb.store.unixfs import Profile

SAVE_SECONDS = 3.0
"""How much work a power cut may cost."""


class KeptDraft(Draft):
    """Kept every few seconds, and on the way of an error. A context manager.

    Nothing is kept of a file that changed after `settled_ns`: it may change
    once more and keep its stamp.
    """

    def __init__(
        self, catalogue: Catalogue, path: Path, profile: Profile, settled_ns: int
    ) -> None:
        super().__init__()
        self._catalogue = catalogue
        self._path = path
        self._profile = profile
        self._settled_ns = settled_ns
        self._file: Unfinished | None = None
        self._saved_bytes = 0
        self._saved_at = time.monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _kind: object, error: BaseException | None, _trace: object
    ) -> None:
        if error is None:
            return
        # That error says more than one of keeping this would.
        with contextlib.suppress(EtdbError):
            if isinstance(error, ConflictError):
                self._catalogue.drop_unfinished([(self._path, self._profile.name)])
            else:
                self._save()

    def begin(self, stamp: Stamp) -> None:
        """Take up what is kept of this very file."""
        if stamp.ctime_ns > self._settled_ns:
            return
        self._file = Unfinished(self._path, self._profile.name, stamp)
        self.digests += self._catalogue.find_digests(self._file)
        self._saved_bytes = len(self.digests)

    def add(self, digests: bytes) -> None:
        """As `Draft`, and keep them when it is time."""
        super().add(digests)
        if time.monotonic() - self._saved_at >= SAVE_SECONDS:
            self._save()

    def _save(self) -> None:
        new = bytes(self.digests[self._saved_bytes :])
        if self._file is None or not new:
            return
        first = self._saved_bytes // DIGEST_BYTES
        self._catalogue.save_piece(Piece(self._file, first, new))
        self._saved_bytes += len(new)
        self._saved_at = time.monotonic()
