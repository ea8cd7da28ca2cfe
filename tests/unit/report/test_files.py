"""What is written beside the page: CSV for other programs, pictures that repeat byte by byte."""

from __future__ import annotations

import csv
import io
import sys
import xml.etree.ElementTree as ET
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest

from holdfast import stats
from holdfast.errors import MissingDependency
from holdfast.report import ImportedReport, RunReport, csv_tables, radii_csv, write_curves, write_histogram
from holdfast.report.histogram import histogram_rows
from holdfast.report.inputs import INPUT_COLUMNS, input_rows
from holdfast.report.tables import METRICS, OVERVIEW_COLUMNS, overview_rows

Make = Callable[..., RunReport]
TRIPLES = [(0, 0, 5000), (1, 1, 12), (2, 1, 700), (1, 1, -1), (0, 0, 0), (2, 2, 65024)]
FORMULA = '=HYPERLINK("http://evil.example/","click")\r\n+1,\'"'


def rows_of(text: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text)))


def test_radii_in_csv_are_the_metrics_cut(report: Make, imported: Callable[..., ImportedReport]) -> None:
    curves = [report(TRIPLES), imported((0, 1, 1, "0.3"), (1, 0, 1, "0.2"))]
    header, *rows = rows_of(radii_csv(curves))
    assert header == ["curve", "radius", "certified_accuracy", "certified_percentage", "accuracy_among_certified"]
    assert len(rows) == 2 * 101
    for name, radius, *shown in rows:
        (curve,) = [c for c in curves if c.name == name]
        for text, (function, _) in zip(shown, METRICS.values(), strict=True):
            assert 0 <= getattr(curve, function)(Fraction(radius)) - Fraction(text) < Fraction(1, 10**6)
    own = [row for row in rows if row[0] == curves[0].name]
    triples = curves[0].triples  # type: ignore[union-attr]
    assert [int(Fraction(row[2]) * 10**6) for row in own] == [
        int(stats.certified_accuracy(triples, Fraction(row[1])) * 10**6) for row in own
    ]


def test_every_table_is_written(full: Make) -> None:
    made = full(TRIPLES)
    tables = {name: rows_of(text) for name, text in csv_tables([made]).items()}
    assert tables["overview.csv"] == [list(OVERVIEW_COLUMNS), *map(list, overview_rows([made]))]
    assert tables["inputs.csv"] == [["curve", *INPUT_COLUMNS], *([made.name, *row] for row in input_rows(made))]
    assert [row[1:] for row in tables["histogram.csv"][1:]] == [list(row) for row in histogram_rows(made)]
    assert [row[1:3] for row in tables["time.csv"][1:]] == [["right", "4"], ["wrong", "1"], ["abstained", "1"]]
    assert [made.name, "nonce", made.run.nonce] in tables["facts.csv"]


def test_a_hostile_name_is_one_cell_and_no_formula(full: Make) -> None:
    made = full(TRIPLES, data=FORMULA)
    for name, text in csv_tables([made]).items():
        rows = rows_of(text)
        assert {len(row) for row in rows} == {len(rows[0])}, name
        assert not any(cell[:1] in set("=+@\t\r") for row in rows for cell in row), name
    assert any(row[0].startswith("'=HYPERLINK") for row in rows_of(radii_csv([made])))
    negative = replace(made, results=((-3, made.results[0][1]),))
    assert rows_of(csv_tables([negative])["inputs.csv"])[1][2] == "-3", "numbers stay as they are"


@pytest.mark.parametrize("suffix", ["png", "svg"])
def test_a_picture_repeats_byte_by_byte(
    suffix: str, report: Make, imported: Callable[..., ImportedReport], tmp_path: Path
) -> None:
    made = report(TRIPLES)
    curves = [made, report([(0, 0, 9)], noise="continuous"), report([]), imported((0, 1, 1, "0.3"))]
    for name in ("a", "b"):
        write_curves(tmp_path / f"{name}.{suffix}", curves)
        write_histogram(tmp_path / f"h{name}.{suffix}", made)
    for one, two in (("a", "b"), ("ha", "hb")):
        first = (tmp_path / f"{one}.{suffix}").read_bytes()
        assert first == (tmp_path / f"{two}.{suffix}").read_bytes()
        assert b"Software" not in first, "no version of the library that drew it"
        assert b"<dc:date>" not in first
        assert first[:5] == (b"\x89PNG\r" if suffix == "png" else b"<?xml")
    assert (tmp_path / f"a.{suffix}").read_bytes() != (tmp_path / f"ha.{suffix}").read_bytes()


def test_published_curves_are_dashed_in_pictures(
    report: Make, imported: Callable[..., ImportedReport], tmp_path: Path
) -> None:
    write_curves(tmp_path / "own.svg", [report(TRIPLES)])
    write_curves(tmp_path / "theirs.svg", [imported((0, 1, 1, "0.3"))])
    assert b"stroke-dasharray" not in (tmp_path / "own.svg").read_bytes()
    assert b"stroke-dasharray" in (tmp_path / "theirs.svg").read_bytes()


@pytest.mark.parametrize("suffix", ["png", "svg"])
@pytest.mark.parametrize("name", ["<script>alert(1)</script>&\"'", "$\\frac{$", "$", "ümläut", "\n\n"])
def test_any_name_can_be_drawn(name: str, suffix: str, report: Make, tmp_path: Path) -> None:
    path = tmp_path / f"a.{suffix}"
    write_curves(path, [report(TRIPLES, data=name)])
    assert path.stat().st_size > 5000
    if suffix == "svg":
        assert not [part for part in ET.parse(path).iter() if part.tag.endswith("script")]


def test_without_matplotlib_the_extra_is_named(report: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(sys.modules):
        if name.partition(".")[0] == "matplotlib":
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(MissingDependency, match=r"holdfast\[report\]"):
        write_curves(tmp_path / "a.png", [report(TRIPLES)])
    assert not (tmp_path / "a.png").exists()
