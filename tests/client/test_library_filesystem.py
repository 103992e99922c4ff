"""`etdb://ID/path` through fsspec."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from etdb.errors import ContentMismatchError
from etdb.testing.catalogue import make_record as make_whole
from etdb.testing.gateway import FakeGateway, Fault

fsspec = pytest.importorskip("fsspec")


@pytest.fixture
def gateway(dataset: Any) -> Iterator[FakeGateway]:
    whole = {**make_whole(1), **dataset.record}
    answers = {f"/api/records/{whole['id']}": whole}
    with FakeGateway(dataset.store, answers=answers) as gateway:
        yield gateway


@pytest.fixture
def system(gateway: FakeGateway) -> Any:
    home = "etdb.client.filesystem.EtdbFileSystem"
    fsspec.register_implementation("etdb", home, clobber=True)
    return fsspec.filesystem("etdb", node=gateway.url, skip_instance_cache=True)


def test_folders_and_files_are_listed(system: Any, dataset: Any) -> None:
    top = dataset.record["id"]

    assert system.ls(f"etdb://{top}", detail=False) == [
        f"{top}/{name}" for name in ("empty.dat", "notes.txt", "raw", "rec")
    ]
    assert system.find(top) == sorted(f"{top}/{name}" for name in dataset.files)
    assert system.ls(f"{top}/notes.txt")[0]["size"] == 11
    assert system.info(f"{top}/raw")["type"] == "directory"
    assert system.info(f"{top}/rec/vol.rec")["cid"] == str(dataset.cid("rec/vol.rec"))
    assert system.exists(f"{top}/raw/ts 1.st")
    assert system.isdir(top)


def test_bytes_are_read_by_ranges(
    system: Any, dataset: Any, gateway: FakeGateway
) -> None:
    path = f"{dataset.record['id']}/raw/ts 1.st"
    data = dataset.files["raw/ts 1.st"]

    assert system.cat_file(path, 9_000_000, 9_000_100) == data[9_000_000:9_000_100]
    assert system.cat_file(path, start=-5) == data[-5:]
    assert system.cat_file(path, 10, 5) == b""
    assert sum(" bytes=" in line for line in gateway.requests) == 2
    with system.open(path) as file:
        file.seek(77)
        assert file.read(9) == data[77:86]


def test_a_url_is_enough(dataset: Any, gateway: FakeGateway, system: Any) -> None:
    url = f"etdb://{dataset.record['id']}/notes.txt"

    with fsspec.open(url, "rt", node=gateway.url) as file:
        assert file.read() == "Synthetic.\n"


@pytest.mark.parametrize("path", ["", "ab" * 32, "{}/none", "{}/raw/none", "{}/ra"])
def test_what_is_not_there_is_file_not_found(
    system: Any, dataset: Any, path: str
) -> None:
    full = path.format(dataset.record["id"])

    for ask in (system.ls, system.info, system.cat_file):
        with pytest.raises(FileNotFoundError):
            ask(full)


def test_nothing_can_be_written(system: Any, dataset: Any) -> None:
    with pytest.raises(OSError, match="cannot be written"):
        system.open(f"{dataset.record['id']}/new", "wb")


def test_a_lie_is_an_error(system: Any, dataset: Any, gateway: FakeGateway) -> None:
    name = "rec/vol.rec"
    lie = Fault("lie", on=str(dataset.cid(name)), at=3)
    gateway.faults += [Fault("none", on="format=raw"), lie]

    with pytest.raises(ContentMismatchError):
        system.cat_file(f"{dataset.record['id']}/{name}", 0, 10)
