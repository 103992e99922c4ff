"""What code takes of the machine, counted; and a disk that is full at a size."""

from __future__ import annotations

import contextlib
import resource
import sys
import tracemalloc
from collections.abc import Callable, Iterator


@contextlib.contextmanager
def counted_calls() -> Iterator[list[int]]:
    """How many calls, of Python and of C, were made inside."""
    count = [0]

    def step(_frame: object, event: str, _argument: object) -> None:
        if event in {"call", "c_call"}:
            count[0] += 1

    before = sys.getprofile()
    sys.setprofile(step)
    try:
        yield count
    finally:
        sys.setprofile(before)


def count_steps(do: Callable[[], object]) -> int:
    """How many calls something makes when it is not done for the first time."""
    do()
    with counted_calls() as count:
        do()
    return count[0]


def peak_bytes(do: Callable[[], object]) -> int:
    """The most memory that something holds at once."""
    tracemalloc.start()
    try:
        do()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@contextlib.contextmanager
def disk_full_at(size_bytes: int) -> Iterator[None]:
    """No file may grow beyond a size, as if the disk were full there."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
