"""A Kubo as a second store: it is made to hold what this node holds.

Kubo is spoken to by its RPC API and needs no way to find us. A file that it
can read where it lies is given by reference, where its filestore is on; of
anything else it gets the blocks. Kubo hashes all of it, and pins the whole.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote_plus, urlencode, urlsplit

import urllib3
from urllib3.exceptions import HTTPError, LocationValueError

from etdb.errors import InvalidDataError, NotAllowedError, UnavailableError
from etdb.fetch import redact
from etdb.identity import CID
from etdb.progress import Progress, Silent
from etdb.store.car import CarOptions, Scope, iter_car
from etdb.store.unixfs import UNIXFS_V1_2025
from etdb.store.verified import BlockSource, iter_entries

MAX_ANSWER_BYTES = 1024 * 1024
CONNECT_S = 10.0
SILENCE_S = 600.0
"""Kubo says nothing while it reads a large file again."""
_BOUNDARY = "etdb-part"
_PIECE_BYTES = 1024 * 1024
_LAYOUT = {
    "cid-version": "1",
    "raw-leaves": "true",
    "chunker": f"size-{UNIXFS_V1_2025.chunk_bytes}",
    "max-file-links": str(UNIXFS_V1_2025.width),
}
_SILENT = Silent()


@dataclass(frozen=True)
class Held:
    """How a Kubo came to hold the files of a dataset."""

    referred: int
    """Files that it reads where they lie."""
    copied: int
    present: int
    """Files that it had."""


class Refused(Exception):  # noqa: N818 - an answer; what it means depends on the question
    """Kubo's words where it does not do what it was told."""


