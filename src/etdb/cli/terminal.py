"""What a person sees: progress, tables, questions, JSON.

Results go to standard output, everything else to standard error, so that a
pipe holds results alone. Text from a ledger or a file name is shown with its
control characters escaped: it cannot move the cursor or hide a line.
"""

from __future__ import annotations

import json
import sys
import unicodedata
from collections.abc import Iterable, Sequence

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.progress import Progress as Bars
from rich.table import Table
from rich.text import Text


class SomeFailed(Exception):  # noqa: N818 - a result, not an error
    """Some of many failed, and each has been listed."""


class UsageError(Exception):
    """What was typed does not suffice; `hint` says what to add."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class TerminalProgress:
    """Bars on a terminal; one line at the end of each job elsewhere.

    Jobs of fewer than `least` units are not worth a word.
    """

    def __init__(self, least: int = 0) -> None:
        self._least = least
        self._is_shown = True
        self._console = Console(stderr=True)
        self._bars: Bars | None = None
        self._task_name = ""
        self._done = 0
        self._unit = ""

    def begin(self, task: str, total: int | None, unit: str) -> None:
        """Show a bar with rate and time left."""
        self._task_name, self._done, self._unit = task, 0, unit
        self._is_shown = total is None or total >= self._least
        if not self._is_shown or not self._console.is_terminal:
            return
        columns = [TextColumn("{task.description}"), BarColumn()]
        if unit == "bytes":
            columns += [DownloadColumn(), TransferSpeedColumn()]
        else:
            columns += [MofNCompleteColumn(), TextColumn(unit)]
        self._bars = Bars(*columns, TimeRemainingColumn(), console=self._console)
        self._bars.add_task(clean(task), total=total)
        self._bars.start()

    def advance(self, amount: int) -> None:
        """Move the bar."""
        self._done += amount
        if self._bars is not None:
            self._bars.advance(self._bars.task_ids[0], amount)

    def end(self) -> None:
        """Leave the finished bar, or the line, behind."""
        if self._bars is not None:
            self._bars.stop()
            self._bars = None
            return
        if not self._is_shown:
            return
        amount = (
            human_size(self._done)
            if self._unit == "bytes"
            else f"{self._done} {self._unit}"
        )
        say(f"{self._task_name}: {amount}")


def say(text: str) -> None:
    """A line for people, on standard error."""
    typer.echo(clean(text), err=True)


def show(text: str) -> None:
    """A line of the result, on standard output."""
    typer.echo(clean(text))


def show_json(value: object) -> None:
    """One JSON value on standard output."""
    typer.echo(json.dumps(value, ensure_ascii=not _prints_unicode(), indent=2))


def _prints_unicode() -> bool:
    return (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"


def show_table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """A table on a terminal; tab-separated lines in a pipe."""
    console = Console()
    if not console.is_terminal:
        for row in rows:
            typer.echo("\t".join(clean(cell) for cell in row))
        return
    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(Text(clean(cell)) for cell in row))
    console.print(table)


def show_facts(facts: Iterable[tuple[str, str]]) -> None:
    """Label and value, a line each, aligned."""
    lines = [(clean(label), clean(value)) for label, value in facts]
    width = max((len(label) for label, _ in lines), default=0)
    for label, value in lines:
        typer.echo(f"{label.ljust(width)}  {value}".rstrip())


def confirm(question: str, *, assume_yes: bool) -> bool:
    """Ask on a terminal.

    Raises UsageError where nobody can answer and `--yes` was not given.
    """
    if assume_yes:
        return True
    if not sys.stdin.isatty():
        msg = "nobody is there to answer: standard input is not a terminal"
        raise UsageError(msg, hint="repeat with --yes")
    return typer.confirm(clean(question), err=True)


def clean(text: str) -> str:
    """The text with control and direction characters made visible."""
    return "".join(
        character
        if unicodedata.category(character)[0] != "C"
        else character.encode("unicode_escape").decode("ascii")
        for character in text
    )


def human_size(size_bytes: int | None) -> str:
    """A size with a decimal unit: 4.1 GB is 4.1 * 10^9 bytes."""
    if size_bytes is None:
        return "unknown size"
    size = float(size_bytes)
    for unit in ("bytes", "kB", "MB", "GB", "TB"):
        if size < 1000 or unit == "TB":
            break
        size /= 1000
    return f"{size_bytes} bytes" if unit == "bytes" else f"{size:.1f} {unit}"


def count(number: int, noun: str) -> str:
    """`1 file`, `2 files`."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
