"""What the index orders in SQL is what the rules say."""

from __future__ import annotations

from itertools import combinations

import pytest

from etdb.index.statement import best_first
from etdb.record.rules import RecordClass, best_class

STORED = [one for one in RecordClass if one is not RecordClass.UNATTESTED]
"""Whether an old record is attested is decided of many, and stands with none."""


@pytest.mark.parametrize("classes", list(combinations(STORED, 2)))
def test_the_best_anchor_of_a_statement_gives_its_class(
    classes: tuple[RecordClass, RecordClass],
) -> None:
    first, *_ = best_first()

    assert first.name == "class"
    assert min(one.value for one in classes) == best_class(classes).value
