"""`holdfast report` as its user meets it: the command, and its page in a real browser with runs, published results, hostile
names and ten thousand inputs."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from holdfast.certify import new_run
from holdfast.ledger import Ledger
from holdfast.records import Certificate, ImportedResult, ImportedRun, Run
from holdfast.report import ImportedReport, RunReport, html_report
from holdfast.report.content import percent_text
from holdfast.report.inputs import input_rows

HOSTILE = "</script><script>alert(1)</script>\"'><img src=x onerror=alert(2)>${alert(3)}<svg onload=alert(4)>"
MANY = 10_000
ROWS = 50
"""Rows of inputs that are in the document at a time."""


def published(name: str = "theirs") -> ImportedRun:
    results = tuple(ImportedResult(i, i % 3, (i % 3) if i % 4 else -1, "0.31" if i % 4 else "0") for i in range(60))
    return ImportedRun(name=name, source="t.tsv", source_digest="e" * 64, data="digits", sigma="0.15", results=results)


@pytest.fixture
def ours(filled: Path, tmp_path: Path) -> Path:
    """A ledger with a run of twelve digits and published results."""
    path = tmp_path / "ours.ledger"
    path.write_bytes(filled.read_bytes())
    with Ledger(path) as ledger:
        ledger.add_imported(published())
    return path


@pytest.fixture
def opened(browser: Any) -> Iterator[Callable[..., Any]]:
    """Opens a file as a page that collects what went wrong; after the test nothing may have."""
    contexts, wrong = [], []

    def open_page(path: Path, **settings: Any) -> Any:
        context = browser.new_context(offline=True, **settings)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda said: wrong.append(said.text) if said.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("dialog", lambda dialog: (wrong.append(dialog.message), dialog.dismiss()))
        page.on("request", lambda made: None if made.url.startswith("data:") else requests.append(made.url))
        page.goto(path.as_uri())
        return page

    requests: list[str] = []
    yield open_page
    assert wrong == []
    assert all(url.startswith("file:") and url.endswith(".html") for url in requests)
    assert len(requests) == len(contexts)
    for context in contexts:
        context.close()


def cells(page: Any) -> list[list[str]]:
    """Texts of the table of inputs, without pictures."""
    rows = page.locator(".inputs tbody").evaluate("b => [...b.rows].map(r => [...r.cells].map(c => c.textContent))")
    pictures = page.locator(".inputs thead th").count() == 9
    return [row[1:] if pictures else row for row in rows]


def made_up(brightness: Callable[..., Any], count: int, **changes: Any) -> RunReport:
    """A run with many inputs of different outcomes."""
    run = new_run(
        brightness("38.25"), data="digits test", data_digest="d" * 64, n0=10, n=1000, alpha="0.001", nonce="00" * 32
    )
    run = replace(run, nonce_given=False, **changes)
    draw = np.random.default_rng(3)
    radii = draw.integers(-2500, 9000, count).clip(-1)
    labels = draw.integers(0, 3, (count, 2))
    return RunReport(run, tuple(_result(run, i, int(k), *map(int, labels[i])) for i, k in enumerate(radii)))


def _result(run: Run, index: int, radius_sq: int, true_label: int, label: int) -> tuple[int, Certificate]:
    share = (index * 7919 % 1000) / 1000
    p_lower = 0.5 + share / 2.001 if radius_sq >= 0 else share / 2.001
    votes = int(1000 * p_lower)
    counts = tuple(votes if c == label else (1000 - votes) * (c == (label + 1) % 3) for c in range(3))
    certificate = Certificate(
        run=run.id, index=index, digest="a" * 64, label=label, radius_sq_px=radius_sq, p_lower=p_lower,
        p_upper=1 - p_lower, selection_counts=(10, 0, 0), counts=counts,
    )  # fmt: skip
    return true_label, certificate


# The command


def test_the_command_writes_a_page_and_says_what_is_in_it(
    holdfast: Callable[..., Any], ours: Path, digits_model: Path, tmp_path: Path
) -> None:
    answer = holdfast(
        "report", ours, "--out", tmp_path / "r.html", "--out", tmp_path / "c.svg", "--out", tmp_path / "all", "--model",
        digits_model,
    )  # fmt: skip
    assert answer.code == 0, answer.err
    assert "digits test, sigma 0.15, n = 300: 12 inputs" in answer.out
    assert "theirs (imported, not re-checkable): 60 inputs, 15 abstained" in answer.out
    assert f"wrote {tmp_path / 'r.html'}\n" in answer.out
    assert (tmp_path / "r.html").read_text() == (tmp_path / "all" / "report.html").read_text()
    assert "MACs of convolutions" in (tmp_path / "r.html").read_text()
    assert len(list((tmp_path / "all").iterdir())) == 13


def test_without_out_it_is_a_page_here(
    holdfast: Callable[..., Any], filled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert holdfast("report", filled, "--no-pictures").out.endswith("wrote report.html\n")
    text = (tmp_path / "report.html").read_text()
    assert "<img" not in text
    assert '"pictures":{}' in text


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--out", "report.pdf"], "give a file that ends in .html, .md, .csv, .svg, .png, or a folder"),
        (["--run", "zz"], "no run 'zz'"),
        (["--model", "nowhere.safetensors"], "nowhere.safetensors"),
        (["--data", "nowhere.npz"], "nowhere.npz"),
        (["--out", "no/such/folder/r.html"], "no/such/folder"),
    ],
)
def test_a_mistake_is_one_line(
    options: list[str], said: str, holdfast: Callable[..., Any], filled: Path, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    assert said in holdfast("report", filled, *options).error
    assert list(tmp_path.iterdir()) == []


def test_another_network_than_the_runs_is_refused(
    holdfast: Callable[..., Any], filled: Path, demo: Path, tmp_path: Path
) -> None:
    answer = holdfast("report", filled, "--out", tmp_path / "r.html", "--model", demo / "out" / "digits.safetensors")
    assert "no run here is about" in answer.error
    assert not (tmp_path / "r.html").exists()


# The page


@pytest.fixture
def page_of(tmp_path: Path) -> Callable[..., Path]:
    """Writes a page of runs and published results."""

    def write(*runs: RunReport, imported: tuple[ImportedRun, ...] = (), title: str = "title") -> Path:
        path = tmp_path / "page.html"
        path.write_text(html_report(title, runs, [ImportedReport(known, "a.ledger") for known in imported]))
        return path

    return write


def curves_of(page: Any) -> tuple[Any, list[str]]:
    """The drawing, and at which radii it is read out."""
    readings = json.loads(page.get_attribute("figure.plot", "data-readings"))
    return page.locator("figure.plot > svg"), readings["at"]


def read_out(page: Any) -> tuple[str, list[str]]:
    return page.inner_text(".legend .at"), page.locator(".legend .reading").all_inner_texts()


@pytest.mark.browser
def test_pointing_at_the_curves_reads_out_the_metric(
    brightness: Callable[..., Any], opened: Callable[..., Any], page_of: Callable[..., Path]
) -> None:
    run, other = made_up(brightness, 200), published()
    page = opened(page_of(run, imported=(other,)))
    curves = [run, ImportedReport(other)]
    drawing, points = curves_of(page)
    box, seen = drawing.bounding_box(), set()
    assert read_out(page) == ("0", [percent_text(c.certified_accuracy(Fraction(0))) for c in curves])
    for part in (0.02, 0.2, 0.35, 0.5, 0.77, 0.9, 0.99):
        page.mouse.move(box["x"] + box["width"] * part, box["y"] + box["height"] / 3)
        radius, texts = read_out(page)
        assert texts == [percent_text(c.certified_accuracy(Fraction(radius))) for c in curves]
        across = (part * 640 - 66) / (640 - 66 - 20) * float(Fraction(points[-1]))
        nearest = min(points, key=lambda r: abs(float(Fraction(r)) - across))
        assert abs(points.index(radius) - points.index(nearest)) <= 1
        seen.add(radius)
    assert len(seen) == 7
    assert page.locator(".cross").is_visible()
    dashed = page.locator("polyline.curve").evaluate_all("all => all.map(c => getComputedStyle(c).strokeDasharray)")
    assert dashed[0] == "none"
    assert dashed[1] != "none"


@pytest.mark.browser
def test_everything_can_be_done_with_the_keyboard(
    brightness: Callable[..., Any], opened: Callable[..., Any], page_of: Callable[..., Path]
) -> None:
    run = made_up(brightness, 200)
    page = opened(page_of(run))
    reached, outlined = [], []
    for _ in range(60):
        page.keyboard.press("Tab")
        kind = "(e.dataset.control || e.textContent.trim().slice(0, 12) || e.className || e.tagName)"
        reached.append(page.evaluate(f"(() => {{ const e = document.activeElement; return String({kind}); }})()"))
        outlined.append(page.evaluate("getComputedStyle(document.activeElement).outlineStyle"))
        if reached[-1] == "last":
            break
    assert {"Certified ac", "radius", "outcome", "text", "next", "last"} <= set(reached)
    assert set(outlined[: reached.index("last")]) == {"solid"}, "the focus is always visible"
    page.keyboard.press("Enter")
    assert cells(page)[0][0] == "150"
    page.locator("th[data-key=radius] button").focus()
    page.keyboard.press("Space")
    assert page.get_attribute("th[data-key=radius]", "aria-sort") == "ascending"
    drawing, points = curves_of(page)
    drawing.focus()
    for key, place in (
        ("ArrowRight", 1),
        ("PageUp", 11),
        ("ArrowLeft", 10),
        ("End", 100),
        ("ArrowUp", 100),
        ("Home", 0),
    ):
        page.keyboard.press(key)
        assert read_out(page) == (points[place], [percent_text(run.certified_accuracy(Fraction(points[place])))])
        assert drawing.get_attribute("aria-valuenow") == str(place)
        assert points[place] in drawing.get_attribute("aria-valuetext")


@pytest.mark.browser
def test_rows_are_sorted_and_filtered(
    brightness: Callable[..., Any], opened: Callable[..., Any], page_of: Callable[..., Path]
) -> None:
    run, other = made_up(brightness, 130), replace(made_up(brightness, 3, n=2000), classes=("zero", "one", "two"))
    page, rows = opened(page_of(run, other)), [list(row) for row in input_rows(run)]
    order = [c.radius_sq_px for _, c in run.results]
    assert cells(page) == rows[:ROWS]
    assert page.inner_text("[role=status]") == "1 to 50 of 130 inputs"

    head = page.locator("th[data-key=radius]")
    head.locator("button").click()
    assert head.get_attribute("aria-sort") == "ascending"
    assert cells(page) == [rows[i] for i in sorted(range(130), key=lambda i: order[i])][:ROWS]
    head.locator("button").click()
    assert head.get_attribute("aria-sort") == "descending"
    assert page.get_attribute("th[data-key=index]", "aria-sort") == "none"
    assert cells(page) == [rows[i] for i in sorted(range(130), key=lambda i: -order[i])][:ROWS]
    for key, column, value in (
        ("lower", 4, Fraction),
        ("upper", 5, Fraction),
        ("votes", 6, lambda t: int(t.split()[0])),
    ):
        page.locator(f"th[data-key={key}] button").click()
        shown = [value(row[column]) for row in cells(page)]
        assert shown == sorted(value(row[column]) for row in rows)[:ROWS]

    page.locator("th[data-key=index] button").click()
    wanted = {
        "right": [r for r in rows if r[1] == r[2]],
        "wrong": [r for r in rows if r[2] not in ("abstain", r[1])],
        "abstained": [r for r in rows if r[2] == "abstain"],
    }
    for outcome, expected in wanted.items():
        page.locator("[data-control=outcome]").select_option(outcome)
        assert cells(page) == expected[:ROWS]
        assert page.inner_text("[role=status]").endswith(f"of {len(expected)} chosen from 130 inputs")
    assert all("p lower 0." in row[7] for row in cells(page)), "every abstention says why"
    page.locator("[data-control=outcome]").select_option("all")
    page.locator("[data-control=text]").fill("CLASS 2 had")
    assert cells(page) == [r for r in rows if "class 2 had" in r[7]][:ROWS]
    page.locator("[data-control=text]").fill("nothing has this")
    assert (cells(page), page.inner_text("[role=status]")) == ([], "none of 130 inputs")
    page.locator("[data-control=text]").fill("")
    page.locator("[data-control=run]").select_option("1")
    names = {str(i): f"{i} {name}" for i, name in enumerate(other.classes)} | {"abstain": "abstain"}
    assert cells(page) == [[i, names[label], names[p], *rest] for i, label, p, *rest in input_rows(other)]


@pytest.mark.browser
def test_ten_thousand_inputs_are_a_page_of_rows_at_a_time(
    brightness: Callable[..., Any], opened: Callable[..., Any], page_of: Callable[..., Path]
) -> None:
    run = made_up(brightness, MANY)
    page, rows = opened(page_of(run)), input_rows(run)
    elements = page.evaluate("document.querySelectorAll('*').length")
    assert elements < 3000
    seen = []
    for turn in ("last", "back", "next", "first", "next"):
        page.locator(f"[data-control={turn}]").click()
        seen.append([int(row[0]) for row in cells(page)])
        assert len(seen[-1]) <= ROWS
    assert seen == [list(range(start, start + ROWS)) for start in (9950, 9900, 9950, 0, 50)]
    page.locator("th[data-key=radius] button").click()
    page.locator("[data-control=text]").fill("abstain")
    assert [row[0] for row in cells(page)] == [row[0] for row in rows if row[2] == "abstain"][:ROWS]
    assert page.evaluate("document.querySelectorAll('*').length") < elements + ROWS


@pytest.mark.browser
def test_hostile_names_run_nothing(
    brightness: Callable[..., Any], opened: Callable[..., Any], page_of: Callable[..., Path]
) -> None:
    """The fixture fails on any dialog, console message or request."""
    run = made_up(brightness, 60)
    run = replace(
        run, run=replace(run.run, data=HOSTILE, theorem=HOSTILE, classifier={HOSTILE: HOSTILE}), classes=(HOSTILE,) * 3,
        source=HOSTILE, images_note=HOSTILE,
    )  # fmt: skip
    page = opened(page_of(run, replace(run, source="b"), imported=(published(HOSTILE),), title=HOSTILE))
    page.locator("figure.plot > svg").hover()
    page.locator("th[data-key=label] button").click()
    page.locator("[data-control=run]").select_option("2")
    page.locator("[data-control=run]").select_option("0")
    assert page.title() == HOSTILE
    assert f"0 {HOSTILE}" in [row[1] for row in cells(page)]
    assert page.locator("script").count() == 2
    assert page.evaluate("document.querySelectorAll('[onerror], [onload]').length") == 0


@pytest.mark.browser
def test_the_policy_stops_what_would_have_slipped_through(browser: Any, tmp_path: Path) -> None:
    """Markup put into the page on purpose, as if escaping had failed: nothing of it runs, and nothing is fetched."""
    from holdfast.report.page import page as framed

    slipped = (
        "<script>window.ran = 1</script><img src='data:,' onerror='window.ran = 2'><img src='https://example.invalid/a'>"
        "<a id=link href='javascript:window.ran = 3'>link</a><p id=styled style='color: rgb(1, 2, 3)'>text</p>"
        "<iframe srcdoc='<script>parent.ran = 4</script>'></iframe><base href='https://example.invalid/'>"
    )
    path = tmp_path / "slipped.html"
    path.write_text(framed("title", slipped))
    page, fetched, refused = browser.new_page(), [], []
    page.on("response", lambda answer: fetched.append(answer.url))
    page.on("console", lambda said: refused.append(said.text))
    page.goto(path.as_uri())
    page.click("#link")
    page.wait_for_timeout(200)
    assert page.evaluate("window.ran") is None
    assert page.evaluate("getComputedStyle(document.getElementById('styled')).color") != "rgb(1, 2, 3)"
    assert not [url for url in fetched if "example" in url]
    assert sum("Content Security Policy" in text for text in refused) >= 5
    page.close()


@pytest.mark.browser
@pytest.mark.parametrize("motion", ["reduce", "no-preference"])
def test_motion_is_a_preference(motion: str, opened: Callable[..., Any], page_of: Callable[..., Path]) -> None:
    page = opened(page_of(imported=(published(),)), reduced_motion=motion)
    behaviour = page.evaluate("getComputedStyle(document.documentElement).scrollBehavior")
    assert behaviour == ("auto" if motion == "reduce" else "smooth")
    moving = "[...document.querySelectorAll('*')].some(e => getComputedStyle(e).transitionDuration !== '0s')"
    assert not page.evaluate(moving)


@pytest.mark.browser
def test_on_paper_everything_folded_is_there_and_controls_are_not(
    brightness: Callable[..., Any], opened: Callable[..., Any], page_of: Callable[..., Path]
) -> None:
    page = opened(page_of(made_up(brightness, 60)), color_scheme="dark", viewport={"width": 794, "height": 1123})
    assert page.locator("details[open]").count() == 0
    page.emulate_media(media="print")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.locator("details:not([open])").count() == 0
    for hidden in ("nav", ".controls"):
        assert not any(part.is_visible() for part in page.locator(hidden).all())
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert page.locator("details[open]").count() == 0
    assert len(page.pdf(format="A4")) > 10_000


@pytest.mark.browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_shows_it_all_without_scrolling_sideways(
    scheme: str, brightness: Callable[..., Any], opened: Callable[..., Any], page_of: Callable[..., Path]
) -> None:
    runs = [made_up(brightness, 60, data="a very long name of a data set " * 4 + str(i)) for i in range(9)]
    screen = {"width": 390, "height": 844}
    page = opened(page_of(*runs, imported=(published(),)), color_scheme=scheme, viewport=screen, is_mobile=True)
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    for details in page.locator("details").all():
        details.locator("summary").click()
    assert page.evaluate("document.documentElement.scrollWidth") == 390
