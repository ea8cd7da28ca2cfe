"""The demo's page in a real browser: it shows its numbers, fetches nothing, and fits a phone, light and dark."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from holdfast.ledger import Ledger
from holdfast.report import RunReport
from holdfast.report.inputs import input_rows
from holdfast.report.tables import metric_table, overview_rows

pytestmark = pytest.mark.browser
SIZES = {"screen": (1280, 800), "phone": (360, 740), "small phone": (320, 568)}


@dataclass
class Seen:
    """A page, and what the browser did and said while it was open."""

    page: Any
    dark: bool
    requests: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)


@pytest.fixture(scope="module", params=[(scheme, size) for scheme in ("light", "dark") for size in SIZES], ids="-".join)
def seen(request: pytest.FixtureRequest, browser: Any, demo: Path) -> Iterator[Seen]:
    """The page of the demo, opened from the disk."""
    scheme, size = request.param
    width, height = SIZES[size]
    context = browser.new_context(
        color_scheme=scheme, viewport={"width": width, "height": height}, is_mobile="phone" in size, offline=True
    )
    page = context.new_page()
    seen = Seen(page, scheme == "dark")
    page.on("request", lambda made: seen.requests.append(made.url))
    page.on("console", lambda said: seen.errors.append(said.text) if said.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: seen.errors.append(str(error)))
    page.goto((demo / "out" / "report.html").as_uri())
    yield seen
    context.close()


@pytest.fixture(scope="module")
def report(demo: Path) -> RunReport:
    with Ledger(demo / "out" / "digits.ledger") as ledger:
        (run,) = ledger.runs()
        return RunReport(run, tuple((e.label, e.certificate) for e in ledger.entries(run)))


def fits(page: Any) -> bool:
    """Nobody has to scroll the page sideways."""
    return bool(page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth"))


def cells(table: Any) -> list[list[str]]:
    """Texts of the cells of a table's body, by row."""
    return table.evaluate("t => [...t.tBodies[0].rows].map(r => [...r.cells].map(c => c.textContent))")  # type: ignore[no-any-return]


def test_the_page_shows_its_numbers_and_fetches_nothing(seen: Seen, report: RunReport, demo: Path) -> None:
    page = seen.page
    assert page.title() == "holdfast demo: certified digits"
    assert cells(page.locator("table.numbers").first) == [list(row) for row in overview_rows([report])]
    assert fits(page)

    folded = page.locator("details").first
    assert not folded.locator("table").is_visible()
    page.get_by_text("certified accuracy at each radius, in numbers").click()
    assert folded.locator("table").is_visible()
    assert cells(folded.locator("table")) == metric_table([report], "certified accuracy")[1]
    assert fits(page)

    shown = [row[1:] for row in cells(page.locator(".inputs table"))]
    assert shown == [list(row) for row in input_rows(report)], "digits have no names, so rows are those of other forms"
    assert page.locator(".inputs tbody img").count() == len(report.results)
    assert page.get_by_text("MACs of convolutions").is_visible()
    assert seen.errors == []
    assert [url for url in seen.requests if not url.startswith("data:")] == [(demo / "out" / "report.html").as_uri()]


def luminance(colour: Any) -> float:
    """Relative luminance of a colour of three bytes, as in WCAG."""
    linear = [v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in (int(c) / 255 for c in colour)]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize(
    ("selector", "style", "contrast"),
    [("body", "color", 7), ("td", "color", 7), ("svg text", "fill", 7), ("polyline.curve", "stroke", 3)],
)
def test_text_and_curve_can_be_read(selector: str, style: str, contrast: float, seen: Seen) -> None:
    page = seen.page
    picture = np.asarray(Image.open(io.BytesIO(page.screenshot())).convert("RGB"))
    background = luminance(picture[-1, 0])
    assert (background < 0.1) == seen.dark
    colour = page.eval_on_selector(selector, f"element => getComputedStyle(element).{style}")
    lighter, darker = sorted((luminance(re.findall(r"[0-9]+", colour)[:3]), background), reverse=True)
    assert (lighter + 0.05) / (darker + 0.05) >= contrast, colour


def test_the_curve_is_large_enough(seen: Seen) -> None:
    box = seen.page.locator("polyline.curve").bounding_box()
    assert box["width"] > 120
    assert box["height"] > 50


@pytest.mark.parametrize("drawing", [".plot > svg", ".bars > svg"])
def test_no_label_of_a_drawing_is_cut_off(drawing: str, seen: Seen) -> None:
    svg = seen.page.locator(drawing).first
    whole, labels = svg.bounding_box(), svg.locator("text")
    assert labels.count() >= 9
    for box in (labels.nth(i).bounding_box() for i in range(labels.count())):
        assert box["x"] >= whole["x"]
        assert box["x"] + box["width"] <= whole["x"] + whole["width"]
        assert box["y"] >= whole["y"]
        assert box["y"] + box["height"] <= whole["y"] + whole["height"] + 1


def test_no_labels_of_the_drawing_lie_over_each_other(seen: Seen) -> None:
    boxes = [label.bounding_box() for label in seen.page.locator(".plot > svg > text").all()]
    assert len(boxes) == 14
    for i, a in enumerate(boxes):
        for b in boxes[:i]:
            apart = a["x"] + a["width"] <= b["x"] + 1 or b["x"] + b["width"] <= a["x"] + 1
            assert apart or a["y"] + a["height"] <= b["y"] + 3 or b["y"] + b["height"] <= a["y"] + 3


def test_the_curve_is_drawn_where_the_numbers_are(browser: Any, demo: Path, report: RunReport) -> None:
    """The corners of the line, read back from the drawing through its own axis labels."""
    page = browser.new_page()
    page.goto((demo / "out" / "report.html").as_uri())
    points = [tuple(map(float, p.split(","))) for p in page.get_attribute("polyline.curve", "points").split()]
    labels = page.eval_on_selector_all(
        ".plot > svg > text", "all => all.map(t => [t.textContent, +t.getAttribute('x'), +t.getAttribute('y')])"
    )
    page.close()
    numbers = [(float(text), x, y) for text, x, y in labels if re.fullmatch(r"[\d.]+", text)]
    up = {number: y - 4 for number, x, y in numbers if x < 64}
    across = sorted((number, x) for number, x, y in numbers if y > 320)
    scale_y, scale_x = up[0.0] - up[1.0], (across[-1][1] - across[0][1]) / across[-1][0]
    drawn = [((x - across[0][1]) / scale_x, (up[0.0] - y) / scale_y) for x, y in points]
    for x, y in report.curve():
        assert min(abs(x - a) + abs(y - b) for a, b in drawn) < 0.003
    for x, y in drawn:
        assert min(abs(x - a) + abs(y - b) for a, b in report.curve()) < 0.003
