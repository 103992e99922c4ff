"""Run every benchmark and print one table; exit 1 where a ratio is missed."""

from __future__ import annotations

import importlib
import pkgutil
import sys

import bench


def main() -> int:
    """Measure, print, judge."""
    names = [module.name for module in pkgutil.iter_modules(bench.__path__)]
    figures: list[bench.Figure] = []
    for name in sorted(name for name in names if name.endswith(("_speed", "_size"))):
        print(f"measuring {name} …", file=sys.stderr)
        figures += importlib.import_module(f"bench.{name}").measure()
    print(table(figures))
    return 0 if all(figure.holds for figure in figures) else 1


def table(figures: list[bench.Figure]) -> str:
    """The figures as a Markdown table."""
    rows = [("what", "against", "ratio", "at least", "", "detail")]
    rows += [
        (
            figure.what,
            figure.against,
            f"{figure.ratio:.2f}",
            "reported" if figure.at_least is None else f"{figure.at_least:.2f}",
            "ok" if figure.holds else "MISSED",
            figure.detail,
        )
        for figure in figures
    ]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["| " + " | ".join(map(str.ljust, row, widths)) + " |" for row in rows]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
