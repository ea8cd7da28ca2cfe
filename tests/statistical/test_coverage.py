"""How often certify is wrong, counted. Registered in advance: 1e-6 per test, fixed nonces, never repeated until green.

The classifiers are synthetic: their probabilities are known exactly, so every certificate can be judged. alpha is 0.05,
so that wrong certificates are common enough to be counted. Each claim that certify's failure rate is at most alpha is
tested by the number of failures, which must stay below the upper 1e-6 quantile of Binomial(runs, alpha); each broken
variant must exceed it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import binom

from holdfast.certify import certify, decide, new_run, predict
from holdfast.digest import array_digest, json_digest
from holdfast.noise import DiscreteGaussian, noise_law
from holdfast.noise.philox import word_lanes
from holdfast.protocols import Noise
from holdfast.records import Address, Certificate, Purpose, Run
from holdfast.stats import clopper_pearson_lower_down

FALSE_ALARM, ALPHA, RUNS = 1e-6, Fraction(1, 20), 3000
WORDS = 1 << 32
LIMIT = int(binom.isf(FALSE_ALARM, RUNS, float(ALPHA)))
"""Failures up to here are within the 1 - 1e-6 quantile."""


@dataclass(frozen=True)
class Lottery:
    """Labels drawn by the address alone: class c with probability ``shares[c] / 2^32``, exactly."""

    shares: tuple[int, ...]
    noise: Noise
    shape: tuple[int, ...] = (1, 1, 2)

    @property
    def num_classes(self) -> int:
        return len(self.shares)

    @property
    def description(self) -> dict[str, Any]:
        return {"shares": list(self.shares)}

    @property
    def fingerprint(self) -> str:
        return json_digest([self.description, list(self.shape)]).hex()

    def probability(self, label: int) -> Fraction:
        return Fraction(self.shares[label], WORDS)

    def labels(self, image: NDArray[np.uint8], address: Address, start: int, count: int) -> NDArray[np.uint16]:
        words = [lanes[0].copy() for _, lanes in word_lanes(address.philox_key(), start, count, 1)]
        edges = np.cumsum(self.shares, dtype=np.uint64)
        return np.searchsorted(edges, np.concatenate(words), side="right").astype(np.uint16)


def lottery(*probabilities: str) -> Lottery:
    shares = [int(Fraction(p) * WORDS) for p in probabilities]
    return Lottery((*shares[:-1], WORDS - sum(shares[:-1])), DiscreteGaussian("30.6"))


def images(count: int) -> list[NDArray[np.uint8]]:
    """Different images: each has noise of its own within a run."""
    return [np.array([[[i // 256, i % 256]]], dtype=np.uint8) for i in range(count)]


def run_of(classifier: Any, n0: int, n: int, nonce: int) -> Run:
    text = f"{nonce:064x}"
    return new_run(classifier, data="lottery", data_digest="00" * 32, n0=n0, n=n, alpha="0.05", nonce=text)


def failures(classifier: Lottery, n0: int, n: int, nonce: int, method: Callable[..., Certificate] = certify) -> int:
    """Certificates whose stated lower limit is not below the true probability."""
    run, false = run_of(classifier, n0, n, nonce), 0
    for image in images(RUNS):
        certificate = method(classifier, image, run)
        false += Fraction(certificate.p_lower) >= classifier.probability(certificate.label)
    return false


CASES = {
    "two classes": (("0.8", "0.2"), 20, 200),
    "nearly tied": (("0.505", "0.495"), 1, 100),
    "ten equal classes": (("0.1",) * 10, 100, 100),
    "rare errors": (("0.99", "0.01"), 10, 300),
}


@pytest.mark.parametrize("case", CASES)
def test_certify_fails_with_probability_at_most_alpha(case: str) -> None:
    probabilities, n0, n = CASES[case]
    assert failures(lottery(*probabilities), n0, n, nonce=1) <= LIMIT


def test_the_level_is_used_not_wasted() -> None:
    """Power: for p = 0.8 and n = 200 the failure rate is about 0.04; a bound that never fails would be another bug."""
    probabilities, n0, n = CASES["two classes"]
    assert failures(lottery(*probabilities), n0, n, nonce=2) > binom.ppf(FALSE_ALARM, RUNS, 0.03)


def test_selecting_on_the_samples_that_estimate_would_be_detected() -> None:
    def reused(classifier: Lottery, image: NDArray[np.uint8], run: Run) -> Certificate:
        address = run.address(array_digest(image), Purpose.ESTIMATE)
        estimation = classifier.labels(image, address, 0, run.n)
        return decide(run, 0, bytes(32), estimation[: run.n0], estimation)

    probabilities, n0, n = CASES["ten equal classes"]
    assert failures(lottery(*probabilities), n0, n, nonce=1, method=reused) > LIMIT


def test_a_bound_that_ignores_alpha_would_be_detected() -> None:
    @dataclass(frozen=True)
    class Share:
        label: int
        p_lower: float

    def ignored(classifier: Lottery, image: NDArray[np.uint8], run: Run) -> Any:
        found = certify(classifier, image, run)
        return Share(found.label, found.counts[found.label] / run.n)

    def too_generous(classifier: Lottery, image: NDArray[np.uint8], run: Run) -> Any:
        found = certify(classifier, image, run)
        return Share(found.label, clopper_pearson_lower_down(found.counts[found.label], run.n, 2 * ALPHA))

    for broken in (ignored, too_generous):
        assert failures(lottery("0.8", "0.2"), 20, 200, nonce=1, method=broken) > LIMIT


def test_extending_a_run_until_it_certifies_would_be_detected() -> None:
    """Up to five looks at n = 100, 200, ... 1600 for a class with p = 1/2, which must not be certified."""
    classifier, false = lottery("0.5", "0.5"), 0
    run = run_of(classifier, 1, 1600, nonce=1)
    for image in images(RUNS):
        hits = classifier.labels(image, run.address(array_digest(image), Purpose.ESTIMATE), 0, 1600) == 0
        looks = (clopper_pearson_lower_down(int(hits[:n].sum()), n, ALPHA) for n in (100, 200, 400, 800, 1600))
        false += any(p >= 0.5 for p in looks)
    assert false > LIMIT


@pytest.mark.parametrize("law", ["discrete", "rounded"])
def test_certified_radii_cover_the_true_flip_distance(law: str) -> None:
    """With real noise: a half-space, whose smoothed prediction is known exactly at every shift.

    False is: some integer shift k with k^2 <= radius_sq_px leaves the label without a strict majority.
    """
    noise = noise_law(law, "30.6")
    table = noise.table  # type: ignore[attr-defined]
    below = {table.low + i: t for i, t in enumerate(table.thresholds)}
    half, edge = 1 << 127, 128

    @dataclass(frozen=True)
    class HalfSpace(Lottery):
        def labels(self, image: NDArray[np.uint8], address: Address, start: int, count: int) -> NDArray[np.uint16]:
            z = self.noise.sample(address, start, count, 2)[:, 0] + np.int16(image.flat[0])
            return (z >= edge).astype(np.uint16)

    classifier, false, certified = HalfSpace((0, WORDS), noise), 0, 0
    run = run_of(classifier, 10, 150, nonce=3)
    for i in range(RUNS):
        pixel = 100 + i % 28
        image = np.array([[[pixel, i // 28]]], dtype=np.uint8)
        found = certify(classifier, image, run)
        shifts = range(int(found.radius_sq_px**0.5) + 1) if not found.abstained else ()
        sign = 1 if found.label == 0 else -1
        shares = [below[edge - 1 - pixel - sign * k] for k in shifts if k * k <= found.radius_sq_px]
        certified += bool(shares)
        false += any((t if found.label == 0 else 2 * half - t) <= half for t in shares)
    assert certified > RUNS / 4
    assert false <= LIMIT


def test_predict_names_another_class_with_probability_at_most_alpha() -> None:
    """Two equal classes are the worst case for the class that is not ours: at most alpha / 2."""
    classifier, named = lottery("0.5", "0.5"), 0
    for i, image in enumerate(images(RUNS)):
        found = predict(classifier, image, 100, ALPHA, key=i.to_bytes(32, "big"))
        named += found.label == 1
    assert named <= int(binom.isf(FALSE_ALARM, RUNS, float(ALPHA) / 2))
    assert named > 0
