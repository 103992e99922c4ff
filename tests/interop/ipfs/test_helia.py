"""Helia finds us by our router, fetches over HTTP, and verifies."""

from __future__ import annotations

import hashlib
import json
import subprocess
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from etdb.testing.gateway import FakeGateway, Fault
from etdb.testing.store import MemoryStore
from etdb.web.routing import provider


def fetch(helia: Path, router: str, paths: list[str]) -> dict[str, Any]:
    """What Helia says of each path."""
    done = subprocess.run(
        [
            "node",
            "--require=./node20.cjs",
            "fetch.mjs",
            json.dumps({"router": router, "paths": paths}),
        ],
        cwd=helia,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.mark.slow
def test_helia_fetches_a_dataset_and_verifies_it(helia: Path, published: Any) -> None:
    paths = {f"{published.cid}/{quote(name)}": name for name in published.files}

    with published.lab.serving() as url:
        found = fetch(helia, url, [*paths])

    for path, name in paths.items():
        data = published.files[name]
        digest = hashlib.sha256(data).hexdigest()
        assert found[path] == {"status": 200, "size": len(data), "sha256": digest}


@pytest.mark.slow
@pytest.mark.parametrize("is_lying", [False, True])
def test_helia_takes_no_other_bytes_for_those_it_asked_for(
    helia: Path, is_lying: bool
) -> None:
    store = MemoryStore()
    root = store.add_tree({"notes.txt": b"thick ice at the border"})
    routes = Fault("none", "/routing/", headers={"Content-Type": "application/json"})
    blocks = Fault("lie" if is_lying else "none", "format=raw")
    with FakeGateway(store, faults=[routes, blocks]) as gateway:
        address = f"/ip4/127.0.0.1/tcp/{gateway.url.rpartition(':')[2]}/http"
        peer = provider([address])
        gateway.answers[f"/routing/v1/providers/{root}"] = {"Providers": [peer]}
        found = fetch(helia, gateway.url, [f"{root}/notes.txt"])

    assert (found[f"{root}/notes.txt"]["status"] == 200) is not is_lying
