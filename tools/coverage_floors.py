"""Hold the coverage floors: `record` whole, everything at least 90 %.

Reads the figures of the last test run; branches count as lines do.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

import coverage

FLOORS = {"src/etdb/record/": 100.0, "src/etdb/": 90.0}


def measured() -> dict[str, dict[str, int]]:
    """Per file: what coverage counted in the last run."""
    data = coverage.Coverage()
    data.load()
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "coverage.json"
        data.json_report(outfile=str(report))
        files = json.loads(report.read_text("utf-8"))["files"]
    return {name: entry["summary"] for name, entry in files.items()}


def percent(files: dict[str, dict[str, int]], prefix: str) -> float:
    """The share of lines and branches run in the files under `prefix`."""
    chosen = [entry for name, entry in files.items() if name.startswith(prefix)]
    total = sum(entry["num_statements"] + entry["num_branches"] for entry in chosen)
    run = sum(entry["covered_lines"] + entry["covered_branches"] for entry in chosen)
    return 100.0 * run / total


def main() -> int:
    """Print each figure; 1 when one is below its floor."""
    files = measured()
    failed = False
    for prefix, floor in FLOORS.items():
        share = percent(files, prefix)
        failed |= share < floor
        print(f"coverage of {prefix}: {share:.2f} % (at least {floor:.0f} %)")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
