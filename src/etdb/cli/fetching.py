"""What `etdb get` shows while it fetches: files, rate, time left, sources.

On a terminal a few lines that are kept up to date; elsewhere a line now and
then. Rates are those of the last seconds and of fetched bytes alone: what an
earlier run had left is no speed.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from etdb.cli.terminal import clean, count, human_size, say
from etdb.client.look import FileLook, Look, SourceLook, SourceState

WINDOW_S = 10.0
LINE_S = 10.0
"""Between two lines where there is no terminal."""
SHOWN_FILES = 6
SHOWN_SOURCES = 12
_ALL = ""
_BAR = 24
_NAME = 32


@dataclass
class Rates:
    """Bytes a second, of all and of each source, over the last seconds."""

    _seen: deque[tuple[float, Mapping[str, int]]] = field(default_factory=deque)

    def add(self, look: Look, now_s: float) -> None:
        """What has come until now."""
        given = {one.name: one.given_bytes for one in look.sources}
        self._seen.append((now_s, {_ALL: look.fetched_bytes, **given}))
        while len(self._seen) > 2 and self._seen[1][0] <= now_s - WINDOW_S:
            self._seen.popleft()

    def rate(self, source: str = _ALL) -> float:
        """0 where nothing is known yet."""
        if not self._seen:
            return 0.0
        (first_s, first), (last_s, last) = self._seen[0], self._seen[-1]
        came = last.get(source, 0) - first.get(source, 0)
        return came / (last_s - first_s) if last_s > first_s else 0.0


def tell(look: Look, rate: float) -> str:
    """How far all of it is, in one line."""
    done, total = human_size(look.done_bytes), human_size(look.total_bytes)
    words = [f"{done} of {total}"]
    if look.files > 1:
        words.append(f"{look.ended_files} of {count(look.files, 'file')}")
    if rate > 0:
        left_s = (look.total_bytes - look.done_bytes) / rate
        words += [f"{human_size(round(rate))}/s", f"{human_time(left_s)} left"]
    return ", ".join(words)


def conclude(look: Look, taken_s: float) -> str:
    """What it came to: what was fetched, how fast, and what was there."""
    rate = look.fetched_bytes / taken_s if taken_s > 0 else 0.0
    line = f"fetched {human_size(look.fetched_bytes)} in {human_time(taken_s)}"
    line += f", {human_size(round(rate))}/s"
    if look.found_bytes:
        line += f"; {human_size(look.found_bytes)} were there"
    return line


def human_time(seconds: float) -> str:
    """`0:09`, `12:34` or `3:04:05`."""
    minutes, left = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{left:02}" if hours else f"{minutes}:{left:02}"


@contextlib.contextmanager
def show_fetching(
    look: Callable[[], Look], *, line_s: float = LINE_S
) -> Iterator[None]:
    """Show a transfer for the length of the block, and what it came to."""
    console = Console(stderr=True)
    started_s = time.monotonic()
    try:
        with _live(look, console) if console.is_terminal else _lines(look, line_s):
            yield
    finally:
        say(conclude(look(), time.monotonic() - started_s))


@contextlib.contextmanager
def _live(look: Callable[[], Look], console: Console) -> Iterator[None]:
    rates = Rates()

    def draw() -> RenderableType:
        now = look()
        rates.add(now, time.monotonic())
        return panel(now, rates)

    with Live(
        console=console, get_renderable=draw, refresh_per_second=4, transient=True
    ):
        yield


@contextlib.contextmanager
def _lines(look: Callable[[], Look], line_s: float) -> Iterator[None]:
    over = threading.Event()
    thread = threading.Thread(target=_say_lines, args=(look, line_s, over), daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _say_lines(look: Callable[[], Look], line_s: float, over: threading.Event) -> None:
    rates, told = Rates(), set()
    rates.add(look(), time.monotonic())
    while not over.wait(line_s):
        now = look()
        rates.add(now, time.monotonic())
        say(f"fetching: {tell(now, rates.rate())}")
        for one in now.sources:
            if one.state is SourceState.DROPPED and one.name not in told:
                told.add(one.name)
                say(f"{one.name}: {source_words(one, 0.0)}")


def panel(look: Look, rates: Rates) -> RenderableType:
    """Files under way, all of it, and each source."""
    files = Table.grid(padding=(0, 2, 0, 0))
    for one in look.under_way[:SHOWN_FILES]:
        files.add_row(*_file_row(one))
    hidden = len(look.under_way) - SHOWN_FILES
    if hidden > 0:
        files.add_row(Text(f"and {count(hidden, 'file')} more", style="dim"))
    files.add_row(
        Text("all"),
        _bar(look.done_bytes, look.total_bytes),
        Text(tell(look, rates.rate())),
    )
    sources = Table.grid(padding=(0, 2, 0, 0))
    sources.add_column(no_wrap=True)
    sources.add_column(no_wrap=True, overflow="ellipsis")
    for told in look.sources[:SHOWN_SOURCES]:
        style = "red" if told.state is SourceState.DROPPED else "dim"
        words = source_words(told, rates.rate(told.name))
        sources.add_row(Text(f"  {clean(told.name)}"), Text(clean(words), style=style))
    return Group(files, sources)


def _file_row(one: FileLook) -> tuple[RenderableType, ...]:
    name = clean(one.name)
    name = name if len(name) <= _NAME else f"…{name[1 - _NAME :]}"
    told = f"{human_size(one.done_bytes)} of {human_size(one.size_bytes)}"
    return Text(name), _bar(one.done_bytes, one.size_bytes), Text(told)


def _bar(done: int, total: int) -> ProgressBar:
    return ProgressBar(total=max(total, 1), completed=done, width=_BAR)


def source_words(one: SourceLook, rate: float) -> str:
    """What a source gives, or why it gives nothing."""
    if one.error is not None:
        return f"{one.state}: {one.error.message}"
    return f"{human_size(round(rate))}/s, {human_size(one.given_bytes)}"
