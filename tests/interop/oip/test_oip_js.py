"""oip-js 1.1.20, as published on npm, asks a served node."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import pytest


class Package(Protocol):
    def run(self, script: str, asked: dict[str, Any]) -> Any: ...


class Served(Protocol):
    url: str
    librarian: str
    txids: Sequence[str]
    address: str


Ask = Callable[..., list[Any]]


@pytest.fixture(scope="module")
def ask(oip_js: Package, served: Served) -> Ask:
    """What its functions give; the settings are those of etdb-react."""

    def call(*calls: tuple[object, ...], **settings: object) -> list[Any]:
        chosen = {
            "OIPdURL": served.librarian,
            "backupOIPdURL": served.librarian,
            "runIPFSAPIUpload": False,
            "runIPFSAPICluster": False,
            "indexFilters": {
                "publisher": served.address,
                "type": "research",
                "subtype": "tomogram",
            },
            **settings,
        }
        return list(oip_js.run("call.js", {"settings": chosen, "calls": calls}))

    return call


def species(artifacts: list[dict[str, Any]]) -> list[str]:
    said = [artifact["oip042"]["artifact"] for artifact in artifacts]
    return sorted(artifact["details"]["speciesName"] for artifact in said)


def test_all_artifacts_and_a_page_of_them(ask: Ask, served: Served) -> None:
    everything, page, beyond = ask(
        ("Index.getArtifacts", "*"),
        ("Index.getArtifacts", 1),
        ("Index.getArtifacts", 2),
    )

    assert species(everything) == [
        "Escherichia coli",
        "Helicobacter pylori",
        "Vibrio cholerae",
    ]
    assert {artifact["txid"] for artifact in everything} == set(served.txids)
    assert page == everything
    assert beyond == []


def test_the_filters_of_its_settings_are_kept(ask: Ask) -> None:
    (of_nobody,) = ask(
        ("Index.getArtifacts", "*"),
        indexFilters={"publisher": "oNobody", "type": "*", "subtype": "*"},
    )
    (of_any,) = ask(
        ("Index.getArtifacts", "*"), indexFilters={"type": "*", "subtype": "*"}
    )
    (of_another,) = ask(
        ("Index.getArtifacts", "*"), indexFilters={"type": "video", "subtype": "-"}
    )

    assert (len(of_nobody), len(of_any), len(of_another)) == (0, 3, 0)


def test_a_record_is_found_by_six_digits_of_its_txid(ask: Ask, served: Served) -> None:
    edited = served.txids[0]
    short, whole, unknown = ask(
        ("Index.getArtifactFromID", edited[:6]),
        ("Index.getArtifactFromID", edited),
        ("Index.getArtifactFromID", "5e03" * 16),
    )

    assert short == whole
    assert short["txid"] == edited
    assert short["oip042"]["artifact"]["details"]["strain"] == "K12"
    assert "404" in unknown["failed"]


def test_its_search_finds_records_and_publishers(ask: Ask, served: Served) -> None:
    anywhere, in_field, nothing, wrong = ask(
        ("Index.search", {"search-for": "pylo"}),
        ("Index.search", {"search-on": "speciesName", "search-for": "escherichia"}),
        ("Index.search", {"search-for": "salmonella"}),
        ("Index.search", {"search-on": "nothing", "search-for": "salmonella"}),
    )
    (by_address,) = ask(("Index.getPublisher", served.address))

    assert species(anywhere) == ["Helicobacter pylori"]
    assert species(in_field) == ["Escherichia coli"]
    assert nothing == []
    assert "400" in wrong["failed"]
    assert by_address["name"] == "Synthetic lab"
    assert by_address["address"] == served.address


def test_the_summary_and_lists_of_the_front_page(ask: Ask, served: Served) -> None:
    summary, info, publishers, retailers, promoters = ask(
        ("Network.OIPdRequest", "get", "/research/tomogram/summary", {}),
        ("Network.getLatestOIPdInfo",),
        ("Index.getRegisteredPublishers",),
        ("Index.getRegisteredRetailers",),
        ("Index.getRegisteredPromoters",),
    )

    assert summary["data"] == {
        "total": 3,
        "species": 3,
        "publishers": {served.address: 3},
    }
    assert info["avgArtCost"] == 0
    assert [publisher["alias"] for publisher in publishers] == ["Synthetic lab"]
    assert retailers == promoters == []


def test_what_fails_is_asked_of_the_backup(ask: Ask, served: Served) -> None:
    (found,) = ask(
        ("Index.getArtifactFromID", served.txids[2]),
        OIPdURL=f"{served.url}/nowhere",
    )

    assert found["txid"] == served.txids[2]
