"""What `get` shows while it fetches, and that what was there is no speed."""

from __future__ import annotations

import io
import threading
from typing import Any

import pytest
from rich.console import Console

from etdb.cli.fetching import (
    WINDOW_S,
    Rates,
    conclude,
    human_time,
    panel,
    show_fetching,
    source_words,
    tell,
)
from etdb.client.look import FileLook, Look, SourceLook, SourceState
from etdb.errors import UnavailableError

LIE = SourceLook(
    "http://liar", 7_000_000, SourceState.DROPPED, UnavailableError("it lied")
)
MB = 1_000_000


def look(fetched_mb: int, found_mb: int = 0, **changes: Any) -> Look:
    sources = (SourceLook("http://one", fetched_mb * MB, SourceState.OK), LIE)
    known: dict[str, Any] = {
        "total_bytes": 1000 * MB,
        "found_bytes": found_mb * MB,
        "fetched_bytes": fetched_mb * MB,
        "files": 3,
        "ended_files": 1,
        "under_way": (FileLook("raw/\x1b[2Jts.st", 500 * MB, 250 * MB),),
        "sources": sources,
    }
    return Look(**(known | changes))


def test_what_was_there_is_not_counted_in_the_rate() -> None:
    rates = Rates()
    rates.add(look(0, found_mb=0), 0.0)
    rates.add(look(20, found_mb=600), 2.0)

    assert rates.rate() == rates.rate("http://one") == 10 * MB
    assert rates.rate("http://liar") == 0
    assert tell(look(20, found_mb=600), rates.rate()) == (
        "620.0 MB of 1.0 GB, 1 of 3 files, 10.0 MB/s, 0:38 left"
    )


def test_the_rate_is_that_of_the_last_seconds() -> None:
    rates = Rates()
    for second in range(100):
        fetched = min(second, 50) + 4 * max(0, second - 50)
        rates.add(look(fetched), float(second))

    assert rates.rate() == 4 * MB
    assert len(rates._seen) <= WINDOW_S + 1


def test_without_a_rate_no_time_is_promised() -> None:
    assert tell(look(0, files=1), Rates().rate()) == "0 bytes of 1.0 GB"


def test_what_it_came_to_tells_both() -> None:
    assert conclude(look(20, 600), 4.0) == (
        "fetched 20.0 MB in 0:04, 5.0 MB/s; 600.0 MB were there"
    )
    assert conclude(look(20), 0.0) == "fetched 20.0 MB in 0:00, 0 bytes/s"


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0.2, "0:00"), (59.7, "1:00"), (754, "12:34"), (11045, "3:04:05")],
)
def test_times_are_short(seconds: float, said: str) -> None:
    assert human_time(seconds) == said


def test_who_was_dropped_is_said_with_the_reason() -> None:
    assert source_words(LIE, 0.0) == "dropped: it lied"


def drawn(now: Look) -> str:
    console = Console(file=io.StringIO(), width=100, force_terminal=False)
    console.print(panel(now, Rates()))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_files_and_sources_stand_on_a_line_each() -> None:
    told = drawn(look(20))

    assert "raw/\\x1b[2Jts.st" in told
    assert "250.0 MB of 500.0 MB" in told
    assert "20.0 MB of 1.0 GB, 1 of 3 files" in told
    assert "http://liar  dropped: it lied" in told
    assert "\x1b" not in told


def test_a_thousand_files_take_no_more_room_than_a_few() -> None:
    crowd = tuple(FileLook(f"f{number}", 9, 1) for number in range(1000))

    told = drawn(look(20, under_way=crowd))

    assert len(told.splitlines()) < 15
    assert "and 994 files more" in told


def test_without_a_terminal_there_are_lines(
    capsys: pytest.CaptureFixture[str],
) -> None:
    looked = threading.Semaphore(0)

    def seen() -> Look:
        looked.release()
        return look(20)

    with show_fetching(seen, line_s=0.01):
        for _ in range(4):
            assert looked.acquire(timeout=20)
    lines = capsys.readouterr().err.splitlines()

    assert lines[0].startswith("fetching: 20.0 MB of 1.0 GB, 1 of 3 files")
    assert lines.count("http://liar: dropped: it lied") == 1
    assert lines[-1].startswith("fetched 20.0 MB in 0:00")
