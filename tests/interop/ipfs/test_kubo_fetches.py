"""A real Kubo without peers fetches from us; our downloader fetches from it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from etdb.client.catalogue import NodeCatalogue
from etdb.client.download import download, plan
from etdb.client.sources import HttpSource
from etdb.testing.certificate import make_certificate
from etdb.testing.kubo import Kubo


@pytest.mark.slow
def test_kubo_gets_and_pins_a_dataset_and_gives_it_to_our_downloader(
    kubo_program: Path, published: Any, tmp_path: Path
) -> None:
    with published.lab.serving() as url:
        routing = {"Routing": {"Type": "delegated", "DelegatedRouters": [url]}}
        kubo = Kubo.create(kubo_program, tmp_path / "repo", settings=routing)
        record = NodeCatalogue(url).get_record(published.id)
        with kubo.running():
            kubo.run("get", "--progress=false", "-o", tmp_path / "got", record["cid"])
            kubo.run("pin", "add", record["cid"])

    pinned = kubo.run("pin", "ls", "--type=recursive", "--quiet")
    assert record["cid"] in pinned.split()
    for name, data in published.files.items():
        assert (tmp_path / "got" / name).read_bytes() == data

    folder = tmp_path / "back"
    with kubo.running(), HttpSource(kubo.gateway_url) as source:
        results = download(plan(record, [source], folder), [source]).files
    assert {result.state for result in results} == {"done"}
    for name, data in published.files.items():
        assert (folder / name).read_bytes() == data


@pytest.mark.slow
def test_kubo_fetches_over_https_by_http2(
    kubo_program: Path,
    published: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    certificate, key = make_certificate(tmp_path / "tls")
    published.lab.environ |= {
        "ETDB_SERVE_CERTIFICATE": str(certificate),
        "ETDB_SERVE_KEY_FILE": str(key),
    }
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with published.lab.serving() as url:
        assert url.startswith("https://")
        routing = {"Routing": {"Type": "delegated", "DelegatedRouters": [url]}}
        kubo = Kubo.create(kubo_program, tmp_path / "repo", settings=routing)
        with kubo.running():
            kubo.run("pin", "add", published.cid)
            kubo.run("get", "--progress=false", "-o", tmp_path / "got", published.cid)

    for name, data in published.files.items():
        assert (tmp_path / "got" / name).read_bytes() == data
