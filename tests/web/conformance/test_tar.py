"""The suite's path-tar group."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable

import httpx
import pytest

from etdb.testing.car import CarFile

Fixture = Callable[[str], CarFile]

PATH = "ą/ę/file-źł.txt"
TEXT = b"I am a txt file on path with utf8\n"


@pytest.mark.parametrize("is_by_format", [True, False])
def test_a_file(public: httpx.Client, fixture: Fixture, is_by_format: bool) -> None:
    raw = public.get(f"/ipfs/{fixture('tar').roots[0]}/{PATH}?format=raw")
    cid = raw.headers["x-ipfs-roots"].rpartition(",")[2]

    answer = _ask(public, cid, is_by_format)

    assert _files(answer) == {cid: TEXT}
    assert answer.headers["etag"].startswith(f'W/"{cid}.x-tar')
    assert answer.headers["content-type"] == "application/x-tar"
    assert answer.headers["content-disposition"].startswith("attachment;")
    assert answer.headers["accept-ranges"] == "none"
    known = {"If-None-Match": answer.headers["etag"]}
    assert public.get(f"/ipfs/{cid}?format=tar", headers=known).status_code == 304


def test_a_directory_is_below_its_cid(public: httpx.Client, fixture: Fixture) -> None:
    root = fixture("tar").roots[0]

    files = _files(_ask(public, str(root), is_by_format=True))

    assert files[f"{root}/{PATH}"] == TEXT


def test_under_another_name(public: httpx.Client, fixture: Fixture) -> None:
    asked = {"filename": "testтест.tar", "format": "tar"}
    answer = public.get(f"/ipfs/{fixture('tar').roots[0]}", params=asked)

    exact = "UTF-8''test%D1%82%D0%B5%D1%81%D1%82.tar"
    named = f'attachment; filename="test____.tar"; filename*={exact}'
    assert answer.headers["content-disposition"] == named


def test_names_with_steps_up(public: httpx.Client, fixture: Fixture) -> None:
    inside, outside = fixture("inside-root").roots[0], fixture("outside-root").roots[0]

    assert f"{inside}/foobar/file" in _files(_ask(public, str(inside), True))
    refusal = public.get(f"/ipfs/{outside}?format=tar")
    assert refusal.status_code == 422
    # So the suite has it, misspelt.
    assert "relative UnixFS paths outside the root are now allowed" in refusal.text


def _ask(public: httpx.Client, cid: str, is_by_format: bool) -> httpx.Response:
    if is_by_format:
        return public.get(f"/ipfs/{cid}?format=tar")
    return public.get(f"/ipfs/{cid}", headers={"Accept": "application/x-tar"})


def _files(answer: httpx.Response) -> dict[str, bytes]:
    assert answer.status_code == 200
    with tarfile.open(fileobj=io.BytesIO(answer.content)) as archive:
        members = {one.name: archive.extractfile(one) for one in archive.getmembers()}
        return {name: file.read() for name, file in members.items() if file}
