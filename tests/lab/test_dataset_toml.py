"""The example of docs/dataset.md is a dataset.toml with every key there is."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from etdb.lab.folder import missing_fields, read_dataset
from etdb.lab.mapping import FILE_KEYS, FILES, SETTABLE

Make = Callable[..., Path]
PAGE = Path(__file__).resolve().parents[2] / "docs" / "dataset.md"


@pytest.fixture
def example() -> str:
    found = re.search(r"^```toml\n(.*?)^```$", PAGE.read_text("utf-8"), re.M | re.S)
    assert found is not None
    return found[1]


def test_the_example_has_every_key(example: str) -> None:
    said = tomllib.loads(example)

    assert set(said) == {*SETTABLE, FILES}
    assert {key for about in said[FILES].values() for key in about} == set(FILE_KEYS)


def test_the_example_is_read_as_it_says(
    example: str, tmp_path: Path, make_mrc: Make
) -> None:
    said = tomllib.loads(example)
    for name in said[FILES]:
        make_mrc(tmp_path / name, (8, 8, 8), 8.4)
    (tmp_path / "dataset.toml").write_text(example, "utf-8")

    dataset = read_dataset(tmp_path)

    sections = {"info": dataset.info, "details": dataset.details}
    for key, spec in SETTABLE.items():
        section, name = spec.path
        assert name in sections[section], key
    roles = {file.name: file.facts["role"] for file in dataset.files}
    assert roles == {name: about["role"] for name, about in said[FILES].items()}
    assert missing_fields(dataset) == []
