"""The pages: every number is the ledger's, hostile names stay text, nothing is fetched, only what is written there runs."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pytest

from holdfast.records import Certificate
from holdfast.report import Cost, ImportedReport, RunReport, Timing, html_report, inputs_markdown, markdown_report
from holdfast.report.content import percent_text
from holdfast.report.histogram import histogram_rows
from holdfast.report.inputs import abstention_reason, input_rows
from holdfast.report.page import page, script_safe_json
from holdfast.report.tables import METRICS, OVERVIEW_COLUMNS, metric_table, overview_rows, provenance_facts
from holdfast.rounding import radius_text, truncated_text

Make = Callable[..., RunReport]
TRIPLES = [(0, 0, 5000), (1, 1, 12), (2, 1, 700), (1, 1, -1), (0, 0, 0), (2, 2, 65024)]
HOSTILE = (
    "</script><script>alert(1)</script>\"'&amp; |\\`*_[x](javascript:alert(1))![y](http://evil.example/z)\r\n| a | b |\n# "
    "$x_1$<img src=x onerror=alert(1)>"
)
VOID = {"meta", "polyline", "line", "circle", "img", "input"}


class Page(HTMLParser):
    """Reads a page strictly: what is opened is closed in order; collects tags, attributes, tables, texts and data."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.tables: list[list[list[str]]] = []
        self.text = ""
        self.inside: dict[str, list[str]] = {"script": [], "style": []}
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
        elif tag in self.inside:
            self.inside[tag].append("")

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] in self.inside:
            self.inside[self.open[-1]][-1] += data
            return
        self.text += data
        if {"td", "th"} & set(self.open):
            self.tables[-1][-1][-1] += data

    @property
    def data(self) -> Any:
        return json.loads(self.inside["script"][0])

    def table(self, *header: str) -> list[list[str]]:
        """The rows of the only table with this header."""
        (found,) = [rows[1:] for rows in self.tables if rows and rows[0] == list(header)]
        return found

    @property
    def facts(self) -> dict[str, str]:
        return {row[0]: row[1] for rows in self.tables for row in rows if len(row) == 2}


def test_every_number_of_the_page_is_that_of_the_ledger(full: Make) -> None:
    made = full(TRIPLES)
    shown = Page(html_report("title", [made]))
    assert [tuple(row) for row in shown.table(*OVERVIEW_COLUMNS)] == overview_rows([made])
    names = [rows[1:] for rows in shown.tables if rows[0] == ["radius", made.name]]
    assert names == [metric_table([made], metric)[1] for metric in METRICS]
    assert [tuple(row) for rows in shown.tables if rows[0][0] == "p lower from" for row in rows[1:]] == (
        histogram_rows(made)
    )
    for name, value in provenance_facts(made):
        assert shown.facts[name] == value
    (inputs,) = shown.data["inputs"]
    assert inputs["name"] == made.name
    assert len(inputs["rows"]) == len(made.results)
    for row, (true_label, c) in zip(inputs["rows"], made.results, strict=True):
        assert row[:4] == [c.index, true_label, c.prediction, c.radius_sq_px]
        assert row[4:8] == [radius_text(c.radius_sq_px), "0.750000", "0.250000", _votes(c)]
    assert inputs["rows"][3][4] == "abstain"
    assert inputs["rows"][4][4] == "0.0000"
    assert inputs["rows"][5][4] == "0.9999", "65024 is 255 squared less one"


def _votes(c: Certificate) -> str:
    return f"{c.counts[c.label]} of 1000"


def test_what_the_legend_reads_out_is_the_metric(report: Make, imported: Callable[..., ImportedReport]) -> None:
    curves = [report(TRIPLES), imported((0, 1, 1, "0.3"), (1, 0, 1, "0.2"))]
    shown = Page(html_report("title", curves[:1], curves[1:]))  # type: ignore[arg-type]
    (figure,) = [dict(a) for tag, a in shown.tags if tag == "figure" and a["class"] == "plot"]
    readings = json.loads(figure["data-readings"] or "")
    for curve, texts, heights in zip(curves, readings["texts"], readings["y"], strict=True):
        assert texts == [percent_text(curve.certified_accuracy(Fraction(r))) for r in readings["at"]]
        assert len(heights) == len(texts) == 101
    lines = [a["class"] or "" for tag, a in shown.tags if tag == "polyline"]
    assert ["dashed" in kinds for kinds in lines] == [False, True]
    assert "theirs (imported, not re-checkable)" in shown.text
    assert shown.facts["imported from"] == "theirs.tsv"
    assert shown.facts["SHA-256 of that file"] == "e" * 64
    rows = shown.data["inputs"][1]["rows"]
    assert [row[:5] for row in rows] == [[0, 1, 1, 0.3, "0.3"], [1, 0, 1, 0.2, "0.2"]]


