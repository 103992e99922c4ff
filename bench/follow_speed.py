"""Publishing and following a catalogue as large as the original one.

Records of real size: the words of the sample records, in four parts each. The
three legs (publish on an embedded chain, follow it into an empty index, search
that) run in a process of their own, whose memory is the peak of all three.
Publishing reads its own chain into its own index as it goes; that is in its
seconds. What a record costs where there are many is measured in turn with what
it costs where there are few, so that both see one load.
"""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import json
import multiprocessing
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from bench import Figure
from etdb.cli import collect_rarely
from etdb.identity import BlockHash, Txid
from etdb.index import queries
from etdb.index.db import Index
from etdb.index.follow import follow
from etdb.ledger.base import Block, Carried, LedgerInfo, Tip
from etdb.ledger.flo.local import EmbeddedChain
from etdb.record.message import Coverage, LedgerKind
from etdb.record.parts import encode_part, plan_chunks
from etdb.testing.publishing import open_publisher
from etdb.testing.records import DIRECTORY, SIGNED_AT, Author

RECORDS = 11_293
WHOLE_S = 90
MAX_MB = 500
MANY = 50_000
"""ETDB_BENCH_RECORDS sets another number."""
FEW = 1_000
MAX_GROWTH = 1.2
TEXT_BYTES = 2_500
QUERIES = ("", "bacterium", "vibrio -flagellum", '"outer membrane"', "chol*")

_STEP = 5
"""So many thousand records are followed, then a thousand into an empty index."""
_LAST = 3
_ROOT = Path(__file__).resolve().parent.parent
_WORDS = ("speciesName", "strain", "microscopist", "lab", "institution", "scopeName")
_MORE = ("camera", "swReconstruction", "samplePreparation", "gridPreparation")
_NUMBERS = ("tiltMin", "tiltMax", "tiltStep", "tiltAxis", "dosage", "quality")


def measure() -> list[Figure]:
    """The legs of the whole catalogue, its memory, and the cost of many records."""
    whole, many = _child("whole"), _child("many")
    total = sum(whole[leg] for leg in ("publish", "follow", "search"))
    return [
        *(
            Figure(
                what=f"{leg} {RECORDS:,} records",
                against="1 s",
                ratio=whole[leg],
                at_least=None,
                detail=f"{whole[leg]:.1f} s, {RECORDS / whole[leg]:,.0f} records/s",
            )
            for leg in ("publish", "follow")
        ),
        Figure(
            what=f"{WHOLE_S} s",
            against="publish, follow and search together",
            ratio=WHOLE_S / total,
            at_least=None,
            detail=f"{total:.1f} s, of which {whole['search']:.2f} s search "
            f"{len(QUERIES)} times",
        ),
        Figure(
            what=f"{MAX_MB} MB",
            against="peak memory of the three",
            ratio=MAX_MB / whole["peak_mb"],
            at_least=1,
            detail=f"{whole['peak_mb']:,.0f} MB",
        ),
        Figure(
            what=f"a record among {FEW:,}, followed",
            against=f"a record among {many['records']:,}",
            ratio=many["few_s"] / many["many_s"],
            at_least=1 / MAX_GROWTH,
            detail=f"{many['few_s'] / FEW * 1e3:.2f} against "
            f"{many['many_s'] / FEW * 1e3:.2f} ms; {many['bytes']:,.0f} bytes each",
        ),
        Figure(
            what=f"a record among {FEW:,}, followed",
            against=f"one of the last {_LAST * _STEP * FEW:,} of {many['records']:,}",
            ratio=many["few_s"] / many["last_s"],
            at_least=None,
            detail=f"{many['few_s'] / FEW * 1e3:.2f} against "
            f"{many['last_s'] / FEW * 1e3:.2f} ms",
        ),
    ]


def _child(what: str) -> dict[str, float]:
    command = [sys.executable, "-m", "bench.follow_speed", what]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    figures: dict[str, float] = json.loads(done.stdout)
    return figures


