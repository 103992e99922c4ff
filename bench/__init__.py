"""The headline figures, as ratios measured in one run on one machine.

Each module of this package whose name ends in `_speed` or `_size` has a
`measure()` that returns its figures; `python -m bench` runs them all and prints
one table.
Absolute rates mean little between machines and stand only in the details.
"""

from __future__ import annotations

import os
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass

ROUNDS = 5


@dataclass(frozen=True)
class Figure:
    """One line of the table: ours divided by what it is measured against."""

    what: str
    against: str
    ratio: float
    at_least: float | None
    """The ratio that is required; None where it is only reported."""
    detail: str

    @property
    def holds(self) -> bool:
        """Whether the required ratio was reached."""
        return self.at_least is None or self.ratio >= self.at_least


def size_bytes() -> int:
    """How large a file is measured with: ETDB_BENCH_MB, in 10^6 bytes."""
    return int(os.environ.get("ETDB_BENCH_MB", "1000")) * 1_000_000


def alternate(
    measurements: Sequence[Callable[[], float]], rounds: int = ROUNDS
) -> list[float]:
    """The median of each measurement, taken in turn so that all see one load.

    A first round is not counted: it pays for pages that nobody touched before.
    """
    for measure in measurements:
        measure()
    taken = [[measure() for measure in measurements] for _ in range(rounds)]
    return [statistics.median(column) for column in zip(*taken, strict=True)]
