"""Integer networks obey their law: against exact fractions, in float64, against a plain implementation, in their ranges."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise
from math import floor
from typing import Any

import numpy as np
import plain_networks
from hypothesis import assume, event, given, settings
from hypothesis import strategies as st
from integer_networks import SEEDS, images, networks
from known_networks import described, described_array

from holdfast.intnet import (
    Add,
    Conv,
    Flatten,
    Input,
    IntegerNetwork,
    Linear,
    Requantise,
    Rescale,
    codec,
    quantise_ratio,
)
from holdfast.intnet.reference import trace

SHIFTS = st.integers(1, 52)
BIG = (1 << 22) - 1
PASS = Requantise(np.array([2], np.int32), np.array([1], np.uint8), -127, 127)


@st.composite
def exact_cases(draw: st.DrawFn) -> tuple[int, int, int]:
    """(accumulator, multiplier, shift) within the law's limits, often at them or next to a tie."""
    shift = draw(SHIFTS)
    multiplier = draw(st.one_of(st.integers(0, BIG), st.sampled_from([0, 1, 2, BIG, 1 << 21])))
    most = min((1 << 31) - 1, ((1 << 53) - (1 << (shift - 1))) // max(multiplier, 1))
    near = draw(st.integers(-130, 130)) * (1 << shift) + (1 << (shift - 1))  # a tie, were it divisible
    tie = near // max(multiplier, 1) + draw(st.integers(-1, 1))
    accumulator = draw(st.one_of(st.integers(-most, most), st.sampled_from([-most, most]), st.just(tie)))
    return max(-most, min(most, accumulator)), multiplier, shift


def applied(accumulator: int, multiplier: int, shift: int, low: int = -127, high: int = 127) -> int:
    law = Requantise(np.array([multiplier], np.int32), np.array([shift], np.uint8), low, high)
    return int(law(np.array([[accumulator]], np.int64))[0, 0])


@given(exact_cases())
@settings(max_examples=500)
def test_the_law_rounds_the_exact_quotient_half_up(case: tuple[int, int, int]) -> None:
    accumulator, multiplier, shift = case
    exact = Fraction(accumulator * multiplier, 2**shift)
    expected = floor(exact + Fraction(1, 2))
    event("tie" if exact.denominator == 2 else "no tie")
    assert applied(*case) == max(-127, min(127, expected))


@given(exact_cases())
@settings(max_examples=500)
def test_float64_computes_the_law_exactly(case: tuple[int, int, int]) -> None:
    """As training does it: a factor M / 2^s, one product, one half, floor. No tolerance."""
    accumulator, multiplier, shift = case
    ratio = np.float64(multiplier) / np.float64(2.0**shift)
    found = np.floor(np.float64(accumulator) * ratio + np.float64(0.5))
    assert int(found) == floor(Fraction(accumulator * multiplier, 2**shift) + Fraction(1, 2))


def test_with_23_bits_float64_would_be_wrong() -> None:
    """So 22 bits are not caution: the product has 54 bits, and the half that is added is lost."""
    accumulator, multiplier, shift = 2126453659, 4533613, 47
    assert accumulator < 1 << 31
    assert multiplier.bit_length() == 23
    exact = floor(Fraction(accumulator * multiplier, 2**shift) + Fraction(1, 2))
    found = np.floor(np.float64(accumulator) * (np.float64(multiplier) / np.float64(2.0**shift)) + np.float64(0.5))
    assert (exact, int(found)) == (68, 69)


@given(exact_cases(), st.integers(1, 30))
def test_a_factor_may_be_written_with_a_larger_multiplier_and_shift(case: tuple[int, int, int], more: int) -> None:
    accumulator, multiplier, shift = case
    assume(shift + more <= 62)
    wide = (accumulator * (multiplier << more) + (1 << (shift + more - 1))) >> (shift + more)
    assert applied(*case) == max(-127, min(127, wide))


@given(st.floats(2.0**-31, 2.0**21, exclude_max=True))
@settings(max_examples=500)
def test_a_ratio_is_quantised_with_a_relative_error_of_at_most_2_to_the_minus_22(ratio: float) -> None:
    multiplier, shift = quantise_ratio(ratio)
    assert 0 <= multiplier < 1 << 22
    assert 1 <= shift <= 52
    assert abs(Fraction(multiplier, 2**shift) - Fraction(ratio)) <= Fraction(ratio) / 2**22


@given(st.floats(0, 2.0**-31, exclude_min=True))
@settings(max_examples=300)
def test_a_small_ratio_is_rounded_to_the_nearest_multiple_of_2_to_the_minus_52(ratio: float) -> None:
    multiplier, shift = quantise_ratio(ratio)
    assert Fraction(multiplier, 2**shift) == Fraction(floor(Fraction(ratio) * 2**52 + Fraction(1, 2)), 2**52)
    assert (multiplier == 0) == (ratio < 2.0**-53)


@given(st.data())
@settings(max_examples=200)
def test_the_reference_equals_the_plain_implementation(data: st.DataObject) -> None:
    network = data.draw(networks())
    given_images = data.draw(images(network))
    for op in network.operations:
        event(type(op).__name__)
    operations = described(network)
    expected = plain_networks.logits(operations, described_array(given_images))
    assert network.logits(given_images).tolist() == expected
    assert network.digest == plain_networks.digest(operations)


@given(st.data())
@settings(max_examples=200)
def test_values_never_leave_their_proved_ranges(data: st.DataObject) -> None:
    network = data.draw(networks())
    for value, proved in zip(trace(network, data.draw(images(network, 4))), network.ranges, strict=True):
        along = (-1,) + (1,) * (value.ndim - 2)
        assert (value >= proved.low.reshape(along)).all()
        assert (value <= proved.high.reshape(along)).all()


@given(st.data())
def test_no_partial_sum_in_any_order_leaves_the_proved_bound(data: st.DataObject) -> None:
    """One output of one operation, its terms in a random order, every sum on the way."""
    network = data.draw(networks())
    weighted = [i for i, op in enumerate(network.operations) if isinstance(op, Conv | Linear)]
    assume(weighted)
    position = data.draw(st.sampled_from(weighted))
    op: Any = network.operations[position]
    values = trace(network, data.draw(images(network, 1)))
    output = data.draw(st.integers(0, len(op.bias) - 1))
    for terms in _terms(op, values, output):
        order = np.random.default_rng(data.draw(SEEDS)).permutation(len(terms))
        sums = np.cumsum(np.array(terms, np.int64)[order])
        assert np.abs(sums).max() <= network.ranges[position].accumulator[output] <= (1 << 31) - 1


def _terms(op: Conv | Linear, values: list[Any], output: int) -> list[list[int]]:
    """The terms of an output's accumulators: bias, products, residual; the first and the last place of an image."""
    value = values[op.source][0]
    last = values[op.residual.source][0] if op.residual is not None else None
    factor = int(op.residual.factor[output]) if op.residual is not None else 0
    if isinstance(op, Linear):
        added = [] if last is None else [factor * int(last[output])]
        return [[int(op.bias[output]), *(op.weight[output].astype(np.int64) * value).tolist(), *added]]
    top, bottom, left, right = op.padding
    padded = np.pad(value, ((0, 0), (top, bottom), (left, right)))
    inputs, height, width = op.weight.shape[1:]
    first = output // (len(op.weight) // op.groups) * inputs
    reach = [d * (k - 1) + 1 for d, k in zip(op.dilation, (height, width), strict=True)]
    rows, columns = ((n - r) // s for n, r, s in zip(padded.shape[1:], reach, op.stride, strict=True))
    found = []
    for row, column in ((0, 0), (rows, columns)):
        down, across = (slice(p * s, p * s + r, d) for p, s, r, d in
                        zip((row, column), op.stride, reach, op.dilation, strict=True))  # fmt: skip
        seen = padded[first : first + inputs, down, across]
        added = [] if last is None else [factor * int(last[output, row, column])]
        products = (op.weight[output].astype(np.int64) * seen).ravel().tolist()
        found.append([int(op.bias[output]), *products, *added])
    return found


@given(SEEDS, st.integers(1, 3), st.integers(1, 4), st.integers(2, 4))
def test_the_bounds_of_a_weighted_sum_are_attained(seed: int, channels: int, kernel: int, outputs: int) -> None:
    """So the ranges are not only safe: no smaller ones are."""
    random = np.random.default_rng(seed)
    shape = (channels, kernel, kernel)
    weight = random.integers(-127, 128, (outputs, *shape)).astype(np.int8)
    bias = random.integers(-1000, 1001, outputs).astype(np.int32)
    start = Input("input", shape, np.zeros(channels, np.int32), PASS)
    convolution = IntegerNetwork([start, Conv("conv", 0, weight, bias, None), Flatten("flat", 1)])
    matrix = IntegerNetwork([start, Flatten("flat", 0), Linear("fc", 1, weight.reshape(outputs, -1), bias, None)])
    extremes = np.sign(weight).astype(np.int16) * 32767
    for network in (convolution, matrix):
        proved = network.ranges[-1]
        assert (network.logits(extremes).diagonal() == proved.high).all()
        assert (network.logits(-extremes).diagonal() == proved.low).all()
        ends = np.where(bias < 0, network.logits(-extremes).diagonal(), network.logits(extremes).diagonal())
        assert (np.abs(ends) == proved.accumulator).all()


@given(st.data())
def test_what_is_saved_is_what_is_loaded(data: st.DataObject) -> None:
    network = data.draw(networks())
    saved = codec.to_bytes(network)
    copy = codec.from_bytes(saved, "a copy")
    assert codec.to_bytes(copy) == saved
    assert (copy.digest, copy.metadata, copy.shape, copy.values) == (
        network.digest,
        network.metadata,
        network.shape,
        network.values,
    )
    given_images = data.draw(images(network))
    assert np.array_equal(copy.logits(given_images), network.logits(given_images))


@given(st.data())
def test_an_image_is_computed_the_same_alone_and_among_others(data: st.DataObject) -> None:
    network = data.draw(networks())
    several = data.draw(images(network, 3))
    together = network.logits(several)
    assert all(np.array_equal(network.logits(several[i:j]), together[i:j]) for i, j in pairwise(range(4)))


@given(SEEDS, st.tuples(st.integers(0, 1000), st.integers(0, 1000)), st.integers(1, 20))
def test_an_addition_is_rounded_once(seed: int, multipliers: tuple[int, int], shift: int) -> None:
    start = Input("input", (2, 3, 3), np.zeros(2, np.int32), PASS)
    half = Requantise(np.array([1], np.int32), np.array([1], np.uint8), -127, 127)
    other = Rescale("half", 0, half)
    network = IntegerNetwork([start, other, Add("add", (0, 1), multipliers, shift, -127, 127), Flatten("flat", 2)])
    batch = np.random.default_rng(seed).integers(-140, 140, (2, 2, 3, 3)).astype(np.int16)
    a, b = (value.ravel().tolist() for value in trace(network, batch)[:2])
    exact = [Fraction(x * multipliers[0] + y * multipliers[1], 2**shift) for x, y in zip(a, b, strict=True)]
    expected = [max(-127, min(127, floor(v + Fraction(1, 2)))) for v in exact]
    assert network.logits(batch).ravel().tolist() == expected
