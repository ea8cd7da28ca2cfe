"""The pages: every number is the ledger's, hostile names stay text, nothing is fetched, pictures repeat byte by byte."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from html.parser import HTMLParser
from pathlib import Path

import pytest

from holdfast.errors import MissingDependency
from holdfast.report import RunReport, html_report, markdown_report, write_png
from holdfast.rounding import radius_text, truncated_text

Make = Callable[..., RunReport]
TRIPLES = [(0, 0, 5000), (1, 1, 12), (2, 1, 700), (1, 1, -1), (0, 0, 0), (2, 2, 65024)]
HOSTILE = (
    "<script>alert(1)</script>\"'&amp; |\\`*_[x](javascript:alert(1))![y](http://evil.example/z)\r\n| a | b |\n# $x_1$"
)
VOID = {"meta", "polyline"}


class Page(HTMLParser):
    """Reads a page strictly: what is opened is closed in order; collects tags, attributes, tables and text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.tables: list[list[list[str]]] = []
        self.text = ""
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("td", "th"):
            self.tables[-1][-1].append("")

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data
        if self.open and self.open[-1] in ("td", "th"):
            self.tables[-1][-1][-1] += data


def test_every_number_of_the_page_is_that_of_the_ledger(report: Make) -> None:
    made = report(TRIPLES, p_lower=0.9999999)
    facts, radii, inputs = Page(html_report("title", [made])).tables
    assert [tuple(row) for row in facts[1:]] == made.headline()
    assert [tuple(row) for row in radii[1:]] == made.table()
    for row, (true_label, c) in zip(inputs[1:], made.results, strict=True):
        predicted = "abstain" if c.abstained else str(c.label)
        assert row == [str(c.index), str(true_label), predicted, radius_text(c.radius_sq_px), "0.999999"]
    assert inputs[4][2:4] == ["abstain", "abstain"]
    assert inputs[5][2:4] == ["0", "0.0000"]
    assert inputs[6][3] == "0.9999", "65024 is 255 squared less one"


@pytest.mark.parametrize("p_lower", [0.5, 0.9999996, 0.7000001, 2 / 3])
def test_probabilities_are_cut(p_lower: float, report: Make) -> None:
    shown = Page(html_report("t", [report([(0, 0, 5)], p_lower=p_lower)])).tables[2][1][4]
    assert 0 <= Fraction(p_lower) - Fraction(shown) < Fraction(1, 10**6)
    assert shown == truncated_text(Fraction(p_lower), 6)


@pytest.mark.parametrize(
    ("largest", "labels"),
    [
        (0, ["0", "0.001", "0.002", "0.003", "0.004", "0.005"]),
        (51**2, ["0", "0.05", "0.1", "0.15", "0.2", "0.25"]),
        (255**2, ["0", "0.2", "0.4", "0.6", "0.8", "1"]),
        (255**2 + 999, ["0", "0.5", "1", "1.5", "2", "2.5"]),
    ],
)
def test_ticks_are_where_their_labels_say(largest: int, labels: list[str], report: Make) -> None:
    text = html_report("t", [report([(0, 0, largest)])])
    ticks = re.findall(r'<text x="([\d.]+)" y="336.0" text-anchor="middle">([\d.]+)<', text)
    assert [label for _, label in ticks] == labels
    places = [float(x) for x, _ in ticks]
    assert all(abs(x - places[0] - i * (places[5] - places[0]) / 5) < 0.11 for i, x in enumerate(places))


def test_the_page_is_one_file_that_fetches_and_runs_nothing(report: Make) -> None:
    text = html_report("title", [report(TRIPLES), report([])])
    page = Page(text)
    policies = [
        a["content"] for tag, a in page.tags if tag == "meta" and a.get("http-equiv") == "Content-Security-Policy"
    ]
    assert policies == ["default-src 'none'; style-src 'unsafe-inline'; img-src data:"]
    assert not {tag for tag, _ in page.tags} & {"script", "link", "img", "iframe", "object", "a", "form", "base"}
    assert not re.search(r"https?:|url\(|@import|javascript:", text)
    assert not [
        name for _, attributes in page.tags for name in attributes if name.startswith("on") or name in ("src", "href")
    ]
    assert text.startswith("<!doctype html>")
    policy = text.index("Content-Security-Policy")
    assert policy < text.index("<title>")
    assert policy < text.index("<style>")
    assert text.index('charset="utf-8"') < 1024


