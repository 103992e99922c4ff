"""The files of a folder that may be published, and nothing else.

It looks at names and kinds only; what the files hold is `header`'s affair.
Left out are dot-files and `dataset.toml`. Refused is what could not be given
back to a reader as it stands, or would publish more than the folder.
"""

from __future__ import annotations

import stat
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from etdb.errors import InvalidDataError, NotFoundError, UnavailableError

SETTINGS_NAME = "dataset.toml"

_LINE_BREAKING = ("Cc", "Zl", "Zp", "Cs")
_KINDS = {
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


@dataclass(frozen=True)
class Found:
    """One file: its name in the dataset (posix, relative) and its real place."""

    name: str
    path: Path
    size_bytes: int


def list_files(path: Path) -> tuple[Found, ...]:
    """The files of a folder by name, or the one file that `path` is.

    Links are followed inside the folder only. Raises NotFoundError;
    UnavailableError for what cannot be read; InvalidDataError for an empty
    folder, a pipe, socket or device, a link that leaves the folder, dangles or
    turns in a circle, a dataset inside the dataset, and a name that holds a
    control character or line break or is not UTF-8.
    """
    if not path.exists():
        raise NotFoundError("file or folder", path)
    root = path.resolve()
    if not root.is_dir():
        return (_found(root, root.name),)
    files = tuple(_Walk(root).files(root, ()))
    if not files:
        msg = f"{path} holds no files to publish"
        raise InvalidDataError(
            msg, hint="dot-files and dataset.toml are never published"
        )
    return files


@dataclass(frozen=True)
class _Walk:
    root: Path

    def files(self, folder: Path, parents: tuple[Path, ...]) -> Iterator[Found]:
        """Every file under a real folder, named as it was reached."""
        yield from self._enter(folder, "", (*parents, folder))

    def _enter(
        self, folder: Path, prefix: str, parents: tuple[Path, ...]
    ) -> Iterator[Found]:
        for entry in _list_names(folder):
            name = prefix + entry
            if entry.startswith("."):
                continue
            if entry == SETTINGS_NAME:
                _refuse_inner_dataset(prefix, folder)
                continue
            verify_name(name)
            real = self._resolve(folder / entry, name)
            if not real.is_dir():
                yield _found(real, name)
            elif real in parents:
                msg = f"{name} is a link to a folder that holds it"
                raise InvalidDataError(msg, hint="remove the link", file=name)
            else:
                yield from self._enter(real, name + "/", (*parents, real))

    def _resolve(self, path: Path, name: str) -> Path:
        """The real place of an entry, which must lie under the root."""
        try:
            real = path.resolve(strict=True)
        except (OSError, RuntimeError) as exc:
            msg = f"{name} is a link that leads nowhere"
            raise InvalidDataError(msg, hint="remove the link", file=name) from exc
        if not real.is_relative_to(self.root):
            msg = f"{name} is a link out of the folder, to {real}"
            raise InvalidDataError(
                msg, hint="move the file into the folder, or remove the link", file=name
            )
        return real


def _list_names(folder: Path) -> list[str]:
    try:
        return sorted(entry.name for entry in folder.iterdir())
    except OSError as exc:
        msg = f"cannot read the folder {folder}: {exc.strerror}"
        raise UnavailableError(msg, hint="mend its permissions, then repeat") from exc


def _refuse_inner_dataset(prefix: str, folder: Path) -> None:
    if prefix:
        msg = f"{prefix} is a dataset of its own: it has a {SETTINGS_NAME}"
        raise InvalidDataError(
            msg, hint="publish each dataset's folder by itself", folder=str(folder)
        )


def verify_name(name: str) -> None:
    """Check that a name can be written, shown and given back.

    Spaces, quotes and every letter of Unicode are welcome. Raises
    InvalidDataError for names that are not UTF-8 and for control characters
    and line breaks, which would act on a terminal or cut a list in two.
    """
    bad = next((c for c in name if unicodedata.category(c) in _LINE_BREAKING), None)
    if bad is None:
        return
    fault = (
        "is not UTF-8"
        if unicodedata.category(bad) == "Cs"
        else f"holds the control character or line break {bad!r}"
    )
    msg = f"the file name {name!r} {fault}"
    raise InvalidDataError(msg, hint="rename the file", file=repr(name))


def _found(path: Path, name: str) -> Found:
    verify_name(name)
    try:
        status = path.stat()
        if stat.S_ISREG(status.st_mode):
            path.open("rb").close()
            return Found(name=name, path=path, size_bytes=status.st_size)
    except OSError as exc:
        msg = f"cannot read {name}: {exc.strerror}"
        raise UnavailableError(
            msg, hint="mend its permissions, then repeat", file=name
        ) from exc
    kind = _KINDS.get(stat.S_IFMT(status.st_mode), "not a file")
    msg = f"{name} is {kind}; only files can be published"
    raise InvalidDataError(msg, hint="remove it from the folder", file=name)
