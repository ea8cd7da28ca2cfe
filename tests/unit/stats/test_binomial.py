"""Binomial bounds: documented numbers, refusals, and what happens when nothing can be proved."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest
from flint import ctx, fmpq

from holdfast.errors import ImpossibleRequest, ParameterError, ProofFailed
from holdfast.stats import binomial, check_alpha, clopper_pearson_lower_down, critical_count, require_possible
from holdfast.stats.binomial import upper_tail

PERMILLE = Fraction(1, 1000)


def test_a_unanimous_vote_gives_the_nth_root_of_alpha_rounded_down() -> None:
    p = Fraction(clopper_pearson_lower_down(3000, 3000, PERMILLE))
    assert p**3000 <= PERMILLE < (p + Fraction(1, 10**15)) ** 3000


@pytest.mark.parametrize("n", [1, 7, 100_000])
def test_no_success_gives_zero(n: int) -> None:
    assert clopper_pearson_lower_down(0, n, PERMILLE) == 0.0


def test_a_limit_below_what_doubles_of_1_minus_p_resolve_is_zero() -> None:
    """The exact limit is about 1e-15; lowering 1 - p's complement gives nothing positive, and 0 is always valid."""
    assert clopper_pearson_lower_down(1, 1000, Fraction(1, 10**12)) == 0.0


@pytest.mark.parametrize(("k", "n"), [(-1, 10), (11, 10), (0, 0), (1, 0), (0, -5)])
def test_impossible_counts_are_refused(k: int, n: int) -> None:
    with pytest.raises(ParameterError, match=f"no such count: {k} of {n}"):
        clopper_pearson_lower_down(k, n, PERMILLE)


@pytest.mark.parametrize("alpha", [Fraction(0), Fraction(1, 2), Fraction(-1, 1000), Fraction(1), Fraction(7, 5)])
@pytest.mark.parametrize(
    "function", [check_alpha, lambda a: clopper_pearson_lower_down(1, 2, a), lambda a: critical_count(9, a)]
)
def test_failure_probabilities_out_of_range_are_refused(function: Any, alpha: Fraction) -> None:
    with pytest.raises(ParameterError, match=r"alpha must lie between 0 and 0\.5"):
        function(alpha)


@pytest.mark.parametrize("alpha", [0.001, float("nan"), float("inf"), "0.001", 1, None])
@pytest.mark.parametrize(
    "function", [check_alpha, lambda a: clopper_pearson_lower_down(1, 2, a), lambda a: critical_count(9, a)]
)
def test_failure_probabilities_that_are_not_exact_are_refused(function: Any, alpha: Any) -> None:
    with pytest.raises(ParameterError, match="alpha must be an exact Fraction"):
        function(alpha)


def test_a_failure_probability_in_range_is_given_back() -> None:
    assert check_alpha(PERMILLE) is PERMILLE


def test_the_guard_is_widened_until_the_limit_is_proved(monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[float] = []

    def proved_at_the_third(_k: int, _n: int, p: float, _alpha: Fraction) -> bool:
        tried.append(p)
        return len(tried) == 3

    monkeypatch.setattr(binomial, "_tail_at_most", proved_at_the_third)
    assert clopper_pearson_lower_down.__wrapped__(90, 100, PERMILLE) == tried[2] < tried[1] < tried[0]


def test_a_limit_that_cannot_be_proved_is_an_error_not_a_guess(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(binomial, "_tail_at_most", lambda *_: False)
    with pytest.raises(ProofFailed, match="90 of 100"):
        clopper_pearson_lower_down.__wrapped__(90, 100, PERMILLE)


@pytest.mark.parametrize(
    ("trials", "alpha", "needed"),
    [
        (1000, "0.001", 553), (100, "0.001", 67), (11, "0.001", 11), (10, "0.001", 11), (0, "0.001", 1),
        (1, "0.001", 2), (2, "0.25", 3), (3, "0.25", 3), (4, "0.125", 4), (100_000, "0.001", 50_521),
    ],
)  # fmt: skip
def test_documented_critical_counts(trials: int, alpha: str, needed: int) -> None:
    assert critical_count(trials, Fraction(alpha)) == needed


def test_the_tail_of_a_certain_success() -> None:
    """P(Bin(n, p) >= n) = p^n; and the last terms of a series that is never cut off."""
    with ctx.workprec(1000):
        assert upper_tail(3, 3, fmpq(1, 3)).contains(fmpq(1, 27))
        assert upper_tail(1, 40, fmpq(99, 100)).contains(1 - fmpq(1, 100) ** 40)


def test_the_series_is_cut_off_with_its_rest_added(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a coarse tolerance the rest is large; it must still be inside the ball."""
    exact = upper_tail(600, 1000, fmpq(1, 2))
    monkeypatch.setattr(binomial, "_TAIL_TOLERANCE", 0.5)
    coarse = upper_tail(600, 1000, fmpq(1, 2))
    assert coarse.rad() > exact.rad()
    assert coarse.contains(exact)


@pytest.mark.parametrize(
    ("alpha", "needed"), [("0.001", 10), ("0.0001", 14), ("0.05", 5), ("0.25", 3), ("0.49", 2), ("0.3", 2)]
)
def test_the_number_of_samples_needed_is_named(alpha: str, needed: int) -> None:
    """Smallest n with alpha^(1/n) > 1/2."""
    level = Fraction(alpha)
    assert level * 2**needed > 1 >= level * 2 ** (needed - 1)
    require_possible(needed, level)
    require_possible(needed + 1000, level)
    with pytest.raises(ImpossibleRequest, match=f"n={needed - 1} is too small .* n must be at least {needed}$"):
        require_possible(needed - 1, level)
