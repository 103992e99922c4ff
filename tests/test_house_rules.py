"""The house rules that no linter knows."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from etdb import errors
from etdb.cli import EXIT_CODES, EXIT_MEANINGS
from etdb.settings import rows
from etdb.web.problem import STATUS

ROOT = Path(__file__).resolve().parent.parent
SOURCES = sorted((ROOT / "src").rglob("*.py"))
PYTHON_FILES = [
    path
    for folder in ("src", "tests", "bench", "tools")
    for path in sorted((ROOT / folder).rglob("*.py"))
]
MAX_BODY_LINES = 40
MAX_FILE_LINES = 400
MAX_TEST_BYTES = 5_000_000
LOCK_FILES = r"(^|/)(package-lock\.json|go\.sum|requirements\.lock)$"


def error_classes() -> set[type[errors.EtdbError]]:
    found = {errors.EtdbError}
    for _ in range(4):
        found |= {child for parent in found for child in parent.__subclasses__()}
    return found


def tracked(*paths: str) -> list[str]:
    """The files that the repository has, or would have with all that is new."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", *paths],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout.splitlines()
    return [name for name in listed if (ROOT / name).is_file()]


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def body_lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    first = function.body[0]
    has_docstring = isinstance(first, ast.Expr) and isinstance(
        first.value, ast.Constant
    )
    body = function.body[1:] if has_docstring else function.body
    return (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0


def test_every_error_has_an_exit_code_and_a_status() -> None:
    assert set(EXIT_CODES) == error_classes()
    assert set(STATUS) == error_classes()


def test_every_exit_status_is_explained() -> None:
    assert set(EXIT_CODES.values()) <= set(EXIT_MEANINGS)


def test_there_are_at_most_fifteen_error_classes_with_their_own_codes() -> None:
    codes = [error.code for error in error_classes()]

    assert len(codes) <= 15
    assert len(codes) == len(set(codes))
    assert all(error.__name__.endswith("Error") for error in error_classes())


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_function_bodies_are_short(path: Path) -> None:
    long = [
        f"{function.name}: {body_lines(function)} lines"
        for function in functions(path)
        if body_lines(function) > MAX_BODY_LINES
    ]

    assert long == []


def test_files_are_short() -> None:
    sizes = {path: len(path.read_text("utf-8").splitlines()) for path in SOURCES}

    long = [
        f"{path.name}: {size}" for path, size in sizes.items() if size > MAX_FILE_LINES
    ]

    assert long == []


def test_nothing_mocks() -> None:
    users = [
        path.name
        for path in PYTHON_FILES
        if path != Path(__file__) and "unittest.mock" in path.read_text("utf-8")
    ]

    assert users == []


def test_each_lint_exception_says_why() -> None:
    bare = [
        f"{path.name}:{number}"
        for path in PYTHON_FILES
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1)
        if re.search(r"#\s*noqa(:\s*[A-Z0-9, ]+)?\s*$", line) and path != Path(__file__)
    ]

    assert bare == []


def test_coroutines_run_where_no_browser_has_left_a_loop() -> None:
    found = [
        path.name
        for path in PYTHON_FILES
        if re.search(r"asyncio\.(run|Runner)\b", path.read_text("utf-8"))
    ]

    assert found == ["loop.py"]


def test_tests_and_their_data_are_small() -> None:
    sizes = {
        name: (ROOT / name).stat().st_size
        for name in tracked("tests")
        if not re.search(LOCK_FILES, name)
    }

    assert len([name for name in sizes if name.startswith("tests/data/")]) >= 30
    assert sum(sizes.values()) <= MAX_TEST_BYTES


def test_the_root_folder_has_few_entries() -> None:
    assert len({name.split("/")[0] for name in tracked()}) <= 15


def test_every_setting_is_documented() -> None:
    text = (ROOT / "docs" / "settings.md").read_text("utf-8")

    for row in rows():
        assert f"`{row.key}`" in text
        assert f"`{row.variable}`" in text


def test_generated_tables_are_current() -> None:
    done = subprocess.run(
        [sys.executable, "tools/docs.py", "--check"],
        cwd=ROOT,
        check=False,
        capture_output=True,
        text=True,
    )

    assert done.returncode == 0, done.stdout + done.stderr


def test_every_room_has_a_paragraph_in_the_architecture() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text("utf-8")
    rooms = [path.name for path in (ROOT / "src" / "etdb").iterdir() if path.is_dir()]

    for room in rooms:
        if room != "__pycache__":
            assert f"`{room}/`" in text
