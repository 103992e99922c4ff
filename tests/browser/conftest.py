"""Chromium, and a site with real pictures for it to look at."""

from __future__ import annotations

import contextlib
import functools
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, Request, sync_playwright

from etdb.store.inplace import InPlaceStore
from etdb.testing.catalogue import (
    MemoryCatalogue,
    make_edited,
    make_history,
    make_record,
)
from etdb.web.app import Site, create_app
from etdb.web.server import running

FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
HOSTILE = "<script>document.title = 'ran'</script><img src=x onerror=alert(1)>"
PROGRAM = b"document.title = 'ran'"


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """One Chromium for all tests."""
    program = shutil.which("chromium")
    if program is None:
        said = "Chromium is missing: apt-get install chromium"
        if os.environ.get("CI") == "true":
            pytest.fail(said)
        pytest.skip(said)
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=program, args=FLAGS)
        yield chromium
        chromium.close()


@dataclass
class Watch:
    """What a page did that nobody should have to notice."""

    errors: list[str] = field(default_factory=list)
    hosts: set[str] = field(default_factory=set)

    def follow(self, page: Page) -> None:
        """Listen from now on."""
        page.on("console", lambda said: self._hear(said.type, said.text))
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("request", lambda request: self.hosts.add(request.url.split("/")[2]))

    def _hear(self, kind: str, text: str) -> None:
        if kind in {"error", "warning"}:
            self.errors.append(text)


@dataclass(frozen=True)
class Served:
    """A site that is up: its address, and the parts to serve it otherwise."""

    url: str
    site: Site
    program_url: str


@dataclass(frozen=True)
class Visit:
    """What one look at one page showed."""

    errors: tuple[str, ...]
    hosts: frozenset[str]
    size_bytes: int
    scroll_width: int
    unlabelled_pictures: int


OpenPage = Callable[..., Page]


@pytest.fixture
def watch() -> Watch:
    """What the pages of this test did."""
    return Watch()


@pytest.fixture
def open_page(browser: Browser, watch: Watch) -> Iterator[OpenPage]:
    """A page of a width and a colour scheme, watched."""
    with contextlib.ExitStack() as stack:

        def open_(width: int = 1280, **options: Any) -> Page:
            size = {"width": width, "height": 900}
            context = browser.new_context(viewport=size, **options)  # type: ignore[arg-type]
            stack.callback(context.close)
            page = context.new_page()
            watch.follow(page)
            return page

        yield open_


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A site of some records: usual, without pictures, hostile, withdrawn."""
    folder = tmp_path_factory.mktemp("site")
    with InPlaceStore.create(folder / "store.sqlite") as store:
        tree = store.add_tree(_make_files(folder / "lab"))
        cid = str(tree.root)
        usual = [make_record(number, cid=cid) for number in range(30)]
        records = [
            *usual,
            make_record(
                50, cid=cid, key_image=dict.fromkeys(("large", "medium", "small"))
            ),
            _make_hostile(cid),
            make_record(
                52, withdrawn={"by": "oA", "time": 1_773_600_000, "reason": "wrong"}
            ),
            make_edited(53, 3, cid=cid),
        ]
        hostile = records[31]
        histories = {hostile["id"]: _make_hostile_history(hostile)}
        site = Site(
            catalogue=MemoryCatalogue(
                records, [_make_rejected(n) for n in range(3)], histories
            ),
            store=store,
            name="Test lab",
            version="0",
            status=_status,
            banner="All data here are synthetic.",
        )
        with running(create_app(site)) as url:
            program = tree.files["program.js"].cid
            yield Served(url, site, f"/ipfs/{program}?filename=program.js")


@pytest.fixture(scope="session")
def visit(browser: Browser, served: Served) -> Callable[[str, int, str], Visit]:
    """Look at a page in a width and a colour scheme; once for all tests."""

    @functools.cache
    def look(path: str, width: int, scheme: Any) -> Visit:
        size = {"width": width, "height": 900}
        context = browser.new_context(viewport=size, color_scheme=scheme)  # type: ignore[arg-type]
        with contextlib.closing(context):
            page, watch, sizes = context.new_page(), Watch(), list[int]()
            watch.follow(page)
            page.on("requestfinished", lambda request: sizes.append(_weigh(request)))
            page.goto(served.url + path, wait_until="networkidle")
            return Visit(
                tuple(watch.errors),
                frozenset(watch.hosts),
                sum(sizes),
                page.evaluate("document.documentElement.scrollWidth"),
                page.evaluate(
                    "[...document.images].filter("
                    "i => !i.alt || !i.getAttribute('width')).length"
                ),
            )

    return look


def _weigh(request: Request) -> int:
    """The bytes of an answer's body, pictures left out."""
    answer = request.response()
    if answer is None or "image/jpeg" in answer.headers.get("content-type", ""):
        return 0
    return len(answer.body())


