"""`etdb get`: files of a record or of a whole query, from whoever has them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from etdb.cli.get import folder_name
from etdb.identity import CID
from etdb.testing.gateway import FakeGateway, Fault
from etdb.testing.store import MemoryStore
from etdb.testing.world import FILES, HOPELESS, World, on_disk, provider_at


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
    world.answers[path] = poor.answers[path] = {"Providers": [provider_at(rich.url)]}
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
    answers = {path: {"Providers": [provider_at(rich.url)]}}
    with FakeGateway(MemoryStore(), answers=answers) as router:
        etdb.environ["ETDB_GET_ROUTERS"] = router.url
        etdb.environ["ETDB_GET_ALLOW_PRIVATE"] = "true"
        etdb.ok("get", record["id"], "--from", poor.url, "-o", tmp_path / "got")
        printed = etdb.ok("cat", f"{record['id']}/notes.txt", "--from", poor.url)

    assert on_disk(tmp_path / "got") == FILES
    assert printed.output == FILES["notes.txt"].decode()


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


def test_a_query_that_finds_one_record_tells_a_list_too(
    etdb: Any, record: Any, serve: Any, tmp_path: Path
) -> None:
    words = ("--from", serve().url, "--json", "-o")

    by_query = etdb.ok("get", "--query", "x", *words, tmp_path / "all").json
    by_id = etdb.ok("get", record["id"], *words, tmp_path / "one").json

    assert by_query["records"][0]["files"][0]["name"] == by_id["files"][0]["name"]


def test_a_record_published_anew_under_its_sid_has_a_folder_of_its_own(
    etdb: Any, world: World, serve: Any, tmp_path: Path
) -> None:
    words = ("get", "--query", "x", "-o", tmp_path / "all", "--from")
    world.add(1, FILES)
    etdb.ok(*words, serve().url)
    other = World()
    anew = other.add(1, {"notes.txt": b"Anew.\n"})
    with FakeGateway(other.store, answers=other.answers) as node:
        etdb.ok(*words, node.url)
        etdb.ok(*words, node.url)

    assert on_disk(tmp_path / "all/sid1") == FILES
    folder = tmp_path / "all" / f"sid1_{anew['id'][:12]}"
    assert on_disk(folder) == {"notes.txt": b"Anew.\n"}


@pytest.mark.parametrize("sid", ["細胞" * 60, "x" * 300, "..", ""])
def test_no_sid_makes_a_name_that_no_file_system_takes(sid: str) -> None:
    name = folder_name({"id": "ab" * 32, "details": {"sid": sid}})

    assert 0 < len(f"{name}_0123456789ab".encode()) <= 255
    assert not name.startswith(".")


def test_a_target_that_is_a_file_is_in_the_way(
    etdb: Any, record: Any, serve: Any, tmp_path: Path
) -> None:
    target = tmp_path / "file"
    target.write_text("mine")

    done = etdb.run("get", record["id"], "--from", serve().url, "-o", target)

    assert done.status == 6
    assert "should be a folder" in done.errors
    assert target.read_text() == "mine"


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
