"""Starting a run: everything is checked and fixed, then the nonce is drawn."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest

from holdfast.certify.runs import THEOREMS
from holdfast.errors import ImpossibleRequest, ParameterError
from holdfast.noise import noise_charge

Make = Callable[..., Any]


@pytest.mark.parametrize("law", ["discrete", "rounded", "continuous"])
def test_a_run_holds_all_that_its_certificates_share(law: str, brightness: Make, start: Make) -> None:
    classifier = brightness("30.6", law)
    run = start(classifier, n0=100, n=1000, alpha="1e-3")
    assert (run.fingerprint, run.classifier) == (classifier.fingerprint, classifier.description)
    assert (run.noise, run.noise_digest, run.sigma, run.sigma_px) == (
        law,
        classifier.noise.digest,
        "0.12",
        Fraction("30.6"),
    )
    assert (run.n0, run.n, run.looks, run.alpha, run.alpha_split) == (100, 1000, (1000,), "0.001", ("0.001",))
    assert (run.num_classes, run.shape, run.bound) == (3, (1, 2, 2), "Clopper-Pearson")
    assert Fraction(run.epsilon) == noise_charge(classifier.noise.total_variation)
    assert run.theorem == THEOREMS[law]
    assert ("OUTSIDE" in run.theorem) == (not run.exact) == (law == "continuous")
    assert run.nonce_given


def test_a_scale_that_is_no_decimal_in_image_units_stays_exact(brightness: Make, start: Make) -> None:
    run = start(brightness("20"))
    assert run.sigma == "4/51"
    assert run.sigma_px == 20


def test_nonces_come_from_the_operating_system(brightness: Make, start: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    runs = [start(brightness(), nonce=None) for _ in range(20)]
    assert len({run.nonce for run in runs}) == len({run.run_key for run in runs}) == 20
    assert {len(bytes.fromhex(run.nonce)) for run in runs} == {32}
    assert not any(run.nonce_given for run in runs)
    monkeypatch.setattr("os.urandom", lambda size: b"\7" * size)
    assert start(brightness(), nonce=None).nonce == "07" * 32


def test_a_given_nonce_is_for_replaying_and_marked(brightness: Make, start: Make) -> None:
    drawn = start(brightness(), nonce=None)
    replay = start(brightness(), nonce=drawn.nonce.upper())
    assert replay == replace(drawn, nonce_given=True)
    assert replay.run_key == drawn.run_key


@pytest.mark.parametrize("nonce", ["", "00", "zz" * 32, "00" * 31, "00" * 33, "0" * 63])
def test_other_nonces_are_refused(nonce: str, brightness: Make, start: Make) -> None:
    with pytest.raises(ParameterError, match="64 hexadecimal digits"):
        start(brightness(), nonce=nonce)


@pytest.mark.parametrize(
    "alpha", [0.001, float("nan"), "0", "0.5", "1", "-0.1", "nan", "inf", "a", "1/1000", None, True, 1]
)
def test_failure_probabilities_that_are_not_exact_or_out_of_range_are_refused(
    alpha: Any, brightness: Make, start: Make
) -> None:
    with pytest.raises(ParameterError, match="alpha"):
        start(brightness(), alpha=alpha)


@pytest.mark.parametrize("n0", [0, -1])
def test_selection_needs_a_sample(n0: int, brightness: Make, start: Make) -> None:
    with pytest.raises(ParameterError, match="n0 must be at least 1"):
        start(brightness(), n0=n0)


def test_estimation_needs_as_many_samples_as_selection(brightness: Make, start: Make) -> None:
    with pytest.raises(ParameterError, match="n=99 is smaller than n0=100"):
        start(brightness(), n0=100, n=99)
    start(brightness(), n0=100, n=100)


@pytest.mark.parametrize(("alpha", "needed"), [("0.001", 10), ("0.0001", 14), ("0.25", 3)])
def test_too_few_samples_are_refused_with_the_number_needed(
    alpha: str, needed: int, brightness: Make, start: Make
) -> None:
    start(brightness(), n0=1, n=needed, alpha=alpha)
    with pytest.raises(ImpossibleRequest, match=f"n must be at least {needed}$"):
        start(brightness(), n0=1, n=needed - 1, alpha=alpha)
