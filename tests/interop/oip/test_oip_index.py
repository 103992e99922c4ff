"""oip-index 1.1.1, as published on npm, asks a served node."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import pytest


class Package(Protocol):
    def run(self, script: str, asked: dict[str, Any]) -> Any: ...


class Served(Protocol):
    oip: str
    librarian: str
    txids: Sequence[str]
    address: str


Ask = Callable[..., list[Any]]


@pytest.fixture(scope="module")
def ask(oip_index: Package, served: Served) -> Ask:
    """What its methods give, called one after the other."""

    def call(*calls: tuple[object, ...]) -> list[Any]:
        asked = {"url": served.librarian, "oip": served.oip, "calls": calls}
        return list(oip_index.run("call.js", asked))

    return call


def species(artifacts: list[dict[str, Any]]) -> list[str]:
    said = [artifact["json"]["oip042"]["artifact"] for artifact in artifacts]
    return sorted(artifact["details"]["speciesName"] for artifact in said)


def test_latest_artifacts_and_those_of_a_type(ask: Ask, served: Served) -> None:
    latest, one, page, of_type, of_publisher, of_nobody = ask(
        ("getLatestArtifacts",),
        ("getLatestArtifacts", 1),
        ("getArtifacts", "Research", "Tomogram", 2, 2),
        ("getArtifacts", "Research", "Tomogram", 100, 1),
        ("getArtifacts", None, None, None, "*", served.address),
        ("getArtifacts", None, None, None, 1, "oNobody"),
    )

    assert species(latest) == [
        "Escherichia coli",
        "Helicobacter pylori",
        "Vibrio cholerae",
    ]
    assert [len(each) for each in (one, page, of_type, of_publisher, of_nobody)] == [
        1,
        1,
        3,
        3,
        0,
    ]
    assert {artifact["json"]["txid"] for artifact in latest} == set(served.txids)


def test_an_artifact_is_found_by_its_txid(ask: Ask, served: Served) -> None:
    whole, short, unknown = ask(
        ("getArtifact", served.txids[0]),
        ("getArtifact", served.txids[0][:6]),
        ("getArtifact", "5e03" * 16),
    )

    assert whole == short
    assert whole["class"] == "Artifact"
    assert whole["json"]["oip042"]["artifact"]["details"]["strain"] == "K12"
    assert whole["json"]["publisherName"] == "Synthetic lab"
    assert unknown == {
        "error": {"error": "artifact not found"},
        "status": "404 Not Found",
    }


def test_its_search_and_that_of_flo_data(ask: Ask, served: Served) -> None:
    found, exact, said = ask(
        ("search", "pylori"),
        ("search", "K12", "strain", False, "media"),
        ("searchFloData", "Synthetic lab"),
    )

    assert found["status"] == "success"
    assert [each["txid"] for each in found["response"]] == [served.txids[1]]
    assert [each["txid"] for each in exact["response"]] == [served.txids[0]]
    assert ['"alias":"Synthetic lab"' in each["Message"] for each in said] == [True]
    assert len(said[0]["Hash"]) == 64


def test_the_parts_of_a_record_join(ask: Ask, served: Served) -> None:
    first = served.txids[1]
    (text,) = ask(("getFloData", first))
    (parts,) = ask(("getMultiparts", first))

    assert parts[0]["text"] == text
    assert parts[0]["txid"] == first
    joined = "".join(part["text"].partition("):")[2] for part in parts)
    assert joined.startswith('json:{"oip042":{"publish":')
    assert joined.endswith("}}}}")


def test_its_call_for_one_publisher_does_not_end_the_program(ask: Ask) -> None:
    """It reads what it asked for before that has come, and catches no refusal."""
    (found,) = ask(("getPublisher",))
    again, artifacts = ask(("getPublisher",), ("getLatestArtifacts", 1))

    assert found == again
    assert "Cannot read properties of undefined" in found["failed"]
    assert len(artifacts) == 1


def test_lists_of_publishers_and_of_what_is_not_kept(ask: Ask, served: Served) -> None:
    publishers, *others = ask(
        ("getAllPublishers",),
        ("getAllPlatforms",),
        ("getAllInfluencers",),
        ("getAllAutominers",),
        ("getAllAutominerPools",),
    )

    assert [publisher["floAddress"] for publisher in publishers] == [served.address]
    assert others == [{"status": 200, "data": []}] * 4
