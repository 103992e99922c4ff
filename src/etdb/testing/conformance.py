"""The gateway over CAR files, for the public conformance suite and its fixtures.

    python -m etdb.testing.conformance FOLDER --port 8080

serves what lies in every CAR below a folder, or in single files, from memory
and on loopback until Ctrl-C: the gateway of `etdb serve` itself, without a
node behind it.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from etdb.errors import EtdbError
from etdb.store.verified import Verified
from etdb.testing.car import read_store
from etdb.testing.catalogue import MemoryCatalogue
from etdb.web.app import create_app
from etdb.web.server import serve
from etdb.web.site import Site


def main(words: Sequence[str] | None = None) -> int:
    """Read the CARs, say where they are served, serve."""
    asked = argparse.ArgumentParser(
        prog="python -m etdb.testing.conformance",
        description="Serve CAR files by the gateway, from memory and on loopback.",
    )
    asked.add_argument("paths", type=Path, nargs="+", metavar="PATH")
    asked.add_argument("--port", type=int, default=8080, help="0 takes a free one")
    given = asked.parse_args(words)
    try:
        store = read_store(_iter_cars(given.paths))
        site = Site(MemoryCatalogue(), Verified(store), "Fixtures", "0", dict)
        serve(create_app(site), "127.0.0.1", given.port, _say)
    except (EtdbError, OSError) as exc:
        sys.stderr.write(f"{exc}\n")
        return 1
    return 0


def _iter_cars(paths: Sequence[Path]) -> Iterator[Path]:
    for path in paths:
        yield from sorted(path.rglob("*.car")) if path.is_dir() else [path]


def _say(url: str) -> None:
    sys.stdout.write(f"{url}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
