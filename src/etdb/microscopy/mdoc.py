"""SerialEM's mdoc files and their dialects, read tolerantly.

Every line is kept as text; nothing is converted until `summary` asks for it.
What cannot be read becomes a warning, never an exception: empty values, bytes
that are not UTF-8, missing brackets (Tomo5 of 2026), NaN, Windows line ends.

    [T = SerialEM: Titan Krios            08-Oct-21  07:38:24]
    [ZValue = 0]
    TiltAngle = 0.00
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from itertools import pairwise
from pathlib import Path
from statistics import median

from etdb.errors import UnavailableError

MAX_BYTES = 32 << 20
SECTION_KEYS = ("ZValue", "FrameSet", "MontSection")
_LINE_END = re.compile(r"\r\n|\n|\r")
_LINE = re.compile(r"\[?\s*([^\s=\[\]][^=]*?)\s*=\s?(.*)")
_TITLE = re.compile(r"(.*?):\s*(.*?)\s*\d{1,2}-[A-Za-z]{3}-\d{2,4}\b")
_TILT_AXIS = re.compile(r"Tilt\s*axis\s*angle\s*=\s*([-+.\d]+)", re.IGNORECASE)
_DATE = re.compile(r"\b(\d{1,2})-([A-Za-z]{3})-(\d{4}|\d{2})\b")
_MONTHS = (
    *("jan", "feb", "mar", "apr", "may", "jun"),
    *("jul", "aug", "sep", "oct", "nov", "dec"),
)
_SCHEMES = {"dosym": "dose-symmetric", "bidir": "bidirectional"}
_DIGITIZED = re.compile(r"Digitized (?:by .* )?on ", re.IGNORECASE)
_FEWEST_TILTS = 3
_SAME_STEP_DEG = 0.3


@dataclass(frozen=True)
class Mdoc:
    """One mdoc file: what stands before the sections, titles, sections."""

    globals: Mapping[str, str]
    titles: tuple[str, ...]
    """The texts of the `[T = …]` lines, in order."""
    sections: tuple[Mapping[str, str], ...]
    """One per image; each holds its own heading, e.g. `ZValue`, as a key."""
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class MdocSummary:
    """What an mdoc says of its tilt series; None means it does not say."""

    tilt_angles_deg: tuple[float, ...] = ()
    """One per section, in the order of the file; empty unless all have one."""
    tilt_min_deg: float | None = None
    tilt_max_deg: float | None = None
    tilt_step_deg: float | None = None
    is_step_constant: bool | None = None
    tilt_axis_deg: float | None = None
    tilt_scheme: str | None = None
    pixel_spacing_angstrom: float | None = None
    voltage_kv: float | None = None
    magnification: float | None = None
    defocus_um: float | None = None
    """The nominal (target) defocus; negative is underfocus."""
    dose_e_per_a2: float | None = None
    """The whole series; None also where any image's dose is 0, i.e. unknown."""
    date: date | None = None
    """The day of the first image, by the microscope's own clock."""
    microscope: str | None = None
    software: str | None = None
    image_file: str | None = None
    is_montage: bool = False


@dataclass
class _Reading:
    """A file half read."""

    globals: dict[str, str] = field(default_factory=dict)
    titles: list[str] = field(default_factory=list)
    sections: list[dict[str, str]] = field(default_factory=list)
    empty: dict[str, int] = field(default_factory=dict)
    open_brackets: list[int] = field(default_factory=list)
    unread: list[int] = field(default_factory=list)

    def add(self, number: int, line: str) -> None:
        """Take one stripped line that is not empty."""
        match = _LINE.fullmatch(line)
        if match is None:
            self._add_unread(number, line)
            return
        key, value = match[1], match[2].rstrip()
        is_heading = key == "T" or key in SECTION_KEYS
        if is_heading and not (line.startswith("[") and line.endswith("]")):
            self.open_brackets.append(number)
        if is_heading:
            value = value.removesuffix("]").strip()
        if key == "T":
            self.titles.append(value)
        elif key in SECTION_KEYS:
            self.sections.append({key: value})
        else:
            (self.sections[-1] if self.sections else self.globals)[key] = value
            if not value:
                self.empty[key] = self.empty.get(key, 0) + 1

    def _add_unread(self, number: int, line: str) -> None:
        if line == "]" and self.open_brackets:
            self.open_brackets.pop()  # some programs break a title before its bracket
        else:
            self.unread.append(number)

    def warnings(self) -> tuple[str, ...]:
        """What was wrong, one sentence for each kind of wrong."""
        found = []
        if self.empty:
            names = ", ".join(sorted(self.empty))
            found.append(f"{sum(self.empty.values())} values are empty: {names}")
        if self.open_brackets:
            found.append(f"a bracket is missing in {_lines(self.open_brackets)}")
        if self.unread:
            found.append(f"{_lines(self.unread)} cannot be read as name = value")
        if not self.sections:
            found.append("there is no section for any image")
        return tuple(found)


def _lines(numbers: list[int]) -> str:
    shown = ", ".join(str(number) for number in numbers[:5])
    more = f" and {len(numbers) - 5} more" if len(numbers) > 5 else ""
    return f"line{'s' if len(numbers) > 1 else ''} {shown}{more}"


