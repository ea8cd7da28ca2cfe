"""Networks whose shapes are hard for kernels that multiply 16 windows at a time (native/src/amxint8.cc)."""

from __future__ import annotations

import numpy as np
from engine_programs import Layer, law, weights, zeros

from holdfast.intnet import Conv, Flatten, Input, IntegerNetwork, Linear, Op, Residual

TILES = {
    "pairs of pixels": Layer(16, 16, (5, 32)),
    "pairs of pixels, residual": Layer(16, 16, (6, 32), factor=300),
    "pairs of pixels, few windows": Layer(16, 16, (3, 4)),
    "pairs of pixels, an odd pitch": Layer(16, 16, (5, 33), kernel=(3, 2), padding=(1, 1, 0, 0)),
    "pairs of pixels, an odd pitch, short rows": Layer(16, 16, (5, 9), kernel=(3, 2), padding=(1, 1, 0, 0)),
    "pairs of pixels, stride 2": Layer(16, 16, (20, 40), stride=(2, 2)),
    "pairs of pixels, dilation": Layer(16, 16, (9, 32), dilation=(2, 2), padding=(2, 2, 2, 2)),
    "pairs of pixels, five channels": Layer(5, 7, (6, 24), signed=True),
    "a tile for each row": Layer(32, 32, (7, 16)),
    "a tile for each row, residual, odd rows": Layer(32, 32, (7, 16), factor=300),
    "a tile for each row, dilation": Layer(32, 32, (8, 16), dilation=(2, 1), padding=(2, 2, 1, 1)),
    "rows of eight": Layer(64, 64, (8, 8), factor=300),
    "rows of seven": Layer(96, 96, (7, 7), factor=300),
    "fifteen windows": Layer(64, 64, (3, 3), padding=(0, 0, 0, 0), kernel=(1, 1)),
    "sixteen windows": Layer(64, 64, (4, 4), padding=(0, 0, 0, 0), kernel=(1, 1)),
    "seventeen windows": Layer(64, 64, (1, 17), padding=(0, 0, 0, 0), kernel=(1, 1)),
    "a pitch far beyond the row": Layer(64, 40, (9, 34), padding=(0, 0, 0, 0), kernel=(1, 20)),
    "strides without a whole pitch": Layer(64, 48, (9, 20), stride=(1, 2), padding=(1, 1, 1, 0)),
    "three blocks": Layer(64, 40, (6, 17)),
    "groups": Layer(128, 128, (8, 8), groups=2),
    "groups of other blocks": Layer(96, 144, (6, 17), groups=3),
    "seven pixels of three channels": Layer(3, 64, (40, 40), kernel=(7, 7), stride=(2, 2), padding=(3, 3, 3, 3)),
    "wide law": Layer(64, 64, (6, 17), wide=True),
    "wide law, signed, residual": Layer(40, 40, (8, 17), signed=True, factor=1 << 17, wide=True),
    "sums beyond 2^22": Layer(64, 64, (6, 17), factor=32767),
    "a residual for two products": Layer(64, 64, (6, 17), factor=32768),
    "many channels": Layer(300, 70, (5, 7)),
    "a large image": Layer(64, 48, (40, 50)),
}


def shortcut(
    side: tuple[int, int], channels: int, high: int = 127, *, low: int = 0, blocks: int = 2, raw: bool = False
) -> IntegerNetwork:
    """Residual blocks that are written over their own shortcuts, between layers of the same shape.

    Negative values where ``low`` is; where ``raw``, the last block's accumulators are the logits.
    """
    random = np.random.default_rng(3)
    ratio = 60 / (60 * 50 * (9 * channels) ** 0.5)
    operations: list[Op] = [Input("input", (3, *side), zeros(3) + 100, law(0.5, 3, -127, 127))]

    def conv(source: int, inputs: int, residual: Residual | None = None, last: bool = False) -> None:
        weight, bias = weights(random, channels, inputs, 3, 3), random.integers(-5000, 5000, channels).astype(np.int32)
        requantise = None if last and raw else law(ratio if inputs > 3 else 0.01, channels, low, high)
        operations.append(Conv("conv", source, weight, bias, requantise, padding=(1, 1, 1, 1), residual=residual))

    conv(0, 3)
    for block in range(blocks):
        residual = Residual(2 * block + 1, np.full(channels, 300, np.int32))
        conv(2 * block + 1, channels)
        conv(2 * block + 2, channels, residual, last=block + 1 == blocks)
    operations.append(Flatten("flatten", 2 * blocks + 1))
    if raw:
        return IntegerNetwork(operations)
    head = weights(random, 20, channels * side[0] * side[1])
    return IntegerNetwork([*operations, Linear("fc", 2 * blocks + 2, head, zeros(20), None)])


def perceptron(inputs: int, width: int) -> IntegerNetwork:
    """Linear layers so heavy that images are taken together."""
    random = np.random.default_rng(4)
    first = Input("input", (1, 1, inputs), zeros(1) + 100, law(0.5, 1, -127, 127))
    operations: list[Op] = [first, Flatten("flatten", 0)]
    for position, count in ((1, inputs), (2, width)):
        ratio = 60 / (60 * 50 * count**0.5)
        weight, bias = weights(random, width, count), zeros(width)
        operations.append(Linear("linear", position, weight, bias, law(ratio, width, 0, 127)))
    return IntegerNetwork([*operations, Linear("fc", 3, weights(random, 20, width), zeros(20), None)])


NETWORKS = {
    "a shortcut, rows of eight": shortcut((8, 8), 64),
    "a shortcut, pairs of pixels": shortcut((9, 32), 16),
    "a shortcut, rows of 21": shortcut((5, 21), 48),
    "a shortcut, few windows": shortcut((2, 3), 64),
    "a shortcut, values clamped early": shortcut((6, 16), 32, high=50),
    "a shortcut so heavy that images are taken together": shortcut((4, 4), 176, blocks=1),
    "the same for pairs of tiles, with negative values and raw": shortcut((3, 7), 176, low=-127, blocks=1, raw=True),
    "linear layers": perceptron(784, 128),
    "linear layers of odd sizes": perceptron(203, 77),
}
