"""`etdb whereis`: everybody is asked, and each is told for what it is."""

from __future__ import annotations

from typing import Any

from etdb.identity import CID
from etdb.testing.gateway import FakeGateway, Fault
from etdb.testing.store import MemoryStore
from etdb.testing.world import FILES, HOPELESS, World, provider_at


def test_whereis_asks_everybody(
    etdb: Any, record: Any, serve: Any, world: World
) -> None:
    node, told = serve(), serve()
    liar = serve(Fault("lie", on="/ipfs/"))
    poor = serve(Fault("status", on="/ipfs/", at=404))
    path = f"/routing/v1/providers/{CID.parse(record['cid'])}"
    world.answers[path] = {"Providers": [provider_at(told.url)]}
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
