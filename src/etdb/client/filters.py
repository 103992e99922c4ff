"""Which files of a record are wanted: by globs over their names, and by role.

>>> is_included("raw/ts.st", ["*.st"])
True
>>> is_included("raw/ts.st", ["rec/*"])
False
>>> Selection(exclude=("*.st",)).takes("raw/ts.st")
False
"""

from __future__ import annotations

import glob as globs_of
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from etdb.errors import InvalidDataError
from etdb.record.model import Role


def is_included(name: str, globs: Sequence[str]) -> bool:
    """Whether a posix relative name matches one of the globs; none means all.

    A glob is tried on the whole name and on its last part; `*` crosses
    folders, capitals matter. One that begins with `/` is for whole names only.
    """
    return not globs or any(_matches(name, glob) for glob in globs)


def _matches(name: str, glob: str) -> bool:
    if glob.startswith("/"):
        return fnmatchcase("/" + name, glob)
    return fnmatchcase(name, glob) or fnmatchcase(name.rpartition("/")[2], glob)


@dataclass(frozen=True)
class Selection:
    """Some of a record's files; with nothing said, all of them."""

    include: tuple[str, ...] = ()
    """Globs of names."""
    exclude: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()
    """What the record says the files are for, such as "reconstruction"."""

    def takes(self, name: str, roles: Sequence[str] = ()) -> bool:
        """Whether a file of this name, with these roles, is wanted."""
        return (
            is_included(name, self.include)
            and not (self.exclude and is_included(name, self.exclude))
            and (not self.roles or bool(self._folded() & set(map(fold_role, roles))))
        )

    def _folded(self) -> set[str]:
        return set(map(fold_role, self.roles))

    def as_include(self, names: Sequence[str]) -> tuple[str, ...]:
        """Globs of what was taken, by which it can be known again."""
        if not self.exclude and not self.roles:
            return self.include
        return tuple("/" + globs_of.escape(name) for name in names)

    def __str__(self) -> str:
        said = [
            *self.include,
            *(f"--exclude {glob}" for glob in self.exclude),
            *(f"--type {role}" for role in self.roles),
        ]
        return " ".join(said)


def fold_role(role: str) -> str:
    """A role as it is compared: `tilt-series`, `TiltSeries` are one."""
    return "".join(character for character in role.casefold() if character.isalnum())


def verify_roles(roles: Sequence[str]) -> None:
    """Refuse what is no role of any file. Raises InvalidDataError."""
    known = {fold_role(role.value) for role in Role}
    for role in roles:
        if fold_role(role) not in known:
            msg = f"no files are of type {role[:80]!r}"
            raise InvalidDataError(msg, hint=f"there are {', '.join(Role)}")


def roles_of(record: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    """What each file is for, by name, as far as the record says."""
    listed = record.get("files")
    found: dict[str, tuple[str, ...]] = {}
    for item in listed if isinstance(listed, list) else ():
        name, role = item.get("name"), item.get("role")
        if isinstance(name, str) and isinstance(role, str):
            found[name] = (*found.get(name, ()), role)
    return found