def read_mdoc(path: Path) -> Mdoc:
    """An mdoc file, whatever its dialect.

    Raises UnavailableError only where the disk refuses to read it.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as exc:
        msg = f"cannot read {path}: {exc.strerror or exc}"
        raise UnavailableError(msg) from exc
    return parse_mdoc(data)


def parse_mdoc(data: bytes) -> Mdoc:
    """The content of an mdoc file; at most 32 MiB of it are read."""
    warnings = []
    if len(data) > MAX_BYTES:
        warnings.append(f"only the first {MAX_BYTES >> 20} MiB were read")
    try:
        text = data[:MAX_BYTES].decode("utf-8-sig")
    except UnicodeDecodeError:
        text = data[:MAX_BYTES].decode("latin-1")
        warnings.append("the text is not UTF-8: read as Latin-1")
    reading = _Reading()
    for number, line in enumerate(_LINE_END.split(text), start=1):
        if line.strip():
            reading.add(number, line.strip())
    return Mdoc(
        globals=reading.globals,
        titles=tuple(reading.titles),
        sections=tuple(reading.sections),
        warnings=(*warnings, *reading.warnings()),
    )


def summary(mdoc: Mdoc) -> MdocSummary:
    """The facts of a tilt series in their units, as far as they are stated."""
    angles = _tilt_angles(mdoc)
    is_montage = any("PieceCoordinates" in section for section in mdoc.sections)
    is_series = len(angles) >= _FEWEST_TILTS and not is_montage
    steps = _tilt_steps(angles) if is_series else ()
    step = median(steps) if steps else None
    maker, microscope = _maker_and_microscope(mdoc)
    return MdocSummary(
        tilt_angles_deg=angles,
        tilt_min_deg=round(min(angles), 1) if is_series else None,
        tilt_max_deg=round(max(angles), 1) if is_series else None,
        tilt_step_deg=None if step is None else round(step, 2),
        is_step_constant=(
            None if step is None else all(abs(s - step) < _SAME_STEP_DEG for s in steps)
        ),
        tilt_axis_deg=_tilt_axis(mdoc),
        tilt_scheme=_tilt_scheme(mdoc),
        pixel_spacing_angstrom=_positive(_stated(mdoc, "PixelSpacing")),
        voltage_kv=_positive(_stated(mdoc, "Voltage")),
        magnification=_positive(_stated(mdoc, "Magnification")),
        defocus_um=_stated(mdoc, "TargetDefocus"),
        dose_e_per_a2=_dose(mdoc) if is_series else None,
        date=_first_date(mdoc),
        microscope=microscope,
        software=mdoc.globals.get("Version") or maker,
        image_file=mdoc.globals.get("ImageFile") or None,
        is_montage=is_montage,
    )


def _number(text: str | None) -> float | None:
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _positive(value: float | None) -> float | None:
    return value if value is not None and value > 0 else None


def _numbers(mdoc: Mdoc, key: str) -> list[float | None]:
    return [_number(section.get(key)) for section in mdoc.sections]


def _stated(mdoc: Mdoc, key: str) -> float | None:
    """The file's own value, else the median of its sections'."""
    value = _number(mdoc.globals.get(key))
    values = [number for number in _numbers(mdoc, key) if number is not None]
    if value is None and values:
        value = round(median(values), 4)
    return value


def _tilt_angles(mdoc: Mdoc) -> tuple[float, ...]:
    angles = _numbers(mdoc, "TiltAngle")
    known = tuple(angle for angle in angles if angle is not None)
    return known if len(known) == len(angles) else ()


def _tilt_steps(angles: Iterable[float]) -> tuple[float, ...]:
    """Differences between neighbouring angles; images taken twice are one."""
    ordered = sorted(angles)
    steps = (after - before for before, after in pairwise(ordered))
    return tuple(step for step in steps if step > _SAME_STEP_DEG)


def _dose(mdoc: Mdoc) -> float | None:
    doses = _numbers(mdoc, "ExposureDose")
    known = [dose for dose in doses if dose is not None and dose > 0]
    if known and len(known) == len(doses):
        return round(sum(known), 3)
    priors = [prior for prior in _numbers(mdoc, "PriorRecordDose") if prior is not None]
    if known and priors and max(priors) > 0:
        return round(max(priors) + median(known), 3)
    return None


def _tilt_axis(mdoc: Mdoc) -> float | None:
    found = (_TILT_AXIS.search(title) for title in mdoc.titles)
    return next((_number(match[1]) for match in found if match is not None), None)


def _tilt_scheme(mdoc: Mdoc) -> str | None:
    words = {word for title in mdoc.titles for word in title.lower().split()}
    return next((name for word, name in _SCHEMES.items() if word in words), None)


def _maker_and_microscope(mdoc: Mdoc) -> tuple[str | None, str | None]:
    """The program and the microscope named in a title with a date."""
    found = (_TITLE.match(title) for title in mdoc.titles)
    match = next((match for match in found if match is not None), None)
    if match is None:
        return None, None
    return match[1].strip() or None, _DIGITIZED.sub("", match[2]) or None


def _first_date(mdoc: Mdoc) -> date | None:
    stated = (_parse_date(section.get("DateTime", "")) for section in mdoc.sections)
    days = [day for day in stated if day is not None]
    days = days or [day for title in mdoc.titles if (day := _parse_date(title))]
    return min(days, default=None)


def _parse_date(text: str) -> date | None:
    """`06-Jun-23 …` and `07-Jan-2026 …`, whatever the computer's language."""
    match = _DATE.search(text)
    if match is None or match[2].lower() not in _MONTHS:
        return None
    year = int(match[3]) + (2000 if len(match[3]) == 2 else 0)
    try:
        return date(year, _MONTHS.index(match[2].lower()) + 1, int(match[1]))
    except ValueError:
        return None
