"""`etdb pin --kubo`: a real Kubo that knows of nobody is made to hold a dataset."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from etdb.identity import CID
from etdb.store.kubo import KuboStore
from etdb.testing.kubo import Kubo

FILESTORE = {"Experimental": {"FilestoreEnabled": True}}


def pin(published: Any, kubo: Kubo) -> dict[str, Any]:
    words = ("pin", published.id, "--kubo", kubo.api_url, "--json")
    said: dict[str, Any] = published.lab.ok(*words).json
    return {key: said[key] for key in ("referred", "copied", "present")}


def state_of(kubo: Kubo, published: Any) -> str:
    """What `etdb whereis` says of it."""
    words = ("whereis", published.id, "--kubo", kubo.api_url, "--json")
    last = published.lab.ok(*words).json["holders"][-1]
    assert last["name"] == kubo.api_url
    return str(last["state"])


def verify_holds(kubo: Kubo, published: Any, folder: Path) -> None:
    """It gives every file, right, and has promised to keep them."""
    kubo.run("get", "--offline", "--progress=false", "-o", folder, published.cid)
    for name, data in published.files.items():
        assert (folder / name).read_bytes() == data
    with KuboStore(kubo.api_url) as store:
        assert store.is_pinned(CID.parse(published.cid))


@pytest.mark.slow
def test_kubo_holds_a_copy_and_is_not_given_it_twice(
    kubo_program: Path, published: Any, tmp_path: Path
) -> None:
    kubo = Kubo.create(kubo_program, tmp_path / "repo")
    with kubo.running():
        with KuboStore(kubo.api_url) as store:
            assert not store.is_pinned(CID.parse(published.cid))
        before = state_of(kubo, published)
        first = pin(published, kubo)
        again = pin(published, kubo)
        after = state_of(kubo, published)
        verify_holds(kubo, published, tmp_path / "got")

    assert (before, after) == ("lacks", "has")
    assert first["referred"] == 0
    assert first["copied"] >= len(published.files)
    assert again == {"referred": 0, "copied": 0, "present": first["copied"]}


@pytest.mark.slow
def test_kubo_refers_to_files_that_lie_beside_it(
    kubo_program: Path, published: Any, tmp_path: Path
) -> None:
    kubo = Kubo.create(kubo_program, tmp_path / "repo", settings=FILESTORE)
    with kubo.running():
        held = pin(published, kubo)
        verify_holds(kubo, published, tmp_path / "got")
        listed = kubo.run("filestore", "ls")

    assert held["referred"] >= len(published.files) - 1
    assert "raw data.bin" in listed


@pytest.mark.slow
def test_kubo_gets_copies_of_files_that_lie_elsewhere(
    kubo_program: Path, published: Any, tmp_path: Path
) -> None:
    repo = tmp_path / "far" / "repo"
    kubo = Kubo.create(kubo_program, repo, settings=FILESTORE)
    with kubo.running():
        held = pin(published, kubo)
        verify_holds(kubo, published, tmp_path / "got")

    # Of an empty file there is nothing to refer to.
    assert held["referred"] == list(published.files.values()).count(b"")
    assert held["copied"] >= len(published.files) - held["referred"]


def test_nobody_there_is_said(published: Any) -> None:
    done = published.lab.run("pin", published.id, "--kubo", "http://127.0.0.1:9")

    assert done.status == 5
    assert "Kubo at http://127.0.0.1:9 does not answer" in done.errors


def test_a_server_that_is_no_kubo_is_refused(published: Any) -> None:
    with published.lab.serving() as url:
        done = published.lab.run("pin", published.id, "--kubo", url)

    assert done.status == 3
    assert "does not answer like Kubo" in done.errors