class KuboStore:
    """A Kubo at the URL of its RPC API. Use as a context manager."""

    def __init__(self, url: str, *, silence_s: float = SILENCE_S) -> None:
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            msg = f"not a URL of http or https: {url[:200]!r}"
            raise InvalidDataError(msg, hint="such as http://127.0.0.1:5001")
        self._base = url.rstrip("/").removesuffix("/api/v0") + "/api/v0"
        self.name = redact(url)
        self._pool = urllib3.PoolManager(
            retries=False,
            timeout=urllib3.Timeout(connect=CONNECT_S, read=silence_s),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.clear()

    def hold(
        self,
        source: BlockSource,
        root: CID,
        find_path: Callable[[CID], Path | None],
        progress: Progress = _SILENT,
    ) -> Held:
        """Make Kubo hold a directory and all below it, and pin it.

        `find_path` says where a whole file lies. Repeating it goes on: files
        that Kubo has are not sent again. Raises UnavailableError where Kubo
        cannot be reached or does not manage, NotAllowedError where it may not
        be used, and what `source` raises where something is missing.
        """
        files, folders = _list_tree(source, root)
        by_reference = self._has_filestore()
        done = {"referred": 0, "copied": 0, "present": 0}
        progress.begin("giving to Kubo", sum(files.values()), "bytes")
        try:
            for cid, size in files.items():
                path = find_path(cid) if by_reference else None
                done[self._give(source, cid, path)] += 1
                progress.advance(size)
        finally:
            progress.end()
        for cid in folders:
            self._send_blocks(source, cid, Scope.ENTITY)
        self._pin(root)
        return Held(**done)

    def is_pinned(self, root: CID) -> bool:
        """Whether Kubo has promised to keep all below a CID."""
        try:
            self._call("pin/ls", {"arg": str(root), "type": "recursive"})
        except Refused:
            return False
        return True

    def _give(self, source: BlockSource, cid: CID, path: Path | None) -> str:
        if self._has(cid):
            return "present"
        if path is not None and self._refer(cid, path):
            return "referred"
        self._send_blocks(source, cid, Scope.ALL)
        return "copied"

    def _has(self, cid: CID) -> bool:
        """Whether every block of a file is there, without a look elsewhere."""
        asked = {"arg": f"/ipfs/{cid}", "with-local": "true", "offline": "true"}
        try:
            return self._call("files/stat", asked).get("Local") is True
        except Refused:
            return False

    def _refer(self, cid: CID, path: Path) -> bool:
        """Whether Kubo took a file by reference, and under the same CID.

        It refuses what lies outside the folder that its repository is in.
        """
        asked = _LAYOUT | {"nocopy": "true", "pin": "false", "progress": "false"}
        header = f"Abspath-Encoded: {quote_plus(str(path))}\r\n"
        try:
            answer = self._call("add", asked, lambda: _part(_pieces(path), header))
        except Refused:
            return False
        return bool(answer.get("Hash") == str(cid))

    def _send_blocks(self, source: BlockSource, cid: CID, scope: Scope) -> None:
        options = CarOptions(scope=scope, has_duplicates=True)
        asked = {"pin-roots": "false", "silent": "true"}
        try:
            self._call(
                "dag/import",
                asked,
                lambda: _part(iter_car(source, cid, options=options)),
            )
        except Refused as exc:
            raise self._failure("does not take", cid, exc) from exc

    def _pin(self, root: CID) -> None:
        # Offline, it succeeds only where every block is there and right.
        try:
            self._call("pin/add", {"arg": str(root), "offline": "true"})
        except Refused as exc:
            raise self._failure("cannot pin", root, exc) from exc

    def _has_filestore(self) -> bool:
        try:
            said = self._call("config", {"arg": "Experimental.FilestoreEnabled"})
        except Refused:
            return False
        return said.get("Value") is True

    def _failure(self, what: str, about: object, reason: object) -> UnavailableError:
        msg = f"Kubo at {self.name} {what} {about}".rstrip() + f": {reason}"
        return UnavailableError(msg, service=self.name)

    def _call(
        self,
        command: str,
        asked: dict[str, str],
        body: Callable[[], Iterator[bytes]] | None = None,
    ) -> dict[str, Any]:
        """What Kubo answers to a command, as JSON. Raises Refused."""
        url = f"{self._base}/{command}?{urlencode(asked)}"
        kind = f"multipart/form-data; boundary={_BOUNDARY}"
        try:
            response = self._pool.request(
                "POST",
                url,
                body=None if body is None else body(),
                headers={"User-Agent": "etdb"}
                | ({} if body is None else {"Content-Type": kind}),
                preload_content=False,
                redirect=False,
            )
            try:
                answer = response.read(MAX_ANSWER_BYTES, decode_content=False)
            finally:
                response.close()
        except (HTTPError, LocationValueError, OSError) as exc:
            reason = str(exc).rpartition(": ")[2]
            raise self._failure("does not answer", "", reason) from exc
        return self._judge(response.status, answer)

    def _judge(self, status: int, answer: bytes) -> dict[str, Any]:
        if status in {401, 403}:
            msg = f"Kubo at {self.name} does not let us in ({status})"
            raise NotAllowedError(msg, hint="see API.Authorizations in its config")
        lines = answer.decode("utf-8", "replace").strip().splitlines()
        try:
            value = json.loads(lines[-1]) if lines else {}
        except ValueError:
            value = None
        if status == 500 and isinstance(value, dict):
            raise Refused(str(value.get("Message"))[:300])
        if status != 200 or not isinstance(value, dict):
            msg = f"{self.name} does not answer like Kubo's RPC API ({status})"
            raise InvalidDataError(msg, hint="such as http://127.0.0.1:5001")
        return value


def _list_tree(source: BlockSource, root: CID) -> tuple[dict[CID, int], list[CID]]:
    """The files below a directory with their sizes, and every directory."""
    files: dict[CID, int] = {}
    folders = [root]
    for folder in folders:
        for entry in iter_entries(source, folder):
            if not entry.is_directory:
                files[entry.cid] = entry.size_bytes or 0
            elif entry.cid not in folders:
                folders.append(entry.cid)
    return files, folders


def _pieces(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while piece := file.read(_PIECE_BYTES):
            yield piece


def _part(pieces: Iterator[bytes], header: str = "") -> Iterator[bytes]:
    """The one part of a form, piece by piece."""
    yield (
        f"--{_BOUNDARY}\r\n"
        'Content-Disposition: form-data; name="file"; filename="file"\r\n'
        f"Content-Type: application/octet-stream\r\n{header}\r\n"
    ).encode("ascii")
    yield from pieces
    yield f"\r\n--{_BOUNDARY}--\r\n".encode("ascii")
