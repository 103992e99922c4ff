"""One file of a dataset, fetched to any path on disk.

Built beside its place, every chunk hashed before it is written; it gets its
name when it is whole and on disk. What a stopped call left behind is hashed
again and gone on with. Whole records are `etdb.client.download`'s.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from etdb import durable
from etdb.client.content import DatasetFile, is_raw, read_at, verify_chunk, write_at
from etdb.client.supply import Supply
from etdb.durable import disk_errors
from etdb.errors import ContentMismatchError, InvalidDataError
from etdb.progress import Progress, Silent
from etdb.store.unixfs import MAX_BLOCK_BYTES
from etdb.store.verified import Chunk, chunk_data, file_size, iter_chunks

RUN_BYTES = 32 * 1024 * 1024
"""Asked for at once."""


def save(
    supply: Supply, file: DatasetFile, path: Path, progress: Progress | None = None
) -> None:
    """Fetch a file; what stands at the path is replaced when it is whole.

    Raises ContentMismatchError, NotFoundError, UnavailableError (also where
    the disk refuses), and then nothing at the path has changed.
    """
    if file.problem is not None:
        raise file.problem
    part = part_of(file, path)
    progress = progress or Silent()
    progress.begin(f"fetching {file.name}", file.size_bytes, "bytes")
    try:
        with disk_errors(part), _opened(part) as handle:
            _fill(supply, file, handle, progress)
        durable.rename(part, path)
    finally:
        progress.end()


def part_of(file: DatasetFile, path: Path) -> Path:
    """Where a file is built that is to stand at a path."""
    whose = hashlib.sha256(
        f"{file.cid.to_v1()} {path.name}".encode("utf-8", "surrogateescape")
    ).hexdigest()
    return path.with_name(f".etdb-{whose[:32]}.part")


def is_saved(supply: Supply, file: DatasetFile, path: Path) -> bool:
    """Whether the file at the path is the dataset's, byte for byte."""
    with disk_errors(path, "read"):
        try:
            handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except FileNotFoundError:
            return False
        try:
            if os.fstat(handle).st_size != file.size_bytes:
                return False
            buffer = memoryview(bytearray(MAX_BLOCK_BYTES))
            return all(
                _is_there(supply, chunk, handle, buffer)
                for chunk in _iter_chunks(supply, file)
            )
        finally:
            os.close(handle)


@contextlib.contextmanager
def _opened(part: Path) -> Iterator[int]:
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    handle = os.open(part, flags, 0o644)
    try:
        yield handle
    finally:
        os.close(handle)


def _fill(supply: Supply, file: DatasetFile, handle: int, progress: Progress) -> None:
    is_left_over = os.fstat(handle).st_size > 0
    os.ftruncate(handle, file.size_bytes)
    buffer = memoryview(bytearray(MAX_BLOCK_BYTES))
    run: list[Chunk] = []
    for chunk in _iter_chunks(supply, file):
        if is_left_over and _is_there(supply, chunk, handle, buffer):
            progress.advance(chunk.size)
        elif not is_raw(chunk):
            # Its block holds more than the bytes, and was read for its links.
            data = chunk_data(chunk.cid, supply.get_block(chunk.cid))
            write_at(handle, data, chunk.offset)
            progress.advance(chunk.size)
        else:
            if not _goes_on(run, chunk):
                _fetch(supply, file, run, handle, progress)
                run = []
            run.append(chunk)
    _fetch(supply, file, run, handle, progress)


def _goes_on(run: Sequence[Chunk], chunk: Chunk) -> bool:
    """Whether the chunk can be asked for together with those before it."""
    if not run:
        return True
    is_next = run[-1].offset + run[-1].size == chunk.offset
    return is_next and chunk.offset + chunk.size - run[0].offset <= RUN_BYTES


def _fetch(
    supply: Supply,
    file: DatasetFile,
    run: Sequence[Chunk],
    handle: int,
    progress: Progress,
) -> None:
    if not run:
        return
    for chunk, data in supply.iter_run(file.cid, run):
        write_at(handle, data, chunk.offset)
        progress.advance(chunk.size)


def _iter_chunks(supply: Supply, file: DatasetFile) -> Iterator[Chunk]:
    """Every chunk of the file; together they are as long as its folder says."""
    if file_size(supply, file.cid) != file.size_bytes:
        msg = f"{file.name!r} is not the {file.size_bytes} bytes its folder says"
        raise InvalidDataError(msg)
    for chunk in iter_chunks(supply, file.cid):
        if chunk.size > MAX_BLOCK_BYTES:
            msg = f"a chunk of {chunk.size} bytes in {file.name!r}"
            raise InvalidDataError(msg)
        yield chunk


def _is_there(supply: Supply, chunk: Chunk, handle: int, buffer: memoryview) -> bool:
    view = buffer[: chunk.size]
    if not read_at(handle, view, chunk.offset):
        return False
    if not is_raw(chunk):
        return chunk_data(chunk.cid, supply.get_block(chunk.cid)) == view
    try:
        verify_chunk(chunk, view, "")
    except ContentMismatchError:
        return False
    return True
