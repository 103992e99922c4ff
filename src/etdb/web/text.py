"""Values as words: numbers, sizes, times.

Pure. A true minus sign, thousands separated, sizes in powers of ten, times in
UTC. Nothing here knows of records.
"""

from __future__ import annotations

from datetime import UTC, datetime

_SIZES = ("bytes", "kB", "MB", "GB", "TB", "PB")
_LAST_SECOND = 253_402_300_799
"""The last second of the year 9999, where datetime ends."""


def number(value: float) -> str:
    """Whole numbers in full, others in six digits: 27500 is `27,500`, -60.0 `−60`."""
    digits = f"{value:,}" if isinstance(value, int) else f"{value:,.6g}"
    return digits.replace("-", "−")


def size(count: int | None) -> str:
    """A number of bytes: `4.1 GB`; `size unknown` for None."""
    if count is None:
        return "size unknown"
    if count < 1000:
        return f"{count} byte{'' if count == 1 else 's'}"
    scaled, power = float(count), 0
    while scaled >= 999.5 and power < len(_SIZES) - 1:
        scaled, power = scaled / 1000, power + 1
    digits = 0 if scaled >= 100 else 1
    return f"{scaled:,.{digits}f} {_SIZES[power]}"


def exact_size(count: int | None) -> str:
    """A number of bytes in full, for a tooltip."""
    return "" if count is None else f"{count:,} bytes"


def moment(seconds: object) -> str:
    """Unix seconds as `2026-03-14 09:26 UTC`; whatever else, as `unknown`."""
    if not isinstance(seconds, int | float) or not 0 <= seconds <= _LAST_SECOND:
        return "unknown"
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")


def day(seconds: object) -> str:
    """Unix seconds as `2026-03-14`; whatever else, as `unknown`."""
    return moment(seconds)[:10].strip()


def plain(value: object) -> str:
    """Any JSON value as one line of text."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: "none"}[value]
    if isinstance(value, int | float):
        return number(value)
    if isinstance(value, list):
        return ", ".join(plain(item) for item in value)
    return _plain_object(value) if isinstance(value, dict) else str(value)


def _plain_object(value: dict[str, object]) -> str:
    """`Yi Chen (corresponding, 0000-…)` from a name and its further facts."""
    if "name" not in value:
        return ", ".join(f"{key}: {plain(item)}" for key, item in value.items())
    rest = ", ".join(plain(item) for key, item in value.items() if key != "name")
    name = plain(value["name"])
    return f"{name} ({rest})" if rest else name


def short(identity: str) -> str:
    """A long id for reading: its first ten and last four characters."""
    return identity if len(identity) <= 18 else f"{identity[:10]}…{identity[-4:]}"


def is_plain_name(name: str) -> bool:
    """Whether a file's name is safe to type: relative, printable, no `..`.

    Control characters and marks that reverse the direction of reading are not
    printable (str.isprintable).
    """
    steps = name.split("/")
    return name.isprintable() and not any(step in {"", ".", ".."} for step in steps)
