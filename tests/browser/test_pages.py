"""Every page in Chromium: nothing breaks, nothing leaves, everything fits."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Page, expect

pytestmark = pytest.mark.browser

GOOD = (
    "/",
    "/records",
    "/records?view=table",
    "/records?q=nothing+like+this",
    "/records/01abab",
    "/records/32abab",
    "/records/33abab",
    "/records/34abab",
    "/records/35abab",
    "/records/3501cd",
    "/records/01abab/history",
    "/records/33abab/history",
    "/records/35abab/history",
    "/status",
    "/rejected",
    "/about",
    "/api/docs",
)
WRONG = ("/records?q=%22open", "/records/ffffffff", "/nowhere")
PHONE = 390


LOOKS = ((1280, "light"), (PHONE, "dark"))


@pytest.mark.parametrize("look", LOOKS)
@pytest.mark.parametrize("path", [*GOOD, *WRONG])
def test_a_page_has_no_errors_and_keeps_its_policy(
    visit: Any, path: str, look: tuple[int, str]
) -> None:
    errors = {error.split(":")[0] for error in visit(path, *look).errors}

    assert errors <= ({"Failed to load resource"} if path in WRONG else set())


@pytest.mark.parametrize("look", LOOKS)
@pytest.mark.parametrize("path", [*GOOD, *WRONG])
def test_a_page_asks_no_other_host(
    served: Any, visit: Any, path: str, look: tuple[int, str]
) -> None:
    assert visit(path, *look).hosts == {served.url.removeprefix("http://")}


@pytest.mark.parametrize("look", LOOKS)
@pytest.mark.parametrize("path", [*GOOD, *WRONG])
def test_a_page_needs_no_scrolling_to_the_side(
    visit: Any, path: str, look: tuple[int, str]
) -> None:
    assert visit(path, *look).scroll_width <= look[0]


@pytest.mark.parametrize("path", [*GOOD, *WRONG])
def test_a_page_is_light_without_its_pictures(visit: Any, path: str) -> None:
    assert visit(path, *LOOKS[0]).size_bytes < 60_000


@pytest.mark.parametrize("path", GOOD)
def test_every_picture_says_what_it_shows_and_has_a_size(visit: Any, path: str) -> None:
    assert visit(path, *LOOKS[0]).unlabelled_pictures == 0


def test_pictures_come_in_the_size_they_are_shown(served: Any, open_page: Any) -> None:
    page = open_page(PHONE)

    page.goto(f"{served.url}/records", wait_until="networkidle")

    image = page.locator(".tile img").first
    assert image.evaluate("i => i.currentSrc").endswith(".jpg")
    assert image.evaluate("i => i.naturalWidth") <= 512
    assert page.locator("img[loading=lazy]").count() > 10


def test_the_record_page_shows_its_key_image(served: Any, open_page: Any) -> None:
    page = open_page()

    page.goto(f"{served.url}/records/01abab", wait_until="networkidle")

    assert page.locator(".light-box img").evaluate("i => i.naturalWidth") >= 512


def test_a_slash_moves_into_the_search_box(served: Any, open_page: Any) -> None:
    page = open_page()
    page.goto(f"{served.url}/records?q=cholerae")

    page.keyboard.press("/")
    page.keyboard.type("vesicles")
    page.keyboard.press("Enter")

    page.wait_for_url("**/records?q=vesicles")
    expect(page.get_by_role("heading", name="No record matches")).to_be_visible()


def test_a_search_without_javascript_can_be_mailed_and_gone_back_to(
    served: Any, open_page: Any
) -> None:
    page = open_page(java_script_enabled=False)
    page.goto(f"{served.url}/")
    page.get_by_role("searchbox").fill("cholerae")
    page.get_by_role("button", name="Search").click()
    page.get_by_role("link", name="table", exact=True).click()
    assert page.url.endswith("/records?q=cholerae&sort=newest&view=table")

    page.get_by_role("rowheader").first.get_by_role("link").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Vibrio cholerae")
    page.go_back()

    assert page.get_by_role("searchbox").input_value() == "cholerae"


def test_the_ways_to_get_a_dataset_need_no_javascript_and_no_mouse(
    served: Any, open_page: Any
) -> None:
    page = open_page(java_script_enabled=False)
    page.goto(f"{served.url}/records/01abab#get")
    expect(page.get_by_text("curl -fL -C -")).to_be_hidden()

    page.get_by_label("etdb get").focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")

    expect(page.get_by_text("curl -fL -C -")).to_be_visible()
    expect(page.get_by_role("button", name="Copy")).to_have_count(0)


def test_the_cid_is_copied(served: Any, open_page: Any) -> None:
    page = open_page(permissions=["clipboard-read", "clipboard-write"])
    page.goto(f"{served.url}/records/01abab")

    page.locator(".whole button").click()

    expect(page.locator(".whole button")).to_have_text("Copied")
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied == served.site.catalogue.get_record("01abab")["cid"]


def test_the_focus_can_be_seen_on_every_stop(served: Any, open_page: Any) -> None:
    page = open_page()
    page.goto(f"{served.url}/records/01abab")

    for _ in range(12):
        page.keyboard.press("Tab")
        assert _has_outline(page)


def test_from_a_former_version_to_what_was_changed_and_back(
    served: Any, open_page: Any
) -> None:
    page = open_page(java_script_enabled=False)
    page.goto(f"{served.url}/records/3502cd")
    expect(page.get_by_text("You asked for version 3 of 4")).to_be_visible()

    page.get_by_role("link", name="the history").click()
    version = page.get_by_role("listitem").filter(has_text="Version 3")
    expect(version).to_be_in_viewport()
    expect(version).to_contain_text("Strain:")

    page.get_by_role("link", name="Polar flagellum and sheath").click()
    expect(page.get_by_role("link", name="history (3 edits)")).to_be_visible()


def _has_outline(page: Page) -> bool:
    """The focused element, or the label of a radio button, is outlined."""
    return bool(
        page.evaluate(
            """() => {
              const at = document.activeElement;
              const shown = at.type === "radio" ? at.nextElementSibling : at;
              return getComputedStyle(shown).outlineStyle !== "none";
            }"""
        )
    )


def test_a_file_is_downloaded_under_its_name(served: Any, open_page: Any) -> None:
    page = open_page()
    page.goto(f"{served.url}/records/01abab")
    row = page.get_by_role("row").filter(has_text="tomogram.mrc")

    with page.expect_download() as started:
        row.get_by_role("link", name="download").click()

    download = started.value
    assert download.suggested_filename == "tomogram.mrc"
    assert download.path().read_bytes() == bytes(range(256)) * 8192


def test_the_listing_is_browsed_and_downloaded_from(
    served: Any, open_page: Any, watch: Any
) -> None:
    page = open_page()
    page.goto(f"{served.url}/records/01abab")
    page.locator(".whole a").click()
    page.get_by_role("link", name="raw/", exact=True).click()
    expect(page.get_by_role("heading", name="Index of")).to_be_visible()

    with page.expect_download() as started:
        page.get_by_role("link", name="tilt series.st", exact=True).click()

    assert started.value.path().read_bytes() == bytes(4096)
    assert watch.errors == []
