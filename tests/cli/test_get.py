"""`etdb get`, `cat` and `whereis` as they are typed, against loopback."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from etdb.identity import CID
from etdb.record.canonical import digest_of, parse_message_text
from etdb.record.oip042 import read_envelope
from etdb.testing.catalogue import make_record
from etdb.testing.gateway import FakeGateway, Fault
from etdb.testing.records import Author
from etdb.testing.store import MemoryStore

FILES = {
    "rec/vol.rec": bytes(range(256)) * 20_000,
    "raw/ts.st": bytes(range(255, -1, -1)) * 9_000,
    "notes.txt": b"Synthetic.\n",
}
ROLES = {"rec/vol.rec": "reconstruction", "raw/ts.st": "tiltSeries"}
HOPELESS = "http://127.0.0.1:9"


@dataclass
class World:
    """A store, records of it, and what a node answers about them."""

    store: MemoryStore = field(default_factory=MemoryStore)
    answers: dict[str, Any] = field(default_factory=dict)
    records: list[dict[str, Any]] = field(default_factory=list)
    author: Author = field(default_factory=Author)

    def add(self, number: int, files: Mapping[str, bytes]) -> dict[str, Any]:
        root = self.store.add_tree(files)
        storage = {"network": "ipfs", "location": str(root), "files": []}
        text = self.author.publish(self.author.artifact(storage=storage))
        envelope = read_envelope(parse_message_text(text))
        record = make_record(
            number,
            id=digest_of(envelope.action, envelope.body),
            text=text,
            artifact=envelope.body,
            cid=str(root),
            files=[_file(name, files[name]) for name in files],
        )
        record["details"]["sid"] = f"sid{number}"
        self.records.append(record)
        self.answers[f"/api/records/{record['id']}"] = record
        self.answers["/api/records"] = {
            "count": len(self.records),
            "total": len(self.records),
            "results": self.records,
            "next": None,
        }
        return record


def _file(name: str, data: bytes) -> dict[str, Any]:
    role = ROLES.get(name, "other")
    return {"name": name, "role": role, "size_bytes": len(data), "cid": None}


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def record(world: World) -> dict[str, Any]:
    return world.add(1, FILES)


@pytest.fixture
def serve(world: World) -> Iterator[Callable[..., FakeGateway]]:
    opened: list[FakeGateway] = []

    def start(*faults: Fault) -> FakeGateway:
        gateway = FakeGateway(world.store, faults=faults, answers=world.answers)
        opened.append(gateway.__enter__())
        return gateway

    yield start
    for gateway in opened:
        gateway.__exit__(None, None, None)


def on_disk(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and ".etdb" not in path.parts
    }


def test_a_lying_gateway_is_named_and_the_file_is_right(
    etdb: Any, record: Any, serve: Any, tmp_path: Path
) -> None:
    node, liar = serve(), serve(Fault("lie", on="/ipfs/"))
    words = ("get", record["id"], "--from", node.url, "--gateway", liar.url)

    done = etdb.ok(*words, "-o", tmp_path / "got", "-j", 1)

    assert on_disk(tmp_path / "got") == FILES
    rows = [line.split("\t") for line in done.output.splitlines()[:3]]
    assert [row[0] for row in rows] == sorted(FILES)
    assert all(row[2:4] == ["done", "yes"] for row in rows)
    assert {row[4] for row in rows} == {node.url}
    assert f"dropped: {liar.url}" in done.errors


def test_gateways_alone_are_enough_where_the_node_has_no_files(
    etdb: Any, record: Any, serve: Any, tmp_path: Path
) -> None:
    poor, rich = serve(Fault("status", on="/ipfs/", at=404)), serve()
    words = ("get", record["id"], "--from", poor.url, "--gateway", rich.url)

    told = etdb.ok(*words, "-o", tmp_path / "got", "--json").json

    assert on_disk(tmp_path / "got") == FILES
    assert all(file["sources"] == [rich.url] for file in told["files"])


@pytest.mark.parametrize("is_allowed", [True, False])
def test_whom_the_node_s_router_names_is_drawn_on(
    etdb: Any, record: Any, serve: Any, world: World, tmp_path: Path, is_allowed: bool
) -> None:
    poor, rich = serve(Fault("status", on="/ipfs/", at=404)), serve()
    path = f"/routing/v1/providers/{CID.parse(record['cid'])}"
    world.answers[path] = poor.answers[path] = {"Providers": [_provider(rich.url)]}
    words = ["get", record["id"], "--from", poor.url, "-o", tmp_path / "got", "--json"]

    done = etdb.run(*words, *(["--allow-private"] if is_allowed else []))

    if is_allowed:
        assert on_disk(tmp_path / "got") == FILES
        assert all(file["sources"] == [rich.url] for file in done.json["files"])
    else:
        assert done.status == 4
        assert not any("/ipfs/" in line for line in rich.requests)


def test_settings_name_routers_and_allow_private_places(
    etdb: Any, record: Any, serve: Any, world: World, tmp_path: Path
) -> None:
    poor, rich = serve(Fault("status", on="/ipfs/", at=404)), serve()
    path = f"/routing/v1/providers/{CID.parse(record['cid'])}"
    answers = {path: {"Providers": [_provider(rich.url)]}}
    with FakeGateway(MemoryStore(), answers=answers) as router:
        etdb.environ["ETDB_GET_ROUTERS"] = router.url
        etdb.environ["ETDB_GET_ALLOW_PRIVATE"] = "true"
        etdb.ok("get", record["id"], "--from", poor.url, "-o", tmp_path / "got")
        printed = etdb.ok("cat", f"{record['id']}/notes.txt", "--from", poor.url)

    assert on_disk(tmp_path / "got") == FILES
    assert printed.output == FILES["notes.txt"].decode()


@pytest.mark.parametrize(
    ("words", "names"),
    [
        (["--type", "reconstruction"], {"rec/vol.rec"}),
        (["--type", "TiltSeries", "--type", "other"], {"raw/ts.st", "notes.txt"}),
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


def test_a_type_that_no_file_has_is_not_found(
    etdb: Any, record: Any, serve: Any
) -> None:
    done = etdb.run("get", record["id"], "--from", serve().url, "--type", "keymov")

    assert done.status == 4
    assert "--type keymov" in done.errors


def test_a_type_that_does_not_exist_is_refused_before_anybody_is_asked(
    etdb: Any, record: Any
) -> None:
    words = ("--from", HOPELESS, "--type", "other", "--type", "typo")

    done = etdb.run("get", record["id"], *words)

    assert done.status == 3
    assert "'typo'" in done.errors
    assert "tiltSeries, reconstruction, subvolume" in done.errors


def test_an_empty_folder_name_is_not_the_folder_one_is_in(
    etdb: Any, record: Any
) -> None:
    done = etdb.run("get", record["id"], "--from", HOPELESS, "-o", "")

    assert done.status == 2
    assert "an empty path" in done.errors


def test_gateways_of_the_settings_are_drawn_on(
    etdb: Any, record: Any, serve: Any, tmp_path: Path
) -> None:
    poor, rich = serve(Fault("status", on="/ipfs/", at=404)), serve()
    words = ["get", record["id"], "--from", poor.url, "-o", tmp_path / "got", "--json"]

    without = etdb.run(*words)
    told = etdb.ok(*words, ETDB_GET_GATEWAYS=rich.url).json

    assert without.status == 4
    assert on_disk(tmp_path / "got") == FILES
    assert all(file["sources"] == [rich.url] for file in told["files"])


def test_a_dry_run_says_what_and_writes_nothing(
    etdb: Any, record: Any, serve: Any, tmp_path: Path
) -> None:
    target = tmp_path / "got"
    words = ("get", record["id"], "--from", serve().url, "-o", target, "--dry-run")

    lines = etdb.ok(*words).output.splitlines()
    told = etdb.ok(*words, "--json").json

    assert [line.split("\t")[2] for line in lines] == sorted(FILES)
    assert told["records"][0]["total_bytes"] == sum(map(len, FILES.values()))
    assert not target.exists()


def test_a_whole_query_goes_into_a_folder_for_each_record(
    etdb: Any, world: World, serve: Any, tmp_path: Path
) -> None:
    world.add(1, FILES)
    world.add(2, {"notes.txt": b"Another.\n"})
    node = serve()
    words = ("get", "--query", "vibrio", "--from", node.url, "-o", tmp_path / "all")

    done = etdb.ok(*words)

    assert on_disk(tmp_path / "all/sid1") == FILES
    assert on_disk(tmp_path / "all/sid2") == {"notes.txt": b"Another.\n"}
    assert "all 4 files verified in 2 folders" in done.output
    assert "q=vibrio" in " ".join(node.requests)


def test_one_broken_record_of_a_query_stops_no_other(
    etdb: Any, world: World, serve: Any, tmp_path: Path
) -> None:
    world.add(1, FILES)
    lost = world.add(2, {"lost.txt": b"Lost.\n"})
    node = serve(Fault("status", on=lost["cid"], at=404))
    words = ("get", "--query", "x", "--from", node.url, "-o", tmp_path / "all")

    done = etdb.run(*words, "--type", "reconstruction")

    assert on_disk(tmp_path / "all/sid1") == {"rec/vol.rec": FILES["rec/vol.rec"]}
    assert done.status == 9
    assert f"failed: record {lost['id'][:12]}" in done.errors


def test_an_id_or_a_query_but_not_both(etdb: Any) -> None:
    assert etdb.run("get").status == 2
    assert etdb.run("get", "3f2a9c", "--query", "x").status == 2


@pytest.mark.parametrize("url", ["nonsense", "", "file:///etc/passwd", "http://[::1"])
@pytest.mark.parametrize("option", ["--gateway", "--router"])
def test_an_address_that_is_none_is_refused(
    etdb: Any, record: Any, serve: Any, option: str, url: str
) -> None:
    for command in ("get", "whereis"):
        done = etdb.run(command, record["id"], "--from", serve().url, option, url)

        assert done.status == 3
        assert "not a URL of http or https" in done.errors


def test_a_failed_file_is_exit_status_9(
    etdb: Any, record: Any, serve: Any, world: World, tmp_path: Path
) -> None:
    cid = world.store.add_bytes(FILES["raw/ts.st"]).cid
    node = serve(Fault("lie", on=f"{cid}", at=99))

    done = etdb.run("get", record["id"], "--from", node.url, "-o", tmp_path / "got")

    assert done.status == 9
    assert "failed: raw/ts.st" in done.errors
    assert "raw/ts.st" not in on_disk(tmp_path / "got")


@pytest.mark.parametrize(
    ("span", "start", "stop"),
    [
        (None, 0, None),
        ("0-9", 0, 10),
        ("1048570-1048585", 1048570, 1048586),
        ("5119990-", 5119990, None),
        ("-7", -7, None),
        ("5119999-9999999", 5119999, None),
    ],
)
def test_cat_prints_the_bytes_that_were_asked_for(
    etdb: Any, record: Any, serve: Any, span: Any, start: int, stop: Any
) -> None:
    words = etdb.command("cat", f"{record['id']}/rec/vol.rec", "--from", serve().url)
    words += [] if span is None else [f"--range={span}"]

    printed = _output_of(etdb, words)

    assert printed == FILES["rec/vol.rec"][start:stop]


def _output_of(etdb: Any, words: list[str]) -> bytes:
    return subprocess.run(
        words, check=True, capture_output=True, env=etdb.environ, timeout=60
    ).stdout


@pytest.mark.parametrize("api", ["", "/api"])
def test_cat_takes_a_file_of_a_record_s_page(
    etdb: Any, world: World, serve: Any, api: str
) -> None:
    record = world.add(1, {"a b/records/c.txt": b"Synthetic.\n"})
    url = f"{serve().url}{api}/records/{record['id']}/a%20b/records/c.txt"

    assert etdb.ok("cat", url).output == "Synthetic.\n"
    assert etdb.ok("cat", f"{url}?x#y").output == "Synthetic.\n"


@pytest.mark.parametrize("path", ["", "/records", "/records/", "/records/3f2a9c41/"])
def test_cat_says_how_a_url_must_be_that_names_no_file(
    etdb: Any, serve: Any, path: str
) -> None:
    done = etdb.run("cat", serve().url + path)

    assert done.status == 3
    assert "http://NODE/records/ID/PATH" in done.errors


@pytest.mark.parametrize("span", ["9-3", "x", "-", "99999999-", "-0"])
def test_cat_refuses_a_range_that_is_none(
    etdb: Any, record: Any, serve: Any, span: str
) -> None:
    word = f"{record['id']}/rec/vol.rec"

    assert etdb.run("cat", word, "--from", serve().url, f"--range={span}").status == 3


def test_cat_prints_nothing_that_is_wrong(
    etdb: Any, record: Any, serve: Any, world: World
) -> None:
    node = serve(Fault("lie", on="format=raw", at=30))

    done = etdb.run("cat", f"{record['id']}/notes.txt", "--from", node.url)

    assert (done.status, done.output) == (3, "")
    assert etdb.run("cat", f"{record['id']}/none", "--from", serve().url).status == 4


def _provider(url: str) -> dict[str, Any]:
    port = url.rpartition(":")[2]
    return {"Schema": "peer", "ID": "x", "Addrs": [f"/ip4/127.0.0.1/tcp/{port}/http"]}


def test_whereis_asks_everybody(
    etdb: Any, record: Any, serve: Any, world: World
) -> None:
    node, told = serve(), serve()
    liar = serve(Fault("lie", on="/ipfs/"))
    poor = serve(Fault("status", on="/ipfs/", at=404))
    path = f"/routing/v1/providers/{CID.parse(record['cid'])}"
    world.answers[path] = {"Providers": [_provider(told.url)]}
    router = FakeGateway(MemoryStore(), answers=world.answers)
    words = ["whereis", record["id"], "--from", node.url, "--json"]
    words += ["--gateway", liar.url, "--gateway", poor.url, "--gateway", HOPELESS]

    with router:
        words += ["--router", router.url]
        strict = etdb.ok(*words).json["holders"]
        open_ = etdb.ok(*words, "--allow-private").json["holders"]

    states = {one["name"]: one["state"] for one in open_}
    assert states == {
        node.url: "has",
        liar.url: "lies",
        poor.url: "lacks",
        HOPELESS: "fails",
        told.url: "has",
    }
    refused = next(one for one in strict if one["name"] == told.url)
    assert refused["state"] == "fails"
    assert refused["told_by"] == router.url


def test_whereis_says_who_has_only_some_of_the_files(
    etdb: Any, record: Any, serve: Any, world: World
) -> None:
    lost = world.store.add_bytes(FILES["notes.txt"]).cid
    poor = serve(Fault("status", on=str(lost), at=404))
    words = ["whereis", record["id"], "--from", poor.url]

    alone = etdb.run(*words)
    both = etdb.ok(*words, "--gateway", serve().url, "--json").json["holders"]

    assert alone.status == 9
    assert alone.output == f"part of it: 2 of 3 files\t{poor.url}\t\n"
    assert "holds all of it" in alone.errors
    assert [one["state"] for one in both] == ["part", "has"]
    assert [one["files_held"] for one in both] == [2, 3]


def test_whereis_tells_of_a_kubo_that_does_not_answer(
    etdb: Any, record: Any, serve: Any
) -> None:
    words = ("whereis", record["id"], "--from", serve().url, "--kubo", HOPELESS)

    node, kubo = etdb.ok(*words, "--json").json["holders"]

    assert (node["state"], kubo["state"]) == ("has", "fails")
    assert kubo["name"] == HOPELESS
    assert "does not answer" in kubo["error"]


def test_whereis_fails_where_nobody_holds_it(
    etdb: Any, record: Any, serve: Any
) -> None:
    node = serve(Fault("status", on="/ipfs/", at=404))

    done = etdb.run("whereis", record["id"], "--from", node.url)

    assert done.status == 9
    assert done.output.startswith("lacks\t")
