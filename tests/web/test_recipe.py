"""What a record's page tells people to type gets the dataset."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from etdb.record.canonical import digest_of, parse_message_text
from etdb.record.oip042 import read_envelope
from etdb.store.inplace import InPlaceStore, Tree
from etdb.testing.catalogue import MemoryCatalogue, make_record
from etdb.testing.records import Author
from etdb.web import link

ServeSite = Callable[..., httpx.Client]


@pytest.fixture
def record(tree: Tree) -> dict[str, Any]:
    author = Author()
    storage = {"network": "ipfs", "location": str(tree.root), "files": []}
    text = author.publish(author.artifact(storage=storage))
    body = read_envelope(parse_message_text(text)).body
    file = make_record(1)["files"][0]
    return make_record(
        1,
        id=digest_of("publish", body),
        text=text,
        artifact=body,
        cid=str(tree.root),
        files=[{**file, "name": name} for name in tree.files],
    )


@pytest.fixture
def recipes(
    serve_site: ServeSite, store: InPlaceStore, record: dict[str, Any]
) -> dict[str, str]:
    site = serve_site(catalogue=MemoryCatalogue([record]), store=store)
    return {one.key: one.code for one in link.recipes(record, str(site.base_url))}


def test_the_curl_lines_fetch_every_plain_file_and_go_on_where_they_were(
    recipes: dict[str, str], lab_files: dict[str, Path], tmp_path: Path
) -> None:
    (tmp_path / "tomogram.mrc").write_bytes(
        lab_files["tomogram.mrc"].read_bytes()[:1_234_567]
    )

    for line in recipes["curl"].splitlines():
        subprocess.run(["sh", "-c", f"{line} -sS"], cwd=tmp_path, check=True)

    fetched = {path for path in tmp_path.rglob("*") if path.is_file()}
    plain = {name for name in lab_files if name.isprintable()}
    assert fetched == {tmp_path / name for name in plain}
    for name in plain:
        assert (tmp_path / name).read_bytes() == lab_files[name].read_bytes(), name


def test_the_python_lines_fetch_every_file(
    recipes: dict[str, str],
    record: dict[str, Any],
    lab_files: dict[str, Path],
    tmp_path: Path,
) -> None:
    program = tmp_path / "get.py"
    program.write_text(recipes["python"])

    subprocess.run([sys.executable, program], cwd=tmp_path, check=True)

    folder = tmp_path / record["id"][:12]
    for name, path in lab_files.items():
        assert (folder / name).read_bytes() == path.read_bytes(), name
