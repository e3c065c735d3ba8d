"""The report in Chromium: it draws every figure, asks for nothing, fits, and is accessible."""

import importlib.util
import json
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from made_up_study import MadeUpStudy
from read_page import HOSTILE

from orchestrator.report.serve import LivePage, listening
from orchestrator.report.study_page import write_report

CHROMIUM = next((path for path in map(shutil.which, ("chromium", "google-chrome")) if path), None)
MISSING = [
    name
    for name, found in (
        ("Chromium (apt-get install chromium)", CHROMIUM),
        ("playwright", importlib.util.find_spec("playwright")),
        ("axe-playwright-python", importlib.util.find_spec("axe_playwright_python")),
    )
    if not found
]
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(bool(MISSING), reason=f"needs {' and '.join(MISSING)}"),
]
VIEWS = [(width, scheme) for width in (1280, 390) for scheme in ("light", "dark")]
DRAWN = "html[data-drawn=all]"
# What a page that comes back to its tab does, and how a page is looked at.
ASK = "document.dispatchEvent(new Event('visibilitychange'))"
LOOKED_AT = """() => ({
  top: document.querySelectorAll('h3')[9].getBoundingClientRect().top,
  open: [...document.querySelectorAll('details')].map(each => each.open),
  off: [...document.querySelectorAll('.legend button')].map(each => each.ariaPressed),
  theme: document.documentElement.dataset.theme,
})"""
SERIOUS = ("serious", "critical")


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A page whose class names are hostile and long, in a folder with an awkward name."""
    classes = ("<script>alert(1)</script>", "a & b", "%{x} $y$", "d" * 200)
    folder = tmp_path_factory.mktemp("études d'images #1")
    (path,) = write_report(MadeUpStudy(classes=classes).write(folder))
    return path.as_uri()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.mark.parametrize(("width", "scheme"), VIEWS)
def test_every_figure_is_drawn_and_nothing_is_asked_for(
    browser: Any, address: str, width: int, scheme: str
) -> None:
    said, asked = [], []
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
    page = context.new_page()
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    page.goto(address)
    page.wait_for_selector(DRAWN, state="attached", timeout=120_000)
    assert said == []
    assert asked == [address]
    panels, drawn = (
        page.locator(f".panel{inside}").count() for inside in ("", " > .js-plotly-plot, .main-svg")
    )
    assert panels > 15
    assert drawn >= panels
    assert page.evaluate("[...document.querySelectorAll('.panel')].every(p => p._fullData.length)")
    assert page.evaluate("document.documentElement.scrollWidth") == width
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert ground == ("rgb(255, 255, 255)" if scheme == "light" else "rgb(20, 23, 28)")
    context.close()


def test_the_theme_and_the_legend_are_switched_by_keyboard(browser: Any, address: str) -> None:
    context = browser.new_context(color_scheme="light")
    page = context.new_page()
    page.goto(address)
    page.wait_for_selector(DRAWN, state="attached", timeout=120_000)
    page.locator("#theme").press("Enter")
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
    colour = "document.querySelector('[data-figure=best-so-far].panel')._fullData[0].line.color"
    assert page.evaluate(colour) == "#5cb3ee"
    first = page.locator(".legend button[data-figure=best-so-far]").first
    first.press("Space")
    assert first.get_attribute("aria-pressed") == "false"
    shown = "document.querySelector('[data-figure=best-so-far].panel')._fullData[0].visible"
    assert page.evaluate(shown) is False
    context.close()


def test_a_table_is_sorted_searched_and_saved(browser: Any, address: str, tmp_path: Path) -> None:
    context = browser.new_context(viewport={"width": 1280, "height": 900}, accept_downloads=True)
    page = context.new_page()
    page.goto(address)
    page.evaluate("for (const each of document.querySelectorAll('details')) each.open = true")
    table = page.locator("#differences-1")
    shown = "rows => rows.filter(r => !r.hidden).map(r => parseFloat(r.cells[2].textContent))"
    rows = table.locator("tbody tr")
    before = rows.evaluate_all(shown)
    for expected in (sorted(before), sorted(before, reverse=True)):
        table.get_by_role("button", name="points [95% interval]").press("Enter")
        assert rows.evaluate_all(shown) == expected
    page.get_by_label("Search in: Differences in test accuracy at train fraction 1").fill(
        "cnn baseline"
    )
    left = rows.evaluate_all("rows => rows.filter(r => !r.hidden).map(r => r.textContent)")
    assert 0 < len(left) < len(before)
    assert all("cnn baseline" in text for text in left)
    with page.expect_download() as download:
        page.locator("a[download='differences-1.csv']").click()
    download.value.save_as(tmp_path / "saved.csv")
    saved = pd.read_csv(tmp_path / "saved.csv")
    assert (100 * saved["accuracy"]).round(2).tolist() == before
    context.close()


@pytest.mark.parametrize("width", [390, 1280])
def test_no_table_is_cut(browser: Any, address: str, width: int) -> None:
    context = browser.new_context(viewport={"width": width, "height": 900})
    page = context.new_page()
    page.goto(address)
    page.evaluate("for (const each of document.querySelectorAll('details')) each.open = true")
    cut = "tables => tables.filter(t => t.scrollWidth > t.clientWidth + 1).map(t => t.ariaLabel)"
    tables = page.locator(".scroll")
    assert tables.count() > 30
    assert tables.evaluate_all(cut) == []
    assert page.evaluate("document.documentElement.scrollWidth") == width
    context.close()


def test_on_paper_the_page_is_light_whatever_is_preferred(browser: Any, address: str) -> None:
    context = browser.new_context(color_scheme="dark", viewport={"width": 750, "height": 1060})
    page = context.new_page()
    page.emulate_media(media="print")
    page.goto(address)
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert ground == "rgb(255, 255, 255)"
    context.close()


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_axe_finds_nothing_serious(browser: Any, address: str, width: int, scheme: str) -> None:
    import axe_playwright_python

    axe = Path(axe_playwright_python.__file__).with_name("axe.min.js")
    context = browser.new_context(
        viewport={"width": width, "height": 900}, color_scheme=scheme, bypass_csp=True
    )
    page = context.new_page()
    page.goto(address)
    page.wait_for_selector(DRAWN, state="attached", timeout=120_000)
    page.evaluate("for (const each of document.querySelectorAll('details')) each.open = true")
    page.evaluate(axe.read_text(encoding="utf-8"))
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    assert len(found["passes"]) > 20
    assert [each["id"] for each in found["violations"] if each["impact"] in SERIOUS] == []
    context.close()


@pytest.mark.parametrize("width", [390, 1280])
def test_a_served_page_shows_news_as_it_was_looked_at(
    browser: Any, tmp_path: Path, width: int
) -> None:
    folder = MadeUpStudy(classes=HOSTILE).write(tmp_path)
    now = [0.0]
    with listening(LivePage(str(folder), lambda: now[0]), 0) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            context = browser.new_context(
                viewport={"width": width, "height": 900}, reduced_motion="reduce"
            )
            page = context.new_page()
            said: list[str] = []
            page.on("console", lambda message: said.append(message.text))
            page.on("pageerror", lambda error: said.append(str(error)))
            page.goto(f"http://127.0.0.1:{server.server_port}/")
            page.wait_for_selector(DRAWN, state="attached", timeout=120_000)
            page.locator("#theme").press("Enter")
            page.locator(".legend button[data-figure=best-so-far]").first.press("Space")
            for number in (3, 7):
                page.locator("details").nth(number).evaluate("each => each.open = true")
            page.evaluate(
                "document.querySelectorAll('h3')[9].scrollIntoView({behavior: 'instant'})"
            )
            before = page.evaluate(LOOKED_AT)
            content = json.loads((folder / "study.json").read_text())
            for step in (1, 2):  # nothing drifts from one to the next
                name = f"news {step}"
                (folder / "study.json").write_text(json.dumps({**content, "name": name}))
                now[0] += 15
                page.evaluate(ASK)
                page.get_by_text(name).first.wait_for(timeout=120_000)
                page.wait_for_selector(DRAWN, state="attached", timeout=120_000)
                after = page.evaluate(LOOKED_AT)
                assert abs(after.pop("top") - before["top"]) < 2
                assert after == {key: value for key, value in before.items() if key != "top"}
            assert page.evaluate("document.documentElement.scrollWidth") == width
            assert said == []
        finally:
            server.shutdown()
            thread.join()
    page.evaluate(ASK)
    page.get_by_text("and no more: nobody answers here").wait_for(timeout=60_000)
    context.close()
