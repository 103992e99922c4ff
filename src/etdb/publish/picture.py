"""The key images of a dataset: made once, kept in the node, linked in.

They lie in a folder named for the dataset's id and for the CID of the volume
they were made from, so that those of an older version stay what they were.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path

from etdb.errors import UnavailableError
from etdb.identity import CID
from etdb.lab.folder import LabFile
from etdb.lab.role import media_type_of
from etdb.microscopy.preview import KEY_IMAGE_SIDES_PX, write_key_images
from etdb.publish.artifact import MADE_FROM
from etdb.record.model import Role

_UNSAFE = re.compile(r"[^A-Za-z0-9_-]")
_MAX_NAME = 80
_ROLES = (Role.KEYIMG, Role.KEYIMG, Role.THUMBNAIL)
"""Of keyimg_<sid>.jpg, …_m.jpg and …_s.jpg: names in order of length."""


def safe_component(sid: str) -> str:
    """A lab's own id as one file name, never the same for two ids.

    >>> safe_component("ab/c")
    'ab_c-fcb6b81f'
    """
    check = hashlib.sha256(sid.encode()).hexdigest()[:8]
    return f"{_UNSAFE.sub('_', sid)[:_MAX_NAME]}-{check}"


def make_key_images(
    volume: LabFile, cid: CID, sid: str, derived: Path
) -> tuple[LabFile, ...]:
    """The key images of a volume; nothing is read where they are there already.

    Raises InvalidDataError where no picture can be made of the volume, and
    UnavailableError.
    """
    folder = derived / safe_component(sid) / str(cid)
    paths = _find(folder)
    if len(paths) < len(KEY_IMAGE_SIDES_PX):
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as exc:
            msg = f"cannot make {folder}: {exc.strerror}"
            raise UnavailableError(msg) from exc
        paths = write_key_images(volume.path, folder, sid)
    largest_first = sorted(paths.items(), key=lambda item: (len(item[0]), item[0]))
    return tuple(
        _picture(path, role, volume)
        for (_, path), role in zip(largest_first, _ROLES, strict=True)
    )


def _find(folder: Path) -> Mapping[str, Path]:
    return {path.name: path for path in folder.glob("keyimg_*.jpg")}


def _picture(path: Path, role: Role, volume: LabFile) -> LabFile:
    return LabFile(
        name=path.name,
        path=path,
        size_bytes=path.stat().st_size,
        role=role,
        media_type=media_type_of(path.name),
        facts={"role": role.value, MADE_FROM: volume.name},
    )
