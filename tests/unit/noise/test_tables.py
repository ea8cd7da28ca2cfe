"""Tables: every 128-bit uniform has one answer, however few bits are looked at first."""

from __future__ import annotations

import hashlib
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.errors import ParameterError
from holdfast.noise import DiscreteGaussian, RoundedGaussian
from holdfast.noise.tables import (
    MAX_DIMENSION,
    MAX_SIGMA_PX,
    UNDECIDED,
    NoiseTable,
    check_range,
    check_sigma_px,
    noise_charge,
)

HALF, ONE = 1 << 127, 1 << 128
LOWER_HALVES = st.lists(
    st.one_of(
        st.integers(0, HALF), st.integers(0, 20), st.integers(HALF - 20, HALF), st.integers(2**96 - 3, 2**96 + 3)
    ),
    max_size=12,
).map(sorted)
UNIFORMS = st.one_of(st.integers(0, ONE - 1), st.integers(0, 30), st.integers(ONE - 30, ONE - 1))


def law(table: NoiseTable) -> dict[int, int]:
    """Exact masses of the sampler, times 2^128."""
    edges = [0, *table.thresholds, ONE]
    return {table.low + i: b - a for i, (a, b) in enumerate(pairwise(edges))}


@given(LOWER_HALVES)
def test_a_table_is_symmetric_and_drops_zeros(lower: list[int]) -> None:
    table = NoiseTable.from_lower_half(lower)
    kept = [t for t in lower if t]
    assert table.low == -len(kept)
    assert list(table.thresholds[: len(kept)]) == kept
    assert all(a + b == ONE for a, b in zip(table.thresholds, reversed(table.thresholds), strict=True))
    masses = law(table)
    assert sum(masses.values()) == ONE
    assert all(mass == masses[-value] >= 0 for value, mass in masses.items())
    assert table.total_variation == Fraction(len(table.thresholds) + 2, ONE)


@given(LOWER_HALVES, UNIFORMS)
def test_the_specification_counts_thresholds(lower: list[int], u: int) -> None:
    table = NoiseTable.from_lower_half(lower)
    assert table.by_integer(u) == table.low + sum(t <= u for t in table.thresholds)


@given(LOWER_HALVES, st.lists(UNIFORMS, max_size=6))
def test_the_first_bits_decide_or_say_that_they_cannot(lower: list[int], others: list[int]) -> None:
    """The guide's 16 bits and the word's 32 bits never contradict any of the 128-bit uniforms that begin with them."""
    table = NoiseTable.from_lower_half(lower)
    for u in {*others, *table.thresholds} - {ONE}:
        word = u >> 96
        first, last = table.by_integer(word << 96), table.by_integer((word + 1 << 96) - 1)
        values, tied = table.by_word(np.array([word], dtype=np.uint64))
        assert bool(tied[0]) == any(t >> 96 == word for t in table.thresholds)
        assert tied[0] or int(values[0]) == first == last
        cell = u >> 112
        guided = int(table.guide[cell])
        if guided == UNDECIDED:
            assert any(t >> 112 == cell for t in table.thresholds)
        else:
            assert guided == table.by_integer(cell << 112) == table.by_integer((cell + 1 << 112) - 1)


@given(LOWER_HALVES)
def test_limbs_and_digest_are_the_thresholds(lower: list[int]) -> None:
    table = NoiseTable.from_lower_half(lower)
    assert table.limbs.dtype == np.uint32
    rebuilt = [sum(int(word) << (96 - 32 * i) for i, word in enumerate(row)) for row in table.limbs]
    assert tuple(rebuilt) == table.thresholds
    text = f"{table.low}\n".encode() + b"".join(t.to_bytes(16, "big") for t in table.thresholds)
    assert table.digest == hashlib.sha256(text).hexdigest()


def test_the_table_of_no_thresholds_gives_zero() -> None:
    table = NoiseTable.from_lower_half([0, 0])
    assert (table.low, table.thresholds, table.limbs.shape) == (0, (), (0, 4))
    assert table.by_integer(ONE - 1) == 0
    assert not table.guide.any()
    assert table.by_word(np.array([0, 2**32 - 1], dtype=np.uint64))[0].tolist() == [0, 0]


def test_the_digest_depends_on_low_and_on_every_bit() -> None:
    thresholds = (5, HALF, ONE - 5)
    digests = {
        NoiseTable(low, (thresholds[0], thresholds[1] + bit, thresholds[2])).digest
        for low in (-1, -2)
        for bit in (0, 1)
    }
    assert len(digests) == 4


@pytest.mark.parametrize(
    ("law_type", "sigma_px", "thresholds"),
    [
        (DiscreteGaussian, "30.6", 798), (DiscreteGaussian, "63.75", 1664), (DiscreteGaussian, "127.5", 3330),
        (DiscreteGaussian, "255", 6658), (DiscreteGaussian, "2400", 62668), (RoundedGaussian, "30.6", 800),
    ],
)  # fmt: skip
def test_the_documented_charges(law_type: type[DiscreteGaussian], sigma_px: str, thresholds: int) -> None:
    """The table of docs/theory/discrete-gaussian.md, and what it says: invisible beside 6.9e-6."""
    noise = law_type(sigma_px)
    assert len(noise.table.thresholds) == thresholds
    assert noise.total_variation == Fraction(thresholds + 2, ONE)
    assert noise_charge(noise.total_variation) == 2 * 2**24 * Fraction(thresholds + 2, ONE) < Fraction(7, 10**27)


def test_the_largest_noise_fits_int16_together_with_an_image() -> None:
    table = DiscreteGaussian(MAX_SIGMA_PX).table
    assert table.low > UNDECIDED
    assert 255 - table.low <= 2**15 - 1


@pytest.mark.parametrize("sigma_px", [0, -1, Fraction(-1, 100), Fraction(2400001, 1000)])
def test_scales_out_of_range_are_refused(sigma_px: Fraction) -> None:
    with pytest.raises(ParameterError, match=r"sigma must be positive and at most 9\.412 in image units"):
        check_sigma_px(Fraction(sigma_px))


@pytest.mark.parametrize(
    ("start", "count", "dimension"),
    [(-1, 1, 1), (0, -1, 1), (0, 1, 0), (0, 1, -4), (0, 1, MAX_DIMENSION + 1), (2**63, 1, 1), (2**63 - 1, 2, 1)],
)
def test_ranges_outside_the_address_space_are_refused(start: int, count: int, dimension: int) -> None:
    with pytest.raises(ParameterError, match="no samples"):
        check_range(start, count, dimension)


def test_the_whole_address_space_is_accepted() -> None:
    assert check_sigma_px(Fraction(2400)) == 2400
    check_range(2**63 - 1, 1, MAX_DIMENSION)
    check_range(0, 0, 1)
