"""The blocks that describe a dataset: its directories and file trees.

Fetched once, hashed every time they are read, kept beside the downloaded
files so that these can be checked without a network. Raw chunks, which are
the files' own bytes, are never kept here.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

from etdb import durable
from etdb.client.sources import Source
from etdb.durable import disk_errors
from etdb.errors import (
    ContentMismatchError,
    EtdbError,
    NotFoundError,
    UnavailableError,
)
from etdb.identity import CID, DAG_PB, IDENTITY
from etdb.store.unixfs import MAX_BLOCK_BYTES, verify_block

HELD_BYTES = 256 * 1024 * 1024
"""Of the latest blocks, where there is no folder to keep them in."""


class Dag:
    """Verified blocks: from a folder if any, else from the first source with them.

    Until `keep` is called nothing is written. For many threads, of which one at
    a time fetches.
    """

    def __init__(
        self,
        folder: Path | None,
        sources: Sequence[Source] = (),
        liars: dict[str, EtdbError] | None = None,
    ) -> None:
        """`liars`: those that are known, where more are noted."""
        self._folder = folder
        self._sources = list(sources)
        self._fetching = threading.Lock()
        self._held: dict[CID, bytes] = {}
        self._held_bytes = 0
        self._is_kept = False
        self.liars: dict[str, EtdbError] = {} if liars is None else liars
        """Sources that sent a wrong block, by name; not asked again."""

    @property
    def held(self) -> Mapping[CID, bytes]:
        """What was fetched and is not written yet."""
        return dict(self._held)

    def keep(self, held: Mapping[CID, bytes]) -> None:
        """Write these blocks, and from now on whatever is fetched.

        Raises UnavailableError where the disk refuses.
        """
        self._is_kept = True
        for cid, block in held.items():
            self._hold(cid, block)

    def get_block(self, cid: CID) -> bytes:
        """A block that hashes to its CID.

        Raises NotFoundError, UnavailableError, ContentMismatchError; of
        several sources, the last one's error.
        """
        if cid.hash_code == IDENTITY:
            return cid.digest
        block = self._find(cid)
        if block is not None:
            return block
        with self._fetching:
            block = self._find(cid)
            if block is None:
                block = self._fetch(cid)
                if cid.codec == DAG_PB:
                    self._hold(cid, block)
        return block

    def _find(self, cid: CID) -> bytes | None:
        block = self._held.get(cid)
        return self._find_kept(cid) if block is None else block

    def _hold(self, cid: CID, block: bytes) -> None:
        if self._is_kept and self._folder is not None:
            durable.write_bytes(self._folder / _file_name(cid), block)
            return
        self._held[cid] = block
        self._held_bytes += len(block)
        while self._folder is None and self._held_bytes > HELD_BYTES:
            self._held_bytes -= len(self._held.pop(next(iter(self._held))))

    def _find_kept(self, cid: CID) -> bytes | None:
        if self._folder is None:
            return None
        path = self._folder / _file_name(cid)
        with disk_errors(path):
            try:
                with path.open("rb") as file:
                    block = file.read(MAX_BLOCK_BYTES + 1)
            except FileNotFoundError:
                return None
        try:
            verify_block(cid, block)
        except ContentMismatchError:
            return None  # damaged on disk: as good as absent
        return block

    def _fetch(self, cid: CID) -> bytes:
        """From whoever has it; all are asked before any is waited for."""
        errors: list[EtdbError] = []
        if len(self._sources) > 1:
            found = self._find_among(self._sources, cid, errors, may_wait=False)
            late = [error for error in errors if isinstance(error, UnavailableError)]
            if found is not None or not late:
                return self._found(found, cid, errors)
        found = self._find_among(self._sources, cid, errors, may_wait=True)
        return self._found(found, cid, errors)

    @staticmethod
    def _found(block: bytes | None, cid: CID, errors: Sequence[EtdbError]) -> bytes:
        if block is None:
            raise errors[-1] if errors else NotFoundError("block", cid)
        return block

    def _find_among(
        self,
        sources: Sequence[Source],
        cid: CID,
        errors: list[EtdbError],
        *,
        may_wait: bool,
    ) -> bytes | None:
        is_alone = len(sources) == 1
        for source in list(sources):
            if source.name in self.liars and not is_alone:
                errors.append(self.liars[source.name])
                continue
            try:
                block = source.get_block(cid, may_wait=may_wait)
                _verify_from(source.name, cid, block)
            except EtdbError as exc:
                errors.append(exc)
                self._put_last(source, exc)
            else:
                return block
        return None

    def _put_last(self, source: Source, error: EtdbError) -> None:
        """Ask the others first from now on."""
        if isinstance(error, ContentMismatchError):
            self.liars[source.name] = error
        self._sources.remove(source)
        self._sources.append(source)


def _file_name(cid: CID) -> str:
    return str(cid.to_v1())


def _verify_from(name: str, cid: CID, block: bytes) -> None:
    try:
        verify_block(cid, block)
    except ContentMismatchError as exc:
        raise ContentMismatchError(
            cid=cid, found=exc.facts["found"], where=name
        ) from None
