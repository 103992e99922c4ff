"""`etdb store`: which files this node holds, and whether they are still right."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from etdb.cli.cid import PathsArgument, ProfileOption, profile_of, report, take_all
from etdb.cli.options import (
    JsonOption,
    NodeOption,
    YesOption,
    given_path,
    open_node,
    verify_not_own,
)
from etdb.cli.terminal import (
    SomeFailed,
    TerminalProgress,
    confirm,
    count,
    human_size,
    say,
    show,
    show_json,
    show_table,
)
from etdb.errors import NotFoundError
from etdb.identity import CID
from etdb.node import Node
from etdb.store.content import Content
from etdb.store.inplace import Held, InPlaceStore, Pace, Report, StoredFile
from etdb.store.pieces import Unfinished
from etdb.store.unixfs import UNIXFS_V1_2025, Profile


def add(
    paths: PathsArgument,
    profile: ProfileOption = UNIXFS_V1_2025.name,
    node: NodeOption = None,
    json: JsonOption = False,
) -> None:
    """Hold files and folders, so that this node gives them by their CIDs.

    Nothing is copied: where each file lies is remembered. The same command
    again reads only what has changed since, and goes on where it was stopped.

    \b
    Examples:
        etdb store add data/vc2026-03-14
        etdb store add --profile kubo-nocopy-v0 data/old/*
    """
    chosen = profile_of(profile)
    with open_node(node) as opened:
        found = take_all(paths, lambda path: _hold(opened, path, chosen))
    report(found, paths, chosen, is_json=json)


def _hold(node: Node, path: Path, profile: Profile) -> Content:
    verify_not_own(node, path)
    threads = node.settings.store.threads
    return node.store.add(
        path, profile=profile, progress=TerminalProgress(), threads=threads
    )


def list_files(node: NodeOption = None, json: JsonOption = False) -> None:
    """List every file that is held: its state, size, CID and path.

    "missing" and "changed" are as last seen; etdb store check looks at all.

    \b
    Example:
        etdb store list --json
    """
    with open_node(node) as opened:
        if json:
            show_json({"files": [_as_json(file) for file in opened.store.iter_files()]})
        else:
            show_table(
                ("state", "size", "CID", "path"),
                (_row(file) for file in opened.store.iter_files()),
            )


def remove(
    what: Annotated[
        list[str],
        typer.Argument(metavar="PATH|CID...", help="Files, folders, or their CIDs."),
    ],
    yes: YesOption = False,
    node: NodeOption = None,
    json: JsonOption = False,
) -> None:
    """Hold files no longer. The files themselves stay as and where they are.

    What has been published of them can then not be fetched from this node.

    \b
    Examples:
        etdb store remove data/vc2026-03-14
        etdb store remove bafybeigvgzoolc3drupxhlevdp2ugqcrbcsqfmcek2zxiw5wctk3xjpjwy
    """
    with open_node(node) as opened:
        held = _find_all(opened.store, what)
        files = _amount(held)
        if not confirm(f"Hold {files}, no longer?", assume_yes=yes):
            say("nothing was changed")
            return
        opened.store.forget(held)
    if json:
        show_json({"files": [_as_json(file) for file in held.files]})
    else:
        show(f"no longer held: {files}; the files are as they were")


def check(
    rate: Annotated[
        float | None,
        typer.Option(
            min=0.001,
            metavar="MB/S",
            help="Highest speed of reading; 1 MB is 10⁶ bytes.",
        ),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on where a check was interrupted.")
    ] = False,
    node: NodeOption = None,
    json: JsonOption = False,
) -> None:
    """Hash every file again and list those that are not what they were.

    Ends with status 9 where one is missing, changed or unreadable. What was
    changed on purpose is held again after etdb store add, or etdb publish.

    \b
    Examples:
        etdb store check --rate 50
        etdb store check --resume
    """
    with open_node(node) as opened:
        found = opened.store.check(
            pace=Pace(None if rate is None else rate * 1e6),
            is_resumed=resume,
            progress=TerminalProgress(),
        )
    _report_check(found, is_json=json)
    if not found.is_good:
        raise SomeFailed


def _report_check(found: Report, *, is_json: bool) -> None:
    unreadable = [
        {"path": str(path), "error": reason} for path, reason in found.unreadable
    ]
    if is_json:
        show_json(
            {
                "files": found.files,
                "size_bytes": found.bytes,
                "stale": [_as_json(file) for file in found.stale],
                "unreadable": unreadable,
            }
        )
        return
    rows = [_row(file) for file in found.stale]
    if rows:
        show_table(("state", "size", "CID", "path"), rows)
    for path, reason in found.unreadable:
        say(f"not checked: {path}: {reason}")
    checked = f"{count(found.files, 'file')}, {human_size(found.bytes)} read"
    if found.is_good:
        show(f"all are what was hashed: {checked}")
    else:
        bad = len(found.stale) + len(found.unreadable)
        say(f"{count(bad, 'file')} not what was hashed; {checked}")


def _amount(held: Held) -> str:
    size = human_size(sum(file.stamp.size_bytes for file in held.files))
    files = f"{count(len(held.files), 'file')}, {size}"
    halves = len({file.path for file in held.unfinished})
    return f"{files}, and {halves} half imported" if halves else files


def _find_all(store: InPlaceStore, words: list[str]) -> Held:
    files: dict[int, StoredFile] = {}
    directories: set[bytes] = set()
    unfinished: set[Unfinished] = set()
    for word in words:
        held = store.find_held(given_path(word))
        if not held.files and not held.unfinished:
            held = _find_by_cid(store, word)
        files |= {file.id: file for file in held.files}
        directories |= set(held.directories)
        unfinished |= set(held.unfinished)
    return Held(tuple(files.values()), tuple(directories), tuple(unfinished))


def _find_by_cid(store: InPlaceStore, word: str) -> Held:
    cid = CID.find(word)
    held = Held((), ()) if cid is None else store.find_held(cid)
    if not held.files and not held.directories:
        raise NotFoundError("file in the store by", word, hint="see: etdb store list")
    return held


def _row(file: StoredFile) -> tuple[str, str, str, str]:
    size = human_size(file.stamp.size_bytes)
    return file.state, size, str(CID.from_bytes(file.root_bytes)), str(file.path)


def _as_json(file: StoredFile) -> dict[str, Any]:
    return {
        "path": str(file.path),
        "cid": str(CID.from_bytes(file.root_bytes)),
        "size_bytes": file.stamp.size_bytes,
        "profile": file.profile,
        "state": str(file.state),
    }
