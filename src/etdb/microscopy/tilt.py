"""Tilt angle files: .tlt, .rawtlt and .xtilt, one angle per line.

Not alignments: .xf, .aln and .com files are published as they are, unread.

    read_tlt(Path("ts01.rawtlt"))  ->  (-60.0, -58.0, ...)
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from pathlib import Path

from etdb.errors import UnavailableError

MAX_TILT_DEG = 90.0
_MAX_BYTES = 1 << 20


def read_tlt(path: Path) -> tuple[float, ...]:
    """The first column in degrees, in the file's order.

    Empty where the file is not a list of angles within ±90°. Raises
    UnavailableError where the disk refuses to read it.
    """
    try:
        with path.open("rb") as file:
            text = file.read(_MAX_BYTES).decode("latin-1")
    except OSError as exc:
        msg = f"cannot read {path}: {exc.strerror or exc}"
        raise UnavailableError(msg) from exc
    words = (line.split() for line in re.split(r"\r\n|\n|\r", text))
    angles = [_parse_angle(found[0]) for found in words if found]
    known = tuple(angle for angle in angles if angle is not None)
    return known if len(known) == len(angles) else ()


def _parse_angle(word: str) -> float | None:
    try:
        angle = float(word)
    except ValueError:
        return None
    return angle if math.isfinite(angle) and abs(angle) <= MAX_TILT_DEG else None


def nearest_zero(angles: Sequence[float]) -> int | None:
    """The position of the angle nearest 0°; None where there are no angles."""
    if not angles:
        return None
    return min(range(len(angles)), key=lambda position: abs(angles[position]))
