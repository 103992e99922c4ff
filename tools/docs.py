"""Write the reference pages of `docs/` from the code they describe.

With `--check` nothing is written, and a page that is not current is a failure;
with `--check-links` every link between the texts is followed as well.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from etdb.cli import EXIT_CODES, command_names
from etdb.settings import rows, toml_value
from etdb.web.problem import STATUS

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"


def settings_page() -> str:
    """`docs/settings.md`: the table of settings."""
    lines = [
        "# Settings",
        "",
        "A node reads `etdb.toml` in its folder, then the environment, then flags;",
        "the later wins. `etdb config` shows what is in force. An unknown key or a",
        "value of the wrong type stops the program with exit status 7.",
        "",
        "| setting | default | environment | meaning |",
        "|---|---|---|---|",
    ]
    for row in rows():
        unit = f" Unit: {row.unit}." if row.unit else ""
        lines.append(
            f"| `{row.key}` | `{toml_value(row.default)}` | `{row.variable}` "
            f"| {row.sentence}{unit} |"
        )
    return "\n".join(lines) + "\n"


def commands_page() -> str:
    """`docs/commands.md`: each command's own help, and the exit statuses."""
    lines = [
        "# Commands",
        "",
        "Each section is what `--help` prints. Results go to standard output,",
        "progress and questions to standard error.",
        "",
        "## Exit statuses",
        "",
        "| status | meaning | error (`code` of the API, HTTP status) |",
        "|---|---|---|",
        "| 0 | done | |",
        "| 1 | an unexpected fault of etdb; the traceback is shown | |",
        "| 2 | the command line was not understood | |",
    ]
    for status in sorted(set(EXIT_CODES.values())):
        names = [
            f"`{error.__name__}` (`{error.code}`, {STATUS[error]})"
            for error, code in EXIT_CODES.items()
            if code == status
        ]
        meaning = (next(e for e, c in EXIT_CODES.items() if c == status).__doc__) or ""
        if status > 1:
            lines.append(f"| {status} | {meaning} | {', '.join(names)} |")
    lines.append("| 9 | some of many failed; each is listed | |")
    lines.append("| 130 | stopped by Ctrl-C; the same command goes on | |")
    for name in ["", *command_names()]:
        title = f"etdb {name}".strip()
        lines += ["", f"## {title}", "", "```", help_of(name), "```"]
    return "\n".join(lines) + "\n"


def help_of(name: str) -> str:
    """What `etdb NAME --help` prints on a terminal 80 columns wide."""
    command = [sys.executable, "-m", "etdb.cli", *name.split(), "--help"]
    environ = {**os.environ, "COLUMNS": "80", "NO_COLOR": "1", "TERM": "dumb"}
    done = subprocess.run(
        command, check=True, capture_output=True, text=True, env=environ
    )
    return "\n".join(line.rstrip() for line in done.stdout.strip().splitlines())


def broken_links() -> Iterator[str]:
    """Links between the texts that lead nowhere."""
    for page in [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))]:
        text = page.read_text("utf-8")
        for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", text):
            if "://" in target or target.startswith("mailto:"):
                continue
            if not (page.parent / target).exists():
                yield f"{page.relative_to(ROOT)}: {target}"


def main() -> int:
    """Write or compare the pages."""
    parser = argparse.ArgumentParser(description="Write the reference pages.")
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--check-links", action="store_true")
    options = parser.parse_args()
    pages = {
        DOCS / "settings.md": settings_page(),
        DOCS / "commands.md": commands_page(),
    }
    problems = []
    for path, text in pages.items():
        if not options.check:
            path.write_text(text, "utf-8")
        elif not path.exists() or path.read_text("utf-8") != text:
            problems.append(f"{path.relative_to(ROOT)} is not current; run: make fix")
    if options.check or options.check_links:
        problems += broken_links()
    for problem in problems:
        print(problem)
    return int(bool(problems))


if __name__ == "__main__":
    sys.exit(main())
