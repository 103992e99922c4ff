"""Every clause of docs/protocol.md is a function, and a test breaks it."""

from __future__ import annotations

import ast
import re
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SECTION = (
    (ROOT / "docs" / "protocol.md")
    .read_text("utf-8")
    .partition("### 4.4")[2]
    .partition("### 4.5")[0]
)
ROWS = re.findall(
    r"^\| ([BR][^|]*) \| `([\w.]+)` \| `([\w/.]+)::(\w+)` \|$", SECTION, re.MULTILINE
)
CLAUSES = {f"B{number}" for number in range(1, 9)} | {
    f"R{number}" for number in range(1, 8)
}


def numbers(clause: str) -> set[str]:
    return set(re.findall(r"\b[BR][1-8]\b", clause))


def test_every_clause_is_in_the_table() -> None:
    listed = set().union(*(numbers(clause) for clause, *_ in ROWS))

    assert listed == CLAUSES
    assert len(ROWS) == SECTION.count("\n| ") - 1


@pytest.mark.parametrize(("clause", "function", "file", "test"), ROWS)
def test_a_clause_is_a_function_that_says_its_number_and_has_a_test(
    clause: str, function: str, file: str, test: str
) -> None:
    module, _, name = function.partition(".")

    found = getattr(import_module(f"etdb.record.{module}"), name)

    assert numbers(clause) <= numbers(found.__doc__)
    tree = ast.parse((ROOT / file).read_text("utf-8"))
    tests = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    assert test in tests


def test_no_clause_of_one_message_is_left_out_of_the_table() -> None:
    source = (ROOT / "src" / "etdb" / "record" / "clause.py").read_text("utf-8")
    helpers = {"clause", "details_of"}
    functions = {
        f"clause.{node.name}"
        for node in ast.parse(source).body
        if isinstance(node, ast.FunctionDef) and node.name not in helpers
    }

    assert functions == {name for _, name, *_ in ROWS if name.startswith("clause.")}
