"""Which files a dataset has, and what the bytes of each must be.

Everything is derived from the dataset's CID through verified blocks; what a
record says of names and sizes is not asked.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from etdb.client.dag import Dag
from etdb.client.sources import Source
from etdb.durable import disk_errors
from etdb.errors import (
    ContentMismatchError,
    EtdbError,
    InvalidDataError,
    NotFoundError,
)
from etdb.identity import CID, DAG_PB, RAW, SHA2_256
from etdb.progress import Progress
from etdb.store.unixfs import MAX_BLOCK_BYTES, Kind, parse_node
from etdb.store.verified import (
    Chunk,
    chunk_data,
    file_size,
    iter_chunks,
    iter_files,
    read_chunk,
    resolve,
)

_FOLDERS = (Kind.DIRECTORY, Kind.SHARD)


@dataclass(frozen=True)
class DatasetFile:
    """A file of a dataset: posix relative name, CID, size as the DAG has it.

    `problem` says why nothing more is known of it; its size is 0 then.
    """

    name: str
    cid: CID
    size_bytes: int
    problem: EtdbError | None = None


class _Tolerant:
    """A source that reports every failure as absence, and remembers it.

    A node that is neither a folder nor a sound file is a failure, too.
    """

    def __init__(self, dag: Dag) -> None:
        self._dag = dag
        self.problems: dict[CID, EtdbError] = {}

    def get_block(self, cid: CID) -> bytes:
        try:
            block = self._dag.get_block(cid)
            if cid.codec == DAG_PB and parse_node(block).kind not in _FOLDERS:
                file_size(self._dag, cid)
        except EtdbError as exc:
            self.problems[cid] = exc
            raise NotFoundError("block", cid) from exc
        else:
            return block


def list_files(dag: Dag, root: CID) -> list[DatasetFile]:
    """Every file below a directory's CID, by name.

    A file whose block cannot be had is listed with its problem. Raises the
    problem of a directory that cannot be read, and InvalidDataError for names
    that no dataset may have.
    """
    tolerant = _Tolerant(dag)
    files = []
    try:
        for name, entry in iter_files(tolerant, root):
            problem = tolerant.problems.get(entry.cid)
            size = entry.size_bytes
            if problem is None and size is None:
                size, problem = _find_size(dag, entry.cid)
            files.append(DatasetFile(name, entry.cid, size or 0, problem))
    except NotFoundError as exc:
        raise next(reversed(tolerant.problems.values()), exc) from exc
    return sorted(files, key=lambda file: file.name)


def _find_size(dag: Dag, cid: CID) -> tuple[int | None, EtdbError | None]:
    try:
        return file_size(dag, cid), None
    except EtdbError as exc:
        return None, exc


def iter_file_chunks(dag: Dag, file: DatasetFile) -> Iterator[Chunk]:
    """The chunks of a file in order; at least one, which may be empty.

    Raises InvalidDataError for chunks over 2 MiB or another size than the
    file's, and what `Dag` raises.
    """
    if file.cid.codec == RAW:
        chunks = iter((Chunk(file.cid, 0, file.size_bytes),))
    elif file_size(dag, file.cid) == file.size_bytes:
        chunks = iter_chunks(dag, file.cid)
    else:
        msg = f"{file.name!r} is not the {file.size_bytes} bytes its folder says"
        raise InvalidDataError(msg)
    for chunk in chunks:
        if chunk.size > MAX_BLOCK_BYTES:
            msg = f"a chunk of {chunk.size} bytes in {file.name!r}"
            raise InvalidDataError(msg)
        yield chunk


def is_raw(chunk: Chunk) -> bool:
    """Whether the chunk's CID is the hash of its bytes and of nothing else."""
    return chunk.cid.codec == RAW and chunk.cid.hash_code == SHA2_256


def is_chunk(dag: Dag, chunk: Chunk, data: bytes | memoryview) -> bool:
    """Whether these are the bytes of the chunk."""
    if is_raw(chunk):
        return hashlib.sha256(data).digest() == chunk.cid.digest
    return chunk_data(chunk.cid, dag.get_block(chunk.cid)) == data


def verify_chunk(chunk: Chunk, data: bytes | memoryview, where: str) -> None:
    """Raises ContentMismatchError unless a raw chunk's bytes hash to its CID."""
    found = hashlib.sha256(data)
    if found.digest() != chunk.cid.digest:
        raise ContentMismatchError(cid=chunk.cid, found=found.hexdigest(), where=where)


def is_whole(dag: Dag, file: DatasetFile, path: Path, progress: Progress) -> bool:
    """Whether the file on disk is the dataset's, byte for byte.

    Hashes all of it, up to the first wrong chunk. Raises UnavailableError
    where it cannot be read, and what `Dag` raises.
    """
    with disk_errors(path, "read"):
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            if os.fstat(handle).st_size != file.size_bytes:
                return False
            buffer = memoryview(bytearray(MAX_BLOCK_BYTES))
            for chunk in iter_file_chunks(dag, file):
                view = buffer[: chunk.size]
                if not read_at(handle, view, chunk.offset):
                    return False
                if not is_chunk(dag, chunk, view):
                    return False
                progress.advance(chunk.size)
        finally:
            os.close(handle)
    return True


def verify_served(
    source: Source, dag: Dag, file: DatasetFile, progress: Progress
) -> None:
    """Raises ContentMismatchError unless the source serves the file rightly.

    Reads all of it and keeps nothing. Raises what the source and `Dag` raise.
    """
    buffer = memoryview(bytearray(MAX_BLOCK_BYTES))
    served = source.open_range(file.cid, 0, file.size_bytes)
    with contextlib.closing(served):
        for chunk in iter_file_chunks(dag, file):
            view = buffer[: chunk.size]
            served.fill(view)
            if not is_chunk(dag, chunk, view):
                found = hashlib.sha256(view).hexdigest()
                raise ContentMismatchError(
                    cid=chunk.cid, found=found, where=source.name
                )
            progress.advance(chunk.size)


def iter_bytes(
    dag: Dag, root: CID, name: str, first: int = 0, last: int | None = None
) -> Iterator[bytes]:
    """Verified bytes of one file of a dataset, from `first` to `last`, both in.

    A negative `first` counts from the end; `last` may lie behind it. Raises
    NotFoundError, InvalidDataError for a range that begins behind the end, and
    what `Dag` raises.
    """
    cid, _ = resolve(dag, root, name)
    size = file_size(dag, cid)
    start = max(0, size + first) if first < 0 else first
    stop = size if last is None else min(last + 1, size)
    if start >= size and (start, size) != (0, 0):
        msg = f"{name!r} has {size} bytes, none of them at {first}"
        raise InvalidDataError(msg)
    for chunk in iter_chunks(dag, cid, start, stop):
        data = read_chunk(dag, chunk)
        yield data[max(0, start - chunk.offset) : max(0, stop - chunk.offset)]


def read_at(handle: int, view: memoryview, offset: int) -> bool:
    """Fill the view from a place in a file; False where the file ends before."""
    while view:
        count = os.preadv(handle, [view], offset)
        if count == 0:
            return False
        view, offset = view[count:], offset + count
    return True


def write_at(handle: int, view: memoryview | bytes, offset: int) -> None:
    """Write all of the view at a place in a file."""
    view = memoryview(view)
    while view:
        count = os.pwrite(handle, view, offset)
        view, offset = view[count:], offset + count
