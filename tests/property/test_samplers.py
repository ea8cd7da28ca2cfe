"""The NumPy sampler, the native sampler and the slow specification are one function.

The specification is two readable pieces: Philox4x32-10 at the documented counters for all 128 bits of a coordinate, and
the number of thresholds that these bits reach.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from holdfast.noise import DiscreteGaussian, RoundedGaussian, native
from holdfast.noise.philox import philox4x32
from holdfast.noise.sampler import sample_table
from holdfast.noise.tables import NoiseTable
from holdfast.records import Address, Purpose

ONE, WORD = 1 << 128, st.integers(0, 2**32 - 1)
KEYS = st.tuples(WORD, WORD)
STARTS = st.one_of(st.integers(0, 5), st.integers(2**32 - 3, 2**32 + 2), st.integers(0, 2**63 - 8), st.just(2**63 - 3))
COUNTS = st.integers(0, 3)
DIMENSIONS = st.one_of(st.integers(1, 13), st.integers(250, 262), st.just(517))


def uniform(key: tuple[int, int], sample: int, coordinate: int) -> int:
    block, lane = divmod(coordinate, 4)
    u = 0
    for level in range(4):
        u = u << 32 | philox4x32((block, level, sample & 0xFFFFFFFF, sample >> 32), key)[lane]
    return u


def specified(table: NoiseTable, key: tuple[int, int], start: int, count: int, dimension: int) -> list[list[int]]:
    return [[table.by_integer(uniform(key, s, j)) for j in range(dimension)] for s in range(start, start + count)]


@pytest.fixture(scope="module")
def samplers() -> dict[str, Callable[..., Any]]:
    """Both samplers, or NumPy's alone where there was no compiler."""
    return {"numpy": sample_table} | ({"native": native.sample_table} if native._native is not None else {})


def test_the_native_sampler_is_among_them(samplers: dict[str, Callable[..., Any]]) -> None:
    """So that its absence is seen as a skip (with ``HOLDFAST_REQUIRE=all``, a failure), not passed over."""
    if "native" not in samplers:
        pytest.skip("holdfast._native was not built (no C++ compiler at installation): NumPy is compared alone")


@st.composite
def any_tables(draw: st.DrawFn) -> NoiseTable:
    """Any ascending thresholds: none, one, equal ones, clusters that share their leading words or guide cells."""
    centres = draw(st.lists(st.integers(1, ONE - 1), max_size=4))
    steps = st.sampled_from([0, 1, 1 << 31, 1 << 64, 1 << 96, (1 << 96) + 1, 1 << 111, 1 << 112])
    offsets = st.tuples(steps, st.integers(-3, 3))
    spread = draw(st.lists(st.tuples(st.sampled_from(centres), offsets), max_size=12)) if centres else []
    thresholds = sorted(t for c, (step, times) in spread if 0 < (t := c + step * times) < ONE)
    return NoiseTable(draw(st.integers(-20, 5)), tuple(thresholds))


@st.composite
def tying_tables(draw: st.DrawFn) -> tuple[NoiseTable, tuple[int, int], int, int, int]:
    """A table made from the uniforms that will be drawn: most of its thresholds tie with one of them."""
    key, start = draw(KEYS), draw(STARTS)
    count, dimension = draw(st.integers(1, 2)), draw(st.integers(1, 9))
    drawn = [uniform(key, s, j) for s in range(start, start + count) for j in range(dimension)]
    shared = st.sampled_from([32, 64, 96, 128])
    thresholds = set()
    for u in draw(st.lists(st.sampled_from(drawn), min_size=1, max_size=10)):
        low_bits = 128 - draw(shared)
        thresholds.add((u >> low_bits << low_bits) | draw(st.integers(0, (1 << low_bits) - 1)))
        thresholds.add(u + draw(st.integers(-1, 1)))
    return NoiseTable(-4, tuple(sorted(t for t in thresholds if 0 < t < ONE))), key, start, count, dimension


@given(any_tables(), KEYS, STARTS, COUNTS, DIMENSIONS)
@settings(deadline=None, max_examples=60)
def test_any_table_at_any_address(
    samplers: dict[str, Callable[..., Any]],
    table: NoiseTable,
    key: tuple[int, int],
    start: int,
    count: int,
    dimension: int,
) -> None:
    expected = np.array(specified(table, key, start, count, dimension), dtype=np.int16).reshape(count, dimension)
    for name, sampler in samplers.items():
        found = sampler(table, key, start, count, dimension)
        assert found.dtype == np.int16, name
        assert np.array_equal(found, expected), name


@given(tying_tables())
@settings(deadline=None, max_examples=150)
def test_ties_are_resolved_alike(samplers: dict[str, Callable[..., Any]], case: tuple[Any, ...]) -> None:
    table, key, start, count, dimension = case
    words = {uniform(key, s, j) >> 96 for s in range(start, start + count) for j in range(dimension)}
    ties = len(words & {t >> 96 for t in table.thresholds})
    event(f"ties: {min(ties, 3)}")
    assert ties
    expected = np.array(specified(table, key, start, count, dimension))
    for name, sampler in samplers.items():
        assert np.array_equal(sampler(table, key, start, count, dimension), expected), name


def test_ties_far_into_a_large_image(samplers: dict[str, Callable[..., Any]]) -> None:
    """Beyond the first vectorised batch of either sampler, in the second of two samples."""
    key, start, dimension = (3, 5), 2**32 - 1, 4 * 20_000 + 1
    coordinates = [0, 5, 300, 65_535, 65_536, 70_002, 80_000]
    uniforms = {j: uniform(key, start + 1, j) for j in coordinates}
    table = NoiseTable(-4, tuple(sorted(u + 1 for u in uniforms.values())))
    expected = [table.by_integer(u) for u in uniforms.values()]
    for name, sampler in samplers.items():
        assert sampler(table, key, start, 2, dimension)[1, coordinates].tolist() == expected, name


@given(
    st.sampled_from([DiscreteGaussian, RoundedGaussian]),
    st.sampled_from(["0.01", "0.08", "0.3", "1", "30.6", "63.75", "255", "2400"]),
    st.binary(min_size=32, max_size=32),
    st.sampled_from(Purpose),
    STARTS,
    COUNTS,
    DIMENSIONS,
)
@settings(deadline=None, max_examples=60)
def test_the_laws_at_any_address(
    samplers: dict[str, Callable[..., Any]],
    law: type[DiscreteGaussian],
    sigma_px: str,
    key: bytes,
    purpose: Purpose,
    start: int,
    count: int,
    dimension: int,
) -> None:
    noise, address = law(sigma_px), Address(key, key[::-1], purpose)
    expected = specified(noise.table, address.philox_key(), start, count, dimension)
    found = noise.sample(address, start, count, dimension)
    assert found.tolist() == expected
    for name, sampler in samplers.items():
        assert sampler(noise.table, address.philox_key(), start, count, dimension).tolist() == expected, name
