"""`etdb register`: the name under which a lab is known, and where."""

from __future__ import annotations

from typing import Any

import pytest


def test_a_lab_registers_under_its_name(lab: Any, record_id: str) -> None:
    url, gateway = "https://lab.example.org", "https://etdb.example.org"

    first = lab.ok("register", "--yes", "--json").json
    lab.ok("register", "--url", url, "--gateway", gateway, "--yes")
    shown = lab.ok("register", "--name", "Another name", "--dry-run", "--json").json

    record = lab.ok("show", record_id, "--json").json
    assert (first["action"], first["outcome"]) == ("register", "published")
    assert record["publisher"]["name"] == "Test lab (synthetic)"
    assert shown["body"]["info"] == {"url": url, "gateways": [gateway]}
    assert lab.run("register", "--yes").status == 6


def test_a_lab_without_a_name_must_give_one(lab: Any) -> None:
    done = lab.run("register", "--yes", ETDB_LAB_NAME="")

    assert (done.status, "--name" in done.errors) == (2, True)


@pytest.mark.parametrize("name", ["deactivate", "ab" * 32, ""])
def test_a_name_that_could_pass_as_something_else_is_refused(
    lab: Any, name: str
) -> None:
    done = lab.run("register", "--name", name, "--yes")

    assert done.status == 3


def test_a_gateway_that_others_could_not_open_is_refused(lab: Any) -> None:
    done = lab.run("register", "--gateway", "http://127.0.0.1:8000", "--yes")

    assert (done.status, "https" in done.errors) == (3, True)
