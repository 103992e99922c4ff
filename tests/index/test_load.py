"""A catalogue as large as the original one, as synthetic statements.

12,757 records with ETDB_FULL=1, else a part of them.
"""

from __future__ import annotations

import gzip
import json
import os
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from etdb.index import queries
from etdb.index.db import Index
from etdb.index.follow import check, follow
from etdb.record.message import LedgerKind
from etdb.testing.ledger import MemoryLedger
from etdb.testing.records import DIRECTORY, SIGNED_AT, Author

ALL = 12_757
SOME = 1_500
A_BLOCK = 180
LIMIT_S = 0.020

QUERIES = [
    "",
    "bacterium",
    "vibrio -flagellum",
    '"outer membrane"',
    "chol*",
    "(the OR of) jensen",
    'species:"Vibrio cholerae" tilt_min<=-60 date:2008..2018 -software:raptor',
]


def artifact(author: Author, row: dict[str, Any], number: int) -> dict[str, Any]:
    taken = row.get("date")
    date = datetime.fromisoformat(taken).replace(tzinfo=UTC) if taken else None
    details = {
        "date": None if date is None else int(date.timestamp()),
        "NCBItaxID": row.get("NCBITaxID"),
        "voltage": row.get("voltageKV"),
        "pixelSize": row.get("pixelSpacingA"),
        "swAquisition": row.get("swAcquisition"),
        **{
            name: row.get(name)
            for name in (
                "speciesName", "strain", "sid", "microscopist", "authors", "lab",
                "institution", "scopeName", "camera", "tiltMin", "tiltMax", "tiltStep",
                "dosage", "swReconstruction", "samplePreparation", "gridPreparation",
            )
        },
    }  # fmt: skip
    files = [{"fname": f"rawdata/{row['sid']}.st", "fsize": 10**9 + number}]
    return author.artifact(
        {name: value for name, value in details.items() if value is not None},
        timestamp=SIGNED_AT + number,
        info={"title": row["title"], "description": row["description"]},
        storage={"network": "ipfs", "location": DIRECTORY, "files": files},
    )


@pytest.fixture(scope="module")
def count() -> int:
    return ALL if os.environ.get("ETDB_FULL") == "1" else SOME


@pytest.fixture(scope="module")
def catalogue(shared: Path, count: int) -> MemoryLedger:
    ledger = MemoryLedger("load", LedgerKind.EMBEDDED)
    author = Author()
    with gzip.open(shared / "data" / "etdb_like_records.jsonl.gz", "rt") as lines:
        rows = [json.loads(line) for line in islice(lines, count)]
    texts = [
        author.publish(artifact(author, row, number)) for number, row in enumerate(rows)
    ]
    for start in range(0, len(texts), A_BLOCK):
        ledger.mine(*texts[start : start + A_BLOCK])
    return ledger


@pytest.fixture(scope="module")
def index(
    catalogue: MemoryLedger, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Index]:
    path = tmp_path_factory.mktemp("load") / "index.sqlite"
    with Index.create(path, [catalogue.info]) as index:
        follow(index, catalogue)
        yield index


@pytest.mark.slow
def test_the_whole_catalogue_is_listed(index: Index, count: int) -> None:
    assert queries.count(index)["records"] == count


@pytest.mark.slow
@pytest.mark.parametrize("sort", list(queries.SORTS))
@pytest.mark.parametrize("query", QUERIES)
def test_a_query_takes_less_than_20_ms(index: Index, query: str, sort: str) -> None:
    took_s = []
    for _ in range(20):
        start = time.perf_counter()
        queries.search(index, query, sort=sort)
        took_s.append(time.perf_counter() - start)

    assert min(took_s) < LIMIT_S


@pytest.mark.slow
def test_the_words_of_a_record_find_it(index: Index) -> None:
    found = queries.search(index, limit=200).results
    for record in found[::20]:
        details = record["details"]
        query = f'species:"{details["species"]}" sid:"{details["sid"]}"'

        ids = [each["id"] for each in queries.search(index, query).results]

        assert record["id"] in ids


@pytest.mark.slow
def test_a_large_index_equals_a_new_one(index: Index, catalogue: MemoryLedger) -> None:
    assert check(index, [catalogue]) == []
