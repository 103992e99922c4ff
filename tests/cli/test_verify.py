"""`etdb verify`: what was fetched or is served, hashed again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from etdb.testing.gateway import Fault
from etdb.testing.world import FILES, World, on_disk


@pytest.mark.parametrize(
    ("words", "names"),
    [
        (["--type", "reconstruction"], {"rec/vol.rec"}),
        (["--type", "TiltSeries", "--role", "other"], {"raw/ts.st", "notes.txt"}),
        (["--exclude", "*.rec"], {"raw/ts.st", "notes.txt"}),
        (
            ["--include", "*.rec", "--include", "*.st", "--exclude", "raw/*"],
            {"rec/vol.rec"},
        ),
    ],
)
def test_some_files_are_fetched_and_verify_knows_which(
    etdb: Any, record: Any, serve: Any, tmp_path: Path, words: Any, names: Any
) -> None:
    node = serve()

    etdb.ok("get", record["id"], "--from", node.url, "-o", tmp_path / "got", *words)

    assert set(on_disk(tmp_path / "got")) == names
    etdb.ok("verify", tmp_path / "got")


def test_a_folder_that_was_changed_does_not_hold(
    etdb: Any, record: Any, serve: Any, tmp_path: Path
) -> None:
    etdb.ok("get", record["id"], "--from", serve().url, "-o", tmp_path / "got")
    whole = etdb.ok("verify", tmp_path / "got", "--json").json
    (tmp_path / "got" / "notes.txt").write_bytes(b"synthetic.\n")
    (tmp_path / "got" / "raw" / "ts.st").unlink()

    done = etdb.run("verify", tmp_path / "got")
    told = etdb.run("verify", tmp_path / "got", "--json").json

    assert whole["holds"]
    assert (done.status, "not everything holds" in done.errors) == (9, True)
    assert not told["holds"]
    states = {file["name"]: file["state"] for file in told["files"]}
    assert states["rec/vol.rec"] not in {states["notes.txt"], states["raw/ts.st"]}
    assert states["notes.txt"] != states["raw/ts.st"]


def test_a_node_is_asked_for_every_byte_of_a_record(
    etdb: Any, record: Any, serve: Any, world: World
) -> None:
    cid = world.store.add_bytes(FILES["raw/ts.st"]).cid
    honest, liar = serve(), serve(Fault("lie", on=f"{cid}", at=99))

    whole = etdb.ok("verify", record["id"], "--from", honest.url, "--json").json
    done = etdb.run("verify", record["id"], "--from", liar.url)

    assert whole["holds"]
    assert [file["name"] for file in whole["files"]] == sorted(FILES)
    assert done.status == 9
    assert "not everything holds" in done.errors
