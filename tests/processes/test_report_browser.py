"""The report in a real browser: what it shows, and that nothing on record can become code.

Skipped where there is no browser, or no Playwright (extra "browser").
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from prunner.report.page import report_html
from prunner.sessions.records import RunRecord
from tests.sample_records import HOSTILE, failed_run, sample_run, sample_session

pytest.importorskip("plotly", reason="plotly is not installed: extra 'browser'")
playwright = pytest.importorskip(
    "playwright.sync_api", reason="playwright is not installed: extra 'browser'"
)

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "msedge")
RUNS = {
    "5 nodes": sample_run(5, 2, names=HOSTILE[:5]),
    "2,000 nodes": failed_run(2000, 8, names=HOSTILE),
}
# Drawing thousands of bars once more takes a second, and shows nothing new.
FEW = pytest.mark.parametrize("report", ["5 nodes"], indirect=True, scope="module")
# What is below 4.5 to 1 is hard to read for many people (WCAG 2, criterion 1.4.3).
CONTRAST = """
() => {
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const rgb = colour => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = colour;
    canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const light = ([r, g, b]) => [r, g, b].map(each => each / 255)
    .map(c => c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = element => {
    for (let each = element; each; each = each.parentElement) {
      const colour = rgb(getComputedStyle(each).backgroundColor);
      if (colour[3] === 255) return colour;
    }
    return [255, 255, 255];
  };
  const found = {};
  for (const element of document.querySelectorAll("main *, footer")) {
    // Only what has text of its own that is shown.
    const texts = [...element.childNodes].filter(each => each.nodeType === Node.TEXT_NODE);
    if (!texts.some(each => each.data.trim()) || !element.getClientRects().length) continue;
    const style = getComputedStyle(element);
    const ink = rgb(element.closest("svg") ? style.fill : style.color);
    const [one, two] = [light(ink), light(behind(element))];
    const ratio = (Math.max(one, two) + 0.05) / (Math.min(one, two) + 0.05);
    const name = element.tagName.toLowerCase();
    found[name] = Math.min(found[name] ?? 99, ratio);
  }
  return found;
}
"""
BARS = """
() => [...document.querySelectorAll("#timeline .barlayer .trace")]
  .map(trace => trace.querySelectorAll(".point").length)
"""


SAVED = """
() => [...document.querySelectorAll("#timeline .barlayer .trace:nth-child(4) .point path")]
  .reduce((sum, bar) => sum + bar.getBBox().width, 0)
"""
WIDTH = "document.getElementById('timeline')._fullLayout.xaxis._length"
COLOURS = """
() => (({ backgroundColor, color }) => [backgroundColor, color])(getComputedStyle(document.body))
"""
RANGE = "document.getElementById('timeline')._fullLayout.xaxis.range"
# The chart follows with an event.
FOLLOWED = """
() => getComputedStyle(document.querySelector("#timeline .xtick text")).fill
  === getComputedStyle(document.body).color
"""


def find_browser() -> str | None:
    chosen = os.environ.get("PRUNNER_TEST_BROWSER")
    return chosen or next(filter(None, map(shutil.which, BROWSERS)), None)


@dataclass
class Opened:
    """A page, and what it did that it should not."""

    page: Any
    run: RunRecord
    faults: list[str] = field(default_factory=list)

    def watch(self) -> None:
        self.page.on("pageerror", lambda error: self.faults.append(f"error: {error}"))
        self.page.on("console", lambda message: self.faults.append(f"console: {message.text}"))
        self.page.on("dialog", self._dialog)
        self.page.on("request", self._request)

    def _dialog(self, dialog: Any) -> None:
        self.faults.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    def _request(self, request: Any) -> None:
        if not request.url.startswith("file:"):
            self.faults.append(f"request: {request.url}")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    path = find_browser()
    if path is None:
        pytest.skip(f"no browser: none of {', '.join(BROWSERS)}, nor PRUNNER_TEST_BROWSER")
    with playwright.sync_playwright() as driver:
        found = driver.chromium.launch(executable_path=path)
        yield found
        found.close()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("reports")


def opened(browser: Any, path: Path, run: RunRecord) -> Opened:
    path.write_bytes(report_html(run, sample_session(run)).encode())
    page = browser.new_page(viewport={"width": 1400, "height": 900}, color_scheme="light")
    shown = Opened(page, run)
    shown.watch()
    page.goto(path.as_uri())
    return shown


@pytest.fixture(scope="module", params=list(RUNS))
def report(request: pytest.FixtureRequest, browser: Any, folder: Path) -> Iterator[Opened]:
    """Opened once: most of the time goes into the 5 MB of Plotly."""
    shown = opened(browser, folder / f"{request.param}.html", RUNS[request.param])
    yield shown
    shown.page.close()


def test_there_are_as_many_bars_as_nodes_have_parts(report):
    nodes = [node for node in report.run.nodes if node.started is not None]
    parts = [
        len(nodes),
        sum(len(node.loads) for node in nodes),
        sum(node.run_seconds is not None for node in nodes),
        sum(len(node.saves) for node in nodes),
        sum(len(node.tries) for node in nodes),
    ]
    assert report.page.evaluate(BARS) == parts
    failed = sum(node.error is not None for node in nodes)
    assert report.page.locator("#timeline .scatterlayer .point").count() == failed
    assert report.page.locator("#timeline .scatterlayer .trace").count() == 5 + bool(failed)
    assert report.page.evaluate("document.querySelectorAll('tr').length") < 60
    # As long as they lasted, also where that is less than a pixel.
    pixels = report.page.evaluate(SAVED) / report.page.evaluate(WIDTH)
    lasted = sum(node.save_seconds for node in nodes) / (report.run.seconds or 1) / 1.02
    assert pixels == pytest.approx(lasted, rel=0.1)


def test_names_are_shown_as_they_are(report):
    assert report.page.evaluate("document.scripts.length") == 3
    assert (
        report.page.evaluate(
            "document.querySelectorAll('main :is(a, b, img):not(.modebar *)').length"
        )
        == 0
    )
    # Over its bar, with Plotly's own reading of tags and templates.
    wanted = (
        "<script>alert(1)</script>",
        "<b>bold</b><img src=x onerror=alert(3)>",
        "and %{x} and",
    )
    for number, name in zip((0, 2, 3), wanted, strict=True):
        point = f"[{{curveNumber: 0, pointNumber: {number}}}]"
        report.page.evaluate(f"Plotly.Fx.hover('timeline', {point})")
        report.page.wait_for_function(
            "name => document.querySelector('.hoverlayer').textContent.includes(name)", arg=name
        )
    report.page.evaluate("Plotly.Fx.unhover('timeline')")


def test_both_colour_schemes_can_be_read(report):
    page, colours = report.page, {}
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        page.wait_for_function(FOLLOWED)
        contrast = page.evaluate(CONTRAST)
        assert {"h1", "h2", "p", "td", "th", "text"} <= set(contrast)
        assert min(contrast.values()) >= 4.5, (scheme, contrast)
        colours[scheme] = page.evaluate(COLOURS)
    assert all(one != other for one, other in zip(*colours.values(), strict=True))


@FEW
def test_a_zoom_stays_when_colours_change(report):
    page = report.page
    page.emulate_media(color_scheme="light")
    page.wait_for_function(FOLLOWED)
    _zoom(page)
    zoomed = page.evaluate(RANGE)
    page.emulate_media(color_scheme="dark")
    page.wait_for_function(FOLLOWED)
    assert page.evaluate(RANGE) == zoomed


def _zoom(page: Any) -> None:
    """Drag the mouse over a part of the timeline."""
    page.locator("#timeline").scroll_into_view_if_needed()
    box = page.locator("#timeline .nsewdrag").first.bounding_box()
    across = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + box["width"] * 0.3, across)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.6, across, steps=3)
    page.mouse.up()
    page.wait_for_function(f"() => {RANGE}[0] > 0")


@FEW
def test_nothing_sideways_where_there_is_little_room(report):
    report.page.set_viewport_size({"width": 500, "height": 800})
    report.page.wait_for_function(
        "() => document.querySelector('#timeline .main-svg').clientWidth <= 500"
    )
    assert report.page.evaluate("document.documentElement.scrollWidth") <= 500


def test_the_chart_offers_nothing_that_leaves_the_machine(report):
    titles = report.page.eval_on_selector_all(
        ".modebar-btn", "all => all.map(each => each.dataset.title)"
    )
    assert len(titles) == 6
    assert not [each for each in titles if "hare" in each or "loud" in each or "dit" in each]


def test_whoever_sees_no_chart_gets_it_in_words(report):
    chart = report.page.locator("#timeline")
    assert "Timeline of" in chart.get_attribute("aria-label")
    assert report.page.locator("#timeline svg.main-svg:not([aria-hidden])").count() == 0
    assert report.page.locator("h1").count() == 1
    assert report.page.locator("table thead th[scope=col]").count() > 5
    assert report.page.locator("html[lang]").count() == 1


def test_nothing_went_wrong_and_nothing_was_fetched(report):
    # Last: what came before had the page redrawn in every way.
    assert report.faults == []
