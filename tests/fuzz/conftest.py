"""Real and synthetic inputs, and a plain mutator with a seed and a budget.

Every run is the same run: what fails, fails again. `ETDB_FULL=1` gives ten
times the budget.
"""

from __future__ import annotations

import json
import os
import random
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from etdb.testing.records import Author

ROOT = Path(__file__).resolve().parents[2]
BUDGET = 10 if os.environ.get("ETDB_FULL") == "1" else 1

TOKENS = [
    b"json:", b"oip-mp(", b"):", b"{", b"}", b"[", b"]", b'"', b"\\", b"\\u0000",
    b"\\ud800", b"NaN", b"Infinity", b"-", b"1e999", b"9" * 40, b"null", b"true",
    b",", b":", b"\0", b"\xff", b"\xed\xa0\x80", "é".encode(), b"-0", b"1e-400",
    b'"a":1,"a":2', b"[" * 70, b"{}" * 3, b"0" * 64, b"\xfd", b"\xfe\xff\xff\xff",
    b"\xff" * 9, b"\x00\x01", bytes(4), b"\xab", b"\x4e\xff\xff\xff\x7f",
]  # fmt: skip


def mutate(data: bytes, others: Sequence[bytes], rng: random.Random) -> bytes:
    """One input, changed in one to four places."""
    out = bytearray(data)
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(out) + 1)
        end = min(len(out), at + rng.choice((1, 1, 2, 8, 64, 400)))
        match rng.randrange(7):
            case 0 if at < len(out):
                out[at] ^= 1 << rng.randrange(8)
            case 1:
                del out[at:end]
            case 2:
                out[at:at] = out[at:end] * rng.choice((1, 2, 30))
            case 3:
                out[at:at] = rng.choice(TOKENS)
            case 4:
                out[at:end] = rng.choice(TOKENS)
            case 5:
                other = rng.choice(others)
                start = rng.randrange(len(other) + 1)
                out[at:end] = other[start : start + rng.randrange(200)]
            case _:
                del out[at:]
    return bytes(out)


Mutants = Callable[[Sequence[bytes], int], Iterator[bytes]]


@pytest.fixture(scope="session")
def mutants() -> Mutants:
    """So many changed inputs, times the budget, always the same."""

    def make(corpus: Sequence[bytes], number: int) -> Iterator[bytes]:
        rng = random.Random(20260101)
        for _ in range(number * BUDGET):
            yield mutate(rng.choice(corpus), corpus, rng)

    return make


@pytest.fixture(scope="session")
def messages(vectors: Callable[[str], Any]) -> list[bytes]:
    """Every text of the vectors that a ledger may carry, and synthetic ones."""
    texts = [*_real_texts(vectors), *_synthetic_texts()]
    return [text.encode() for text in texts]


def _real_texts(vectors: Callable[[str], Any]) -> Iterator[str]:
    for name in ("01_oip042_research_tomogram.json", "03_oip042_edit.json"):
        for vector in vectors(name)["vectors"]:
            yield "json:" + json.dumps(vector["record"], separators=(",", ":"))
    for name in ("05_multipart_parts.json", "05b_multipart_invalid.json"):
        yield from (vector["floData"] for vector in vectors(name)["vectors"])
    for vector in vectors("06_multipart_sequences.json")["vectors"]:
        yield from (*vector["parts"], vector["assembled"])
    for vector in vectors("07_p64_signed_messages.json")["vectors"]:
        yield vector["floData"]
    own = json.loads((ROOT / "tests" / "vectors" / "protocol.json").read_text("utf-8"))
    yield from (case["text"] for case in own["judged"])
    yield from own["parts"]["texts"]


def _synthetic_texts() -> Iterator[str]:
    author = Author()
    root = author.publish(author.artifact({"heirs": [Author(2).address]}))
    yield from (root, author.publish_old(), author.register("lab"))
    yield from (author.edit(root, 2, strain="x"), author.deactivate(root))
    yield from author.part_texts(
        author.publish(author.artifact({"artNotes": "é" * 900}))
    )
