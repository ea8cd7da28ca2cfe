"""Goodness of fit and independence of the noise, each at a false-alarm rate of 1e-6 fixed in advance.

Addresses are fixed: a failure is a finding, never to be run again until green. Each parametrised case is one test of
the register; the rate is shared among the statistics inside a case. Masses are those of the ideal laws, by formulas that
the samplers do not use.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import ndtr
from scipy.stats import chi2, norm

from holdfast.noise import DiscreteGaussian, RoundedGaussian, noise_law
from holdfast.noise.philox import word_lanes
from holdfast.records import Address, Purpose

FALSE_ALARM = 1e-6
SMALLEST_EXPECTED = 100.0
LAWS = ["discrete", "rounded"]
SHAPE = (4000, 512)
SERIES = (2000, 500)


def address(purpose: Purpose = Purpose.ESTIMATE) -> Address:
    return Address(b"goodness of fit, address number ", bytes(32), purpose)


def masses(law: str, sigma: float, last: int) -> NDArray[np.float64]:
    """Ideal masses of -last .. last, to about 1e-13."""
    k = np.arange(-last, last + 1, dtype=np.float64)
    if law == "discrete":
        weights = np.exp(-(k**2) / (2 * sigma**2))
        return weights / math.fsum(weights)
    left = ndtr((-np.abs(k) + 0.5) / sigma) - ndtr((-np.abs(k) - 0.5) / sigma)
    return np.where(k == 0, 1 - 2 * ndtr(-0.5 / sigma), left)


def chi_square(found: NDArray[np.int64], expected: NDArray[np.float64]) -> tuple[float, int]:
    """Pearson's statistic and its degrees of freedom; neighbouring cells are joined until each expects enough."""
    cells, seen, hoped = [], 0, 0.0
    for f, e in zip(found.tolist(), expected.tolist(), strict=True):
        seen, hoped = seen + f, hoped + e
        if hoped >= SMALLEST_EXPECTED:
            cells.append([seen, hoped])
            seen, hoped = 0, 0.0
    cells[-1][0] += seen
    cells[-1][1] += hoped
    assert sum(c[0] for c in cells) == found.sum()
    return sum((f - e) ** 2 / e for f, e in cells), len(cells) - 1


def fits(values: NDArray[np.int16], law: str, sigma: float, level: float = FALSE_ALARM) -> bool:
    last = math.ceil(14 * sigma) + 1
    found = np.bincount(values.reshape(-1).astype(np.int64) + last, minlength=2 * last + 1)
    statistic, freedom = chi_square(found, masses(law, sigma, last) * values.size)
    return bool(statistic < chi2.isf(level, freedom))


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("sigma_px", ["0.3", "0.5", "1", "2.5", "30.6", "63.75", "255"])
def test_the_law_fits_its_exact_masses(law: str, sigma_px: str) -> None:
    values = noise_law(law, sigma_px).sample(address(), 2**32 - 1000, *SHAPE)
    assert fits(values, law, float(sigma_px))


def test_the_same_test_tells_the_two_laws_and_neighbouring_scales_apart() -> None:
    """Power: what should be refused is refused, on as many draws."""
    discrete = DiscreteGaussian("1").sample(address(), 0, *SHAPE)
    rounded = RoundedGaussian("1").sample(address(), 0, *SHAPE)
    assert not fits(discrete, "rounded", 1.0)
    assert not fits(rounded, "discrete", 1.0)
    assert not fits(DiscreteGaussian("30.6").sample(address(), 0, *SHAPE), "discrete", 31.0)
    assert not fits(RoundedGaussian("63.75").sample(address(), 0, *SHAPE), "rounded", 65.0)
    assert not fits(np.abs(discrete), "discrete", 1.0)


def score(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """Standardised correlation of two arrays of centred draws: normal for a million independent ones."""
    return float(np.einsum("ij,ij->", a, b) / (math.sqrt(a.size) * np.mean(a**2)))


def correlations(x: NDArray[np.float64]) -> dict[str, float]:
    found = {f"coordinates {lag} apart": score(x[:, :-lag], x[:, lag:]) for lag in (1, 2, 3, 4, 8, 256)}
    found |= {f"samples {lag} apart": score(x[:-lag], x[lag:]) for lag in (1, 2, 256)}
    return found | {"the next sample's next coordinate": score(x[:-1, :-1], x[1:, 1:])}


def significant(found: dict[str, float]) -> dict[str, float]:
    limit = norm.isf(FALSE_ALARM / 2 / len(found))
    return {name: z for name, z in found.items() if abs(z) >= limit}


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("sigma_px", ["0.5", "30.6"])
def test_draws_are_uncorrelated(law: str, sigma_px: str) -> None:
    noise, here, start = noise_law(law, sigma_px), address(), 2**32 - 1000
    x = noise.sample(here, start, *SERIES).astype(np.float64)
    found = correlations(x)
    magnitude = np.abs(x) - np.abs(x).mean()
    found |= {f"magnitudes, {name}": z for name, z in correlations(magnitude).items()}
    found["another purpose"] = score(x, noise.sample(address(Purpose.SELECT), start, *SERIES).astype(np.float64))
    image = Address(here.run_key, b"\1" * 32, here.purpose)
    found["another image"] = score(x, noise.sample(image, start, *SERIES).astype(np.float64))
    assert significant(found) == {}


def test_the_same_test_finds_one_draw_in_twenty_that_is_repeated() -> None:
    """Power: repeated in the next coordinate, and in the next sample."""
    x = DiscreteGaussian("30.6").sample(address(), 0, *SERIES).astype(np.float64)
    assert significant(correlations(x)) == {}
    in_row, in_column = x.copy(), x.copy()
    in_row[:, 1::20] = x[:, 0::20]
    in_column[1::20] = x[0::20]
    assert "coordinates 1 apart" in significant(correlations(in_row))
    assert "samples 1 apart" in significant(correlations(in_column))


def test_pairs_of_neighbours_are_independent() -> None:
    """Chi-square on the joint law of disjoint pairs of coordinates, in and across blocks of four."""
    x = DiscreteGaussian("2.5").sample(address(), 0, *SHAPE).astype(np.int64)
    values, single = np.clip(x, -7, 7) + 7, masses("discrete", 2.5, 40)
    law = np.concatenate([[single[:34].sum()], single[34:47], [single[47:].sum()]])
    first = np.arange(0, SHAPE[1] - 5, 5)
    for lag in (1, 2, 3, 4):
        cells = np.bincount((values[:, first] * 15 + values[:, first + lag]).reshape(-1), minlength=15 * 15)
        statistic, freedom = chi_square(cells, np.outer(law, law).reshape(-1) * cells.sum())
        assert statistic < chi2.isf(FALSE_ALARM / 4, freedom)


def test_every_bit_of_the_words_is_fair() -> None:
    """Each of 32 bits of each of four lanes: 128 binomial tests that share the rate."""
    words = np.concatenate(
        [lanes.copy() for _, lanes in word_lanes(address().philox_key(), 2**32 - 5, 32, 8192)], axis=1
    )
    draws = words.shape[1]
    limit = norm.isf(FALSE_ALARM / 2 / 128) * math.sqrt(draws) / 2
    for bit in range(32):
        ones = (words >> np.uint64(bit) & np.uint64(1)).sum(axis=1).astype(np.float64)
        assert (np.abs(ones - draws / 2) < limit).all()
