"""`etdb cat`: the bytes of a file, or a part of them, and nothing else."""

from __future__ import annotations

import subprocess
from typing import Any

import pytest

from etdb.testing.gateway import Fault
from etdb.testing.world import FILES, World


@pytest.mark.parametrize(
    ("span", "start", "stop"),
    [
        (None, 0, None),
        ("0-9", 0, 10),
        ("1048570-1048585", 1048570, 1048586),
        ("5119990-", 5119990, None),
        ("-7", -7, None),
        ("5119999-9999999", 5119999, None),
    ],
)
def test_cat_prints_the_bytes_that_were_asked_for(
    etdb: Any, record: Any, serve: Any, span: Any, start: int, stop: Any
) -> None:
    words = etdb.command("cat", f"{record['id']}/rec/vol.rec", "--from", serve().url)
    words += [] if span is None else [f"--range={span}"]

    printed = _output_of(etdb, words)

    assert printed == FILES["rec/vol.rec"][start:stop]


def _output_of(etdb: Any, words: list[str]) -> bytes:
    return subprocess.run(
        words, check=True, capture_output=True, env=etdb.environ, timeout=60
    ).stdout


@pytest.mark.parametrize("api", ["", "/api"])
def test_cat_takes_a_file_of_a_record_s_page(
    etdb: Any, world: World, serve: Any, api: str
) -> None:
    record = world.add(1, {"a b/records/c.txt": b"Synthetic.\n"})
    url = f"{serve().url}{api}/records/{record['id']}/a%20b/records/c.txt"

    assert etdb.ok("cat", url).output == "Synthetic.\n"
    assert etdb.ok("cat", f"{url}?x#y").output == "Synthetic.\n"


@pytest.mark.parametrize("path", ["", "/records", "/records/", "/records/3f2a9c41/"])
def test_cat_says_how_a_url_must_be_that_names_no_file(
    etdb: Any, serve: Any, path: str
) -> None:
    done = etdb.run("cat", serve().url + path)

    assert done.status == 3
    assert "http://NODE/records/ID/PATH" in done.errors


@pytest.mark.parametrize("span", ["9-3", "x", "-", "99999999-", "-0"])
def test_cat_refuses_a_range_that_is_none(
    etdb: Any, record: Any, serve: Any, span: str
) -> None:
    word = f"{record['id']}/rec/vol.rec"

    assert etdb.run("cat", word, "--from", serve().url, f"--range={span}").status == 3


def test_cat_prints_nothing_that_is_wrong(
    etdb: Any, record: Any, serve: Any, world: World
) -> None:
    node = serve(Fault("lie", on="format=raw", at=30))

    done = etdb.run("cat", f"{record['id']}/notes.txt", "--from", node.url)

    assert (done.status, done.output) == (3, "")
    assert etdb.run("cat", f"{record['id']}/none", "--from", serve().url).status == 4
