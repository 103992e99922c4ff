"""Pages say what the record says, escaped, and what went wrong, in words."""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from jinja2 import Environment

from etdb.testing.catalogue import (
    MemoryCatalogue,
    make_edited,
    make_history,
    make_record,
)
from etdb.web import present

ServeSite = Callable[..., httpx.Client]

HOSTILE = "<script>ran = 1</script><img src=x onerror=ran=1>\"' {{ 7 * 7 }}"
BANNER = "All data here are synthetic."
PATHS = (
    "/",
    "/records",
    "/records?view=table",
    "/records?q=nothing+like+this",
    "/records?q=%22open",
    "/records/01abab",
    "/records/02abab",
    "/records/03abab",
    "/records/08abab",
    "/records/07abab",
    "/records/0701cd",
    "/records/01abab/history",
    "/records/02abab/history",
    "/records/07abab/history",
    "/records/08abab/history",
    "/records/00abab/history",
    "/records/00abab",
    "/records/ffffffff",
    "/records?view=sideways",
    "/status",
    "/rejected",
    "/about",
    "/api/docs",
    "/nowhere",
)


def _hostile_record() -> dict[str, Any]:
    text = dict.fromkeys(present.SPECS, HOSTILE)
    file = {
        "name": HOSTILE,
        "display_name": HOSTILE,
        "size_bytes": None,
        "role": HOSTILE,
        "media_type": HOSTILE,
        "software": HOSTILE,
        "notes": HOSTILE,
        "cid": HOSTILE,
        "facts": {HOSTILE: HOSTILE},
    }
    return make_record(
        2,
        cid=HOSTILE,
        title=HOSTILE,
        description=HOSTILE,
        tags=HOSTILE,
        publisher={"address": HOSTILE, "name": HOSTILE},
        details={
            **text,
            "tilt_min_deg": -60.0,
            "tilt_max_deg": 1e300,
            "voltage_kv": 0.0,
        }
        | dict.fromkeys(
            (
                "dose_e_per_a2",
                "defocus_um",
                "tilt_step_deg",
            ),
            None,
        ),
        files=[file],
        key_image={"large": HOSTILE, "medium": HOSTILE, "small": HOSTILE},
        checks=[{"name": HOSTILE, "holds": True, "says": HOSTILE}],
        other={HOSTILE: {HOSTILE: [HOSTILE]}},
    )


def _bare_record() -> dict[str, Any]:
    return make_record(
        3,
        title=None,
        tags=None,
        cid=None,
        timestamp=None,
        published=None,
        publisher={"address": "oA", "name": None},
        details={},
        files=[],
        size_bytes=0,
        file_count=0,
        key_image=dict.fromkeys(("large", "medium", "small")),
        anchor=None,
        anchors=[],
        checks=[],
        versions=[],
    )


def _hostile_history(record: dict[str, Any]) -> dict[str, Any]:
    """Every state, every text that others choose, and more than is listed."""
    (version,) = make_history(record)["versions"]
    texts = {"by": HOSTILE, "by_name": HOSTILE, "ledger": HOSTILE}
    versions = [
        {**version, **texts, "number": number, "state": state, "changes": changes}
        for number, (state, changes) in enumerate(
            [
                ("root", []),
                ("superseded", [HOSTILE] * 30),
                ("superseded", []),
                ("current", None),
                ("fork", [HOSTILE]),
                ("pending", None),
                ("refused", None),
                (HOSTILE, None),
            ],
            1,
        )
    ]
    old = [
        {**version, **texts, "action": HOSTILE, "says": HOSTILE, "by": by}
        for by in (HOSTILE, None)
    ]
    return make_history(
        record,
        versions=versions,
        count=500,
        is_cut=True,
        pending=1,
        refused=31,
        old=old,
        old_count=51,
    )


def _status() -> dict[str, Any]:
    ledger = {"id": HOSTILE, "kind": HOSTILE, "height": 7, "hash": HOSTILE}
    return {
        "records": 56,
        "rejected": 60,
        "stale_files": [HOSTILE],
        "lab": HOSTILE,
        "publisher": HOSTILE,
        "ledgers": [
            {**ledger, "time": 0, "messages": 0, "problem": HOSTILE},
            {**ledger, "height": None, "time": None, "messages": 0},
        ],
        "publishing": {
            "pending": [{"action": HOSTILE, "sid": HOSTILE, "since": HOSTILE}],
            "wallet": {"address": HOSTILE, "records_left": None, "balance_sat": None},
        },
    }


@pytest.fixture(scope="module")
def site(serve_site: ServeSite) -> httpx.Client:
    records = [make_record(0), make_record(1), _hostile_record(), _bare_record()]
    edited = make_edited(7, 2)
    histories = {
        records[2]["id"]: _hostile_history(records[2]),
        edited["id"]: make_history(edited),
    }
    records += [make_record(number) for number in range(20, 70)]
    records.append(make_record(9, id="00abab" + "cd" * 29))
    records.append(
        make_record(8, withdrawn={"by": "oA", "time": 1_773_600_000, "reason": HOSTILE})
    )
    records.append(edited)
    rejected = [
        {
            "ledger": HOSTILE,
            "height": 112,
            "position": number,
            "txid": HOSTILE,
            "time": 1_773_600_000,
            "code": "B1",
            "reason": HOSTILE,
        }
        for number in range(60)
    ]
    return serve_site(
        catalogue=MemoryCatalogue(records, rejected, histories),
        name=HOSTILE,
        banner=BANNER + HOSTILE,
        status=_status,
    )


