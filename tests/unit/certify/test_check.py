"""The verifier: accepts what was computed and nothing else."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.certify import certify, decide, new_run
from holdfast.certify.check import certificate_problems, fresh_refutes, refutation_limit, run_problems
from holdfast.noise import DiscreteGaussian
from holdfast.records import Certificate, Run

Make = Callable[..., Any]
CLASSIFIER: Any = SimpleNamespace(
    fingerprint="ab" * 32, description={}, num_classes=3, shape=(1, 1, 1), noise=DiscreteGaussian("30.6")
)
GENUINE = new_run(CLASSIFIER, data="none", data_digest="00" * 32, n0=100, n=1000, alpha="0.001", nonce="01" * 32)


@pytest.fixture(params=["discrete", "rounded"])
def run(request: pytest.FixtureRequest, brightness: Make, start: Make) -> Run:
    return start(brightness("30.6", request.param), n0=100, n=1000)


def made(run: Run, *counts: int, selected: tuple[int, ...] = (1, 98, 1)) -> Certificate:
    labels = [np.repeat(np.arange(3), c).astype(np.uint16) for c in (selected, counts)]
    return decide(run, 0, bytes(32), *labels)


def problems(run: Run, certificate: Certificate, **changes: Any) -> list[str]:
    return list(certificate_problems(run, replace(certificate, **changes)))


@given(st.integers(0, 1000))
def test_every_genuine_certificate_is_accepted(count: int) -> None:
    certificate = made(GENUINE, 0, count, 1000 - count)
    assert problems(GENUINE, certificate) == []


@pytest.mark.parametrize(("n", "misses"), [(10**5, 0), (10**5, 3), (10**6, 0), (10**6, 1), (3 * 10**6, 0)])
@pytest.mark.parametrize("alpha", ["0.001", "0.4"])
def test_genuine_certificates_of_many_samples_are_accepted(n: int, misses: int, alpha: str) -> None:
    """Near 1 a double's own grain is more than the prover's guard: that is no lowered bound."""
    run = replace(GENUINE, n=n, looks=(n,), alpha=alpha, alpha_split=(alpha,))
    certificate = made(run, misses, n - misses, 0)
    assert list(run_problems(run)) == []
    assert problems(run, certificate) == []
    assert problems(run, certificate, radius_sq_px=certificate.radius_sq_px + 1) != []


def test_a_certificate_made_by_sampling_is_accepted(brightness: Make, start: Make, image: np.ndarray) -> None:
    run = start(brightness(60))
    assert list(run_problems(run)) == []
    assert list(certificate_problems(run, certify(brightness(60), image, run))) == []


@pytest.mark.parametrize("count", [551, 700, 999, 1000])
def test_a_change_of_any_claim_by_one_is_rejected(run: Run, count: int) -> None:
    certificate = made(run, 1000 - count, count, 0)
    assert problems(run, certificate) == []
    k, p, q = certificate.radius_sq_px, certificate.p_lower, certificate.p_upper
    assert "not proved" in problems(run, certificate, radius_sq_px=k + 1)[0]
    assert "smaller" in problems(run, certificate, radius_sq_px=k - 1)[0]
    assert problems(run, certificate, radius_sq_px=-2) != []
    assert "selection samples chose" in problems(run, certificate, label=0)[0]
    assert "selection samples chose" in problems(run, certificate, label=2)[0]
    for direction in (0.0, 1.0):
        assert "1 - p_lower" in problems(run, certificate, p_lower=math.nextafter(p, direction))[0]
        assert "1 - p_lower" in problems(run, certificate, p_upper=math.nextafter(q, direction))[0]


@pytest.mark.parametrize("count", [500, 551, 700, 999])
def test_a_count_moved_by_one_is_rejected(run: Run, count: int) -> None:
    certificate = made(run, 1000 - count, count, 0)
    for moved in (-1, 1):
        consistent = (1000 - count - moved, count + moved, 0)
        assert len(problems(run, certificate, counts=consistent)) >= 1
        assert "add up" in problems(run, certificate, counts=(1000 - count, count + moved, 0))[0]
        assert "add up" in problems(run, certificate, counts=(1000 - count + moved, count, 0))[0]
        assert "add up" in problems(run, certificate, selection_counts=(1, 98 + moved, 1))[0]
    assert "label 1 is not the class" in problems(run, certificate, selection_counts=(50, 49, 1))[0]
    assert "label 1 is not the class" in problems(run, certificate, selection_counts=(50, 50, 0))[0]


@pytest.mark.parametrize("count", [600, 1000])
def test_a_limit_beyond_the_slack_is_rejected_even_if_all_else_follows(run: Run, count: int) -> None:
    """p_lower, p_upper and the radius changed together: upwards it is no limit, downwards it is not the one."""
    certificate = made(run, 1000 - count, count, 0)
    for change, message in ((+1e-9, "is not a lower limit"), (-1e-9, "it is lower")):
        p = certificate.p_lower + (1 - certificate.p_lower) * change
        found = problems(run, certificate, p_lower=p, p_upper=math.nextafter(1 - p, 1))
        assert message in found[0]


@pytest.mark.parametrize("field", ["p_lower", "p_upper"])
@pytest.mark.parametrize(
    "value", [float("nan"), float("inf"), -float("inf"), 1.7e308, -1.7976931348623157e308, -0.1, 1.0, 2.0]
)
def test_what_is_no_probability_is_rejected_not_a_crash(run: Run, field: str, value: float) -> None:
    assert problems(run, made(run, 100, 900, 0), **{field: value}) != []


def test_the_charge_for_the_noise_table_is_checked(run: Run) -> None:
    """The real one is too small to be seen in a double, so a run with a larger one shows it."""
    charged = replace(run, epsilon="1/100")
    assert problems(charged, made(charged, 100, 900, 0)) == []
    assert "not proved" in problems(charged, made(run, 100, 900, 0))[0]


def test_at_exactly_one_half_nothing_is_certified(run: Run) -> None:
    free, certificate = replace(run, epsilon="0"), made(run, 100, 900, 0)
    found = problems(free, certificate, p_lower=0.5, p_upper=0.5, radius_sq_px=0)
    assert any("radius_sq_px=0 is not proved" in text for text in found)


def test_a_label_without_samples_has_the_trivial_bounds(run: Run) -> None:
    certificate = made(run, 1000, 0, 0)
    assert (certificate.p_lower, certificate.p_upper) == (0.0, 1.0)
    assert problems(run, certificate) == []
    assert "although no sample had the label" in problems(run, certificate, p_lower=0.6, p_upper=0.4)[0]
    assert "p_upper" in problems(run, certificate, p_upper=0.4)[0]


@pytest.mark.parametrize(
    "counts", [(), (1000,), (100, 900), (100, 900, 0, 0), (-1, 1001, 0), (1100, -100, 0), (2000, -900, -100)]
)
def test_counts_that_are_none_are_rejected(run: Run, counts: tuple[int, ...]) -> None:
    certificate = made(run, 100, 900, 0)
    assert "for each of the 3 classes" in problems(run, certificate, counts=counts)[0]
    assert "for each of the 3 classes" in problems(run, certificate, selection_counts=counts)[0]


def test_a_genuine_run_is_accepted(run: Run) -> None:
    assert list(run_problems(run)) == []


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"noise_digest": "00" * 32}, "another digest"),
        ({"sigma": "0.13"}, "another digest"),
        ({"epsilon": "0"}, "charge for the noise table is 0, not"),
        ({"alpha_split": ("0.0005", "0.0004")}, "do not add up"),
        ({"alpha_split": ()}, "do not add up"),
        ({"alpha": "0.002"}, "do not add up"),
        ({"looks": (500, 1000)}, "has one look, at 1000"),
        ({"theorem": "none"}, "is not the one for"),
        ({"noise": "continuous"}, "another digest"),
        ({"noise": "laplace"}, "not usable: unknown noise"),
        ({"sigma": "0"}, "not usable: sigma must be positive"),
        ({"sigma": "nan"}, "not usable"),
        ({"sigma": "1/0"}, "not usable"),
        ({"alpha": "0.6", "alpha_split": ("0.6",)}, "not usable: alpha must lie between"),
        ({"alpha": "none"}, "not usable"),
        ({"epsilon": "x"}, "not usable"),
        ({"epsilon": "-1/1000"}, "negative"),
        ({"alpha_split": ("-1", "1.001")}, "negative"),
    ],
)
def test_a_run_whose_statement_does_not_hold_is_rejected(run: Run, changes: dict[str, Any], message: str) -> None:
    found = list(run_problems(replace(run, **changes)))
    assert any(message in text for text in found), found


@pytest.mark.parametrize(
    "changes", [{"sigma": "1/0"}, {"alpha": "1"}, {"epsilon": ""}, {"noise": "?"}, {"alpha_split": ("-1",)}]
)
def test_certificates_of_an_unusable_run_are_rejected_not_a_crash(run: Run, changes: dict[str, Any]) -> None:
    certificate = made(run, 100, 900, 0)
    assert len(list(certificate_problems(replace(run, **changes), certificate))) == 1


@pytest.mark.parametrize(
    ("p_lower", "samples", "refuting"), [(0.99, 1000, 971), (0.9, 1000, 851), (0.5, 1000, 424), (0.99, 10, 5)]
)
def test_documented_refutations(p_lower: float, samples: int, refuting: int) -> None:
    """docs/theory/statistics.md, at level 1e-6."""
    certificate, level = replace(made(GENUINE, 0, 1000, 0), p_lower=p_lower), Fraction(1, 10**6)
    assert fresh_refutes(certificate, refuting, samples, level)
    assert not fresh_refutes(certificate, refuting + 1, samples, level)


def test_what_can_never_be_refuted() -> None:
    certificate, level = made(GENUINE, 0, 1000, 0), Fraction(1, 10**6)
    assert not fresh_refutes(certificate, 1000, 1000, level)
    assert not fresh_refutes(replace(certificate, p_lower=0.0), 0, 1000, level)


@pytest.mark.parametrize(("certificates", "limit"), [(0, 1), (1, 2), (2, 2), (100, 5), (200, 6), (1000, 10)])
def test_documented_refutation_limits(certificates: int, limit: int) -> None:
    """One false certificate in one is no refutation; two of two at alpha = 0.001 have probability 1e-6 exactly."""
    assert refutation_limit(certificates, Fraction(1, 1000), Fraction(1, 10**6)) == limit
