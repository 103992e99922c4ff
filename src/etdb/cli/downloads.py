"""`etdb-downloads`: the original's command line, over verified downloads.

Its arguments, its query files, its questions' meaning, its folders and its
manifest. Other than there, nothing of a query is evaluated, every byte is
checked, and no name from a record leads out of the folder.
"""

from __future__ import annotations

import argparse
import os
import queue
import sys
import threading
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from etdb.cli import INTERRUPTED, SOME_FAILED, collect_rarely, fail
from etdb.cli.options import Peer, open_peer
from etdb.cli.sourcing import opened_finder
from etdb.cli.terminal import (
    TerminalProgress,
    UsageError,
    confirm,
    count,
    human_size,
    say,
)
from etdb.client.catalogue import iter_results
from etdb.client.download import verify_free
from etdb.client.finder import Finder
from etdb.client.query_file import MAX_CHARACTERS, QueryFile, parse_query
from etdb.client.remote import File, Record
from etdb.client.shelf import Item, Shelf
from etdb.errors import EtdbError, InvalidDataError, UnavailableError
from etdb.record.model import Role

FILE_TYPES = ("TiltSeries", "Reconstructions", "Images", "Videos", "Others", "None")
_TYPES_BY_ROLE = {
    Role.TILT_SERIES.value: "TiltSeries",
    Role.RECONSTRUCTION.value: "Reconstructions",
    Role.SUBVOLUME.value: "Subvolumes",
    Role.KEYMOV.value: "Videos",
    Role.KEYIMG.value: "Images",
    Role.SNAPSHOT.value: "Images",
    Role.OTHER.value: "Others",
}
MAX_THREADS = 64

_Ended = tuple[Item, str, BaseException | None]
"""A file, what became of it, and why not."""


@dataclass(frozen=True)
class Asked:
    """What the command line says."""

    query: Path
    types: frozenset[str]
    """Empty for all, also those that no word selects."""
    folder: Path
    threads: int
    url: str | None
    node: Path | None
    yes: bool

    @property
    def is_dry(self) -> bool:
        """`--fileType None`: say what there is, and fetch nothing."""
        return self.types == {"None"}


def main() -> NoReturn:
    """Run the command and end with its exit status, as `etdb` does."""
    collect_rarely()
    try:
        is_whole = run(parse_words(sys.argv[1:]))
    except (EtdbError, UsageError) as error:
        fail(error)
    except KeyboardInterrupt:
        say("stopped; the same command with --directory goes on from here")
        sys.exit(INTERRUPTED)
    sys.exit(0 if is_whole else SOME_FAILED)


def parse_words(words: Sequence[str]) -> Asked:
    """The command line; a usage error ends the process with status 2."""
    parser = _parser()
    said = parser.parse_args(words)
    types = list(said.fileType or [])
    if said.queryStack is None and types and types[-1] not in FILE_TYPES:
        said.queryStack = types.pop()  # `--fileType Images query.json`
    unknown = [word for word in types if word not in FILE_TYPES]
    if unknown:
        parser.error(f"--fileType {unknown[0]} is none of {', '.join(FILE_TYPES)}")
    if said.queryStack is None:
        parser.error("the following arguments are required: queryStack")
    if said.threads < 1:
        parser.error("--threads is at least 1")
    if not said.queryStack or said.directory == "":
        parser.error("an empty path; for the folder you are in write .")
    wanted = frozenset(types)
    return Asked(
        query=Path(said.queryStack),
        types=wanted - {"None"} or wanted,
        folder=Path(said.directory or f"etdb-download-{time.time_ns() // 1_000_000}"),
        threads=said.threads,
        url=said.source or os.environ.get("ETDB_FROM"),
        node=said.node,
        yes=said.yes,
    )


_EPILOG = """\
Every byte is verified. Naming an old --directory goes on with it.

examples:
  etdb-downloads query.json --from https://etdb.example.org
  etdb-downloads query.json --fileType None      # only say what there is
  etdb-downloads query.json --fileType TiltSeries --directory data --threads 4

query.json, as the original has it:
  [{"type": "filter", "searchOn": "artifact.details.speciesName",
    "searchType": "contains", "searchFor": "Vibrio"}]
"""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="etdb-downloads",
        usage="%(prog)s [OPTIONS] queryStack",
        description="Fetch the files of every record that a query file selects.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog=_EPILOG,
    )
    add = parser.add_argument
    add("queryStack", nargs="?", help="a JSON file with the query")
    add(
        "--fileType",
        nargs="+",
        metavar="T",
        help=f"{', '.join(FILE_TYPES[:-1])}; None fetches nothing",
    )
    add("--directory", metavar="DIR", help="folder for the files; made if missing")
    add("--threads", type=int, default=1, metavar="N", help="files fetched at once")
    add("--from", dest="source", metavar="URL", help="the node to ask; or ETDB_FROM")
    node = os.environ.get("ETDB_NODE")
    add(
        "--node",
        type=Path,
        default=node and Path(node),
        metavar="DIR",
        help="the folder of your own node; or ETDB_NODE",
    )
    add("--yes", "-y", action="store_true", help="do not ask")
    return parser


