"""A real tomogram with its tilt series and an mdoc: published, looked at, got back."""

from __future__ import annotations

import filecmp
import io
import json
import shutil
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

FILES = {
    "mrc/czdocs_wbp_int8.rec": "reconstruction/wbp.rec",
    "mrc/czdocs_aligned_tilt_series.st": "tilt series/aligned.st",
    "mdoc/mdocfile_tilt_series.mdoc": "tilt series/aligned.st.mdoc",
}


@pytest.fixture
def dataset(shared: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "cz-docs-1"
    for origin, name in FILES.items():
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(shared / "data" / origin, target)
    return folder


def fetch(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=30) as response:
        return bytes(response.read())


@pytest.mark.slow
def test_a_real_dataset_is_published_browsed_fetched_and_verified(
    lab: Any, dataset: Path, tmp_path: Path
) -> None:
    published = lab.ok(
        *("publish", dataset, "--yes", "--json"),
        *("--species", "Homo sapiens", "--date", "2023-06-06"),
        *("--microscopist", "unknown", "--notes", "From the portal's documentation"),
    ).json
    target = tmp_path / "elsewhere"

    with lab.serving() as url:
        page = fetch(f"{url}/records/{published['id']}").decode()
        record = json.loads(fetch(f"{url}/api/records/{published['id'][:8]}"))
        listed = json.loads(fetch(f"{url}/api/records?q=species:%22Homo+sapiens%22"))
        picture = fetch(f"{url}/ipfs/{record['cid']}/{record['key_image']['large']}")
        lab.ok("get", f"{url}/records/{published['id']}", "-o", target)
        remote = lab.ok("verify", published["id"], "--from", url)

    assert published["parts"] > 1
    assert {file["name"] for file in record["files"]} >= set(FILES.values())
    assert [entry["id"] for entry in listed["results"]] == [published["id"]]
    assert "Homo sapiens" in page
    assert published["cid"] in page
    assert Image.open(io.BytesIO(picture)).size == (512, 512)
    for name in FILES.values():
        assert filecmp.cmp(dataset / name, target / name, shallow=False)
    assert "holds" in remote.output
    lab.ok("verify", target)


@pytest.mark.slow
def test_the_same_folder_again_publishes_nothing(lab: Any, dataset: Path) -> None:
    words = ("publish", dataset, "--yes", "--species", "X", "--date", "2023-06-06")
    first = lab.ok(*words, "--json").json
    height = lab.ok("status", "--json").json["ledgers"][0]["height"]

    again = lab.ok(*words)

    assert f"already published as {first['id'][:12]}" in again.output
    assert lab.ok("status", "--json").json["ledgers"][0]["height"] == height


@pytest.mark.slow
def test_a_changed_folder_is_told_what_changed_and_is_published_as_an_edit(
    lab: Any, dataset: Path
) -> None:
    words = ("publish", dataset, "--yes", "--species", "X", "--date", "2023-06-06")
    lab.ok(*words)
    (dataset / "extra.txt").write_text("more")

    changed = lab.ok(*words, "--strain", "K12")

    assert "extra.txt" in changed.output
    assert "Strain" in changed.output
    (record,) = lab.ok("search", "--json").json["results"]
    shown = lab.ok("show", record["id"], "--json").json
    assert [version["number"] for version in shown["versions"]] == [1, 2]
    assert "extra.txt" in [file["name"] for file in shown["files"]]
