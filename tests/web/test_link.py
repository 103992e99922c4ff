from __future__ import annotations

import shlex
import subprocess
from pathlib import Path

import pytest

from etdb.testing.catalogue import make_record
from etdb.web import link

SITE = "http://127.0.0.1:8000/"
HOSTILE = "a $(touch ran) `touch ran` \"'; touch ran #&<b>?%2e.mrc"


def _code(record: dict[str, object], key: str) -> str:
    return next(one.code for one in link.recipes(record, SITE) if one.key == key)


def _named(*names: str) -> dict[str, object]:
    files = [{**make_record(1)["files"][0], "name": name} for name in names]
    return make_record(1, files=files)


def test_addresses_are_percent_encoded() -> None:
    url = link.file_url("bafy", HOSTILE, download=True)

    assert url.startswith("/ipfs/bafy/a%20%24%28touch%20ran%29")
    assert url.endswith("%3F%252e.mrc?download=true")
    assert link.cid_url("bafy", "a&b") == "/ipfs/bafy?filename=a%26b"
    assert link.list_url(q='species:"V. c"', sort="", after=None).endswith(
        "q=species%3A%22V.+c%22"
    )


def test_a_hostile_name_is_one_argument_of_the_command(tmp_path: Path) -> None:
    command = _code(_named(HOSTILE), "curl")

    words = shlex.split(command)
    shown = subprocess.run(
        ["sh", "-c", command.replace("curl", "printf '%s\\n'", 1)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )

    assert words[:5] == ["curl", "-fL", "-C", "-", "-o"]
    assert words[5] == HOSTILE
    assert HOSTILE in shown.stdout.splitlines()
    assert not list(tmp_path.iterdir())


def test_without_quoting_a_hostile_name_would_run(tmp_path: Path) -> None:
    subprocess.run(
        ["sh", "-c", "printf '%s' $(touch ran)"],
        cwd=tmp_path,
        capture_output=True,
        check=True,
    )

    assert (tmp_path / "ran").exists()


@pytest.mark.parametrize("name", ["../../.bashrc", "/etc/x", "a\nb", "x\u202ey", ""])
def test_a_name_that_leaves_or_misleads_gets_no_command(name: str) -> None:
    assert _code(_named(name), "curl") == ""


def test_a_name_like_an_option_is_a_file() -> None:
    assert " -o ./-rf " in _code(_named("-rf"), "curl")


def test_a_name_in_a_folder_makes_the_folder() -> None:
    assert "--create-dirs -o raw/x.st" in _code(_named("raw/x.st"), "curl")


def test_the_commands_name_the_record() -> None:
    record = make_record(1)

    assert _code(record, "etdb") == f"etdb get {SITE}records/{record['id']}"
    compile(_code(record, "python"), "<page>", "exec")


def test_without_content_there_are_no_addresses() -> None:
    record = make_record(1, cid=None)

    assert link.key_image(record, "large") == ""
    assert _code(record, "curl") == ""
    assert link.key_image(_with_image("../x.jpg"), "large") == ""


def _with_image(name: str) -> dict[str, object]:
    return make_record(1, key_image={"large": name, "medium": None, "small": None})