@pytest.mark.parametrize("path", PATHS)
def test_nothing_that_a_ledger_says_becomes_markup(
    site: httpx.Client, path: str
) -> None:
    answer = site.get(path)
    text = answer.text

    assert answer.status_code < 500
    assert "<script>ran" not in text
    assert "<img src=x" not in text
    assert "{{ 7 * 7 }}" in html.unescape(text)
    (script,) = re.findall(r"<script[^>]*>", text)
    assert 'src="/static/etdb.js"' in script


@pytest.mark.parametrize("path", PATHS)
def test_every_page_carries_the_banner_and_its_own_nonce(
    site: httpx.Client, path: str
) -> None:
    first, second = site.get(path), site.get(path)

    assert BANNER in first.text
    nonces = [re.findall(r'nonce="([^"]+)"', one.text) for one in (first, second)]
    assert nonces[0] != nonces[1]
    policy = first.headers["content-security-policy"]
    assert f"script-src 'nonce-{html.unescape(nonces[0][0])}'" in policy
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy


@pytest.mark.parametrize("path", PATHS)
def test_every_page_is_light_and_loads_nothing_from_elsewhere(
    site: httpx.Client, path: str
) -> None:
    text = site.get(path).text

    assert len(text.encode()) < 60_000
    loaded = re.findall(r'(?:src|srcset|action)="([^"]*)"', text)
    loaded += re.findall(r'<link[^>]*href="([^"]*)"', text)
    assert loaded
    assert all(url.startswith("/") and not url.startswith("//") for url in loaded)


@pytest.mark.parametrize("path", PATHS)
def test_headings_labels_and_alt_texts_are_there(site: httpx.Client, path: str) -> None:
    text = site.get(path).text

    assert len(re.findall("<h1", text)) == 1
    assert all("alt=" in tag for tag in re.findall(r"<img[^>]*>", text))
    assert all("width=" in tag for tag in re.findall(r"<img[^>]*>", text))
    for field in re.findall(r'<input id="(\w+)"', text):
        assert f'<label class="hidden" for="{field}"' in text


def test_without_hostile_text_escaped_it_would_be_markup() -> None:
    template = "<p>{{ title }}</p>"
    unsafe = Environment(autoescape=False).from_string(template)  # the twin

    assert "<script>ran" in unsafe.render(title=HOSTILE)


def test_the_front_page_counts_and_shows_the_newest(site: httpx.Client) -> None:
    text = site.get("/").text

    assert "<b>56</b> records" in text
    assert text.count('class="tile"') == 24


def test_an_empty_node_says_so(serve_site: ServeSite) -> None:
    empty = serve_site()

    for path in ("/", "/records"):
        assert "Nothing is published here yet" in empty.get(path).text
    assert "Nothing was refused" in empty.get("/rejected").text


def test_a_search_keeps_its_words_its_order_and_its_view(site: httpx.Client) -> None:
    params = {"q": 'species:"Vibrio cholerae"', "sort": "oldest", "view": "table"}

    text = site.get("/records", params=params).text

    assert 'value="species:&#34;Vibrio cholerae&#34;"' in text
    assert 'name="sort" value="oldest"' in text
    assert 'name="view" value="table"' in text


def test_pages_lead_on_to_the_last_and_back_to_the_first(site: httpx.Client) -> None:
    path, seen = "/records?view=table&sort=oldest", set()
    for _ in range(2):
        text = site.get(path).text
        seen |= set(re.findall(r'href="/records/(\w{64})"', text))
        following = re.findall(r'rel="next" href="([^"]+)"', text)
        path = html.unescape(following[0]) if following else ""

    assert len(seen) == 56
    assert path == ""
    assert "First page" in text


def test_a_search_without_results_offers_a_way_on(site: httpx.Client) -> None:
    answer = site.get("/records?q=nothing+like+this")

    assert answer.status_code == 200
    assert "No record matches" in answer.text


def test_a_wrong_query_keeps_the_words_and_points_at_the_place(
    site: httpx.Client,
) -> None:
    answer = site.get("/records", params={"q": 'Vibrio "open'})

    assert answer.status_code == 422
    assert 'value="Vibrio &#34;open"' in answer.text
    assert "the quote at character 8 is never closed" in answer.text
    assert "Vibrio &#34;open\n       ↑</pre>" in answer.text
    assert "invalid-data" in answer.text


def test_a_record_shows_its_fields_files_and_proof(site: httpx.Client) -> None:
    text = site.get("/records/01abab").text

    for shown in (
        "<i>Vibrio cholerae</i>",
        "−60° … 60°",
        '0<span class="unit">e⁻/Å²</span>',
        "27,500",
        "synthetic",
        "tilt series",
        "42.1 MB",
        "bafybeiczsscdsbs7ffqz55asqdf3smv6klcw3gofszvwlyarci47bgf354",
        "curl -fL -C -",
        "etdb get http://127.0.0.1:",
        "Content signature: covers every field",
        "not verified",
        "/api/records/01abab",
    ):
        assert shown in text, shown


