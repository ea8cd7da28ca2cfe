"""What a report says: the numbers of the certificates, cut and never rounded up; the curve is the certified accuracy."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast import stats
from holdfast.report import ImportedReport, RunReport
from holdfast.report.content import curve_names, percent_text
from holdfast.report.plot import Series, reading_points
from holdfast.report.tables import METRICS, curve_series, metric_table, overview_rows, reading_texts
from holdfast.rounding import certified_at, radius_down
from holdfast.stats import average_certified_radius, certified_accuracy

Make = Callable[..., RunReport]
TRIPLES = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2), st.integers(-1, 9000)), max_size=25)
RADII = st.lists(st.fractions(0, Fraction(2, 5)), min_size=1, max_size=20)


def number(text: str) -> Fraction:
    return Fraction(text.removesuffix(" %"))


def as_results(triples: list[tuple[int, int, int]]) -> list[tuple[int, int, int]]:
    return [(true, label if k >= 0 else -1, k) for true, label, k in triples]


@given(TRIPLES, RADII)
def test_shares_are_those_of_the_metrics(
    report: Make, triples: list[tuple[int, int, int]], radii: list[Fraction]
) -> None:
    made, results = report(triples), as_results(triples)
    borders = [Fraction(k, 255) for k in range(0, 90, 7)]
    for radius in radii + borders:
        for function, _ in METRICS.values():
            assert getattr(made, function)(radius) == getattr(stats, function)(results, radius)


@given(TRIPLES)
def test_every_headline_number_is_that_of_the_metrics_and_never_larger(
    report: Make, triples: list[tuple[int, int, int]]
) -> None:
    made = report(triples)
    facts = dict(made.headline())
    results = as_results(triples)
    accuracy, acr = certified_accuracy(results, Fraction(0)), Fraction(average_certified_radius(results))
    assert 0 <= 100 * accuracy - number(facts["certified accuracy at radius 0"]) < Fraction(1, 100)
    assert 0 <= acr - number(facts["average certified radius"]) < Fraction(1, 10_000)
    abstained = sum(k < 0 for *_, k in triples)
    assert facts["inputs certified / abstained"] == f"{len(triples) - abstained} / {abstained}"
    assert (facts["data"], facts["alpha"], facts["samples"]) == ("digits test", "0.001", "n0 = 100, n = 1000")
    assert facts["noise"] == "discrete, sigma 0.15"
    assert facts["theorem"] == made.run.theorem
    ((name, inputs, without, shown, radius, percentage, among),) = overview_rows([made])
    assert (name, inputs, without) == (made.name, str(len(triples)), str(abstained))
    assert (shown, radius) == (facts["certified accuracy at radius 0"], facts["average certified radius"])
    assert percentage == percent_text(stats.certified_percentage(results, Fraction(0)))
    assert among == percent_text(stats.accuracy_among_certified(results, Fraction(0)))


@given(TRIPLES)
def test_tables_and_read_outs_are_the_metrics_cut(report: Make, triples: list[tuple[int, int, int]]) -> None:
    made, results = report(triples), as_results(triples)
    points = reading_points(curve_series([made]))
    assert len(points) == 101
    assert points[0] == 0
    assert all(radius_down(k) <= points[-1] for true, label, k in results if true == label), "the axis holds them all"
    (texts,) = reading_texts([made], points)
    assert texts == [percent_text(certified_accuracy(results, radius)) for radius in points]
    for metric, (function, _) in METRICS.items():
        header, rows = metric_table([made], metric)
        assert header == ["radius", made.name]
        assert [Fraction(radius) for radius, _ in rows] == points[::5]
        for radius, shown in rows:
            share = getattr(stats, function)(results, Fraction(radius))
            assert 0 <= 100 * share - number(shown) < Fraction(1, 100)


@pytest.mark.parametrize(
    ("correct", "total", "shown"),
    [(2, 3, "66.66 %"), (19999, 20000, "99.99 %"), (7, 10, "70.00 %"), (29, 100, "29.00 %")],
)
def test_shares_are_cut(correct: int, total: int, shown: str, report: Make) -> None:
    made = report([(1, 1, 100)] * correct + [(0, 1, 100)] * (total - correct))
    assert dict(made.headline())["certified accuracy at radius 0"] == shown


def test_a_radius_just_below_a_round_number_is_not_rounded_up(report: Make) -> None:
    made = report([(1, 1, 255**2 - 1)])
    assert dict(made.headline())["average certified radius"] == "0.9999"
    assert made.curve()[-1][0] < 1


@given(TRIPLES, RADII)
def test_the_curve_is_the_certified_accuracy_and_nowhere_above_it(
    report: Make, triples: list[tuple[int, int, int]], radii: list[Fraction]
) -> None:
    """It falls at ``sqrt(K)/255``; certified accuracy, which only knows whole grey levels, at ``sqrt(K+1)/255``."""
    curve = Series("it", report(triples).curve())
    results = as_results(triples)
    total, correct = max(len(triples), 1), [k for true, label, k in results if true == label]
    for radius in radii:
        accuracy = certified_accuracy(results, radius)
        shown = [k for k in correct if Fraction(radius_down(k)) >= radius]
        assert curve.height(radius) == float(Fraction(len(shown), total)) <= float(accuracy)
        certified = [k for k in correct if certified_at(k, radius)]
        assert accuracy == Fraction(len(certified), total)
        assert all(k <= (255 * radius) ** 2 < k + 1 for k in certified if k not in shown)


@given(TRIPLES)
def test_the_curve_starts_at_radius_zero_and_falls_to_nothing(
    report: Make, triples: list[tuple[int, int, int]]
) -> None:
    corners = report(triples).curve()
    assert corners[0] == (0.0, float(certified_accuracy(as_results(triples), Fraction(0))))
    assert corners[-1][1] == 0
    assert [x for x, _ in corners] == sorted(x for x, _ in corners)
    assert [y for _, y in corners] == sorted((y for _, y in corners), reverse=True)


def test_a_run_without_results_can_be_reported(report: Make) -> None:
    made = report([])
    assert dict(made.headline())["inputs certified / abstained"] == "0 / 0"
    assert {share for _, share in metric_table([made], "accuracy among certified")[1]} == {"0.00 %"}
    assert made.curve() == [(0.0, 0.0)]


def test_published_radii_count_as_printed(imported: Callable[..., ImportedReport]) -> None:
    made = imported((0, 1, 1, "0.5"), (1, 1, 1, "0.25"), (2, 0, 1, "0.9"), (3, 0, -1, "0"), (4, 2, 2, "0"))
    accuracy = [made.certified_accuracy(Fraction(r)) for r in ("0", "0.25", "0.2500000001", "0.5", "0.51")]
    assert accuracy == [Fraction(3, 5), Fraction(2, 5), Fraction(1, 5), Fraction(1, 5), 0]
    assert made.certified_percentage(Fraction("0.9")) == Fraction(1, 5)
    assert made.accuracy_among_certified(Fraction("0.25")) == Fraction(2, 4)
    assert (made.total, made.abstained) == (5, 1)
    assert made.average_radius() == "0.1500"
    assert made.curve() == [(0.0, 0.6), (0.0, 0.6), (0.0, 0.4), (0.25, 0.4), (0.25, 0.2), (0.5, 0.2), (0.5, 0.0)]


def test_curves_have_names_that_differ(report: Make, imported: Callable[..., ImportedReport]) -> None:
    one = report([(0, 0, 5)])
    assert curve_names([one, report([], n=2000)]) == [
        "digits test, sigma 0.15, n = 1000",
        "digits test, sigma 0.15, n = 2000",
    ]
    other = replace(one, run=replace(one.run, nonce="11" * 32))
    assert curve_names([one, other]) == [f"{one.name}, run {r.run.id[:8]}" for r in (one, other)]
    twice = [replace(one, source="a.ledger"), replace(one, source="b.ledger")]
    assert len(set(curve_names(twice))) == 2
    assert curve_names([imported(name="Cohen")]) == ["Cohen (imported, not re-checkable)"]
    assert curve_names([report([], noise="continuous")])[0].endswith("(float noise, not exact)")