def run(asked: Asked) -> bool:
    """Select, ask, fetch; whether every file is there and right."""
    query = _read_query(asked.query)
    for note in query.notes:
        say(f"note: {note}")
    with (
        open_peer(asked.node, asked.url) as peer,
        opened_finder(peer, connections=min(asked.threads, MAX_THREADS)) as finder,
    ):
        records, is_whole = _select(peer, finder, query)
        shelf = Shelf(asked.folder, None if asked.threads == 1 else 1)
        items = [
            item
            for record in records
            for item in shelf.place(record.cid, _files_of(record, asked.types))
        ]
        if not _may_begin(asked, shelf, records, items):
            return is_whole
        with shelf.claimed():
            shelf.write_metadata([_metadata(record) for record in records])
            return _fetch_all(shelf, items, finder, asked.threads) and is_whole


def _read_query(path: Path) -> QueryFile:
    try:
        with path.open(encoding="utf-8-sig") as file:
            return parse_query(file.read(MAX_CHARACTERS + 1))
    except UnicodeDecodeError as exc:
        msg = f"{path} is not text"
        raise InvalidDataError(msg) from exc
    except OSError as exc:
        msg = f"cannot read {path}: {exc.strerror}"
        raise UnavailableError(msg) from exc


def _select(peer: Peer, finder: Finder, query: QueryFile) -> tuple[list[Record], bool]:
    """Every record that matches, verified; and whether all could be read."""
    found: list[Record] = []
    is_whole = True
    progress = TerminalProgress()
    progress.begin("reading records", None, "records")
    try:
        for summary in iter_results(peer.catalogue, sort="oldest"):
            record = Record(peer.catalogue, finder, summary)
            try:
                if query.matches({"artifact": record.artifact}):
                    found.append(record)
            except EtdbError as error:
                is_whole = False
                say(f"left out: record {record.id}: {error.message}")
            progress.advance(1)
    finally:
        progress.end()
    return found, is_whole


def _files_of(record: Record, types: frozenset[str]) -> list[File]:
    wanted = types - {"None"}
    return [
        file
        for file in record.files
        if not wanted or _TYPES_BY_ROLE.get(file.role) in wanted
    ]


def _metadata(record: Record) -> dict[str, Any]:
    """As much as proves the record again, without any node."""
    return {"id": record.id, "artifact": dict(record.artifact), "text": record.text}


def _may_begin(
    asked: Asked, shelf: Shelf, records: Sequence[Record], items: Sequence[Item]
) -> bool:
    done = sum(shelf.is_listed(item) for item in items)
    if done:
        say(f"{done} of {count(len(items), 'file')} are in {shelf.path} already")
    size = human_size(sum(item.file.size_bytes for item in items))
    told = f"{count(len(records), 'record')}, {count(len(items), 'file')}, {size}"
    if asked.is_dry or not items:
        say(f"{told}; nothing was fetched")
        return False
    verify_free(shelf.missing_bytes(items), shelf.path)
    if confirm(f"Fetch {told} to {shelf.path}?", assume_yes=asked.yes):
        return True
    say("nothing was fetched")
    return False


def _fetch_all(
    shelf: Shelf, items: Sequence[Item], finder: Finder, threads: int
) -> bool:
    """One line a file, `a/b`, as each is done; whether all are right."""
    todo, ended = deque(items), queue.SimpleQueue[_Ended]()
    # Daemons: a server that never answers must not hold up the exit.
    for _ in range(min(threads, MAX_THREADS)):
        threading.Thread(target=_work, args=(shelf, todo, ended), daemon=True).start()
    failed = 0
    try:
        for number in range(1, len(items) + 1):
            item, state, error = _take(ended)
            failed += error is not None
            said = state if error is None else f"failed: {error.message}"
            say(f"{number}/{len(items)} {item.location}/{item.name}: {said}")
    except BaseException:
        todo.clear()
        finder.interrupt()
        raise
    for name, error in finder.liars.items():
        say(f"dropped: {name}: {error.message}")
    if failed:
        say(f"{failed} of {count(len(items), 'file')} failed; repeat to go on")
    else:
        say(f"all {count(len(items), 'file')} verified in {shelf.path}")
    return not failed


def _take(
    ended: queue.SimpleQueue[_Ended],
) -> tuple[Item, str, EtdbError | None]:
    item, state, error = ended.get()
    if error is None or isinstance(error, EtdbError):
        return item, state, error
    raise error


def _work(shelf: Shelf, todo: deque[Item], ended: queue.SimpleQueue[_Ended]) -> None:
    while True:
        try:
            item = todo.popleft()
        except IndexError:
            return
        try:
            ended.put((item, shelf.fetch(item), None))
        except BaseException as error:  # noqa: BLE001 - told, or raised, by who waits
            ended.put((item, "failed", error))
