"""The simulated lab's folder: twelve datasets, built once, built side by side.

    folders = build_lab(Path(".demo/lab"), progress)

Each dataset appears under its name only when it is whole; stopped at any
moment, the same call goes on with what is missing.
"""

from __future__ import annotations

import shutil
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path

from etdb import durable
from etdb.demo.dataset import BOX_VOXELS, write_dataset
from etdb.demo.project import load_iradon
from etdb.demo.specimen import SPECIMENS, Specimen
from etdb.errors import ConflictError, EtdbError, UnavailableError
from etdb.progress import Progress

MARKER = ".etdb-demo"
_MARKED = b"Synthetic data, simulated by etdb. This dataset is complete.\n"
_WORKERS = 2


def build_lab(
    folder: Path, progress: Progress, specimens: Sequence[Specimen] = SPECIMENS
) -> list[Path]:
    """The folders of all datasets, in the order they were "taken".

    What is complete is left as it is. Raises UnavailableError without
    scikit-image, where the disk refuses, or where a worker died;
    ConflictError where a folder of a dataset's name is not the demo's.
    """
    missing = [one for one in specimens if not _is_complete(folder / one.sid)]
    if missing:
        load_iradon()
        with durable.disk_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)
        progress.begin("simulating", len(missing) * BOX_VOXELS[1], "slices")
        _build(folder, missing, progress)
        progress.end()
    return [folder / specimen.sid for specimen in specimens]


def build_dataset(
    specimen: Specimen, folder: Path, on_slices: Callable[[int], None]
) -> None:
    """One dataset as a folder inside `folder`: whole, or not at all."""
    unfinished = folder / f".unfinished-{specimen.sid}"
    with durable.disk_errors(unfinished):
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir()
        write_dataset(specimen, unfinished, on_slices)
    durable.write_bytes(unfinished / MARKER, _MARKED)
    durable.rename_folder(unfinished, folder / specimen.sid)


def _is_complete(folder: Path) -> bool:
    if folder.exists() and not (folder / MARKER).is_file():
        msg = f"{folder} is in the way: it is not a dataset of the demo"
        raise ConflictError(msg, hint="move it away, or choose another folder")
    return folder.exists()


def _build(folder: Path, missing: Sequence[Specimen], progress: Progress) -> None:
    shares = [missing[start::_WORKERS] for start in range(_WORKERS)]
    with _workers(folder, [share for share in shares if share]) as workers:
        running = dict(workers)
        while running:
            ready = wait(list(running))
            for receiver in [one for one in running if one in ready]:
                try:
                    progress.advance(_receive(receiver))
                except EOFError:
                    _verify_finished(running.pop(receiver))


@contextmanager
def _workers(
    folder: Path, shares: Sequence[Sequence[Specimen]]
) -> Iterator[Mapping[Connection, BaseProcess]]:
    """Processes that build datasets, by where they report; ended on leaving."""
    context = get_context("spawn")
    started: dict[Connection, BaseProcess] = {}
    try:
        for share in shares:
            receiver, sender = context.Pipe(duplex=False)
            process: BaseProcess = context.Process(
                target=_work, args=(folder, share, sender), daemon=True
            )
            process.start()
            sender.close()
            started[receiver] = process
        yield started
    finally:
        for receiver, process in started.items():
            process.terminate()
            process.join()
            receiver.close()


def _work(folder: Path, share: Sequence[Specimen], sender: Connection) -> None:
    """Build datasets, sending slices done or the text of an error."""
    # Ctrl-C reaches the whole process group; it is the parent who stops us.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        for specimen in share:
            build_dataset(specimen, folder, sender.send)
    except EtdbError as exc:
        with suppress(BrokenPipeError):  # where the parent itself is gone
            sender.send(exc.message)
    finally:
        sender.close()


def _receive(receiver: Connection) -> int:
    news = receiver.recv()
    if not isinstance(news, int):
        raise UnavailableError(str(news))
    return news


def _verify_finished(worker: BaseProcess) -> None:
    worker.join()
    if worker.exitcode != 0:
        msg = f"a process that builds the demo died (exit status {worker.exitcode})"
        raise UnavailableError(msg, hint="repeat: what is built already is kept")