@pytest.mark.parametrize("p", [0.5, 0.9999996, 0.7000001, 2 / 3, 1.0, 0.0])
def test_lower_limits_are_cut_and_upper_limits_raised(p: float, report: Make) -> None:
    made = report([(0, 0, 5)])
    certificate = replace(made.results[0][1], p_lower=p, p_upper=p)
    ((*_, lower, upper, _, _),) = input_rows(replace(made, results=((0, certificate),)))
    assert 0 <= Fraction(p) - Fraction(lower) < Fraction(1, 10**6)
    assert 0 <= Fraction(upper) - Fraction(p) < Fraction(1, 10**6)
    assert lower == truncated_text(Fraction(p), 6)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"counts": (501, 499, 0), "p_lower": 0.46}, "p lower 0.460000 <= 1/2: class 0 had 501 of 1000"),
        (
            {"counts": (430, 560, 10), "p_lower": 0.39},
            "p lower 0.390000 <= 1/2: class 0 had 430 of 1000, class 1 had 560; the 100 selection samples had favoured 0",
        ),
        ({"p_lower": float(np.nextafter(0.5, 1))}, "p lower less the charge for the noise table (0.0001) is not above"),
        ({"p_lower": 0.75}, "holdfast verify"),
        ({"p_lower": 0.1, "label": 7}, "class 7 had 0 of 1000, class 0 had 900"),
        ({"radius_sq_px": 3}, ""),
    ],
)
def test_an_abstention_says_why(changes: dict[str, Any], said: str, report: Make) -> None:
    made = report([(0, 0, -1)], epsilon="0.0001")
    reason = abstention_reason(made.run, replace(made.results[0][1], **changes))
    assert said in reason
    assert bool(said) == bool(reason)


@pytest.mark.parametrize(
    ("largest", "labels"),
    [
        (0, ["0", "0.001", "0.002", "0.003", "0.004", "0.005"]),
        (51**2, ["0", "0.04", "0.08", "0.12", "0.16", "0.2"]),
        (255**2, ["0", "0.2", "0.4", "0.6", "0.8", "1"]),
        (255**2 + 999, ["0", "0.3", "0.6", "0.9", "1.2", "1.5"]),
    ],
)
def test_ticks_are_where_their_labels_say(largest: int, labels: list[str], report: Make) -> None:
    text = html_report("t", [report([(0, 0, largest)])]).partition('<g class="cross"')[0]
    ticks = re.findall(r'<text x="([\d.]+)" y="334" text-anchor="middle">([\d.]+)<', text)
    assert [label for _, label in ticks] == labels
    places = [float(x) for x, _ in ticks]
    assert all(abs(x - places[0] - i * (places[5] - places[0]) / 5) < 0.11 for i, x in enumerate(places))


def source_hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def test_the_page_is_one_file_whose_policy_allows_its_own_script_and_nothing_else(full: Make) -> None:
    text = html_report("title", [full(TRIPLES), full([])])
    shown = Page(text)
    (policy,) = [
        a["content"] or ""
        for tag, a in shown.tags
        if tag == "meta" and a.get("http-equiv") == "Content-Security-Policy"
    ]
    rules = dict(rule.split(" ", 1) for rule in policy.split("; "))
    assert rules.keys() == {"default-src", "img-src", "style-src", "script-src", "base-uri", "form-action"}
    assert (rules["default-src"], rules["base-uri"], rules["form-action"]) == ("'none'",) * 3
    assert rules["img-src"] == "data:"
    (style,), (_, script) = shown.inside["style"], shown.inside["script"]
    assert rules["style-src"] == f"'{source_hash(style)}'"
    assert rules["script-src"] == f"'{source_hash(script)}'"
    assert not {tag for tag, _ in shown.tags} & {"link", "iframe", "object", "embed", "form", "base"}
    assert not re.search(r"https?:|url\(|@import|javascript:", text)
    attributes = [item for _, found in shown.tags for item in found.items()]
    assert not [name for name, _ in attributes if name.startswith("on") or name == "style"]
    assert {value[:1] for name, value in attributes if name == "href" and value} == {"#"}
    assert all((value or "").startswith("data:image/png;base64,") for name, value in attributes if name == "src")
    assert text.startswith("<!doctype html>")
    start = text.index("Content-Security-Policy")
    assert start < text.index("<title>")
    assert start < text.index("<style>")
    assert text.index('charset="utf-8"') < 1024


def test_every_link_leads_to_a_part_of_the_page(full: Make) -> None:
    shown = Page(html_report("title", [full(TRIPLES)]))
    anchors = [a["href"] for tag, a in shown.tags if tag == "a"]
    assert len(anchors) == 6
    assert anchors == [f"#{a['id']}" for tag, a in shown.tags if tag == "section"]


