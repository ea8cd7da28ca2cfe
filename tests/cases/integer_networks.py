"""Random integer networks that obey the law, and images for them: hypothesis strategies for every executor's tests."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from holdfast.intnet import (
    Add,
    AvgPool,
    Concat,
    Conv,
    Flatten,
    Input,
    IntegerNetwork,
    Linear,
    MaxPool,
    Op,
    Pad,
    Requantise,
    Rescale,
    Residual,
    Subsample,
)
from holdfast.intnet.ranges import ValueRange, output_range
from holdfast.intnet.shapes import Shape, output_shape, windows

BIG = (1 << 22) - 1
SEEDS = st.integers(0, 2**32 - 1)


@st.composite
def networks(draw: st.DrawFn, largest_side: int = 7, largest_width: int = 9) -> IntegerNetwork:
    """A chain of operations with side branches, in all variants, with weights, biases and factors up to the limits."""
    builder = _Builder(draw, largest_side, largest_width)
    builder.input()
    for _ in range(draw(st.sampled_from([3, 2, 4, 1, 0, 5]))):
        builder.spatial()
    if draw(st.booleans()):
        builder.raw_image()
    if len(builder.shapes[-1]) == 3:
        builder.append(Flatten(builder.name(), builder.last))
    if not builder.raw:
        for _ in range(draw(st.integers(0, 2))):
            builder.flat()
        if draw(st.booleans()) or builder.shapes[-1][0] < 2:
            builder.linear(raw=True, least=2)
    return IntegerNetwork(builder.operations, {"drawn": True})


@st.composite
def images(draw: st.DrawFn, network: IntegerNetwork, count: int = 2) -> NDArray[Any]:
    """Images for a network: bytes, or noisy ones anywhere in int16, often at its ends."""
    random = np.random.default_rng(draw(SEEDS))
    shape = (count, *network.shape)
    kind = draw(st.sampled_from(["bytes", "noisy", "any", "ends", "lowest", "highest"]))
    if kind == "bytes":
        return random.integers(0, 256, shape).astype(np.uint8)
    if kind in ("lowest", "highest"):
        return np.full(shape, -(1 << 15) if kind == "lowest" else (1 << 15) - 1, np.int16)
    if kind == "ends":
        return random.choice(np.array([-(1 << 15), (1 << 15) - 1], np.int16), shape)
    low, high = (-500, 756) if kind == "noisy" else (-(1 << 15), 1 << 15)
    return random.integers(low, high, shape).astype(np.int16)


@st.composite
def laws(draw: st.DrawFn, bound: NDArray[np.int64]) -> Requantise:
    """A law that is exact for accumulators up to ``bound``, one pair or one per channel, likely to use its whole range."""
    shared = draw(st.booleans())
    limits = [int(bound.max())] if shared else [int(b) for b in bound]
    pairs = [draw(_pairs(limit)) for limit in limits]
    low, high = draw(st.sampled_from([(-127, 127), (0, 127), (0, 96), (-3, 5), (7, 7)]))
    return Requantise(np.array([m for m, _ in pairs], np.int32), np.array([s for _, s in pairs], np.uint8), low, high)


@st.composite
def _pairs(draw: st.DrawFn, limit: int) -> tuple[int, int]:
    kind = draw(st.sampled_from(["scaled", "any", "largest"]))
    if kind == "scaled":  # the bound goes to about 127, or a few times that
        shift = min(max(limit, 1).bit_length() + 14, 52)
        return min((draw(st.integers(40, 2000)) << shift) // max(limit, 1), _largest(limit, shift)), shift
    shift = draw(st.integers(1, 52))
    largest = _largest(limit, shift)
    return (largest if kind == "largest" else draw(st.integers(0, largest))), shift


def _largest(limit: int, shift: int) -> int:
    """The largest multiplier for which the products stay below 2^53."""
    return min(BIG, ((1 << 53) - (1 << (shift - 1))) // max(limit, 1))


class _Builder:
    """The operations so far, their shapes and ranges. Every operation reads the last value, so none is left unread."""

    def __init__(self, draw: st.DrawFn, largest_side: int, largest_width: int) -> None:
        self.draw, self.largest_side, self.largest_width = draw, largest_side, largest_width
        self.operations: list[Op] = []
        self.shapes: list[Shape] = []
        self.ranges: list[ValueRange] = []
        self.raw = False

    @property
    def last(self) -> int:
        return len(self.operations) - 1

    def name(self) -> str:
        return f"op {len(self.operations)}"

    def append(self, op: Op) -> None:
        self.shapes.append(output_shape(op, self.shapes))
        self.ranges.append(output_range(op, self.ranges, self.shapes))
        self.operations.append(op)

    def number(self, low: int, high: int) -> int:
        return self.draw(st.integers(low, max(low, high)))

    def pair(self, low: int, high: int) -> tuple[int, int]:
        return self.number(low, high), self.number(low, high)

    def weights(self, *shape: int) -> NDArray[np.int8]:
        random = np.random.default_rng(self.draw(SEEDS))
        kind = self.draw(st.sampled_from(["any", "ends", "few", "ternary"]))
        if kind == "ends":
            return random.choice(np.array([-127, 127], np.int8), shape)
        if kind == "ternary":
            return random.integers(-1, 2, shape).astype(np.int8)
        weight = random.integers(-127, 128, shape)
        return (weight * (random.random(shape) < 0.2) if kind == "few" else weight).astype(np.int8)

    def biases(self, count: int) -> NDArray[np.int32]:
        random = np.random.default_rng(self.draw(SEEDS))
        most = self.draw(st.sampled_from([0, 1000, 10**6, 2 * 10**9]))
        return random.integers(-most, most + 1, count).astype(np.int32)

    def other(self, shape: Shape) -> int | None:
        """An earlier value of this shape, if there is one."""
        found = [i for i, s in enumerate(self.shapes) if s == shape]
        return self.draw(st.sampled_from(found)) if found else None

    def residual(self, shape: Shape) -> Residual | None:
        source = self.other(shape)
        if source is None or self.draw(st.booleans()):
            return None
        random = np.random.default_rng(self.draw(SEEDS))
        most = self.draw(st.sampled_from([1, 300, 10**6]))
        return Residual(source, random.integers(0, most + 1, shape[0]).astype(np.int32))

    def law(self, op: Op) -> Requantise:
        """A law for an operation that has none yet."""
        return self.draw(laws(output_range(op, self.ranges, self.shapes).accumulator))

    def input(self) -> None:
        channels, rows, columns = self.number(1, 4), *self.pair(1, self.largest_side)
        random = np.random.default_rng(self.draw(SEEDS))
        most = self.draw(st.sampled_from([0, 255, 32767]))
        center = random.integers(-most, most + 1, channels).astype(np.int32)
        if self.draw(st.booleans()):  # bytes go to about the whole range, as in practice
            law = Requantise(np.full(channels, BIG // 2, np.int32), np.full(channels, 22, np.uint8), -127, 127)
        else:
            law = self.draw(laws(32768 + np.abs(center).astype(np.int64)))
        self.append(Input(self.name(), (channels, rows, columns), center, law))

    def spatial(self) -> None:
        kinds = [self.conv, self.max_pool, self.average, self.join, self.pad, self.subsample, self.rescale]
        self.draw(st.sampled_from(kinds))()

    def flat(self) -> None:
        self.draw(st.sampled_from([self.linear, self.join, self.rescale]))()

    def raw_image(self) -> None:
        """A last convolution or average whose accumulators are the logits."""
        if self.draw(st.booleans()) and np.prod(self.shapes[-1]) >= 2:
            self.append(AvgPool(self.name(), self.last, (1, 1), (1, 1), None))
        else:
            self.conv(raw=True, least=2, whole=True)
        self.raw = True

    def conv(self, raw: bool = False, least: int = 1, whole: bool = False) -> None:
        channels, *sides = self.shapes[-1]
        groups = self.draw(st.sampled_from([g for g in range(1, channels + 1) if channels % g == 0]))
        outputs = groups * self.number(-(-least // groups), self.largest_width // groups)
        kernel, stride, padding, dilation = self.window(whole)
        weight, bias = self.weights(outputs, channels // groups, *kernel), self.biases(outputs)
        shape = (outputs, *self.counts(sides, kernel, stride, padding, dilation))
        self.weighted(Conv, raw, weight, bias, self.residual(shape), stride, padding, dilation, groups)

    def linear(self, raw: bool = False, least: int = 1) -> None:
        (features,) = self.shapes[-1]
        outputs = self.number(least, self.largest_width)
        weight, bias = self.weights(outputs, features), self.biases(outputs)
        self.weighted(Linear, raw, weight, bias, self.residual((outputs,)))

    def weighted(
        self, kind: Any, raw: bool, weight: NDArray[np.int8], bias: NDArray[np.int32], residual: Any, *more: Any
    ) -> None:
        names = ("stride", "padding", "dilation", "groups")[: len(more)]

        def op(law: Requantise | None, bias: NDArray[np.int32]) -> Op:
            settings = {"residual": residual, **dict(zip(names, more, strict=True))}
            made: Op = kind(self.name(), self.last, weight, bias, law, **settings)
            return made

        sums = output_range(op(None, np.zeros_like(bias)), self.ranges, self.shapes).accumulator
        room = (1 << 31) - 1 - sums  # what the bias may be
        bias = np.clip(bias, -room, room).astype(np.int32)
        self.append(op(None if raw else self.law(op(None, bias)), bias))

    def window(self, whole: bool = False, dilated: bool = True) -> tuple[Any, Any, Any, Any]:
        """Kernel, stride, padding and dilation that fit. Padding is less than a kernel, so every window sees a value."""
        _, *sides = self.shapes[-1]
        kernel = self.pair(1, 3)
        dilation = self.pair(1, 2) if dilated and self.draw(st.booleans()) else (1, 1)
        reach = [d * (k - 1) for k, d in zip(kernel, dilation, strict=True)]
        padding, used = [], []
        for side, span, dilate in zip(sides, reach, dilation, strict=True):
            most = min(span, side) if dilate == 1 else 0
            before, after = self.number(0, most), self.number(0, most)
            if side + before + after < span + 1:  # no window fits: take a kernel of one place
                span = before = after = 0
            padding += [before, after]
            used.append(span)
        kernel = tuple(k if u else 1 for k, u in zip(kernel, used, strict=True))  # type: ignore[assignment]
        stride = (1, 1) if whole else self.pair(1, 3)
        return kernel, stride, tuple(padding), dilation

    def counts(self, sides: Any, kernel: Any, stride: Any, padding: Any, dilation: Any) -> tuple[int, int]:
        rows = windows(sides[0], kernel[0], stride[0], *padding[:2], dilation[0])
        return rows, windows(sides[1], kernel[1], stride[1], *padding[2:], dilation[1])

    def max_pool(self) -> None:
        self.append(MaxPool(self.name(), self.last, *self.window()))

    def average(self) -> None:
        kernel, stride, padding, _ = self.window(dilated=False)
        bare = AvgPool(self.name(), self.last, kernel, stride, None, padding)
        self.append(AvgPool(self.name(), self.last, kernel, stride, self.law(bare), padding))

    def join(self) -> None:
        """An addition or a concatenation with an earlier value of the same shape (perhaps the last one itself)."""
        other = self.other(self.shapes[-1])
        assert other is not None
        sources = self.draw(st.sampled_from([(self.last, other), (other, self.last)]))
        if self.draw(st.booleans()):
            self.append(Concat(self.name(), sources))
            return
        a, b = (int(self.ranges[source].magnitude.max()) for source in sources)
        multiplier, shift = self.draw(_pairs(a + b))
        pair = (self.number(0, multiplier), multiplier)
        low, high = self.draw(st.sampled_from([(-127, 127), (0, 127), (-9, 3)]))
        self.append(Add(self.name(), sources, pair, shift, low, high))

    def rescale(self) -> None:
        self.append(Rescale(self.name(), self.last, self.draw(laws(self.ranges[-1].magnitude))))

    def subsample(self) -> None:
        self.append(Subsample(self.name(), self.last, self.pair(1, 3)))

    def pad(self) -> None:
        before, after = ((self.number(0, 2), self.number(0, 1), self.number(0, 2)) for _ in range(2))
        self.append(Pad(self.name(), self.last, before, after))
