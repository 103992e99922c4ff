"""Several processes on one node: what works beside what, and what is refused."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import time
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from etdb import durable

FACTS = ("--species", "Vibrio cholerae", "--date", "2020-01-01")


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    folder = tmp_path / "vc1"
    folder.mkdir()
    (folder / "notes.txt").write_text("outer membrane vesicles")
    (folder / "data.bin").write_bytes(os.urandom(3_000_000))
    return folder


def delete_records(node: Path) -> None:
    connection = sqlite3.connect(node / "index.sqlite")
    with connection:
        connection.execute("DELETE FROM records")
    connection.close()


def test_publish_search_and_get_work_beside_serve(
    lab: Any, dataset: Path, tmp_path: Path
) -> None:
    with lab.serving() as url:
        published = lab.ok("publish", dataset, "--yes", "--json", *FACTS).json
        found = lab.ok("search", "vibrio", "--json").json
        lab.ok("get", published["id"], "-o", tmp_path / "own")
        lab.ok("get", published["id"], "--from", url, "-o", tmp_path / "served")
        shown = lab.ok("show", published["id"][:6], "--from", url, "--json").json

    assert [record["id"] for record in found["results"]] == [published["id"]]
    assert shown["cid"] == published["cid"]
    for name in ("own", "served"):
        copy = tmp_path / name / "data.bin"
        assert copy.read_bytes() == (dataset / "data.bin").read_bytes()


def test_serve_shows_what_another_process_publishes(lab: Any, dataset: Path) -> None:
    with lab.serving() as url:
        published = lab.ok("publish", dataset, "--yes", "--json", *FACTS).json
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            with urllib.request.urlopen(f"{url}/api/records") as answer:
                results = json.loads(answer.read())["results"]
            if results:
                break

    assert [record["id"] for record in results] == [published["id"]]


def test_a_second_serve_is_refused_and_names_the_first(lab: Any) -> None:
    with lab.serving():
        second = lab.run("serve", "--port", "0")

    assert second.status == 6
    assert "etdb serve (process" in second.errors


def test_a_second_publish_is_refused_and_names_the_first(
    lab: Any, dataset: Path
) -> None:
    with durable.lock(lab.node / "locks" / "publish.lock", "etdb publish"):
        second = lab.run("publish", dataset, "--yes", *FACTS)

    assert second.status == 6
    assert f"etdb publish (process {os.getpid()})" in second.errors
    assert lab.ok("search", "--json").json["total"] == 0


def test_a_port_in_use_is_named(lab: Any, tmp_path: Path) -> None:
    with lab.serving() as url:
        other = tmp_path / "other"
        shutil.copytree(lab.node, other)
        port = url.rpartition(":")[2]
        done = lab.run("serve", "--node", other, "--port", port)

    assert done.status == 6
    assert port in done.errors


def test_an_index_of_another_ledger_is_refused(lab: Any, tmp_path: Path) -> None:
    other = tmp_path / "other"
    lab.ok("init", other, "--test")
    for name in ("index.sqlite", "index.sqlite-wal", "index.sqlite-shm"):
        (lab.node / name).unlink(missing_ok=True)
    shutil.copyfile(other / "index.sqlite", lab.node / "index.sqlite")

    done = lab.run("search", "anything")

    assert done.status == 6
    assert "another network" in done.errors


def test_a_key_that_is_not_the_chains_is_refused(
    lab: Any, dataset: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    lab.ok("init", other, "--test")
    shutil.copytree(other / "keys", lab.node / "keys", dirs_exist_ok=True)

    done = lab.run("publish", dataset, "--yes", *FACTS)

    assert done.status == 6
    assert lab.ok("search", "--json").json["total"] == 0


def test_a_key_that_others_may_read_is_refused(lab: Any, dataset: Path) -> None:
    (lab.node / "keys" / "publisher.key").chmod(0o644)

    done = lab.run("publish", dataset, "--yes", *FACTS)

    assert done.status == 7
    assert "publisher.key" in done.errors


def test_the_kept_index_equals_a_rebuilt_one(lab: Any, dataset: Path) -> None:
    lab.ok("publish", dataset, "--yes", *FACTS)

    assert lab.ok("index", "check", "--json").json["differences"] == []
    lab.ok("index", "rebuild")
    assert lab.ok("index", "check", "--json").json["differences"] == []
    assert lab.ok("search", "--json").json["total"] == 1


def test_a_changed_index_is_found_and_mended(lab: Any, dataset: Path) -> None:
    lab.ok("publish", dataset, "--yes", *FACTS)
    delete_records(lab.node)

    found = lab.run("index", "check")

    assert found.status == 8
    assert "etdb index rebuild" in found.errors
    lab.ok("index", "rebuild")
    lab.ok("index", "check")
    assert lab.ok("search", "--json").json["total"] == 1


def test_a_chain_that_lost_published_blocks_is_not_gone_on_with(
    lab: Any, dataset: Path
) -> None:
    lab.ok("publish", dataset, "--yes", *FACTS)
    (path,) = (lab.node / "chain").glob("*.log")
    whole = path.read_bytes()
    path.write_bytes(whole[:-1000])
    (dataset / "dataset.toml").write_text('sid = "another"')

    done = lab.run("publish", dataset, "--yes", *FACTS)

    assert done.status == 8
    assert "was read from it before" in done.errors
    assert path.read_bytes() == whole[:-1000]
    assert lab.run("index", "rebuild").status == 8
    path.write_bytes(whole)
    assert lab.ok("search", "--json").json["total"] == 1


def test_what_is_cut_from_the_chain_is_kept_aside(lab: Any, dataset: Path) -> None:
    (path,) = (lab.node / "chain").glob("*.log")
    with path.open("ab") as file:
        file.write(b"\x00\x01half a group")

    done = lab.ok("publish", dataset, "--yes", *FACTS)

    (aside,) = (lab.node / "chain").glob("*.torn-*")
    assert "a crash had left" in done.errors
    assert aside.read_bytes() == b"\x00\x01half a group"


def test_get_replaces_nobodys_own_file(lab: Any, dataset: Path, tmp_path: Path) -> None:
    published = lab.ok("publish", dataset, "--yes", "--json", *FACTS).json
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "notes.txt").write_text("precious")

    for _ in range(2):
        done = lab.run("get", published["id"], "-o", mine)
        assert done.status == 6
        assert "notes.txt" in done.errors
    assert (mine / "notes.txt").read_text() == "precious"
