"""`import etdb`: records and files by the front door."""

from __future__ import annotations

import contextlib
import io
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import etdb
from etdb.client import transfer
from etdb.client.content import DatasetFile
from etdb.client.saving import FilePlace
from etdb.fetch import Limits
from etdb.progress import Silent
from etdb.testing.catalogue import MemoryCatalogue
from etdb.testing.catalogue import make_record as make_whole
from etdb.testing.gateway import FakeGateway, Fault
from etdb.testing.store import MemoryStore
from etdb.web.app import Site, create_app
from etdb.web.server import running

MIB = 1 << 20
Serve = Callable[..., contextlib.AbstractContextManager[etdb.Client]]


def whole_of(dataset: Any, **changes: Any) -> dict[str, Any]:
    return {**make_whole(1), **dataset.record, **changes}


@pytest.fixture
def serve(dataset: Any, limits: Limits) -> Serve:
    """A client of a gateway that knows one record, told in its own words."""

    @contextlib.contextmanager
    def serving(*faults: Fault, **changes: Any) -> Iterator[etdb.Client]:
        whole = whole_of(dataset, **changes)
        page = {"count": 1, "total": 1, "results": [whole], "next": None}
        path = f"/api/records/{dataset.record['id']}"
        answers = {path: whole, path[:20]: whole, "/api/records": page}
        with (
            FakeGateway(dataset.store, faults=faults, answers=answers) as gateway,
            etdb.Client(gateway.url, limits=limits) as client,
        ):
            yield client

    return serving


def test_the_front_door_has_these_names_and_imports_nothing_heavy() -> None:
    code = (
        "import sys, etdb;"
        "heavy = {'numpy', 'urllib3', 'pydantic', 'sqlalchemy', 'etdb.client'};"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules);"
        "assert all(hasattr(etdb, name) for name in etdb.__all__)"
    )

    subprocess.run([sys.executable, "-c", code], check=True)

    assert len(etdb.__all__) == 12
    with pytest.raises(AttributeError):
        _ = etdb.client_of_nobody


def test_a_record_says_what_its_signed_text_says(serve: Serve, dataset: Any) -> None:
    liar = {"title": "Unsigned", "details": {"species": "Unsigned"}}
    with serve(**liar) as client:
        record = client.get_record(dataset.record["id"][:7])

    assert record.id == dataset.record["id"]
    assert record.title == "Synthetic"
    assert record.details["species"] == "Vibrio cholerae"
    assert record.summary["title"] == "Unsigned"
    assert all(check.holds for check in record.checks)


def test_a_record_that_was_changed_is_not_given(serve: Serve, dataset: Any) -> None:
    text = dataset.record["text"].replace("cholerae", "fischeri")

    with serve(text=text) as client, pytest.raises(etdb.InvalidSignatureError):
        client.get_record(dataset.record["id"])


def test_a_found_record_is_verified_when_it_is_read(serve: Serve, dataset: Any) -> None:
    text = dataset.record["text"].replace("cholerae", "fischeri")

    with serve(text=text) as client:
        (record,) = client.search("vibrio")

        assert record.summary["text"] == text
        with pytest.raises(etdb.InvalidSignatureError):
            _ = record.title


def test_another_record_than_the_one_found_is_refused(
    serve: Serve, dataset: Any
) -> None:
    with serve() as client:
        (record,) = client.search()
        record.id = "ab" * 32

        with pytest.raises(etdb.EtdbError):
            _ = record.title


def test_search_goes_through_every_page(limits: Limits) -> None:
    records = [make_whole(number) for number in range(1, 221)]
    app = create_app(
        Site(MemoryCatalogue(records), MemoryStore(), "Test lab", "0", status=dict)
    )
    with running(app) as url, etdb.Client(url, limits=limits) as client:
        found = [record.id for record in client.search("", sort="newest")]

    assert found == [record["id"] for record in records]


def test_files_are_those_of_the_dataset(serve: Serve, dataset: Any) -> None:
    with serve() as client:
        files = client.get_record(dataset.record["id"]).files

    assert {file.name: file.size_bytes for file in files} == {
        name: len(data) for name, data in dataset.files.items()
    }
    assert {file.name: file.cid for file in files} == {
        name: str(dataset.cid(name)) for name in dataset.files
    }
    assert {file.role for file in files} == {"other"}


def test_a_file_is_downloaded_to_a_path_or_into_a_folder(
    serve: Serve, dataset: Any, tmp_path: Path
) -> None:
    with serve() as client:
        record = client.get_record(dataset.record["id"])
        for name in dataset.files:
            path = record.get_file(name).download(tmp_path)
            assert path.read_bytes() == dataset.files[name]
        other = record.get_file("raw/ts 1.st").download(tmp_path / "other.st")

    assert other.read_bytes() == dataset.files["raw/ts 1.st"]
    assert not list(tmp_path.glob(".etdb-*"))


def test_a_record_is_downloaded_into_a_folder(
    serve: Serve, dataset: Any, tmp_path: Path
) -> None:
    lost = str(dataset.cid("rec/vol.rec"))
    with serve(Fault("none", on="format=raw"), Fault("status", on=lost, at=404)) as one:
        record = one.get_record(dataset.record["id"])
        notes = record.download(tmp_path / "some", include=["*.txt"])
        results = record.download(tmp_path / "all")

    assert [file.name for file in notes] == ["notes.txt"]
    assert [path.name for path in (tmp_path / "some").glob("[!.]*")] == ["notes.txt"]
    states = {file.name: file.state for file in results}
    assert states.pop("rec/vol.rec") == "failed"
    assert set(states.values()) == {"done"}
    for name in states:
        assert (tmp_path / "all" / name).read_bytes() == dataset.files[name]


