"""The demo's page in a real browser: it shows its numbers, fetches nothing, and fits a phone, light and dark."""

from __future__ import annotations

import io
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from holdfast.ledger import Ledger
from holdfast.report import RunReport
from holdfast.rounding import radius_text

pytestmark = pytest.mark.browser
ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-component-update",
    "--disable-sync",
]  # fmt: skip
SIZES = {"screen": (1280, 800), "phone": (360, 740), "small phone": (320, 568)}


@dataclass
class Seen:
    """A page, and what the browser did and said while it was open."""

    page: Any
    dark: bool
    requests: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A headless Chromium, the system's own."""
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if program is None:
        pytest.skip("no chromium here: apt-get install chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=program, args=ARGUMENTS)
        yield chromium
        chromium.close()


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


def test_the_page_shows_its_numbers_and_fetches_nothing(seen: Seen, report: RunReport, demo: Path) -> None:
    page = seen.page
    assert page.title() == "holdfast demo: certified digits"
    shown = page.inner_text("body")
    for name, value in report.headline():
        assert re.search(rf"{re.escape(name)}\s+{re.escape(value)}", shown), name
    for row in report.table():
        assert re.search(r"\s+".join(map(re.escape, row)), shown), row
    assert fits(page)

    inputs = page.locator("details table")
    assert not inputs.is_visible()
    page.get_by_text(f"{len(report.results)} inputs").click()
    assert inputs.is_visible()
    cells = [row.split("\t") for row in inputs.inner_text().splitlines() if row.strip()][1:]
    assert [[cell.strip() for cell in row][:4] for row in cells] == [
        [str(c.index), str(label), "abstain" if c.abstained else str(c.label), radius_text(c.radius_sq_px)]
        for label, c in report.results
    ]
    assert fits(page)
    assert seen.errors == []
    assert seen.requests == [(demo / "out" / "report.html").as_uri()]


def luminance(colour: Any) -> float:
    """Relative luminance of a colour of three bytes, as in WCAG."""
    linear = [v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in (int(c) / 255 for c in colour)]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize(
    ("selector", "style", "contrast"),
    [("body", "color", 7), ("td", "color", 7), ("svg text", "fill", 7), (".curve", "stroke", 3)],
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
    box = seen.page.locator(".curve").bounding_box()
    assert box["width"] > 120
    assert box["height"] > 50


def test_no_label_of_the_drawing_is_cut_off(seen: Seen) -> None:
    whole, labels = seen.page.locator("svg").bounding_box(), seen.page.locator("svg text")
    assert labels.count() == 13
    for box in (labels.nth(i).bounding_box() for i in range(13)):
        assert box["x"] >= whole["x"]
        assert box["x"] + box["width"] <= whole["x"] + whole["width"]
        assert box["y"] + box["height"] <= whole["y"] + whole["height"] + 1


def test_the_curve_is_drawn_where_the_numbers_are(browser: Any, demo: Path, report: RunReport) -> None:
    """The corners of the line, read back from the drawing through its own axis labels."""
    page = browser.new_page()
    page.goto((demo / "out" / "report.html").as_uri())
    points = [tuple(map(float, p.split(","))) for p in page.get_attribute(".curve", "points").split()]
    labels = page.eval_on_selector_all(
        "svg text", "all => all.map(t => [t.textContent, +t.getAttribute('x'), +t.getAttribute('y')])"
    )
    up = {float(text): y - 4 for text, x, y in labels if x < 50 and re.fullmatch(r"[\d.]+", text)}
    across = [(float(text), x) for text, x, y in labels if y > 330 and re.fullmatch(r"[\d.]+", text)]
    scale_y, scale_x = up[0.0] - up[1.0], across[-1][1] - across[0][1]
    for (x, y), (radius, accuracy) in zip(points, report.curve(), strict=True):
        assert abs((up[0.0] - y) / scale_y - accuracy) < 0.002
        assert abs((x - across[0][1]) / scale_x * across[-1][0] - radius) < 0.001
    page.close()