@pytest.mark.parametrize("field", ["data", "theorem", "alpha", "sigma"])
def test_hostile_names_stay_text_on_the_page(field: str, report: Make) -> None:
    made = report(TRIPLES)
    name = HOSTILE if field in ("data", "theorem", "alpha") else made.run.sigma
    page = Page(html_report(HOSTILE, [replace(made, run=replace(made.run, **{field: name}))]))
    assert "script" not in {tag for tag, _ in page.tags}
    assert page.text.count("<script>alert(1)</script>") == 2 + (field != "sigma"), "title, heading and table, as text"


def markdown_tables(text: str) -> list[list[str]]:
    """Cells of table lines, split where a reader splits them: at bars that are not escaped."""
    lines = [line for line in text.split("\n") if line.startswith("|")]
    return [re.split(r"(?<!\\)(?:\\\\)*\|", line)[1:-1] for line in lines]


def test_hostile_names_are_no_markup_in_markdown(report: Make) -> None:
    made = report(TRIPLES)
    text = markdown_report(HOSTILE, [replace(made, run=replace(made.run, data=HOSTILE))])
    plain = markdown_report("title", [made])
    assert "\r" not in text
    assert text.count("\n") == plain.count("\n"), "no line more"
    assert [len(row) for row in markdown_tables(text)] == [len(row) for row in markdown_tables(plain)]
    for special in ("<", "[", "]", "`", "*", "_", "$", "&"):
        assert not re.search(rf"(?<!\\)(?:\\\\)*{re.escape(special)}", text.partition("## What this says")[0]), special


def test_markdown_has_the_numbers_of_the_report(report: Make) -> None:
    made = report(TRIPLES)
    text = markdown_report("title", [made], "curve.png")
    rows = [tuple(cell.strip() for cell in row) for row in markdown_tables(text)]
    assert rows == [
        ("fact", "value"), ("---", "---"), *made.headline(),
        ("radius", "certified accuracy", "certified percentage"), ("---", "---", "---"), *made.table(),
    ]  # fmt: skip
    assert "![certified accuracy against radius](curve.png)" in text
    assert "![" not in markdown_report("title", [made])


@pytest.mark.parametrize("page", [markdown_report, html_report])
def test_float_noise_is_marked_and_exact_noise_is_not(page: Callable[..., str], report: Make) -> None:
    exact = report(TRIPLES)
    outside = replace(exact, run=replace(exact.run, noise="continuous"))
    assert "outside the exact guarantee" in page("title", [outside])
    assert "outside the exact guarantee" not in page("title", [exact])
    for made in (exact, outside):
        assert "says nothing about the network without smoothing" in page("title", [made])
        assert f"Run {made.run.id}" in page("title", [made])


def test_a_picture_repeats_byte_by_byte(report: Make, tmp_path: Path) -> None:
    runs = [report(TRIPLES), report([(0, 0, 9)], noise="continuous"), report([])]
    for name in ("a.png", "b.png"):
        write_png(tmp_path / name, runs)
    first = (tmp_path / "a.png").read_bytes()
    assert first[:8] == b"\x89PNG\r\n\x1a\n"
    assert first == (tmp_path / "b.png").read_bytes()
    assert b"Software" not in first, "no version of the library that drew it"


@pytest.mark.parametrize("name", [HOSTILE.replace("\r", ""), "$\\frac{$", "$", "ümläut", "\n\n"])
def test_any_name_can_be_drawn(name: str, report: Make, tmp_path: Path) -> None:
    write_png(tmp_path / "a.png", [report(TRIPLES, data=name)])
    assert (tmp_path / "a.png").stat().st_size > 5000


def test_without_matplotlib_the_extra_is_named(report: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(sys.modules):
        if name.partition(".")[0] == "matplotlib":
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(MissingDependency, match=r"holdfast\[report\]"):
        write_png(tmp_path / "a.png", [report(TRIPLES)])
    assert not (tmp_path / "a.png").exists()