@pytest.mark.parametrize("where", ["data", "theorem", "alpha_split", "classifier", "classes", "host", "source", "note"])
def test_hostile_names_stay_text_on_the_page(where: str, full: Make, imported: Callable[..., ImportedReport]) -> None:
    made = full(TRIPLES)
    plain = Page(html_report("title", [made], [imported((0, 1, 1, "0.3"))]))
    run = made.run
    hostile = {
        "data": replace(made, run=replace(run, data=HOSTILE)),
        "theorem": replace(made, run=replace(run, theorem=HOSTILE)),
        "alpha_split": replace(made, run=replace(run, alpha_split=(HOSTILE,))),
        "classifier": replace(made, run=replace(run, classifier={HOSTILE: {HOSTILE: [HOSTILE]}})),
        "classes": replace(made, classes=(HOSTILE,) * 3),
        "host": replace(made, timings=(Timing(0, 1, 1.0, HOSTILE, HOSTILE), *made.timings[1:])),
        "source": replace(made, source=HOSTILE),
        "note": replace(made, images_note=HOSTILE),
    }[where]
    shown = Page(html_report(HOSTILE, [hostile], [imported((0, 1, 1, "0.3"), name=HOSTILE)]))
    allowed = {tag for tag, _ in plain.tags}
    assert {tag for tag, _ in shown.tags} <= allowed
    assert [tag for tag, _ in shown.tags].count("script") == 2
    assert not [name for _, attributes in shown.tags for name in attributes if name.startswith("on")]
    assert shown.inside["script"][1] == plain.inside["script"][1]
    assert "</script><script>alert(1)</script>" in shown.text + json.dumps(shown.data)


def test_json_in_a_page_has_no_markup_and_comes_back() -> None:
    value = {HOSTILE: [HOSTILE, "\u2028</ScRiPt ><!--", 1, None, "ü"]}
    text = script_safe_json(value)
    assert not set(text) & set("<>&")
    assert text.isascii()
    assert json.loads(text) == value
    with pytest.raises(ValueError, match="JSON compliant"):
        script_safe_json({"a": float("nan")})
    assert Page(page("t", "", value)).data == value


def markdown_tables(text: str) -> list[list[str]]:
    """Cells of table lines, split where a reader splits them: at bars that are not escaped."""
    lines = [line for line in text.split("\n") if line.startswith("|")]
    return [re.split(r"(?<!\\)(?:\\\\)*\|", line)[1:-1] for line in lines]


def test_hostile_names_are_no_markup_in_markdown(report: Make, imported: Callable[..., ImportedReport]) -> None:
    made = report(TRIPLES)
    other = imported((0, 1, 1, "0.3"), name=HOSTILE)
    hostile = replace(made, run=replace(made.run, data=HOSTILE))
    for write in (lambda *a: markdown_report(a[0], [a[1]], None, [a[2]]), lambda *a: inputs_markdown(a[0], a[1:])):
        text, plain = write(HOSTILE, hostile, other), write("title", made, imported((0, 1, 1, "0.3")))
        assert "\r" not in text
        assert text.count("\n") == plain.count("\n"), "no line more"
        assert [len(row) for row in markdown_tables(text)] == [len(row) for row in markdown_tables(plain)]
        for special in ("<", "[", "]", "`", "*", "$", "&"):
            assert not re.search(rf"(?<!\\)(?:\\\\)*{re.escape(special)}", text.partition("## What this")[0]), special


def unescaped(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text.strip())


def test_markdown_has_the_numbers_of_the_report(full: Make) -> None:
    made = replace(full(TRIPLES), cost=Cost(1000, 900, 200, 3000))
    text = markdown_report("title", [made], "curve.png")
    rows = [tuple(unescaped(cell) for cell in row) for row in markdown_tables(text)]
    start = rows.index(OVERVIEW_COLUMNS)
    assert rows[start + 2 : start + 3] == overview_rows([made])
    for metric in METRICS:
        assert all(tuple(row) in rows for row in metric_table([made], metric)[1])
    assert all(row in rows for row in [*made.headline(), *histogram_rows(made), *made.cost.facts()])
    assert "![certified accuracy against radius](curve.png)" in text
    assert "![" not in markdown_report("title", [made])
    inputs = [tuple(unescaped(cell) for cell in row) for row in markdown_tables(inputs_markdown("title", [made]))]
    assert inputs[2:] == input_rows(made)


@pytest.mark.parametrize("write", [markdown_report, html_report])
def test_float_noise_is_marked_and_exact_noise_is_not(write: Callable[..., str], report: Make) -> None:
    exact = report(TRIPLES)
    outside = replace(exact, run=replace(exact.run, noise="continuous"))
    assert "outside the exact guarantee" in write("title", [outside])
    assert "outside the exact guarantee" not in write("title", [exact])
    for made in (exact, outside):
        assert "says nothing about the network without smoothing" in write("title", [made])
        assert made.run.id in write("title", [made])


def test_alpha_is_counted_over_all_inputs_and_a_given_nonce_is_marked(report: Make) -> None:
    text = html_report("title", [report(TRIPLES)])
    assert "for each of the 6 inputs a false certificate has probability at most 0.001" in text
    assert "at most 0.006 of the 5 certificates are false" in text
    assert "no fresh evidence" not in text
    assert "no fresh evidence" in html_report("title", [report(TRIPLES, nonce_given=True)])