def test_a_record_that_says_next_to_nothing_has_a_page(site: httpx.Client) -> None:
    answer = site.get("/records/03abab")

    assert answer.status_code == 200
    for said in ("species not stated", "untitled", "lists no files", "no ledger"):
        assert said in answer.text


def test_a_withdrawn_record_shows_only_that(site: httpx.Client) -> None:
    text = site.get("/records/08abab").text

    assert "This record was withdrawn" in text
    assert "2026-03-15" in text
    assert "Vibrio" not in text
    assert "tomogram.mrc" not in text


def test_a_record_says_how_often_it_was_edited_and_leads_to_its_history(
    site: httpx.Client,
) -> None:
    edited, never = (site.get(f"/records/{name}").text for name in ("07abab", "01abab"))

    assert "history (2 edits)</a>" in edited
    assert re.search(r'href="/records/07abab\w{58}/history"', edited)
    assert "Signed, metadata and files" in edited
    assert "What is shown is version 3, an edit" in edited
    assert ">history</a>" in never


def test_a_superseded_version_shows_the_current_one_and_says_so(
    site: httpx.Client,
) -> None:
    former, current, first = (
        site.get(f"/records/{name}").text for name in ("0701cd", "0702cd", "07abab")
    )

    assert "You asked for version 2 of 3" in former
    assert "You asked for" not in current + first


def test_the_history_says_who_when_where_and_what(site: httpx.Client) -> None:
    text = site.get("/records/07abab/history").text

    for shown in (
        "3 versions, each signed",
        'Version 3 <span class="state">current',
        'Version 1 <span class="state">superseded',
        "Sample lab",
        "block 113 of",
        "Strain: &#34;O395-N3&#34; → &#34;O395&#34;",
        "The first version.",
        "/versions",
    ):
        assert shown in text, shown
    assert text.index("Version 3") < text.index("Version 1")
    assert "Without effect" not in text


def test_what_has_no_effect_is_shown_apart(site: httpx.Client) -> None:
    text = site.get("/records/02abab/history").text
    stands, without = text.split('id="without"')
    without, old = without.split('id="old"')

    assert "fork" in stands
    assert "only one can stand" in stands
    assert "The newest 6 are listed" in stands
    assert "and 20 more lines" in stands
    assert "are too long" in stands
    assert "pending" in without
    assert "has not been seen yet" in without
    assert "30 further messages" in without
    assert "decoded, without effect" in old
    assert "which is not verified" in old
    assert "The first 2 of 51" in old


def test_a_record_that_was_never_edited_says_so(site: httpx.Client) -> None:
    assert "never edited" in site.get("/records/01abab/history").text


def test_the_history_of_a_withdrawn_record_shows_only_that(site: httpx.Client) -> None:
    text = site.get("/records/08abab/history").text

    assert "This record was withdrawn" in text
    assert "Version" not in text
    assert "Vibrio" not in text


def test_an_ambiguous_id_lists_what_it_may_be(site: httpx.Client) -> None:
    answer = site.get("/records/00abab")

    assert answer.status_code == 409
    assert len(re.findall(r'href="/records/00abab\w{58}"', answer.text)) == 2


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/records/ffffffff", 404, "not-found"),
        ("/nowhere", 404, "not-found"),
        ("/records?view=sideways", 422, "invalid-data"),
    ],
)
def test_a_page_says_the_same_as_the_json(
    site: httpx.Client, path: str, status: int, code: str
) -> None:
    page, twin = site.get(path), site.get(f"/api{path}")

    assert page.status_code == status
    assert f"{status} · {code}" in page.text
    if twin.status_code == status:
        message = twin.json()["error"]["message"]
        assert html.escape(message) in page.text


def test_a_person_at_the_gateway_gets_a_page(site: httpx.Client) -> None:
    person = site.get("/ipfs/nonsense", headers={"Accept": "text/html,*/*"})
    program = site.get("/ipfs/nonsense")

    assert person.status_code == program.status_code == 400
    assert "<h1>" in person.text
    assert program.json()["error"]["code"] == "invalid-data"


def test_pages_answer_head(site: httpx.Client) -> None:
    for path in ("/", "/records", "/records/01abab", "/status"):
        answer = site.head(path)
        assert (answer.status_code, answer.content) == (200, b"")


def test_the_style_and_the_script_are_ours_and_confined(site: httpx.Client) -> None:
    for path in ("/static/etdb.css", "/static/etdb.js", "/static/icon.svg"):
        answer = site.get(path)

        assert answer.status_code == 200
        assert "http" not in answer.text.replace("http://www.w3.org/2000/svg", "")
        assert answer.headers["x-content-type-options"] == "nosniff"
    assert site.get("/static/../app.py").status_code == 404
    assert site.get("/static/%2e%2e/app.py").status_code == 404
