"""Which files of a record are wanted: `--include` globs over their names.

>>> is_included("raw/ts.st", ["*.st"])
True
>>> is_included("raw/ts.st", ["rec/*"])
False
"""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase


def is_included(name: str, globs: Sequence[str]) -> bool:
    """Whether a posix relative name matches one of the globs; none means all.

    A glob is tried on the whole name and on its last part; `*` crosses
    folders, capitals matter.
    """
    if not globs:
        return True
    last = name.rpartition("/")[2]
    return any(fnmatchcase(name, glob) or fnmatchcase(last, glob) for glob in globs)
