"""Two synthetic publishers, and an ear."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from etdb.identity import Txid
from etdb.record.message import LedgerKind, Place
from etdb.record.parts import Part
from etdb.record.rules import Rejection, Statement, judge
from etdb.testing.records import Author


@pytest.fixture(scope="session")
def author() -> Author:
    return Author(1)


@pytest.fixture(scope="session")
def stranger() -> Author:
    return Author(2)


@pytest.fixture(scope="session")
def hear() -> Callable[..., Any]:
    """Judge a text as one that stands on some ledger."""

    def judged(
        text: str,
        kind: LedgerKind = LedgerKind.EMBEDDED,
        *,
        height: int = 7,
        parts: Sequence[Part] = (),
    ) -> Statement | Rejection | None:
        place = Place("ledger", height, 1, Txid("ef" * 32), 1_700_000_100)
        return judge(text, place=place, ledger_kind=kind, parts=parts)

    return judged


@pytest.fixture
def without(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Take one check out, for the twin that shows what it is there for."""

    def take_out(check: str) -> None:
        monkeypatch.setattr(check, lambda *_: None)

    return take_out