def _make_files(folder: Path) -> dict[str, Path]:
    (folder / "raw").mkdir(parents=True)
    picture = Image.radial_gradient("L")
    files = {}
    for name, size in (("", 1024), ("_m", 512), ("_s", 160)):
        path = folder / f"keyimg_s1{name}.jpg"
        picture.resize((size, size)).save(path)
        files[path.name] = path
    contents = {
        "tomogram.mrc": bytes(range(256)) * 8192,
        "raw/tilt series.st": bytes(4096),
        "raw/tilt series.st.mdoc": b"PixelSpacing = 4.21\n",
        "program.js": PROGRAM,
        "page.html": b"<script>" + PROGRAM + b"</script>",
    }
    for name, content in contents.items():
        files[name] = folder / name
        files[name].write_bytes(content)
    return files


def _make_hostile(cid: str) -> dict[str, Any]:
    record = make_record(51, cid=cid, title=HOSTILE, description=HOSTILE)
    record["details"] |= {"species": HOSTILE, "notes": HOSTILE, "strain": "x" * 300}
    record["files"] += [{**record["files"][0], "name": f"{HOSTILE}{'y' * 300}"}]
    record["other"] = {HOSTILE: HOSTILE}
    return record


def _make_hostile_history(record: dict[str, Any]) -> dict[str, Any]:
    (version,) = make_history(record)["versions"]
    edit = {**version, "number": 2, "by_name": HOSTILE, "changes": [HOSTILE, "x" * 300]}
    states = ("current", "fork", "pending", "refused")
    old = {**version, "action": "edit", "says": f"replace {HOSTILE}{'z' * 300}"}
    return make_history(
        record,
        versions=[
            {**edit, "id": 32 * f"{n:02}", "state": s} for n, s in enumerate(states)
        ],
        count=2,
        refused=5,
        old=[old],
        old_count=2,
    )


def _make_rejected(number: int) -> dict[str, Any]:
    return {
        "ledger": "c0" * 32,
        "height": 112,
        "position": number,
        "txid": "ee" * 32,
        "time": 1_773_600_000,
        "code": "R7",
        "reason": HOSTILE,
    }


def _status() -> dict[str, Any]:
    ledger = {"id": "c0" * 32, "kind": "embedded", "height": 111, "hash": "ab" * 32}
    pending = {"action": "edit", "sid": "s" * 200, "since": 1_773_600_000}
    wallet = {
        "address": "o" * 34,
        "balance_sat": 1_250_000_000,
        "immature_sat": 1,
        "fee_sat_per_kb": 10_000,
        "records_left": 1240,
    }
    problem = f"block 90 was {'aa' * 32} and is {'bb' * 32}"
    return {
        "records": 32,
        "rejected": 3,
        "files": 8,
        "file_bytes": 3_000_000,
        "stale_files": ["/disk/a very long name of a file that has changed.mrc"],
        "ledgers": [
            {**ledger, "time": 1_773_600_000, "messages": 40, "problem": problem}
            | {"tip_height": 112, "lag": 1, "first_height": 1}
        ],
        "publishing": {"pending": [pending], "wallet": wallet},
    }