def test_a_download_is_stopped_and_gone_on_with_by_the_same_client(
    serve: Serve, dataset: Any, tmp_path: Path
) -> None:
    name = "raw/ts 1.st"

    class Impatient(Silent):
        def advance(self, amount: int) -> None:
            raise KeyboardInterrupt

    with serve() as client:
        file = client.get_record(dataset.record["id"]).get_file(name)
        with pytest.raises(KeyboardInterrupt):
            file.download(tmp_path, Impatient())
        path = file.download(tmp_path)

    assert path.read_bytes() == dataset.files[name]


def test_the_node_s_router_names_who_has_the_files(
    dataset: Any, limits: Limits, tmp_path: Path
) -> None:
    with FakeGateway(dataset.store) as rich:
        port = rich.url.rpartition(":")[2]
        addresses = [f"/ip4/127.0.0.1/tcp/{port}/http"]
        answers = {
            f"/api/records/{dataset.record['id']}": whole_of(dataset),
            f"/routing/v1/providers/{dataset.root}": {
                "Providers": [{"Schema": "peer", "Addrs": addresses}]
            },
        }
        with (
            FakeGateway(MemoryStore(), answers=answers) as node,
            etdb.Client(node.url, allow_private=True, limits=limits) as client,
        ):
            (notes,) = [
                one
                for one in client.get_record(dataset.record["id"]).files
                if one.name == "notes.txt"
            ]
            path = notes.download(tmp_path)
            with notes.open() as opened:
                assert opened.read() == dataset.files["notes.txt"]

    assert path.read_bytes() == dataset.files["notes.txt"]


def test_a_lie_never_reaches_the_path(
    serve: Serve, dataset: Any, tmp_path: Path
) -> None:
    name = "rec/vol.rec"
    (tmp_path / "vol.rec").write_bytes(b"before")
    lie = Fault("lie", on=str(dataset.cid(name)), at=2 * MIB + 5)

    with serve(lie) as client:
        file = client.get_record(dataset.record["id"]).get_file(name)
        with pytest.raises(etdb.ContentMismatchError, match="127"):
            file.download(tmp_path)
        assert (tmp_path / "vol.rec").read_bytes() == b"before"
        lie.times = 0
        file.download(tmp_path)

    assert (tmp_path / "vol.rec").read_bytes() == dataset.files[name]


def test_without_the_check_the_lie_would_stand_at_the_path(
    serve: Serve, dataset: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transfer, "verify_chunk", lambda chunk, data, where: None)
    name = "rec/vol.rec"
    lie = Fault("lie", on=str(dataset.cid(name)), at=2 * MIB + 5)

    with serve(Fault("none", on="format=raw"), lie) as client:
        file = client.get_record(dataset.record["id"]).get_file(name)
        path = file.download(tmp_path)

    assert path.read_bytes() != dataset.files[name]


def test_a_stopped_download_goes_on_where_it_was(
    dataset: Any, tmp_path: Path, limits: Limits
) -> None:
    name = "raw/ts 1.st"
    right = dataset.files[name]
    wanted = DatasetFile(name, dataset.cid(name), len(right))
    part = FilePlace(tmp_path / "ts 1.st", wanted).partial
    part.write_bytes(right[: 30 * MIB] + bytes(MIB) + right[31 * MIB : 33 * MIB])

    answers = {f"/api/records/{dataset.record['id']}": whole_of(dataset)}
    with (
        FakeGateway(dataset.store, answers=answers) as gateway,
        etdb.Client(gateway.url, limits=limits) as client,
    ):
        file = client.get_record(dataset.record["id"]).get_file(name)
        file.download(tmp_path)

    assert (tmp_path / "ts 1.st").read_bytes() == right
    asked = [line.rpartition(" bytes=")[2] for line in gateway.requests if "=" in line]
    assert sorted(one for one in asked if one[:1].isdigit()) == [
        f"{30 * MIB}-{31 * MIB - 1}",
        f"{33 * MIB}-{len(right) - 1}",
    ]


def test_another_gateway_helps_out(
    dataset: Any, limits: Limits, tmp_path: Path
) -> None:
    name = "rec/vol.rec"
    lie = Fault("lie", on=str(dataset.cid(name)), at=MIB)
    answers = {f"/api/records/{dataset.record['id']}": whole_of(dataset)}
    with (
        FakeGateway(dataset.store, faults=[lie], answers=answers) as liar,
        FakeGateway(dataset.store) as honest,
        etdb.Client(liar.url, gateways=[honest.url], limits=limits) as client,
    ):
        record = client.get_record(dataset.record["id"])
        path = record.get_file(name).download(tmp_path)

    assert path.read_bytes() == dataset.files[name]
    assert any(" bytes=" in line for line in honest.requests)


def test_numpy_reads_one_slice_of_a_remote_file(serve: Serve, dataset: Any) -> None:
    name, side = "raw/ts 1.st", 1024
    whole = np.frombuffer(dataset.files[name], "u1")[: 30 * side * side]
    volume = whole.reshape(30, side, side)

    with (
        serve() as client,
        client.get_record(dataset.record["id"]).get_file(name).open() as file,
    ):
        assert isinstance(file, io.BufferedReader)
        file.seek(17 * side * side)
        found = np.frombuffer(file.read(side * side), "u1").reshape(side, side)

    assert np.array_equal(found, volume[17])
