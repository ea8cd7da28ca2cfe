"""What a report says: the numbers of the certificates, cut and never rounded up; the curve is the certified accuracy."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.report import RunReport
from holdfast.rounding import certified_at, radius_down
from holdfast.stats import average_certified_radius, certified_accuracy, certified_percentage

Make = Callable[..., RunReport]
TRIPLES = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2), st.integers(-1, 9000)), max_size=25)


def number(text: str) -> Fraction:
    return Fraction(text.removesuffix(" %"))


@given(TRIPLES)
def test_every_headline_number_is_that_of_the_metrics_and_never_larger(
    report: Make, triples: list[tuple[int, int, int]]
) -> None:
    made = report(triples)
    facts = dict(made.headline())
    results = [(true, label if k >= 0 else -1, k) for true, label, k in triples]
    accuracy, acr = certified_accuracy(results, Fraction(0)), Fraction(average_certified_radius(results))
    assert 0 <= 100 * accuracy - number(facts["certified accuracy at radius 0"]) < Fraction(1, 10)
    assert 0 <= acr - number(facts["average certified radius"]) < Fraction(1, 10_000)
    abstained = sum(k < 0 for *_, k in triples)
    assert facts["inputs certified / abstained"] == f"{len(triples) - abstained} / {abstained}"
    assert (facts["data"], facts["alpha"], facts["samples"]) == ("digits test", "0.001", "n0 = 100, n = 1000")
    assert facts["noise"] == "discrete, sigma 0.15"
    assert facts["theorem"] == made.run.theorem


@given(TRIPLES)
def test_the_table_is_cut_and_ends_where_nothing_is_certified(
    report: Make, triples: list[tuple[int, int, int]]
) -> None:
    results = [(true, label if k >= 0 else -1, k) for true, label, k in triples]
    rows = report(triples).table()
    for step, (radius, accuracy, percentage) in enumerate(rows):
        assert Fraction(radius) == Fraction("0.15") * step / 4
        for shown, share in (
            (accuracy, certified_accuracy(results, Fraction(radius))),
            (percentage, certified_percentage(results, Fraction(radius))),
        ):
            assert 0 <= 100 * share - number(shown) < Fraction(1, 10)
    assert rows[-1][2] == "0.0 %"
    assert all(row[2] != "0.0 %" for row in rows[:-1])


@pytest.mark.parametrize(
    ("correct", "total", "shown"), [(2, 3, "66.6 %"), (1999, 2000, "99.9 %"), (7, 10, "70.0 %"), (29, 100, "29.0 %")]
)
def test_shares_are_cut(correct: int, total: int, shown: str, report: Make) -> None:
    made = report([(1, 1, 100)] * correct + [(0, 1, 100)] * (total - correct))
    assert dict(made.headline())["certified accuracy at radius 0"] == shown


def test_a_radius_just_below_a_round_number_is_not_rounded_up(report: Make) -> None:
    made = report([(1, 1, 255**2 - 1)])
    assert dict(made.headline())["average certified radius"] == "0.9999"
    assert made.curve()[-1][0] < 1


def on_curve(corners: list[tuple[float, float]], radius: Fraction) -> float:
    """Height of the step function: at a fall, the value before it."""
    return next((y for x, y in corners if Fraction(x) >= radius), 0.0)


@given(TRIPLES, st.lists(st.fractions(0, Fraction(2, 5)), min_size=1, max_size=20))
def test_the_curve_is_the_certified_accuracy_and_nowhere_above_it(
    report: Make, triples: list[tuple[int, int, int]], radii: list[Fraction]
) -> None:
    """It falls at ``sqrt(K)/255``; certified accuracy, which only knows whole grey levels, at ``sqrt(K+1)/255``."""
    corners = report(triples).curve()
    results = [(true, label if k >= 0 else -1, k) for true, label, k in triples]
    total, correct = max(len(triples), 1), [k for true, label, k in results if true == label]
    for radius in radii:
        accuracy = certified_accuracy(results, radius)
        shown = [k for k in correct if Fraction(radius_down(k)) >= radius]
        assert on_curve(corners, radius) == float(Fraction(len(shown), total)) <= float(accuracy)
        certified = [k for k in correct if certified_at(k, radius)]
        assert accuracy == Fraction(len(certified), total)
        assert all(k <= (255 * radius) ** 2 < k + 1 for k in certified if k not in shown)


@given(TRIPLES)
def test_the_curve_starts_at_radius_zero_and_falls_to_nothing(
    report: Make, triples: list[tuple[int, int, int]]
) -> None:
    corners = report(triples).curve()
    assert corners[0] == (
        0.0,
        float(certified_accuracy([(t, p if k >= 0 else -1, k) for t, p, k in triples], Fraction(0))),
    )
    assert corners[-1][1] == 0
    assert [x for x, _ in corners] == sorted(x for x, _ in corners)
    assert [y for _, y in corners] == sorted((y for _, y in corners), reverse=True)


def test_a_run_without_results_can_be_reported(report: Make) -> None:
    made = report([])
    assert dict(made.headline())["inputs certified / abstained"] == "0 / 0"
    assert made.table() == [("0", "0.0 %", "0.0 %")]
    assert made.curve() == [(0.0, 0.0)]


def test_the_table_ends_also_where_radii_do_not(report: Make) -> None:
    rows = report([(0, 0, 10**9)]).table()
    assert len(rows) == 40
    assert rows[-1] == ("1.4625", "100.0 %", "100.0 %")
