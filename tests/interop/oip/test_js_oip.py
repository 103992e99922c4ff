"""js-oip 2.5.1, as published on npm, asks a served node."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import pytest

NOTHING = {"success": True, "artifacts": []}
OLD_TXID = "5e03" * 16

Call = tuple[object, ...]


class Package(Protocol):
    def run(self, script: str, asked: dict[str, Any]) -> Any: ...


class Served(Protocol):
    oip: str
    txids: Sequence[str]
    address: str


@pytest.fixture(scope="module")
def ask(js_oip: Package, served: Served) -> Callable[..., list[Any]]:
    """What methods of its DaemonApi give, called one after the other."""

    def call(*calls: Call) -> list[Any]:
        return list(js_oip.run("call.js", {"url": served.oip, "calls": calls}))

    return call


def species(found: dict[str, Any]) -> list[str]:
    assert found["success"] is True, found
    for artifact in found["artifacts"]:
        assert artifact["class"] == "ResearchTomogram"
        assert artifact["isValid"] == {"success": True}
    return [a["json"]["artifact"]["details"]["speciesName"] for a in found["artifacts"]]


def test_version_and_sync_status(ask: Callable[..., list[Any]]) -> None:
    version, sync = ask(("getVersion",), ("getSyncStatus",))

    assert set(version) == {
        "BuiltBy", "BuildDate", "GoVersion", "GitCommitHash", "Started", "Uptime"
    }  # fmt: skip
    assert sync["IsInitialSync"] is False
    assert sync["MultipartSyncComplete"] is sync["EditSyncComplete"] is True
    assert sync["Height"] == sync["LatestHeight"] > 110
    assert sync["Progress"] == 1


def test_latest_artifacts_are_decoded_as_research_tomograms(
    ask: Callable[..., list[Any]],
) -> None:
    everything, one, of_042 = ask(
        ("getLatestArtifacts",),
        ("getLatestArtifacts", 1, True),
        ("getLatest042Artifacts", 2),
    )

    assert species(everything)[0] == "Escherichia coli", "what was edited last is first"
    assert sorted(species(everything)) == [
        "Escherichia coli",
        "Helicobacter pylori",
        "Vibrio cholerae",
    ]
    assert species(one) == species(everything)[:1]
    assert species(of_042) == species(everything)[:2]


def test_an_artifact_is_found_by_its_txid_and_a_beginning_of_it(
    ask: Callable[..., list[Any]], served: Served
) -> None:
    last = served.txids[2]
    whole, short, several, unknown = ask(
        ("getArtifact", last),
        ("getArtifact", last[:10]),
        ("getArtifacts", list(served.txids)),
        ("getArtifact", OLD_TXID),
    )

    assert whole == short
    assert whole["artifact"]["json"]["meta"]["txid"] == last
    assert whole["artifact"]["json"]["artifact"]["details"]["tiltMin"] == -60
    assert len(species(several)) == 3
    assert unknown["success"] is False


def test_an_edited_record_is_its_current_version(
    ask: Callable[..., list[Any]], served: Served
) -> None:
    original = served.txids[0]
    (found,) = ask(("getRecord", original))

    record = found["record"]
    assert record["class"] == "ResearchTomogram"
    assert record["json"]["artifact"]["details"]["strain"] == "K12"
    assert record["json"]["meta"]["originalTxid"] == original
    assert record["json"]["meta"]["txid"] != original


def test_its_searches_find_records(ask: Callable[..., list[Any]]) -> None:
    query = [
        {"field": "artifact.details.speciesName", "query": "vibrio cholerae"},
        {"operator": "OR"},
        {"operator": "wrap", "type": "start"},
        {"field": "artifact.details.strain", "query": "K12"},
        {"operator": "AND"},
        {"field": "artifact.type", "query": "research"},
        {"operator": "wrap", "type": "end"},
    ]
    (built,) = ask(("createQs", query))
    by_query, by_type, by_word, of_another, wrong = ask(
        ("searchArtifacts", built, 10),
        ("searchArtifactsByType", "research", "tomogram"),
        ("searchArtifacts", "pylori"),
        ("searchArtifactsByType", "music"),
        ("searchArtifacts", "pylori~2"),
    )

    assert sorted(species(by_query)) == ["Escherichia coli", "Vibrio cholerae"]
    assert by_query["count"] == by_query["total"] == 2
    assert len(species(by_type)) == 3
    assert species(by_word) == ["Helicobacter pylori"]
    assert species(of_another) == []
    assert "400" in wrong["failed"]


def test_parts_join_to_the_record(
    ask: Callable[..., list[Any]], served: Served
) -> None:
    first = served.txids[1]
    found, single, artifact = ask(
        ("getMultiparts", first[:10], 100),
        ("getMultipart", first),
        ("getArtifact", first),
    )

    parts = found["multiparts"]
    assert [part["json"]["part"] for part in parts] == list(range(len(parts)))
    assert len(parts) == parts[0]["json"]["max"] + 1 > 1
    assert all(part["isValid"] == {"success": True} for part in parts)
    assert all(part["json"]["meta"]["complete"] for part in parts)
    joined = "".join(part["json"]["data"] for part in parts)
    assert joined == single["multipart"]["json"]["meta"]["assembled"]
    assert artifact["artifact"]["json"]["artifact"]["details"]["artNotes"] in joined


def test_flo_data_is_what_the_transaction_carries(
    ask: Callable[..., list[Any]], served: Served
) -> None:
    first, last = served.txids[1:]
    one, found, part, parsed = ask(
        ("getFloData", last),
        ("searchFloData", '"Synthetic lab"', 5),
        ("getFloData", first),
        ("getMultipart", first),
    )

    tx = one["tx"]["tx"]
    assert tx["txid"] == last
    assert tx["floData"].startswith('json:{"oip042":{"publish":')
    assert len(tx["floData"].encode()) < tx["size"] < len(tx["floData"].encode()) + 300
    assert len(tx["blockhash"]) == 64
    assert tx["time"] > 1_600_000_000
    assert one["tx"]["is_coinbase"] is False
    assert ["register" in said["tx"]["floData"] for said in found["txs"]] == [True]
    assert part["tx"]["tx"]["floData"] == parsed["multipart"]["text"]


def test_kinds_of_records_that_are_not_kept_are_empty_lists(
    ask: Callable[..., list[Any]], served: Served
) -> None:
    lists = ask(("getLatest041Artifacts",), ("getLatestAlexandriaMediaArtifacts",))
    historian, latest = ask(
        ("getHistorianData", OLD_TXID), ("getLastestHistorianData", 5)
    )
    oip5 = ask(
        ("getLatestOip5Records", {"limit": 5}),
        ("getLatestOip5Templates", {}),
        ("getOip5Record", OLD_TXID),
        ("getOip5Template", OLD_TXID),
        ("searchOip5Records", {"q": "Davi", "limit": 5}),
        ("searchOip5Templates", {"q": "_exists_:any.thing", "limit": 5}),
    )
    several = ask(
        ("getOip5Records", [OLD_TXID, served.txids[0]]),
        ("getOip5Templates", [OLD_TXID, served.txids[0]]),
    )
    mapping, verified = ask(
        ("getOip5Mapping", ["tmpl_433C2783"]),
        ("isVerifiedPublisher", {"pubAddr": served.address}),
    )

    assert lists == [NOTHING, NOTHING]
    assert historian == {"success": True}
    assert latest == {"success": True, "hdata": []}
    empty = {"next": "", "count": 0, "total": 0, "results": []}
    assert oip5 == [{"success": True, "payload": empty}] * 6
    assert several == [[{"success": True, "payload": empty}] * 2] * 2
    assert mapping == {"success": True, "payload": {}}
    assert verified == {"success": False, "error": "No verified publisher found"}


@pytest.mark.parametrize("kind", ["041", "AlexandriaMedia"])
def test_a_record_of_a_kind_that_is_not_kept_is_refused_by_js_oip_itself(
    ask: Callable[..., list[Any]], served: Served, kind: str
) -> None:
    """It decodes the first result before it looks whether there is one."""
    one, several, none, then = ask(
        (f"get{kind}Artifact", OLD_TXID),
        (f"get{kind}Artifacts", [OLD_TXID, served.txids[0]]),
        (f"get{kind}Artifacts", []),
        ("getArtifact", served.txids[0]),
    )

    for answer in (one, several):
        assert "Cannot read properties of undefined" in answer["failed"]
        assert "Request failed" not in answer["failed"]
    assert none == NOTHING
    assert then["success"] is True
