"""`etdb cid`: what files and folders would be called, without keeping them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated

import typer

from etdb.cli.options import JsonOption, given_path
from etdb.cli.terminal import (
    SomeFailed,
    TerminalProgress,
    human_size,
    say,
    show_json,
    show_table,
)
from etdb.errors import EtdbError, InvalidDataError
from etdb.store.content import Content, hash_path
from etdb.store.unixfs import PROFILES, UNIXFS_V1_2025, Profile

PathsArgument = Annotated[
    list[Path],
    typer.Argument(metavar="PATH...", help="Files or folders.", parser=given_path),
]
ProfileOption = Annotated[
    str,
    typer.Option(
        "--profile", metavar="NAME", help=f"How CIDs are made: {', '.join(PROFILES)}."
    ),
]


def cid(
    paths: PathsArgument,
    profile: ProfileOption = UNIXFS_V1_2025.name,
    threads: Annotated[int, typer.Option(min=1, help="Threads that hash.")] = 2,
    json: JsonOption = False,
) -> None:
    """Print the CIDs of files and folders; nothing is stored, no node is needed.

    They are those of IPFS programs under the same profile. In folders, names
    that begin with a dot are left out and symbolic links are not followed.

    \b
    Examples:
        etdb cid data/vc2026-03-14
        etdb cid --profile unixfs-v0-2015 volume.rec volume.mdoc
    """
    chosen = profile_of(profile)
    found = take_all(
        paths, lambda path: hash_path(path, chosen, TerminalProgress(), threads)
    )
    report(found, paths, chosen, is_json=json)


def profile_of(name: str) -> Profile:
    """A profile by its name. Raises InvalidDataError."""
    if name not in PROFILES:
        msg = f"no profile {name!r}"
        raise InvalidDataError(msg, hint=f"there are {', '.join(PROFILES)}")
    return PROFILES[name]


def take_all(
    paths: Sequence[Path], take: Callable[[Path], Content]
) -> dict[Path, Content]:
    """What each path became; of several, one that fails does not stop the rest."""
    found = {}
    for path in paths:
        try:
            found[path] = take(path)
        except EtdbError as error:
            if len(paths) == 1:
                raise
            say(f"failed: {error.message}")
    return found


def report(
    found: Mapping[Path, Content],
    paths: Sequence[Path],
    profile: Profile,
    *,
    is_json: bool,
) -> None:
    """Print what was found. Raises SomeFailed where that is not every path."""
    if is_json:
        results = [
            {
                "path": str(path),
                "cid": str(content.cid),
                "size_bytes": content.total_bytes,
                "files": content.files,
                "new_files": content.new_files,
            }
            for path, content in found.items()
        ]
        show_json({"profile": profile.name, "results": results})
    else:
        rows = (
            (str(content.cid), human_size(content.total_bytes), str(path))
            for path, content in found.items()
        )
        show_table(("CID", "size", "path"), rows)
    if len(found) < len(set(paths)):
        raise SomeFailed
