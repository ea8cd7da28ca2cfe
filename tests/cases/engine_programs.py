"""Programs of the native engine read back into networks, and networks of one large layer in every geometry."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
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
    quantise_ratio,
)

PASS = Requantise(np.array([1], np.int32), np.array([1], np.uint8), -127, 127)
"""A law that halves, for tests that do not look at it."""


class ProgramReader:
    """The grammar of native/src/parse.cc, read independently of ``engine.native.encode``."""

    def __init__(self, words: Sequence[int], weights: NDArray[np.int8]) -> None:
        self.words, self.weights = list(words), weights

    def network(self) -> IntegerNetwork:
        """The whole program; nothing may be left over."""
        magic, law, count = self.take(3)
        assert (magic, law) == (0x48464931, 1)
        operations = [self.operation(str(position)) for position in range(count)]
        assert not self.words, f"{len(self.words)} words are left over"
        assert not self.weights.size, f"{self.weights.size} weights are left over"
        return IntegerNetwork(operations)

    def take(self, count: int) -> tuple[int, ...]:
        if count > len(self.words):
            raise EOFError
        taken, self.words = self.words[:count], self.words[count:]
        return tuple(taken)

    def one(self) -> int:
        return self.take(1)[0]

    def pair(self) -> tuple[int, int]:
        a, b = self.take(2)
        return a, b

    def four(self) -> tuple[int, int, int, int]:
        a, b, c, d = self.take(4)
        return a, b, c, d

    def three(self) -> tuple[int, int, int]:
        a, b, c = self.take(3)
        return a, b, c

    def array(self, count: int) -> NDArray[np.int32]:
        return np.array(self.take(count), np.int32)

    def law(self) -> Requantise | None:
        count = self.one()
        if count == 0:
            return None
        low, high = self.pair()
        return Requantise(self.array(count), np.array(self.take(count), np.uint8), low, high)

    def some_law(self) -> Requantise:
        law = self.law()
        assert law is not None
        return law

    def operation(self, name: str) -> Op:
        kind = self.one()
        if kind in (1, 2):
            return self.weighted(name, kind == 1)
        if kind == 0:
            shape = self.three()
            return Input(name, shape, self.array(shape[0]), self.some_law())
        if kind == 3:
            return Add(name, self.pair(), self.pair(), *self.three())
        if kind == 7:
            return Concat(name, self.take(self.one()))
        source = self.one()
        match kind:
            case 4:
                return MaxPool(name, source, self.pair(), self.pair(), self.four(), self.pair())
            case 5:
                kernel, stride, padding = self.pair(), self.pair(), self.four()
                return AvgPool(name, source, kernel, stride, self.law(), padding)
            case 6:
                return Rescale(name, source, self.some_law())
            case 8:
                return Flatten(name, source)
            case 9:
                return Pad(name, source, self.three(), self.three())
            case 10:
                return Subsample(name, source, self.pair())
        raise AssertionError(f"unknown operation {kind}")

    def weighted(self, name: str, is_conv: bool) -> Conv | Linear:
        source, residual, outputs, inputs = self.take(4)
        kernel = self.pair() if is_conv else ()
        groups, stride, padding, dilation = (
            (self.one(), self.pair(), self.four(), self.pair()) if is_conv else (1, (1, 1), (0, 0, 0, 0), (1, 1))
        )
        bias = self.array(outputs)
        added = Residual(residual, self.array(outputs)) if residual != -1 else None
        law = self.law()
        shape = (outputs, inputs, *kernel)
        size = int(np.prod(shape))
        if size > self.weights.size:
            raise EOFError
        weight, self.weights = self.weights[:size].reshape(shape), self.weights[size:]
        if is_conv:
            return Conv(name, source, weight, bias, law, stride, padding, dilation, groups, added)
        return Linear(name, source, weight, bias, law, added)


@dataclass(frozen=True)
class Layer:
    """A convolution of any size and its surroundings."""

    inputs: int
    outputs: int
    side: tuple[int, int]
    kernel: tuple[int, int] = (3, 3)
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int, int, int] = (1, 1, 1, 1)
    dilation: tuple[int, int] = (1, 1)
    groups: int = 1
    factor: int | None = None  # of a residual
    signed: bool = False  # inputs may be negative
    wide: bool = False  # a bias so large that accumulators do not fit float32

    def network(self, seed: int = 0) -> IntegerNetwork:
        """An input, a convolution that makes the layer's inputs, the layer, a reduction to logits by signs."""
        random = np.random.default_rng(seed)
        spread, low = law(0.5, 3, -127, 127), -127 if self.signed else 0
        first = Conv("first", 0, weights(random, self.inputs, 3, 1, 1), zeros(self.inputs), law(0.01, 1, low, 127))
        taps = self.inputs // self.groups * self.kernel[0] * self.kernel[1]
        offset = 1 << 24 if self.wide else 0
        layer = Conv(
            "layer",
            1,
            weights(random, self.outputs, self.inputs // self.groups, *self.kernel),
            (random.integers(-5000, 5000, self.outputs) + offset * random.choice([-1, 1], self.outputs)).astype(
                np.int32
            ),
            law(
                100 / offset if self.wide else 60 / (60 * 50 * taps**0.5), self.outputs, -127 if self.signed else 0, 127
            ),
            self.stride,
            self.padding,
            self.dilation,
            self.groups,
            None if self.factor is None else Residual(1, np.full(self.outputs, self.factor, np.int32)),
        )
        operations: list[Op] = [Input("input", (3, *self.side), zeros(3) + 100, spread), first, layer]
        operations.append(Flatten("flatten", 2))
        return IntegerNetwork([*operations, Linear("fc", 3, *self._head(random, operations), None)])

    def _head(self, random: np.random.Generator, operations: list[Op]) -> tuple[NDArray[np.int8], NDArray[np.int32]]:
        from holdfast.intnet.shapes import Shape, output_shape

        shapes: list[Shape] = []
        for op in operations:
            shapes.append(output_shape(op, shapes))
        return weights(random, 20, shapes[-1][0]), zeros(20)


def pool_of_extremes() -> IntegerNetwork:
    """Sums of 400 values, of either sign as large as they may be where an image is: int16 does not hold them."""
    channels = 20
    largest = Requantise(np.array([1 << 20], np.int32), np.array([1], np.uint8), -127, 127)
    pool = AvgPool("pool", 0, (20, 20), (1, 1), None)
    return IntegerNetwork([Input("input", (channels, 20, 21), zeros(channels) + 100, largest), pool, Flatten("all", 1)])


def extreme_images(network: IntegerNetwork) -> NDArray[np.int16]:
    """One image above all centers, one below, one of both halves in turn, one of noise."""
    shape = network.shape
    above, below = np.full(shape, 255, np.int16), np.full(shape, 0, np.int16)
    mixed = np.where(np.arange(shape[0]).reshape(-1, 1, 1) % 2 == 0, above, below)
    return np.stack([above, below, mixed, np.random.default_rng(1).integers(0, 256, shape).astype(np.int16)])


def law(ratio: float, channels: int, low: int, high: int) -> Requantise:
    """One pair for all channels, near a ratio."""
    multiplier, shift = quantise_ratio(ratio)
    return Requantise(np.full(channels, multiplier, np.int32), np.full(channels, shift, np.uint8), low, high)


def weights(random: np.random.Generator, *shape: int) -> NDArray[np.int8]:
    """All of [-127, 127], the ends more often."""
    drawn = random.integers(-127, 128, shape)
    return np.where(random.random(shape) < 0.1, np.sign(drawn) * 127, drawn).astype(np.int8)


def zeros(count: int) -> NDArray[np.int32]:
    return np.zeros(count, np.int32)


LAYERS = {
    "16 channels": Layer(16, 16, (9, 32)),
    "32 channels, residual": Layer(32, 32, (5, 16), factor=300),
    "residual as large as it may be": Layer(24, 24, (5, 7), factor=1 << 20),
    "residual of a wide law": Layer(24, 24, (5, 7), factor=1 << 17, wide=True),
    "signed": Layer(20, 20, (7, 9), signed=True),
    "signed residual": Layer(20, 20, (7, 9), signed=True, factor=77),
    "wide law": Layer(17, 33, (6, 5), wide=True),
    "rows longer than a segment": Layer(5, 18, (3, 150)),
    "rows longer than a segment, two blocks and a residual": Layer(32, 32, (2, 131), factor=5),
    "five blocks": Layer(12, 80, (4, 11)),
    "seven blocks of single pixels": Layer(40, 112, (3, 3), padding=(0, 0, 0, 0)),
    "1x1": Layer(70, 130, (5, 6), kernel=(1, 1), padding=(0, 0, 0, 0)),
    "1x1, stride 2": Layer(64, 50, (8, 7), kernel=(1, 1), stride=(2, 2), padding=(0, 0, 0, 0)),
    "stride 2": Layer(16, 32, (16, 16), stride=(2, 2)),
    "strides that differ": Layer(16, 16, (9, 14), stride=(1, 2)),
    "vertical stride": Layer(16, 16, (9, 14), stride=(3, 1)),
    "dilation": Layer(16, 16, (9, 14), dilation=(2, 3), padding=(2, 2, 3, 3)),
    "vertical dilation": Layer(16, 16, (9, 14), dilation=(2, 1), padding=(2, 2, 1, 1)),
    "5x5": Layer(9, 10, (8, 8), kernel=(5, 5), padding=(2, 2, 2, 2)),
    "7x7, stride 2": Layer(3, 64, (23, 21), kernel=(7, 7), stride=(2, 2), padding=(3, 3, 3, 3)),
    "a row kernel": Layer(8, 8, (5, 9), kernel=(1, 3), padding=(0, 0, 1, 1)),
    "a column kernel": Layer(8, 8, (5, 9), kernel=(3, 1), padding=(1, 1, 0, 0)),
    "uneven padding": Layer(8, 8, (5, 9), padding=(0, 2, 3, 1)),
    "padding left only": Layer(8, 8, (5, 9), padding=(0, 0, 1, 0)),
    "padding right only": Layer(8, 8, (5, 9), padding=(0, 0, 0, 1)),
    "padding beyond the kernel": Layer(4, 4, (3, 3), padding=(5, 4, 6, 5)),
    "padding beyond the kernel, signed": Layer(4, 4, (3, 3), padding=(5, 4, 6, 5), signed=True),
    "no padding": Layer(16, 16, (7, 7), padding=(0, 0, 0, 0)),
    "one row": Layer(16, 16, (1, 20)),
    "one column": Layer(16, 16, (20, 1)),
    "groups": Layer(48, 96, (5, 6), groups=4),
    "groups that cut blocks": Layer(30, 45, (5, 6), groups=15),
    "groups of three, signed": Layer(21, 42, (5, 6), groups=7, signed=True),
    "depthwise": Layer(70, 70, (7, 9), groups=70),
    "depthwise, signed": Layer(130, 130, (5, 5), groups=130, signed=True),
    "depthwise, stride 2": Layer(16, 16, (8, 8), groups=16, stride=(2, 2)),
    "depthwise, 5x5": Layer(48, 48, (8, 9), groups=48, kernel=(5, 5), padding=(2, 2, 2, 2)),
    "depthwise, signed, wide law": Layer(40, 40, (8, 9), groups=40, signed=True, wide=True),
    "signed, wide law, residual": Layer(40, 40, (8, 9), signed=True, factor=1 << 17, wide=True),
    "depthwise, dilation, wide law": Layer(20, 20, (8, 9), groups=20, dilation=(2, 2), wide=True),
    "depthwise with a residual": Layer(20, 20, (8, 9), groups=20, factor=9),
    "more channels than float32 holds": Layer(150, 24, (3, 4)),
}