def _whole() -> dict[str, float]:
    collect_rarely()
    author = Author()
    artifacts = [_artifact(author, number) for number in range(RECORDS)]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for part in ("chain", "node"):
            (folder / part).mkdir()
        chain = EmbeddedChain.create(
            folder / "chain",
            publisher=author.key,
            wallet=Author(2).key,
            address=author.address,
        )
        with open_publisher(
            folder / "node", chain, author.key, address=author.address
        ) as publisher:
            publish_s = _seconds(lambda: publisher.publish_artifacts(artifacts))
            artifacts.clear()
        reader = EmbeddedChain.open(folder / "chain")
        with Index.create(folder / "empty.sqlite", [reader.info]) as index:
            follow_s = _seconds(lambda: follow(index, reader))
            search_s = _seconds(lambda: [queries.search(index, q) for q in QUERIES])
            assert queries.count(index)["records"] == RECORDS
    return {
        "publish": publish_s,
        "follow": follow_s,
        "search": search_s,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def _many() -> dict[str, float]:
    collect_rarely()
    records = int(os.environ.get("ETDB_BENCH_RECORDS", MANY))
    starts = range(0, records, FEW)
    few: list[float] = []
    many: list[float] = []
    with tempfile.TemporaryDirectory() as name, multiprocessing.Pool(1) as maker:
        folder = Path(name)
        ledger = _Growing()
        with Index.create(folder / "many.sqlite", [ledger.info]) as index:
            for number, carried in enumerate(maker.imap(_thousand, starts), 1):
                ledger.add(carried)
                if number == 1:
                    _into_empty(folder / "warm-up.sqlite", carried)
                if number % _STEP == 0:
                    few.append(_into_empty(folder / f"{number}.sqlite", carried))
                    many.append(_seconds(lambda: follow(index, ledger)) / _STEP)
            assert queries.count(index)["records"] == len(starts) * FEW
        size = (folder / "many.sqlite").stat().st_size
    return {
        "few_s": statistics.median(few),
        "many_s": statistics.median(many),
        "last_s": statistics.median(many[-_LAST:]),
        "records": len(starts) * FEW,
        "bytes": size / len(starts) / FEW,
    }


def _into_empty(path: Path, carried: Sequence[Carried]) -> float:
    """Seconds of following these alone."""
    ledger = _Growing()
    ledger.add(carried)
    with Index.create(path, [ledger.info]) as index:
        return _seconds(lambda: follow(index, ledger))


def _seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


class _Growing:
    """A ledger to which blocks are added; it keeps the last few alone."""

    def __init__(self) -> None:
        self.info = LedgerInfo("growing", LedgerKind.EMBEDDED)
        self._blocks: dict[int, Block] = {}
        self._height = -1

    def add(self, carried: Sequence[Carried]) -> None:
        """One block with these texts."""
        self._height += 1
        names = [BlockHash(f"{height + 1:064x}") for height in (self._height, -1)]
        if self._height:
            names[1] = self._blocks[self._height - 1].hash
        block = Block(
            self._height, names[0], names[1], SIGNED_AT + self._height, tuple(carried)
        )
        self._blocks[self._height] = block
        self._blocks.pop(self._height - _STEP - 1, None)

    def tip(self) -> Tip:
        """The block that was added last."""
        return Tip(self._height, self._blocks[self._height].hash)

    def block(self, height: int) -> Block:
        """A block of the last few."""
        return self._blocks[height]

    def find_hash(self, height: int) -> BlockHash | None:
        """Of a block of the last few."""
        kept = self._blocks.get(height)
        return None if kept is None else kept.hash

    def iter_blocks(self, first: int, last: int) -> Iterator[Block]:
        """Blocks of the last few."""
        return map(self.block, range(first, last + 1))

    def raw_transaction(self, height: int, position: int) -> bytes:
        """What the transaction carries."""
        return self.block(height).carried[position - 1].data


def _thousand(start: int) -> list[Carried]:
    """The parts of records from a number on, as transactions of one block."""
    author = Author()
    texts = (
        text
        for number in range(start, start + FEW)
        for text in _parts(author, author.publish(_artifact(author, number)))
    )
    return [
        Carried(_txid(text), position, text.encode(), Coverage.COVERED)
        for position, text in enumerate(texts, 1)
    ]


def _parts(author: Author, text: str) -> Iterator[str]:
    chunks = plan_chunks(text)
    reference = ""
    for index, data in enumerate(chunks):
        part = encode_part(
            index, len(chunks) - 1, author.address, reference, data, author.key
        )
        reference = reference or _txid(part)
        yield part


def _txid(text: str) -> Txid:
    return Txid(hashlib.sha256(text.encode()).hexdigest())


def _artifact(author: Author, number: int) -> dict[str, Any]:
    """A record of the usual size, with the words of one of the samples."""
    row = _rows()[number % len(_rows())]
    known = {name: row[name] for name in (*_WORDS, *_MORE, *_NUMBERS) if row.get(name)}
    artifact = author.artifact(
        {**known, "sid": f"{row['sid']} {number}"},
        timestamp=SIGNED_AT + number,
        info={"title": row["title"], "description": row["description"]},
        storage={"network": "ipfs", "location": DIRECTORY, "files": []},
    )
    files = artifact["storage"]["files"]
    size = len(json.dumps(artifact, ensure_ascii=False).encode())
    for each in range(max(0, TEXT_BYTES - size) // 100):
        name = f"rawdata/{number:06}-{each:02}.mrc"
        row_of_file = {"fname": name, "fsize": 10**9 + number, "type": "tomogram"}
        files.append({**row_of_file, "subtype": "tiltSeries"})
    return artifact


@cache
def _rows() -> list[dict[str, Any]]:
    shared = Path(os.environ.get("ETDB_SHARED", _ROOT.parent / "shared"))
    with gzip.open(shared / "data" / "etdb_like_records.jsonl.gz", "rt") as lines:
        return [json.loads(line) for line in lines]


if __name__ == "__main__":
    with contextlib.redirect_stdout(sys.stderr):
        found = _whole() if sys.argv[1] == "whole" else _many()
    print(json.dumps(found))
