"""Making a node: its folder, keys, chain, index and settings.

The folder appears whole or not at all, also where the power goes.
"""

from __future__ import annotations

import shutil
import tempfile
import tomllib
from collections.abc import Mapping
from pathlib import Path

from etdb import durable
from etdb.errors import ConflictError, InvalidDataError
from etdb.index.db import Index
from etdb.index.follow import follow
from etdb.ledger.base import LedgerInfo
from etdb.ledger.flo.local import EmbeddedChain
from etdb.progress import Progress
from etdb.publish.keys import Keys, create_keys
from etdb.settings import FILE_NAME, settings_file
from etdb.store.inplace import InPlaceStore

EMPTY_FOLDERS = ("journal", "derived", "locks")
"""May be empty, so that a copy of a node may come without them."""


def make_folder(
    folder: Path,
    chosen: Mapping[str, str | int | bool],
    *,
    daemon: LedgerInfo | None,
    is_test: bool,
    progress: Progress,
) -> None:
    """Make a node's folder, new or where an empty one is.

    `chosen` are settings to write, keyed like `lab.name`; `daemon` is the
    ledger that it publishes on in place of a chain of its own. Raises
    ConflictError naming what is in the way.
    """
    _verify_settings(chosen)
    with durable.disk_errors(folder):
        _refuse_occupied(folder)
        folder.parent.mkdir(parents=True, exist_ok=True)
        building = Path(tempfile.mkdtemp(prefix=".etdb-init-", dir=folder.parent))
        try:
            for name in ("keys", *EMPTY_FOLDERS):
                (building / name).mkdir()
            held = create_keys(building / "keys", is_test=is_test)
            if daemon is None:
                _make_chain(building, held, progress)
            else:
                Index.create(building / "index.sqlite", [daemon]).close()
            InPlaceStore.create(building / "store.sqlite").close()
            text = settings_file(chosen)
            durable.write_bytes(building / FILE_NAME, text.encode())
            building.chmod(0o755)
            durable.rename_folder(building, folder)
        except BaseException:
            shutil.rmtree(building, ignore_errors=True)
            raise


def _make_chain(folder: Path, held: Keys, progress: Progress) -> None:
    chain = EmbeddedChain.create(
        folder / "chain",
        publisher=held.publisher,
        wallet=held.wallet,
        address=held.address,
        progress=progress,
    )
    with Index.create(folder / "index.sqlite", [chain.info]) as index:
        follow(index, chain, progress=progress)


def _verify_settings(chosen: Mapping[str, str | int | bool]) -> None:
    try:
        tomllib.loads(settings_file(chosen).encode().decode())
    except (UnicodeError, tomllib.TOMLDecodeError) as exc:
        msg = "a name or licence with characters that no settings file can hold"
        raise InvalidDataError(msg) from exc


def _refuse_occupied(folder: Path) -> None:
    if folder.is_dir():
        names = sorted(path.name for path in folder.iterdir())
        if not names:
            return
        shown = ", ".join(names[:5]) + (" …" if len(names) > 5 else "")
        msg = f"{folder} is not empty: it holds {shown}"
        raise ConflictError(msg, hint="name a new or an empty folder")
    if folder.exists():
        msg = f"{folder} is a file"
        raise ConflictError(msg, hint="name a new or an empty folder")
