"""`etdb-downloads`: the original's command line, and none of its faults."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from etdb.cli.downloads import Asked, parse_words, run
from etdb.cli.terminal import UsageError
from etdb.client import shelf
from etdb.client.shelf import MANIFEST
from etdb.errors import InvalidDataError, UnavailableError
from etdb.record.canonical import digest_of, parse_message_text
from etdb.record.oip042 import read_envelope
from etdb.store.directory import build_tree
from etdb.store.unixfs import UNIXFS_V1_2025
from etdb.testing.catalogue import make_record
from etdb.testing.gateway import FakeGateway, Fault
from etdb.testing.records import Author
from etdb.testing.store import MemoryStore

CONTENTS = {
    "rawdata/ts.st": b"tilt " * 500_000,
    "3dimage_1/vol.rec": b"volume " * 1_000,
    "keyimg_1.jpg": b"image",
    "keymov_1.mp4": b"movie",
    "keyimg_1_s.jpg": b"thumbnail",
    "file_7/x": b"x",
}
ROLES = {
    "rawdata/ts.st": ("tiltSeries", "../../escape.st"),
    "3dimage_1/vol.rec": ("reconstruction", "Volume.rec"),
    "keyimg_1.jpg": ("keyimg", None),
    "keymov_1.mp4": ("keymov", "volume.REC"),
    "keyimg_1_s.jpg": ("thumbnail", None),
    "file_7/x": ("other", ".hidden"),
}


class Lab:
    """A gateway with signed records, and a folder to work in."""

    def __init__(self, folder: Path, gateway: FakeGateway, store: MemoryStore) -> None:
        self.folder = folder
        self.gateway = gateway
        self.store = store
        self.wholes: list[dict[str, Any]] = []

    def publish(
        self, species: str, root: object, changes: Any = None
    ) -> dict[str, Any]:
        author = Author()
        rows = [
            {"type": "tomogram", "subtype": role, "fname": name}
            | ({"dname": shown} if shown else {})
            for name, (role, shown) in ROLES.items()
        ]
        storage = {"network": "ipfs", "location": str(root), "files": rows}
        artifact = author.artifact({"speciesName": species}, storage=storage)
        text = author.publish(artifact)
        body = read_envelope(parse_message_text(text)).body
        whole = make_record(len(self.wholes) + 1) | {
            "id": digest_of("publish", body),
            "text": text,
            "artifact": body,
            **(changes or {}),
        }
        self.wholes.append(whole)
        page = {"total": 1, "results": self.wholes, "next": None}
        self.gateway.answers["/api/records"] = page
        self.gateway.answers[f"/api/records/{whole['id']}"] = whole
        return whole

    def asked(self, query: object = None, **changes: Any) -> Asked:
        path = self.folder / "query.json"
        path.write_text(json.dumps([] if query is None else query))
        known: dict[str, Any] = {
            "query": path,
            "types": frozenset(),
            "folder": self.folder / "got",
            "threads": 2,
            "url": self.gateway.url,
            "node": self.folder / "no-node",
            "yes": True,
        }
        return Asked(**{**known, **changes})

    def got(self) -> dict[str, bytes]:
        top = self.folder / "got"
        return {
            path.relative_to(top).as_posix(): path.read_bytes()
            for path in sorted(top.rglob("*"))
            if path.is_file() and path.parent != top
        }


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    store = MemoryStore()
    with FakeGateway(store) as gateway:
        yield Lab(tmp_path, gateway, store)


@pytest.fixture
def root(lab: Lab) -> str:
    return str(lab.store.add_tree(CONTENTS))


def species(wanted: str) -> list[object]:
    return [
        {
            "type": "filter",
            "searchOn": "artifact.details.speciesName",
            "searchType": "contains",
            "searchFor": wanted,
        }
    ]


def test_files_stand_under_location_and_safe_display_name(lab: Lab, root: str) -> None:
    lab.publish("Vibrio cholerae", root)

    assert run(lab.asked())

    assert lab.got() == {
        f"{root}/ts.st": CONTENTS["rawdata/ts.st"],
        f"{root}/Volume.rec": CONTENTS["3dimage_1/vol.rec"],
        f"{root}/keyimg_1.jpg": CONTENTS["keyimg_1.jpg"],
        f"{root}/keymov_1.mp4": CONTENTS["keymov_1.mp4"],
        f"{root}/keyimg_1_s.jpg": CONTENTS["keyimg_1_s.jpg"],
        f"{root}/x": CONTENTS["file_7/x"],
    }
    assert not list(lab.folder.glob("*.st"))


def test_without_the_check_a_name_would_leave_the_folder(
    lab: Lab, root: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab.publish("Vibrio cholerae", root)
    monkeypatch.setattr(shelf, "_is_safe", lambda name: True)

    run(lab.asked())

    assert (lab.folder / "escape.st").read_bytes() == CONTENTS["rawdata/ts.st"]


def test_the_manifest_and_the_records_stand_beside_them(lab: Lab, root: str) -> None:
    whole = lab.publish("Vibrio cholerae", root)

    run(lab.asked())

    lines = (lab.folder / "got" / MANIFEST).read_text().splitlines()
    assert sorted(lines) == sorted(f"{root} : {name}" for name in CONTENTS)
    kept = json.loads((lab.folder / "got" / "metadata.json").read_text())
    assert [record["text"] for record in kept] == [whole["text"]]


@pytest.mark.parametrize(
    ("types", "names"),
    [
        ({"TiltSeries"}, {"ts.st"}),
        ({"Reconstructions", "Videos"}, {"Volume.rec", "keymov_1.mp4"}),
        ({"Images"}, {"keyimg_1.jpg"}),
        ({"Others"}, {"x"}),
    ],
)
def test_only_files_of_the_types_asked_for(
    lab: Lab, root: str, types: set[str], names: set[str]
) -> None:
    lab.publish("Vibrio cholerae", root)

    assert run(lab.asked(types=frozenset(types)))

    # Without Reconstructions nothing has the name that keymov's folds to.
    found = {name.rpartition("/")[2] for name in lab.got()}
    assert found == names


def test_only_records_that_the_query_selects(lab: Lab, root: str) -> None:
    lab.publish("Vibrio cholerae", root)
    other = str(lab.store.add_tree({"notes.txt": b"other"}))
    lab.publish("Caulobacter", other)

    assert run(lab.asked(species("Caulo")))

    assert lab.got() == {f"{other}/notes.txt": b"other"}


def test_none_says_what_there_is_and_writes_nothing(
    lab: Lab, root: str, capsys: pytest.CaptureFixture[str]
) -> None:
    lab.publish("Vibrio cholerae", root)

    assert run(lab.asked(types=frozenset({"None"})))

    assert "1 record, 6 files, 2.5 MB; nothing was fetched" in capsys.readouterr().err
    assert not (lab.folder / "got").exists()


def test_the_same_again_fetches_nothing(
    lab: Lab, root: str, capsys: pytest.CaptureFixture[str]
) -> None:
    lab.publish("Vibrio cholerae", root)
    run(lab.asked())
    lab.gateway.requests.clear()

    assert run(lab.asked())

    assert "6 of 6 files are in" in capsys.readouterr().err
    assert not any(" bytes=" in line for line in lab.gateway.requests)


def test_a_manifest_is_not_believed_without_the_bytes(lab: Lab, root: str) -> None:
    lab.publish("Vibrio cholerae", root)
    run(lab.asked())
    wrong = lab.folder / "got" / root / "ts.st"
    wrong.write_bytes(b"tilt! " + CONTENTS["rawdata/ts.st"][6:])

    assert run(lab.asked())

    assert wrong.read_bytes() == CONTENTS["rawdata/ts.st"]


def test_a_file_of_somebody_s_own_is_left_alone(
    lab: Lab, root: str, capsys: pytest.CaptureFixture[str]
) -> None:
    lab.publish("Vibrio cholerae", root)
    own = lab.folder / "got" / root / "ts.st"
    own.parent.mkdir(parents=True)
    own.write_bytes(b"somebody's own")

    assert not run(lab.asked())

    assert own.read_bytes() == b"somebody's own"
    assert "1 of 6 files failed" in capsys.readouterr().err


def test_a_link_does_not_lead_out_of_the_folder(lab: Lab, root: str) -> None:
    lab.publish("Vibrio cholerae", root)
    outside = lab.folder / "outside"
    outside.mkdir()
    (lab.folder / "got").mkdir()
    (lab.folder / "got" / root).symlink_to(outside)

    assert not run(lab.asked())

    assert list(outside.iterdir()) == []


def test_a_lie_is_named_and_the_rest_is_fetched(
    lab: Lab, root: str, capsys: pytest.CaptureFixture[str]
) -> None:
    lab.publish("Vibrio cholerae", root)
    cid = lab.store.add_bytes(CONTENTS["rawdata/ts.st"]).cid
    lab.gateway.faults.append(Fault("lie", on=f"{cid}", at=70))

    assert not run(lab.asked())

    assert f"{root}/ts.st" not in lab.got()
    assert len(lab.got()) == 5
    assert "does not match" in capsys.readouterr().err


def test_a_record_that_is_not_to_be_believed_is_left_out_and_said(
    lab: Lab, root: str, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = lab.publish("Vibrio cholerae", root)
    whole["text"] = whole["text"].replace("cholerae", "fischeri")

    assert not run(lab.asked())

    assert f"left out: record {whole['id']}" in capsys.readouterr().err
    assert not (lab.folder / "got").exists()


def test_two_records_of_the_same_files_fetch_them_once(lab: Lab, root: str) -> None:
    lab.publish("Vibrio cholerae", root)
    lab.publish("Vibrio fischeri", root)

    assert run(lab.asked())

    assert len(lab.got()) == 6


def test_nobody_to_ask_is_an_error(lab: Lab, root: str) -> None:
    lab.publish("Vibrio cholerae", root)

    with pytest.raises(UsageError, match="not a terminal"):
        run(lab.asked(yes=False))


@pytest.mark.parametrize("content", [b"[", b"\xff\xfe", b"[1]"])
def test_a_query_that_cannot_be_read_is_refused(lab: Lab, content: bytes) -> None:
    asked = lab.asked()
    asked.query.write_bytes(content)

    with pytest.raises(InvalidDataError):
        run(asked)


def test_a_query_that_is_not_there_is_an_error(lab: Lab) -> None:
    with pytest.raises(UnavailableError, match="cannot read"):
        run(replace(lab.asked(), query=lab.folder / "none.json"))


def test_the_original_s_arguments_are_understood() -> None:
    words = ["--fileType", "TiltSeries", "Images", "--directory", "d", "--threads"]

    asked = parse_words([*words, "3", "q.json"])

    assert asked.types == {"TiltSeries", "Images"}
    assert (asked.folder, asked.threads, asked.query) == (Path("d"), 3, Path("q.json"))
    assert parse_words(["--fileType", "None", "q.json"]).is_dry
    assert parse_words(["--fileType", "None", "Images", "q"]).types == {"Images"}
    assert parse_words(["q.json"]).folder.name.startswith("etdb-download-")


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["--fileType", "Images"],
        ["--fileType", "Imges", "Images", "q.json"],
        ["q.json", "--threads", "0"],
    ],
)
def test_wrong_words_are_a_usage_error(words: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        parse_words(words)

    assert ended.value.code == 2


def test_without_room_nothing_is_begun(lab: Lab) -> None:
    huge = {"huge.st": lab.store.add_repeated(bytes(1 << 20), levels=3)}
    lab.publish("Vibrio", build_tree(huge, UNIXFS_V1_2025, lab.store.put).cid)

    with pytest.raises(UnavailableError, match="has room for"):
        run(lab.asked())

    assert not (lab.folder / "got").exists()


def test_a_gateway_that_lies_is_named_and_asked_no_more(
    lab: Lab,
    root: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    other = {"ts.st": b"other " * 500_000}
    lab.publish("Vibrio cholerae", root)
    lab.publish("Caulobacter", lab.store.add_tree(other))
    for content in (CONTENTS["rawdata/ts.st"], other["ts.st"]):
        cid = lab.store.add_bytes(content).cid
        lab.gateway.faults.append(Fault("status", on=str(cid), at=404))
    with (
        FakeGateway(lab.store, faults=[Fault("lie")]) as liar,
        FakeGateway(lab.store) as honest,
    ):
        monkeypatch.setenv("ETDB_GET_GATEWAYS", f"{liar.url},{honest.url}")
        assert run(lab.asked(threads=1))

    assert capsys.readouterr().err.count(f"dropped: {liar.url}: ") == 1
    assert len(liar.requests) == 1


@pytest.fixture
def command(lab: Lab) -> Callable[..., subprocess.CompletedProcess[str]]:
    def run_it(*words: str) -> subprocess.CompletedProcess[str]:
        code = "from etdb.cli.downloads import main; main()"
        return subprocess.run(
            [sys.executable, "-c", code, *words],
            check=False,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            cwd=lab.folder,
            env={**os.environ, "ETDB_FROM": lab.gateway.url, "ETDB_NODE": "none"},
            timeout=60,
        )

    return run_it


def test_its_exit_status_says_how_it_ended(
    lab: Lab, root: str, command: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    lab.publish("Vibrio cholerae", root)
    lab.asked(species("Vibrio"))

    done = command("--yes", "--directory", "got", "query.json")
    (lab.folder / "got" / root / "x").unlink()
    (lab.folder / "got" / root / "x").mkdir()
    some = command("--yes", "--directory", "got", "query.json")
    refused = command("--directory", "got", "query.json")

    assert (done.returncode, some.returncode, refused.returncode) == (0, 9, 2)
    assert "6/6" in done.stderr
    assert "repeat with --yes" in refused.stderr


def test_ctrl_c_does_not_wait_for_a_server_that_says_nothing(
    lab: Lab, root: str
) -> None:
    lab.publish("Vibrio cholerae", root)
    lab.asked()
    large = str(lab.store.add_bytes(CONTENTS["rawdata/ts.st"]).cid)
    lab.gateway.faults.append(Fault("status", on=large, at=404))
    code = "from etdb.cli.downloads import main; main()"
    words = ("--yes", "--directory", "got", "query.json")
    # Heads wait in its buffer for bytes that are not due for days.
    with FakeGateway(lab.store, rate_bytes_s=1.0) as silent:
        process = subprocess.Popen(
            [sys.executable, "-c", code, *words],
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            cwd=lab.folder,
            env={
                **os.environ,
                "ETDB_FROM": lab.gateway.url,
                "ETDB_NODE": "none",
                "ETDB_GET_GATEWAYS": silent.url,
            },
        )
        while not any(large in line for line in silent.requests):
            time.sleep(0.01)
        begun = time.monotonic()
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)

    assert process.returncode == 130
    assert "stopped" in said
    assert time.monotonic() - begun < 10


def test_a_query_file_may_begin_with_a_byte_order_mark(lab: Lab, root: str) -> None:
    lab.publish("Vibrio cholerae", root)
    asked = lab.asked(species("Vibrio"), types=frozenset({"Images"}))
    asked.query.write_text(json.dumps(species("Vibrio")), encoding="utf-8-sig")

    assert run(asked)

    assert f"{root}/keyimg_1.jpg" in lab.got()


@pytest.mark.parametrize("words", [["q.json", "--directory", ""], [""]])
def test_an_empty_path_is_a_usage_error(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        parse_words(words)

    assert stopped.value.code == 2
    assert "an empty path" in capsys.readouterr().err
